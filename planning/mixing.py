"""The options of a stage whose columns share its load: label setting over the columns, the most accurate first.

For given replicas the most accurate columns fill up first, so a label that has looked at the columns down to some
accuracy knows all but where the load that is left will go; that adds at most the next accuracy times it.

Axes: N labels, A alternatives, R resources.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ttamer.planning.columns import ColumnTable, Resource
from ttamer.planning.fronts import undominated
from ttamer.planning.options import FULL, RawOptions
from ttamer.planning.problem import Problem
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Floats, Ints

SERVED = 1e-9  # of the load left over: rounding


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """One column, or one group of which at most one is active, with its numbers of replicas as alternatives."""

    column_A: Ints
    count_A: Ints
    accuracy: float
    room_A: Floats
    amount_AR: Floats
    penalty_A: Floats
    latency_A: Floats
    load_s_A: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Labels:
    left_N: Floats
    accuracy_N: Floats
    penalty_N: Floats
    amount_NR: Floats
    latency_N: Floats
    load_s_N: Floats

    def chosen(self, kept: Ints) -> "_Labels":
        """Some of the labels."""
        return _Labels(
            self.left_N[kept], self.accuracy_N[kept], self.penalty_N[kept], self.amount_NR[kept],
            self.latency_N[kept], self.load_s_N[kept],
        )  # fmt: skip


def mixed_options(
    problem: Problem, table: ColumnTable, limited: Sequence[Resource], place: int, deadline: float
) -> RawOptions:
    """The replicas of a stage that no others beat. Raises InputError when out of time, or if a group is uneven."""
    steps = list(_steps(problem, table, limited, place))
    labels = _Labels(np.ones(1), np.zeros(1), np.zeros(1), np.zeros((1, len(limited))), np.zeros(1), np.zeros(1))
    parents: list[Ints] = []
    alternatives: list[Ints] = []
    most_R = np.array([resource.most for resource in limited])
    for number, step in enumerate(steps):
        if time.monotonic() > deadline:
            raise _out_of_time()
        rest = steps[number + 1 :]
        grown, parent_N, alternative_N = _grown(labels, step)
        reach = sum(float(one.room_A.max(initial=0.0)) for one in rest)
        is_able_N = (grown.left_N <= reach + SERVED) & (grown.amount_NR <= most_R * FULL).all(axis=1)
        kept = np.flatnonzero(is_able_N & ~_is_too_slow(problem, grown))
        grown = grown.chosen(kept)
        try:
            front = undominated(_measures(problem, grown, rest[0].accuracy if rest else 0.0), deadline)
        except TimeoutError as error:
            raise _out_of_time() from error
        labels = grown.chosen(front)
        parents.append(parent_N[kept][front])
        alternatives.append(alternative_N[kept][front])
    if not steps:
        labels = labels.chosen(np.zeros(0, dtype=np.int64))
    picks = [_picks(steps, parents, alternatives, n) for n in range(len(labels.left_N))]
    latency_weighted = problem.latency_weight * labels.latency_N
    return RawOptions(
        penalty_O=labels.penalty_N + latency_weighted, accuracy_O=labels.accuracy_N, amount_OR=labels.amount_NR,
        latency_O=labels.latency_N, load_s_O=labels.load_s_N, picks=picks,
    )  # fmt: skip


def _out_of_time() -> InputError:
    return InputError("no plan was found in time", remedy="allow the solver more time, or use highs")


def _steps(problem: Problem, table: ColumnTable, limited: Sequence[Resource], place: int) -> Iterator[_Step]:
    """The steps, the most accurate first."""
    members: dict[object, list[int]] = {}
    for j in np.flatnonzero((table.stage_J == place) & (table.most_J > 0)).tolist():
        members.setdefault(problem.columns[j].group or j, []).append(j)
    by_accuracy = sorted(members.values(), key=lambda columns: (-table.accuracy_J[columns[0]], columns[0]))
    for columns in by_accuracy:
        if np.ptp(table.accuracy_J[columns]) > 0:
            raise InputError(
                f"columns of group {problem.columns[columns[0]].group!r} differ in accuracy", remedy="use highs"
            )
        yield _step(problem, table, limited, columns)


def _step(problem: Problem, table: ColumnTable, limited: Sequence[Resource], columns: list[int]) -> _Step:
    fewest = [int(table.most_J[j]) if table.is_fixed_J[j] else 1 for j in columns]
    counts = [np.arange(low, int(table.most_J[j]) + 1) for j, low in zip(columns, fewest, strict=True)]
    column_A = np.repeat(columns, [len(count) for count in counts])
    count_A = np.concatenate(counts)
    rate = problem.rate_rps
    room_A = np.minimum(1.0, count_A * table.capacity_J[column_A] / rate) if rate else np.ones(len(count_A))
    penalty_A = problem.cost_weight * count_A * table.price_J[column_A]
    uses = [count_A * resource.amount_J[column_A] for resource in limited]
    is_loaded_A = count_A > table.running_J[column_A]
    return _Step(
        column_A=column_A,
        count_A=count_A,
        accuracy=float(table.accuracy_J[columns[0]]),
        room_A=room_A,
        amount_AR=np.column_stack(uses) if uses else np.empty((len(count_A), 0)),
        penalty_A=penalty_A + problem.batch_weight * table.batch_J[column_A],
        latency_A=table.latency_J[column_A],
        load_s_A=np.where(is_loaded_A, table.load_s_J[column_A], 0.0),
    )


def _grown(labels: _Labels, step: _Step) -> tuple[_Labels, Ints, Ints]:
    """The labels as they are and, where load is left, with each alternative (numbered from 1; 0: none)."""
    is_open = np.flatnonzero(labels.left_N > SERVED)
    count = len(step.count_A)
    here_N, choice_N = np.repeat(is_open, count), np.tile(np.arange(count), len(is_open))
    taken_N = np.minimum(labels.left_N[here_N], step.room_A[choice_N])
    left_N = labels.left_N[here_N] - taken_N
    grown = _Labels(
        left_N=np.concatenate([labels.left_N, np.where(left_N <= SERVED, 0.0, left_N)]),
        accuracy_N=np.concatenate([labels.accuracy_N, labels.accuracy_N[here_N] + taken_N * step.accuracy]),
        penalty_N=np.concatenate([labels.penalty_N, labels.penalty_N[here_N] + step.penalty_A[choice_N]]),
        amount_NR=np.concatenate([labels.amount_NR, labels.amount_NR[here_N] + step.amount_AR[choice_N]]),
        latency_N=np.concatenate([labels.latency_N, np.maximum(labels.latency_N[here_N], step.latency_A[choice_N])]),
        load_s_N=np.concatenate([labels.load_s_N, np.maximum(labels.load_s_N[here_N], step.load_s_A[choice_N])]),
    )
    everyone = np.arange(len(labels.left_N))
    return grown, np.concatenate([everyone, here_N]), np.concatenate([np.zeros_like(everyone), choice_N + 1])


def _measures(problem: Problem, labels: _Labels, next_accuracy: float) -> Floats:
    """What matters later, the smaller the better. The load that is left counts as served by the next column."""
    hoped_N = labels.accuracy_N + next_accuracy * labels.left_N
    measures: list[Floats] = [labels.left_N, *labels.amount_NR.T]
    if problem.aggregation == "product" or problem.least_accuracy is not None:
        measures += [labels.penalty_N, -hoped_N]
    else:
        measures.append(labels.penalty_N - _each(problem) * hoped_N)
    if len(problem.stages) > 1 or problem.latency_weight:
        measures.append(labels.latency_N)
    if problem.loading_weight:
        measures.append(labels.load_s_N)
    return np.column_stack(measures)


def _each(problem: Problem) -> float:
    return problem.accuracy_weight / (len(problem.stages) if problem.aggregation == "mean" else 1)


def _is_too_slow(problem: Problem, labels: _Labels) -> np.ndarray:
    """Whether labels are too slow for any pipeline."""
    if problem.most_latency_s is None:
        return np.zeros(len(labels.left_N), dtype=bool)
    return np.asarray(labels.latency_N > problem.most_latency_s * FULL)


def _picks(
    steps: Sequence[_Step], parents: Sequence[Ints], alternatives: Sequence[Ints], n: int
) -> tuple[tuple[int, int], ...]:  # fmt: skip
    picks = []
    for step, parent_N, alternative_N in zip(reversed(steps), reversed(parents), reversed(alternatives), strict=True):
        alternative = int(alternative_N[n])
        if alternative:
            picks.append((int(step.column_A[alternative - 1]), int(step.count_A[alternative - 1])))
        n = int(parent_N[n])
    return tuple(reversed(picks))
