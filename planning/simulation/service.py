"""How long a batch takes: drawn from the raw seconds that were measured, never from a fitted law.

Axes: N requests of one replica in order of arrival, J batches, K exits.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, MutableSequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from ttamer.planning.service_times import Paths
from ttamer.planning.simulation.drawn import DrawnBatches, SecondsTable, places_drawn, table_of
from ttamer.profiles.errors import InputError
from ttamer.profiles.profile import Profile
from ttamer.profiles.records import Floats, Ints

CHUNK = 256  # draws made at a time: numpy's cost per call is then lost among them


@dataclass(frozen=True, slots=True)
class Curve:
    """Measured seconds of one part of a model by batch size.

    sizes ascend from 1; seconds holds the raw samples of each, ascending.
    """

    sizes: tuple[int, ...]
    seconds: tuple[Floats, ...]

    @classmethod
    def measured(
        cls, profile: Profile, model: str, part: str, exit: int, *, device: str, cores: int, up_to: int
    ) -> Self:
        """The curve in a profile. Raises InputError unless batches 1 to `up_to` lie within the measured ones."""
        profile.curve_s(model, part, exit, device=device, cores=cores, up_to=up_to)  # refuses what was not measured
        sizes = profile.batches(model, part, exit, device=device, cores=cores)
        points = [profile.point(model, part, exit, device=device, cores=cores, batch=size) for size in sizes]
        return cls(tuple(sizes), tuple(np.sort(np.asarray(point.samples.seconds)) for point in points))

    def draw_s(self, size: int, count: int, rng: np.random.Generator) -> Floats:
        """Independent seconds of `count` batches of one size.

        At a measured size they are raw samples, drawn with replacement. Between two sizes the same
        quantile of both is interpolated, so a slow draw is slow at either side. Raises InputError beyond.
        """
        level = rng.random(count)
        above = bisect_left(self.sizes, size)
        if above == len(self.sizes) or size < self.sizes[0]:
            raise InputError(f"a batch of {size} lies outside the measured {self.sizes}", remedy="measure that batch")
        upper_s = _at_level(self.seconds[above], level)
        if self.sizes[above] == size:
            return upper_s
        lower_s = _at_level(self.seconds[above - 1], level)
        weight = (size - self.sizes[above - 1]) / (self.sizes[above] - self.sizes[above - 1])
        return lower_s + weight * (upper_s - lower_s)

    def mean_s(self, up_to: int) -> Floats:
        """Mean seconds of batches of 0 to `up_to` requests; no requests take no time."""
        means_s = [float(seconds.mean()) for seconds in self.seconds]
        return np.interp(np.arange(up_to + 1), [0, *self.sizes], [0.0, *means_s])

    def table(self, up_to: int) -> SecondsTable:
        """The same seconds to be looked up for many batches at once."""
        return table_of(self.sizes, self.seconds, up_to)

    def streams(self, up_to: int, rng: np.random.Generator) -> list[Iterator[float]]:
        """Endless draws by batch size; the entry of size 0 must not be used."""
        return [_stream(self, size, rng) for size in range(up_to + 1)]


def _at_level(ascending: Floats, level: Floats) -> Floats:
    """The inverse of the empirical distribution function."""
    return ascending[(level * len(ascending)).astype(np.int64)]


def _stream(curve: Curve, size: int, rng: np.random.Generator) -> Iterator[float]:
    while True:
        yield from curve.draw_s(size, CHUNK, rng).tolist()


@dataclass(frozen=True, slots=True)
class Single:
    """Requests that are served alone: seconds that each keeps the server busy, and seconds until it is answered."""

    busy_s_N: Floats
    answered_s_N: Floats


class BatchService(Protocol):
    """How long the batches of one replica take, and when each request of a batch is answered."""

    def serve(self, first: int, last: int) -> float:
        """Seconds that the server is busy with the requests at positions first to last - 1; one call a batch."""
        ...

    def latest_s(self, first: int, last: int) -> list[float]:
        """Seconds from its start to each answer of the batch just served."""
        ...

    def answered_s(self, size_J: Ints) -> Floats:
        """Seconds from its batch's start to each request's answer, of all batches served so far, by size."""
        ...

    def forget(self) -> None:
        """Begin anew behind what was served: positions count from 0 and no batch has been served."""
        ...

    def single(self, count: int) -> Single:
        """The replica's next `count` requests, each served alone."""
        ...

    def drawn(self, places: int) -> DrawnBatches | None:
        """What batches that begin at any of the next `places` requests take; None if that is not drawn by place."""
        ...

    def skip(self, count: int) -> None:
        """Take it that the next `count` requests have been served."""
        ...


class WholeService:
    """A model that answers its whole batch at once, with its last exit."""

    def __init__(self, curve: Curve, up_to: int, rng: np.random.Generator) -> None:
        self._curve, self._rng = curve, rng
        self._streams = curve.streams(up_to, rng)
        self._busy_s: list[float] = []

    def serve(self, first: int, last: int) -> float:
        """Seconds of one batch."""
        busy_s = next(self._streams[last - first])
        self._busy_s.append(busy_s)
        return busy_s

    def latest_s(self, first: int, last: int) -> list[float]:
        """Every request is answered when its batch ends."""
        return [self._busy_s[-1]] * (last - first)

    def answered_s(self, size_J: Ints) -> Floats:
        """Every request is answered when its batch ends."""
        return np.repeat(np.array(self._busy_s, dtype=np.float64), size_J)

    def forget(self) -> None:
        """Begin anew."""
        self._busy_s.clear()

    def single(self, count: int) -> Single:
        """`count` batches of one."""
        busy_s_N = self._curve.draw_s(1, count, self._rng)
        return Single(busy_s_N, busy_s_N)

    def drawn(self, places: int) -> DrawnBatches | None:
        """The whole model as one part."""
        return places_drawn([[self._curve.table(len(self._streams) - 1)]], places, self._rng)

    def skip(self, count: int) -> None:
        """Nothing depends on which request comes next."""


