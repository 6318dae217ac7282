"""A single line of exits: the exact dynamic programs on the grid of losses, with and without recall.

On a line the best loss seen is always the outside option or a loss, so a program on that grid is
exact and the stop region of every (exit, state) is a prefix of it.

Axes: K exits, S states of an exit, P states of the exit before, G grid points.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ttamer.exits.exploration.chain import Chain, FloatArray
from ttamer.exits.exploration.index import Split, solve_with_split
from ttamer.profiles.errors import InputError

T = TypeVar("T", bound=np.generic)
TIE = 1e-13  # with costs of zero, stopping and continuing differ by a rounding error; stopping wins
WORTH_A_COPY = 0.9  # dropping a tenth of the columns saves more than copying the rest costs


@dataclass(frozen=True, slots=True, eq=False)
class GridSolution:
    """The optimum of a line with the largest best loss at which stopping is optimal.

    value: least expected total. stop_at[i][a]: before opening exit i, with exit i - 1 in state a, stop if the best loss
    seen is <= stop_at[i][a]: a loss of the line, the outside option, or -inf where one never stops.
    """

    value: float
    stop_at: tuple[FloatArray, ...]


@dataclass(frozen=True, slots=True, eq=False)
class LineSolution:
    """The optimum of a line: open exit i while the best loss seen is above index[i][state of exit i - 1].

    value = expected_loss + expected_cost. index[i][a]: real-valued dynamic index, one entry for the first exit.
    """

    value: float
    index: tuple[FloatArray, ...]
    expected_loss: float
    expected_cost: float


def loss_grid(chain: Chain) -> FloatArray:
    """The values that the best loss can take, ascending: all losses and the outside option, which may be infinite."""
    return np.unique(np.concatenate([[chain.outside], *(node.loss_S for node in chain.nodes)]))


def tie_of(grid_G: FloatArray) -> float:
    """The difference below which stopping and going on count as equal."""
    return TIE * max(1.0, float(np.abs(grid_G[np.isfinite(grid_G)]).max()))


def capped(table_SG: FloatArray, grid_G: FloatArray, loss_S: FloatArray) -> FloatArray:
    """The table at (s, min(x, loss_s)) for x on the grid; overwrites and returns the table."""
    for row_G, column in zip(table_SG, np.searchsorted(grid_G, loss_S).tolist(), strict=True):
        row_G[column:] = row_G[column]
    return table_SG


def _first_seen(chain: Chain, grid_G: FloatArray) -> NDArray[np.intp]:
    """For each point of the grid, how many exits are open before the best loss can take that value."""
    values = np.concatenate([[chain.outside], *(node.loss_S for node in chain.nodes)])
    opened = np.repeat(np.arange(len(chain.nodes) + 1), [1, *(node.loss_S.size for node in chain.nodes)])
    first_G = np.empty(grid_G.size, dtype=np.intp)
    first_G[np.searchsorted(grid_G, values[::-1])] = opened[::-1]  # the earliest is written last
    return first_G


def solve_on_grid(chain: Chain) -> GridSolution:
    """The optimum of a line by backward induction over (exit, state, best loss).

    Time O(K S^2 G), memory O(S G + K S). Tables hold totals less the costs of all exits behind, which come with every
    way of going on, and lie in two buffers by turns: both save passes over them.
    """
    grid_G = loss_grid(chain)
    first_G = _first_seen(chain, grid_G)
    tie, costs = tie_of(grid_G), 0.0
    stop_at: list[FloatArray] = []
    room = grid_G.size * max(max(node.trans_PS.shape) for node in chain.nodes)
    used, spare, stops = np.empty(room), np.empty(room), np.empty(room, dtype=bool)
    value_SG = _table(used, chain.nodes[-1].loss_S.size, grid_G)
    value_SG[:] = grid_G
    for i, node in reversed(list(enumerate(chain.nodes))):
        seen_S = value_SG[np.arange(len(value_SG)), np.searchsorted(grid_G, node.loss_S)]
        np.minimum(value_SG, seen_S[:, np.newaxis], out=value_SG)  # a higher best loss is worth no less
        known_G = (first_G <= i).nonzero()[0]
        if known_G.size < WORTH_A_COPY * grid_G.size:
            grid_G, first_G = grid_G[known_G], first_G[known_G]
            value_SG = value_SG.take(known_G, axis=1, out=_table(spare, len(value_SG), grid_G), mode="clip")
            used, spare = spare, used
        go_on_PG = np.matmul(node.trans_PS, value_SG, out=_table(spare, len(node.trans_PS), grid_G))
        used, spare = spare, used
        costs += node.cost
        stop_G = grid_G - costs
        stops_PG = np.less_equal(stop_G - tie, go_on_PG, out=_table(stops, len(go_on_PG), grid_G))
        stop_at.append(_last_stop(grid_G, stops_PG))
        value_SG = np.minimum(go_on_PG, stop_G, out=go_on_PG)
    # before the first exit the outside option is the one point left
    return GridSolution(float(value_SG[0, 0]) + costs, tuple(reversed(stop_at)))


def _table(buffer: NDArray[T], rows: int, grid_G: FloatArray) -> NDArray[T]:
    """A table over the grid at the beginning of a buffer."""
    return buffer[: rows * grid_G.size].reshape(rows, grid_G.size)


def _last_stop(grid_G: FloatArray, stops_PG: NDArray[np.bool_]) -> FloatArray:
    """The largest point of each row's stops, which form a prefix: x minus the total of going on never falls in x."""
    stops_P = stops_PG.argmin(axis=1)
    stops_P[stops_PG[:, -1]] = grid_G.size
    return np.where(stops_P > 0, grid_G[stops_P - 1], -np.inf)


