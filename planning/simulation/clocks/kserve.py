"""KServe's batcher beside each pod: the timeout runs from the first request in its empty buffer, in whole ms.

While a batch is out the buffer takes in nothing. `maxLatency` is a whole number of milliseconds and 0 would mean 5000,
so a plan's timeout is rounded up, to 1 at least. Its timer is looked at every 0.1 ms, which is not modelled.
Source: kserve, pkg/batcher/handler.go.

>>> KSERVE([1.0, 2.0, 9.0], first=0, free_s=5.0, size=3, timeout_s=0.0104)
(5.011, 2)
"""

import math

from ttamer.planning.simulation.filling import Clock


def whole_milliseconds(timeout_s: float) -> float:
    """The timeout in whole milliseconds, rounded up to 1 at least, in seconds."""
    return max(1, math.ceil(round(1000 * timeout_s, 6))) / 1000


KSERVE = Clock(from_pickup=True, held_s=whole_milliseconds)
