"""From a service and a profile to a plan."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.builders import ModelPlan, make_profile, make_profile_folder
from ttamer.planning.planner import plan_service
from ttamer.planning.verify import verify
from ttamer.profiles.errors import InfeasibleError, InputError
from ttamer.profiles.plan import Plan
from ttamer.profiles.profile import Profile
from ttamer.profiles.provenance import Provenance
from ttamer.profiles.service import Limits, Prices, Service, Stage, Weights

THREE = (
    ModelPlan(name="small", whole_s=0.004, accuracy=0.80),
    ModelPlan(name="medium", whole_s=0.010, accuracy=0.88),
    ModelPlan(name="large", whole_s=0.030, accuracy=0.93),
)
PROFILE = make_profile(THREE)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    return make_profile_folder(tmp_path_factory.mktemp("profile"), PROFILE, {"medium": 3}, samples=300)


def plan(profile: Profile = PROFILE, **changes: object) -> Plan:
    wanted: dict[str, object] = {"slo_s": 0.2, "rate_rps": 60.0} | changes
    return plan_service(Service(**wanted), profile)  # type: ignore[arg-type]


def test_with_cores_to_spare_the_most_accurate_model_serves() -> None:
    made = plan()
    assert [group.model for group in made.groups] == ["large"]
    assert (made.promise.accuracy, made.promise.accuracy_source) == (pytest.approx(0.93), "measured")
    assert made.solve.status == "optimal"
    assert made.solve.objective == made.solve.bound


def test_dear_cores_buy_a_cheaper_model() -> None:
    dear = plan(rate_rps=150.0, weights=Weights(cost=0.2))
    assert [group.model for group in dear.groups] == ["small"]


def test_a_tight_budget_mixes_models_and_fills_the_most_accurate_first() -> None:
    made = plan(rate_rps=150.0, limits=Limits(cores=2))
    accuracies = [group.accuracy for group in made.groups]
    assert len(made.groups) == 2
    best = max(made.groups, key=lambda group: group.accuracy or 0)
    assert best.rate_rps / best.replicas == pytest.approx(best.capacity_rps)
    assert made.promise.accuracy == pytest.approx(
        sum(group.share * accuracy for group, accuracy in zip(made.groups, accuracies, strict=True) if accuracy)
    )
    assert "core budget: all 2 are used" in made.binding


def test_without_mixing_one_group_serves() -> None:
    made = plan(rate_rps=150.0, limits=Limits(cores=2), mix=False)
    assert len(made.groups) == 1


def test_promises_stay_within_the_slo_and_below_saturation() -> None:
    for rate_rps in (1.0, 50.0, 400.0):
        made = plan(rate_rps=rate_rps)
        assert made.promise.latency_s <= 0.2
        assert all(0 < group.utilization < 1 for group in made.groups)
        assert all(group.rate_rps / group.replicas <= group.capacity_rps * (1 + 1e-9) for group in made.groups)


def test_early_exits_are_used_where_they_save_cores_and_named_in_the_plan(recorded: Profile) -> None:
    made = plan(recorded, rate_rps=400.0, weights=Weights(cost=0.05), stages=(Stage(models=("medium",)),))
    (group,) = made.groups
    spec = made.policies[group.policy]
    assert spec.kind != "last-exit"
    assert (spec.model, set(spec.fitted_on), set(spec.chosen_on)) == ("medium", {"calibration"}, {"validation"})
    last = plan(recorded, rate_rps=400.0, stages=(Stage(models=("medium",), policies=("last-exit",)),))
    assert made.promise.cores < last.promise.cores


def test_no_policy_may_lose_more_than_the_allowed_drop(recorded: Profile) -> None:
    stages = (Stage(models=("medium",)),)
    last = plan(recorded, stages=(Stage(models=("medium",), policies=("last-exit",)),))
    for max_drop in (0.0, 0.01, 0.05):
        made = plan(recorded, stages=stages, max_drop=max_drop, weights=Weights(cost=0.5))
        assert made.promise.accuracy is not None
        assert last.promise.accuracy is not None
        assert made.promise.accuracy >= last.promise.accuracy - max_drop - 1e-9


def test_a_plan_reads_back_as_it_was_written_and_still_holds(recorded: Profile, tmp_path: Path) -> None:
    made = plan(recorded, rate_rps=400.0, weights=Weights(cost=0.05))
    made.write(tmp_path / "plan.yaml", Provenance())
    again = Plan.read(tmp_path / "plan.yaml")
    assert again == made
    assert verify(again, recorded) == []


def test_the_same_question_gets_the_same_plan() -> None:
    assert plan(rate_rps=150.0, limits=Limits(cores=3)) == plan(rate_rps=150.0, limits=Limits(cores=3))


def test_two_stages_share_the_slo() -> None:
    stages = (Stage(name="detect", models=("small",)), Stage(name="classify", models=("medium",)))
    made = plan(stages=stages)
    assert [group.stage for group in made.groups] == ["detect", "classify"]
    assert sum(group.latency_s for group in made.groups) == pytest.approx(made.promise.latency_s)
    assert made.promise.latency_s <= 0.2
    assert made.promise.accuracy == pytest.approx(0.80 * 0.88)
    assert verify(made, PROFILE) == []


def test_models_without_accuracy_are_planned_by_cost_alone() -> None:
    made = plan(make_profile([ModelPlan(name="a", accuracy=None), ModelPlan(name="b", whole_s=0.1, accuracy=None)]))
    assert [group.model for group in made.groups] == ["a"]
    assert made.promise.accuracy is None
    assert any("no accuracy is known" in note for note in made.notes)


def test_an_unknown_solver_is_named_with_the_nearest_one() -> None:
    with pytest.raises(InputError, match="did you mean 'highs'"):
        plan_service(Service(slo_s=0.2, rate_rps=1), PROFILE, solver="high")


def test_an_slo_below_the_fastest_model_is_infeasible_and_the_nearest_one_is_named() -> None:
    with pytest.raises(InfeasibleError) as caught:
        plan(slo_s=0.001)
    assert "the SLO is too tight for any model, the fastest (small/last-exit on 2 cpu cores) needs" in str(caught.value)
    nearest_s = float(caught.value.remedy.removeprefix("raise the SLO to ").removesuffix("ms")) / 1e3
    assert plan(slo_s=nearest_s).promise.latency_s <= nearest_s


def test_models_of_another_data_set_are_named_where_the_others_cannot_keep_the_slo() -> None:
    fast = ModelPlan(name="fast", whole_s=0.0002, dataset="digits", source="published")
    slow = [ModelPlan(name=name, whole_s=0.5, dataset="imagenet") for name in ("slow", "slower")]
    with pytest.raises(InfeasibleError) as caught:
        plan(make_profile([fast, *slow]), slo_s=0.1)
    assert caught.value.remedy.endswith(
        "; compared on imagenet; left out, for accuracy on another data set or on none: fast (digits) "
        "(plan them by name: --models fast)"
    )


def test_too_few_cores_are_infeasible_and_rate_and_cores_that_would_do_are_named() -> None:
    limits = Limits(cores=2)
    with pytest.raises(InfeasibleError) as caught:
        plan(rate_rps=2000.0, limits=limits)
    message, remedy = caught.value.message, caught.value.remedy
    assert message.startswith("no plan serves 2000rps within 200ms at p99: that takes ")
    assert message.endswith(" cores and the budget is 2")
    rate_rps = float(remedy.split("lower the rate to ")[1].split("rps")[0])
    cores = int(remedy.split("allow ")[1].split(" cores")[0])
    assert plan(rate_rps=rate_rps, limits=limits).promise.cores <= 2
    assert plan(rate_rps=2000.0, limits=Limits(cores=cores)).promise.cores == cores
    with pytest.raises(InfeasibleError):
        plan(rate_rps=2000.0, limits=Limits(cores=cores - 1))
    with pytest.raises(InfeasibleError):
        plan(rate_rps=rate_rps * 1.15, limits=limits)


def test_too_few_replicas_are_infeasible() -> None:
    with pytest.raises(InfeasibleError, match="1 replica is too few"):
        plan(rate_rps=2000.0, limits=Limits(replicas=1))


def test_stages_that_are_too_slow_together_are_infeasible() -> None:
    stages = (Stage(name="detect", models=("large",)), Stage(name="classify", models=("large",)))
    with pytest.raises(InfeasibleError, match="detect/large/last-exit on 2 cpu cores, then classify/large/last-exit"):
        plan(slo_s=0.03, stages=stages)


def test_a_batch_limit_below_every_measured_batch_is_refused() -> None:
    profile = make_profile(THREE[:1], batches=(1, 2))
    sizes = [point for point in profile.latency if point.key.batch == 2 or point.key.part != "whole"]
    with pytest.raises(InputError, match="measured at batches up to 1"):
        plan(replace(profile, latency=tuple(sizes)), limits=Limits(batch=1))


def test_a_model_whose_heads_were_not_measured_is_planned_without_exits(recorded: Profile) -> None:
    headless = replace(recorded, latency=tuple(point for point in recorded.latency if point.key.part != "head"))
    made = plan(headless, stages=(Stage(models=("medium",)),), weights=Weights(cost=0.5))
    assert {group.policy for group in made.groups} == {"medium/last-exit"}


def test_one_core_is_not_cores() -> None:
    with pytest.raises(InfeasibleError, match=r"the fastest \(small/last-exit on 1 cpu core\) needs"):
        plan(make_profile(THREE, cores=(1,)), slo_s=0.001)


def test_large_numbers_are_said_as_they_are_typed() -> None:
    with pytest.raises(InfeasibleError, match="no plan serves 1000000000rps within 200ms") as caught:
        plan(rate_rps=1e9, limits=Limits(cores=8))
    assert caught.value.remedy.startswith("lower the rate to ")
    assert "e+" not in str(caught.value)


def test_a_pipeline_is_told_once_what_alone_is_enough() -> None:
    stages = (Stage(name="detect"), Stage(name="classify"))
    with pytest.raises(InfeasibleError) as caught:
        plan(rate_rps=1e9, limits=Limits(cores=8), stages=stages)
    assert caught.value.remedy.count("lower the rate") == 1


def test_absurd_limits_are_planned_for_all_the_same() -> None:
    stages = (Stage(name="detect"), Stage(name="classify"))
    made = plan(rate_rps=1e9, limits=Limits(cores=2**31 - 1, replicas=2**31 - 1), stages=stages)
    assert made.solve.objective <= made.solve.bound
    assert verify(made, PROFILE) == []


def test_a_pipeline_whose_floor_mixing_meets_is_not_told_to_lower_it_first() -> None:
    """Where only shared loads keep the floor within the cores, the network is among what takes too much."""
    demands: dict[str, object] = {
        "slo_s": 0.4, "rate_rps": 300.0, "limits": Limits(cores=3), "accuracy_floor": 0.66, "aggregation": "product",
        "objective": "cost", "stages": (Stage(name="detect"), Stage(name="classify")),
    }  # fmt: skip
    with pytest.raises(InfeasibleError, match="300ms on the network, an accuracy of at least 66%") as caught:
        plan(**demands | {"network_s": 0.3})  # type: ignore[arg-type]
    network_s = float(caught.value.remedy.split("bring the network down to ")[1].split("ms")[0]) / 1e3
    mixed = plan(**demands | {"network_s": network_s})  # type: ignore[arg-type]
    assert len(mixed.groups) > 2
    assert (mixed.promise.accuracy or 0.0) >= 0.66
    cores = int(caught.value.remedy.split("allow ")[1].split(" cores")[0])
    assert plan(**demands | {"network_s": 0.3, "limits": Limits(cores=cores)}).promise.cores <= cores  # type: ignore[arg-type]


def test_a_budget_is_named_that_only_models_which_share_loads_keep_to() -> None:
    """With three replicas no models meet this floor at this load unless they share it."""
    demands: dict[str, object] = {
        "slo_s": 0.1, "rate_rps": 400.0, "accuracy_floor": 0.66, "aggregation": "product", "objective": "cost",
        "stages": (Stage(name="detect"), Stage(name="classify")), "prices": Prices(core_hour=1.0),
    }  # fmt: skip
    with pytest.raises(InfeasibleError) as caught:
        plan(**demands | {"limits": Limits(cores=None, replicas=3, cost_per_hour=2.0)})  # type: ignore[arg-type]
    budget = float(caught.value.remedy.split("allow ")[1].split(" an hour")[0])
    made = plan(**demands | {"limits": Limits(cores=None, replicas=3, cost_per_hour=budget)})  # type: ignore[arg-type]
    assert made.promise.cores <= budget
    with pytest.raises(InfeasibleError):
        plan(**demands | {"mix": False, "limits": Limits(cores=None, replicas=3)})  # type: ignore[arg-type]


def test_a_floor_that_no_models_reach_is_blamed_alone() -> None:
    with pytest.raises(InfeasibleError, match="an accuracy of at least 99% cannot be had whatever else is given up"):
        plan(accuracy_floor=0.99)
