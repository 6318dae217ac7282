"""Arrivals at equal distances: a load without any variation, the best case of every queue."""

import numpy as np
from numpy.typing import NDArray


def constant(rate_rps: float, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Arrival times in seconds with every gap 1 / rate_rps; the generator is not used.

    >>> constant(4.0, 3, np.random.default_rng(0)).tolist()
    [0.25, 0.5, 0.75]
    """
    return np.arange(1, count + 1) / rate_rps
