"""The options of each stage: every way to serve it, with what it uses of every limited resource.

Axes: O options, D resources that can run out, each in units of its limit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ttamer.planning.columns import ColumnTable, Resource, resources
from ttamer.planning.dominance import penalties
from ttamer.planning.problem import Problem
from ttamer.profiles.records import Floats, Ints

FULL = 1 + 1e-9  # of a limit, with the rounding of sums


@dataclass(frozen=True, slots=True, eq=False)
class StageOptions:
    """Options of one stage. penalty_O: what the objective loses, less what it gains if accuracies add up.

    factor_O: the accuracy if accuracies multiply, else 1. picks: per option the columns and their replicas.
    """

    penalty_O: Floats
    factor_O: Floats
    use_OD: Floats
    load_s_O: Floats
    picks: Sequence[tuple[tuple[int, int], ...]]

    def chosen(self, kept: Ints) -> "StageOptions":
        """Some of the options."""
        return StageOptions(
            self.penalty_O[kept], self.factor_O[kept], self.use_OD[kept], self.load_s_O[kept],
            [self.picks[o] for o in kept.tolist()],
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class RawOptions:
    """Options of one stage before accuracy, latency and limits are put in units.

    is_complete: whether every option that a best choice could be made of is there.
    """

    penalty_O: Floats
    accuracy_O: Floats
    amount_OR: Floats
    latency_O: Floats
    load_s_O: Floats
    picks: Sequence[tuple[tuple[int, int], ...]]
    is_complete: bool = True


def single_options(problem: Problem, table: ColumnTable, limited: Sequence[Resource], place: int) -> RawOptions:
    """One column at a time, with the replicas that carry the load."""
    is_here_J = (table.stage_J == place) & (table.most_J >= table.enough_J) & (table.most_J > 0)
    here = np.flatnonzero(is_here_J)
    count_J = np.where(table.is_fixed_J, table.most_J, table.enough_J)
    uses = [resource.amount_J * count_J for resource in limited]
    return RawOptions(
        penalty_O=penalties(problem, table, count_J)[here],
        accuracy_O=table.accuracy_J[here],
        amount_OR=np.column_stack([use[here] for use in uses]) if uses else np.empty((len(here), 0)),
        latency_O=table.latency_J[here],
        load_s_O=table.loads_J(count_J)[here],
        picks=[((j, count),) for j, count in zip(here.tolist(), count_J[here].tolist(), strict=True)],
    )


def limited_resources(problem: Problem, table: ColumnTable) -> list[Resource]:
    """The resources that any choice could exceed, but for those that keeping another keeps too."""
    limited: list[Resource] = []
    for resource in resources(problem):
        each_J = resource.amount_J * table.most_J
        most = [each_J[table.stage_J == place] for place in range(len(problem.stages))]
        reach = sum((one.sum() if problem.mix else one.max(initial=0.0)) for one in most)
        if reach > resource.most:
            limited.append(resource)
    for resource in limited[::-1]:
        if any(_implies(other, resource) for other in limited if other is not resource):
            limited.remove(resource)
    return limited


def _implies(tight: Resource, loose: Resource) -> bool:
    """Whether whatever keeps the one limit keeps the other: each column takes no larger a part of it."""
    return bool(tight.most > 0 and (loose.amount_J * tight.most <= tight.amount_J * loose.most).all())


def in_units(
    problem: Problem, limited: Sequence[Resource], stages: Sequence[RawOptions], *, is_whole: bool = False
) -> list[StageOptions]:
    """The options with every limit as a resource: latency and the accuracy floor too.

    A floor on Σ a bounds what the stages lose to their best options, one on Π a the same of the logarithms.
    is_whole: with those too that no choice exhausts.
    """
    limits = [resource.most for resource in limited]
    floors = _floors(problem, stages)
    made = []
    for number, stage in enumerate(stages):
        uses = [_share_of_limit(stage.amount_OR[:, r], most) for r, most in enumerate(limits)]
        if problem.most_latency_s is not None:
            uses.append(_share_of_limit(stage.latency_O, problem.most_latency_s))
        if floors is not None:
            uses.append(floors[number])
        gain_O = np.zeros(len(stage.penalty_O))
        if problem.aggregation != "product":
            each = problem.accuracy_weight / (len(stages) if problem.aggregation == "mean" else 1)
            gain_O = each * stage.accuracy_O
        factor_O = stage.accuracy_O if problem.aggregation == "product" else np.ones(len(gain_O))
        use_OD = np.column_stack(uses) if uses else np.empty((len(gain_O), 0))
        load_s_O = stage.load_s_O if problem.loading_weight else np.zeros(len(gain_O))
        made.append(StageOptions(stage.penalty_O - gain_O, factor_O, use_OD, load_s_O, stage.picks))
    return made if is_whole else _without_slack(made)


def _share_of_limit(amount_O: Floats, most: float) -> Floats:
    """Amounts as shares of the limit; of a limit of nothing any amount is too much."""
    return amount_O / most if most > 0 else np.where(amount_O > 0, 2.0, 0.0)


def accuracy_room(problem: Problem, stages: Sequence[RawOptions]) -> float:
    """What the stages may lose in all to their best accuracies (of a product: to the logarithms of those).

    Zero or less if even those are too little, infinite without a floor.
    """
    least = problem.least_accuracy
    if least is None or (problem.aggregation == "product" and least <= 0):
        return np.inf
    bests = [float(worth_O.max(initial=-np.inf)) for worth_O in worths_of(problem, stages)]
    target = float(np.log(least)) if problem.aggregation == "product" else least
    target *= len(stages) if problem.aggregation == "mean" else 1
    slack = 1e-9 * max(1.0, abs(target))
    room = sum(bests) - target
    return max(room, 0.0) + slack if room >= -slack else 0.0


def worths_of(problem: Problem, stages: Sequence[RawOptions]) -> list[Floats]:
    """The accuracies of each stage, of a product their logarithms."""
    if problem.aggregation != "product":
        return [stage.accuracy_O for stage in stages]
    with np.errstate(divide="ignore"):
        return [np.log(stage.accuracy_O) for stage in stages]


def _floors(problem: Problem, stages: Sequence[RawOptions]) -> list[Floats] | None:
    """Per stage, what each option loses of the accuracy that may be lost in all; None without a floor."""
    if problem.least_accuracy is None:
        return None
    worths, room = worths_of(problem, stages), accuracy_room(problem, stages)
    if room == np.inf or room == 0.0:
        return [np.full(len(worth_O), 0.0 if room else 2.0) for worth_O in worths]
    return [(worth_O.max(initial=-np.inf) - worth_O) / room for worth_O in worths]


def _without_slack(stages: list[StageOptions]) -> list[StageOptions]:
    """The options without the resources that no choice exhausts."""
    if any(len(stage.penalty_O) == 0 for stage in stages):
        return stages
    reach_D = np.sum([stage.use_OD.max(axis=0) for stage in stages], axis=0)
    tight = np.flatnonzero(reach_D > 1.0)
    return [
        StageOptions(stage.penalty_O, stage.factor_O, stage.use_OD[:, tight], stage.load_s_O, stage.picks)
        for stage in stages
    ]
