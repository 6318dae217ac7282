"""Upper bounds on what the stages still to come can add, and choices for them that come close.

With prices in place of limits the stages come apart. A choice whose product of accuracies P lies in a range has
weight × P ≤ tilt · log P + offset there for every tilt, offset being what is missing at the ends of the range, so it
is worth no more than

    offset + price · limits + Σ_s max_o (tilt · log factor_o − penalty_o − price · use_o)

and the same holds for what completes a label, from the stages still to come. The best of the ranges bounds them all.

Axes: S stages, O options, D resources, N labels, K prices, I ranges.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ttamer.planning.options import FULL, StageOptions
from ttamer.planning.partial_choices import PartialChoices
from ttamer.planning.prices import Span, log_of
from ttamer.profiles.records import Floats, Ints

OVERFULL = 1e30  # what an option counts for that leaves too little for the stages after it


@dataclass(frozen=True, slots=True, eq=False)
class Completions:
    """Bounds from K prices. near: of each range the prices that bound it well, offset_IK: what they miss there.

    rest_SK: what the stages from s on are worth at most. least_SD: what they use at least.
    """

    stages: Sequence[StageOptions]
    weight: float
    spans: Sequence[Span]
    near: Sequence[list[int]]
    tilt_K: Floats
    price_KD: Floats
    offset_IK: Floats
    rest_SK: Floats
    least_SD: Floats

    def within(self, kept: Sequence[int]) -> "Completions":
        """The bounds in some of the ranges alone."""
        return replace(
            self, spans=[self.spans[i] for i in kept], near=[self.near[i] for i in kept],
            offset_IK=self.offset_IK[list(kept)],
        )  # fmt: skip

    @property
    def bound_I(self) -> Floats:
        """What no choice in each range exceeds, loading aside."""
        return np.asarray(self._at_best(self.rest_SK[:1] + FULL * self.price_KD.sum(axis=1))[0])

    @property
    def bound(self) -> float:
        """What no choice exceeds, loading aside."""
        return float(self.bound_I.max(initial=-np.inf))

    def bound_N(self, stage: int, labels: PartialChoices) -> Floats:
        """What no completion of the labels from this stage on exceeds, loading aside."""
        worth_NK = self._worth_NK(labels) + self.rest_SK[stage] + FULL * self.price_KD.sum(axis=1)
        return np.asarray(self._at_best(worth_NK).max(axis=1, initial=-np.inf))

    def option_bounds(self) -> list[Floats]:
        """Per stage, what no choice with each of its options exceeds, loading aside."""
        whole_K = self.rest_SK[0] + FULL * self.price_KD.sum(axis=1)
        made = []
        for options in self.stages:
            worth_OK = self.worth_OK(options)
            made.append(self._at_best(whole_K + worth_OK - worth_OK.max(axis=0)).max(axis=1, initial=-np.inf))
        return made

    def worth_OK(self, options: StageOptions) -> Floats:
        """What each option of a stage is worth at each of the prices."""
        return np.asarray(
            np.outer(log_of(options.factor_O), self.tilt_K)
            - options.penalty_O[:, None]
            - options.use_OD @ self.price_KD.T
        )

    def completed(self, stage: int, labels: PartialChoices, price_N: Ints) -> tuple[PartialChoices, Ints]:
        """The labels with the best options from this stage on, each at its price, and those options.

        Options that leave too little for the stages after them are avoided while there are others.
        """
        chosen = np.empty((len(price_N), len(self.stages) - stage), dtype=np.int64)
        for place in range(stage, len(self.stages)):
            options = self.stages[place]
            room_ND = FULL - labels.used_ND - self.least_SD[place + 1]
            fits_NO = (options.use_OD[None, :, :] <= room_ND[:, None, :]).all(axis=2)
            worth_NO = self.worth_OK(options).T[price_N]
            option_N = np.argmax(np.where(fits_NO, worth_NO, worth_NO - OVERFULL), axis=1)
            chosen[:, place - stage] = option_N
            labels = labels.extended(options, option_N)
        return labels, chosen

    def price_of(self, stage: int, labels: PartialChoices) -> Ints:
        """Of each label the price that bounds it in the range where it may be worth most."""
        worth_NK = self._worth_NK(labels) + self.rest_SK[stage] + FULL * self.price_KD.sum(axis=1)
        span_N = self._at_best(worth_NK).argmax(axis=1)
        return np.array([self.near[span][0] for span in span_N.tolist()], dtype=np.int64)

    def _worth_NK(self, labels: PartialChoices) -> Floats:
        """What the labels themselves are worth at each of the prices."""
        worth_NK = -(labels.used_ND @ self.price_KD.T) - labels.penalty_N[:, None]
        if self.tilt_K.any():
            worth_NK += np.outer(log_of(labels.factor_N), self.tilt_K)
        return np.asarray(worth_NK)

    def _at_best(self, worth_NK: Floats) -> Floats:
        """The bounds in each range (N × I): by the best of its prices."""
        best_NI = np.empty((len(worth_NK), len(self.near)))
        for number, near in enumerate(self.near):
            best_NI[:, number] = (worth_NK[:, near] + self.offset_IK[number, near]).min(axis=1)
        return best_NI


def make_completions(
    stages: Sequence[StageOptions], weight: float, spans: Sequence[Span], prices: Sequence[tuple[float, Floats]]
) -> Completions:
    """The bounds from one price for each range, which its neighbours use too."""
    count = len(spans)
    tilt_K = np.array([tilt for tilt, _ in prices])
    price_KD = np.array([price_D for _, price_D in prices]).reshape(count, -1)
    rest_SK = np.zeros((len(stages) + 1, count))
    least_SD = np.zeros((len(stages) + 1, price_KD.shape[1]))
    for place in reversed(range(len(stages))):
        options = stages[place]
        worth_OK = np.outer(log_of(options.factor_O), tilt_K) - options.penalty_O[:, None]
        rest_SK[place] = rest_SK[place + 1] + (worth_OK - options.use_OD @ price_KD.T).max(axis=0)
        least_SD[place] = least_SD[place + 1] + options.use_OD.min(axis=0)
    return Completions(
        stages=stages, weight=weight, spans=spans, near=[_near(number, spans, tilt_K) for number in range(count)],
        tilt_K=tilt_K, price_KD=price_KD,
        offset_IK=np.array([_offsets(span, weight, tilt_K) for span in spans]).reshape(count, count),
        rest_SK=rest_SK, least_SD=least_SD,
    )  # fmt: skip


def _near(number: int, spans: Sequence[Span], tilt_K: Floats) -> list[int]:
    """The range's own price, then its neighbours'; only prices without a tilt bound a range that reaches to 0."""
    near = [number, *(one for one in (number - 1, number + 1) if 0 <= one < len(spans))]
    return near if np.isfinite(spans[number].low) else [one for one in near if tilt_K[one] == 0]


def _offsets(span: Span, weight: float, tilt_K: Floats) -> Floats:
    """The most that weight × P exceeds tilt · log P by in the range: at one of its ends, being convex."""
    high_K = weight * np.exp(span.high) - tilt_K * span.high if weight > 0 else np.zeros(len(tilt_K))
    if not np.isfinite(span.low):
        return np.asarray(high_K)
    return np.asarray(np.maximum(high_K, weight * np.exp(span.low) - tilt_K * span.low))


def picks_of(stages: Sequence[StageOptions], chosen: Sequence[int]) -> list[tuple[int, int]]:
    """Columns with their replicas of the chosen options."""
    return [pick for options, option in zip(stages, chosen, strict=True) for pick in options.picks[option]]


def load_s_of(stages: Sequence[StageOptions], chosen: Sequence[int]) -> float:
    """The longest load time among the chosen options."""
    return max(float(options.load_s_O[option]) for options, option in zip(stages, chosen, strict=True))
