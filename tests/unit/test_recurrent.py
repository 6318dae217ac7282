"""The recurrent network that predicts load: trained in one room, asked in another, the same in both."""

from pathlib import Path

import numpy as np
import torch

from ttamer.exits import recurrent
from ttamer.exits.recurrent import Recipe, train_network, trained_network
from ttamer.planning.adaptation.predictors.recurrent import answer

BINS_NB = np.random.default_rng(0).uniform(0, 2, (600, 12))
TARGET_N = BINS_NB[:, -3:].mean(axis=1)
SHORT = Recipe(units=4, epochs=2)


def test_torch_and_numpy_give_the_same_answers() -> None:
    network = train_network(BINS_NB, TARGET_N, SHORT)
    weights = {name: torch.as_tensor(value) for name, value in network.items()}
    theirs = recurrent.answer(weights, torch.as_tensor(BINS_NB)).numpy()
    np.testing.assert_allclose(answer(network, BINS_NB), theirs, rtol=1e-9)


def test_the_network_is_an_lstm_with_relu_worked_out_gate_by_gate() -> None:
    network = train_network(BINS_NB[:64], TARGET_N[:64], Recipe(units=2, epochs=1))
    hidden, cell = np.zeros(2), np.zeros(2)
    for value in BINS_NB[0]:
        gates = value * network["input_1G"][0] + hidden @ network["recurrent_UG"] + network["bias_G"]
        enter, forget, candidate, leave = gates[:2], gates[2:4], gates[4:6], gates[6:]
        cell = cell / (1 + np.exp(-forget)) + np.maximum(candidate, 0) / (1 + np.exp(-enter))
        hidden = np.maximum(cell, 0) / (1 + np.exp(-leave))
    expected = hidden @ network["output_U"] + network["output_bias"]
    np.testing.assert_allclose(answer(network, BINS_NB[:1]), [expected], rtol=1e-9)


def test_training_learns_something_and_repeats_itself() -> None:
    recipe = Recipe(units=16, epochs=40, learning_rate=1e-2)
    network = train_network(BINS_NB, TARGET_N, recipe)
    error = np.abs(answer(network, BINS_NB) - TARGET_N).mean()
    assert error < 0.5 * np.abs(TARGET_N - TARGET_N.mean()).mean()
    again = train_network(BINS_NB, TARGET_N, recipe)
    assert all(np.array_equal(network[name], again[name]) for name in network)


def test_what_was_trained_is_read_again_and_another_past_trains_anew(tmp_path: Path) -> None:
    told: list[int] = []
    first = trained_network(tmp_path, "lstm", BINS_NB, TARGET_N, SHORT, lambda done, _: told.append(done))
    again = trained_network(tmp_path, "lstm", BINS_NB, TARGET_N, SHORT, lambda done, _: told.append(done))
    assert told == [1, 2]
    assert all(np.array_equal(first[name], again[name]) for name in first)
    trained_network(tmp_path, "lstm", BINS_NB + 1, TARGET_N, SHORT)
    assert len(list(tmp_path.glob("lstm.*.safetensors"))) == 2
