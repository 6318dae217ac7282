"""The options of a stage whose columns share its load: label setting over the columns, the most accurate first.

For given replicas the most accurate columns fill up first, so a label that has looked at the columns down to some
accuracy knows all but where the load that is left will go; that adds at most the next accuracy times it. A label goes
when another is no worse in all that matters later, or when with its remaining load and the other stages relaxed it
exceeds a limit or stays below a choice that is known. Where there are too many replicas or labels to list in time,
only a spread of them is looked at.

Axes: N labels, A alternatives, R resources, K ranges of the product of accuracies.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ttamer.planning.fronts import best_first, spread, undominated
from ttamer.planning.mixture_steps import Level, Step
from ttamer.planning.options import FULL, RawOptions
from ttamer.planning.outlook import Outlook
from ttamer.planning.problem import Problem
from ttamer.planning.relaxation import Relaxation
from ttamer.profiles.records import Floats, Ints

SERVED = 1e-9  # of the load left over: rounding
MOST_GROWN = 2_000_000  # labels made in one step: some 200 MB
LATE = 2_000  # the same once the time is up
PARTS_LEFT = 8  # of the load
SPARE = 4  # times as many as are kept are looked at for the beaten among them
FEWEST = 16  # labels extended by a step at any time


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long to list, and how many labels a step may make and leave (None: all that are not beaten)."""

    deadline: float = math.inf
    most_grown: int = MOST_GROWN
    most_kept: int | None = None


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
    problem: Problem, relaxed: Relaxation, place: int, stage: Sequence[Level], outlooks: Sequence[Outlook],
    effort: Effort,
) -> RawOptions:  # fmt: skip
    """The replicas of a stage that no others beat; incomplete where there are too many of them to look at.

    outlooks: what they must live up to, the objective first.
    """
    parts = [_mixtures(problem, relaxed, place, level, outlooks, effort) for level in stage]
    return RawOptions(
        penalty_O=np.concatenate([part.penalty_O for part in parts]),
        accuracy_O=np.concatenate([part.accuracy_O for part in parts]),
        amount_OR=np.concatenate([part.amount_OR for part in parts]),
        latency_O=np.concatenate([part.latency_O for part in parts]),
        load_s_O=np.concatenate([part.load_s_O for part in parts]),
        picks=[picks for part in parts for picks in part.picks],
        is_complete=all(part.is_complete for part in parts),
    )


def _mixtures(
    problem: Problem, relaxed: Relaxation, place: int, level: Level, outlooks: Sequence[Outlook], effort: Effort
) -> RawOptions:  # fmt: skip
    """The mixtures of one level."""
    steps, resources = level.steps, len(relaxed.limited)
    is_complete = all(step.is_complete for step in steps)
    if not is_complete:  # then nothing can be proven
        effort = replace(effort, deadline=min(effort.deadline, time.monotonic()))
    late = np.array([level.latency_s or 0.0])
    labels = _Labels(np.ones(1), np.zeros(1), np.zeros(1), np.zeros((1, resources)), late, np.zeros(1))
    parents: list[Ints] = []
    alternatives: list[Ints] = []
    for number, step in enumerate(steps):
        rest = steps[number + 1 :]
        started = _started(problem, labels, step, effort)
        grown, parent_N, alternative_N = _grown(labels.chosen(started), step)
        kept, worth_N = _promising(problem, grown, rest, relaxed, outlooks, place)
        grown = grown.chosen(kept)
        measure_NM = _measures(problem, grown, rest[0].accuracy if rest else 0.0)
        front, is_whole = _front(measure_NM, grown.left_N, worth_N, effort)
        is_complete &= is_whole and len(started) == len(labels.left_N)
        labels = grown.chosen(front)
        parents.append(started[parent_N[kept][front]])
        alternatives.append(alternative_N[kept][front])
    if not steps:
        labels = labels.chosen(np.zeros(0, dtype=np.int64))
    picks = [_picks(steps, parents, alternatives, n) for n in range(len(labels.left_N))]
    latency_weighted = problem.latency_weight * labels.latency_N
    return RawOptions(
        penalty_O=labels.penalty_N + latency_weighted, accuracy_O=labels.accuracy_N, amount_OR=labels.amount_NR,
        latency_O=labels.latency_N, load_s_O=labels.load_s_N, picks=picks, is_complete=is_complete,
    )  # fmt: skip


def _promising(
    problem: Problem, labels: _Labels, rest: Sequence[Step], relaxed: Relaxation, outlooks: Sequence[Outlook],
    place: int,
) -> tuple[Ints, Floats]:  # fmt: skip
    """Numbers of the labels that live up to all outlooks, and what they are worth at most by the first."""
    kept, worth_N = np.flatnonzero(_is_able(problem, labels, rest, relaxed, place)), np.empty(0)
    for outlook in reversed(outlooks):
        worth_N = _worth_N(problem, labels.chosen(kept), rest, relaxed, outlook)
        kept, worth_N = kept[worth_N > outlook.target], worth_N[worth_N > outlook.target]
    return kept, worth_N


