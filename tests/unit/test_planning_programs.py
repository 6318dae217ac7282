"""The programs on cases small enough to solve by hand."""

from dataclasses import replace

import numpy as np
import pytest

from ttamer.planning import search
from ttamer.planning.choice import score
from ttamer.planning.problem import Pool, Problem, Solution, SolveLimits
from ttamer.planning.programs import base_allocation, infadapter, ipa, joined, sponge
from ttamer.planning.solve import solve
from ttamer.planning.solvers import SOLVERS
from ttamer.planning.surface import Coefficients
from ttamer.profiles.errors import InfeasibleError, InputError

CPU, GPU = Pool(name="cpu", price=0.1, most_cores=16), Pool(name="gpu", price=2.0, most_cores=1)
OFFERS = (
    joined.Offer(stage="see", model="small", policy="threshold", pool="cpu", cores=1, batch=1, latency_s=0.05,
                 capacity_rps=10.0, accuracy=0.70, memory_bytes=100),
    joined.Offer(stage="see", model="small", pool="cpu", cores=1, batch=1, latency_s=0.10, capacity_rps=5.0,
                 accuracy=0.72, memory_bytes=100, load_time_s=4.0),
    joined.Offer(stage="see", model="large", pool="gpu", cores=1, batch=4, latency_s=0.17, capacity_rps=200.0,
                 accuracy=0.90, memory_bytes=4000, load_time_s=9.0),
)  # fmt: skip


def pick(problem: Problem, solution: Solution) -> dict[str, int]:
    used = zip(problem.columns, solution.replicas_J, strict=True)
    policy = {(offer.model, offer.accuracy): offer.policy for offer in OFFERS}
    return {
        f"{column.pool}:{column.name}/{policy[column.name, column.accuracy]}": count for column, count in used if count
    }


def plan(aim: str, **limits: float) -> dict[str, int]:
    problem = joined.problem(
        OFFERS, stages=("see",), rate_rps=20.0, fleet=joined.Fleet(pools=(CPU, GPU)),
        limits=joined.Limits(**limits), objective=joined.Objective(aim=aim),  # type: ignore[arg-type]
    )  # fmt: skip
    answers = [solve(problem, name) for name in ("highs", "labels", "exhaustive")]
    assert max(one.objective for one in answers) - min(one.objective for one in answers) < 1e-9
    return pick(problem, answers[0])


def test_a_mixed_fleet_is_used_as_the_aim_asks() -> None:
    assert plan("accuracy") == {"gpu:large/last-exit": 1}
    assert plan("cost") == {"cpu:small/threshold": 2}
    assert plan("cost", least_accuracy=0.71) == {"cpu:small/last-exit": 4}
    assert plan("accuracy", cost=1.0) == {"cpu:small/last-exit": 4}
    assert plan("accuracy", cost=0.3) == {"cpu:small/threshold": 2}
    assert plan("latency", cost=1.0) == {"cpu:small/threshold": 2}
    assert plan("accuracy", memory_bytes=300) == {"cpu:small/threshold": 2}
    assert plan("accuracy", latency_s=0.15) == {"cpu:small/last-exit": 4}


def test_what_runs_already_need_not_be_loaded() -> None:
    running = {OFFERS[1].loaded: 4}
    objective = joined.Objective(cost=0.0, loading=0.05)
    problem = joined.problem(
        OFFERS, stages=("see",), rate_rps=20.0, limits=joined.Limits(), objective=objective,
        fleet=joined.Fleet(pools=(CPU, GPU), running=running),
    )  # fmt: skip
    for name in ("highs", "cbc", "labels", "exhaustive"):
        solution = solve(problem, name)
        assert pick(problem, solution) == {"cpu:small/last-exit": 4}
        assert score(problem, solution.replicas_J, solution.share_J).loading_s == 0.0
    more = replace(problem, accuracy_weight=0.0, cost_weight=1e-3)
    assert pick(more, solve(more)) == {"cpu:small/threshold": 2}  # the same model with another exit policy


def test_the_same_offer_twice_is_refused() -> None:
    with pytest.raises(InputError, match="offered twice"):
        joined.problem([OFFERS[0], OFFERS[0]], stages=("see",), rate_rps=1.0, limits=joined.Limits())


def variant(name: str, accuracy: float, latency_s: float) -> ipa.Variant:
    points = tuple(
        ipa.Point(batch=b, latency_s=latency_s * b, throughput_rps=1 / latency_s * (1 + 0.1 * (b > 1))) for b in (1, 2)
    )
    return ipa.Variant(name=name, accuracy=accuracy, cores=1, points=points)


