"""Exact label setting: stage by stage, the choices that no other choice beats in all that matters later.

A label is a choice for the stages so far: what it uses of every limited resource, its penalty, its accuracy (if
accuracies multiply) and its load time. A label goes when another is no worse in each, or when its bound says that no
completion can beat the best choice known. Sums, means and products of accuracies of any depth are exact.
Source: Martins, On a multicriteria shortest path problem, EJOR 16 (1984), with bounds by Lagrangian relaxation.

Axes: N labels, O options, D resources.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ttamer.planning.completions import Completions, load_s_of, picks_of
from ttamer.planning.fronts import undominated
from ttamer.planning.improvement import Exchange, fastest
from ttamer.planning.linear import ceiling
from ttamer.planning.mixing import mixed_options
from ttamer.planning.options import FULL, StageOptions, in_units, limited_resources, single_options
from ttamer.planning.prices import search_prices
from ttamer.planning.problem import Problem, Solution, SolveLimits, best_shares
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Floats, Ints

EQUAL = 1e-13  # relative: a bound this little above the best choice known is rounding
PROBES = 8  # labels a stage that are completed to look for better choices
HARD = 300  # labels: from here on it pays to improve the best choice known by exchange
STARTS = 3  # choices to improve


def labels(problem: Problem, limits: SolveLimits) -> Solution:
    """The optimum, or what was found in time with its bound. The same problem gives the same answer.

    Raises InputError if the time ran out before anything was found, or if the columns of a group that may mix
    with others differ in accuracy.
    """
    deadline = time.monotonic() + limits.time_s
    limited, table = limited_resources(problem), problem.table()
    if problem.mix:
        raw = [mixed_options(problem, table, limited, place, deadline) for place in range(len(problem.stages))]
    else:
        raw = [single_options(problem, table, limited, place) for place in range(len(problem.stages))]
    if any(len(options.penalty_O) == 0 for options in raw):
        return Solution(status="infeasible")
    stages = [_reduced(options) for options in in_units(problem, limited, raw)]
    weight = problem.accuracy_weight if problem.aggregation == "product" else 0.0
    search = _Search(stages, weight, problem.loading_weight, limits.gap)
    try:
        search.run(deadline)
        is_finished = True
    except TimeoutError:
        is_finished = False
    return _solution(problem, search, is_finished)


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
        labels = _Labels.start(self.stages[0].use_OD.shape[1])
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
        self, labels: "_Labels", place: int, bounds: Sequence[Completions], deadline: float
    ) -> "_Labels":  # fmt: skip
        """The labels with each option of a stage, but for the hopeless and the beaten."""
        grown, parent_N, option_N = labels.grown(self.stages[place])
        kept = np.flatnonzero((grown.used_ND + bounds[0].least_SD[place + 1] <= FULL).all(axis=1))
        grown, kept, bound_N = self._promising(grown.chosen(kept), kept, place, bounds)
        front = undominated(self._measures(grown, place, bounds[0]), deadline)
        grown, kept, bound_N = grown.chosen(front), kept[front], bound_N[front]
        self.parent.append(parent_N[kept])
        self.option.append(option_N[kept])
        self._probe(grown, place, bounds[0], bound_N)
        still = np.flatnonzero(bound_N > self._target())
        self.parent[-1], self.option[-1] = self.parent[-1][still], self.option[-1][still]
        return grown.chosen(still)

    def _promising(
        self, labels: "_Labels", number_N: Ints, place: int, bounds: Sequence[Completions]
    ) -> tuple["_Labels", Ints, Floats]:
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

    def _target(self) -> float:
        """What a label must be able to exceed."""
        return self.best + max(EQUAL, self.gap) * max(1.0, abs(self.best)) if np.isfinite(self.best) else -np.inf

    def _measures(self, labels: "_Labels", place: int, bounds: Completions) -> Floats:
        """What matters later; of a resource only what exceeds the amount that is left whatever comes."""
        most_D = np.sum([options.use_OD.max(axis=0) for options in self.stages[place + 1 :]], axis=0)
        used_ND = np.maximum(labels.used_ND, 1.0 - most_D)
        measures = [used_ND, labels.penalty_N[:, None], -labels.factor_N[:, None]]
        return np.column_stack([*measures, labels.load_s_N] if self.loading_weight else measures)

    def _probe(self, labels: "_Labels", place: int, bounds: Completions, bound_N: Floats) -> None:
        """Complete the most promising labels, which may give a better choice."""
        if place + 1 == len(self.stages):
            return
        for n in np.argsort(-bound_N, kind="stable")[:PROBES].tolist():
            rest, used_D, _, _ = bounds.complete(place + 1, labels.used_ND[n], float(labels.factor_N[n]))
            if (used_D <= FULL).all():
                self._offer([*self._way_to(n), *rest])

    def _finish(self, labels: "_Labels") -> None:
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


@dataclass(frozen=True, slots=True, eq=False)
class _Labels:
    used_ND: Floats
    penalty_N: Floats
    factor_N: Floats
    load_s_N: Floats

    @classmethod
    def start(cls, resources: int) -> "_Labels":
        """The one label before any stage."""
        return cls(np.zeros((1, resources)), np.zeros(1), np.ones(1), np.zeros(1))

    def grown(self, options: StageOptions) -> tuple["_Labels", Ints, Ints]:
        """Each label with each option, the label's number and the option's."""
        count = len(options.penalty_O)
        parent_N = np.repeat(np.arange(len(self.penalty_N)), count)
        option_N = np.tile(np.arange(count), len(self.penalty_N))
        used_ND = (self.used_ND[:, None, :] + options.use_OD[None, :, :]).reshape(len(parent_N), -1)
        penalty_N = (self.penalty_N[:, None] + options.penalty_O).ravel()
        factor_N = (self.factor_N[:, None] * options.factor_O).ravel()
        load_s_N = np.maximum(self.load_s_N[:, None], options.load_s_O).ravel()
        return _Labels(used_ND, penalty_N, factor_N, load_s_N), parent_N, option_N

    def chosen(self, kept: Ints) -> "_Labels":
        """Some of the labels."""
        return _Labels(self.used_ND[kept], self.penalty_N[kept], self.factor_N[kept], self.load_s_N[kept])


def _solution(problem: Problem, search: _Search, is_finished: bool) -> Solution:
    if search.choice is None:
        if is_finished:
            return Solution(status="infeasible")
        raise InputError("no plan was found in time", remedy="allow the solver more time")
    replicas = [0] * len(problem.columns)
    for j, count in picks_of(search.stages, search.choice):
        replicas[j] = count
    share_J = best_shares(problem, tuple(replicas))
    assert share_J is not None, "labels chose replicas that cannot carry the load"
    used_J = tuple(count if share > 0 else 0 for count, share in zip(replicas, share_J, strict=True))
    objective = problem.objective(used_J, share_J)
    proven = objective if search.gap == 0 else objective + search.gap * max(1.0, abs(objective))
    bound = proven if is_finished else max(objective, min(search.bound, ceiling(problem)))
    return Solution(
        status="optimal" if is_finished else "time-limited", objective=objective, bound=bound,
        replicas_J=used_J, share_J=share_J,
    )  # fmt: skip
