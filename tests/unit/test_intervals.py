import math

import numpy as np
import pytest
from scipy import stats

from ttamer.profiles import intervals
from ttamer.profiles.errors import InputError


@pytest.mark.parametrize(("n", "k", "p"), [(10, 3, 0.4), (500, 495, 0.99), (1000, 3, 0.001), (5, 5, 0.5), (7, -1, 0.5)])
def test_the_binomial_cdf_is_scipys(n: int, k: int, p: float) -> None:
    assert intervals.binomial_cdf(k, n, p) == pytest.approx(stats.binom.cdf(k, n, p), abs=1e-12)


def test_sample_counts_for_a_bound_are_the_published_ones() -> None:
    # LoadGen's early stopping needs 459 queries for p99 at 99 % confidence; 299 suffice at 95 %.
    assert [intervals.quantile_samples_needed(0.99, c) for c in (0.99, 0.95)] == [459, 299]


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (10, 10), (9173, 10_000), (1, 1)])
def test_wilson_is_scipys(hits: int, n: int) -> None:
    expected = stats.binomtest(hits, n).proportion_ci(0.95, "wilson")
    assert intervals.wilson_interval(hits, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_no_trials_have_no_proportion() -> None:
    with pytest.raises(InputError):
        intervals.wilson_interval(0, 0)


def test_a_p99_of_300_samples_has_no_upper_bound_and_of_500_it_has() -> None:
    assert intervals.quantile_interval(range(300), 0.99)[1] == math.inf
    assert intervals.quantile_interval(range(500), 0.99)[1] == 499


@pytest.mark.parametrize("q", [0.5, 0.9])
def test_quantile_intervals_cover_as_often_as_they_say(q: float) -> None:
    rng = np.random.default_rng(0)
    truth, trials = -math.log(1 - q), 2000
    ends = [intervals.quantile_interval(rng.exponential(size=60), q) for _ in range(trials)]
    covered = np.mean([low <= truth <= high for low, high in ends])
    assert covered >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / trials)


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (10, 10), (9173, 10_000), (1, 1), (3, 299)])
def test_clopper_pearson_is_scipys(hits: int, n: int) -> None:
    expected = stats.binomtest(hits, n).proportion_ci(0.95, "exact")
    assert intervals.clopper_pearson_interval(hits, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_the_trials_needed_are_the_least_that_bound_the_proportion() -> None:
    for hits in (0, 1, 5):
        n = intervals.trials_needed(0.02, 0.9, hits)
        assert intervals.proportion_bound(hits, n, 0.9) <= 0.02 + 1e-9 < intervals.proportion_bound(hits, n - 1, 0.9)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 9, 10, 29, 200])
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
def test_students_t_is_scipys(freedom: int, confidence: float) -> None:
    assert intervals.student_t(freedom, confidence) == pytest.approx(stats.t.ppf((1 + confidence) / 2, freedom))


def test_an_interval_of_replications_is_scipys() -> None:
    values = np.random.default_rng(0).normal(3, 1, 8)
    expected = stats.t.interval(0.95, 7, values.mean(), stats.sem(values))
    assert intervals.mean_interval(values) == pytest.approx(expected)


def test_the_queries_that_loadgen_needs_for_a_p99_are_its_published_ones() -> None:
    """MLPerf LoadGen's early stopping at 99 % confidence: with none, one or two queries over the latency."""
    assert [intervals.trials_needed(0.01, 0.99, late) for late in range(3)] == [459, 662, 838]
