"""Prices of the limited resources that make the bounds on completions tight, and the choices met on the way.

One resource: the bound is convex and piecewise linear in its price, so tangents from both sides meet at the best one.
Several: subgradient steps. Sources: Kelley, The cutting-plane method, SIAM J. 8 (1960); Polyak, Minimization of
unsmooth functionals, USSR Comp. Math. 9 (1969).

Axes: D resources.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ttamer.planning.completions import Completions, make_completions, priced_use_D
from ttamer.planning.options import FULL, StageOptions
from ttamer.profiles.records import Floats

STEPS = 24
CALM = 1e-3  # of a step: below it further ones are not worth their time
KEPT = 5  # bounds: each is the tightest for some accuracies


@dataclass(frozen=True, slots=True, eq=False)
class Prices:
    """Bounds, the tightest first, and the choices within the limits that were met."""

    bounds: Sequence[Completions]
    choices: Sequence[list[int]]


@dataclass(frozen=True, slots=True, eq=False)
class _Trial:
    """The bound at some prices, what the best choice at them uses, and what a choice within the limits is worth."""

    completions: Completions
    used_D: Floats
    choice: list[int] | None
    worth: float

    @property
    def slope_D(self) -> Floats:
        """How the bound changes with the prices."""
        return FULL - self.used_D


def search_prices(stages: Sequence[StageOptions], weight: float) -> Prices:
    """Good bounds. weight: of the product of accuracies, 0 if they do not multiply."""
    resources = stages[0].use_OD.shape[1]
    search = {0: _no_price, 1: _tangents}.get(resources, _subgradients)
    trials = list(search(stages, weight))
    trials.sort(key=lambda trial: trial.completions.bound)
    choices = {tuple(trial.choice): None for trial in sorted(trials, key=lambda one: -one.worth) if trial.choice}
    return Prices([trial.completions for trial in trials[:KEPT]], [list(choice) for choice in choices])


def _try(stages: Sequence[StageOptions], weight: float, price_D: Floats) -> _Trial:
    completions = make_completions(stages, weight, price_D)
    choice, used_D, penalty, factor = completions.complete(0, np.zeros(len(price_D)), 1.0)
    is_sound = bool((used_D <= FULL).all())
    worth = weight * factor - penalty if is_sound else -np.inf
    return _Trial(completions, priced_use_D(completions), choice if is_sound else None, worth)


def _no_price(stages: Sequence[StageOptions], weight: float) -> Iterator[_Trial]:
    yield _try(stages, weight, np.zeros(0))


def _tangents(stages: Sequence[StageOptions], weight: float) -> Iterator[_Trial]:
    """The trial prices of one resource, from nothing and from a price that keeps its limit inwards."""
    low = _try(stages, weight, np.zeros(1))
    yield low
    if low.slope_D[0] >= 0:
        return
    high = _try(stages, weight, np.array([max(1e-9, abs(low.completions.bound))]))
    yield high
    for _ in range(STEPS):
        price = low.completions.price_D[0]
        if high.slope_D[0] < 0:
            low, price = high, 4 * high.completions.price_D[0]
            high = _try(stages, weight, np.array([price]))
            yield high
            continue
        met = high.completions.bound - low.completions.bound
        met += low.slope_D[0] * price - high.slope_D[0] * high.completions.price_D[0]
        middle = _try(stages, weight, np.array([met / (low.slope_D[0] - high.slope_D[0])]))
        yield middle
        expected = low.completions.bound + low.slope_D[0] * (middle.completions.price_D[0] - price)
        if middle.completions.bound <= expected + CALM * 1e-3 * max(1.0, abs(expected)):
            return
        low, high = (middle, high) if middle.slope_D[0] < 0 else (low, middle)


def _subgradients(stages: Sequence[StageOptions], weight: float) -> Iterator[_Trial]:
    """The trial prices of several resources, each step as long as the gap to the best choice known suggests."""
    price_D = np.zeros(stages[0].use_OD.shape[1])
    best, lowest, stretch = -np.inf, np.inf, 1.0
    best_price_D, slope_D = price_D, np.zeros_like(price_D)  # stay so where numbers are too large to bound anything
    for _ in range(STEPS):
        trial = _try(stages, weight, price_D)
        yield trial
        bound, best = trial.completions.bound, max(best, trial.worth)
        if bound < lowest:
            lowest, best_price_D, slope_D = bound, price_D, trial.slope_D
        else:
            stretch /= 2
        gap = lowest - best if np.isfinite(best) else abs(lowest) + 1.0
        length = float(slope_D @ slope_D)
        if gap <= 1e-12 * max(1.0, abs(lowest)) or length == 0 or stretch < CALM:
            return
        price_D = np.maximum(0.0, best_price_D - stretch * gap * slope_D / length)
