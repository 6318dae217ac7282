"""The search for the best choice, stage by stage, among labels: choices for the stages so far.

A label goes when another is no worse in all that matters later, or when its bound says that no completion can beat
the best choice known. A narrow search, which keeps few labels, finds a good choice first.

Axes: S stages, N labels, O options, D resources.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ttamer.planning.completions import Completions, load_s_of, picks_of
from ttamer.planning.fronts import best_first, undominated
from ttamer.planning.improvement import Exchange, fastest
from ttamer.planning.narrowing import narrowed, promising
from ttamer.planning.options import FULL, StageOptions
from ttamer.planning.partial_choices import PartialChoices
from ttamer.planning.prices import spans
from ttamer.profiles.records import Floats, Ints

EQUAL = 1e-13  # relative: a bound this little above the best choice known is rounding
RANGES = 12  # of the product of accuracies, to begin with
PROBES = 8  # labels a stage that are completed to look for better choices
WIDTHS = (32, 256, None)  # labels a stage: narrow searches find good choices for the one that leaves nothing out
SPARE = 4  # times as many are looked at for the beaten among them
FEWER = 0.8  # of the options: from so few on new bounds are worth their time
AT_ONCE = 200_000  # labels made at once
MOST_KEPT = 2_000_000  # labels kept for one stage: some 200 MB


def above(objective: float, gap: float) -> float:
    """What must be exceeded for more than the gap, or rounding."""
    return objective + max(EQUAL, gap) * max(1.0, abs(objective))


@dataclass(slots=True, eq=False)
class Search:
    """The best choice known, as columns and their replicas, and what no choice exceeds.

    weight: of the product of accuracies, 0 if they do not multiply. floor: the least product allowed.
    """

    stages: Sequence[StageOptions]
    weight: float
    loading_weight: float
    floor: float = 0.0
    gap: float = 0.0
    best: float = -np.inf
    picks: list[tuple[int, int]] | None = None
    bound: float = np.inf

    def run(self, deadline: float, widths: Sequence[int | None] = ()) -> bool:
        """Whether the best choice known is the best there is, after searches of these widths, by default of all.

        Raises TimeoutError when the time runs out in one that leaves nothing out. Bound and choice hold either way.
        """
        if len(self.stages) == 1:
            self._take_best(self.stages[0])
            return True
        ranges = spans(self.stages, self.weight, self.floor, RANGES)
        bounds = narrowed(self.stages, self.weight, ranges, self._offer_all)
        self.bound = max(self.best, bounds.bound)
        for most in widths or WIDTHS:
            bounds = self._narrowed(bounds)
            if bounds.bound <= self.target or self._sweep(bounds, most, deadline if most is None else math.inf):
                self.bound = self.best
                return True
            if not np.isfinite(self.best):
                self._exchange()
        self._narrowed(bounds)
        return False

    def _take_best(self, options: StageOptions) -> None:
        """Offer the best option of the only stage, each of which keeps the limits."""
        worth_O = self.weight * options.factor_O - options.penalty_O - self.loading_weight * options.load_s_O
        self._offer([int(np.argmax(worth_O))])
        self.bound = self.best

    def _narrowed(self, bounds: Completions) -> Completions:
        """The bounds of the options that can still be part of a better choice."""
        stages = promising(bounds, self.target)
        if not all(options.picks for options in stages):
            return bounds.within([])
        left, all_of_them = (sum(len(options.picks) for options in some) for some in (stages, self.stages))
        if left >= FEWER * all_of_them:
            return bounds
        self.stages = stages
        return narrowed(stages, self.weight, bounds.spans, self._offer_all)

    def _sweep(self, bounds: Completions, most: int | None, deadline: float) -> bool:
        """Search stage by stage for better choices, with so many labels a stage if that is limited.

        Returns whether nothing was left out, so that no choice is better than the best one known.
        """
        way, is_whole = _Way(), True
        labels = PartialChoices.start(bounds.least_SD.shape[1])
        for place in range(len(self.stages)):
            if time.monotonic() > deadline:
                raise TimeoutError
            grown = self._extended(labels, place, bounds, deadline)
            front, is_all = self._front(grown, place, most, deadline)
            is_whole &= is_all
            grown = grown.chosen(front)
            way.add(grown)
            if len(front) == 0:
                return is_whole
            labels = grown.labels
            if most is None:
                self.bound = min(self.bound, max(self.target, float(grown.bound_N.max())))
                self._probe(grown, place + 1, bounds, way)
        self._offer_all(labels, np.array([way.to(n) for n in range(len(labels.penalty_N))]))
        return is_whole

    def _extended(self, labels: PartialChoices, place: int, bounds: Completions, deadline: float) -> "_Grown":
        """The labels with each option of a stage, but for the hopeless."""
        parts = list[_Grown]()
        size = max(1, AT_ONCE // len(self.stages[place].penalty_O))
        for first in range(0, max(1, len(labels.penalty_N)), size):
            if first and (time.monotonic() > deadline or sum(len(part.bound_N) for part in parts) > MOST_KEPT):
                raise TimeoutError
            some = np.arange(first, min(first + size, len(labels.penalty_N)))
            grown, parent_N, option_N = labels.chosen(some).grown(self.stages[place])
            fits = np.flatnonzero((grown.used_ND + bounds.least_SD[place + 1] <= FULL).all(axis=1))
            grown = grown.chosen(fits)
            bound_N = bounds.bound_N(place + 1, grown) - self.loading_weight * grown.load_s_N
            part = _Grown(grown, some[parent_N[fits]], option_N[fits], bound_N)
            parts.append(part.chosen(np.flatnonzero(bound_N > self.target)))
        return parts[0] if len(parts) == 1 else _Grown.together(parts)

    def _front(self, grown: "_Grown", place: int, most: int | None, deadline: float) -> tuple[Ints, bool]:
        """The labels that no other beats, or those of them with the highest bounds, and whether those are all."""
        measure_NM = self._measures(grown.labels, place)
        if most is None:
            return undominated(measure_NM, deadline), True
        some = np.sort(best_first(grown.bound_N, SPARE * most))
        front = some[undominated(measure_NM[some])]
        few = np.sort(front[best_first(grown.bound_N[front], most)])
        return few, len(few) == len(front) and len(some) == len(grown.bound_N)

    def _exchange(self) -> None:
        """Look for any choice by exchange."""
        exchange = Exchange(self.stages, self.weight, self.loading_weight)
        choice = exchange.improved(fastest(self.stages), pairs=False)
        if exchange.is_within_limits(choice):
            self._offer(choice)

    @property
    def target(self) -> float:
        """What a choice must exceed: the best one known, or without one what any choice does."""
        if np.isfinite(self.best):
            return above(self.best, self.gap)
        least = self.weight * float(np.prod([options.factor_O.min() for options in self.stages]))
        least -= sum(float(options.penalty_O.max()) for options in self.stages)
        least -= self.loading_weight * max(float(options.load_s_O.max()) for options in self.stages)
        return least - 1e-6 * max(1.0, abs(least))

    def _measures(self, labels: PartialChoices, place: int) -> Floats:
        """What matters later; of a resource only what exceeds the amount that is left whatever comes."""
        most_D = np.sum([options.use_OD.max(axis=0) for options in self.stages[place + 1 :]], axis=0)
        used_ND = np.maximum(labels.used_ND, 1.0 - most_D)
        measures = [used_ND, labels.penalty_N[:, None], -labels.factor_N[:, None]]
        return np.column_stack([*measures, labels.load_s_N] if self.loading_weight else measures)

    def _probe(self, grown: "_Grown", place: int, bounds: Completions, way: "_Way") -> None:
        """Complete the most promising labels, which may give a better choice."""
        if place == len(self.stages) or len(grown.bound_N) <= PROBES:
            return
        some = best_first(grown.bound_N, PROBES)
        best = grown.labels.chosen(some)
        ends, rest = bounds.completed(place, best, bounds.price_of(place, best))
        kept = np.flatnonzero((ends.used_ND <= FULL).all(axis=1))
        chosen = [[*way.to(int(some[n])), *rest[n].tolist()] for n in kept.tolist()]
        self._offer_all(ends.chosen(kept), np.array(chosen))

    def _offer_all(self, labels: PartialChoices, chosen: Ints) -> float:
        """Take the best of some choices with their options if it is better than the one known; the target then."""
        if len(chosen):
            objective_N = self.weight * labels.factor_N - labels.penalty_N - self.loading_weight * labels.load_s_N
            self._offer(chosen[int(np.argmax(objective_N))].tolist())
        return self.target

    def _offer(self, choice: Sequence[int]) -> None:
        pairs = list(zip(self.stages, choice, strict=True))
        objective = self.weight * float(np.prod([options.factor_O[o] for options, o in pairs]))
        objective -= sum(float(options.penalty_O[o]) for options, o in pairs)
        objective -= self.loading_weight * load_s_of(self.stages, choice)
        if objective > self.best:
            self.best, self.picks = objective, picks_of(self.stages, choice)


@dataclass(frozen=True, slots=True, eq=False)
class _Grown:
    """Labels of one stage, each with the label of the stage before, its option and its bound."""

    labels: PartialChoices
    parent_N: Ints
    option_N: Ints
    bound_N: Floats

    def chosen(self, kept: Ints) -> "_Grown":
        """Some of the labels."""
        return _Grown(self.labels.chosen(kept), self.parent_N[kept], self.option_N[kept], self.bound_N[kept])

    @classmethod
    def together(cls, parts: Sequence["_Grown"]) -> "_Grown":
        """The labels of all parts."""
        return cls(
            PartialChoices.together([part.labels for part in parts]),
            np.concatenate([part.parent_N for part in parts]), np.concatenate([part.option_N for part in parts]),
            np.concatenate([part.bound_N for part in parts]),
        )  # fmt: skip


@dataclass(slots=True, eq=False)
class _Way:
    """How the labels of each stage came about: by which label of the stage before and by which option."""

    parent: list[Ints] = field(default_factory=list)
    option: list[Ints] = field(default_factory=list)

    def add(self, grown: _Grown) -> None:
        """A stage more."""
        self.parent.append(grown.parent_N)
        self.option.append(grown.option_N)

    def to(self, n: int) -> list[int]:
        """The options that led to label n of the last stage."""
        chosen = []
        for parent_N, option_N in zip(reversed(self.parent), reversed(self.option), strict=True):
            chosen.append(int(option_N[n]))
            n = int(parent_N[n])
        return chosen[::-1]
