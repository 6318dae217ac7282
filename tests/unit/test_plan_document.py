import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ttamer.profiles.documents import read_table
from ttamer.profiles.errors import DocumentError
from ttamer.profiles.plan import Group, Plan, PolicySpec, ProfileReference, Promise, Solve
from ttamer.profiles.provenance import Provenance
from ttamer.profiles.schema import Document
from ttamer.profiles.service import BaseAllocation, Limits, Pool, Prices, Running, Service, Stage, Weights

ROOT = Path(__file__).resolve().parents[2]


def plan() -> Plan:
    group = Group(
        stage="serve", model="m", policy="m/last-exit", device="cpu", cores=1, batch=2, batch_timeout_s=0.01,
        replicas=2, share=1.0, rate_rps=10.0, capacity_rps=8.0, utilization=0.5, service_s=0.1, latency_s=0.19,
        accuracy=0.9, accuracy_low=0.88, memory_bytes=2**20, load_time_s=0.5,
    )  # fmt: skip
    return Plan(
        service=Service(slo_s=0.2, rate_rps=10),
        profile=ProfileReference(name="p", path="profiles/p", digest="d", machine="f"),
        promise=Promise(latency_s=0.19, quantile=0.99, accuracy=0.9, accuracy_low=0.88, utilization=0.5, cores=2),
        groups=(group,),
        policies={"m/last-exit": PolicySpec(kind="last-exit", model="m")},
        solve=Solve(solver="highs", status="optimal", objective=0.9, bound=0.9, columns=3, columns_pruned=1),
    )


def edited(path: Path, **changes: Any) -> Path:
    content = yaml.safe_load(path.read_text())
    for key, value in changes.items():
        *parents, last = key.split("__")
        inner = content
        for parent in parents:
            inner = inner[int(parent) if parent.isdigit() else parent]
        inner[last] = value
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_plan_is_read_as_written_and_its_groups_are_a_table(tmp_path: Path) -> None:
    written = plan().write(tmp_path / "plan.yaml", Provenance())
    assert Plan.read(tmp_path / "plan.yaml") == plan()
    table, header = read_table(written[1], "plan-groups", 1)
    assert table.to_pylist() == [plan().groups[0].model_dump()]
    assert header["slo_s"] == 0.2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups__0__replica": 3}, "unknown key 'groups.0.replica'"),
        ({"groups__0__batch": 0}, "groups.0.batch"),
        ({"groups__0__latency_s": float("nan")}, "groups.0.latency_s"),
        ({"groups": []}, "groups"),
        ({"policies": {}}, "are not under 'policies'"),
        ({"version": 9}, "has version 9"),
    ],
)
def test_a_damaged_plan_is_refused_by_the_name_of_its_field(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    plan().write(tmp_path / "plan.yaml", Provenance())
    with pytest.raises(DocumentError, match=re.escape(message)):
        Plan.read(edited(tmp_path / "plan.yaml", **change))


@pytest.mark.parametrize(
    "document",
    [
        Plan,
        Group,
        Promise,
        Solve,
        ProfileReference,
        PolicySpec,
        Service,
        Stage,
        BaseAllocation,
        Limits,
        Weights,
        Prices,
        Pool,
        Running,
    ],
)
def test_every_field_of_the_plan_is_documented(document: type[Document]) -> None:
    words = set(re.findall(r"`([a-z_]+)`", (ROOT / "docs" / "plan.md").read_text()))
    assert set(document.model_fields) <= words
