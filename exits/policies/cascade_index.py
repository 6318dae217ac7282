"""Dynamic index over several models: which of them to consult next, when to stop, and whose answer to give.

The exits of each model are a line; a line may be left and taken up again. With one model this is the dynamic index.
The recursion is exact for lines that are independent. Models that were trained on the same data are not: what one finds
hard the other does too, so the index promises more than it keeps and validation decides whether it is worth its price.

Source: arXiv 2509.22992, theorem 5.1 (several lines); Weitzman, Econometrica 47 (1979).
Axes: N samples, K exits, A active heads, L lines, S bins of a head.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import ClassVar, Self

import numpy as np

from ttamer.exits.active_heads import Heads
from ttamer.exits.confidence_chain import bin_of, fit_chain, require_tables
from ttamer.exits.exploration.chain import NO_PARENT, Forest, Node
from ttamer.exits.exploration.index import solve_forest
from ttamer.exits.exploration.line import TIE
from ttamer.exits.head_sets import promising
from ttamer.exits.parameters import Rows
from ttamer.exits.policies.protocol import Decision, ExitCosts
from ttamer.exits.table_policy import TablePolicy, rows_of
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import ExitRecords, Floats

PRICES = np.logspace(-3, 0.5, 15)


@dataclass(frozen=True, slots=True, kw_only=True)
class CascadeIndex(TablePolicy):
    """Ask the head of least index as long as that is below the least loss seen; answer with the head that showed it.

    lines: how many of the heads belong to each model, in order. loss: calibrated error of each bin. index: of each head
    given the bin of the head before it in its line; the first of a line has the one entry.
    Raises InputError where tables, bins and lines disagree.
    """

    lines: tuple[int, ...]
    loss: Rows
    index: Rows

    kind: ClassVar[str] = "cascade-index"

    def __post_init__(self) -> None:
        require_tables(self.kind, self.heads, self.edges, [("loss", self.loss, len(self.heads))])
        if sum(self.lines) != len(self.heads) or min(self.lines, default=0) < 1:
            raise InputError(f"lines {list(self.lines)} of {self.kind} do not make {len(self.heads)} heads")
        firsts = {first for first, _ in self.spans()}
        sizes = [1 if a in firsts else len(self.loss[a - 1]) for a in range(len(self.heads))]
        if [len(row) for row in self.index] != sizes:
            raise InputError(f"index of {self.kind} does not fit its bins {sizes}", remedy="fit the policy anew")

    def spans(self) -> list[tuple[int, int]]:
        """The first head of each line, by its place, and the one behind its last."""
        return list(pairwise(accumulate(self.lines, initial=0)))

    def walk(self, confidence_NK: Floats) -> Decision:
        """Each sample opens the line of least index until none is below its least loss."""
        spans, N = self.spans(), len(confidence_NK)
        index_NL = np.tile([self.index[first][0] for first, _ in spans], (N, 1))
        place_NL = np.tile([first for first, _ in spans], (N, 1))
        best_N, answer_N = np.full(N, np.inf), np.zeros(N, dtype=np.int64)
        asked_KN = np.zeros((confidence_NK.shape[1], N), dtype=np.bool_)
        left_N = np.arange(N)
        while len(left_N):
            line_N = index_NL[left_N].argmin(axis=1)
            for line in range(len(spans)):
                here_N = left_N[line_N == line]
                for place in np.unique(place_NL[here_N, line]).tolist():
                    row_N = here_N[place_NL[here_N, line] == place]
                    head, bin_N = self.heads[place], bin_of(confidence_NK[row_N, self.heads[place]], self.edges[place])
                    loss_N = np.asarray(self.loss[place])[bin_N]
                    answer_N[row_N] = np.where(loss_N <= best_N[row_N], head, answer_N[row_N])
                    best_N[row_N] = np.minimum(loss_N, best_N[row_N])
                    asked_KN[head, row_N], place_NL[row_N, line] = True, place + 1
                    is_over = place + 1 == spans[line][1]
                    index_NL[row_N, line] = np.inf if is_over else np.asarray(self.index[place + 1])[bin_N]
            left_N = left_N[best_N[left_N] > index_NL[left_N].min(axis=1) + TIE]
        stop_N = len(asked_KN) - 1 - asked_KN[::-1].argmax(axis=0)
        return Decision(stop_N, answer_N, asked_KN.T)

    @classmethod
    def family(cls, calibration: ExitRecords, costs: ExitCosts) -> Sequence[Self]:
        """The optima for a range of prices and several sets of active heads."""
        sets = promising(calibration, costs)
        return [policy for heads in sets for policy in cls.solved(calibration, costs, heads)]

    @classmethod
    def solved(cls, calibration: ExitRecords, costs: ExitCosts, heads: Heads) -> list[Self]:
        """The optima of the independent lines over these heads for a range of prices."""
        owners = np.searchsorted(calibration.starts, heads, side="right")
        groups = [tuple(np.asarray(heads)[owners == owner].tolist()) for owner in np.unique(owners)]
        chains = [fit_chain(calibration, group) for group in groups]
        edges = [row for chain in chains for row in chain.edges]
        loss = [row for chain in chains for row in chain.loss]
        laws = [(law, place == 0) for chain in chains for place, law in enumerate(chain.transitions)]
        share_A = costs.step_shares(heads)
        found = []
        for price in PRICES.tolist():
            nodes = [
                Node(NO_PARENT if is_first else a - 1, price * share_A[a], loss[a], law)
                for a, (law, is_first) in enumerate(laws)
            ]
            index = rows_of(solve_forest(Forest(tuple(nodes))).index)
            found.append(
                cls(
                    heads=heads, edges=rows_of(edges), price=price, lines=tuple(map(len, groups)),
                    loss=rows_of(loss), index=index,
                )
            )  # fmt: skip
        return found
