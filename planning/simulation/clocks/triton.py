"""Triton: the timeout runs from the enqueueing of the oldest request, in whole microseconds.

`max_queue_delay_microseconds` cannot hold fractions; the preferred batch size is the largest. A batch that has been
formed but not begun still takes in requests as they come, so waiting for an instance costs nothing.
Source: triton core, src/dynamic_batch_scheduler.cc, GetDynamicBatch.

>>> TRITON([1.0, 2.0, 9.0], first=0, free_s=0.0, size=3, timeout_s=0.0000014)
(1.000001, 1)
"""

from ttamer.planning.simulation.filling import Clock


def whole_microseconds(timeout_s: float) -> float:
    """The timeout to the nearest microsecond, in seconds."""
    return round(1e6 * timeout_s) / 1e6


TRITON = Clock(from_pickup=False, held_s=whole_microseconds)
