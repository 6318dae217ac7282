"""Every arrival process keeps the promise of its name: right rate, ascending times, nothing from a hidden seed."""

from pathlib import Path

import numpy as np
import pytest

from ttamer.planning.simulation import arrivals
from ttamer.planning.simulation.arrivals import ARRIVALS
from ttamer.planning.simulation.arrivals.bursty import BURST_S, PEAK, SHARE, bursty
from ttamer.profiles.errors import InputError


def test_every_file_of_the_folder_is_a_registered_process() -> None:
    files = {path.stem for path in Path(arrivals.__file__).parent.glob("*.py")} - {"__init__"}
    assert {name.replace("-", "_") for name in ARRIVALS} == files


def spread(name: str, rate_rps: float, requests: int) -> float:
    """Relative standard deviation of the time that so many requests take.

    Of a Poisson process 1 / sqrt(n); the modulated one adds the variance of its rate times twice its memory, by time.
    """
    variance = 1 / requests
    if name == "bursty":
        burst_rps, quiet_rps = PEAK, (1 - PEAK * SHARE) / (1 - SHARE)
        rates = SHARE * (1 - SHARE) * (burst_rps - quiet_rps) ** 2
        memory_s = BURST_S * (1 - SHARE)
        variance += 2 * rates * memory_s / (requests / rate_rps)
    return variance**0.5


@pytest.mark.parametrize("name", ARRIVALS)
@pytest.mark.parametrize(("rate_rps", "requests"), [(0.01, 200_000), (3.0, 200_000), (200.0, 4_000_000)])
def test_the_mean_rate_is_the_one_asked_for(name: str, rate_rps: float, requests: int) -> None:
    times_s = ARRIVALS[name](rate_rps, requests, np.random.default_rng(11))
    error = 4 * spread(name, rate_rps, requests)
    assert requests / times_s[-1] == pytest.approx(rate_rps, rel=error)
    assert error < 0.05


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


def test_bursts_have_the_share_the_height_and_the_length_that_they_say() -> None:
    """Counts in windows far shorter than a burst: a mixture of two Poisson laws, 30 % and 10 % of the time."""
    rng = np.random.default_rng(8)
    times_s = bursty(2000.0, 2_000_000, rng, peak=2.0, share=0.3, burst_s=0.5)
    window_s = 0.02
    counts = np.bincount((times_s / window_s).astype(np.int64))
    is_burst = counts > 2000.0 * window_s * 1.3  # quiet windows have 22.9 on average, bursts 80
    assert is_burst.mean() == pytest.approx(0.3, abs=0.03)
    assert counts[is_burst].mean() == pytest.approx(2.0 * 2000.0 * window_s, rel=0.05)
    starts = np.flatnonzero(np.diff(is_burst.astype(int)) == 1)
    ends = np.flatnonzero(np.diff(is_burst.astype(int)) == -1)
    lengths_s = (ends[ends > starts[0]][: len(starts) - 1] - starts[: len(ends) - 1][: len(starts) - 1]) * window_s
    assert lengths_s.mean() == pytest.approx(0.5, rel=0.15)


def test_more_arrivals_fall_into_bursty_windows_than_chance_would_have_it() -> None:
    counts = {}
    for name in ("poisson", "bursty"):
        times_s = ARRIVALS[name](100.0, 400_000, np.random.default_rng(2))
        counts[name] = np.bincount(times_s.astype(np.int64))[:-1]
    dispersion = {name: each.var() / each.mean() for name, each in counts.items()}
    assert dispersion["poisson"] == pytest.approx(1.0, abs=0.1)
    assert dispersion["bursty"] > 10


@pytest.mark.parametrize("wrong", [{"share": 0.0}, {"share": 1.0}, {"peak": 0.5}, {"peak": 11.0}, {"burst_s": 0.0}])
def test_impossible_bursts_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="bursts of"):
        bursty(1.0, 10, np.random.default_rng(0), **wrong)
