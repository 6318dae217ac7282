"""Exploration problems: nodes that cost something to open and show a random state with a loss.

Opening a node needs its parent open, costs `cost` and shows a state drawn from the row of the
parent's state. Nodes are independent given their parents. One may stop at any moment and pays
the least of the outside option and the losses seen (recall).

Axes: S states of a node, P states of its parent (one for a root), K nodes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ttamer.profiles.errors import InputError

FloatArray = NDArray[np.float64]

ROW_SUM_TOLERANCE = 1e-9  # rows are used as given, never renormalized: a larger gap is an error of the caller
NO_PARENT = -1


def _frozen(values: ArrayLike, axes: int, what: str) -> FloatArray:
    array = np.array(values, dtype=np.float64, ndmin=axes)
    if array.ndim != axes or array.size == 0:
        raise InputError(
            f"{what} has shape {array.shape}, it needs {axes} non-empty axes", remedy="give one number a state"
        )
    if not np.isfinite(array).all():
        raise InputError(f"{what} holds a value that is not finite", remedy="give finite numbers only")
    array.setflags(write=False)
    return array


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One box of the problem: the price of opening it and the law of the loss that it shows.

    parent: index of the parent in the forest, -1 for a root. cost: >= 0, in the unit of the losses.
    loss_S: loss shown by each state, may be negative. trans_PS: P(state | parent's state), one row for a root.
    Raises InputError where a shape, a sign or a row sum is wrong.
    """

    parent: int
    cost: float
    loss_S: FloatArray
    trans_PS: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "loss_S", _frozen(self.loss_S, 1, "the losses of a node"))
        object.__setattr__(self, "trans_PS", _frozen(self.trans_PS, 2, "the transitions of a node"))
        if not (math.isfinite(self.cost) and self.cost >= 0):
            raise InputError(f"a node costs {self.cost}, allowed is >= 0 and finite", remedy="give costs >= 0")
        if self.trans_PS.shape[1] != self.loss_S.size:
            raise InputError(
                f"a node has {self.loss_S.size} losses and {self.trans_PS.shape[1]} columns of transitions",
                remedy="give one column a state",
            )
        if self.trans_PS.min() < 0:
            raise InputError(f"a transition is {self.trans_PS.min()}, allowed is >= 0", remedy="give probabilities")
        off = float(np.abs(self.trans_PS.sum(axis=1) - 1).max())
        if off > ROW_SUM_TOLERANCE:
            raise InputError(
                f"a row of transitions sums to 1 within {off:.3g}, allowed is {ROW_SUM_TOLERANCE}",
                remedy="normalize the rows, those of unreachable states too",
            )


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """Boxes under precedence: each opens after its parent; roots may be opened at once.

    nodes: parents come before their children. outside: what one may pay instead of any loss seen,
    infinite if at least one node must be opened.
    Raises InputError where parents come late or rows do not fit the parent's states.
    """

    nodes: tuple[Node, ...]
    outside: float = math.inf

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", tuple(self.nodes))
        if not self.nodes:
            raise InputError("the problem has no node", remedy="give at least one")
        if math.isnan(self.outside) or self.outside == -math.inf:
            raise InputError(f"the outside option is {self.outside}", remedy="give a finite number or infinity")
        for i, node in enumerate(self.nodes):
            if not NO_PARENT <= node.parent < i:
                raise InputError(
                    f"node {i} has parent {node.parent}, allowed are {NO_PARENT}..{i - 1}", remedy="order parents first"
                )
            rows = 1 if node.parent == NO_PARENT else self.nodes[node.parent].loss_S.size
            if node.trans_PS.shape[0] != rows:
                raise InputError(
                    f"node {i} has {node.trans_PS.shape[0]} rows of transitions, its parent has {rows} states",
                    remedy="give one row for each state of the parent, one for a root",
                )

    def children(self) -> tuple[tuple[int, ...], ...]:
        """Indices of each node's children, in order."""
        lists: list[list[int]] = [[] for _ in self.nodes]
        for i, node in enumerate(self.nodes):
            if node.parent != NO_PARENT:
                lists[node.parent].append(i)
        return tuple(map(tuple, lists))

    def roots(self) -> tuple[int, ...]:
        """Indices of the nodes without a parent."""
        return tuple(i for i, node in enumerate(self.nodes) if node.parent == NO_PARENT)

    @property
    def is_chain(self) -> bool:
        """Whether each node's parent is the node before it."""
        return all(node.parent == i - 1 for i, node in enumerate(self.nodes))


@dataclass(frozen=True, slots=True, eq=False)
class Chain(Forest):
    """A single line of boxes, such as the exits of one network: node i opens after node i - 1."""

    def __post_init__(self) -> None:
        Forest.__post_init__(self)
        if not self.is_chain:
            parents = [node.parent for node in self.nodes]
            raise InputError(f"parents {parents} do not form a line", remedy="use Forest, or parents -1, 0, 1, ...")


def chain_of(
    costs: Sequence[float],
    losses: Sequence[ArrayLike],
    transitions: Sequence[ArrayLike],
    outside: float = math.inf,
) -> Chain:
    """The line of exits with these costs, losses by state, and transition matrices.

    transitions[0]: one row, the law of the first exit's state; transitions[i]: a row for each state of exit i - 1.
    Raises InputError where the three differ in length.
    """
    if not len(costs) == len(losses) == len(transitions):
        raise InputError(
            f"{len(costs)} costs, {len(losses)} losses and {len(transitions)} transitions",
            remedy="give one of each for every exit",
        )
    rows = enumerate(zip(costs, losses, transitions, strict=True))
    nodes = (Node(i - 1, float(c), np.asarray(loss), np.atleast_2d(np.asarray(t))) for i, (c, loss, t) in rows)
    return Chain(tuple(nodes), outside)