@dataclass(frozen=True, slots=True)
class ExitCurves:
    """The curves of K stages and of the heads between them; None is a part that the policy never needs.

    stage_share_K, head_share_K: of the requests under way, the share that needs the part; all if None.
    """

    stages: tuple[Curve | None, ...]
    heads: tuple[Curve | None, ...]
    stage_share_K: tuple[float, ...] | None = None
    head_share_K: tuple[float, ...] | None = None

    @classmethod
    def of(cls, paths: Paths, curve: Callable[[str, int], Curve]) -> Self:
        """The curves that these ways through a model need, by part and exit."""
        exits = range(len(paths.stop_share_K))
        shares = {part: tuple(paths.share(part, k) for k in exits) for part in ("stage", "head")}
        curves = {part: tuple(curve(part, k) if shares[part][k] else None for k in exits) for part in shares}
        return cls(curves["stage"], curves["head"], shares["stage"], shares["head"])

    def parts(self) -> list[tuple[tuple[Curve, float], ...]]:
        """What is done at each exit: the stage and the head where needed, and the share that needs it."""
        everybody = (1.0,) * self.exits
        stages = zip(self.stages, self.stage_share_K or everybody, strict=True)
        heads = zip(self.heads, self.head_share_K or everybody, strict=True)
        return [
            tuple((curve, share) for curve, share in pair if curve is not None)
            for pair in zip(stages, heads, strict=True)
        ]

    @property
    def exits(self) -> int:
        """How many exits there are."""
        return len(self.stages)


class StagedService:
    """A model whose requests are answered at their exits: a batch that shrinks there, or with `releases` runs on whole.

    stops holds the exit at which each request of the replica is answered, by position; it may still grow. When exits
    stop, the answered leave their batch and the rest goes on at the size that remains. When they only release, every
    request runs through all stages and heads, so latency is saved and computing is not.
    """

    def __init__(
        self,
        curves: ExitCurves,
        stops: MutableSequence[int],
        up_to: int,
        rng: np.random.Generator,
        *,
        releases: bool = False,
    ) -> None:
        self._curves, self._stops, self._rng, self._releases, self._up_to = curves, stops, rng, releases, up_to
        self._parts = [
            tuple((curve.streams(up_to, rng), share) for curve, share in pair) for pair in curves.parts()
        ]  # fmt: skip
        self._answered_s: list[list[float]] = []
        self._served = 0

    def serve(self, first: int, last: int) -> float:
        """Seconds until the last request of the batch has left, or was computed."""
        self._served = last
        leaving = [0] * len(self._parts)
        if not self._releases:
            for stop in self._stops[first:last]:
                leaving[stop] += 1
        remaining, clock_s = last - first, 0.0
        answered_s = [0.0] * len(leaving)
        for k, parts in enumerate(self._parts):
            for streams, share in parts:
                if share == 1:
                    clock_s += next(streams[remaining])
                elif needed := self._rng.binomial(remaining, share):
                    clock_s += next(streams[needed])
            answered_s[k] = clock_s
            remaining -= leaving[k]
            if not remaining:
                break
        self._answered_s.append(answered_s)
        return clock_s

    def latest_s(self, first: int, last: int) -> list[float]:
        """Every request is answered when the head of its exit is done."""
        answered_s = self._answered_s[-1]
        return [answered_s[stop] for stop in self._stops[first:last]]

    def answered_s(self, size_J: Ints) -> Floats:
        """Every request is answered when the head of its exit is done."""
        batch_N = np.repeat(np.arange(len(size_J)), size_J)
        table = np.array(self._answered_s, dtype=np.float64).reshape(len(size_J), len(self._parts))
        return np.asarray(table[batch_N, np.asarray(self._stops[: len(batch_N)], dtype=np.int64)])

    def forget(self) -> None:
        """Begin anew; the exits of what was served are taken out of `stops`."""
        self._answered_s.clear()
        del self._stops[: self._served]
        self._served = 0

    def single(self, count: int) -> Single:
        """Each request's own way to its exit, and to the last one if exits only release."""
        seconds_NK = np.zeros((count, len(self._parts)))
        for k, parts in enumerate(self._curves.parts()):
            for curve, share in parts:
                seconds_N = curve.draw_s(1, count, self._rng)
                seconds_NK[:, k] += seconds_N if share == 1 else seconds_N * (self._rng.random(count) < share)
        stop_N = np.asarray(self._stops[:count], dtype=np.int64)
        self._served = count
        passed_s_NK = np.cumsum(seconds_NK, axis=1)
        answered_s_N = np.asarray(passed_s_NK[np.arange(count), stop_N])
        return Single(np.asarray(passed_s_NK[:, -1]) if self._releases else answered_s_N, answered_s_N)

    def drawn(self, places: int) -> DrawnBatches | None:
        """Stages and heads as parts; places without a request are thought to go to the last exit.

        None if some parts are drawn for each request.
        """
        parts_K = self._curves.parts()
        if any(share < 1 for parts in parts_K for _, share in parts):
            return None
        known_N = np.asarray(self._stops[:places])
        stop_N = np.full(places, len(parts_K) - 1, known_N.dtype)
        stop_N[: len(known_N)] = known_N
        tables_K = [[curve.table(self._up_to) for curve, _ in parts] for parts in parts_K]
        return places_drawn(tables_K, places, self._rng, stop_N, releases=self._releases)

    def skip(self, count: int) -> None:
        """Take the exits of these requests out of `stops`."""
        del self._stops[:count]
