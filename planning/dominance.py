"""Columns that need not be looked at: those that cannot serve, and those that another beats.

Axes: J columns, M measures, the smaller the better.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ttamer.planning.columns import ColumnTable, resources
from ttamer.planning.fronts import undominated
from ttamer.planning.problem import Problem
from ttamer.profiles.records import Floats, Ints

SLACK = 1 + 1e-9  # rounding of sums of latencies


def useful_columns(problem: Problem) -> list[int]:
    """Numbers of the columns that some best choice is made of, ascending.

    Putting a better column in the place of a beaten one keeps every constraint and never lowers the objective.
    """
    if not problem.columns:
        return []
    table = problem.table()
    is_timed = problem.most_latency_s is not None or problem.latency_weight > 0
    return unbeaten(problem, measures_of(problem, table, is_timed=is_timed), _able(problem, table))


def measures_of(problem: Problem, table: ColumnTable, *, is_timed: bool) -> Floats:
    """What columns are compared by, the smaller the better."""
    measure_JM = (_mixed_measures if problem.mix else _single_measures)(problem, table)
    return np.column_stack([measure_JM, table.latency_J]) if is_timed else measure_JM


def unbeaten(problem: Problem, measure_JM: Floats, columns: Sequence[int]) -> list[int]:
    """Those of the columns that no other of them beats in these measures, ascending."""
    classes: dict[object, list[int]] = {}
    for j in columns:
        classes.setdefault(_class_of(problem, j), []).append(j)
    kept = [members[place] for members in classes.values() for place in undominated(measure_JM[members]).tolist()]
    return sorted(kept)


def without(problem: Problem, kept: list[int]) -> Problem:
    """The problem with these columns alone."""
    return replace(problem, columns=tuple(problem.columns[j] for j in kept))


def _able(problem: Problem, table: ColumnTable) -> list[int]:
    """Columns that break no limit by themselves, be the other stages as fast as they can."""
    is_able_J = table.most_J >= (1 if problem.mix else np.maximum(table.enough_J, 1))
    for resource in resources(problem):
        least_J = np.where(table.is_fixed_J | (not problem.mix), table.most_J, 1)
        is_able_J &= least_J * resource.amount_J <= resource.most * SLACK
    if problem.most_latency_s is None or not is_able_J.any():
        return [int(j) for j in np.flatnonzero(is_able_J)]
    fastest_s = np.full(len(problem.stages), np.inf)
    np.minimum.at(fastest_s, table.stage_J[is_able_J], table.latency_J[is_able_J])
    others_J = fastest_s.sum() - fastest_s[table.stage_J] if np.isfinite(fastest_s).all() else 0.0
    return [int(j) for j in np.flatnonzero(is_able_J & (table.latency_J + others_J <= problem.most_latency_s * SLACK))]


def _class_of(problem: Problem, j: int) -> object:
    """Columns of one class can stand for each other."""
    column = problem.columns[j]
    if not problem.mix:
        return column.stage
    is_alone = (column.replicas is not None and not column.group) or (
        column.replicas is None and bool(column.running) and problem.loading_weight > 0
    )  # fmt: skip
    return j if is_alone else (column.stage, column.group, column.replicas is None)


def _single_measures(problem: Problem, table: ColumnTable) -> Floats:
    """Of columns that serve a stage alone: what they use, lose and gain with all the replicas they need."""
    penalty_J = penalties(problem, table, table.most_J)
    each = problem.accuracy_weight / (len(problem.stages) if problem.aggregation == "mean" else 1)
    if problem.aggregation == "product" or problem.least_accuracy is not None:
        measures = [penalty_J, -table.accuracy_J]
    else:
        measures = [penalty_J - each * table.accuracy_J]
    return np.column_stack([*measures, *_uses(problem, table, table.most_J)])


def _mixed_measures(problem: Problem, table: ColumnTable) -> Floats:
    """Of columns that may share a stage: per replica, or of all if their number is fixed."""
    count_J = np.where(table.is_fixed_J, table.most_J, 1)
    measures = [count_J * table.price_J, table.batch_J, -table.accuracy_J, -count_J * table.capacity_J]
    return np.column_stack([*measures, *_uses(problem, table, count_J)])


def _uses(problem: Problem, table: ColumnTable, count_J: Ints) -> list[Floats]:
    uses = [count_J * resource.amount_J for resource in resources(problem)]
    if problem.loading_weight:
        uses.append(table.loads_J(count_J))
    return uses


def penalties(problem: Problem, table: ColumnTable, count_J: Ints) -> Floats:
    """What the objective loses to each column alone in its stage, but for loading."""
    penalty_J = problem.cost_weight * count_J * table.price_J + problem.batch_weight * table.batch_J
    if problem.latency_weight:
        penalty_J = penalty_J + problem.latency_weight * table.latency_J
    return np.asarray(penalty_J)
