"""Base allocations: cores fixed before planning, from measured and imported points, and doubted afterwards."""

import pytest

from tests.builders import ModelPlan, make_profile
from ttamer.planning.base_cores import base_cores
from ttamer.planning.model_choice import choose_models
from ttamer.planning.planner import plan_service
from ttamer.planning.verify import verify
from ttamer.profiles.errors import InfeasibleError
from ttamer.profiles.profile import WHOLE
from ttamer.profiles.service import BaseAllocation, Pool, Running, Service, Stage, Weights

MODELS = (ModelPlan(name="small", whole_s=0.010, accuracy=0.8), ModelPlan(name="large", whole_s=0.050, accuracy=0.9))
PROFILE = make_profile(MODELS, batches=(1, 2, 4), cores=(1, 2, 4))


def service(threshold_rps: float, **changes: object) -> Service:
    base = BaseAllocation(threshold_rps=threshold_rps, **changes)  # type: ignore[arg-type]
    return Service(slo_s=0.5, rate_rps=40.0, stages=(Stage(base_allocation=base),))


def cores_of(asked: Service) -> dict[str, int]:
    (choice,) = choose_models(PROFILE, asked)
    return dict(base_cores(PROFILE, asked, asked.stages[0], choice, "cpu") or {})


def by_hand(threshold_rps: float, slo_s: float) -> dict[str, int]:
    """The fewest cores at which some batch is fast and large enough."""
    found: dict[str, int] = {}
    for point in sorted(PROFILE.latency, key=lambda one: one.key.cores):
        if point.key.exit != WHOLE or point.key.part != "whole" or point.key.model in found:
            continue
        rate_rps = point.key.batch / point.samples.mean_s()
        if rate_rps >= threshold_rps and point.samples.quantile_s(0.99) <= slo_s:
            found[point.key.model] = point.key.cores
    return found


@pytest.mark.parametrize("threshold_rps", [5.0, 25.0, 40.0, 60.0])
def test_measured_models_get_the_fewest_cores_that_reach_the_threshold_in_time(threshold_rps: float) -> None:
    assert cores_of(service(threshold_rps, slo_s=0.2)) == by_hand(threshold_rps, 0.2)


def test_a_share_of_the_throughput_asks_for_more_cores() -> None:
    assert cores_of(service(15.0, slo_s=0.2, throughput_share=0.5)) == by_hand(30.0, 0.2)


def test_without_an_slo_it_follows_from_single_requests_on_the_most_cores() -> None:
    tight, loose = cores_of(service(5.0, slo_factor=2.0)), cores_of(service(5.0))
    assert tight["large"] > loose["large"]


def test_a_stage_without_base_allocation_is_left_alone() -> None:
    asked = Service(slo_s=0.5, rate_rps=40.0)
    (choice,) = choose_models(PROFILE, asked)
    assert base_cores(PROFILE, asked, asked.stages[0], choice, "cpu") is None


def test_a_threshold_that_no_cores_reach_is_infeasible() -> None:
    with pytest.raises(InfeasibleError, match="no measured number of cores serves 1000 rps of 'small'") as caught:
        plan_service(service(1000.0, slo_s=0.2), PROFILE)
    assert "the base allocation of 'serve'" in caught.value.remedy


def test_a_plan_keeps_its_base_allocation_and_is_rejected_without_it() -> None:
    asked = service(25.0, slo_s=0.2)
    plan, known = plan_service(asked, PROFILE), by_hand(25.0, 0.2)
    assert all(group.cores == known[group.model] for group in plan.groups)
    free = plan_service(asked.model_copy(update={"stages": (Stage(),)}), PROFILE)
    assert any(group.cores != known[group.model] for group in free.groups)
    claimed = free.model_copy(update={"service": asked})
    assert any("its base allocation is" in str(violation) for violation in verify(claimed, PROFILE))


def test_what_runs_in_a_pool_need_not_be_loaded_there_alone() -> None:
    pools = (Pool(name="a", cores=4, price=0.1), Pool(name="b", cores=4, price=0.1))
    asked = Service(
        slo_s=0.5, rate_rps=10.0, pools=pools, stages=(Stage(models=("small",)),), weights=Weights(loading=1.0)
    )
    for name in ("a", "b"):
        running = tuple(
            Running(stage="serve", model="small", policy="p", pool=name, cores=cores, batch=1, replicas=2)
            for cores in (1, 2)
        )
        plan = plan_service(asked.model_copy(update={"current": running}), PROFILE)
        assert {group.pool for group in plan.groups} == {name}
