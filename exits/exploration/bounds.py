"""What a prophet who sees every loss in advance would pay: lower bounds on every policy.

prophet_free <= prophet_paid <= optimum with recall; on a line with losses >= 0 the optimum with recall is at most
e / (e - 1) times prophet_paid, and this is tight.

Axes: P states of the parent, S states of the node, G grid points.
"""

import numpy as np

from ttamer.exits.exploration.chain import NO_PARENT, Forest
from ttamer.exits.exploration.law import Law, mean_of, smallest_of


def _least(forest: Forest, added: list[float]) -> float:
    """E[min(outside, min over nodes of their loss + added)]."""
    children = forest.children()
    laws: dict[int, Law] = {}
    for i in reversed(range(len(forest.nodes))):
        node = forest.nodes[i]
        below = smallest_of([laws.pop(w) for w in children[i]], node.loss_S + added[i], split=False)
        cdf_PG = node.trans_PS @ below.cdf_SG
        laws[i] = Law(below.grid_G, cdf_PG, np.full(len(cdf_PG), -np.inf))
    return mean_of(smallest_of([laws[r] for r in forest.roots()], np.array([forest.outside]), split=False))


def prophet_free(forest: Forest) -> float:
    """E[min(outside, least loss)]: full information, openings cost nothing."""
    return _least(forest, [0.0] * len(forest.nodes))


def prophet_paid(forest: Forest) -> float:
    """E[min(outside, min over nodes of loss + cost of the path)]: full information, the path used is paid."""
    path_cost: list[float] = []
    for node in forest.nodes:
        path_cost.append(node.cost + (0.0 if node.parent == NO_PARENT else path_cost[node.parent]))
    return _least(forest, path_cost)
