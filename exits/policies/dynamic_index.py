"""Dynamic index with recall: the exact optimum on the confidence chain, T-Tamer's policy on a line.

Source: arXiv 2509.22992, definition 4.4, algorithm 1 and theorem 4.5.
Axes: N samples, K exits, A active heads, S bins of a head.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from ttamer.exits.active_heads import Heads
from ttamer.exits.confidence_chain import bin_of, fit_chain, require_tables
from ttamer.exits.exploration.chain import Chain
from ttamer.exits.exploration.index import solve_forest
from ttamer.exits.exploration.line import TIE, solve_on_grid, split_on_grid
from ttamer.exits.parameters import Rows
from ttamer.exits.policies.protocol import Decision, ExitCosts
from ttamer.exits.sweep import Corner
from ttamer.exits.table_policy import SweptPolicy, rows_of
from ttamer.profiles.records import ExitRecords, Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicIndex(SweptPolicy):
    """Stop once the index of the next head is no lower than the least loss seen; answer with the head that showed it.

    loss: calibrated error of each bin. index: for each head but the last, the index of the next head given this head's
    bin. Raises InputError where tables and bins disagree.
    """

    loss: Rows
    index: Rows

    kind: ClassVar[str] = "dynamic-index"

    def __post_init__(self) -> None:
        A = len(self.heads)
        require_tables(self.kind, self.heads, self.edges, [("loss", self.loss, A), ("index", self.index, A - 1)])

    def walk(self, confidence_NK: Floats) -> Decision:
        """Each sample walks the active heads until its best loss is no higher than the next index."""
        stop_N, answer_N = np.empty((2, len(confidence_NK)), dtype=np.int64)
        left_N = np.arange(len(confidence_NK))
        best_N, holder_N = np.full(len(confidence_NK), np.inf), np.zeros(len(confidence_NK), dtype=np.int64)
        for i, head in enumerate(self.heads):
            bin_N = bin_of(confidence_NK[left_N, head], self.edges[i])
            loss_N = np.asarray(self.loss[i])[bin_N]
            holder_N = np.where(loss_N <= best_N, head, holder_N)  # of equal losses the deeper head's answer
            best_N = np.minimum(loss_N, best_N)
            if head == self.heads[-1]:
                stops_N = np.ones(len(left_N), dtype=np.bool_)
            else:
                stops_N = best_N <= np.asarray(self.index[i])[bin_N] + TIE
            stop_N[left_N[stops_N]], answer_N[left_N[stops_N]] = head, holder_N[stops_N]
            left_N, best_N, holder_N = left_N[~stops_N], best_N[~stops_N], holder_N[~stops_N]
        return Decision(stop_N, answer_N)

    @classmethod
    def solver(cls, calibration: ExitRecords, costs: ExitCosts, heads: Heads) -> Callable[[float], Self]:
        """The optimum of the confidence chain over these heads as a function of the price."""
        chain = fit_chain(calibration, heads)
        share_A, edges, loss = costs.step_shares(heads), rows_of(chain.edges), rows_of(chain.loss)
        return lambda price: cls(
            heads=heads,
            edges=edges,
            price=price,
            loss=loss,
            index=rows_of(solve_forest(chain.priced(share_A, price)).index[1:]),
        )

    @classmethod
    def promise(cls, calibration: ExitRecords, costs: ExitCosts, heads: Heads) -> Callable[[float], Corner]:
        """What the chain promises of its optimum, as a function of the price; the grid solves it fastest."""
        chain, share_A = fit_chain(calibration, heads), costs.step_shares(heads)
        return lambda price: promised(chain.priced(share_A, price), price)


def promised(line: Chain, price: float) -> Corner:
    """The expected loss and time of the optimum with recall on a line priced at this price."""
    split = split_on_grid(line, solve_on_grid(line).stop_at)
    return Corner(price, split.expected_loss, split.expected_cost / price)
