"""Every arrival process keeps the promise of its name: right rate, ascending times, nothing from a hidden seed."""

from pathlib import Path

import numpy as np
import pytest

from ttamer.planning.simulation import arrivals
from ttamer.planning.simulation.arrivals import ARRIVALS


def test_every_file_of_the_folder_is_a_registered_process() -> None:
    files = {path.stem for path in Path(arrivals.__file__).parent.glob("*.py")} - {"__init__"}
    assert {name.replace("-", "_") for name in ARRIVALS} == files


@pytest.mark.parametrize("name", ARRIVALS)
@pytest.mark.parametrize("rate_rps", [0.01, 3.0, 50_000.0])
def test_the_mean_rate_is_the_one_asked_for(name: str, rate_rps: float) -> None:
    times_s = ARRIVALS[name](rate_rps, 200_000, np.random.default_rng(11))
    assert 200_000 / times_s[-1] == pytest.approx(rate_rps, rel=4 / 200_000**0.5)


@pytest.mark.parametrize("name", ARRIVALS)
def test_times_are_seconds_that_ascend_from_above_zero(name: str) -> None:
    times_s = ARRIVALS[name](7.0, 5000, np.random.default_rng(0))
    assert times_s.shape == (5000,)
    assert times_s.dtype == np.float64
    assert times_s[0] > 0
    assert (np.diff(times_s) >= 0).all()


@pytest.mark.parametrize("name", ARRIVALS)
def test_the_generator_decides_alone(name: str) -> None:
    one, same = (ARRIVALS[name](7.0, 100, np.random.default_rng(3)) for _ in range(2))
    assert (one == same).all()


@pytest.mark.parametrize("name", ARRIVALS)
def test_no_requests_have_no_times(name: str) -> None:
    assert len(ARRIVALS[name](7.0, 0, np.random.default_rng(0))) == 0


def test_poisson_gaps_are_exponential_to_their_far_tail() -> None:
    # A generator that clips gaps at three means offers 5 % more load than it says.
    gaps_s = np.diff(ARRIVALS["poisson"](2.0, 400_000, np.random.default_rng(5)))
    for means in (0.1, 1.0, 3.0, 6.0, 9.0):
        share, expected = (gaps_s > means / 2.0).mean(), np.exp(-means)
        assert share == pytest.approx(expected, abs=4.5 * (expected / len(gaps_s)) ** 0.5)
    assert gaps_s.std() == pytest.approx(0.5, rel=0.02)


def test_constant_gaps_are_equal() -> None:
    assert np.diff(ARRIVALS["constant"](8.0, 50, np.random.default_rng(0))) == pytest.approx(0.125)
