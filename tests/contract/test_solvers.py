"""Every solver finds the known optimum of small problems and tells infeasible ones."""

import pkgutil
from dataclasses import replace

import numpy as np
import pytest

import ttamer.planning.solvers
from ttamer.planning.problem import Column, Problem, SolveLimits
from ttamer.planning.solvers import EXACT, SOLVERS
from ttamer.profiles.errors import InputError

TWO_MODELS = Problem(
    columns=(
        Column(stage="serve", cores=1, batch=1, capacity_rps=10.0, accuracy=0.8),
        Column(stage="serve", cores=2, batch=4, capacity_rps=8.0, accuracy=0.9),
    ),
    stages=("serve",),
    rate_rps=16.0,
    most_cores=4,
)
PIPELINE = Problem(
    columns=(
        Column(stage="a", cores=1, batch=1, capacity_rps=10.0, accuracy=0.7, latency_s=0.2),
        Column(stage="a", cores=1, batch=2, capacity_rps=10.0, accuracy=0.9, latency_s=0.8),
        Column(stage="b", cores=1, batch=1, capacity_rps=10.0, accuracy=0.6, latency_s=0.2),
        Column(stage="b", cores=1, batch=2, capacity_rps=10.0, accuracy=0.7, latency_s=0.8),
    ),
    stages=("a", "b"),
    rate_rps=10.0,
    most_latency_s=1.0,
)

solvers = pytest.mark.parametrize("name", EXACT)


def test_every_file_of_the_folder_is_a_solver_of_the_registry() -> None:
    files = {module.name for module in pkgutil.iter_modules(ttamer.planning.solvers.__path__)}
    assert files == set(SOLVERS)


@solvers
def test_it_takes_the_accurate_model_when_the_budget_allows(name: str) -> None:
    solution = SOLVERS[name](TWO_MODELS, SolveLimits())
    assert solution.replicas_J == (0, 2)
    assert solution.share_J == pytest.approx((0.0, 1.0))
    assert solution.objective == pytest.approx(0.9 - 4e-3 - 4e-6)
    assert (solution.status, solution.bound) == ("optimal", solution.objective)


@solvers
def test_it_mixes_when_the_budget_is_tight(name: str) -> None:
    solution = SOLVERS[name](replace(TWO_MODELS, most_cores=3), SolveLimits())
    assert solution.replicas_J == (1, 1)
    assert solution.share_J == pytest.approx((0.5, 0.5))
    assert solution.objective == pytest.approx(0.85 - 3e-3 - 5e-6)


@solvers
def test_it_does_not_mix_when_told_so(name: str) -> None:
    solution = SOLVERS[name](replace(TWO_MODELS, most_cores=3, mix=False), SolveLimits())
    assert solution.replicas_J == (2, 0)


@solvers
def test_it_shares_the_latency_among_stages(name: str) -> None:
    solution = SOLVERS[name](PIPELINE, SolveLimits())
    assert solution.replicas_J == (0, 1, 1, 0)
    assert solution.objective == pytest.approx(1.5 - 2e-3 - 3e-6)


@solvers
@pytest.mark.parametrize("changes", [{"most_cores": 1}, {"most_replicas": 1}, {"rate_rps": 1000.0}, {"columns": ()}])
def test_it_tells_infeasible_problems(name: str, changes: dict[str, object]) -> None:
    solution = SOLVERS[name](replace(TWO_MODELS, **changes), SolveLimits())  # type: ignore[arg-type]
    assert (solution.status, solution.replicas_J) == ("infeasible", ())


@solvers
def test_a_stage_that_nothing_can_serve_is_infeasible(name: str) -> None:
    assert SOLVERS[name](replace(TWO_MODELS, stages=("serve", "other")), SolveLimits()).status == "infeasible"


@solvers
def test_a_weight_of_a_millionth_on_batches_still_decides(name: str) -> None:
    alike = [Column(stage="serve", cores=1, batch=b, capacity_rps=20.0, accuracy=0.8) for b in (8, 2, 4)]
    solution = SOLVERS[name](replace(TWO_MODELS, columns=tuple(alike)), SolveLimits())
    assert solution.replicas_J == (0, 1, 0)


@solvers
def test_a_load_of_exactly_the_capacity_is_served(name: str) -> None:
    column = Column(stage="serve", cores=1, batch=1, capacity_rps=0.1, accuracy=0.5)
    solution = SOLVERS[name](Problem(columns=(column,), stages=("serve",), rate_rps=0.3), SolveLimits())
    assert solution.replicas_J == (3,)


def test_greedy_answers_without_proof() -> None:
    for problem in (TWO_MODELS, PIPELINE, replace(PIPELINE, aggregation="product", mix=False)):
        found, best = SOLVERS["greedy"](problem, SolveLimits()), SOLVERS["labels"](problem, SolveLimits())
        assert found.status == "feasible"
        assert found.objective <= best.objective + 1e-12 <= found.bound + 1e-9
    with pytest.raises(InputError, match="proves nothing"):
        SOLVERS["greedy"](replace(TWO_MODELS, most_cores=1), SolveLimits())


def test_highs_out_of_time_gives_a_choice_and_its_bound_holds() -> None:
    rng = np.random.default_rng(0)
    columns = tuple(
        Column(
            stage="serve",
            cores=int(cores),
            batch=1,
            capacity_rps=float(rng.uniform(2, 20) * cores**0.8),
            accuracy=float(rng.uniform(0.5, 1)),
        )
        for cores in rng.integers(1, 5, 200)
    )
    problem = Problem(columns=columns, stages=("serve",), rate_rps=700.0, most_cores=64)
    optimum = SOLVERS["highs"](problem, SolveLimits()).objective
    hurried = SOLVERS["highs"](problem, SolveLimits(time_s=0.0))
    assert hurried.objective <= optimum + 1e-9 <= hurried.bound + 2e-9
    for time_s in (0.005, 0.01, 0.015, 0.02, 0.03):  # how far it gets depends on the machine; what it says must hold
        solution = SOLVERS["highs"](problem, SolveLimits(time_s=time_s))
        assert solution.objective <= optimum + 1e-9
        assert solution.bound >= optimum - 1e-9
        assert solution.status == "time-limited" or solution.objective == pytest.approx(optimum)


@solvers
@pytest.mark.parametrize("short", [1e-5, 4e-7, 1e-7])
def test_hardly_too_little_is_too_little(name: str, short: float) -> None:
    small = Column(stage="serve", cores=1, batch=1, capacity_rps=5.0 * (1 - short), accuracy=0.5, latency_s=0.5)
    large = Column(stage="serve", cores=3, batch=1, capacity_rps=20.0, accuracy=0.5, latency_s=0.5)
    problem = Problem(columns=(small, large), stages=("serve",), rate_rps=10.0)
    assert SOLVERS[name](problem, SolveLimits()).replicas_J in ((3, 0), (0, 1))
    late = replace(large, latency_s=0.5 * (1 + short))
    slow = replace(problem, columns=(small, late), rate_rps=20.0, most_latency_s=0.5)
    assert SOLVERS[name](slow, SolveLimits()).replicas_J == (5, 0)
    poor = replace(problem, columns=(replace(small, accuracy=0.5 * (1 - short)), large), least_accuracy=0.5)
    assert SOLVERS[name](poor, SolveLimits()).replicas_J == (0, 1)
    assert SOLVERS[name](replace(problem, most_cost=2 * (1 - short)), SolveLimits()).status == "infeasible"
