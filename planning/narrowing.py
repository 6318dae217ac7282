"""Where the best choice can lie: the ranges of the product of accuracies and the options that can beat what is known.

Axes: S stages, O options, N choices, I ranges.
"""

from collections.abc import Callable, Sequence

import numpy as np

from ttamer.planning.completions import Completions, make_completions
from ttamer.planning.options import FULL, StageOptions
from ttamer.planning.partial_choices import PartialChoices
from ttamer.planning.prices import Relaxed, Span

ROUNDS = 4  # of halving those that remain
MOST_RANGES = 16
FINE = 0.1  # of the distance to the best choice known: a line as near to the product as that is near enough

Offer = Callable[[PartialChoices, np.ndarray], float]


def narrowed(
    stages: Sequence[StageOptions], weight: float, ranges: Sequence[Span], offer: Offer | float
) -> Completions:  # fmt: skip
    """The bounds in those of the ranges whose bounds exceed the target, halved while it helps.

    offer: takes choices that are met on the way and gives the target, what a choice must exceed; or a target.
    """
    relaxed = Relaxed(stages, weight)
    for left in reversed(range(ROUNDS)):
        completions = make_completions(stages, weight, ranges, [relaxed.prices(span) for span in ranges])
        target = offer if isinstance(offer, float) else offer(*_met(completions))
        bound_I = completions.bound_I
        alive = np.flatnonzero(bound_I > target).tolist()
        coarse = [i for i in alive if _is_coarse(completions.spans[i], weight, float(bound_I[i]) - target)]
        if not left or not coarse or len(alive) + len(coarse) > MOST_RANGES:
            break
        ranges = [part for i in alive for part in (_halves(ranges[i]) if i in coarse else [ranges[i]])]
    return completions.within(alive)


def _met(completions: Completions) -> tuple[PartialChoices, np.ndarray]:
    """The choices that are best at each of the prices, as far as they keep the limits, and their options."""
    count = len(completions.spans)
    labels, chosen = completions.completed(
        0, PartialChoices.start(completions.least_SD.shape[1], count), np.arange(count)
    )
    kept = np.flatnonzero((labels.used_ND <= FULL).all(axis=1))
    return labels.chosen(kept), chosen[kept]


def _is_coarse(span: Span, weight: float, distance: float) -> bool:
    if weight == 0 or not np.isfinite(span.low):
        return False
    return bool(weight * np.exp(span.high) * (span.high - span.low) ** 2 / 8 > FINE * distance)


def _halves(span: Span) -> list[Span]:
    middle = (span.low + span.high) / 2
    return [Span(span.low, middle), Span(middle, span.high)]


def promising(completions: Completions, target: float) -> list[StageOptions]:
    """The options that some choice above the target may be made of."""
    return [
        options.chosen(np.flatnonzero(bound_O > target))
        for options, bound_O in zip(completions.stages, completions.option_bounds(), strict=True)
    ]
