"""Intervals of means and quantiles by resampling samples: every quantity of every policy from the same draws.

Drawing N of N samples with replacement gives each sample a count; the counts are drawn as independent Poisson numbers,
which differ from that by the total alone, and the means divide by it. Samples that are alike in every quantity are
drawn together: the sum of their counts is Poisson again.

Source: Efron (1979); Poisson counts: Hanley and MacGibbon, Comput. Methods Programs Biomed. 83 (2006) 57-62.
Axes: N samples, C quantities, G groups of like samples, R resamples, Q quantiles.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ttamer.profiles.records import Floats, Ints

RESAMPLES = 1000
BLOCK = 20_000_000  # counts drawn at a time, 80 MB
Counts = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Bootstrap:
    """Resampled means and quantiles of quantities of the same samples, always the same for the same seed.

    values_GC: each group's quantities. count_G: how many samples the group has.
    """

    values_GC: Floats
    count_G: Ints
    seed: int
    resamples: int = RESAMPLES

    @classmethod
    def of(cls, values_NC: Floats, seed: int, resamples: int = RESAMPLES) -> Self:
        """The bootstrap of these quantities, a row a sample."""
        rng = np.random.default_rng(0)
        code_N = np.zeros(len(values_NC), dtype=np.uint64)
        for column_N in values_NC.T:
            _, place_N = np.unique(column_N, return_inverse=True)
            odd = rng.integers(1, 2**63, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
            code_N = (code_N ^ (code_N >> np.uint64(29))) * odd + place_N.astype(np.uint64)
        _, first_G, count_G = np.unique(code_N, return_index=True, return_counts=True)
        return cls(np.asarray(values_NC[first_G], dtype=np.float64), count_G, seed, resamples)

    def resampled(self, columns: Sequence[int], quantiles: Sequence[float]) -> "Resampled":
        """The mean of every quantity, and quantiles of those in these columns, in every resample."""
        means, found = [], []
        in_order = [self._sorted(column) for column in columns]
        for drawn_RG in self._draws():
            means.append(drawn_RG @ self.values_GC / drawn_RG.sum(axis=1)[:, None])
            quantiles_RCQ = np.empty((len(drawn_RG), len(in_order), len(quantiles)))
            for place, one in enumerate(in_order):
                quantiles_RCQ[:, place] = one.quantiles_RQ(drawn_RG, quantiles)
            found.append(quantiles_RCQ)
        return Resampled(np.concatenate(means), np.concatenate(found))

    def _sorted(self, column: int) -> "_Sorted":
        value_G = self.values_GC[:, column]
        order_G = np.argsort(value_G, kind="stable")
        known, first = np.unique(value_G[order_G], return_index=True)
        return _Sorted(order_G, known, first)

    def _draws(self) -> Iterator[Counts]:
        rng = np.random.default_rng(self.seed)
        rows = max(1, BLOCK // len(self.count_G))
        for start in range(0, self.resamples, rows):
            size = (min(rows, self.resamples - start), len(self.count_G))
            drawn_RG = rng.poisson(self.count_G, size=size).astype(np.float32)
            drawn_RG[drawn_RG.sum(axis=1) == 0] = self.count_G  # an empty draw of very few samples has no mean
            yield drawn_RG


@dataclass(frozen=True, slots=True, eq=False)
class Resampled:
    """What every resample gives: the mean of every quantity, and quantiles of those that were asked for."""

    means_RC: Floats
    quantiles_RCQ: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Sorted:
    """Groups in the order of one quantity, its distinct values, and where each of them begins."""

    order_G: Ints
    known: Floats
    first: Ints

    def quantiles_RQ(self, drawn_RG: Counts, quantiles: Sequence[float]) -> Floats:
        """Quantiles in every resample, each a value that some sample has."""
        below_RD = np.cumsum(np.add.reduceat(drawn_RG[:, self.order_G], self.first, axis=1), axis=1)
        place_RQ = np.stack([(below_RD < q * below_RD[:, -1:]).sum(axis=1) for q in quantiles], axis=1)
        return np.asarray(self.known[np.minimum(place_RQ, len(self.known) - 1)])


def interval(resampled_R: Floats) -> tuple[float, float]:
    """The middle 95 % of the resampled values."""
    low, high = np.quantile(resampled_R, [0.025, 0.975])
    return float(low), float(high)
