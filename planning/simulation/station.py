"""Queues before one or several servers, advanced from moment to moment while their load and servers change.

A queue is told of arrivals before a moment and then advanced to it: it starts every batch that starts before. No later
arrival could have joined those, so it does not matter how a run is cut into moments.
"""

import math
from collections import OrderedDict
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import Protocol

from ttamer.planning.simulation.discipline import Discipline
from ttamer.planning.simulation.filling import fill
from ttamer.planning.simulation.replica import Batching
from ttamer.planning.simulation.service import BatchService


class Server:
    """One replica at work, and what it did since that was last taken: requests in order of service, by batches."""

    __slots__ = ("ends_s", "free_s", "ids", "service", "sizes", "starts_s", "stops", "worked_s")

    def __init__(self, service: BatchService, stops: list[int], free_s: float) -> None:
        self.service, self.stops, self.free_s = service, stops, free_s
        self.worked_s = 0.0
        self.ids: list[int] = []
        self.sizes: list[int] = []
        self.starts_s: list[float] = []
        self.ends_s: list[float] = []

    def serve(self, start_s: float, ids: list[int], stops: list[int]) -> None:
        """Begin a batch of these requests."""
        first = len(self.stops)
        self.stops += stops
        self.ids += ids
        busy_s = self.service.serve(first, first + len(stops))
        self.worked_s += busy_s
        self.free_s = start_s + busy_s
        self.sizes.append(len(stops))
        self.starts_s.append(start_s)
        self.ends_s.append(self.free_s)

    def worked_before(self, now_s: float) -> float:
        """Seconds of work done until a moment that no batch starts after."""
        return self.worked_s - max(0.0, self.free_s - now_s)

    def forget(self) -> None:
        """Take it that everything done so far is known elsewhere."""
        for done in (self.ids, self.sizes, self.starts_s, self.ends_s):
            done.clear()
        self.service.forget()
        self.stops.clear()


class Queue(Protocol):
    """Requests before the servers that take them."""

    batching: Batching
    servers: list[Server]
    dropped: list[int]

    def offer(self, ids: list[int], arrivals_s: list[float], stops: list[int], deadlines_s: list[float]) -> None:
        """Tell of requests to come, in order of arrival and none before a moment it was advanced to."""
        ...

    def advance(self, until_s: float) -> None:
        """Start every batch that starts before this moment; every arrival before it is known."""
        ...

    def length(self) -> int:
        """How many wait at the moment that it was advanced to."""
        ...


def queue_of(discipline: Discipline, batching: Batching) -> Queue:
    """An empty queue without servers. Raises InputError if its batches could never fill."""
    discipline.check_batch(batching.size)
    return PlainQueue(batching) if discipline.is_plain else DisciplinedQueue(batching, discipline)


class PlainQueue:
    """First come, first served, and nobody is turned away."""

    def __init__(self, batching: Batching) -> None:
        self.batching = batching
        self.servers: list[Server] = []
        self.dropped: list[int] = []
        self._ids: list[int] = []
        self._arrivals_s: list[float] = []
        self._stops: list[int] = []

    def offer(self, ids: list[int], arrivals_s: list[float], stops: list[int], deadlines_s: list[float]) -> None:
        """Tell of requests to come."""
        self._ids += ids
        self._arrivals_s += arrivals_s
        self._stops += stops

    def advance(self, until_s: float) -> None:
        """Start every batch that starts before this moment."""
        if not self._ids or not self.servers:
            return
        arrivals_s, ids, stops = self._arrivals_s, self._ids, self._stops
        size, timeout_s, from_pickup = self.batching.size, self.batching.held_s, self.batching.from_pickup
        free = [(server.free_s, number, server) for number, server in enumerate(self.servers)]
        heapify(free)
        first, count = 0, len(ids)
        while first < count:
            free_s, number, server = free[0]
            start_s, last = fill(arrivals_s, first, free_s, size, timeout_s, from_pickup)
            if start_s >= until_s:
                break
            server.serve(start_s, ids[first:last], stops[first:last])
            first = last
            if len(free) > 1:
                heappop(free)
                heappush(free, (server.free_s, number, server))
            else:
                free[0] = (server.free_s, number, server)
        del arrivals_s[:first], ids[:first], stops[:first]

    def length(self) -> int:
        """How many wait."""
        return len(self._ids)


