"""One replica: a server with a first-come, first-served queue that takes requests in batches.

Axes: N requests of this replica in order of arrival, J batches in order of service, K exits.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ttamer.planning.simulation.clocks import CLOCKS
from ttamer.planning.simulation.filling import fill
from ttamer.planning.simulation.lanes import run_block
from ttamer.planning.simulation.line import Arrivals
from ttamer.planning.simulation.service import BatchService
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Floats, Ints
from ttamer.profiles.registry import lookup

PIECE = 16_384  # requests that are Python's floats at a time
BLOCK = 131_072  # requests that are simulated in lanes at a time
FEWEST_IN_LANES = 60_000  # requests, below which there are too few lanes to gain anything


@dataclass(frozen=True, slots=True, kw_only=True)
class Batching:
    """When a free server starts: with `size` requests waiting, or when the timeout has run out.

    clock: a name of `clocks/`, which says from which moment the timeout runs.
    Raises InputError on a size below 1, a timeout below 0 or an unknown clock.
    """

    size: int
    timeout_s: float = 0.0
    clock: str = "ideal"

    def __post_init__(self) -> None:
        if self.size < 1 or not 0 <= self.timeout_s < float("inf"):
            raise InputError(f"batches of {self.size} after {self.timeout_s} s", remedy="a batch holds 1 or more")
        lookup(CLOCKS, self.clock, "batching clock")

    @property
    def held_s(self) -> float:
        """The timeout as the server can hold it."""
        return CLOCKS[self.clock].held_s(self.timeout_s)

    @property
    def from_pickup(self) -> bool:
        """Whether the timeout runs from when a free server takes the oldest request."""
        return CLOCKS[self.clock].from_pickup


@dataclass(frozen=True, slots=True)
class Schedule:
    """What a replica did: its batches, and which request was in which.

    first_J: position of each batch's first request; start_s_J and end_s_J bound the server's busy time;
    wait_s_N until the batch started, service_s_N from there to the answer, batch_N the batch's size.
    """

    first_J: Ints
    start_s_J: Floats
    end_s_J: Floats
    wait_s_N: Floats
    service_s_N: Floats
    batch_N: Ints


def run_replica(arrivals: Arrivals, batching: Batching, service: BatchService) -> Schedule:
    """The schedule of a replica that is given these arrivals (seconds, ascending) from an empty start."""
    return joined(run_in_pieces(arrivals, batching, service))


def run_in_pieces(arrivals: Arrivals, batching: Batching, service: BatchService) -> Iterator[Schedule]:
    """The same piece by piece, each of about PIECE requests, so that few of them are in memory more than once."""
    return (_run_singly if batching.size == 1 else _run_batched)(arrivals, batching, service)


def run_unlimited(arrival_s_N: Floats, service: BatchService) -> Schedule:
    """The schedule of a station with a server for everybody: nobody waits, and services overlap."""
    single = service.single(len(arrival_s_N))
    return Schedule(
        first_J=np.arange(len(arrival_s_N)),
        start_s_J=arrival_s_N,
        end_s_J=arrival_s_N + single.busy_s_N,
        wait_s_N=np.zeros(len(arrival_s_N)),
        service_s_N=single.answered_s_N,
        batch_N=np.ones(len(arrival_s_N), dtype=np.int32),
    )


def _run_singly(arrivals: Arrivals, batching: Batching, service: BatchService) -> Iterator[Schedule]:
    """Lindley's recursion wait_n+1 = max(0, wait_n + service_n - gap_n), unrolled into a cumulative maximum.

    A request that finds the server idle is its own maximum, so its wait is exactly 0.
    Source: Lindley, The theory of queues with a single server (1952).
    """
    free_s = 0.0
    for begun in range(0, len(arrivals), PIECE):
        piece_s_N = arrivals[begun : begun + PIECE]
        single = service.single(len(piece_s_N))
        before_s_N = np.cumsum(single.busy_s_N) - single.busy_s_N
        slack_s_N = piece_s_N - before_s_N
        latest_s_N = np.maximum.accumulate(np.maximum(slack_s_N, free_s))
        wait_s_N = latest_s_N - slack_s_N
        start_s_N = piece_s_N + wait_s_N
        end_s_N = start_s_N + single.busy_s_N
        free_s = float(end_s_N[-1])
        service.forget()
        yield Schedule(
            first_J=np.arange(begun, begun + len(piece_s_N)),
            start_s_J=start_s_N,
            end_s_J=end_s_N,
            wait_s_N=wait_s_N,
            service_s_N=single.answered_s_N,
            batch_N=np.ones(len(piece_s_N), dtype=np.int32),
        )


def _run_batched(arrivals: Arrivals, batching: Batching, service: BatchService) -> Iterator[Schedule]:
    """Many requests in lanes, as long as the server now and then catches up; few, and a busy server's, in order."""
    begun, free_s, requests = 0, 0.0, len(arrivals)
    in_lanes = True
    while begun < requests:
        piece = None
        if in_lanes and requests - begun >= FEWEST_IN_LANES:
            piece = _in_lanes(arrivals[begun : begun + BLOCK + batching.size], batching, service, free_s)
            in_lanes = piece is not None
        if piece is None:
            piece = _in_order(arrivals[begun : begun + PIECE + batching.size], batching, service, free_s)
        yield replace(piece, first_J=piece.first_J + begun)
        begun, free_s = begun + len(piece.wait_s_N), float(piece.end_s_J[-1])


