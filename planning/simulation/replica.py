"""One replica: a server with a first-come, first-served queue that takes requests in batches.

Axes: N requests of this replica in order of arrival, J batches in order of service, K exits.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ttamer.planning.simulation.clocks import CLOCKS
from ttamer.planning.simulation.service import BatchService
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Floats, Ints
from ttamer.profiles.registry import lookup

PIECE = 16_384  # requests


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


def run_replica(arrival_s_N: Floats, batching: Batching, service: BatchService) -> Schedule:
    """The schedule of a replica that is given these arrivals (seconds, ascending) from an empty start."""
    return joined(list(run_in_pieces(arrival_s_N, batching, service)))


def run_in_pieces(arrival_s_N: Floats, batching: Batching, service: BatchService) -> Iterator[Schedule]:
    """The same piece by piece, each of about PIECE requests, so that few of them are in memory more than once."""
    return (_run_singly if batching.size == 1 else _run_batched)(arrival_s_N, batching, service)


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


def _run_singly(arrival_s_N: Floats, batching: Batching, service: BatchService) -> Iterator[Schedule]:
    """Lindley's recursion wait_n+1 = max(0, wait_n + service_n - gap_n), unrolled into a cumulative maximum.

    A request that finds the server idle is its own maximum, so its wait is exactly 0.
    Source: Lindley, The theory of queues with a single server (1952).
    """
    free_s = 0.0
    for begun in range(0, len(arrival_s_N), PIECE):
        piece_s_N = arrival_s_N[begun : begun + PIECE]
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


def _run_batched(arrival_s_N: Floats, batching: Batching, service: BatchService) -> Iterator[Schedule]:
    clock, size, timeout_s = CLOCKS[batching.clock], batching.size, batching.timeout_s
    begun, free_s, requests = 0, 0.0, len(arrival_s_N)
    while begun < requests:
        arrivals_s = arrival_s_N[begun : begun + PIECE + size].tolist()
        certain = len(arrivals_s) if begun + len(arrivals_s) == requests else PIECE  # more may join the batches behind
        firsts: list[int] = []
        starts_s: list[float] = []
        ends_s: list[float] = []
        first = 0
        while first < certain:
            start_s, last = clock(arrivals_s, first, free_s, size, timeout_s)
            free_s = start_s + service.serve(first, last)
            firsts.append(first)
            starts_s.append(start_s)
            ends_s.append(free_s)
            first = last
        piece = schedule_of(arrival_s_N[begun : begun + first], firsts, starts_s, ends_s, service)
        service.forget()
        yield replace(piece, first_J=piece.first_J + begun)
        begun += first


def joined(pieces: Sequence[Schedule]) -> Schedule:
    """The schedule of a replica from its pieces."""
    if len(pieces) == 1:
        return pieces[0]
    if not pieces:
        none, nowhere = np.empty(0), np.empty(0, dtype=np.int64)
        return Schedule(
            first_J=nowhere, start_s_J=none, end_s_J=none, wait_s_N=none, service_s_N=none, batch_N=nowhere
        )  # fmt: skip
    names = Schedule.__dataclass_fields__
    return Schedule(**{name: np.concatenate([getattr(piece, name) for piece in pieces]) for name in names})


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
        batch_N=np.repeat(size_J, size_J),
    )
