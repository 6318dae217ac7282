"""Upper bounds on what the stages still to come can add, and choices for them that come close.

Every limited resource is given a price (Lagrange multiplier), and with prices in place of limits the stages come
apart: the best completion of a label depends only on its accuracy so far, P, and its value

    V_s(P) = max_o V_{s+1}(P · factor_o) − penalty_o − price · use_o,    V_S(P) = weight · P

is convex in P. On a grid of P, with lines between its points, it is therefore never too small.
Source: Fisher, The Lagrangian relaxation method, Management Science 27 (1981).

Axes: S stages, O options, D resources, N labels, G grid points.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ttamer.planning.options import FULL, StageOptions
from ttamer.profiles.records import Floats

GRID = 48  # points of P: the bound is loose by a millionth, and a stage takes 0.1 ms


@dataclass(frozen=True, slots=True, eq=False)
class Completions:
    """Bounds of a problem at one price of each resource. least_SD: what the stages from s on use at least."""

    stages: Sequence[StageOptions]
    weight: float
    price_D: Floats
    grid: Sequence[Floats]
    value: Sequence[Floats]
    least_SD: Floats

    def bound_N(self, stage: int, used_ND: Floats, penalty_N: Floats, factor_N: Floats) -> Floats:
        """What no completion of the labels from this stage on exceeds, loading aside."""
        value_N = _at(factor_N, self.grid[stage], self.value[stage])
        return np.asarray(value_N - penalty_N + (FULL - used_ND) @ self.price_D)

    @property
    def bound(self) -> float:
        """What no choice exceeds, loading aside."""
        return float(self.value[0][0] + self.price_D.sum() * FULL)

    def complete(self, stage: int, used_D: Floats, factor: float) -> tuple[list[int], Floats, float, float]:
        """The best options from this stage on at these prices, and what they use, cost and multiply to.

        Options that leave too little for the fastest rest are avoided while there are others.
        """
        chosen, used_D, penalty = list[int](), used_D.copy(), 0.0
        for place in range(stage, len(self.stages)):
            options = self.stages[place]
            worth_O = _at(factor * options.factor_O, self.grid[place + 1], self.value[place + 1])
            worth_O = worth_O - options.penalty_O - options.use_OD @ self.price_D
            fits_O = (used_D + options.use_OD + self.least_SD[place + 1] <= FULL).all(axis=1)
            option = int(np.argmax(np.where(fits_O, worth_O, worth_O - 1e9) if fits_O.any() else worth_O))
            chosen.append(option)
            used_D += options.use_OD[option]
            penalty += float(options.penalty_O[option])
            factor *= float(options.factor_O[option])
        return chosen, used_D, penalty, factor


def make_completions(stages: Sequence[StageOptions], weight: float, price_D: Floats) -> Completions:
    """The bounds at given prices. weight: of the product of accuracies, 0 if they do not multiply."""
    grid = _grids(stages, weight)
    value = [weight * grid[-1]]
    for options, points_G in zip(reversed(stages), reversed(grid[:-1]), strict=True):
        charge_O = options.penalty_O + options.use_OD @ price_D
        after_G = grid[len(grid) - len(value)]
        reached_GO = _at(np.multiply.outer(points_G, options.factor_O), after_G, value[-1])
        value.append((reached_GO - charge_O).max(axis=1))
    least_SD = np.zeros((len(stages) + 1, len(price_D)))
    for place in reversed(range(len(stages))):
        least_SD[place] = least_SD[place + 1] + stages[place].use_OD.min(axis=0)
    return Completions(stages, weight, price_D, grid, value[::-1], least_SD)


def _at(factor: Floats, grid_G: Floats, value_G: Floats) -> Floats:
    """The value between the grid's points; of a single point its value."""
    if len(grid_G) == 1:
        return np.full(np.shape(factor), value_G[0])
    return np.asarray(np.interp(factor, grid_G, value_G))


def _grids(stages: Sequence[StageOptions], weight: float) -> list[Floats]:
    """Points of P before each stage and after the last: from the least to the largest that can be."""
    low, high = 1.0, 1.0
    grids = [np.ones(1)]
    for options in stages:
        low, high = low * float(options.factor_O.min()), high * float(options.factor_O.max())
        is_one = weight == 0 or high == low
        grids.append(np.array([high]) if is_one else np.linspace(low, high * (1 + 1e-12), GRID))
    return grids


def priced_use_D(bounds: Completions) -> Floats:
    """What the best choice at these prices uses, limits aside."""
    factor, used_D = 1.0, np.zeros(len(bounds.price_D))
    for place, options in enumerate(bounds.stages):
        worth_O = _at(factor * options.factor_O, bounds.grid[place + 1], bounds.value[place + 1])
        option = int(np.argmax(worth_O - options.penalty_O - options.use_OD @ bounds.price_D))
        used_D = used_D + options.use_OD[option]
        factor *= float(options.factor_O[option])
    return np.asarray(used_D)


def picks_of(stages: Sequence[StageOptions], chosen: Sequence[int]) -> list[tuple[int, int]]:
    """Columns with their replicas of the chosen options."""
    return [pick for options, option in zip(stages, chosen, strict=True) for pick in options.picks[option]]


def load_s_of(stages: Sequence[StageOptions], chosen: Sequence[int]) -> float:
    """The longest load time among the chosen options."""
    return max(float(options.load_s_O[option]) for options, option in zip(stages, chosen, strict=True))
