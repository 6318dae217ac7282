"""Which replica of a group a request goes to, and what the replicas then do.

Axes: N requests of one group in order of arrival, R replicas.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ttamer.planning.simulation.clocks import CLOCKS
from ttamer.planning.simulation.replica import Batching, Schedule, run_replica, schedule_of
from ttamer.planning.simulation.service import BatchService
from ttamer.profiles.records import Floats, Ints

MakeService = Callable[[list[int], np.random.Generator], BatchService]


@dataclass(frozen=True, slots=True)
class Part:
    """The part of a group's requests that one replica served: their positions, ascending, and its schedule."""

    position_N: Ints
    schedule: Schedule


Routing = Callable[[Floats, Ints, int, Batching, MakeService, np.random.Generator], list[Part]]


def random_split(
    arrival_s_N: Floats, stop_N: Ints, replicas: int, batching: Batching, make: MakeService, rng: np.random.Generator
) -> list[Part]:
    """Every request goes to a replica drawn evenly, so Poisson arrivals stay Poisson at every replica."""
    replica_N = rng.integers(0, replicas, len(arrival_s_N))
    by_replica = np.split(np.argsort(replica_N, kind="stable"), np.cumsum(np.bincount(replica_N, minlength=replicas)))
    parts = []
    for position_N, child in zip(by_replica, rng.spawn(replicas), strict=False):  # np.split ends with an empty piece
        service = make(stop_N[position_N].tolist(), child)
        parts.append(Part(position_N, run_replica(arrival_s_N[position_N], batching, service)))
    return parts


def shortest_queue(
    arrival_s_N: Floats, stop_N: Ints, replicas: int, batching: Batching, make: MakeService, rng: np.random.Generator
) -> list[Part]:
    """Every request goes to the replica with the fewest unanswered requests; of equals to the first."""
    queues = [_OpenReplica.empty(batching, make, child) for child in rng.spawn(replicas)]
    for position, (arrival_s, stop) in enumerate(zip(arrival_s_N.tolist(), stop_N.tolist(), strict=True)):
        lengths = [queue.length_at(arrival_s) for queue in queues]
        queues[lengths.index(min(lengths))].admit(position, arrival_s, stop)
    return [queue.close() for queue in queues]


ROUTINGS: Mapping[str, Routing] = {"random": random_split, "shortest-queue": shortest_queue}


@dataclass(slots=True)
class _OpenReplica:
    """A replica whose future arrivals are not known yet: it starts only batches that no later arrival can join."""

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
    def empty(cls, batching: Batching, make: MakeService, rng: np.random.Generator) -> "_OpenReplica":
        """A replica without requests."""
        stops: list[int] = []
        return cls(batching, stops, make(stops, rng))

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
        return Part(np.array(self.positions, dtype=np.int64), schedule)

    def _start_before(self, now_s: float) -> None:
        clock, size, timeout_s = CLOCKS[self.batching.clock], self.batching.size, self.batching.timeout_s
        while self.first < len(self.arrivals_s):
            start_s, last = clock(self.arrivals_s, self.first, self.free_s, size, timeout_s)
            if start_s >= now_s:
                return
            self.free_s = start_s + self.service.serve(self.first, last)
            self.firsts.append(self.first)
            self.starts_s.append(start_s)
            self.ends_s.append(self.free_s)
            self.answers_s.extend(start_s + answer_s for answer_s in sorted(self.service.latest_s(self.first, last)))
            self.first = last
