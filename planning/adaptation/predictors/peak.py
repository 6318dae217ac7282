"""The peak of a Poisson load whose rate is the recent mean: needs nothing to learn from.

If requests come independently at rate λ, the highest of h seconds stays at or below k with probability F(k; λ)^h. The
prediction is the smallest k that reaches the level. λ: the higher of two means, of the last ten seconds' and of the
last minute's load, so that a rise is followed at once and a single quiet moment is not. Where each value is a mean of
m seconds, the counts are those of m seconds, and h / m of them follow one another.
Source: the distribution of the maximum of independent variables (David & Nagaraja, Order Statistics, 2003, sec. 2.1).

Axes: N histories, T seconds, K counts from 0 on.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from ttamer.planning.adaptation.predictors.protocol import Training
from ttamer.profiles.records import Floats

SHORT_S, LONG_S = 10, 60
NORMAL_FROM = 500.0  # requests/s: beyond, counts are listed around the mean alone
DEVIATIONS = 12.0  # of the mean, to which counts are listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """The load that the highest of `horizon_s` seconds does not exceed with probability `level`.

    averaged_s: seconds that each value of the load is a mean of.
    """

    horizon_s: int = 20
    level: float = 0.5
    averaged_s: int = 1
    window_s: int = LONG_S

    @classmethod
    def learned(cls, training: Training) -> Self:
        """There is nothing to learn but what is asked for."""
        return cls(horizon_s=training.horizon_s, level=training.level, averaged_s=training.averaged_s)

    def predict(self, load_rps_NT: Floats) -> Floats:
        """The quantile of the peak at each history's rate."""
        rate_N = np.maximum(load_rps_NT.mean(axis=1), load_rps_NT[:, -SHORT_S:].mean(axis=1))
        known, place_N = np.unique(rate_N, return_inverse=True)
        spans = max(1, round(self.horizon_s / self.averaged_s))
        peaks = [poisson_peak(float(rate) * self.averaged_s, spans, self.level) / self.averaged_s for rate in known]
        return np.array(peaks)[place_N]


def poisson_peak(mean: float, seconds: int, level: float) -> float:
    """The smallest k such that the highest of independent Poisson counts is at most k with probability `level`.

    >>> poisson_peak(0.0, 20, 0.5), poisson_peak(10.0, 1, 0.5), poisson_peak(10.0, 20, 0.5)
    (0.0, 10.0, 16.0)
    """
    if mean <= 0:
        return 0.0
    reach = DEVIATIONS * np.sqrt(mean) + DEVIATIONS
    first = max(0, int(mean - reach)) if mean > NORMAL_FROM else 0
    count_K = np.arange(first, int(mean + reach) + 2)
    log_ratio_K = np.log(mean) - np.log(np.maximum(count_K, 1))  # P(k) = P(k - 1) mean / k
    log_share_K = np.cumsum(log_ratio_K) - log_ratio_K[0]
    share_K = np.exp(log_share_K - log_share_K.max())
    below_K = np.cumsum(share_K) / share_K.sum()
    return float(count_K[int(np.searchsorted(below_K, level ** (1 / seconds)))])