def _started(problem: Problem, labels: _Labels, step: Step, effort: Effort) -> Ints:
    """Numbers of the labels to extend by a step: a spread where all would make too many, few once the time is up."""
    most_grown = effort.most_grown if time.monotonic() < effort.deadline else LATE
    most = max(FEWEST, most_grown // len(step.count_A))
    if len(labels.left_N) <= most:
        return np.arange(len(labels.left_N))
    return spread(_measures(problem, labels, step.accuracy), most)


def _front(measure_NM: Floats, left_N: Floats, worth_N: Floats, effort: Effort) -> tuple[Ints, bool]:
    """The rows that no other beats, or some of them, and whether those are all.

    Of too many to keep those worth most stay, with little load left as with much: what is hoped for from the load
    that is left counts too much. Of too many to look at in time a spread stays.
    """
    if effort.most_kept is not None:
        part_N = np.ceil(PARTS_LEFT * left_N)
        some = _best_of_parts(worth_N, part_N, SPARE * effort.most_kept)
        front = some[undominated(measure_NM[some])]
        few = np.sort(front[_best_of_parts(worth_N[front], part_N[front], effort.most_kept)])
        return few, len(few) == len(front) and len(some) == len(worth_N)
    try:
        return undominated(measure_NM, effort.deadline), True
    except TimeoutError:
        some = spread(measure_NM, LATE)
        return some[undominated(measure_NM[some])], False


def _best_of_parts(worth_N: Floats, part_N: Floats, most: int) -> Ints:
    """Numbers of about so many rows worth most, about equally many of every part."""
    if len(worth_N) <= most:
        return np.arange(len(worth_N))
    members = [np.flatnonzero(part_N == part) for part in np.unique(part_N)]
    each = -(-most // len(members))
    return np.concatenate([here[best_first(worth_N[here], each)] for here in members])


def _worth_N(
    problem: Problem, labels: _Labels, rest: Sequence[Step], relaxed: Relaxation, outlook: Outlook
) -> Floats:  # fmt: skip
    """What no choice that the labels become part of exceeds."""
    columns = [j for one in rest for j in one.columns]
    worth_N = np.full(len(labels.left_N), -np.inf)
    for weight, price_R, late, constant in zip(
        outlook.weight_K.tolist(), outlook.price_KR, outlook.late_K.tolist(), outlook.constant_K.tolist(), strict=True
    ):  # fmt: skip
        one_N = weight * labels.accuracy_N - labels.amount_NR @ price_R - late * labels.latency_N + constant
        if columns:
            gain_J = weight * relaxed.accuracy_J[columns]
            if outlook.is_penalized:
                gain_J = gain_J - relaxed.cost_J[columns]
            one_N += float((gain_J - relaxed.amount_JR[columns] @ price_R).max()) * labels.left_N
        worth_N = np.maximum(worth_N, one_N)
    if not outlook.is_penalized:
        return worth_N
    return np.asarray(worth_N - labels.penalty_N - problem.latency_weight * labels.latency_N)


def _is_able(
    problem: Problem, labels: _Labels, rest: Sequence[Step], relaxed: Relaxation, place: int
) -> np.ndarray:  # fmt: skip
    """Whether labels may become part of a choice within the limits, each limit taken by itself."""
    left_N, amount_NR, hoped_N = labels.left_N, labels.amount_NR, labels.accuracy_N
    columns = [j for one in rest for j in one.columns]
    reach = sum(float(one.room_A.max(initial=0.0)) for one in rest)
    is_able_N = np.asarray(left_N <= reach + SERVED)
    if columns:
        amount_NR = amount_NR + left_N[:, None] * relaxed.amount_JR[columns].min(axis=0)
        hoped_N = hoped_N + left_N * rest[0].accuracy
    others_R = relaxed.least_SR.sum(axis=0) - relaxed.least_SR[place]
    is_able_N &= (amount_NR + others_R <= relaxed.most_R * FULL).all(axis=1)
    least = relaxed.least_accuracy_of(place)
    is_able_N &= hoped_N >= least - 1e-9 * max(1.0, abs(least)) if np.isfinite(least) else least < 0
    if problem.most_latency_s is not None:
        others_s = float(relaxed.fastest_S.sum() - relaxed.fastest_S[place])
        is_able_N &= labels.latency_N + others_s <= problem.most_latency_s * FULL
    return np.asarray(is_able_N)


def _grown(labels: _Labels, step: Step) -> tuple[_Labels, Ints, Ints]:
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


def _picks(
    steps: Sequence[Step], parents: Sequence[Ints], alternatives: Sequence[Ints], n: int
) -> tuple[tuple[int, int], ...]:  # fmt: skip
    picks = []
    for step, parent_N, alternative_N in zip(reversed(steps), reversed(parents), reversed(alternatives), strict=True):
        alternative = int(alternative_N[n])
        if alternative:
            picks.append((int(step.column_A[alternative - 1]), int(step.count_A[alternative - 1])))
        n = int(parent_N[n])
    return tuple(reversed(picks))
