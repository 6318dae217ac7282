"""Numbers of other projects, imported and planned: optima that are known, and every pipeline that they published."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tools.peer_csv import (
    infadapter_rows,
    infadapter_service,
    ipa_rows,
    ipa_service,
    write_csv,
)
from ttamer.planning.planner import plan_service
from ttamer.planning.verify import verify
from ttamer.profiles.documents import load_yaml
from ttamer.profiles.errors import InfeasibleError
from ttamer.profiles.imports import import_profile
from ttamer.profiles.plan import Plan
from ttamer.profiles.profile import Profile
from ttamer.profiles.service import Limits, Service, Stage, Weights
from ttamer.profiles.service_file import ServiceFile

PIPELINES = ("video", "audio-qa", "audio-sent", "sum-qa", "nlp")


def instances(golden: Path) -> list[dict[str, Any]]:
    lines = (golden / "ipa.jsonl").read_text().splitlines()
    return [one for one in map(json.loads, lines) if one["baseline"] is None and one["arrival_rate_rps"] > 0]


def profile_of(instance: Mapping[str, Any], folder: Path) -> Profile:
    rows = [
        {
            "stage": stage["name"], "model": variant["name"], "accuracy": variant["accuracy"],
            "cores": variant["cores_per_replica"], **point,
        }
        for stage in instance["stages"]
        for variant in stage["variants"]
        for point in variant["profile"]
        if point["batch"] in instance["batch_sizes"]
    ]  # fmt: skip
    write_csv(folder / "points.csv", rows)
    return import_profile(folder / "points.csv", "golden")


def service_of(instance: Mapping[str, Any]) -> Service:
    weights = instance["weights"]
    return Service(
        slo_s=instance["sla_s"],
        rate_rps=instance["arrival_rate_rps"],
        stages=tuple(Stage(name=stage["name"]) for stage in instance["stages"]),
        weights=Weights(accuracy=weights["alpha"], cost=weights["beta"], batch=weights["delta"]),
        limits=Limits(replicas=instance["max_replicas"] * len(instance["stages"])),
        aggregation=instance["accuracy_aggregation"],
        mix=False,
    )


def test_imported_points_are_planned_to_the_known_optima_of_ipa(golden: Path, tmp_path: Path) -> None:
    found = instances(golden)
    assert len(found) >= 35
    for instance in found:
        profile, service, answer = profile_of(instance, tmp_path), service_of(instance), instance["answer"]
        if not answer["feasible"]:
            with pytest.raises(InfeasibleError):
                plan_service(service, profile)
            continue
        plan = plan_service(service, profile)
        allowed = 1e-6 * max(1.0, abs(answer["objective"]))
        assert plan.solve.objective == pytest.approx(answer["objective"], abs=allowed), instance["id"]
        assert plan.promise.cores == answer["cores"] or answer["optimal_solutions"] > 1
        assert plan.promise.latency_s == pytest.approx(answer["latency_s"], abs=1e-5) or answer["optimal_solutions"] > 1
        assert verify(plan, profile) == []


def planned(service: str, rows: list[dict[str, Any]], folder: Path) -> tuple[Plan, Profile]:
    write_csv(folder / "points.csv", rows)
    (folder / "service.yaml").write_text(service)
    profile = import_profile(folder / "points.csv", "peer")
    asked = ServiceFile.parse(load_yaml(folder / "service.yaml"), "service.yaml")
    return plan_service(asked.to_service("service.yaml", profile.tasks()), profile), profile


@pytest.mark.parametrize("name", PIPELINES)
def test_every_pipeline_of_ipa_is_planned_from_what_was_measured(shared: Path, tmp_path: Path, name: str) -> None:
    peers = shared / "data" / "peers"
    pipelines = {one["pipeline"]: one for one in json.loads((peers / "ipa_pipelines.json").read_text())}
    pipeline = pipelines[name]
    plan, profile = planned(ipa_service(pipeline), ipa_rows(peers, pipeline), tmp_path)
    assert [group.stage for group in plan.groups] == [stage["stage"] for stage in pipeline["stages"]]
    assert plan.promise.latency_s <= pipeline["sla_s"]
    assert plan.promise.accuracy_source == "imported"
    for group in plan.groups:
        assert group.batch_timeout_s == pytest.approx((group.batch - 1) / plan.service.rate_rps)
        assert group.replicas * group.capacity_rps >= plan.service.rate_rps * (1 - 1e-9)
    assert any("imported p99 summaries, not samples" in note for note in plan.notes)
    assert verify(plan, profile) == []


def test_the_resnets_of_infadapter_share_a_load_within_twenty_cores(shared: Path, tmp_path: Path) -> None:
    plan, profile = planned(infadapter_service(), infadapter_rows(shared / "data" / "peers"), tmp_path)
    assert len(profile.models) == 5
    assert plan.promise.cores <= 20
    assert plan.promise.latency_s <= 0.75
    for group in plan.groups:
        assert group.rate_rps / group.replicas <= 0.8 * group.capacity_rps * (1 + 1e-9)
    assert verify(plan, profile) == []
