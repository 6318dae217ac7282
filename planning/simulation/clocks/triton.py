"""Triton: the timeout runs from the enqueueing of the oldest request, in whole microseconds."""

from collections.abc import Sequence

from ttamer.planning.simulation.filling import fill


def triton(arrivals_s: Sequence[float], first: int, free_s: float, size: int, timeout_s: float) -> tuple[float, int]:
    """Start and end of the next batch, see `Clock`: as ideal, its preferred size being the largest.

    `max_queue_delay_microseconds` cannot hold fractions. A batch that has been formed but not begun still takes in
    requests as they come, so waiting for an instance costs nothing. Source: triton core,
    src/dynamic_batch_scheduler.cc, GetDynamicBatch.

    >>> triton([1.0, 2.0, 9.0], first=0, free_s=0.0, size=3, timeout_s=0.0000014)
    (1.000001, 1)
    """
    return fill(arrivals_s, first, free_s, size, arrivals_s[first] + round(1e6 * timeout_s) / 1e6)
