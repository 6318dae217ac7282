"""Every predictor of load: what each must do, whatever it has learned from."""

from pathlib import Path

import numpy as np
import pytest

from ttamer.planning.adaptation import predictors
from ttamer.planning.adaptation.predictors import PREDICTORS
from ttamer.planning.adaptation.predictors.protocol import Network, Predictor, Training, forecast_rps
from ttamer.planning.adaptation.predictors.recurrent import Recurrent
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Floats

UNITS = 3
NEEDS_PAST = ("ar12", "lstm-ipa", "lstm-infadapter", "quantile")


def some_network(bins_NB: Floats, target_N: Floats) -> Network:
    """Weights that nobody trained: enough to predict with."""
    rng = np.random.default_rng(len(target_N))
    return {
        "input_1G": rng.normal(0, 0.1, (1, 4 * UNITS)),
        "recurrent_UG": rng.normal(0, 0.1, (UNITS, 4 * UNITS)),
        "bias_G": np.zeros(4 * UNITS),
        "output_U": rng.normal(0, 1, UNITS),
        "output_bias": np.array(target_N.mean()),
    }


def learned(name: str, load_rps_T: Floats | None = None) -> Predictor:
    past = np.random.default_rng(1).poisson(12, 4000).astype(float) if load_rps_T is None else load_rps_T
    return PREDICTORS[name](Training(load_rps_T=past, learn=some_network))


def test_every_file_of_the_folder_is_registered() -> None:
    folder = Path(str(predictors.__file__)).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "protocol"}
    made_in = {type(learned(name)).__module__.rpartition(".")[2] for name in PREDICTORS}
    assert made_in == files


@pytest.mark.parametrize("name", PREDICTORS)
def test_a_prediction_is_a_finite_load_for_each_history(name: str) -> None:
    predictor = learned(name)
    history_NT = np.random.default_rng(2).poisson(20, (7, predictor.window_s)).astype(float)
    predicted_N = predictor.predict(history_NT)
    assert isinstance(predictor, Predictor)
    assert predicted_N.shape == (7,)
    assert np.isfinite(predicted_N).all()
    assert (predicted_N >= 0).all()


@pytest.mark.parametrize("name", PREDICTORS)
def test_histories_are_predicted_one_by_one_or_together_alike(name: str) -> None:
    predictor = learned(name)
    history_NT = np.random.default_rng(3).poisson(20, (5, predictor.window_s)).astype(float)
    alone = [float(predictor.predict(history_NT[n : n + 1])[0]) for n in range(5)]
    assert predictor.predict(history_NT) == pytest.approx(alone, rel=1e-9)


@pytest.mark.parametrize("name", PREDICTORS)
def test_no_load_and_an_enormous_load_are_survived(name: str) -> None:
    predictor = learned(name)
    for load_rps in (0.0, 1e6):
        predicted = predictor.predict(np.full((1, predictor.window_s), load_rps))
        assert np.isfinite(predicted).all()


@pytest.mark.parametrize("name", PREDICTORS)
def test_before_its_window_is_full_the_highest_load_so_far_is_expected(name: str) -> None:
    predictor = learned(name)
    assert forecast_rps(predictor, np.array([])) == 0.0
    assert forecast_rps(predictor, np.array([3.0, 9.0, 1.0])) == 9.0


@pytest.mark.parametrize("name", PREDICTORS)
def test_only_the_window_counts(name: str) -> None:
    predictor = learned(name)
    recent_T = np.random.default_rng(4).poisson(20, predictor.window_s).astype(float)
    assert forecast_rps(predictor, np.concatenate([[1e3] * 50, recent_T])) == forecast_rps(predictor, recent_T)


@pytest.mark.parametrize("name", NEEDS_PAST)
def test_a_predictor_that_learns_says_how_much_past_it_needs(name: str) -> None:
    with pytest.raises(InputError, match="too few to learn from") as caught:
        learned(name, np.ones(30))
    assert "peak" in str(caught.value.remedy)


@pytest.mark.parametrize("name", sorted(set(PREDICTORS) - set(NEEDS_PAST)))
def test_a_predictor_that_learns_nothing_needs_no_past(name: str) -> None:
    assert learned(name, np.array([])).predict(np.ones((1, learned(name).window_s))).shape == (1,)


def test_a_network_that_may_not_be_trained_is_refused() -> None:
    with pytest.raises(InputError, match="has to be trained"):
        PREDICTORS["lstm-ipa"](Training(load_rps_T=np.ones(1000)))
    with pytest.raises(InputError, match="without bias_G"):
        Recurrent({"input_1G": np.ones((1, 4))}, 12, 10)


@pytest.mark.parametrize("load", [[-1.0], [float("nan")]])
def test_an_impossible_past_is_refused(load: list[float]) -> None:
    with pytest.raises(InputError, match="none below zero"):
        Training(load_rps_T=np.array(load))
