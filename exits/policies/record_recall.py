"""Recall learned from the records themselves: answer here, answer with the best earlier head, or go on.

Backward induction in which every cell of the table averages the realized error and the realized
cost-to-go of the calibration samples in it. Unlike the dynamic index it does not assume that
later heads say nothing about an earlier answer: a sure but wrong early head stays sure.

Axes: N samples, K exits, A active heads, S bins of a head, T bins of the best earlier loss.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from ttamer.exits.active_heads import Heads
from ttamer.exits.confidence_chain import PRICES, ConfidenceChain, bin_of, fit_chain, quantile_edges, require_tables
from ttamer.exits.head_policy import Whole
from ttamer.exits.head_sets import promising
from ttamer.exits.parameters import Rows
from ttamer.exits.policies.protocol import Decision, ExitCosts
from ttamer.exits.sweep import Corner
from ttamer.exits.table_policy import SweptPolicy, rows_of
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import ExitRecords, Floats, Ints

ANSWER, RECALL, GO_ON = range(3)
EARLIER_BINS = 2  # more cells lost on held-out records, up to 10,000 of them
CELL_PRIOR = 10.0  # samples' worth of the bin's mean, whatever the earlier loss, in every cell


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRecall(SweptPolicy):
    """Act by this head's bin and the bin of the best earlier loss: 0 answers here, 1 answers earlier, 2 goes on.

    loss: calibrated error of each bin, which says which earlier head is best. earlier_edges: for each head but the
    first, inner edges of the bins of the best earlier loss. action: for each head, its bins times those bins, row after
    row. Raises InputError where tables and bins disagree.
    """

    loss: Rows
    earlier_edges: Rows
    action: Whole

    kind: ClassVar[str] = "record-recall"

    def __post_init__(self) -> None:
        require_tables(self.kind, self.heads, self.edges, [("loss", self.loss, len(self.heads))])
        cells = [(len(e) + 1) * (len(b) + 1) for e, b in zip(self.edges, ((), *self.earlier_edges), strict=False)]
        if [len(row) for row in self.action] != cells or len(cells) != len(self.heads):
            raise InputError(f"action of {self.kind} does not fit its bins {cells}", remedy="fit the policy anew")
        possible = all(ANSWER <= action <= GO_ON for row in self.action for action in row)
        if not possible or RECALL in self.action[0] or GO_ON in self.action[-1]:
            raise InputError(
                f"action of {self.kind} holds an impossible step",
                remedy="0 answers here, 1 answers earlier (not at the first head), 2 goes on (not at the last)",
            )

    def walk(self, confidence_NK: Floats) -> Decision:
        """Each sample walks the active heads until its cell answers."""
        stop_N, answer_N = np.empty((2, len(confidence_NK)), dtype=np.int64)
        left_N = np.arange(len(confidence_NK))
        best_N, holder_N = np.full(len(confidence_NK), np.inf), np.zeros(len(confidence_NK), dtype=np.int64)
        tables = zip(self.heads, self.edges, self.loss, ((), *self.earlier_edges), self.action, strict=True)
        for head, edges, loss, earlier_edges, action in tables:
            bin_N = bin_of(confidence_NK[left_N, head], edges)
            action_N = np.asarray(action)[_cell(bin_N, best_N, earlier_edges)]
            stops_N = action_N != GO_ON
            answer_N[left_N[stops_N]] = np.where(action_N == ANSWER, head, holder_N)[stops_N]
            stop_N[left_N[stops_N]] = head
            loss_N = np.asarray(loss)[bin_N]
            holder_N = np.where(loss_N <= best_N, head, holder_N)[~stops_N]
            best_N, left_N = np.minimum(loss_N, best_N)[~stops_N], left_N[~stops_N]
        return Decision(stop_N, answer_N)

    @classmethod
    def family(cls, calibration: ExitRecords, costs: ExitCosts) -> Sequence[Self]:
        """The tables for a range of prices and several sets of active heads.

        Not the corners of what they do on the calibration records: on held-out halves those were worse.
        """
        solvers = [cls.solver(calibration, costs, heads) for heads in promising(calibration, costs)]
        return [solve(price) for solve in solvers for price in PRICES.tolist()]

    @classmethod
    def solver(cls, calibration: ExitRecords, costs: ExitCosts, heads: Heads) -> Callable[[float], Self]:
        """The tables over these heads as a function of the price."""
        chain = fit_chain(calibration, heads)
        walk = _walk(calibration, chain)
        share_A, edges, loss = costs.step_shares(heads), rows_of(chain.edges), rows_of(chain.loss)
        earlier_edges = rows_of([step.earlier_edges for step in walk[1:]])
        return lambda price: cls(
            heads=heads,
            edges=edges,
            price=price,
            loss=loss,
            earlier_edges=earlier_edges,
            action=_induce(walk, price * share_A),
        )

    @classmethod
    def promise(cls, calibration: ExitRecords, costs: ExitCosts, heads: Heads) -> Callable[[float], Corner]:
        """What the tables do on the calibration records, as a function of the price."""
        solve = cls.solver(calibration, costs, heads)
        correct_NK, rows_N = calibration.correct_NK(), np.arange(calibration.samples)
        reached_A = dict(zip(heads, np.cumsum(costs.step_shares(heads)).tolist(), strict=True))

        def promised(price: float) -> Corner:
            decision = solve(price).decide(calibration)
            stops, times = np.unique(decision.stop_N, return_counts=True)
            time = sum(reached_A[stop] * n for stop, n in zip(stops.tolist(), times.tolist(), strict=True))
            right = float(correct_NK[rows_N, decision.answer_N].mean())
            return Corner(price, 1 - right, time / calibration.samples)

        return promised


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """The calibration samples at one head: their cell, and whether this and the best earlier answer are wrong."""

    earlier_edges: Floats
    bins: int
    cell_N: Ints
    wrong_N: Floats
    earlier_wrong_N: Floats  # infinite at the first head, which has nothing to recall


def _cell(bin_N: Ints, best_N: Floats, earlier_edges: Floats | Sequence[float]) -> Ints:
    return bin_N * (len(earlier_edges) + 1) + bin_of(best_N, earlier_edges)


def _walk(calibration: ExitRecords, chain: ConfidenceChain) -> list[_Step]:
    wrong_NK = (~calibration.correct_NK()).astype(np.float64)
    best_N, earlier_wrong_N = np.full((2, calibration.samples), np.inf)
    steps: list[_Step] = []
    for head, edges, loss in zip(chain.heads, chain.edges, chain.loss, strict=True):
        bin_N = bin_of(calibration.confidence_NK[:, head], edges)
        earlier_edges = quantile_edges(best_N, EARLIER_BINS) if steps else np.empty(0)
        cell_N = _cell(bin_N, best_N, earlier_edges)
        steps.append(_Step(earlier_edges, len(edges) + 1, cell_N, wrong_NK[:, head], earlier_wrong_N))
        earlier_wrong_N = np.where(loss[bin_N] <= best_N, wrong_NK[:, head], earlier_wrong_N)
        best_N = np.minimum(loss[bin_N], best_N)
    return steps


def _induce(walk: Sequence[_Step], cost_A: Floats) -> tuple[tuple[int, ...], ...]:
    """The best action of every cell of every head, from the last head to the first."""
    go_on_N = np.full(len(walk[-1].wrong_N), np.inf)
    actions: list[tuple[int, ...]] = []
    for step, cost in zip(reversed(walk), reversed(cost_A.tolist()), strict=True):
        choices = [step.wrong_N, step.earlier_wrong_N, go_on_N]  # in the order ANSWER, RECALL, GO_ON: it breaks ties
        action_C = np.argmin([_cell_means(step, choice_N) for choice_N in choices], axis=0)
        go_on_N = np.choose(action_C[step.cell_N], choices) + cost
        actions.append(tuple(action_C.tolist()))
    return tuple(reversed(actions))


def _cell_means(step: _Step, value_N: Floats) -> Floats:
    """Mean of the values in every cell, drawn to the mean of its bin, which is drawn to the mean of all."""
    width = len(step.earlier_edges) + 1
    if not np.isfinite(value_N).all():
        return np.full(step.bins * width, np.inf)
    sum_ST = np.bincount(step.cell_N, weights=value_N, minlength=step.bins * width).reshape(step.bins, width)
    count_ST = np.bincount(step.cell_N, minlength=step.bins * width).reshape(step.bins, width)
    bin_S1 = sum_ST.sum(axis=1, keepdims=True) + CELL_PRIOR * value_N.mean()
    bin_S1 /= count_ST.sum(axis=1, keepdims=True) + CELL_PRIOR
    return np.asarray(((sum_ST + CELL_PRIOR * bin_S1) / (count_ST + CELL_PRIOR)).ravel())
