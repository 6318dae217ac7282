"""What recall is worth: constant factors and their absence, on the instances that attain them."""

import math

import numpy as np
import pytest

from ttamer.exits import exploration as ex


def hazard_line(exits: int) -> ex.Chain:
    """Exits of cost 1/n whose loss falls from 1 to 0 with hazard 1/n, beside an outside option of 1."""
    falls = np.array([[1 - 1 / exits, 1 / exits], [0.0, 1.0]])
    transitions = [falls[:1], *[falls] * (exits - 1)]
    return ex.chain_of([1 / exits] * exits, [[1.0, 0.0]] * exits, transitions, outside=1.0)


@pytest.mark.parametrize(("exits", "ratio"), [(10, 1.5353), (80, 1.5762), (400, 1.5808)])
def test_recall_approaches_e_over_e_minus_1_times_the_paying_prophet(exits: int, ratio: float) -> None:
    chain = hazard_line(exits)
    computed = ex.solve_on_grid(chain).value / ex.prophet_paid(chain)
    assert computed == pytest.approx(ratio, abs=5e-5)
    assert computed < math.e / (math.e - 1)


@pytest.mark.parametrize("a", [10, 100, 1000])
def test_without_recall_no_factor_bounds_the_loss(a: int) -> None:
    chain = ex.chain_of([0.0, 0.0], [[1 / a**2], [0.0, 1 / a]], [[[1.0]], [[1 - 1 / a, 1 / a]]])
    assert ex.no_recall_value(chain) == pytest.approx(1 / a**2, rel=1e-12)
    assert ex.solve_on_grid(chain).value == pytest.approx(1 / a**3, rel=1e-9)
    assert ex.prophet_paid(chain) == pytest.approx(1 / a**3, rel=1e-9)


@pytest.mark.parametrize(("boxes", "ratio"), [(3, 1.9), (100, 18.3), (300, 45.2)])
def test_on_forests_even_recall_is_unboundedly_worse_than_the_paying_prophet(boxes: int, ratio: float) -> None:
    p = math.log(boxes) / boxes
    box = ex.Node(-1, p, np.array([0.0, 1.0]), np.array([[p, 1 - p]]))
    forest = ex.Forest((box,) * boxes, outside=1.0)
    assert ex.solve_forest(forest).value == pytest.approx(1.0)
    assert 1.0 / ex.prophet_paid(forest) == pytest.approx(ratio, abs=0.05)


def test_an_index_between_the_losses_orders_two_boxes() -> None:
    """Rounded up to the next loss, the index of the coin would come second and its gain be lost."""
    sure = ex.Node(-1, 0.0, np.array([0.15]), np.array([[1.0]]))
    coin = ex.Node(-1, 0.05, np.array([0.0, 1.0]), np.array([[0.5, 0.5]]))
    solution = ex.solve_forest(ex.Forest((sure, coin)))
    assert solution.index[0][0] == 0.15
    assert solution.index[1][0] == pytest.approx(0.1)
    assert solution.value == pytest.approx(0.05 + 0.5 * 0.15)