def _in_lanes(arrival_s_N: Floats, batching: Batching, service: BatchService, free_s: float) -> Schedule | None:
    """The batches that begin with the first BLOCK of these requests; None if the server is too busy for lanes."""
    size, known = batching.size, len(arrival_s_N)
    block = min(known, BLOCK)
    padded_s_N = np.append(arrival_s_N, np.full(block + size - known, np.inf)) if known < block + size else arrival_s_N
    drawn = service.drawn(block + size)
    if drawn is None:
        return None
    found = run_block(padded_s_N, block, free_s, size, batching.held_s, batching.from_pickup, drawn)
    if found is None:
        return None
    served = int(found.first_J[-1] + found.count_J[-1])
    service.skip(served)
    return Schedule(
        first_J=found.first_J,
        start_s_J=found.start_s_J,
        end_s_J=found.end_s_J,
        # First, as it takes most room.
        service_s_N=drawn.answered_s(found.first_J, found.count_J, found.end_s_J - found.start_s_J),
        wait_s_N=np.repeat(found.start_s_J, found.count_J) - arrival_s_N[:served],
        batch_N=np.repeat(found.count_J.astype(np.int32), found.count_J),
    )


def _in_order(arrival_s_N: Floats, batching: Batching, service: BatchService, free_s: float) -> Schedule:
    """The batches that begin with the first PIECE of these requests; more may join the batches behind."""
    size, timeout_s, from_pickup = batching.size, batching.held_s, batching.from_pickup
    arrivals_s = arrival_s_N.tolist()
    certain = len(arrivals_s) if len(arrivals_s) < PIECE + size else PIECE
    firsts: list[int] = []
    starts_s: list[float] = []
    ends_s: list[float] = []
    first = 0
    while first < certain:
        start_s, last = fill(arrivals_s, first, free_s, size, timeout_s, from_pickup)
        free_s = start_s + service.serve(first, last)
        firsts.append(first)
        starts_s.append(start_s)
        ends_s.append(free_s)
        first = last
    piece = schedule_of(arrival_s_N[:first], firsts, starts_s, ends_s, service)
    service.forget()
    return piece


def joined(pieces: Iterable[Schedule]) -> Schedule:
    """The schedule of a replica from its pieces, which are let go of one field after the other."""
    names = Schedule.__dataclass_fields__
    parts: dict[str, list[Any]] = {name: [] for name in names}
    for piece in pieces:
        for name, found in parts.items():
            found.append(getattr(piece, name))
    if not parts["wait_s_N"]:
        none, nowhere = np.empty(0), np.empty(0, dtype=np.int64)
        return Schedule(
            first_J=nowhere, start_s_J=none, end_s_J=none, wait_s_N=none, service_s_N=none, batch_N=nowhere
        )  # fmt: skip
    return Schedule(**{name: np.concatenate(parts.pop(name)) for name in names})


def schedule_of(
    arrival_s_N: Floats,
    firsts: Sequence[int],
    starts_s: Sequence[float],
    ends_s: Sequence[float],
    service: BatchService,
) -> Schedule:
    """The schedule whose batches began with the requests at `firsts` and whose answers `service` kept."""
    first_J = np.array(firsts, dtype=np.int64)
    start_s_J, end_s_J = np.array(starts_s, dtype=np.float64), np.array(ends_s, dtype=np.float64)
    size_J = np.diff(first_J, append=len(arrival_s_N))
    return Schedule(
        first_J=first_J,
        start_s_J=start_s_J,
        end_s_J=end_s_J,
        wait_s_N=np.repeat(start_s_J, size_J) - arrival_s_N,
        service_s_N=service.answered_s(size_J),
        batch_N=np.repeat(size_J.astype(np.int32), size_J),
    )
