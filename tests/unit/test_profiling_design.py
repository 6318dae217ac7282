"""The adaptive design: half the points, nearly the error of the whole grid."""

from pathlib import Path

import numpy as np
import pytest

from tests.grids import designed, error_at_rest, error_over, published_grids
from ttamer.profiles.surface import FEWEST_POINTS, uncertainty
from ttamer.profiling.design import Setting, next_setting

GRID = [(batch, cores) for batch in (1, 2, 4, 8, 16) for cores in (1, 2, 4, 8)]


def seconds_of(setting: Setting) -> float:
    batch, cores = setting
    return 0.03 * batch / cores + 0.002 * batch + 0.01


def test_the_corners_come_first() -> None:
    assert set(designed({s: seconds_of(s) for s in GRID}, 4)) == {(1, 1), (16, 8), (1, 8), (16, 1)}


def test_no_setting_comes_twice_and_all_come_in_the_end() -> None:
    seconds = {s: seconds_of(s) for s in GRID}
    assert set(designed(seconds, len(GRID))) == set(GRID)
    assert next_setting(GRID, seconds) is None


def test_a_single_core_count_is_designed_by_distance() -> None:
    seconds = {(batch, 1): 0.01 * batch for batch in range(1, 9)}
    measured: dict[Setting, float] = {}
    while setting := next_setting(list(seconds), measured):
        measured[setting] = seconds[setting]
    assert measured == seconds


def test_the_same_measurements_give_the_same_design() -> None:
    seconds = {s: seconds_of(s) for s in GRID}
    assert list(designed(seconds, 12)) == list(designed(dict(reversed(seconds.items())), 12))


def test_a_surface_is_unsure_where_points_scatter_and_far_from_them() -> None:
    known = {(1, 1): 1.02, (1, 2): 0.97, (2, 1): 1.03, (2, 2): 0.99, (3, 1): 0.98, (3, 2): 1.01}
    exact = [(*setting, seconds_of(setting)) for setting in known]
    noisy = [(*setting, factor * seconds_of(setting)) for setting, factor in known.items()]
    assert uncertainty(exact, list(known)).max() < 1e-6
    near, far = uncertainty(noisy, [(2, 1), (16, 8)])
    assert 1e-3 < near < far / 3


def test_points_go_where_the_surface_is_least_certain() -> None:
    known = {s: seconds_of(s) for s in GRID if s[0] in (1, 16)}
    assert len(known) >= FEWEST_POINTS
    batch, _ = next_setting(GRID, known) or (0, 0)
    assert batch in (2, 4, 8)


def test_half_the_points_of_published_grids_do_nearly_as_well_as_all(shared: Path) -> None:
    lost, lost_at_rest = [], []
    for seconds in published_grids(shared).values():
        measured = designed(seconds, len(seconds) // 2)
        lost.append(error_over(seconds, measured) - error_over(seconds, seconds))
        lost_at_rest.append(error_at_rest(seconds, measured) - error_over(seconds, seconds))
    assert len(lost) >= 4
    assert np.mean(lost) == pytest.approx(0.0, abs=0.01)
    assert max(lost) < 0.02
    assert max(lost_at_rest) < 0.01
