"""The clock that plans are made for: the timeout runs from the arrival of the oldest request, come what may."""

from collections.abc import Sequence

from ttamer.planning.simulation.filling import fill


def ideal(arrivals_s: Sequence[float], first: int, free_s: float, size: int, timeout_s: float) -> tuple[float, int]:
    """Start and end of the next batch, see `Clock`; a request whose timeout ran out in the queue waits no longer.

    >>> ideal([1.0, 2.0, 9.0], first=0, free_s=5.0, size=3, timeout_s=3.0)
    (5.0, 2)
    """
    return fill(arrivals_s, first, free_s, size, arrivals_s[first] + timeout_s)
