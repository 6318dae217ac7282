"""Median wall times of every solver on random serving problems, beside Gurobi on the same instance in the same run.

Run from the repository root: python -m benchmarks.solvers
Gurobi comes with `pip install ttamer[bench]`; its free licence takes 2000 variables and 2000 constraints.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when numpy is imported: more threads only wait for each other here

import platform
import statistics
import time
from collections.abc import Callable

import highspy
import numpy as np
import pulp

from ttamer.planning.dominance import useful_columns, without
from ttamer.planning.linear import linear_program
from ttamer.planning.problem import Aggregation, Problem, SolveLimits
from ttamer.planning.programs import infadapter, ipa, sponge
from ttamer.planning.solve import solve
from ttamer.planning.surface import Coefficients

SEEDS = 5
RUNS = 3
BATCHES = (1, 2, 4, 8, 16, 32, 64)
LICENCE = 2000
GUROBI = ("gurobi", "gurobi, pruned")
COLUMNS = ("labels", "highs", "cbc", *GUROBI)


def pipeline(stages: int, variants: int, aggregation: Aggregation, seed: int) -> Problem:
    """A random pipeline: accurate variants are slower and larger, batches cost latency and gain throughput."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(stages):
        skill_V = np.sort(rng.random(variants))
        one_s_V = 0.02 + 0.3 * skill_V * rng.uniform(0.6, 1.4, variants)
        fixed = rng.uniform(0.3, 0.8)
        made.append(
            ipa.Stage(
                name=f"stage {number}",
                variants=tuple(
                    _variant(f"variant {v}", float(0.5 + 0.45 * skill_V[v]), float(one_s_V[v]), fixed, rng)
                    for v in range(variants)
                ),
            )
        )
    return ipa.problem(
        made, rate_rps=20.0, slo_s=0.9 * stages, aggregation=aggregation,
        weights=ipa.Weights(alpha=10.0 * stages, beta=0.5, delta=1e-6),
    )  # fmt: skip


def _variant(name: str, accuracy: float, one_s: float, fixed: float, rng: np.random.Generator) -> ipa.Variant:
    points = []
    for batch in BATCHES:
        latency_s = one_s * (fixed + (1 - fixed) * batch) * float(rng.uniform(0.97, 1.03))
        points.append(ipa.Point(batch=batch, latency_s=latency_s, throughput_rps=batch / latency_s))
    return ipa.Variant(name=name, accuracy=accuracy, cores=int(rng.choice([1, 1, 2, 4, 8])), points=tuple(points))


def resnets(seed: int) -> Problem:
    """InfAdapter's five ResNets on up to 20 cores, from a random running plan. Source: its capacity table."""
    rng = np.random.default_rng(seed)
    lines = ((24.446, -6, 0.69758, 6.44), (13.044, -1, 0.73314, 6.79), (10.321, -3, 0.7613, 6.82),
             (5.090, 0, 0.77374, 7.77), (3.815, -2, 0.78312, 8.52))  # fmt: skip
    variants = [
        infadapter.Variant(
            name=f"resnet {number}", accuracy=accuracy, load_time_s=load_s,
            capacity_rps=tuple(max(0.0, float(int(0.8 * (slope * n + shift)))) for n in range(21)),
        )
        for number, (slope, shift, accuracy, load_s) in enumerate(lines)
    ]  # fmt: skip
    running = {f"resnet {int(rng.integers(5))}": int(rng.integers(2, 15))}
    weights = infadapter.Weights(resource=0.05, loading=float(rng.choice([0.001, 0.05])))
    return infadapter.problem(
        variants, rate_rps=float(rng.integers(20, 150)), budget_cores=20, weights=weights, running=running
    )


def gurobi(problem: Problem) -> tuple[float, float] | None:
    """Objective and wall seconds of Gurobi with our rows, exact; None without it or beyond its licence.

    It prunes for itself: it gets the whole problem, as its own planners give it, unless that is given pruned.
    """
    try:
        import gurobipy as gp
    except ImportError:
        return None
    start = time.perf_counter()
    program = linear_program(problem)
    if len(program.names_V) > LICENCE or len(program.lower_C) > LICENCE:
        return None
    with gp.Env(params={"OutputFlag": 0}) as env, gp.Model(env=env) as model:
        kinds = np.where(program.is_whole_V, gp.GRB.INTEGER, gp.GRB.CONTINUOUS)
        x = model.addMVar(len(program.names_V), ub=program.most_V, obj=program.gain_V, vtype=kinds)
        model.ModelSense = gp.GRB.MAXIMIZE
        matrix = np.zeros((len(program.lower_C), len(program.names_V)))
        row_X = np.repeat(np.arange(len(program.lower_C)), np.diff(program.start_C))
        matrix[row_X, program.variable_X] = program.value_X
        senses = np.where(program.lower_C == program.upper_C, "=", "<")
        model.addMConstr(matrix, x, senses, program.upper_C)
        model.Params.MIPGap, model.Params.MIPGapAbs, model.Params.Threads = 0.0, 0.0, 1
        model.optimize()
        if model.Status != gp.GRB.OPTIMAL:
            return float("-inf"), time.perf_counter() - start
        return float(model.ObjVal), time.perf_counter() - start


