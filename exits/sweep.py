"""Every trade-off between loss and time that is optimal at some price, found by bisecting chords.

Whatever solves `least of loss + price x time` gives a corner of the frontier's convex hull. The price of the chord
between two known corners either finds a third one beyond it or proves that there is none: two solutions a corner,
where a grid of prices wastes most of its own and misses corners.

Source: Eisner and Severance, J. ACM 23 (1976), 619-635.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count, pairwise

LEAST_PRICE, MOST_PRICE = 1e-5, 30.0  # errors one run of the backbone is worth
GAIN = 1e-9  # of loss + price x time; below it, a corner is rounding


@dataclass(frozen=True, slots=True)
class Corner:
    """A corner of the frontier: loss, time as a share of the backbone's, and a price at which it is best."""

    price: float
    loss: float
    time: float

    def at(self, price: float) -> float:
        """Loss plus time at a price."""
        return self.loss + price * self.time


def corners(
    solve: Callable[[float], Corner],
    *,
    most: int | None = None,
    least: float = LEAST_PRICE,
    dearest: float = MOST_PRICE,
) -> list[Corner]:
    """The corners of the frontier between two prices, the cheapest price, and so the slowest corner, first.

    solve: the best corner at a price. most: stop at about this many, the widest gaps being filled first; None for all.
    The price of a corner is one at which no other is better, apart from its neighbours.
    """
    slow, fast = solve(least), solve(dearest)
    found = [slow, fast]
    number = count()
    open_chords = [(0.0, next(number), slow, fast)]
    while open_chords and (most is None or len(found) < most):
        _, _, slow, fast = heapq.heappop(open_chords)
        if slow.time - fast.time <= GAIN or fast.loss - slow.loss <= GAIN:
            continue
        price = (fast.loss - slow.loss) / (slow.time - fast.time)
        middle = solve(price)
        if slow.at(price) - middle.at(price) <= GAIN:
            continue
        found.append(middle)
        for one, other in ((slow, middle), (middle, fast)):
            width = (one.time - other.time) * (other.loss - one.loss)
            heapq.heappush(open_chords, (-width, next(number), one, other))
    return _centred(sorted(found, key=lambda corner: (-corner.time, corner.loss)))


def _centred(found: list[Corner]) -> list[Corner]:
    """Each corner once, with a price between those at which its neighbours take over."""
    kept: list[Corner] = []
    for corner in found:
        if not kept or (kept[-1].time - corner.time > GAIN and corner.loss - kept[-1].loss > GAIN):
            kept.append(corner)
    takeovers = [
        LEAST_PRICE,
        *((b.loss - a.loss) / (a.time - b.time) for a, b in pairwise(kept)),
        MOST_PRICE,
    ]
    return [Corner((takeovers[i] * takeovers[i + 1]) ** 0.5, corner.loss, corner.time) for i, corner in enumerate(kept)]
