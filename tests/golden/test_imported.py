"""Numbers of other projects, imported and planned: optima that are known, and every pipeline that they published."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.golden.test_planning import margin_left
from tools.peer_csv import (
    infadapter_rows,
    infadapter_service,
    ipa_rows,
    ipa_service,
    sponge_rows,
    sponge_service,
    write_csv,
    write_network,
)
from ttamer.planning.base_cores import base_cores
from ttamer.planning.model_choice import choose_models
from ttamer.planning.planner import plan_service
from ttamer.planning.schedule import make_schedule, verify_schedule
from ttamer.planning.verify import verify
from ttamer.profiles.documents import load_yaml
from ttamer.profiles.errors import InfeasibleError
from ttamer.profiles.imports import import_profile
from ttamer.profiles.network_trace import read_network_trace
from ttamer.profiles.plan import Plan
from ttamer.profiles.profile import Profile
from ttamer.profiles.service import BaseAllocation, Limits, Running, Service, Stage, Weights
from ttamer.profiles.service_file import ServiceFile
from ttamer.profiles.units import parse_bytes

PIPELINES = ("video", "audio-qa", "audio-sent", "sum-qa", "nlp")


solvers = pytest.mark.parametrize("solver", ["highs", "cbc", "labels"])
Case = Mapping[str, Any]


def instances(golden: Path, name: str) -> list[Case]:
    """The known cases with a load: nobody plans for none."""
    lines = (golden / f"{name}.jsonl").read_text().splitlines()
    return [one for one in map(json.loads, lines) if one.get("arrival_rate_rps", 1) > 0]


def imported(rows: list[dict[str, Any]], folder: Path) -> Profile:
    write_csv(folder / "points.csv", rows)
    return import_profile(folder / "points.csv", "golden")


def check(case: Case, service: Service, profile: Profile, solver: str) -> Plan | None:
    """The plan that `ttamer plan` makes, if there is one, its objective held against the known one."""
    answer = case["answer"]
    if not answer["feasible"]:
        with pytest.raises(InfeasibleError):
            plan_service(service, profile, solver=solver)
        return None
    plan = plan_service(service, profile, solver=solver)
    allowed = 1e-6 * max(1.0, abs(answer["objective"]))
    assert plan.solve.objective == pytest.approx(answer["objective"], abs=allowed), case["id"]
    assert verify(plan, profile) == []
    return plan


def pipeline_of(case: Case, folder: Path) -> Profile:
    return imported(
        [
            {
                "stage": stage["name"], "model": variant["name"], "accuracy": variant["accuracy"],
                "cores": variant["cores_per_replica"], **point,
            }
            for stage in case["stages"]
            for variant in stage["variants"]
            for point in variant["profile"]
            if point["batch"] in case["batch_sizes"]
        ],
        folder,
    )  # fmt: skip


def service_of(case: Case, profile: Profile) -> Service:
    """The instance as a service; FA2 fixes the model of each stage, RIM its replicas."""
    weights, fixed = case["weights"], case["baseline"] or {}
    stages = tuple(
        Stage(name=stage["name"], models=models_of(profile, stage["name"], number, fixed),
              replicas=fixed["replicas"][number] if "replicas" in fixed else None)
        for number, stage in enumerate(case["stages"])
    )  # fmt: skip
    return Service(
        slo_s=case["sla_s"],
        rate_rps=case["arrival_rate_rps"],
        stages=stages,
        weights=Weights(accuracy=weights["alpha"], cost=weights["beta"], batch=weights["delta"]),
        limits=Limits(stage_replicas=case["max_replicas"], replicas=case["max_replicas"] * len(stages)),
        aggregation=case["accuracy_aggregation"],
        mix=False,
    )


def models_of(profile: Profile, stage: str, number: int, fixed: Case) -> tuple[str, ...]:
    """The model that a stage is fixed to, under the name that it was imported by; none where it is free."""
    if "variants" not in fixed:
        return ()
    name = fixed["variants"][number]
    return (name if name in profile.models else f"{name}@{stage}",)


@solvers
def test_imported_points_are_planned_to_the_known_optima_of_ipa(golden: Path, tmp_path: Path, solver: str) -> None:
    for case in instances(golden, "ipa"):
        profile, answer = pipeline_of(case, tmp_path), case["answer"]
        plan = check(case, service_of(case, profile), profile, solver)
        if plan is not None and answer["optimal_solutions"] == 1:
            assert plan.promise.cores == answer["cores"]
            assert plan.promise.latency_s == pytest.approx(answer["latency_s"], abs=1e-5)


@solvers
def test_imported_capacities_are_shared_as_in_the_known_optima_of_infadapter(
    golden: Path, tmp_path: Path, solver: str
) -> None:
    for case in instances(golden, "infadapter"):
        profile = imported(
            [
                {
                    "model": variant["name"], "accuracy": variant["accuracy"], "cores": cores, "batch": 1,
                    "latency_s": 0.5, "throughput_rps": capacity_rps, "load_time_s": variant["load_time_s"],
                }
                for variant in case["variants"]
                for cores, capacity_rps in enumerate(variant["capacity_rps_by_cores"])
                if capacity_rps > 0 and cores >= case["min_cores_per_variant"]
            ],
            tmp_path,
        )  # fmt: skip
        weights, longest_s = case["weights"], max(variant["load_time_s"] for variant in case["variants"])
        service = Service(
            slo_s=1.0,
            rate_rps=case["arrival_rate_rps"],
            stages=(Stage(replicas=1),),
            weights=Weights(
                cost=weights["alpha_resource"] / case["budget_cores"], batch=0.0,
                loading=weights["beta_loading"] / longest_s,
            ),
            limits=Limits(cores=case["budget_cores"]),
            current=tuple(
                Running(stage="serve", model=name, policy="", cores=cores, batch=1, replicas=1)
                for name, cores in case["previous_cores"].items()
                if cores
            ),
        )  # fmt: skip
        plan = check(case, service, profile, solver)
        if plan is not None:
            assert plan.promise.cores <= case["budget_cores"]
            assert sum(group.rate_rps for group in plan.groups) == pytest.approx(case["arrival_rate_rps"])


def test_base_allocations_of_imported_points_are_as_known(golden: Path, tmp_path: Path) -> None:
    for case in instances(golden, "ipa_base_allocation"):
        profile = imported(
            [
                {"model": variant["name"], "accuracy": variant["accuracy"], **point}
                for variant in case["variants"]
                for point in variant["profile"]
            ],
            tmp_path,
        )
        for rule, known in (("fewest", case["smallest_sufficient"]), ("published", case["ipa_code"])):
            base = BaseAllocation(
                threshold_rps=case["threshold_rps"], slo_s=case["stage_sla_s"], throughput_share=margin_left(case),
                rule=rule,
            )  # fmt: skip
            stage = Stage(base_allocation=base)
            service = Service(slo_s=60.0, rate_rps=0.1, stages=(stage,))
            (choice,) = choose_models(profile, service)
            assert base_cores(profile, service, stage, choice, "cpu") == known, (case["id"], rule)
            plan = plan_service(service, profile)
            assert all(group.cores == known[group.model] for group in plan.groups)


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


def test_sponge_is_scheduled_second_by_second_under_the_network_it_was_run_with(shared: Path, tmp_path: Path) -> None:
    peers = shared / "data" / "peers"
    profile = imported(sponge_rows(peers), tmp_path)
    write_network(tmp_path / "bandwidth.csv", peers)
    asked = ServiceFile.parse(yaml.safe_load(sponge_service()), "sponge.yaml")
    network = asked.network_trace("sponge.yaml")
    assert network is not None
    trace = read_network_trace(tmp_path / network.trace, parse_bytes(str(network.request)))
    with (peers / "bandwidth_4g_bus0001.csv").open(newline="") as file:
        published_ms = [float(row["remaining_slo_ms_284KB"]) for row in csv.DictReader(file)]
    assert np.floor(1e3 * (1 - trace.network_s_S)).tolist() == pytest.approx(published_ms, abs=1.0)
    made = make_schedule(asked.to_service("sponge.yaml"), profile, trace)
    assert verify_schedule(made) == []
    assert made.summary()["served"] == len(published_ms)
    assert made.summary()["cores_least"] < made.summary()["cores_static"]
