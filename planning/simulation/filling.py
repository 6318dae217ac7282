"""The rule that all batching clocks share: a batch starts when it is full, or when its time is up and a server is free.

A clock says from which moment its time runs, and how finely it is counted; see `clocks/`.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """When the time is up that a batch may wait to fill.

    from_pickup: the timeout runs from the moment at which a free server takes the oldest request, rather than from its
    arrival. held_s: the timeout as the server can hold it, in seconds, given the plan's.
    """

    from_pickup: bool
    held_s: Callable[[float], float]

    def __call__(
        self, arrivals_s: Sequence[float], first: int, free_s: float, size: int, timeout_s: float
    ) -> tuple[float, int]:
        """When the batch of request `first` starts, and the position behind its last request; see `fill`."""
        return fill(arrivals_s, first, free_s, size, self.held_s(timeout_s), self.from_pickup)


def fill(
    arrivals_s: Sequence[float], first: int, free_s: float, size: int, timeout_s: float, from_pickup: bool
) -> tuple[float, int]:
    """When the batch of request `first` starts, and the position behind its last request.

    arrivals_s ascends and holds every request that can be in the batch; free_s is when a server is free. A request that
    arrives at the very moment of the start is in the batch if there is room.

    >>> fill([1.0, 1.5, 4.0], first=0, free_s=0.0, size=2, timeout_s=2.0, from_pickup=False)
    (1.5, 2)
    """
    behind = first + size
    oldest_s = arrivals_s[first]
    ready_s = timeout_s + (free_s if from_pickup and free_s > oldest_s else oldest_s)
    if behind <= len(arrivals_s):
        full_s = arrivals_s[behind - 1]
        if full_s <= free_s:
            return free_s, behind
        if full_s <= ready_s:
            return full_s, behind
    else:
        behind = len(arrivals_s)
    start_s = ready_s if ready_s > free_s else free_s
    if arrivals_s[behind - 1] <= start_s:
        return start_s, behind
    return start_s, bisect_right(arrivals_s, start_s, first + 1, behind)
