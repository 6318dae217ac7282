"""Raw timings of one measured point. Summaries are computed when asked, never stored."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ttamer.profiles.errors import InputError
from ttamer.profiles.intervals import quantile_interval


@dataclass(frozen=True, slots=True)
class Samples:
    """Seconds of single timed calls, in the order they were taken.

    loops: calls per sample, by which each sample was divided already.
    Raises InputError unless every sample is a finite number above zero.
    """

    seconds: tuple[float, ...]
    loops: int = 1

    def __init__(self, seconds: Sequence[float], loops: int = 1) -> None:
        object.__setattr__(self, "seconds", tuple(float(second) for second in seconds))
        object.__setattr__(self, "loops", loops)
        if not self.seconds or not all(0 < second < float("inf") for second in self.seconds):
            raise InputError("timings must be finite and above zero", remedy="measure the point again")

    def __len__(self) -> int:
        return len(self.seconds)

    def quantile_s(self, q: float) -> float:
        """The q-quantile as an observed sample (the next higher one), so tails are never invented."""
        return float(np.quantile(self.seconds, q, method="higher"))

    def median_s(self) -> float:
        """The median of the samples."""
        return float(np.median(self.seconds))

    def mean_s(self) -> float:
        """The mean of the samples."""
        return float(np.mean(self.seconds))

    def interval_s(self, q: float, confidence: float = 0.95) -> tuple[float, float]:
        """The distribution-free confidence interval of the q-quantile; inf where the samples are too few."""
        return quantile_interval(self.seconds, q, confidence)
