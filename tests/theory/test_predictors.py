"""Predictors on loads whose law is known: what they ought to learn, they learn.

Bands: estimates from n examples are held to about four of their standard errors.
"""

import math
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import stats

from ttamer.planning.adaptation.forecast_errors import ForecastErrors, predictions
from ttamer.planning.adaptation.predictors import PREDICTORS
from ttamer.planning.adaptation.predictors.autoregressive import Autoregressive
from ttamer.planning.adaptation.predictors.ewma import Ewma
from ttamer.planning.adaptation.predictors.peak import poisson_peak
from ttamer.planning.adaptation.predictors.protocol import Training
from ttamer.planning.adaptation.predictors.quantile import Quantile, fit_quantile
from ttamer.profiles.records import Floats

DAY = 86_400


def test_ar12_recovers_the_coefficients_of_an_autoregression() -> None:
    # One value a bin of ten seconds, so that bins' maxima are the process itself.
    rng = np.random.default_rng(0)
    truth, count = (0.6, 0.3), 20_000
    values = [50.0, 50.0]
    for noise in rng.normal(0, 1, count):
        values.append(5.0 + truth[0] * values[-1] + truth[1] * values[-2] + noise)
    fitted = Autoregressive.learned(Training(load_rps_T=np.repeat(values, 10), horizon_s=10))
    assert fitted.weight_B[-1] == pytest.approx(truth[0], abs=4 / math.sqrt(count))
    assert fitted.weight_B[-2] == pytest.approx(truth[1], abs=4 / math.sqrt(count))
    assert np.abs(fitted.weight_B[:-2]).max() < 4 / math.sqrt(count)


def test_ewma_of_a_step_approaches_it_geometrically() -> None:
    ewma = Ewma(span=9)  # each bin weighs 0.8 of the next newer
    for bins in range(1, 6):
        history = np.concatenate([np.zeros(ewma.window_s - 10 * bins), np.ones(10 * bins)])
        assert ewma.predict(history[None, :])[0] == pytest.approx(1 - 0.8**bins, abs=1e-4)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
@pytest.mark.parametrize(("mean", "seconds"), [(0.3, 1), (10.0, 20), (900.0, 5)])
def test_the_poisson_peak_is_the_quantile_of_the_highest_of_independent_counts(
    mean: float, seconds: int, level: float
) -> None:
    assert poisson_peak(mean, seconds, level) == stats.poisson.ppf(level ** (1 / seconds), mean)


def test_quantile_regression_finds_the_lines_that_the_law_has() -> None:
    rng = np.random.default_rng(1)
    x_N = rng.uniform(1, 3, 40_000)
    y_N = 2 * x_N + rng.exponential(x_N)  # the p-quantile is x (2 − ln(1 − p))
    for level in (0.5, 0.9):
        weight_F = fit_quantile(np.column_stack([x_N, np.ones_like(x_N)]), y_N, level)
        assert weight_F[0] == pytest.approx(2 - math.log(1 - level), abs=0.1)
        assert weight_F[1] == pytest.approx(0.0, abs=0.2)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
def test_the_quantile_predictor_falls_short_as_often_as_it_was_told(level: float) -> None:
    load_T = changing_load(3 * DAY)
    predictor = Quantile.learned(Training(load_rps_T=load_T[: 2 * DAY], level=level))
    errors = ForecastErrors.of(*predictions(predictor, load_T[2 * DAY :], 20))
    assert 0.4 * (1 - level) < errors.under < 1 - level + 0.01


def test_smape_of_known_predictions_is_the_published_formula() -> None:
    errors = ForecastErrors.of(np.array([1.0, 3.0, 0.0]), np.array([3.0, 3.0, 0.0]))
    assert errors.smape == pytest.approx((2 * 2 / 4) / 3)
    assert errors.under == pytest.approx(1 / 3)
    assert errors.short == pytest.approx((2 / 3) / 2)


def test_the_published_errors_on_the_twitter_trace_are_those_of_the_same_rules(shared: Path) -> None:
    """The first 14 days to learn from, the rest in requests/s divided by eight, seconds of zero left out."""
    past_T, held_out_T = twitter(shared)
    found = {}
    for name in ("last-value", "maximum", "ar12", "quantile"):
        predictor = PREDICTORS[name](Training(load_rps_T=past_T, level=0.5))
        found[name] = ForecastErrors.of(*predictions(predictor, held_out_T, 20, window_s=600))
    assert found["last-value"].smape == pytest.approx(0.100, abs=0.0005)
    assert found["last-value"].under == pytest.approx(0.44, abs=0.005)
    assert found["ar12"].smape == pytest.approx(0.092, abs=0.0005)
    assert found["ar12"].under == pytest.approx(0.45, abs=0.005)
    assert found["maximum"].smape == pytest.approx(0.144, abs=0.001)
    assert found["maximum"].under == pytest.approx(0.075, abs=0.002)
    assert found["quantile"].smape < 0.08
    cautious = Quantile.learned(Training(load_rps_T=past_T, level=0.95))
    assert ForecastErrors.of(*predictions(cautious, held_out_T, 20)).under < 0.05


def twitter(shared: Path) -> tuple[Floats, Floats]:
    counts = pq.read_table(shared / "data/peers/trace_twitter_rps.parquet")["rps"].to_numpy() // 8
    load_T = counts[counts > 0].astype(np.float64)
    return load_T[: 14 * DAY], load_T[14 * DAY :]


def changing_load(seconds: int) -> Floats:
    """Poisson counts whose rate follows the day and wanders."""
    rng = np.random.default_rng(5)
    at_T = np.arange(seconds)
    wander_T = np.repeat(np.exp(np.cumsum(rng.normal(0, 0.02, seconds // 60 + 1)) * 0.3), 60)[:seconds]
    return rng.poisson(20 * (1.5 + np.sin(2 * np.pi * at_T / DAY)) * wander_T).astype(np.float64)
