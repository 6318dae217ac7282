"""The service file: units as people write them, options over the file, and a document for every field."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import ModelPlan, make_profile
from ttamer.planning.planner import plan_service
from ttamer.profiles.documents import to_yaml
from ttamer.profiles.errors import DocumentError, InputError
from ttamer.profiles.plan import Plan
from ttamer.profiles.provenance import Provenance
from ttamer.profiles.schema import Document
from ttamer.profiles.service import BaseAllocation, Limits, Pool, Prices, Running, Service, Stage, Weights
from ttamer.profiles.service_file import ServiceFile, read_service_content, to_content
from ttamer.profiles.service_parts import FileBaseAllocation, FileLimits, FileNetwork, FilePool, FileStage

ROOT = Path(__file__).resolve().parents[2]


TWO_POOLS = [{"name": "a", "core_hour": 1}, {"name": "b", "core_hour": 1}]
RUNNING = {"stage": "serve", "model": "m", "policy": "p", "cores": 1, "batch": 1, "replicas": 1}


def service(**content: Any) -> Service:
    return ServiceFile.parse({"slo": "200ms", "rate": "20rps"} | content, "service.yaml").to_service("service.yaml")


def test_quantities_are_read_with_their_units() -> None:
    read = service(
        slo="1.5s", rate="90rpm", quantile="99.9%", headroom="20%", accuracy_floor="85%", max_drop=0.01,
        limits={"memory": "4GiB", "cores": 8, "cost_per_hour": 2.5}, prices={"core_hour": 0.04},
    )  # fmt: skip
    assert (read.slo_s, read.rate_rps, read.quantile) == pytest.approx((1.5, 1.5, 0.999))
    assert (read.headroom, read.accuracy_floor, read.max_drop) == pytest.approx((0.2, 0.85, 0.01))
    assert read.limits == Limits(cores=8, memory_bytes=4 * 2**30, cost_per_hour=2.5)
    assert read.prices == Prices(core_hour=0.04)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"slo": 0.2}, "service.yaml: slo '0.2' has no unit"),
        ({"slo": 200}, "service.yaml: slo '200' has no unit"),
        ({"rate": 20}, "service.yaml: rate '20' has no unit"),
        ({"rate": "0rps"}, "service.yaml: rate '0rps' must be above zero"),
        ({"quantile": 99}, "service.yaml: quantile '99' is not a percentage"),
        ({"quantile": "100%"}, "must lie between 0% and 100%"),
        ({"max_drop": 1}, "service.yaml: max_drop '1' is not a percentage"),
        ({"limits": {"memory": 4096}}, "service.yaml: limits.memory '4096' has no unit"),
        ({"limits": {"cores": 0}}, "service.yaml: limits.cores = 0"),
        ({"limits": {"core": 4}}, "unknown key 'limits.core'"),
        ({"sloo": "1s"}, "unknown key 'sloo'"),
        ({"stages": [{"model": ["a"]}]}, "unknown key 'stages.0.model'"),
        ({"stages": [{"name": "a"}, {"name": "a"}]}, "'a' stands there twice"),
        ({"objective": "speed"}, "objective = 'speed'"),
        ({"weights": {"cost": -1}}, "weights.cost = -1"),
        ({"current": "nowhere.yaml"}, "nowhere.yaml does not exist"),
        ({"headroom": "100%"}, "headroom"),
        ({"network": 0.05}, "service.yaml: network '0.05' has no unit"),
        ({"network": {"tracee": "t.csv"}}, "service.yaml: network: unknown key 'tracee'"),
        ({"time_limit": 3}, "service.yaml: time_limit '3' has no unit"),
        ({"gap": 1}, "service.yaml: gap '1' is not a percentage"),
        ({"pools": [{"name": "a", "core_hour": 1}, {"name": "a", "core_hour": 2}]}, "pools: 'a' stands there twice"),
        ({"pools": [{"name": "a", "cores": 4}]}, "service.yaml: pools.a has no price"),
        ({"pools": [{"name": "a", "device": "cuda", "cores": 4}]}, "pools.a consists of devices and is given cores"),
        (
            {"pools": [{"name": "a", "device": "cpu", "device_hour": 4}]},
            "pools.a consists of cores and is given device",
        ),
        ({"pools": [{"name": "a", "core_hour": 1}], "device": "cpu"}, "service.yaml: device and pools are given"),
        ({"pools": [{"name": "a", "core_hour": 1}], "limits": {"cores": 3}}, "limits.cores and pools are given"),
        ({"pools": [{"name": "a", "corehour": 1}]}, "unknown key 'pools.0.corehour'"),
        ({"pools": [{"name": "a=b", "core_hour": 1}]}, "pools.0.name = 'a=b'"),
        ({"pools": TWO_POOLS, "current": [RUNNING]}, "current.0: 'm' runs in no known pool ''"),
        ({"pools": TWO_POOLS, "current": [RUNNING | {"pool": "c"}]}, "current.0: 'm' runs in no known pool 'c'"),
        ({"stages": [{"base_allocation": {"threshold": 5}}]}, "stages.serve.base_allocation.threshold '5' has no unit"),
        ({"stages": [{"base_allocation": {"treshold": "5rps"}}]}, "unknown key 'stages.0.base_allocation.treshold'"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_field(content: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        service(**content)
    assert said in caught.value.message


def test_an_unknown_key_names_the_nearest_one() -> None:
    with pytest.raises(DocumentError, match="did you mean 'accuracy_floor'"):
        service(accuracyfloor="80%")


def test_a_file_without_slo_says_what_is_missing() -> None:
    with pytest.raises(DocumentError, match="'slo' is missing"):
        ServiceFile.parse({"rate": "1rps"}, "service.yaml")


@pytest.mark.parametrize("text", ["", "- slo", "42", "slo: [", "slo: 1s\n  rate: 2"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "service.yaml").write_text(text)
    with pytest.raises(DocumentError):
        read_service_content(tmp_path / "service.yaml")


def test_stages_of_the_profile_serve_where_the_file_names_none() -> None:
    asked = ServiceFile.parse({"slo": "1s", "rate": "1rps"}, "f")
    assert [stage.name for stage in asked.to_service("f", ("detect", "classify")).stages] == ["detect", "classify"]
    assert asked.to_service("f").stages == (Stage(),)


def test_the_running_plan_is_read_from_beside_the_file(tmp_path: Path) -> None:
    profile = make_profile([ModelPlan(name="a")])
    plan: Plan = plan_service(Service(slo_s=0.5, rate_rps=5.0), profile)
    plan.write(tmp_path / "plan.yaml", Provenance())
    asked = ServiceFile.parse({"slo": "1s", "rate": "1rps", "current": "plan.yaml"}, "f")
    (running,) = asked.to_service("f", (), tmp_path).current
    group = plan.groups[0]
    assert running == Running(
        stage="serve", model="a", policy="a/last-exit", pool="cpu", cores=group.cores, batch=group.batch,
        replicas=group.replicas,
    )  # fmt: skip


fractions = st.floats(0.0, 0.999)
services = st.builds(
    Service,
    slo_s=st.floats(1e-6, 1e4),
    rate_rps=st.floats(1e-3, 1e6),
    quantile=st.floats(0.001, 0.9999),
    stages=st.builds(
        lambda a, b: (a, b),
        st.builds(
            Stage,
            name=st.just("a"),
            models=st.just(("m",)),
            replicas=st.one_of(st.none(), st.integers(1, 5)),
            base_allocation=st.one_of(
                st.none(),
                st.builds(
                    BaseAllocation,
                    threshold_rps=st.floats(1e-3, 1e6),
                    slo_s=st.one_of(st.none(), st.floats(1e-6, 1e4)),
                    slo_factor=st.floats(0.1, 50),
                    throughput_share=st.floats(0.01, 1),
                    rule=st.sampled_from(["fewest", "published"]),
                ),
            ),
        ),
        st.just(Stage(name="b", policies=("last-exit",))),
    ),
    objective=st.sampled_from(["weighted", "accuracy", "cost", "latency"]),
    accuracy_floor=st.one_of(st.none(), fractions),
    max_drop=fractions,
    headroom=fractions,
    weights=st.builds(Weights, accuracy=fractions, cost=fractions, loading=fractions),
    limits=st.builds(Limits, cores=st.one_of(st.none(), st.integers(1, 64)), memory_bytes=st.integers(1, 2**45)),
    prices=st.builds(Prices, core_hour=st.one_of(st.none(), fractions)),
    current=st.just((Running(stage="a", model="m", policy="p", cores=1, batch=2, replicas=3),)),
    mix=st.booleans(),
    interpolate=st.booleans(),
    network_s=st.one_of(st.just(0.0), st.floats(1e-6, 1e4)),
    time_limit_s=st.floats(1e-3, 1e4),
    gap=fractions,
)
fleets = st.lists(
    st.builds(
        Pool, name=st.sampled_from(["a", "b", "c"]), device=st.sampled_from(["cpu", "cuda"]),
        cores=st.one_of(st.none(), st.integers(1, 64)), memory_bytes=st.one_of(st.none(), st.integers(1, 2**45)),
        price=st.floats(0, 100),
    ),
    max_size=3, unique_by=lambda pool: pool.name,
)  # fmt: skip


@given(services, fleets)
def test_what_is_shown_is_a_file_that_asks_for_the_same_service(asked: Service, fleet: list[Pool]) -> None:
    if fleet:
        without = {"prices": Prices(), "limits": asked.limits.model_copy(update={"cores": None})}
        current = tuple(one.model_copy(update={"pool": fleet[0].name}) for one in asked.current)
        asked = asked.model_copy(update=without | {"pools": tuple(fleet), "current": current})
    content = to_content(asked)
    assert ServiceFile.parse(content, "shown").to_service("shown") == asked


def test_at_its_door_a_service_has_what_the_network_leaves() -> None:
    far = Service(slo_s=0.2, rate_rps=20, network_s=0.05)
    assert far.serving_s == pytest.approx(0.15)
    assert far.at_its_door() == Service(slo_s=far.serving_s, rate_rps=20)
    assert Service(slo_s=0.2, rate_rps=20, network_s=0.3).serving_s == 0.0


def test_what_is_shown_reads_as_people_write_it() -> None:
    shown = to_yaml(to_content(Service(slo_s=0.2, rate_rps=20, limits=Limits(memory_bytes=4 * 2**30))))
    for line in ("slo: 200ms", "rate: 20rps", "quantile: 99%", "  memory: 4GiB", "headroom: 0%"):
        assert f"{line}\n" in shown


@pytest.mark.parametrize(
    "document",
    [ServiceFile, FileStage, FileBaseAllocation, FilePool, FileNetwork, Weights, FileLimits, Prices, Running],
)
def test_every_field_of_the_service_file_is_documented(document: type[Document]) -> None:
    words = set(re.findall(r"`([a-z_]+)`", (ROOT / "docs" / "service.md").read_text()))
    assert set(document.model_fields) <= words


def test_the_example_in_the_document_is_a_service_file() -> None:
    example, *fragments = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "service.md").read_text(), re.DOTALL)
    read = ServiceFile.parse(yaml.safe_load(example), "docs/service.md").to_service("docs/service.md")
    assert read.accuracy_floor == 0.5
    assert [stage.name for stage in read.stages] == ["detect", "classify"]
    for fragment in fragments:
        content = {"slo": "200ms", "rate": "20rps"} | yaml.safe_load(fragment)
        assert ServiceFile.parse(content, "docs/service.md").to_service("docs/service.md")
