"""The exact solvers agree with enumeration on every small problem, whatever families of constraints it has."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ttamer.planning.choice import score
from ttamer.planning.problem import AIMS, Column, Pool, Problem, SolveLimits, aimed
from ttamer.planning.solve import solve
from ttamer.planning.solvers import EXACT, SOLVERS

CALM = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
POOLS = (Pool(name="cpu", price=0.05, most_cores=8), Pool(name="gpu", price=1.5, most_cores=2))


@st.composite
def columns(draw: st.DrawFn, stages: tuple[str, ...], mix: bool, pools: bool) -> tuple[Column, ...]:
    made = []
    for _ in range(draw(st.integers(1, 6))):
        group = draw(st.sampled_from(["", "", "x", "y"])) if mix else ""
        accuracy = {"": draw(st.integers(50, 100)) / 100, "x": 0.6, "y": 0.8}[group]
        made.append(
            Column(
                stage=draw(st.sampled_from(stages)),
                cores=draw(st.integers(1, 4)),
                batch=draw(st.sampled_from([1, 2, 4])),
                capacity_rps=draw(st.integers(4, 40)) / 2,
                accuracy=accuracy,
                latency_s=draw(st.integers(1, 7)) / 8,
                pool=draw(st.sampled_from(["cpu", "gpu"])) if pools else "",
                memory_bytes=draw(st.integers(0, 4)),
                load_time_s=draw(st.sampled_from([0.0, 5.0, 7.5])),
                running=draw(st.sampled_from([0, 0, 1])),
                replicas=draw(st.sampled_from([None, None, 1, 2])),
                group=group,
            )
        )
    return tuple(made)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    stages = draw(st.sampled_from([("a",), ("a", "b")]))
    mix, pools = draw(st.booleans()), draw(st.booleans())
    return Problem(
        columns=draw(columns(stages, mix, pools)),
        stages=stages,
        rate_rps=draw(st.sampled_from([0.0, 1.0, 5.5, 12.0, 19.5])),
        pools=POOLS if pools else (),
        most_cores=draw(st.one_of(st.none(), st.integers(1, 12))),
        most_cost=draw(st.one_of(st.none(), st.sampled_from([0.4, 2.0, 6.0]))),
        most_replicas=draw(st.one_of(st.none(), st.integers(1, 5))),
        most_stage_replicas=draw(st.sampled_from([3, 2, 1])),
        most_memory_bytes=draw(st.one_of(st.none(), st.integers(2, 12))),
        most_latency_s=draw(st.one_of(st.none(), st.integers(2, 14).map(lambda part: part / 8))),
        least_accuracy=draw(st.one_of(st.none(), st.none(), st.sampled_from([0.4, 0.65, 0.8]))),
        mix=mix,
        aggregation=draw(st.sampled_from(["sum", "mean", "product"])),
        accuracy_weight=draw(st.sampled_from([0.0, 1.0, 10.0])),
        cost_weight=draw(st.sampled_from([0.0, 1e-3, 0.05])),
        batch_weight=draw(st.sampled_from([0.0, 1e-6])),
        latency_weight=draw(st.sampled_from([0.0, 0.0, 0.1])),
        loading_weight=draw(st.sampled_from([0.0, 0.0, 0.01])),
    )


@CALM
@given(problems())
def test_exact_solvers_find_what_enumeration_finds(problem: Problem) -> None:
    truth = SOLVERS["exhaustive"](problem, SolveLimits())
    for name in EXACT:
        found = solve(problem, name)
        assert found.status == truth.status, name
        if truth.status == "optimal":
            assert found.objective == pytest.approx(truth.objective, abs=1e-8), name
            assert score(problem, found.replicas_J, found.share_J).broken == (), name
            assert found.bound >= truth.objective - 1e-8, name


@CALM
@given(problems(), st.integers(1, 4))
def test_more_room_and_less_load_never_hurt(problem: Problem, more: int) -> None:
    before = solve(problem, "labels")
    if before.status == "infeasible":
        return
    eased = [replace(problem, rate_rps=problem.rate_rps * 0.7)]
    for limit in ("most_cores", "most_cost", "most_replicas", "most_memory_bytes", "most_latency_s"):
        now = getattr(problem, limit)
        eased += [replace(problem, **{limit: None}), replace(problem, **{limit: None if now is None else now + more})]
    for easier in eased:
        assert solve(easier, "labels").objective >= before.objective - 1e-9


@CALM
@given(problems(), st.sampled_from(sorted(AIMS)))
def test_every_aim_is_met_best_by_its_own_plan(problem: Problem, aim: str) -> None:
    plain = aimed(replace(problem, least_accuracy=None), "weighted")
    best, other = solve(aimed(plain, aim), "labels"), solve(plain, "labels")
    assert best.status == other.status
    if best.status == "infeasible" or aim == "weighted":
        return
    ours = score(plain, best.replicas_J, best.share_J)
    theirs = score(plain, other.replicas_J, other.share_J)
    gains = {"accuracy": ours.accuracy - theirs.accuracy, "cost": theirs.cost - ours.cost,
             "latency": theirs.latency_s - ours.latency_s}  # fmt: skip
    assert gains[aim] >= -1e-4


@CALM
@given(problems())
def test_the_same_problem_gives_the_same_answer(problem: Problem) -> None:
    assert solve(problem, "labels") == solve(problem, "labels")