def split_on_grid(chain: Chain, stop_at: Sequence[FloatArray]) -> Split:
    """Expected loss and cost of a line explored by a table of stops, optimal or not.

    stop_at: as in GridSolution; real-valued indices serve too. Raises InputError where the table does not fit the line.
    """
    grid_G = loss_grid(chain)
    loss_SG = np.tile(grid_G, (chain.nodes[-1].loss_S.size, 1))
    cost_SG = np.zeros_like(loss_SG)
    if [len(stop_P) for stop_P in stop_at] != [len(node.trans_PS) for node in chain.nodes]:
        raise InputError(
            f"the table has rows of {[len(stop_P) for stop_P in stop_at]} entries, the line needs "
            f"{[len(node.trans_PS) for node in chain.nodes]}",
            remedy="give one entry for each state of the exit before",
        )
    for node, stop_P in zip(reversed(chain.nodes), reversed(stop_at), strict=True):
        goes_on_PG = grid_G > np.asarray(stop_P)[:, np.newaxis]
        loss_PG = node.trans_PS @ capped(loss_SG, grid_G, node.loss_S)
        cost_PG = node.trans_PS @ capped(cost_SG, grid_G, node.loss_S) + node.cost
        loss_SG = np.where(goes_on_PG, loss_PG, grid_G)
        cost_SG = np.where(goes_on_PG, cost_PG, 0.0)
    at = int(np.searchsorted(grid_G, chain.outside))
    return Split(float(loss_SG[0, at]), float(cost_SG[0, at]))


def solve_line(chain: Chain) -> LineSolution:
    """The optimum of a line with its real-valued indices and the split of its value into loss and cost.

    Where real-valued indices are not needed, solve_on_grid finds the same policy faster.

    >>> from ttamer.exits.exploration import chain_of
    >>> sure_or_not = chain_of([0.1, 0.1], [[0.0, 1.0], [0.0, 1.0]], [[[0.5, 0.5]], [[1.0, 0.0], [0.5, 0.5]]])
    >>> solution = solve_line(sure_or_not)
    >>> round(solution.value, 9), [index_P.round(9).tolist() for index_P in solution.index]
    (0.4, [[0.2], [0.1, 0.2]])
    """
    solution = solve_with_split(chain)
    return LineSolution(solution.value, solution.index, solution.split.expected_loss, solution.split.expected_cost)
