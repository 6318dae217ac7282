"""A line whose heads may be skipped: the backbone is paid up to the exit, the head only where it is opened.

Stopping still follows an index, but which exit comes next depends on the best loss seen, so this
is a dynamic program over (last opened exit, its state, best loss).

Source: arXiv 2509.22992, theorem 5.2 (transitive closure of a line).
Axes: K exits, S states of an exit, G grid points.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ttamer.exits.exploration.chain import Chain, FloatArray
from ttamer.exits.exploration.line import capped, loss_grid, solve_on_grid, tie_of
from ttamer.profiles.errors import InputError

STOP = -1


@dataclass(frozen=True, slots=True, eq=False)
class SkippableChain:
    """A line of exits whose heads cost head_K each and may be left out; states not opened are not seen.

    exits: node i costs its part of the backbone plus its head. A jump from exit i to exit j costs the backbone of
    i + 1..j and the head of j. Raises InputError unless 0 <= head <= cost of every exit.
    """

    exits: Chain
    head_K: FloatArray

    def __post_init__(self) -> None:
        head_K = np.array(self.head_K, dtype=np.float64)
        cost_K = np.array([node.cost for node in self.exits.nodes])
        if head_K.shape != cost_K.shape:
            raise InputError(f"{head_K.size} heads for {cost_K.size} exits", remedy="give the cost of every head")
        if not ((head_K >= 0) & (head_K <= cost_K)).all():
            raise InputError(
                f"heads cost {head_K.tolist()}, allowed is 0 to the cost of the exit, {cost_K.tolist()}",
                remedy="let the cost of an exit be its backbone plus its head",
            )
        head_K.setflags(write=False)
        object.__setattr__(self, "head_K", head_K)


@dataclass(frozen=True, slots=True, eq=False)
class SkipSolution:
    """The optimum of a line with skippable heads and the next exit to open.

    value <= value_without_skipping, the optimum when every head runs. next_exit[i][s, g]: with i exits behind (0 at the
    start), the last opened of them, i - 1, in state s, and best loss grid_G[g]: the exit to open next, or STOP.
    """

    value: float
    value_without_skipping: float
    grid_G: FloatArray
    next_exit: tuple[NDArray[np.int16], ...]


def _jumps(problem: SkippableChain, opened: int) -> Iterator[tuple[int, float, FloatArray]]:
    """Each later exit with the price of jumping there and the law of its state, given the last of `opened` exits."""
    backbone = 0.0
    law_SS: FloatArray | None = None
    for j in range(opened, len(problem.exits.nodes)):
        node = problem.exits.nodes[j]
        backbone += node.cost - problem.head_K[j]
        law_SS = node.trans_PS if law_SS is None else law_SS @ node.trans_PS
        yield j, backbone + problem.head_K[j], law_SS


def solve_skippable(problem: SkippableChain) -> SkipSolution:
    """The optimum of a line with skippable heads.

    Time O(K^2 S^2 G / 2), memory O(K S G) with G the number of distinct losses.
    """
    nodes = problem.exits.nodes
    grid_G = loss_grid(problem.exits)
    tie = tie_of(grid_G)
    behind: list[FloatArray] = [np.empty((0, 0))] * len(nodes)  # least total once the exit has shown its state
    next_exit: list[NDArray[np.int16]] = [np.full((nodes[-1].loss_S.size, grid_G.size), STOP, dtype=np.int16)]
    value_SG = np.tile(grid_G, (nodes[-1].loss_S.size, 1))
    for opened in reversed(range(len(nodes))):
        behind[opened] = capped(value_SG, grid_G, nodes[opened].loss_S)
        rows = nodes[opened].trans_PS.shape[0]
        go_on_SG = np.full((rows, grid_G.size), math.inf)
        to_SG = np.full((rows, grid_G.size), STOP, dtype=np.int16)
        for j, price, law_SS in _jumps(problem, opened):
            jump_SG = law_SS @ behind[j]
            jump_SG += price
            to_SG[jump_SG < go_on_SG] = j
            np.minimum(go_on_SG, jump_SG, out=go_on_SG)
        to_SG[grid_G <= go_on_SG + tie] = STOP
        next_exit.append(to_SG)
        value_SG = np.minimum(go_on_SG, grid_G)
    at = int(np.searchsorted(grid_G, problem.exits.outside))
    return SkipSolution(float(value_SG[0, at]), solve_on_grid(problem.exits).value, grid_G, tuple(reversed(next_exit)))
