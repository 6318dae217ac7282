import numpy as np
import pytest

from ttamer.planning.simulation import line
from ttamer.planning.simulation.line import Line, Some, places_of


def test_whoever_comes_in_the_order_of_numbers_needs_no_other_order() -> None:
    found = Line.of(np.array([1.0, 2.0, 2.0, 3.0]))
    assert found.order_N is None
    assert found[1:].tolist() == [2.0, 2.0, 3.0]


def test_overtakers_come_first_and_of_two_at_once_the_lower_number() -> None:
    found = Line.of(np.array([5.0, 2.0, 7.0, 2.0]))
    assert found[:].tolist() == [2.0, 2.0, 5.0, 7.0]
    assert np.asarray(found.requests(slice(None))).tolist() == [1, 3, 0, 2]
    assert (len(found), found.order_N is not None and found.order_N.dtype) == (4, np.uint8)


def test_some_of_a_line_come_in_its_order() -> None:
    found = Some(Line.of(np.array([5.0, 2.0, 7.0, 2.5])), np.array([0, 2, 3]))
    assert len(found) == 3
    assert found[1:].tolist() == [5.0, 7.0]
    assert found[np.array([0, 2])].tolist() == [2.0, 7.0]


def test_places_are_found_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    is_one_N = np.random.default_rng(0).random(1000) < 0.3
    monkeypatch.setattr(line, "PIECE", 64)
    found = places_of(is_one_N)
    assert found.dtype == np.uint16
    assert (found == np.flatnonzero(is_one_N)).all()
    assert not len(places_of(np.zeros(10, dtype=bool)))
