"""Service times that belong to places: whatever order batches are looked at, the one that begins here takes this long.

Axes: N places (requests of a block), L batches looked at together, B sizes 0..batch, Q samples, P parts drawn for.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ttamer.profiles.records import Floats, Ints

Levels = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class SecondsTable:
    """Seconds of one part: of size b at level u they are low_s + weight × (up_s − low_s), see `Curve.draw_s`.

    The samples of all sizes lie in flat_s one after the other; *_from_B and *_count_B say where those of the sizes
    around b lie, and how many there are. is_direct: no size needs another one. count: of samples, if all have as many.
    """

    flat_s: Floats
    low_from_B: Ints
    low_count_B: Ints
    up_from_B: Ints
    up_count_B: Ints
    weight_B: Floats
    is_direct: bool
    count: int | None

    def seconds(self, size_L: Ints, level_L: Levels) -> Floats:
        """Seconds of batches of these sizes at these levels."""
        count_L = self.count if self.count is not None else self.up_count_B[size_L]
        up_s = self.flat_s[self.up_from_B[size_L] + (level_L * count_L).astype(np.int32)]
        if self.is_direct:
            return np.asarray(up_s)
        low_s = self.flat_s[self.low_from_B[size_L] + (level_L * self.low_count_B[size_L]).astype(np.int32)]
        return np.asarray(low_s + self.weight_B[size_L] * (up_s - low_s))


def table_of(sizes: Sequence[int], seconds: Sequence[Floats], up_to: int) -> SecondsTable:
    """The table of sizes 0 to `up_to`; nothing takes no time.

    Between two measured sizes with as many samples their quantiles are interpolated here, once for all draws.
    """
    known, samples = [*sizes], [*seconds]
    for size in range(1, up_to + 1):
        above = bisect_left(known, size)
        if above and known[above] > size and len(samples[above]) == len(samples[above - 1]):
            weight = (size - known[above - 1]) / (known[above] - known[above - 1])
            samples.insert(above, samples[above - 1] + weight * (samples[above] - samples[above - 1]))
            known.insert(above, size)
    counts = np.array([len(each) for each in samples])
    is_even = bool((counts == counts[0]).all())
    known, samples = [0, *known], [np.zeros(counts[0]), *samples]
    counts = np.append(counts[0], counts)
    starts = np.cumsum(counts) - counts
    place_B = np.arange(up_to + 1)
    up_B = np.searchsorted(known, place_B)
    is_known_B = np.array(known)[up_B] == place_B
    low_B = np.where(is_known_B, up_B, up_B - 1)
    gap_B = np.where(is_known_B, 1, np.array(known)[up_B] - np.array(known)[low_B])
    return SecondsTable(
        flat_s=np.concatenate(samples),
        low_from_B=starts[low_B],
        low_count_B=counts[low_B],
        up_from_B=starts[up_B],
        up_count_B=counts[up_B],
        weight_B=(place_B - np.array(known)[low_B]) / gap_B,
        is_direct=bool(is_known_B.all()),
        count=int(counts[0]) if is_even else None,
    )


@dataclass(frozen=True, slots=True, eq=False)
class DrawnBatches:
    """What batches that begin at any place of a block take; the same however often it is asked.

    parts_K: what is done up to each of K exits; a whole model is one part. level_PN: a draw a part and place.
    before_KN: how many of the requests before a place are answered at exit k + 1 or later; None if nobody leaves before
    the last exit. stop_N: the exit at which each place's request is answered, None if all are with the whole batch.
    """

    parts_K: Sequence[Sequence[SecondsTable]]
    level_PN: Levels
    before_KN: NDArray[np.int32] | None
    stop_N: Ints | None

    def busy_s(self, first_L: Ints, count_L: Ints) -> Floats:
        """Seconds that a server is busy with batches of these requests."""
        busy_s_L = np.zeros(len(first_L))
        for spent_s_L in self._spent_s(first_L, count_L):
            busy_s_L += spent_s_L
        return busy_s_L

    def answered_s(self, first_J: Ints, count_J: Ints, busy_s_J: Floats) -> Floats:
        """Seconds from its batch's start to the answer of every request of these batches, which follow one another."""
        if self.stop_N is None:
            return np.repeat(busy_s_J, count_J)
        passed_s_JK = np.empty((len(first_J), len(self.parts_K)))
        for exit, spent_s_J in enumerate(self._spent_s(first_J, count_J)):
            passed_s_JK[:, exit] = spent_s_J
        np.cumsum(passed_s_JK, axis=1, out=passed_s_JK)
        stop_N = self.stop_N[first_J[0] : first_J[-1] + count_J[-1]]
        place_N = np.repeat(np.arange(0, passed_s_JK.size, len(self.parts_K)), count_J)
        place_N += stop_N
        return np.asarray(passed_s_JK.ravel()[place_N])

    def _spent_s(self, first_L: Ints, count_L: Ints) -> Iterator[Floats]:
        """Seconds from each exit to the next, with the requests that are left."""
        part, behind_L = 0, first_L + count_L
        for exit, tables in enumerate(self.parts_K):
            left_L = count_L
            if self.before_KN is not None and exit:
                left_L = self.before_KN[exit - 1][behind_L] - self.before_KN[exit - 1][first_L]
            spent_s_L = np.zeros(len(first_L))
            for table in tables:
                spent_s_L += table.seconds(left_L, self.level_PN[part][first_L])
                part += 1
            yield spent_s_L


def places_drawn(
    parts_K: Sequence[Sequence[SecondsTable]],
    places: int,
    rng: np.random.Generator,
    stop_N: Ints | None = None,
    *,
    releases: bool = False,
) -> DrawnBatches:
    """Draws for so many places. stop_N: where their requests stop, None if all go through."""
    before_KN = None
    if stop_N is not None and not releases:
        before_KN = np.zeros((len(parts_K) - 1, places + 1), dtype=np.int32)
        for exit in range(1, len(parts_K)):
            np.cumsum(stop_N >= exit, out=before_KN[exit - 1, 1:])
    level_PN = rng.random((sum(map(len, parts_K)), places), dtype=np.float32)
    return DrawnBatches(parts_K, level_PN, before_KN, stop_N)
