"""Optimal stopping on the confidence chain without recall: the exit that stops answers.

Beside the dynamic index because its promise is honest: nothing later is asked about an answer already left behind.
Source: backward induction, f_i(s) = min(loss_i(s), cost_i+1 + sum over t of P(t | s) f_i+1(t)).
Axes: N samples, K exits, A active heads, S bins of a head.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ttamer.exits.active_heads import Heads, head_choices, head_mask
from ttamer.exits.confidence_chain import PRICES, bin_of, fit_chain, require_tables
from ttamer.exits.exploration.chain import Chain
from ttamer.exits.exploration.line import TIE
from ttamer.exits.parameters import Rows, integers, number, number_rows, plain_rows, require_names
from ttamer.exits.policies.protocol import Decision, ExitCosts
from ttamer.profiles.records import ExitRecords, Floats

NAMES = ("heads", "edges", "gain", "price")


@dataclass(frozen=True, slots=True, kw_only=True)
class NoRecall:
    """Stop, and answer, at the first head whose bin gains nothing by going on.

    edges: inner edges of each head's confidence bins. gain: for each head but the last and each bin, the loss of
    answering here less the least expected cost of going on. price: the errors one run of the backbone was worth.
    Raises InputError where tables and bins disagree.
    """

    heads: Heads
    edges: Rows
    gain: Rows
    price: float

    kind: ClassVar[str] = "no-recall"

    def __post_init__(self) -> None:
        require_tables(self.kind, self.heads, self.edges, [("gain", self.gain, len(self.heads) - 1)])

    def params(self) -> dict[str, Any]:
        """Active heads, tables and price."""
        return {
            "heads": list(self.heads),
            "edges": plain_rows(self.edges),
            "gain": plain_rows(self.gain),
            "price": self.price,
        }

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """The policy with these tables. Raises InputError on a missing or impossible one."""
        require_names(params, NAMES, cls.kind)
        return cls(
            heads=integers(params, "heads", cls.kind),
            edges=number_rows(params, "edges", cls.kind),
            gain=number_rows(params, "gain", cls.kind),
            price=number(params, "price", cls.kind),
        )

    def heads_K(self, exits: int) -> NDArray[np.bool_]:
        """The active heads. Raises InputError unless the last of them is the last of K exits."""
        return head_mask(self.heads, exits)

    def decide(self, records: ExitRecords) -> Decision:
        """Each sample walks the active heads until going on gains nothing."""
        self.heads_K(records.exits)
        stop_N = np.full(records.samples, self.heads[-1], dtype=np.int64)
        left_N = np.arange(records.samples)
        for head, edges, gain in zip(self.heads, self.edges, self.gain, strict=False):
            bin_N = bin_of(records.confidence_NK[left_N, head], edges)
            stops_N = np.asarray(gain)[bin_N] <= TIE
            stop_N[left_N[stops_N]] = head
            left_N = left_N[~stops_N]
        return Decision(stop_N, stop_N)

    @classmethod
    def family(cls, calibration: ExitRecords, costs: ExitCosts) -> Sequence[Self]:
        """The optima on the chain for a range of prices and several sets of active heads."""
        return [policy for heads in head_choices(calibration.exits) for policy in cls._fit(calibration, costs, heads)]

    @classmethod
    def _fit(cls, calibration: ExitRecords, costs: ExitCosts, heads: Heads) -> Iterator[Self]:
        chain = fit_chain(calibration, heads)
        share_A = costs.step_shares(heads)
        edges = tuple(tuple(row.tolist()) for row in chain.edges)
        for price in PRICES.tolist():
            gain = tuple(tuple(row.tolist()) for row in gains(chain.priced(share_A, price)))
            yield cls(heads=heads, edges=edges, gain=gain, price=price)


def gains(chain: Chain) -> list[Floats]:
    """For each node but the last and each of its states, its loss less the least expected cost of going on."""
    found: list[Floats] = []
    least_S = chain.nodes[-1].loss_S
    for here, after in zip(chain.nodes[-2::-1], chain.nodes[:0:-1], strict=True):
        go_on_S = after.cost + after.trans_PS @ least_S
        found.append(here.loss_S - go_on_S)
        least_S = np.minimum(here.loss_S, go_on_S)
    return found[::-1]
