"""Dynamic indices: the exact optimum of exploring a line, several lines or a forest with recall.

Every unopened node, given its parent's state s, is one Weitzman box: with Z the least loss that
its subtree will show (each child at its equivalent loss), the index sigma is the largest y with
E[(y - Z)^+] <= cost and the equivalent loss is max(Z, sigma). Opening the available node of
smallest index while that index is below the best loss seen is optimal, and its expected total is
E[min(outside, equivalent losses of the roots)].

Source: Weitzman, Optimal search for the best alternative, Econometrica 47 (1979); its Markovian
form on trees: arXiv 2509.22992, definition 4.4 and theorem 5.1.

Axes: P states of the parent, S states of the node, G grid points.
"""

from dataclasses import dataclass

import numpy as np

from ttamer.exits.exploration.chain import FloatArray, Forest, Node
from ttamer.exits.exploration.law import Law, mean_of, smallest_of

BLOCK = 128  # grid points summed in one product; from 64 to 256 the time hardly changes


@dataclass(frozen=True, slots=True, eq=False)
class IndexSolution:
    """The optimum and the table that attains it: open the available node of smallest index while it is below the best.

    value: least expected total of costs and loss. index[i][a]: dynamic index of node i given state a of its parent, for
    unreachable states too; a root has the one entry index[i][0].
    """

    value: float
    index: tuple[FloatArray, ...]


@dataclass(frozen=True, slots=True)
class Split:
    """An expected total in its two parts: the loss paid at the end and the costs of opening."""

    expected_loss: float
    expected_cost: float

    @property
    def value(self) -> float:
        """Their sum."""
        return self.expected_loss + self.expected_cost


def _index(grid_G: FloatArray, cdf_PG: FloatArray, cost: float) -> FloatArray:
    """The largest y with E[(y - Z)^+] <= cost, for every row of distribution functions.

    That gain is summed by blocks of the grid first, then point by point in the block where it passes the cost.
    """
    gap_G = np.diff(grid_G, append=grid_G[-1])
    starts = range(0, gap_G.size, BLOCK)
    gain_BP = np.zeros((len(starts), len(cdf_PG)))  # at the first point of each block
    for gain_P, start in zip(gain_BP[1:], starts, strict=False):
        np.dot(cdf_PG[:, start : start + BLOCK], gap_G[start : start + BLOCK], out=gain_P)
    gain_BP.cumsum(axis=0, out=gain_BP)
    block_P = (gain_BP <= cost).sum(axis=0) - 1
    rows_P = np.arange(len(cdf_PG))
    inside_PG = (block_P * BLOCK)[:, np.newaxis] + np.arange(min(BLOCK, gap_G.size))
    np.minimum(inside_PG, gap_G.size - 1, out=inside_PG)
    gain_PG = np.empty((len(cdf_PG), inside_PG.shape[1] + 1))  # from the block's first point to the next block's
    gain_PG[:, 0] = gain_BP[block_P, rows_P]
    np.multiply(cdf_PG[rows_P[:, np.newaxis], inside_PG], gap_G[inside_PG], out=gain_PG[:, 1:])
    gain_PG.cumsum(axis=1, out=gain_PG)
    past_P = (gain_PG <= cost).sum(axis=1) - 1
    last_P = np.minimum(block_P * BLOCK + past_P, gap_G.size - 1)
    sigma_P: FloatArray = grid_G[last_P] + (cost - gain_PG[rows_P, past_P]) / cdf_PG[rows_P, last_P]
    return sigma_P


def _equivalent(node: Node, below: Law) -> Law:
    """The law of the node's equivalent loss given its parent's state, from the law given its own."""
    cdf_PG = node.trans_PS @ below.cdf_SG
    sigma_P = _index(below.grid_G, cdf_PG, node.cost)
    paid_PG = None if below.paid_SG is None else node.trans_PS @ below.paid_SG
    return Law(below.grid_G, cdf_PG, sigma_P, paid_PG)


@dataclass(frozen=True, slots=True, eq=False)
class SplitSolution:
    """The optimum with its indices, as in IndexSolution, and the two parts of its value."""

    value: float
    index: tuple[FloatArray, ...]
    split: Split


def _explore(forest: Forest, split: bool) -> tuple[Law, tuple[FloatArray, ...]]:
    """The law of what the roots and the outside option come to, and the index of every node."""
    children = forest.children()
    laws: dict[int, Law] = {}
    index: dict[int, FloatArray] = {}
    for i in reversed(range(len(forest.nodes))):
        node = forest.nodes[i]
        below = smallest_of([laws.pop(w) for w in children[i]], node.loss_S, split)
        laws[i] = _equivalent(node, below)
        index[i] = laws[i].floor_S
    roots = smallest_of([laws[r] for r in forest.roots()], np.array([forest.outside]), split)
    return roots, tuple(index[i] for i in range(len(forest.nodes)))


def solve_forest(forest: Forest) -> IndexSolution:
    """The optimum of exploring a forest, several lines or one line, with the index of every node and parent state.

    Time O(sum over nodes of P S G) with G <= losses and indices below the node.
    """
    law, index = _explore(forest, split=False)
    return IndexSolution(mean_of(law), index)


def solve_with_split(forest: Forest) -> SplitSolution:
    """The optimum with indices, expected loss and expected cost; about twice the work of solve_forest.

    An outside option that is taken counts as loss. Where optimal policies tie, the split is that of one of them.
    """
    law, index = _explore(forest, split=True)
    assert law.paid_SG is not None
    value, loss = mean_of(law), float(law.paid_SG[0, -1])
    return SplitSolution(value, index, Split(loss, value - loss))


def split_value(forest: Forest) -> Split:
    """The expected loss and the expected cost of the optimum, as in solve_with_split."""
    return solve_with_split(forest).split
