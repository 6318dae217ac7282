"""KServe's batcher beside each pod: the timeout runs from the first request in its empty buffer, in whole ms."""

import math
from collections.abc import Sequence

from ttamer.planning.simulation.filling import fill


def kserve(arrivals_s: Sequence[float], first: int, free_s: float, size: int, timeout_s: float) -> tuple[float, int]:
    """Start and end of the next batch, see `Clock`; while a batch is out the buffer takes in nothing.

    `maxLatency` is a whole number of milliseconds and 0 would mean 5000, so a plan's timeout is rounded up to 1 at
    least. Its timer is looked at every 0.1 ms, which is not modelled. Source: kserve, pkg/batcher/handler.go.

    >>> kserve([1.0, 2.0, 9.0], first=0, free_s=5.0, size=3, timeout_s=0.0104)
    (5.011, 2)
    """
    oldest_s = arrivals_s[first]
    latency_s = max(1, math.ceil(round(1000 * timeout_s, 6))) / 1000
    return fill(arrivals_s, first, free_s, size, (oldest_s if oldest_s > free_s else free_s) + latency_s)
