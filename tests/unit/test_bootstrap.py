"""Resampling: its intervals are those of theory where theory has them, and of every value that is asked for."""

import numpy as np
import pytest

from ttamer.exits.bootstrap import Bootstrap, interval


def test_the_interval_of_a_mean_is_that_of_the_normal_law() -> None:
    values_N = np.random.default_rng(1).normal(3.0, 2.0, 4000)
    resampled = Bootstrap.of(values_N[:, None], seed=0, resamples=4000).resampled([], ())
    low, high = interval(resampled.means_RC[:, 0])
    half = 1.959964 * values_N.std() / np.sqrt(4000)
    assert (low, high) == pytest.approx((values_N.mean() - half, values_N.mean() + half), abs=0.12 * half)


def test_the_interval_of_a_median_is_that_of_order_statistics() -> None:
    values_N = np.random.default_rng(2).uniform(size=1001)
    resampled = Bootstrap.of(values_N[:, None], seed=0, resamples=4000).resampled([0], (0.5,))
    low, high = np.searchsorted(np.sort(values_N), interval(resampled.quantiles_RCQ[:, 0, 0]))
    assert (low, high) == pytest.approx((470, 531), abs=4)  # binomial(1001, 1/2), 95 %


def test_like_samples_are_drawn_together_without_changing_what_is_found() -> None:
    right_N = np.arange(3000) % 5 == 0
    both_NC = np.stack([right_N, ~right_N], axis=1).astype(np.float64)
    bootstrap = Bootstrap.of(both_NC, seed=3, resamples=3000)
    assert sorted(bootstrap.count_G.tolist()) == [600, 2400]
    resampled = bootstrap.resampled([0], (0.5, 0.99))
    assert resampled.means_RC.mean(axis=0) == pytest.approx([0.2, 0.8], abs=1e-3)
    assert resampled.means_RC[:, 0].std() == pytest.approx(np.sqrt(0.2 * 0.8 / 3000), rel=0.05)
    assert resampled.means_RC.sum(axis=1) == pytest.approx(1.0)
    np.testing.assert_array_equal(np.unique(resampled.quantiles_RCQ[:, 0], axis=0), [[0.0, 1.0]])


def test_quantities_of_the_same_samples_are_resampled_together() -> None:
    values_N = np.random.default_rng(4).normal(size=500)
    resampled = Bootstrap.of(np.stack([values_N, values_N + 1], axis=1), seed=0).resampled([], ())
    assert resampled.means_RC[:, 1] - resampled.means_RC[:, 0] == pytest.approx(1.0)


def test_the_same_seed_gives_the_same_intervals_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values_NC = np.random.default_rng(5).normal(size=(200, 2))
    one = Bootstrap.of(values_NC, seed=7, resamples=50).resampled([1], (0.5,))
    monkeypatch.setattr("ttamer.exits.bootstrap.BLOCK", 2000)
    other = Bootstrap.of(values_NC, seed=7, resamples=50).resampled([1], (0.5,))
    np.testing.assert_allclose(one.means_RC, other.means_RC)
    np.testing.assert_array_equal(one.quantiles_RCQ, other.quantiles_RCQ)
    third = Bootstrap.of(values_NC, seed=8, resamples=50).resampled([1], (0.5,))
    assert not np.allclose(one.means_RC, third.means_RC)


def test_a_single_sample_has_a_mean_in_every_resample() -> None:
    resampled = Bootstrap.of(np.array([[2.5]]), seed=0, resamples=100).resampled([0], (0.99,))
    assert set(resampled.means_RC[:, 0].tolist()) == {2.5}
    assert set(resampled.quantiles_RCQ.ravel().tolist()) == {2.5}
