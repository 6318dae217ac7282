"""What a stage can add and must use if its replicas could be split at will: bounds that take no search.

A replica of column j takes a share each_j = min(1, capacity_j / rate) of the load, so a share w of it costs at least
w · price_j / each_j, and as much of every resource. Batches, latency and loading count for nothing here.

Axes: J columns, S stages, R resources, K corners.
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
    cost_J: Floats
    amount_JR: Floats
    accuracy_J: Floats
    members: Sequence[Ints]
    most_accuracy_S: Floats
    least_SR: Floats
    fastest_S: Floats
    most_R: Floats

    @property
    def bound(self) -> float:
        """What no choice exceeds."""
        weight_K, cost_K = self.others(0)
        here = self.members[0]
        gain_KJ = weight_K[:, None] * self.accuracy_J[here] - self.cost_J[here]
        return float((gain_KJ.max(axis=1) - cost_K).max())

    def others(self, place: int) -> tuple[Floats, Floats]:
        """What the other stages make of one stage's accuracy: weight × accuracy − cost, the best of K alternatives."""
        problem = self.problem
        rest = [number for number in range(len(self.members)) if number != place]
        if problem.aggregation != "product":
            each = problem.accuracy_weight / (len(self.members) if problem.aggregation == "mean" else 1)
            gains = [float((each * self.accuracy_J[here] - self.cost_J[here]).max()) for here in self.members]
            return np.array([each]), np.array([-sum(gains[number] for number in rest)])
        factor_K, cost_K = np.ones(1), np.zeros(1)
        for number in rest:
            here = self.members[number]
            factor_K, cost_K = _corners(
                np.multiply.outer(factor_K, self.accuracy_J[here]).ravel(),
                np.add.outer(cost_K, self.cost_J[here]).ravel(),
            )
        return problem.accuracy_weight * factor_K, cost_K

    @property
    def is_hopeless(self) -> bool:
        """Whether the stages exceed a limit even so; latency and accuracy aside."""
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
        cost_J=cost_J,
        amount_JR=amount_JR,
        accuracy_J=table.accuracy_J,
        members=members,
        most_accuracy_S=np.array([table.accuracy_J[here].max() for here in members]),
        least_SR=np.array([amount_JR[here].min(axis=0) for here in members]),
        fastest_S=np.array([table.latency_J[here].min() for here in members]),
        most_R=np.array([resource.most for resource in limited]),
    )


def _corners(factor_N: Floats, cost_N: Floats) -> tuple[Floats, Floats]:
    """The points at which weight × factor − cost is largest for some weight of zero or more, by rising cost."""
    corners: list[tuple[float, float]] = []
    for cost, factor in sorted(zip(cost_N.tolist(), (-factor_N).tolist(), strict=True)):
        if corners and -factor <= corners[-1][1]:
            continue
        while len(corners) > 1 and _is_below(corners[-2], corners[-1], (cost, -factor)):
            corners.pop()
        corners.append((cost, -factor))
    return np.array([factor for _, factor in corners]), np.array([cost for cost, _ in corners])


def _is_below(left: tuple[float, float], middle: tuple[float, float], right: tuple[float, float]) -> bool:
    """Whether the middle of three points of rising cost and factor lies on or below the line between the others."""
    rise, run = right[1] - left[1], right[0] - left[0]
    return (middle[1] - left[1]) * run <= rise * (middle[0] - left[0])
