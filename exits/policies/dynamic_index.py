"""Dynamic index with recall: the exact optimum on the confidence chain, T-Tamer's policy on a line.

Source: arXiv 2509.22992, definition 4.4, algorithm 1 and theorem 4.5.
Axes: N samples, K exits, A active heads, S bins of a head.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ttamer.exits.active_heads import Heads, head_choices, head_mask
from ttamer.exits.confidence_chain import PRICES, bin_of, fit_chain, require_tables
from ttamer.exits.exploration.index import solve_forest
from ttamer.exits.exploration.line import TIE
from ttamer.exits.parameters import Rows, integers, number, number_rows, plain_rows, require_names
from ttamer.exits.policies.protocol import Decision, ExitCosts
from ttamer.profiles.records import ExitRecords

NAMES = ("heads", "edges", "loss", "index", "price")


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicIndex:
    """Stop once the index of the next head is no lower than the least loss seen; answer with the head that showed it.

    edges: inner edges of each head's confidence bins. loss: calibrated error of each bin. index: for each head but the
    last, the index of the next head given this head's bin. price: the errors one run of the backbone was worth.
    Raises InputError where tables and bins disagree.
    """

    heads: Heads
    edges: Rows
    loss: Rows
    index: Rows
    price: float

    kind: ClassVar[str] = "dynamic-index"

    def __post_init__(self) -> None:
        A = len(self.heads)
        require_tables(self.kind, self.heads, self.edges, [("loss", self.loss, A), ("index", self.index, A - 1)])

    def params(self) -> dict[str, Any]:
        """Active heads, tables and price."""
        tables = {"edges": self.edges, "loss": self.loss, "index": self.index}
        return {"heads": list(self.heads), **{k: plain_rows(rows) for k, rows in tables.items()}, "price": self.price}

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """The policy with these tables. Raises InputError on a missing or impossible one."""
        require_names(params, NAMES, cls.kind)
        return cls(
            heads=integers(params, "heads", cls.kind),
            edges=number_rows(params, "edges", cls.kind),
            loss=number_rows(params, "loss", cls.kind),
            index=number_rows(params, "index", cls.kind),
            price=number(params, "price", cls.kind),
        )

    def heads_K(self, exits: int) -> NDArray[np.bool_]:
        """The active heads. Raises InputError unless the last of them is the last of K exits."""
        return head_mask(self.heads, exits)

    def decide(self, records: ExitRecords) -> Decision:
        """Each sample walks the active heads until its best loss is no higher than the next index."""
        self.heads_K(records.exits)
        stop_N, answer_N = np.empty((2, records.samples), dtype=np.int64)
        left_N = np.arange(records.samples)
        best_N, holder_N = np.full(records.samples, np.inf), np.zeros(records.samples, dtype=np.int64)
        for i, head in enumerate(self.heads):
            bin_N = bin_of(records.confidence_NK[left_N, head], self.edges[i])
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
    def family(cls, calibration: ExitRecords, costs: ExitCosts) -> Sequence[Self]:
        """The optima on the chain for a range of prices and several sets of active heads."""
        return [policy for heads in head_choices(calibration.exits) for policy in cls._fit(calibration, costs, heads)]

    @classmethod
    def _fit(cls, calibration: ExitRecords, costs: ExitCosts, heads: Heads) -> Iterator[Self]:
        chain = fit_chain(calibration, heads)
        share_A = costs.step_shares(heads)
        edges = tuple(tuple(row.tolist()) for row in chain.edges)
        loss = tuple(tuple(row.tolist()) for row in chain.loss)
        for price in PRICES.tolist():
            index = solve_forest(chain.priced(share_A, price)).index[1:]
            yield cls(
                heads=heads, edges=edges, loss=loss, index=tuple(tuple(row.tolist()) for row in index), price=price
            )
