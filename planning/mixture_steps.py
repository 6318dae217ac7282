"""The columns of one stage that may share its load, in the order in which mixtures are made of them.

A mixture is as slow as its slowest column. With no more than so many seconds to take, few columns are worth having:
of those that differ in their part of the SLO alone the one with most of it carries the most load.

Axes: J columns, A alternatives, R resources.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ttamer.planning.columns import ColumnTable, Resource
from ttamer.planning.dominance import measures_of, unbeaten
from ttamer.planning.problem import Problem
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Floats, Ints

MOST_COUNTS = 4096  # replicas of one column that are all looked at
FEW_COUNTS = 64
MOST_LEVELS = 12  # latencies of a stage up to which each is looked at by itself


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One column, or one group of which at most one is active, with its numbers of replicas as alternatives."""

    columns: Sequence[int]
    column_A: Ints
    count_A: Ints
    accuracy: float
    room_A: Floats
    amount_AR: Floats
    penalty_A: Floats
    latency_A: Floats
    load_s_A: Floats
    is_complete: bool


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """The columns of a stage that take no more than some seconds. latency_s: those, None where all are looked at."""

    latency_s: float | None
    steps: Sequence[Step]


def levels(problem: Problem, table: ColumnTable, limited: Sequence[Resource]) -> list[list[Level]]:
    """The levels of every stage; a single one where latencies are too many.

    Raises InputError if the columns of a group differ in accuracy.
    """
    measure_JM = measures_of(problem, table, is_timed=False)
    is_usable_J = table.most_J > 0
    return [
        list(_levels(problem, table, limited, np.flatnonzero(is_usable_J & (table.stage_J == place)), measure_JM))
        for place in range(len(problem.stages))
    ]


def _levels(
    problem: Problem, table: ColumnTable, limited: Sequence[Resource], here: Ints, measure_JM: Floats
) -> Iterator[Level]:  # fmt: skip
    latencies_s = np.unique(table.latency_J[here])
    if len(latencies_s) > MOST_LEVELS:
        yield Level(None, list(_steps(problem, table, limited, here.tolist())))
        return
    for latency_s in latencies_s.tolist():
        quick = unbeaten(problem, measure_JM, here[table.latency_J[here] <= latency_s].tolist())
        yield Level(latency_s, list(_steps(problem, table, limited, quick)))


def _steps(
    problem: Problem, table: ColumnTable, limited: Sequence[Resource], columns: Sequence[int]
) -> Iterator[Step]:  # fmt: skip
    """The steps, the most accurate first."""
    members: dict[object, list[int]] = {}
    for j in columns:
        members.setdefault(problem.columns[j].group or j, []).append(j)
    by_accuracy = sorted(members.values(), key=lambda some: (-table.accuracy_J[some[0]], some[0]))
    for together in by_accuracy:
        if np.ptp(table.accuracy_J[together]) > 0:
            raise InputError(
                f"columns of group {problem.columns[together[0]].group!r} differ in accuracy", remedy="use highs"
            )
        yield _step(problem, table, limited, together)


def _step(problem: Problem, table: ColumnTable, limited: Sequence[Resource], columns: list[int]) -> Step:
    fewest = [int(table.most_J[j]) if table.is_fixed_J[j] else 1 for j in columns]
    counts = [_counts(low, int(table.most_J[j])) for j, low in zip(columns, fewest, strict=True)]
    column_A = np.repeat(columns, [len(count) for count in counts])
    count_A = np.concatenate(counts)
    rate = problem.rate_rps
    room_A = np.minimum(1.0, count_A * table.capacity_J[column_A] / rate) if rate else np.ones(len(count_A))
    penalty_A = problem.cost_weight * count_A * table.price_J[column_A]
    uses = [count_A * resource.amount_J[column_A] for resource in limited]
    is_loaded_A = count_A > table.running_J[column_A]
    return Step(
        columns=columns,
        column_A=column_A,
        count_A=count_A,
        accuracy=float(table.accuracy_J[columns[0]]),
        room_A=room_A,
        amount_AR=np.column_stack(uses) if uses else np.empty((len(count_A), 0)),
        penalty_A=penalty_A + problem.batch_weight * table.batch_J[column_A],
        latency_A=table.latency_J[column_A],
        load_s_A=np.where(is_loaded_A, table.load_s_J[column_A], 0.0),
        is_complete=all(table.most_J[j] - low < MOST_COUNTS for j, low in zip(columns, fewest, strict=True)),
    )


def _counts(low: int, high: int) -> Ints:
    """Every number of replicas from low to high, or a spread of them where those are too many."""
    if high - low < MOST_COUNTS:
        return np.arange(low, high + 1)
    some = np.unique(np.geomspace(low, high, FEW_COUNTS).astype(np.int64))
    return np.asarray(np.unique(np.concatenate([some, [low, high]])))
