"""A batching server simulated in many lanes at once, with the very result of going through its requests in order.

A block of requests is cut into lanes. Each lane guesses that the server is idle when its first request comes, and all
go on batch by batch together, as columns of arrays. Then every lane is told how the one before it ended, and starts
anew from there until it meets its guess: the same request first in a batch that starts at the same moment. From then on
the guess was right, because what a batch takes belongs to the place where it begins (`drawn`). A busy server forgets
how it began only when it catches up; lanes that have not met their guess by their end tell the next one, and where that
goes on for too long the block is left to be simulated in order.

Source of the idea: time-parallel simulation; Greenberg, Lubachevsky & Mitrani, Algorithms for unboundedly parallel
simulations, ACM TOCS 9 (1991).

Axes: N requests of a block, L lanes, J batches in order, B places in a batch.
"""

from dataclasses import dataclass

import numpy as np

from ttamer.planning.simulation.drawn import DrawnBatches
from ttamer.profiles.records import Floats, Ints

LANE = 256  # requests, of which a batching server needs a few dozen to forget how it began
MOST_ROUNDS = 8
BY_SEARCH = 12  # requests in a batch, from which a search for its last one is quicker than looking at each


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """The batches of a block, in order: of request first_J on, count_J requests; the server is busy in between."""

    first_J: Ints
    count_J: Ints
    start_s_J: Floats
    end_s_J: Floats


def run_block(
    arrival_s_N: Floats, block: int, free_s: float, size: int, timeout_s: float, from_pickup: bool, drawn: DrawnBatches
) -> Block | None:
    """The batches that begin with the first `block` requests; None if they depend on each other for too long.

    arrival_s_N holds `size` arrivals more than the block, infinite where there are none. free_s: when the server is
    free. from_pickup: see `Clock`.
    """
    lanes = _Lanes(arrival_s_N, block, size, timeout_s, from_pickup, drawn)
    edges_L = np.arange(0, block, max(LANE, 4 * size))
    limit_L = np.append(edges_L[1:], block)
    free_s_L = np.full(len(edges_L), -np.inf)
    free_s_L[0] = free_s
    end_L, end_s_L = lanes.advance(edges_L, free_s_L, limit_L, anew=False)
    behind_L = np.arange(1, len(edges_L))  # lanes that must hear how the one before them ended
    for _ in range(MOST_ROUNDS):
        if not len(behind_L):
            return lanes.batches()
        first_L = end_L[behind_L - 1]
        lanes.forget_between(edges_L[behind_L], first_L)
        new_L, new_s_L = lanes.advance(first_L, end_s_L[behind_L - 1], limit_L[behind_L], anew=True)
        is_new_L = new_L >= 0
        changed_L = behind_L[is_new_L]
        end_L[changed_L], end_s_L[changed_L] = new_L[is_new_L], new_s_L[is_new_L]
        behind_L = changed_L[changed_L + 1 < len(edges_L)] + 1
        if len(behind_L) > len(edges_L) // 4:  # hardly anybody met its guess: the server never catches up
            return None
    return None if len(behind_L) else lanes.batches()


class _Lanes:
    """What is known of a block: at the place of each batch's first request its size, start and end."""

    def __init__(
        self, arrival_s_N: Floats, block: int, size: int, timeout_s: float, from_pickup: bool, drawn: DrawnBatches
    ) -> None:
        self.arrival_s_N, self.size, self.timeout_s, self.from_pickup = arrival_s_N, size, timeout_s, from_pickup
        self.drawn, self.places_B = drawn, np.arange(size)
        self.count_N = np.zeros(block, dtype=np.int32)
        self.start_s_N, self.end_s_N = np.empty(block), np.empty(block)

    def advance(self, first_L: Ints, free_s_L: Floats, limit_L: Ints, *, anew: bool) -> tuple[Ints, Floats]:
        """Let lanes go on from these requests to their limits; anew: or to a batch that is known already.

        Returns the first request behind each lane's last batch and when the server is free for it; -1 where a lane met
        what was known, so that its end is known too.
        """
        behind_L, behind_s_L = np.full(len(first_L), -1), np.full(len(first_L), np.nan)
        lane_L, first_L = np.arange(len(first_L)), first_L.copy()
        while True:
            is_over_L = first_L >= limit_L
            if is_over_L.any():
                behind_L[lane_L[is_over_L]], behind_s_L[lane_L[is_over_L]] = first_L[is_over_L], free_s_L[is_over_L]
                goes_on_L = ~is_over_L
                lane_L, first_L, limit_L = lane_L[goes_on_L], first_L[goes_on_L], limit_L[goes_on_L]
                free_s_L = free_s_L[goes_on_L]
            if not len(lane_L):
                return behind_L, behind_s_L
            start_s_L, count_L = self._begin(first_L, free_s_L)
            if anew:
                goes_on_L = (self.count_N[first_L] == 0) | (self.start_s_N[first_L] != start_s_L)
                lane_L, first_L, limit_L = lane_L[goes_on_L], first_L[goes_on_L], limit_L[goes_on_L]
                start_s_L, count_L = start_s_L[goes_on_L], count_L[goes_on_L]
            free_s_L = start_s_L + self.drawn.busy_s(first_L, count_L)
            self.count_N[first_L], self.start_s_N[first_L], self.end_s_N[first_L] = count_L, start_s_L, free_s_L
            behind = first_L + count_L
            if anew:
                self.forget_between(first_L + 1, np.minimum(behind, limit_L))
            first_L = behind

    def _begin(self, first_L: Ints, free_s_L: Floats) -> tuple[Floats, Ints]:
        """When the batches of these requests start, and how many requests are in each; see `fill`."""
        opened_s_L = self.arrival_s_N[first_L]
        if self.from_pickup:
            opened_s_L = np.maximum(opened_s_L, free_s_L)
        full_s_L = self.arrival_s_N[first_L + (self.size - 1)]
        start_s_L = np.maximum(free_s_L, np.minimum(full_s_L, opened_s_L + self.timeout_s))
        if self.size >= BY_SEARCH:
            count_L = np.searchsorted(self.arrival_s_N, start_s_L, side="right") - first_L
            return start_s_L, np.clip(count_L, 1, self.size)
        here_LB = self.arrival_s_N[first_L[:, None] + self.places_B] <= start_s_L[:, None]
        return start_s_L, np.maximum(here_LB.sum(axis=1), 1)

    def forget_between(self, from_L: Ints, to_L: Ints) -> None:
        """Let no batch begin at these places any more: they are within others."""
        place_LB = from_L[:, None] + self.places_B
        self.count_N[place_LB[place_LB < to_L[:, None]]] = 0

    def batches(self) -> Block:
        """All batches that are known, in order."""
        first_J = np.flatnonzero(self.count_N)
        return Block(
            first_J, self.count_N[first_J].astype(np.int64), self.start_s_N[first_J], self.end_s_N[first_J]
        )  # fmt: skip
