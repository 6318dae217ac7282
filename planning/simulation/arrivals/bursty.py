"""Bursty arrivals: a Poisson process whose rate a Markov chain switches between quiet times and bursts.

Candidates come at the rate of bursts; of those that come in quiet times only a part is kept (thinning).

Axes: C candidates.

Source of the model: Fischer & Meier-Hellstern, The Markov-modulated Poisson process cookbook (1993); Poisson bursts
of fixed rates are its case of two states.
"""

import numpy as np
from numpy.typing import NDArray

from ttamer.profiles.errors import InputError

PEAK = 3.0  # times the mean rate, during bursts
SHARE = 0.1  # of the time is burst
BURST_S = 1.0  # a burst's mean length


def bursty(
    rate_rps: float,
    count: int,
    rng: np.random.Generator,
    *,
    peak: float = PEAK,
    share: float = SHARE,
    burst_s: float = BURST_S,
) -> NDArray[np.float64]:
    """Arrival times in seconds whose long-run mean rate is rate_rps, from a start that is as likely as any.

    peak: rate during bursts over the mean rate; share: of the time that is burst; burst_s: mean length of a burst.
    Bursts and quiet times have exponential lengths. Raises InputError unless the quiet rate is 0 or more.

    >>> times_s = bursty(100.0, 200_000, np.random.default_rng(0))
    >>> bool(0.92 < 2000 / times_s[-1] < 1.08)  # four standard deviations
    True
    """
    if not 0 < share < 1 or not 1 <= peak <= 1 / share or not burst_s > 0:
        raise InputError(
            f"bursts of {peak:g} times the mean rate for {share:g} of the time, {burst_s:g} s long",
            remedy="the share lies between 0 and 1, the peak between 1 and 1 / share",
        )
    kept = (1 - peak * share) / (1 - share) / peak  # of the candidates of quiet times
    memory_s = burst_s * (1 - share)  # 1 / (rate out of bursts + rate into them)
    pieces, found, start_s, is_burst = [np.empty(0)], 0, 0.0, bool(rng.random() < share)
    while found < count:
        candidates = round(1.1 * peak * (count - found)) + 100
        gap_s = rng.exponential(1 / (peak * rate_rps), candidates)
        is_burst_C = _states(is_burst, np.exp(-gap_s / memory_s), share, rng)
        time_s_C = start_s + np.cumsum(gap_s)
        pieces.append(time_s_C[is_burst_C | (rng.random(candidates) < kept)])
        found, start_s, is_burst = found + len(pieces[-1]), float(time_s_C[-1]), bool(is_burst_C[-1])
    return np.concatenate(pieces)[:count]


def _states(first: bool, remembers_C: NDArray[np.float64], share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Whether it is burst at each of C moments, the chain being the same as at the one before or else drawn anew.

    That a chain of two states forgets all at once, with probability 1 - exp(-gap / memory), makes this exact.
    """
    anew_C = rng.random(len(remembers_C)) >= remembers_C
    drawn_C = rng.random(len(remembers_C)) < share
    last_C = np.maximum.accumulate(np.where(anew_C, np.arange(len(anew_C)), -1))
    return np.where(last_C < 0, first, drawn_C[last_C])
