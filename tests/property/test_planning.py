"""What holds for every serving problem and every plan."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders import ModelPlan, make_profile
from ttamer.planning.planner import plan_service
from ttamer.planning.problem import Column, Problem, Solution, SolveLimits
from ttamer.planning.solvers import SOLVERS
from ttamer.planning.verify import verify
from ttamer.profiles.errors import InfeasibleError
from ttamer.profiles.plan import Plan
from ttamer.profiles.service import Limits, Service, Weights

CALM = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PROFILE = make_profile(
    (
        ModelPlan(name="small", whole_s=0.004, accuracy=0.80),
        ModelPlan(name="large", whole_s=0.030, accuracy=0.93),
    ),
    batches=(1, 4),
)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    stages = draw(st.sampled_from([("a",), ("a", "b")]))
    eighths = st.integers(1, 7).map(lambda part: part / 8)
    column = st.builds(
        Column,
        stage=st.sampled_from(stages),
        cores=st.integers(1, 4),
        batch=st.sampled_from([1, 2, 4, 8]),
        capacity_rps=st.floats(2.0, 20.0),
        accuracy=st.integers(50, 100).map(lambda percent: percent / 100),
        latency_s=eighths,
    )
    return Problem(
        columns=tuple(draw(st.lists(column, min_size=1, max_size=5))),
        stages=stages,
        rate_rps=draw(st.floats(1.0, 25.0)),
        most_cores=draw(st.one_of(st.none(), st.integers(1, 10))),
        most_replicas=draw(st.integers(1, 6)),
        most_latency_s=1.0,
        mix=draw(st.booleans()),
        cost_weight=draw(st.sampled_from([0.0, 1e-3, 0.05])),
    )


services = st.builds(
    Service,
    slo_s=st.floats(0.01, 0.5),
    rate_rps=st.floats(1.0, 300.0),
    quantile=st.sampled_from([0.9, 0.99]),
    limits=st.builds(Limits, cores=st.one_of(st.none(), st.integers(1, 8)), replicas=st.integers(1, 8)),
    weights=st.builds(Weights, cost=st.sampled_from([1e-3, 0.02])),
    mix=st.booleans(),
)


def solve(problem: Problem) -> Solution:
    return SOLVERS["highs"](problem, SolveLimits())


def check(problem: Problem, solution: Solution) -> None:
    """The constraints, written down once more."""
    used = list(zip(problem.columns, solution.replicas_J, solution.share_J, strict=True))
    for stage in problem.stages:
        assert sum(share for column, _, share in used if column.stage == stage) == pytest.approx(1.0)
        assert problem.mix or sum(count > 0 for column, count, _ in used if column.stage == stage) == 1
    for column, count, share in used:
        assert share * problem.rate_rps <= count * column.capacity_rps * (1 + 1e-7)
    assert problem.most_cores is None or sum(column.cores * count for column, count, _ in used) <= problem.most_cores
    assert sum(count for _, count, _ in used) <= problem.most_replicas


@CALM
@given(problems(), st.integers(1, 5), st.floats(0.3, 1.0))
def test_more_cores_more_replicas_and_less_load_never_hurt(problem: Problem, more: int, less: float) -> None:
    before = solve(problem)
    if before.status == "infeasible":
        return
    cores = None if problem.most_cores is None else problem.most_cores + more
    eased = [
        replace(problem, most_cores=cores),
        replace(problem, most_replicas=problem.most_replicas + more),
        replace(problem, rate_rps=problem.rate_rps * less),
        replace(problem, most_latency_s=1.0 + more / 8),
        replace(problem, mix=True),
    ]
    for easier in eased:
        assert solve(easier).objective >= before.objective - 1e-9


def plan_or_none(service: Service) -> Plan | None:
    try:
        return plan_service(service, PROFILE)
    except InfeasibleError:
        return None


@CALM
@given(services)
def test_every_plan_keeps_its_slo_and_passes_verification(service: Service) -> None:
    plan = plan_or_none(service)
    if plan is None:
        return
    assert plan.promise.latency_s <= service.slo_s * (1 + 1e-9)
    assert verify(plan, PROFILE) == []


@settings(CALM, max_examples=12)
@given(services, st.floats(1.0, 3.0))
def test_a_looser_slo_and_a_lower_rate_never_make_a_service_infeasible_or_worse(service: Service, ease: float) -> None:
    plan = plan_or_none(service)
    if plan is None:
        return
    for changes in ({"slo_s": service.slo_s * ease}, {"rate_rps": service.rate_rps / ease}):
        easier = plan_or_none(service.model_copy(update=changes))
        assert easier is not None
        assert easier.solve.objective >= plan.solve.objective - 1e-9


MUTATIONS: dict[str, st.SearchStrategy[Any]] = {
    "share": st.floats(0.01, 0.9),
    "rate_rps": st.floats(0.1, 1000.0),
    "capacity_rps": st.floats(0.1, 1000.0),
    "utilization": st.floats(0.0, 0.99),
    "service_s": st.floats(1e-4, 1.0),
    "latency_s": st.floats(1e-4, 1.0),
    "accuracy": st.floats(0.0, 1.0),
    "memory_bytes": st.integers(0, 10**9),
    "load_time_s": st.floats(0.0, 10.0),
    "replicas": st.integers(1, 20),
    "cores": st.integers(1, 16),
    "batch": st.integers(1, 64),
}
BASE = plan_service(Service(slo_s=0.2, rate_rps=150.0, limits=Limits(cores=3)), PROFILE)


@CALM
@given(st.data(), st.sampled_from(sorted(MUTATIONS)), st.integers(0, len(BASE.groups) - 1))
def test_a_plan_with_one_number_changed_is_rejected(data: st.DataObject, field: str, place: int) -> None:
    group = BASE.groups[place]
    value = data.draw(MUTATIONS[field])
    original = getattr(group, field)
    if value == pytest.approx(original, rel=1e-5):
        return
    groups = list(BASE.groups)
    groups[place] = group.model_copy(update={field: value})
    assert verify(BASE.model_copy(update={"groups": tuple(groups)}), PROFILE)