def timed(problem: Problem, solver: str) -> tuple[float, float]:
    """Objective and wall seconds of one of ours, pruning included."""
    start = time.perf_counter()
    solution = solve(problem, solver, SolveLimits(time_s=60.0))
    assert solution.status in ("optimal", "infeasible"), f"{solver}: {solution.status}"
    return solution.objective, time.perf_counter() - start


def compare(name: str, make: Callable[[int], Problem], solvers: tuple[str, ...]) -> None:
    """Print a row: medians and maxima over seeds and runs; fails if two solvers differ."""
    wall_s: dict[str, list[float]] = {solver: [] for solver in (*solvers, *GUROBI)}
    for seed in range(SEEDS):
        problem = make(seed)
        answers = []
        for _ in range(RUNS):
            for solver in solvers:
                objective, seconds = timed(problem, solver)
                wall_s[solver].append(seconds)
                answers.append(objective)
            for column, given in zip(GUROBI, (problem, without(problem, useful_columns(problem))), strict=True):
                theirs = gurobi(given)
                if theirs is not None:
                    answers.append(theirs[0])
                    wall_s[column].append(theirs[1])
        assert max(answers) - min(answers) <= 1e-6 * max(1.0, abs(max(answers))), (name, seed, answers)
    print(f"{name:34}" + "".join(f"{_cell(wall_s.get(solver, [])):>18}" for solver in COLUMNS))


def _cell(wall_s: list[float]) -> str:
    return f"{1e3 * statistics.median(wall_s):.1f} / {1e3 * max(wall_s):.1f}" if wall_s else "-"


def sponge_trace() -> None:
    """Print how long 600 seconds of decisions take."""
    rng = np.random.default_rng(0)
    curve = Coefficients(g=30.4, d=1.43, e=5.0, h=17.0)
    limits = sponge.Limits()
    seconds = [
        sponge.Second(rate_rps=float(rng.integers(20, 120)), slo_ms=1000.0, remaining_slo_ms=float(remaining))
        for remaining in rng.integers(400, 980, 600)
    ]
    wall_s = []
    for second in seconds:
        start = time.perf_counter()
        sponge.decide(curve, second, limits)
        wall_s.append(time.perf_counter() - start)
    median_ms, slowest_ms = 1e3 * statistics.median(wall_s), 1e3 * max(wall_s)
    remaining_ms = [second.remaining_slo_ms for second in seconds]
    start = time.perf_counter()
    sponge.schedule(curve, rate_rps=60.0, slo_ms=1000.0, remaining_slo_ms_S=remaining_ms, limits=limits)
    together_ms = 1e3 * (time.perf_counter() - start)
    print(f"\nSponge, 16 cores x 16 batches: {median_ms:.3f} ms a second (slowest {slowest_ms:.3f}), "
          f"600 seconds one by one in {1e3 * sum(wall_s):.0f} ms, at once in {together_ms:.2f} ms")  # fmt: skip


def main() -> None:
    print(f"HiGHS {highspy.Highs().version()}, PuLP {pulp.__version__}, numpy {np.__version__}, "
          f"Python {platform.python_version()}, {os.cpu_count()} CPUs, one thread each")  # fmt: skip
    print(f"wall ms, median / slowest of {SEEDS} instances x {RUNS} runs; stages x variants x batches")
    print(f"{'problem':34}" + "".join(f"{solver:>18}" for solver in COLUMNS))
    every = ("labels", "highs", "cbc")
    for stages, variants in ((2, 10), (4, 10), (10, 10), (20, 10), (20, 20)):
        compare(f"IPA sum {stages}x{variants}x7", lambda seed, s=stages, v=variants: pipeline(s, v, "sum", seed), every)  # type: ignore[misc]
    for stages in (2, 4, 6, 8, 10):
        solvers = every if stages <= 4 else ("labels", "highs")
        compare(f"IPA product {stages}x10x7", lambda seed, s=stages: pipeline(s, 10, "product", seed), solvers)  # type: ignore[misc]
    compare("InfAdapter 5 variants x 20 cores", resnets, every)
    sponge_trace()


if __name__ == "__main__":
    main()
