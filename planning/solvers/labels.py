"""Exact label setting: stage by stage, the choices that no other choice beats in all that matters later.

A label is a choice for the stages so far: what it uses of every limited resource, its penalty, its accuracy (if
accuracies multiply) and its load time. A label goes when another is no worse in each, or when its bound says that no
completion can beat the best choice known. Sums, means and products of accuracies of any depth are exact.
Source: Martins, On a multicriteria shortest path problem, EJOR 16 (1984), with bounds by Lagrangian relaxation.

Axes: N labels, O options, D resources.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ttamer.planning.columns import Resource
from ttamer.planning.completions import Completions, load_s_of, picks_of
from ttamer.planning.fronts import undominated
from ttamer.planning.improvement import Exchange, fastest
from ttamer.planning.linear import ceiling
from ttamer.planning.mixing import Outlook, mixed_options
from ttamer.planning.options import FULL, RawOptions, StageOptions, in_units, limited_resources, single_options
from ttamer.planning.partial_choices import PartialChoices
from ttamer.planning.prices import search_prices
from ttamer.planning.problem import Problem, Solution, SolveLimits, best_shares
from ttamer.planning.relaxation import Relaxation, relax
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Floats, Ints

EQUAL = 1e-13  # relative: a bound this little above the best choice known is rounding
PROBES = 8  # labels a stage that are completed to look for better choices
HARD = 300  # labels: from here on it pays to improve the best choice known by exchange
STARTS = 3  # choices to improve
MOST_GROWN = 2_000_000  # labels made at once or kept for one stage: some 200 MB
UNPROVEN_S = 2.0  # for a search that can prove nothing, as it does not see all options
LISTING = 0.5  # of the time: to list mixtures


def labels(problem: Problem, limits: SolveLimits) -> Solution:
    """The optimum, or what was found in time with its bound. The same problem gives the same answer.

    Raises InputError if the time ran out before anything was found, or if the columns of a group that may mix
    with others differ in accuracy.
    """
    deadline = time.monotonic() + limits.time_s
    limited, table = limited_resources(problem), problem.table()
    if len(np.unique(table.stage_J[table.most_J > 0])) < len(problem.stages):
        return Solution(status="infeasible")
    relaxed = relax(problem, table, limited)
    if relaxed.is_hopeless:
        return Solution(status="infeasible")
    if not problem.mix:
        raw = [single_options(problem, table, limited, place) for place in range(len(problem.stages))]
        return _searched(problem, limited, raw, relaxed, limits, deadline, None)
    start = _unmixed(problem, limits)
    target = start.objective + EQUAL * max(1.0, abs(start.objective)) if start else -np.inf
    raw = []
    for place in range(len(problem.stages)):
        listed_by = deadline - limits.time_s * LISTING * (1 - (place + 1) / len(problem.stages)) - 0.25 * limits.time_s
        outlook = Outlook(relaxed, *relaxed.others(place), target)
        raw.append(mixed_options(problem, table, limited, place, outlook, listed_by))
    return _searched(problem, limited, raw, relaxed, limits, deadline, start)


def _unmixed(problem: Problem, limits: SolveLimits) -> Solution | None:
    """The best choice without mixing that is found in a quarter of the time, which mixtures are held against."""
    try:
        start = labels(replace(problem, mix=False), replace(limits, time_s=limits.time_s / 4))
    except InputError:  # out of time: nothing to hold against
        return None
    return start if start.status != "infeasible" else None


def _searched(
    problem: Problem, limited: Sequence[Resource], raw: Sequence[RawOptions], relaxed: Relaxation,
    limits: SolveLimits, deadline: float, start: Solution | None,
) -> Solution:  # fmt: skip
    """The best choice of these options and of one that is known."""
    is_finished = all(options.is_complete for options in raw)
    weight = problem.accuracy_weight if problem.aggregation == "product" else 0.0
    search = _Search(_reduced_all(problem, limited, raw), weight, problem.loading_weight, limits.gap)
    if start is not None:
        search.best = start.objective
    if search.stages:
        try:
            search.run(deadline if is_finished else min(deadline, time.monotonic() + UNPROVEN_S))
        except TimeoutError:
            is_finished = False
            search.settle()
    else:
        search.bound = -np.inf
    bound = relaxed.bound if any(not options.is_complete for options in raw) else min(search.bound, relaxed.bound)
    return _solution(problem, search, is_finished, bound, start)


def _reduced_all(problem: Problem, limited: Sequence[Resource], raw: Sequence[RawOptions]) -> list[StageOptions]:
    """The options of every stage that no other of the stage beats; nothing where a stage has none."""
    if any(len(options.penalty_O) == 0 for options in raw):
        return []
    return [_reduced(options) for options in in_units(problem, limited, raw)]


def _reduced(options: StageOptions) -> StageOptions:
    """The options that no other option of the stage beats."""
    measures = [options.penalty_O, -options.factor_O, options.load_s_O, *options.use_OD.T]
    return options.chosen(undominated(np.column_stack(measures)))


@dataclass(slots=True, eq=False)
class _Search:
    """The labels of the stages so far and the best choice known. parent, option: per stage, for the way back."""

    stages: Sequence[StageOptions]
    weight: float
    loading_weight: float
    gap: float
    best: float = -np.inf
    choice: list[int] | None = None
    bound: float = np.inf
    parent: list[Ints] = field(default_factory=list)
    option: list[Ints] = field(default_factory=list)

    def run(self, deadline: float) -> None:
        """Search to the end. Raises TimeoutError when the time runs out; the bound and the choice hold either way."""
        if (np.sum([options.use_OD.min(axis=0) for options in self.stages], axis=0) > FULL).any():
            return
        prices = search_prices(self.stages, self.weight)
        for choice in prices.choices:
            self._offer(choice)
        labels = PartialChoices.start(self.stages[0].use_OD.shape[1])
        bounds, self.bound, is_improved = prices.bounds, prices.bounds[0].bound, False
        for place in range(len(self.stages)):
            if time.monotonic() > deadline:
                raise TimeoutError
            if len(labels.penalty_N) > HARD and not is_improved:
                self._improve([*prices.choices[:STARTS], fastest(self.stages)])
                is_improved = True
            labels = self._extend(labels, place, bounds, deadline)
            if len(labels.penalty_N) == 0:
                break
        else:
            self._finish(labels)
        self.bound = self.best

    def _extend(
        self, labels: PartialChoices, place: int, bounds: Sequence[Completions], deadline: float
    ) -> PartialChoices:  # fmt: skip
        """The labels with each option of a stage, but for the hopeless and the beaten."""
        parts = list[tuple[PartialChoices, Ints, Ints, Floats]]()
        size = max(1, MOST_GROWN // len(self.stages[place].penalty_O))
        for first in range(0, len(labels.penalty_N), size):
            if first and (time.monotonic() > deadline or sum(len(part[1]) for part in parts) > MOST_GROWN):
                raise TimeoutError
            some = np.arange(first, min(first + size, len(labels.penalty_N)))
            parts.append(self._extended(labels, some, place, bounds))
        grown = PartialChoices.together([part[0] for part in parts])
        parent_N, option_N, bound_N = (np.concatenate(one) for one in list(zip(*parts, strict=True))[1:])
        front = undominated(self._measures(grown, place, bounds[0]), deadline)
        grown, bound_N = grown.chosen(front), bound_N[front]
        self.parent.append(parent_N[front])
        self.option.append(option_N[front])
        self._probe(grown, place, bounds[0], bound_N)
        still = np.flatnonzero(bound_N > self._target())
        self.parent[-1], self.option[-1] = self.parent[-1][still], self.option[-1][still]
        return grown.chosen(still)

    def _extended(
        self, labels: PartialChoices, some: Ints, place: int, bounds: Sequence[Completions]
    ) -> tuple[PartialChoices, Ints, Ints, Floats]:
        """Some of the labels with each option, but for the hopeless: with their labels, options and bounds."""
        grown, parent_N, option_N = labels.chosen(some).grown(self.stages[place])
        kept = np.flatnonzero((grown.used_ND + bounds[0].least_SD[place + 1] <= FULL).all(axis=1))
        grown, kept, bound_N = self._promising(grown.chosen(kept), kept, place, bounds)
        return grown, some[parent_N[kept]], option_N[kept], bound_N

    def _promising(
        self, labels: PartialChoices, number_N: Ints, place: int, bounds: Sequence[Completions]
    ) -> tuple[PartialChoices, Ints, Floats]:
        """The labels that every bound lets beat the best choice known, their numbers and their bounds."""
        lowest_N = np.full(len(number_N), np.inf)
        for one in bounds:
            bound_N = one.bound_N(place + 1, labels.used_ND, labels.penalty_N, labels.factor_N)
            lowest_N = np.minimum(lowest_N, bound_N - self.loading_weight * labels.load_s_N)
            still = np.flatnonzero(lowest_N > self._target())
            labels, number_N, lowest_N = labels.chosen(still), number_N[still], lowest_N[still]
        return labels, number_N, lowest_N

    def _improve(self, starts: Sequence[list[int]]) -> None:
        """Offer what exchanges make of some choices."""
        exchange = Exchange(self.stages, self.weight, self.loading_weight)
        ends = [exchange.improved(start, pairs=False) for start in starts]
        best = exchange.improved(max(ends, key=exchange.worth), pairs=True)
        if exchange.is_within_limits(best):
            self._offer(best)

    def settle(self) -> None:
        """Find a choice by exchange if there is none yet."""
        exchange = Exchange(self.stages, self.weight, self.loading_weight)
        choice = exchange.improved(fastest(self.stages), pairs=False) if self.choice is None else self.choice
        if exchange.is_within_limits(choice):
            self._offer(choice)

    def _target(self) -> float:
        """What a label must be able to exceed."""
        return self.best + max(EQUAL, self.gap) * max(1.0, abs(self.best)) if np.isfinite(self.best) else -np.inf

    def _measures(self, labels: PartialChoices, place: int, bounds: Completions) -> Floats:
        """What matters later; of a resource only what exceeds the amount that is left whatever comes."""
        most_D = np.sum([options.use_OD.max(axis=0) for options in self.stages[place + 1 :]], axis=0)
        used_ND = np.maximum(labels.used_ND, 1.0 - most_D)
        measures = [used_ND, labels.penalty_N[:, None], -labels.factor_N[:, None]]
        return np.column_stack([*measures, labels.load_s_N] if self.loading_weight else measures)

    def _probe(self, labels: PartialChoices, place: int, bounds: Completions, bound_N: Floats) -> None:
        """Complete the most promising labels, which may give a better choice."""
        if place + 1 == len(self.stages):
            return
        for n in np.argsort(-bound_N, kind="stable")[:PROBES].tolist():
            rest, used_D, _, _ = bounds.complete(place + 1, labels.used_ND[n], float(labels.factor_N[n]))
            if (used_D <= FULL).all():
                self._offer([*self._way_to(n), *rest])

    def _finish(self, labels: PartialChoices) -> None:
        objective_N = self.weight * labels.factor_N - labels.penalty_N - self.loading_weight * labels.load_s_N
        self._offer(self._way_to(int(np.argmax(objective_N))))

    def _way_to(self, n: int) -> list[int]:
        """The options that led to label n of the last stage."""
        chosen = []
        for parent_N, option_N in zip(reversed(self.parent), reversed(self.option), strict=True):
            chosen.append(int(option_N[n]))
            n = int(parent_N[n])
        return chosen[::-1]

    def _offer(self, choice: list[int]) -> None:
        pairs = list(zip(self.stages, choice, strict=True))
        objective = self.weight * float(np.prod([options.factor_O[o] for options, o in pairs]))
        objective -= sum(float(options.penalty_O[o]) for options, o in pairs)
        objective -= self.loading_weight * load_s_of(self.stages, choice)
        if objective > self.best:
            self.best, self.choice = objective, choice


def _solution(
    problem: Problem, search: _Search, is_finished: bool, bound: float, start: Solution | None
) -> Solution:  # fmt: skip
    found = _found(problem, search) or start
    if found is None:
        if is_finished:
            return Solution(status="infeasible")
        raise InputError("no plan was found in time", remedy="allow the solver more time")
    proven = found.objective
    if search.gap:
        proven += search.gap * max(1.0, abs(found.objective))
    bound = proven if is_finished else max(found.objective, min(bound, ceiling(problem)))
    return replace(found, status="optimal" if is_finished else "time-limited", bound=bound)


def _found(problem: Problem, search: _Search) -> Solution | None:
    """The choice of the search, if it made one."""
    if search.choice is None:
        return None
    replicas = [0] * len(problem.columns)
    for j, count in picks_of(search.stages, search.choice):
        replicas[j] = count
    share_J = best_shares(problem, tuple(replicas))
    assert share_J is not None, "labels chose replicas that cannot carry the load"
    used_J = tuple(count if share > 0 else 0 for count, share in zip(replicas, share_J, strict=True))
    objective = problem.objective(used_J, share_J)
    return Solution(status="feasible", objective=objective, replicas_J=used_J, share_J=share_J)
