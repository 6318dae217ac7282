"""Timings of one measured point: as the clock gave them, and with the machine's drift divided out.

Every single call is kept. Summaries are computed when asked, never stored.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from ttamer.profiles.errors import InputError
from ttamer.profiles.intervals import quantile_bound, quantile_interval


@dataclass(frozen=True, slots=True)
class Samples:
    """Seconds of single timed calls, in the order they were taken.

    seconds: at the speed at which the machine runs a reference kernel in a stated time, so that what was measured in
    slow and fast minutes can be compared. Every summary speaks of these.
    raw_seconds: of the same calls, as the clock gave them; the same numbers where no kernel was timed beside them.
    loops: calls per sample, by which each sample was divided already.
    counts: how many of the samples each of the measuring processes took, in their order.
    Raises InputError unless every sample is a finite number above zero and the lengths agree.
    """

    seconds: tuple[float, ...]
    loops: int = 1
    raw_seconds: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()

    def __init__(
        self,
        seconds: Sequence[float],
        loops: int = 1,
        raw_seconds: Sequence[float] | None = None,
        counts: Sequence[int] | None = None,
    ) -> None:
        object.__setattr__(self, "seconds", tuple(map(float, seconds)))
        object.__setattr__(self, "loops", loops)
        raw = self.seconds if raw_seconds is None else tuple(map(float, raw_seconds))
        object.__setattr__(self, "raw_seconds", raw)
        object.__setattr__(self, "counts", (len(self.seconds),) if counts is None else tuple(counts))
        self._check()

    def _check(self) -> None:
        every = (*self.seconds, *self.raw_seconds)
        if not self.seconds or min(every) <= 0 or not math.isfinite(sum(every)):
            raise InputError("timings must be finite and above zero", remedy="measure the point again")
        if len(self.raw_seconds) != len(self.seconds) or sum(self.counts) != len(self.seconds) or min(self.counts) < 1:
            raise InputError(
                f"{len(self.seconds)} timings, {len(self.raw_seconds)} raw ones and processes with "
                f"{', '.join(map(str, self.counts))} do not belong together",
                remedy="measure the point again",
            )

    def __len__(self) -> int:
        return len(self.seconds)

    def quantile_s(self, q: float) -> float:
        """The q-quantile as an observed sample (the next higher one), so tails are never invented."""
        return float(np.quantile(self.seconds, q, method="higher"))

    def median_s(self) -> float:
        """The median of the samples."""
        return float(np.median(self.seconds))

    def raw_median_s(self) -> float:
        """The median as the clock gave it."""
        return float(np.median(self.raw_seconds))

    def mean_s(self) -> float:
        """The mean of the samples."""
        return float(np.mean(self.seconds))

    def interval_s(self, q: float, confidence: float = 0.95) -> tuple[float, float]:
        """The distribution-free confidence interval of the q-quantile; inf where the samples are too few."""
        return quantile_interval(self.seconds, q, confidence)

    def bound_s(self, q: float, confidence: float = 0.95) -> float:
        """The distribution-free upper bound of the q-quantile, one-sided; the largest sample where they are too few."""
        return min(quantile_bound(self.seconds, q, confidence), max(self.seconds))

    def by_process(self) -> list[tuple[float, ...]]:
        """The samples of each measuring process."""
        ends = [0, *accumulate(self.counts)]
        return [self.seconds[start:end] for start, end in pairwise(ends)]

    def process_medians_s(self) -> list[float]:
        """The median of each measuring process."""
        return [float(np.median(some)) for some in self.by_process()]

    def pessimistic(self) -> "Samples":
        """The samples, slower by what is not known of them, so that a plan may rest on them.

        Their median is at its upper bound, the worst process's: the 95 % bound of its own median, or of all samples if
        that is higher. Their mean is no less than what the clock gave: a machine that drifts is slow for minutes.
        """
        bounds_s = [min(quantile_bound(some, 0.5), max(some)) for some in (self.seconds, *self.by_process())]
        as_measured = float(np.mean(self.raw_seconds)) / self.mean_s()
        slower = max(1.0, max(bounds_s) / self.median_s(), as_measured)
        return Samples([slower * second for second in self.seconds], self.loops, self.raw_seconds, self.counts)
