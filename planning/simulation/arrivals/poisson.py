"""Poisson arrivals: many independent users, each of whom rarely asks."""

import numpy as np
from numpy.typing import NDArray


def poisson(rate_rps: float, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Arrival times in seconds with independent exponential gaps of mean 1 / rate_rps, none of them clipped.

    >>> bool(abs(poisson(4.0, 100_000, np.random.default_rng(0))[-1] - 25_000) < 3 * 25_000 / 100_000**0.5)
    True
    """
    return np.cumsum(rng.exponential(1 / rate_rps, count))
