"""What `explain` knows about a plan."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.builders import ModelPlan, make_profile
from ttamer.planning.explanation import Explanation, explain
from ttamer.planning.planner import plan_service
from ttamer.profiles.errors import BrokenPromiseError, DocumentError
from ttamer.profiles.plan import Plan
from ttamer.profiles.service import Limits, Service

THREE = (
    ModelPlan(name="small", whole_s=0.004, accuracy=0.80),
    ModelPlan(name="medium", whole_s=0.010, accuracy=0.88),
    ModelPlan(name="large", whole_s=0.030, accuracy=0.93),
)
PROFILE = make_profile(THREE, verdicts={"large": "noisy"})
SERVICE = Service(slo_s=0.2, rate_rps=150.0, limits=Limits(cores=2))
PLAN = plan_service(SERVICE, PROFILE)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def explained(plan: Plan = PLAN) -> Explanation:
    return explain(plan, PROFILE, created=NOW - timedelta(days=3), now=NOW)


def test_every_limit_is_named_with_its_unit_and_what_is_left_of_it() -> None:
    found = {slack.constraint: slack for slack in explained().slacks}
    slo, cores = found["SLO"], found["core budget"]
    assert (slo.unit, slo.used, slo.allowed) == ("s", PLAN.promise.latency_s, 0.2)
    assert slo.slack == pytest.approx(0.2 - PLAN.promise.latency_s)
    assert (cores.unit, cores.used, cores.allowed, cores.slack, cores.binds) == ("cores", 2, 2, 0, True)
    assert found["replica limit"].slack == 98
    assert not any(slack.slack < -1e-9 for slack in found.values())


def test_a_tenth_more_is_what_planning_again_gives() -> None:
    found = {change.demand: change for change in explained().changes}
    more_slo = plan_service(SERVICE.model_copy(update={"slo_s": 1.1 * 0.2}), PROFILE)
    more_load = plan_service(SERVICE.model_copy(update={"rate_rps": 1.1 * 150.0}), PROFILE)
    more_cores = plan_service(SERVICE.model_copy(update={"limits": Limits(cores=3)}), PROFILE)
    for change, plan in zip(found.values(), (more_slo, more_load, more_cores), strict=True):
        assert change.plan is not None
        assert change.plan.objective == plan.solve.objective
        assert change.gain == plan.solve.objective - PLAN.solve.objective
    assert (found["core budget"].before, found["core budget"].after) == (2, 3)
    assert (found["SLO"].gain or 0) >= 0
    assert (found["rate"].gain or 0) <= 0


def test_a_load_that_cannot_grow_has_no_plan() -> None:
    tight = plan_service(Service(slo_s=0.2, rate_rps=720.0, limits=Limits(cores=2)), PROFILE)
    rate = next(change for change in explained(tight).changes if change.demand == "rate")
    assert (rate.plan, rate.gain) == (None, None)


def test_without_a_core_budget_nothing_is_said_of_one() -> None:
    free = plan_service(Service(slo_s=0.2, rate_rps=150.0), PROFILE)
    assert [change.demand for change in explained(free).changes] == ["SLO", "rate"]


def test_the_runner_up_is_no_better_and_does_without_what_was_chosen() -> None:
    found = explained().runners_up
    settings, models = found[: len(PLAN.groups)], found[len(PLAN.groups) :]
    for one, group in zip(settings, PLAN.groups, strict=True):
        assert one.without.startswith(group.policy)
        assert one.without not in [text.partition(" x ")[0] for text in one.instead]
        assert one.loss is not None
        assert one.loss >= -1e-12
    assert [one.without for one in models] == [f"every setting of {group.model}" for group in PLAN.groups]
    for one, group in zip(models, PLAN.groups, strict=True):
        assert not any(text.startswith(f"{group.model}/") for text in one.instead)


def test_a_model_without_an_alternative_has_no_runner_up() -> None:
    alone = plan_service(SERVICE, make_profile(THREE[:1]))
    found = explain(alone, make_profile(THREE[:1]), created=None, now=NOW)
    assert (found.runners_up[-1].plan, found.runners_up[-1].loss, found.runners_up[-1].instead) == (None, None, ())
    assert (found.source.created, found.source.age_s) == (None, None)


def test_measurements_are_told_by_age_verdict_and_samples() -> None:
    found = explained()
    assert (found.source.age_s, found.source.created) == (3 * 86400.0, "2025-12-29T00:00:00Z")
    large = next(one for one in found.measurements if one.policy == "large/last-exit")
    assert (large.worst, set(large.verdicts), large.samples) == ("noisy", {"noisy"}, 300)
    assert sum(large.verdicts.values()) == large.points


def test_a_plan_for_another_profile_is_refused() -> None:
    other = replace(make_profile(THREE, seed=9), name="other")
    with pytest.raises(DocumentError, match="this is a plan for another profile"):
        explain(PLAN, other, created=None, now=NOW)


def test_a_plan_that_does_not_hold_is_refused() -> None:
    forged = PLAN.model_copy(update={"promise": PLAN.promise.model_copy(update={"latency_s": 0.001})})
    with pytest.raises(BrokenPromiseError, match="the plan does not hold: promise: latency_s is stated as"):
        explain(forged, PROFILE, created=None, now=NOW)
