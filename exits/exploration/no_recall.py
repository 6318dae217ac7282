"""The optimum when an earlier loss cannot be returned: the loss of the last opened node is paid.

Axes: P states of the parent, S states of the node.
"""

from collections.abc import Sequence

import numpy as np

from ttamer.exits.exploration.chain import NO_PARENT, FloatArray, Forest
from ttamer.profiles.errors import InputError

UNOPENED = -1
EXHAUSTED = -2  # open, with every child open too: its state no longer matters

# The free-order problem is NP-hard even for independent boxes (Agrawal, Sethuraman and Zhang, On optimal ordering in
# the optimal stopping problem, EC 2020), so the number of histories is bounded instead of the time.
HISTORY_LIMIT = 500_000

History = tuple[int, ...]


def _line(forest: Forest) -> float:
    cost_to_go_P: FloatArray = np.full(forest.nodes[-1].loss_S.size, np.inf)
    for node in reversed(forest.nodes):
        cost_to_go_P = node.cost + node.trans_PS @ np.minimum(node.loss_S, cost_to_go_P)
    return float(cost_to_go_P[0])


class _Histories:
    """Backward induction over what has been seen, each history visited once."""

    def __init__(self, forest: Forest) -> None:
        self.forest = forest
        self.children: Sequence[Sequence[int]] = forest.children()
        self.cost_to_go: dict[History, float] = {}

    def _after(self, seen: History, node: int, state: int) -> History:
        """What is known once the node has shown the state, less what no longer matters."""
        now = list(seen)
        now[node] = state if self.children[node] else EXHAUSTED
        parent = self.forest.nodes[node].parent
        if parent != NO_PARENT and all(now[w] != UNOPENED for w in self.children[parent]):
            now[parent] = EXHAUSTED
        return tuple(now)

    def least(self, seen: History) -> float:
        """Least expected total from here if at least one more node is opened; infinite if none is left."""
        known = self.cost_to_go.get(seen)
        if known is not None:
            return known
        if len(self.cost_to_go) >= HISTORY_LIMIT:
            raise InputError(
                f"the optimum without recall needs more than {HISTORY_LIMIT} histories",
                remedy="ask for it on a line, or on fewer nodes or states",
            )
        best = np.inf
        for i, node in enumerate(self.forest.nodes):
            is_available = seen[i] == UNOPENED and (node.parent == NO_PARENT or seen[node.parent] != UNOPENED)
            if is_available:
                row_S = node.trans_PS[0 if node.parent == NO_PARENT else seen[node.parent]]
                rest = (p * min(node.loss_S[s], self.least(self._after(seen, i, s))) for s, p in enumerate(row_S) if p)
                best = min(best, node.cost + float(sum(rest)))
        self.cost_to_go[seen] = best
        return best


def no_recall_value(forest: Forest) -> float:
    """Least expected total when the last opened node's loss is paid, branches being opened in any order.

    The outside option may be taken before anything is opened only. A line takes O(K S^2) time; several lines and trees
    are searched over all histories. Raises InputError beyond HISTORY_LIMIT histories.
    """
    if forest.is_chain:
        return min(forest.outside, _line(forest))
    return min(forest.outside, _Histories(forest).least((UNOPENED,) * len(forest.nodes)))
