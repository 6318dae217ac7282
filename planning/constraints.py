"""The constraint families of the serving program, each a generator of named linear rows.

Variables by name: n[j] replicas, w[j] share of its stage's load, y[j] whether it is active (0 or 1), t[s] the part of
the latency that stage s may use. A family's docstring is its inequality.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from ttamer.planning.problem import Problem


@dataclass(frozen=True, slots=True)
class Row:
    """One linear constraint: the sum of coefficient × variable, its sense and its right-hand side."""

    name: str
    terms: dict[str, float]
    sense: Literal["<=", "=="]
    limit: float


def load_is_served(problem: Problem) -> Iterator[Row]:
    """Σ_{j in s} w_j = 1 for every stage s."""
    for stage in problem.stages:
        yield Row(f"load of {stage}", {f"w[{j}]": 1.0 for j in problem.in_stage(stage)}, "==", 1.0)


def capacity(problem: Problem) -> Iterator[Row]:
    """w_j · rate ≤ n_j · capacity_j for every column j."""
    for j, column in enumerate(problem.columns):
        yield Row(
            f"capacity of column {j}", {f"w[{j}]": 1.0, f"n[{j}]": -column.capacity_rps / problem.rate_rps}, "<=", 0.0
        )  # fmt: skip


def activity(problem: Problem) -> Iterator[Row]:
    """n_j ≤ most_j · y_j and w_j ≤ y_j for every column j."""
    for j in range(len(problem.columns)):
        yield Row(f"replicas of column {j}", {f"n[{j}]": 1.0, f"y[{j}]": -problem.most_replicas_of(j)}, "<=", 0.0)
        yield Row(f"share of column {j}", {f"w[{j}]": 1.0, f"y[{j}]": -1.0}, "<=", 0.0)


def one_active(problem: Problem) -> Iterator[Row]:
    """Σ_{j in s} y_j ≤ 1 for every stage s, unless columns may mix."""
    if not problem.mix:
        for stage in problem.stages:
            yield Row(f"one column in {stage}", {f"y[{j}]": 1.0 for j in problem.in_stage(stage)}, "<=", 1.0)


def core_budget(problem: Problem) -> Iterator[Row]:
    """Σ n_j · cores_j ≤ most cores."""
    if problem.most_cores is not None:
        terms = {f"n[{j}]": float(column.cores) for j, column in enumerate(problem.columns)}
        yield Row("core budget", terms, "<=", float(problem.most_cores))


def replica_limit(problem: Problem) -> Iterator[Row]:
    """Σ n_j ≤ most replicas."""
    terms = {f"n[{j}]": 1.0 for j in range(len(problem.columns))}
    yield Row("replica limit", terms, "<=", float(problem.most_replicas))


def latency(problem: Problem) -> Iterator[Row]:
    """latency_j · y_j ≤ t_s for every column j of stage s, and Σ t_s ≤ most latency, with several stages."""
    if problem.most_latency_s is None or len(problem.stages) == 1:
        return
    unit_s = problem.most_latency_s
    for place, stage in enumerate(problem.stages):
        for j in problem.in_stage(stage):
            part = problem.columns[j].latency_s / unit_s
            yield Row(f"latency of column {j}", {f"y[{j}]": part, f"t[{place}]": -1.0}, "<=", 0.0)
    yield Row("end-to-end latency", {f"t[{place}]": 1.0 for place in range(len(problem.stages))}, "<=", 1.0)


FAMILIES: tuple[Callable[[Problem], Iterator[Row]], ...] = (
    load_is_served, capacity, activity, one_active, core_budget, replica_limit, latency,
)  # fmt: skip


def rows(problem: Problem) -> Iterator[Row]:
    """Every constraint of the problem."""
    for family in FAMILIES:
        yield from family(problem)