class DisciplinedQueue:
    """A queue with an order or with limits, which must look at its requests one by one."""

    def __init__(self, batching: Batching, discipline: Discipline) -> None:
        self.batching, self.discipline = batching, discipline
        self.servers: list[Server] = []
        self.dropped: list[int] = []
        self._coming: list[tuple[float, int, int, float]] = []  # arrival_s, id, stop, deadline_s
        self._waiting: OrderedDict[int, tuple[float, int]] = OrderedDict()  # by arrival: id -> arrival_s, stop
        self._deadlines: list[tuple[float, int]] = []  # a heap that may still hold some that wait no more

    def offer(self, ids: list[int], arrivals_s: list[float], stops: list[int], deadlines_s: list[float]) -> None:
        """Tell of requests to come."""
        self._coming += zip(arrivals_s, ids, stops, deadlines_s, strict=True)

    def length(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def advance(self, until_s: float) -> None:
        """Start every batch that starts before this moment; then let in who has come by then."""
        size, timeout_s, from_pickup = self.batching.size, self.batching.held_s, self.batching.from_pickup
        free = [(server.free_s, number, server) for number, server in enumerate(self.servers)]
        heapify(free)
        seen = 0
        while free and free[0][0] < until_s:
            free_s, number, server = free[0]
            seen = self._admit(seen, free_s)
            self._expire(free_s)
            if len(self._waiting) >= size:
                start_s, count = free_s, size
            else:
                known_s = [arrival_s for arrival_s, _ in self._waiting.values()]
                known_s += [one[0] for one in self._coming[seen : seen + size - len(known_s)]]
                if not known_s:
                    break
                start_s, count = fill(known_s, 0, free_s, size, timeout_s, from_pickup)
            if start_s >= until_s:
                break
            seen = self._admit(seen, start_s)
            ids = self._take(count)
            server.serve(start_s, ids, [self._waiting.pop(one)[1] for one in ids])
            heappop(free)
            heappush(free, (server.free_s, number, server))
        del self._coming[: self._admit(seen, until_s, including=False)]

    def _admit(self, seen: int, until_s: float, *, including: bool = True) -> int:
        """Let in, or turn away, who comes until a moment; returns how many of the coming have been seen."""
        coming, waiting, limit = self._coming, self._waiting, self.discipline.limit or math.inf
        needs_deadlines = self.discipline.order == "edf" or self.discipline.drops_late
        while seen < len(coming):
            arrival_s, one, stop, deadline_s = coming[seen]
            if arrival_s > until_s or (arrival_s == until_s and not including):
                break
            seen += 1
            if len(waiting) >= limit:
                self.dropped.append(one)
                continue
            waiting[one] = (arrival_s, stop)
            if needs_deadlines:
                heappush(self._deadlines, (deadline_s, one))
        return seen

    def _expire(self, now_s: float) -> None:
        """Turn away who has waited too long or is already late."""
        waiting, patience_s = self._waiting, self.discipline.patience_s
        if patience_s is not None:
            while waiting and now_s - next(iter(waiting.values()))[0] > patience_s:
                self.dropped.append(waiting.popitem(last=False)[0])
        while self.discipline.drops_late and self._deadlines and self._deadlines[0][0] < now_s:
            one = heappop(self._deadlines)[1]
            if one in waiting:
                del waiting[one]
                self.dropped.append(one)

    def _take(self, count: int) -> list[int]:
        """The next of those that wait, in the order of the discipline."""
        if self.discipline.order == "fifo":
            return list(islice(self._waiting, count))
        ids: list[int] = []
        while len(ids) < count:
            one = heappop(self._deadlines)[1]
            if one in self._waiting:
                ids.append(one)
        return ids
