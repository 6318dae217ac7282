"""Which replica of a group a request goes to, and what the replicas then do.

Axes: N requests of one group in order of arrival, R replicas.
"""

from array import array
from collections import deque
from collections.abc import Callable, Iterator, Mapping, MutableSequence
from dataclasses import dataclass, field

import numpy as np

from ttamer.planning.simulation.filling import fill
from ttamer.planning.simulation.line import Arrivals, Some, places_of
from ttamer.planning.simulation.replica import Batching, Schedule, run_in_pieces, schedule_of
from ttamer.planning.simulation.service import BatchService
from ttamer.profiles.records import Ints

MakeService = Callable[[MutableSequence[int], np.random.Generator], BatchService]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a group's requests that one replica served, one after the other: their positions, ascending."""

    replica: int
    position_N: Ints | slice
    schedule: Schedule


Routing = Callable[[Arrivals, Ints, int, Batching, MakeService, np.random.Generator], Iterator[Part]]


def random_split(
    arrivals: Arrivals, stop_N: Ints, replicas: int, batching: Batching, make: MakeService, rng: np.random.Generator
) -> Iterator[Part]:
    """Every request goes to a replica drawn evenly, so Poisson arrivals stay Poisson at every replica."""
    replica_N = None
    if replicas > 1:
        replica_N = rng.integers(0, replicas, len(arrivals), dtype=np.int32).astype(np.min_scalar_type(replicas))
    for replica, child in enumerate(rng.spawn(replicas)):
        mine_N = None if replica_N is None else places_of(replica_N == replica)
        stops = array(stop_N.dtype.char, (stop_N if mine_N is None else stop_N[mine_N]).tobytes())
        begun = 0
        for schedule in run_in_pieces(
            arrivals if mine_N is None else Some(arrivals, mine_N), batching, make(stops, child)
        ):
            end = begun + len(schedule.wait_s_N)
            yield Part(replica, slice(begun, end) if mine_N is None else mine_N[begun:end], schedule)
            begun = end
            del schedule  # before the next one is made


def shortest_queue(
    arrivals: Arrivals, stop_N: Ints, replicas: int, batching: Batching, make: MakeService, rng: np.random.Generator
) -> Iterator[Part]:
    """Every request goes to the replica with the fewest unanswered requests; of equals to the first."""
    queues = [_OpenReplica.empty(number, batching, make, child) for number, child in enumerate(rng.spawn(replicas))]
    for position, (arrival_s, stop) in enumerate(zip(arrivals[:].tolist(), stop_N.tolist(), strict=True)):
        lengths = [queue.length_at(arrival_s) for queue in queues]
        queues[lengths.index(min(lengths))].admit(position, arrival_s, stop)
    for queue in queues:
        yield queue.close()


ROUTINGS: Mapping[str, Routing] = {"random": random_split, "shortest-queue": shortest_queue}


@dataclass(slots=True)
class _OpenReplica:
    """A replica whose future arrivals are not known yet: it starts only batches that no later arrival can join."""

    number: int
    batching: Batching
    stops: list[int]
    service: BatchService
    positions: list[int] = field(default_factory=list)
    arrivals_s: list[float] = field(default_factory=list)
    firsts: list[int] = field(default_factory=list)
    starts_s: list[float] = field(default_factory=list)
    ends_s: list[float] = field(default_factory=list)
    answers_s: deque[float] = field(default_factory=deque)
    first: int = 0
    free_s: float = 0.0

    @classmethod
    def empty(cls, number: int, batching: Batching, make: MakeService, rng: np.random.Generator) -> "_OpenReplica":
        """A replica without requests."""
        stops: list[int] = []
        return cls(number, batching, stops, make(stops, rng))

    def length_at(self, now_s: float) -> int:
        """How many of its requests are unanswered at a moment that no earlier call has passed."""
        self._start_before(now_s)
        while self.answers_s and self.answers_s[0] <= now_s:
            self.answers_s.popleft()
        return len(self.arrivals_s) - self.first + len(self.answers_s)

    def admit(self, position: int, arrival_s: float, stop: int) -> None:
        """Take a request into the queue."""
        self.positions.append(position)
        self.arrivals_s.append(arrival_s)
        self.stops.append(stop)

    def close(self) -> Part:
        """Serve what is left and give an account of everything."""
        self._start_before(float("inf"))
        arrival_s_N = np.array(self.arrivals_s, dtype=np.float64)
        schedule = schedule_of(arrival_s_N, self.firsts, self.starts_s, self.ends_s, self.service)
        return Part(self.number, np.array(self.positions, dtype=np.int64), schedule)

    def _start_before(self, now_s: float) -> None:
        size, timeout_s, from_pickup = self.batching.size, self.batching.held_s, self.batching.from_pickup
        while self.first < len(self.arrivals_s):
            start_s, last = fill(self.arrivals_s, self.first, self.free_s, size, timeout_s, from_pickup)
            if start_s >= now_s:
                return
            self.free_s = start_s + self.service.serve(self.first, last)
            self.firsts.append(self.first)
            self.starts_s.append(start_s)
            self.ends_s.append(self.free_s)
            self.answers_s.extend(start_s + answer_s for answer_s in sorted(self.service.latest_s(self.first, last)))
            self.first = last
