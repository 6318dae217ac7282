import math
from dataclasses import replace

import numpy as np
import pytest

from ttamer.exits import exploration as ex
from ttamer.exits.exploration.index import BLOCK
from ttamer.profiles.errors import InputError

COIN = [0.5, 0.5]


def coin(parent: int = -1, cost: float = 0.1, rows: int = 1) -> ex.Node:
    return ex.Node(parent, cost, np.array([0.0, 1.0]), np.array([COIN] * rows))


def test_one_box_is_opened_below_its_index_only() -> None:
    box = ex.Chain((coin(),))
    assert ex.solve_line(box).index[0][0] == pytest.approx(0.2)
    assert ex.solve_line(box).value == pytest.approx(0.6)
    assert ex.solve_line(replace(box, outside=0.25)).value == pytest.approx(0.225)
    assert ex.solve_line(replace(box, outside=0.15)).value == 0.15


def test_a_free_box_has_the_least_possible_loss_as_index() -> None:
    box = ex.Node(-1, 0.0, np.array([0.1, 0.3, 0.9]), np.array([[0.0, 0.5, 0.5]]))
    assert ex.solve_forest(ex.Forest((box,))).index[0][0] == 0.3


def test_an_index_may_exceed_every_loss() -> None:
    assert ex.solve_forest(ex.Forest((coin(cost=3.0),))).index[0][0] == pytest.approx(3.5)


def test_a_dear_box_does_not_blur_the_value_of_a_cheap_one() -> None:
    forest = ex.Forest((coin(cost=1e9), coin()))
    assert abs(ex.solve_forest(forest).value - 0.6) <= 1e-12


def test_rows_of_unreachable_states_have_an_index() -> None:
    first = ex.Node(-1, 0.1, np.array([0.0, 1.0]), np.array([[1.0, 0.0]]))
    second = ex.Node(0, 0.1, np.array([0.0, 1.0]), np.array([[0.0, 1.0], [0.5, 0.5]]))
    index_P = ex.solve_line(ex.Chain((first, second))).index[1]
    assert index_P == pytest.approx([1.1, 0.2])


def test_the_first_box_may_be_worth_opening_for_its_child_alone() -> None:
    empty = ex.Node(-1, 0.1, np.array([1.0]), np.array([[1.0]]))
    prize = ex.Node(0, 0.1, np.array([0.0]), np.array([[1.0]]))
    assert ex.solve_line(ex.Chain((empty, prize), outside=1.0)).value == pytest.approx(0.2)


def test_indices_agree_with_the_grid_on_grids_of_many_blocks() -> None:
    rng = np.random.default_rng(7)
    rows = [rng.dirichlet(np.full(40, 0.2), size=1 if k == 0 else 40) for k in range(12)]
    chain = ex.chain_of(rng.uniform(0.001, 0.05, 12).tolist(), list(rng.random((12, 40))), rows)
    assert ex.loss_grid(chain).size > 3 * BLOCK
    solution, on_grid = ex.solve_line(chain), ex.solve_on_grid(chain)
    assert solution.value == pytest.approx(on_grid.value, abs=1e-12)
    by_index, by_stops = (ex.split_on_grid(chain, table) for table in (solution.index, on_grid.stop_at))
    assert by_index.value == pytest.approx(by_stops.value, abs=1e-12)
    assert solution.expected_loss == pytest.approx(by_index.expected_loss, abs=1e-12)


def test_the_next_exit_depends_on_the_best_loss_seen() -> None:
    weak = ex.Node(-1, 0.02, np.array([0.4]), np.array([[1.0]]))
    strong = ex.Node(0, 0.30, np.array([0.05]), np.array([[1.0]]))
    problem = ex.SkippableChain(ex.Chain((weak, strong), outside=0.9), np.array([0.01, 0.0]))
    solution = ex.solve_skippable(problem)
    assert solution.value == pytest.approx(0.36)  # backbone 0.01 + 0.30, loss 0.05: the weak head is not run
    assert solution.value_without_skipping == pytest.approx(0.37)
    start = dict(zip(solution.grid_G.tolist(), solution.next_exit[0][0].tolist(), strict=True))
    assert start == {0.05: ex.STOP, 0.4: 1, 0.9: 1}


def test_a_table_of_stops_that_does_not_fit_the_line_is_refused() -> None:
    with pytest.raises(InputError, match="rows of \\[2\\] entries, the line needs \\[1\\]"):
        ex.split_on_grid(ex.Chain((coin(),)), (np.zeros(2),))


def test_per_exit_thresholds_of_a_long_line_are_refused() -> None:
    chain = ex.Chain((coin(), *(coin(k, rows=2) for k in range(4))))
    with pytest.raises(InputError, match="the line has 5 exits"):
        ex.best_exit_thresholds_no_recall(chain)


def test_too_many_histories_without_recall_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ttamer.exits.exploration.no_recall.HISTORY_LIMIT", 10)
    with pytest.raises(InputError, match="more than 10 histories"):
        ex.no_recall_value(ex.Forest(tuple(coin() for _ in range(6))))


@pytest.mark.parametrize(
    ("cost", "loss", "trans", "message"),
    [
        (-0.1, [0.0, 1.0], [COIN], "a node costs -0.1"),
        (math.nan, [0.0, 1.0], [COIN], "a node costs nan"),
        (math.inf, [0.0, 1.0], [COIN], "a node costs inf"),
        (0.1, [0.0, math.inf], [COIN], "the losses of a node holds a value that is not finite"),
        (0.1, [], [[]], "the losses of a node has shape \\(0,\\)"),
        (0.1, [0.0], [COIN], "1 losses and 2 columns"),
        (0.1, [0.0, 1.0], [[1.5, -0.5]], "a transition is -0.5"),
        (0.1, [0.0, 1.0], [[0.5, 0.4]], "sums to 1 within 0.1"),
    ],
)
def test_an_impossible_node_is_refused(cost: float, loss: list[float], trans: list[list[float]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ex.Node(-1, cost, np.array(loss), np.array(trans))


def test_an_impossible_forest_is_refused() -> None:
    with pytest.raises(InputError, match="no node"):
        ex.Forest(())
    with pytest.raises(InputError, match="outside option is nan"):
        ex.Forest((coin(),), outside=math.nan)
    with pytest.raises(InputError, match=r"node 0 has parent 0, allowed are -1\.\.-1"):
        ex.Forest((coin(parent=0),))
    with pytest.raises(InputError, match="node 1 has 1 rows of transitions, its parent has 2 states"):
        ex.Forest((coin(), coin(parent=0)))
    with pytest.raises(InputError, match="do not form a line"):
        ex.Chain((coin(), coin()))
    with pytest.raises(InputError, match="1 costs, 2 losses and 1 transitions"):
        ex.chain_of([0.1], [[0.0], [1.0]], [[[1.0]]])
    with pytest.raises(InputError, match="2 heads for 1 exits"):
        ex.SkippableChain(ex.Chain((coin(),)), np.array([0.1, 0.1]))
    with pytest.raises(InputError, match="allowed is 0 to the cost of the exit"):
        ex.SkippableChain(ex.Chain((coin(),)), np.array([0.2]))


def test_a_problem_cannot_be_changed_through_the_arrays_it_was_made_from() -> None:
    losses = np.array([0.0, 1.0])
    node = ex.Node(-1, 0.1, losses, np.array([COIN]))
    losses[0] = 5.0
    assert node.loss_S.tolist() == [0.0, 1.0]
    assert not node.trans_PS.flags.writeable
