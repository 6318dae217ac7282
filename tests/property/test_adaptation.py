"""Adaptation whatever comes: predictions never leave what a load can be, hesitation never gives too little."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders_adaptation import catalog_of, seen
from ttamer.planning.adaptation.adapting import Hesitation, renamed, smoothed
from ttamer.planning.adaptation.behaviors import law_s_N
from ttamer.planning.adaptation.controllers import CONTROLLERS
from ttamer.planning.adaptation.controllers.protocol import Setup
from ttamer.planning.adaptation.plans import on_grid
from ttamer.planning.adaptation.predictors import PREDICTORS
from ttamer.planning.adaptation.predictors.peak import poisson_peak
from ttamer.planning.adaptation.predictors.protocol import Training, binned, forecast_rps
from ttamer.planning.simulation.adaptive import Setting

CATALOG = catalog_of()
LOADS = st.lists(st.floats(0, 1e4), min_size=1, max_size=30)


@given(LOADS, st.sampled_from(("last-value", "maximum", "ewma")), st.floats(0.1, 100))
def test_predictors_by_maxima_stay_within_the_load_seen_and_scale_with_it(
    load: list[float], name: str, factor: float
) -> None:
    predictor = PREDICTORS[name](Training(load_rps_T=np.empty(0)))
    history_T = np.resize(np.array(load), predictor.window_s)
    predicted = forecast_rps(predictor, history_T)
    assert history_T.min() - 1e-6 <= predicted <= history_T.max() + 1e-6
    assert forecast_rps(predictor, factor * history_T) == pytest.approx(factor * predicted, rel=1e-9)


@given(st.floats(0, 2e3), st.floats(0, 500), st.integers(1, 60), st.floats(0.05, 0.99))
def test_a_poisson_peak_grows_with_the_load_the_horizon_and_the_level(
    mean: float, more: float, seconds: int, level: float
) -> None:
    peak = poisson_peak(mean, seconds, level)
    assert poisson_peak(mean + more, seconds, level) >= peak
    assert poisson_peak(mean, seconds + 1, level) >= peak
    assert poisson_peak(mean, seconds, min(0.999, level + 0.005)) >= peak


@given(LOADS, st.integers(1, 6))
def test_hesitation_is_ready_for_the_load_and_never_beyond_the_highest(load: list[float], patience: int) -> None:
    habit = Hesitation(patience=patience)
    held = [habit.held(one) for one in load]
    for at, ready in enumerate(held):
        assert load[at] <= ready <= max(load[: at + 1])
    if patience == 1:
        assert held == load


@given(LOADS, st.integers(1, 8))
def test_smoothing_keeps_the_range(load: list[float], seconds: int) -> None:
    found = smoothed(np.array(load), seconds)
    assert len(found) == (len(load) if len(load) < seconds else len(load) - seconds + 1)
    assert found.min() >= min(load) - 1e-6
    assert found.max() <= max(load) + 1e-6


@given(LOADS, st.sampled_from((1, 2, 5)))
def test_bins_hold_the_highest_of_their_seconds(load: list[float], bin_s: int) -> None:
    history_NT = np.resize(np.array(load), (1, 10))
    bins_NB = binned(history_NT, bin_s)
    assert bins_NB.shape == (1, 10 // bin_s)
    assert bins_NB.max() == history_NT.max()


@given(st.floats(1e-6, 1e6))
def test_the_grid_holds_its_own_values(value: float) -> None:
    above = on_grid(value, upwards=True)
    assert on_grid(above, upwards=True) == pytest.approx(above)
    assert on_grid(above, upwards=False) == pytest.approx(above)
    assert on_grid(value, upwards=False) <= value * (1 + 1e-9) <= above * (1 + 2e-9)


@given(st.floats(1e-4, 10), st.floats(0.1, 50), st.floats(0.5, 0.999))
def test_an_imported_law_always_has_its_mean(mean_s: float, ratio: float, quantile: float) -> None:
    seconds = law_s_N(mean_s, mean_s * ratio, quantile)
    assert seconds.mean() == pytest.approx(mean_s, rel=1e-9)
    assert (np.diff(seconds) >= 0).all()
    assert seconds.min() > 0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 4)), min_size=1, max_size=6))
def test_settings_never_share_a_group_after_renaming(chosen: list[tuple[str, int]]) -> None:
    settings = tuple(Setting(model=model, cores=cores, share=1 / len(chosen)) for model, cores in chosen)
    groups = [setting.group for setting in renamed(settings)]
    assert len(set(groups)) == len(groups)


@given(st.floats(0.5, 200), st.sampled_from(sorted(set(CONTROLLERS) - {"static", "rim"})))
def test_whatever_the_load_a_rule_asks_for_shares_that_add_up_to_one(load_rps: float, name: str) -> None:
    rule = CONTROLLERS[name].rule(Setup(catalog=CATALOG, models={"serve": "small"}))
    found = rule(load_rps, seen([round(load_rps)] * 12))
    if found is not None:
        assert sum(setting.share for setting in found) == pytest.approx(1)
        assert all(setting.replicas >= 1 for setting in found)
