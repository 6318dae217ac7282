"""Dynamic index with recall on a line whose heads may be skipped: which head is asked next depends on what was seen.

Source: arXiv 2509.22992, theorem 5.2; the solver is `exits/exploration/skippable.py`.
Axes: N samples, K exits, S bins of a head, G values that the best loss can take.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from ttamer.exits.confidence_chain import bin_of, fit_chain, require_tables
from ttamer.exits.exploration.skippable import STOP, SkippableChain, SkipSolution, solve_skippable
from ttamer.exits.head_policy import Whole
from ttamer.exits.parameters import Rows
from ttamer.exits.policies.protocol import Decision, ExitCosts
from ttamer.exits.table_policy import TablePolicy, rows_of
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import ExitRecords, Floats

PRICES = np.logspace(-3, 0, 12)  # a solution costs a hundred times one without skipping


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippableIndex(TablePolicy):
    """Ask the head that the table names for this head's bin and the best loss so far, or stop and recall the best.

    loss: calibrated error of each bin. grid: what the best loss can be, ascending. first: the head asked first.
    next_head: for each head, its bins times the grid, row after row: the head to ask next, -1 to stop.
    Raises InputError where tables, bins and grid disagree.
    """

    loss: Rows
    grid: tuple[float, ...]
    first: int
    next_head: Whole

    kind: ClassVar[str] = "skippable-index"

    def __post_init__(self) -> None:
        require_tables(self.kind, self.heads, self.edges, [("loss", self.loss, len(self.heads))])
        cells = [(len(edges) + 1) * len(self.grid) for edges in self.edges]
        steps = [[step for step in row if step != STOP] for row in self.next_head]
        if [len(row) for row in self.next_head] != cells or self.heads != tuple(range(len(self.heads))):
            raise InputError(f"next_head of {self.kind} does not fit its bins {cells}", remedy="fit the policy anew")
        later = all(head < step < len(self.heads) for head, row in enumerate(steps) for step in row)
        if not later or not 0 <= self.first < len(self.heads):
            raise InputError(f"next_head of {self.kind} names a head that is not a later one")
        if not set(self.grid).issuperset(value for row in self.loss for value in row):
            raise InputError(f"grid of {self.kind} lacks a loss", remedy="fit the policy anew")

    def walk(self, confidence_NK: Floats) -> Decision:
        """Each sample jumps from head to head until the table stops it."""
        evaluated_KN = np.zeros((confidence_NK.shape[1], len(confidence_NK)), dtype=np.bool_)
        next_N = np.full(len(confidence_NK), self.first, dtype=np.int16)
        best_N = np.full(len(confidence_NK), len(self.grid), dtype=np.int32)  # places on the grid; nothing seen yet
        answer_N, stop_N = np.zeros((2, len(confidence_NK)), dtype=np.int64)
        for head, (edges, loss, step) in enumerate(zip(self.edges, self.loss, self.next_head, strict=True)):
            evaluated_KN[head] = next_N == head
            here_N = np.flatnonzero(evaluated_KN[head])
            bin_N = bin_of(confidence_NK[here_N, head], edges)
            loss_N, best = np.searchsorted(self.grid, loss).astype(np.int32)[bin_N], best_N[here_N]
            answer_N[here_N[loss_N <= best]] = head
            best = np.minimum(loss_N, best)
            best_N[here_N], stop_N[here_N] = best, head
            next_N[here_N] = np.asarray(step, dtype=np.int16)[bin_N * len(self.grid) + best]
        return Decision(stop_N, answer_N, evaluated_KN.T)

    @classmethod
    def family(cls, calibration: ExitRecords, costs: ExitCosts) -> Sequence[Self]:
        """The optima for a range of prices."""
        heads = tuple(range(calibration.exits))
        chain = fit_chain(calibration, heads)
        share_K = costs.step_shares(heads)
        head_share_K = share_K * costs.head_s_K / np.maximum(costs.stage_s_K + costs.head_s_K, np.finfo(float).tiny)
        edges, loss = rows_of(chain.edges), rows_of(chain.loss)
        found = []
        for price in PRICES.tolist():
            line = chain.priced(share_K, price)
            cost_K = np.array([node.cost for node in line.nodes])
            solution = solve_skippable(SkippableChain(line, np.minimum(price * head_share_K, cost_K)))
            grid, first, next_head = _tables(solution)
            found.append(
                cls(heads=heads, edges=edges, price=price, loss=loss, grid=grid, first=first, next_head=next_head)
            )
        return found


def _tables(solution: SkipSolution) -> tuple[tuple[float, ...], int, Whole]:
    """The finite grid, the head to ask before any loss is seen, and the steps after each head."""
    finite_G = np.isfinite(solution.grid_G)
    start, *after = solution.next_exit
    steps = tuple(tuple(step_SG[:, finite_G].ravel().tolist()) for step_SG in after)
    return tuple(solution.grid_G[finite_G].tolist()), int(start[0, -1]), steps