PIPELINE = [ipa.Stage(name=stage, variants=(variant("s", 0.6, 0.1), variant("l", 0.9, 0.3))) for stage in ("a", "b")]


def test_the_wait_for_a_batch_is_added_to_the_latency() -> None:
    problem = ipa.problem(PIPELINE, rate_rps=10.0, slo_s=1.0, batches=[2])
    assert [column.latency_s for column in problem.columns if column.stage == "a"] == pytest.approx([0.3, 0.7])
    assert solve(replace(problem, most_latency_s=0.59)).status == "infeasible"
    assert solve(replace(problem, most_latency_s=0.6)).status == "optimal"


def test_ranks_replace_accuracies() -> None:
    assert ipa.rank_accuracies(PIPELINE[0].variants) == [0.0, 1.0]
    assert ipa.rank_accuracies(PIPELINE[0].variants[:1]) == [1.0]


def test_fixed_choices_are_checked() -> None:
    with pytest.raises(InputError, match="1 fixed choices for 2 stages"):
        ipa.problem(PIPELINE, rate_rps=1.0, slo_s=1.0, replicas=[3])
    with pytest.raises(InputError, match="has no variant 'x'"):
        ipa.problem(PIPELINE, rate_rps=1.0, slo_s=1.0, variants=["s", "x"])


def test_shares_of_an_allocation_are_router_weights() -> None:
    capacities = {"small": (0.0, 10.0, 20.0, 30.0), "large": (0.0, 2.0, 4.0, 6.0)}
    variants = [
        infadapter.Variant(name=name, accuracy=accuracy, load_time_s=5.0, capacity_rps=capacities[name])
        for name, accuracy in (("small", 0.7), ("large", 0.9))
    ]
    problem = infadapter.problem(variants, rate_rps=16.0, budget_cores=4, running={"small": 2})
    for name in ("highs", "cbc", "labels", "exhaustive"):
        found = infadapter.allocation(problem, solve(problem, name))
        assert dict(found.cores) == {"large": 2, "small": 2}
        assert found.weights == pytest.approx({"large": 25.0, "small": 75.0})
    with pytest.raises(InputError, match="no allocation"):
        infadapter.allocation(problem, Solution(status="infeasible"))


def test_a_second_of_sponge_is_the_same_by_grid_and_by_program() -> None:
    rng = np.random.default_rng(3)
    for _ in range(40):
        curve = Coefficients(g=rng.uniform(5, 60), d=rng.uniform(0, 5), e=rng.uniform(-20, 20), h=rng.uniform(0, 20))
        second = sponge.Second(rate_rps=float(rng.integers(1, 80)), slo_ms=1000.0, remaining_slo_ms=rng.uniform(0, 1e3))
        limits = sponge.Limits(cores=8, batch=8)
        problem = sponge.problem(curve, second, limits)
        decision, solution = sponge.decide(curve, second, limits), solve(problem, "labels")
        if decision is None:
            assert solution.status == "infeasible"
            continue
        (used,) = [column for column, count in zip(problem.columns, solution.replicas_J, strict=True) if count]
        assert (used.cores, used.batch) == (decision.cores, decision.batch)


def test_no_cores_that_suffice_is_an_error_with_a_remedy() -> None:
    point = base_allocation.Point(cores=1, batch=1, latency_s=0.1, throughput_rps=9.0)
    slow = base_allocation.Variant(name="m", accuracy=0.5, points=(point,))
    demand = base_allocation.Demand(threshold_rps=10.0, slo_s=1.0)
    for rule in (base_allocation.fewest_cores, base_allocation.cores_as_published):
        with pytest.raises(InfeasibleError, match="no measured number of cores serves 10 rps"):
            rule([slow], demand)


def test_labels_out_of_time_say_so_and_their_bound_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "WIDTHS", (1, None))  # else a narrow search proves this one, whatever the time
    rng = np.random.default_rng(1)
    stages = [
        ipa.Stage(
            name=f"s{number}",
            variants=tuple(
                variant(f"v{v}", float(rng.random()), float(rng.uniform(0.01, 0.4))) for v in range(9)
            ),
        )
        for number in range(8)
    ]  # fmt: skip
    problem = ipa.problem(stages, rate_rps=20.0, slo_s=2.0, weights=ipa.Weights(alpha=100.0, beta=0.01))
    optimum = solve(problem, "labels").objective
    late = SOLVERS["labels"](problem, SolveLimits(time_s=0.0))
    assert late.status == "time-limited"
    assert late.objective <= optimum <= late.bound
