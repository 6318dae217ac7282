"""Ray Serve: the timeout runs from the moment at which the free replica takes the first request of a batch."""

from collections.abc import Sequence

from ttamer.planning.simulation.filling import fill


def ray_serve(arrivals_s: Sequence[float], first: int, free_s: float, size: int, timeout_s: float) -> tuple[float, int]:
    """Start and end of the next batch, see `Clock`: a request may wait for a whole batch and then for the timeout.

    `@serve.batch` runs one batch at a time (max_concurrent_batches=1), and `wait_for_batch` starts its clock when it
    has taken the first request out of the queue. Source: ray, python/ray/serve/batching.py.

    >>> ray_serve([1.0, 2.0, 9.0], first=0, free_s=5.0, size=3, timeout_s=3.0)
    (8.0, 2)
    """
    oldest_s = arrivals_s[first]
    return fill(arrivals_s, first, free_s, size, (oldest_s if oldest_s > free_s else free_s) + timeout_s)
