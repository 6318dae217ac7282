"""The best threshold rules on a line, as benchmarks for the optimum.

A rule stops as soon as the best loss (with recall) or the last loss (without) is at most the
threshold, tested before every opening, the first included, where the outside option counts.

Axes: K exits, S states of an exit, P states of the exit before, G thresholds, B partial rules.
"""

import math

import numpy as np

from ttamer.exits.exploration.chain import Chain, FloatArray
from ttamer.profiles.errors import InputError

MOST_EXITS = 4  # per-exit thresholds are enumerated: (S + 1)^(K - 1) rules


def _thresholds(chain: Chain) -> FloatArray:
    """Never stop early, and every loss: a rule changes at these thresholds alone."""
    return np.unique(np.concatenate([[-math.inf], *(node.loss_S for node in chain.nodes)]))


def best_threshold_no_recall(chain: Chain) -> float:
    """Least expected total of one threshold on the last loss, which is what is paid; or of the outside option."""
    theta_G = _thresholds(chain)
    alive_GS = np.ones((theta_G.size, 1))
    total_G = np.zeros(theta_G.size)
    for i, node in enumerate(chain.nodes):
        total_G += node.cost * alive_GS.sum(axis=1)
        shown_GS = alive_GS @ node.trans_PS
        goes_on_GS = node.loss_S > theta_G[:, np.newaxis]
        if i == len(chain.nodes) - 1:
            goes_on_GS[:] = False
        total_G += np.where(goes_on_GS, 0.0, shown_GS) @ node.loss_S
        alive_GS = shown_GS * goes_on_GS
    return _or_outside(chain, theta_G, total_G)


def best_threshold_recall(chain: Chain) -> float:
    """Least expected total of one threshold on the best loss, which is what is paid; or of the outside option."""
    theta_G = _thresholds(chain)
    alive_GS = np.ones((theta_G.size, 1))
    total_G = np.zeros(theta_G.size)
    for node in chain.nodes:
        total_G += node.cost * alive_GS.sum(axis=1)
        shown_GS = alive_GS @ node.trans_PS
        goes_on_GS = node.loss_S > theta_G[:, np.newaxis]
        total_G += np.where(goes_on_GS, 0.0, shown_GS) @ np.minimum(node.loss_S, chain.outside)
        alive_GS = shown_GS * goes_on_GS
    return _or_outside(chain, theta_G, total_G + _least_above(theta_G, alive_GS.sum(axis=1), chain.outside))


def _least_above(theta_G: FloatArray, above_G: FloatArray, outside: float) -> FloatArray:
    """E[min(outside, every loss); every loss > theta] for each theta, from above_G = P(every loss > theta)."""
    atoms_G = above_G[:-1] - above_G[1:]  # P(least loss = theta_G[g + 1])
    parts_G = atoms_G * np.minimum(theta_G[1:], outside)
    return np.concatenate([parts_G[::-1].cumsum()[::-1], [0.0]])


def _or_outside(chain: Chain, theta_G: FloatArray, total_G: FloatArray) -> float:
    """The least total over thresholds below the outside option, or the outside option taken at once."""
    return min(chain.outside, float(total_G[theta_G < chain.outside].min()))


def _least_by_cut(chain: Chain, exit: int, seen_BS: FloatArray) -> FloatArray:
    """Least rest of the total over thresholds of this exit and the later ones, for each row of P(reach, state)."""
    node = chain.nodes[exit]
    if exit == len(chain.nodes) - 1:
        return seen_BS @ node.loss_S
    after = chain.nodes[exit + 1]
    best_B = np.full(len(seen_BS), math.inf)
    for theta in [-math.inf, *np.unique(node.loss_S).tolist()]:
        alive_BS = seen_BS * (node.loss_S > theta)
        stopped_B = (seen_BS - alive_BS) @ node.loss_S
        rest_B = _least_by_cut(chain, exit + 1, alive_BS @ after.trans_PS)
        np.minimum(best_B, stopped_B + after.cost * alive_BS.sum(axis=1) + rest_B, out=best_B)
    return best_B


def best_exit_thresholds_no_recall(chain: Chain) -> float:
    """Least expected total of one threshold an exit on its own loss, which is what is paid; or of the outside option.

    Raises InputError beyond MOST_EXITS exits, where enumeration gets out of hand.
    """
    if len(chain.nodes) > MOST_EXITS:
        raise InputError(
            f"the line has {len(chain.nodes)} exits, thresholds for each exit are enumerated up to {MOST_EXITS}",
            remedy="ask for best_threshold_no_recall or no_recall_value",
        )
    first = chain.nodes[0]
    return min(chain.outside, first.cost + float(_least_by_cut(chain, 0, first.trans_PS)[0]))
