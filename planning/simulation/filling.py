"""The rule that all batching clocks share: a batch starts when it is full, or when its time is up and a server is free.

A clock says at which moment the time is up; see `clocks/`.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence

Clock = Callable[[Sequence[float], int, float, int, float], tuple[float, int]]
"""(arrivals_s, first, free_s, size, timeout_s) -> when the batch of request `first` starts, and the position behind its
last request. arrivals_s ascends and holds every request that can be in the batch; free_s is when a server is free."""


def fill(arrivals_s: Sequence[float], first: int, free_s: float, size: int, ready_s: float) -> tuple[float, int]:
    """When the batch of request `first` starts if it waits until `ready_s` at most, and the position behind its last.

    A request that arrives at the very moment of the start is in the batch if there is room.

    >>> fill([1.0, 1.5, 4.0], first=0, free_s=0.0, size=2, ready_s=3.0)
    (1.5, 2)
    """
    behind = first + size
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
