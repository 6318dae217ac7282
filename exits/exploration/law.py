"""Laws of costs as step functions on a grid, a row for each state of the parent.

Distribution functions are kept, not survival functions: sums of non-negative terms keep exact
zeros exact, on which the index of a node that costs nothing depends.

Axes: S states, G grid points.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from ttamer.exits.exploration.chain import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Law:
    """Laws of max(Z_s, floor_s) for states s, where P(Z_s <= grid_G[g]) = cdf_SG[s, g].

    grid_G ascends. A finite floor_S[s] is at least the first grid point. paid_SG: the part of E[max(Z_s, floor_s)] on
    {Z_s <= grid_G[g]} that is loss, not cost; None where nobody asked for it.
    """

    grid_G: FloatArray
    cdf_SG: FloatArray
    floor_S: FloatArray
    paid_SG: FloatArray | None = None

    def points(self) -> FloatArray:
        """Where the distribution functions may jump."""
        lowest = self.floor_S.min()
        kept_G = self.grid_G[np.searchsorted(self.grid_G, lowest) :]
        return kept_G if lowest == -np.inf else np.concatenate((kept_G, self.floor_S))

    def top(self) -> float:
        """A value that none of the costs exceeds."""
        return float(max(self.grid_G[-1], self.floor_S.max()))

    def on(self, grid_G: FloatArray) -> Self:
        """The same laws on another grid that holds all points(), or all up to its own last one."""
        left_G = np.searchsorted(self.grid_G, grid_G, side="right") - 1
        first_S = np.searchsorted(grid_G, self.floor_S)
        first_S = np.maximum(first_S, np.searchsorted(grid_G, self.grid_G[0]))
        tables = [None if old is None else old.take(left_G, axis=1, mode="clip") for old in (self.cdf_SG, self.paid_SG)]
        for table in tables:
            if table is not None:
                for row_G, first in zip(table, first_S.tolist(), strict=True):
                    row_G[:first] = 0.0
        return type(self)(grid_G, tables[0], np.full(len(first_S), -np.inf), tables[1])  # type: ignore[arg-type]


def _earlier(one: Law, other: Law) -> Law:
    """The law of the smaller of two independent costs on one grid; `one` wins ties."""
    cdf_SG = one.cdf_SG + other.cdf_SG * (1 - one.cdf_SG)
    paid_SG = None
    if one.paid_SG is not None and other.paid_SG is not None:
        other_before_SG = np.zeros_like(other.cdf_SG)
        other_before_SG[:, 1:] = other.cdf_SG[:, :-1]
        atoms_SG = np.diff(one.paid_SG, prepend=0.0) * (1 - other_before_SG)
        atoms_SG += np.diff(other.paid_SG, prepend=0.0) * (1 - one.cdf_SG)
        paid_SG = atoms_SG.cumsum(axis=1)
    return Law(one.grid_G, cdf_SG, one.floor_S, paid_SG)


def smallest_of(laws: Sequence[Law], loss_S: FloatArray, split: bool) -> Law:
    """The law, given a node's own state, of the least of its loss and of independent costs behind it.

    The loss wins ties; it may be infinite (no loss of its own). split: carry the part that is loss.
    """
    # Beyond the least certain bound the law is 1, but 1 - 1e-16 in floats: that rest must not meet a large loss.
    top = min([loss_S.max(), *(law.top() for law in laws)])
    grid_G = np.unique(np.concatenate([loss_S, *(law.points() for law in laws)]))
    grid_G = grid_G[: np.searchsorted(grid_G, top, side="right")]
    if laws:
        law = laws[0].on(grid_G)
        for other in laws[1:]:
            law = _earlier(law, other.on(grid_G))
    else:
        zeros_SG = np.zeros((loss_S.size, grid_G.size))
        law = Law(grid_G, zeros_SG, np.full(loss_S.size, -np.inf), zeros_SG.copy() if split else None)
    for s, first in enumerate(np.searchsorted(grid_G, loss_S).tolist()):
        if first == grid_G.size:
            continue
        if law.paid_SG is not None:
            before, reached = (law.paid_SG[s, first - 1], law.cdf_SG[s, first - 1]) if first else (0.0, 0.0)
            law.paid_SG[s, first:] = before + loss_S[s] * (1 - reached)
        law.cdf_SG[s, first:] = 1.0
    return law


def mean_of(law: Law) -> float:
    """The mean of a law of one row, from non-negative parts below its last point."""
    return float(law.grid_G[-1] - law.cdf_SG[0, :-1] @ np.diff(law.grid_G))
