"""Optimal stopping on the confidence chain without recall: the exit that stops answers.

Beside the dynamic index because its promise is honest: nothing later is asked about an answer already left behind.
Source: backward induction, f_i(s) = min(loss_i(s), cost_i+1 + sum over t of P(t | s) f_i+1(t)).
Axes: N samples, K exits, A active heads, S bins of a head.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from ttamer.exits.active_heads import Heads
from ttamer.exits.confidence_chain import bin_of, fit_chain, require_tables
from ttamer.exits.exploration.chain import Chain
from ttamer.exits.exploration.line import TIE
from ttamer.exits.parameters import Rows
from ttamer.exits.policies.protocol import Decision, ExitCosts
from ttamer.exits.sweep import Corner
from ttamer.exits.table_policy import SweptPolicy, rows_of
from ttamer.profiles.records import ExitRecords, Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class NoRecall(SweptPolicy):
    """Stop, and answer, at the first head whose bin gains nothing by going on.

    gain: for each head but the last and each bin, the loss of answering here less the least expected cost of going on.
    Raises InputError where tables and bins disagree.
    """

    gain: Rows

    kind: ClassVar[str] = "no-recall"

    def __post_init__(self) -> None:
        require_tables(self.kind, self.heads, self.edges, [("gain", self.gain, len(self.heads) - 1)])

    def walk(self, confidence_NK: Floats) -> Decision:
        """Each sample walks the active heads until going on gains nothing."""
        stop_N = np.full(len(confidence_NK), self.heads[-1], dtype=np.int64)
        left_N = np.arange(len(confidence_NK))
        for head, edges, gain in zip(self.heads, self.edges, self.gain, strict=False):
            bin_N = bin_of(confidence_NK[left_N, head], edges)
            stops_N = np.asarray(gain)[bin_N] <= TIE
            stop_N[left_N[stops_N]] = head
            left_N = left_N[~stops_N]
        return Decision(stop_N, stop_N)

    @classmethod
    def solver(cls, calibration: ExitRecords, costs: ExitCosts, heads: Heads) -> Callable[[float], Self]:
        """The optimum of the confidence chain over these heads as a function of the price."""
        chain = fit_chain(calibration, heads)
        share_A, edges = costs.step_shares(heads), rows_of(chain.edges)
        return lambda price: cls(
            heads=heads, edges=edges, price=price, gain=rows_of(gains(chain.priced(share_A, price)))
        )

    @classmethod
    def promise(cls, calibration: ExitRecords, costs: ExitCosts, heads: Heads) -> Callable[[float], Corner]:
        """What the chain promises of its optimum without recall, as a function of the price."""
        chain, share_A = fit_chain(calibration, heads), costs.step_shares(heads)
        return lambda price: promised(chain.priced(share_A, price), price)


def promised(chain: Chain, price: float) -> Corner:
    """The expected loss and time of the optimum without recall on a line priced at this price."""
    last = chain.nodes[-1]
    loss_S, cost_S = last.loss_S, np.zeros(len(last.loss_S))
    for here, after in zip(chain.nodes[-2::-1], chain.nodes[:0:-1], strict=True):
        later_S, cost_S = after.trans_PS @ loss_S, after.cost + after.trans_PS @ cost_S
        stops_S = here.loss_S <= later_S + cost_S + TIE
        loss_S, cost_S = np.where(stops_S, here.loss_S, later_S), np.where(stops_S, 0.0, cost_S)
    first = chain.nodes[0]
    loss, cost = float(first.trans_PS[0] @ loss_S), first.cost + float(first.trans_PS[0] @ cost_S)
    return Corner(price, loss, cost / price)


def gains(chain: Chain) -> list[Floats]:
    """For each node but the last and each of its states, its loss less the least expected cost of going on."""
    found: list[Floats] = []
    least_S = chain.nodes[-1].loss_S
    for here, after in zip(chain.nodes[-2::-1], chain.nodes[:0:-1], strict=True):
        go_on_S = after.cost + after.trans_PS @ least_S
        found.append(here.loss_S - go_on_S)
        least_S = np.minimum(here.loss_S, go_on_S)
    return found[::-1]
