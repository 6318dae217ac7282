"""What a stage can add and must use if its replicas could be split at will: bounds that take no search.

A replica of column j takes a share each_j = min(1, capacity_j / rate) of the load, so a share w of it costs at least
w · price_j / each_j, and as much of every resource. Batches, latency and loading count for nothing here.

Axes: J columns, S stages, R resources.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ttamer.planning.columns import ColumnTable, Resource
from ttamer.planning.options import FULL
from ttamer.planning.problem import Problem
from ttamer.profiles.records import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Relaxation:
    """Bounds of a problem with columns in every stage.

    cost_J, amount_JR: of a column that takes all the load in fractions of replicas. members: of every stage the
    columns that can be active. most_accuracy_S, least_SR, fastest_S: what a stage reaches, uses and takes at best.
    most_R: limits.
    """

    problem: Problem
    limited: Sequence[Resource]
    cost_J: Floats
    amount_JR: Floats
    accuracy_J: Floats
    latency_J: Floats
    members: Sequence[Ints]
    most_accuracy_S: Floats
    least_SR: Floats
    fastest_S: Floats
    most_R: Floats

    @property
    def is_hopeless(self) -> bool:
        """Whether the stages exceed a limit even so, each by itself."""
        return bool((self.least_SR.sum(axis=0) > self.most_R * FULL).any())

    def least_accuracy_of(self, place: int) -> float:
        """What one stage must reach for the floor if the others are as accurate as they can be."""
        least, others = self.problem.least_accuracy, np.delete(self.most_accuracy_S, place)
        if least is None:
            return -np.inf
        if self.problem.aggregation == "product":
            together = float(np.prod(others))
            return least / together if together > 0 else (np.inf if least > 0 else -np.inf)
        return least * (len(self.members) if self.problem.aggregation == "mean" else 1) - float(others.sum())


def relax(problem: Problem, table: ColumnTable, limited: Sequence[Resource]) -> Relaxation:
    """The bounds. Every stage must have a column that can be active."""
    is_usable_J = table.most_J > 0
    each_J = np.minimum(1.0, table.capacity_J / problem.rate_rps) if problem.rate_rps else np.ones(len(table.price_J))
    cost_J = problem.cost_weight * table.price_J / each_J
    amount_JR = np.column_stack([resource.amount_J / each_J for resource in limited]) if limited else (
        np.empty((len(each_J), 0))
    )  # fmt: skip
    members = [np.flatnonzero(is_usable_J & (table.stage_J == place)) for place in range(len(problem.stages))]
    return Relaxation(
        problem=problem,
        limited=limited,
        cost_J=cost_J,
        amount_JR=amount_JR,
        accuracy_J=table.accuracy_J,
        latency_J=table.latency_J,
        members=members,
        most_accuracy_S=np.array([table.accuracy_J[here].max() for here in members]),
        least_SR=np.array([amount_JR[here].min(axis=0) for here in members]),
        fastest_S=np.array([table.latency_J[here].min() for here in members]),
        most_R=np.array([resource.most for resource in limited]),
    )
