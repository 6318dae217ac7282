"""Arrival processes: functions (rate_rps, count, rng) that return `count` arrival times in seconds, ascending."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from ttamer.planning.simulation.arrivals.bursty import bursty
from ttamer.planning.simulation.arrivals.constant import constant
from ttamer.planning.simulation.arrivals.poisson import poisson

ArrivalProcess = Callable[[float, int, np.random.Generator], NDArray[np.float64]]

ARRIVALS: Mapping[str, ArrivalProcess] = {
    "constant": constant,
    "poisson": poisson,
    "bursty": bursty,
}
