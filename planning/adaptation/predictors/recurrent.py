"""The published LSTM: 25 units over twelve maxima of ten seconds (IPA) or ten of a minute (InfAdapter), then a sum.

A network is trained elsewhere and given as named weights; predicting needs numpy alone. Both networks have ReLU in
the place of the hyperbolic tangent, an L1 penalty on their input weights and a plain sum at the end.
Source: the published code of Ghafouri et al., IPA, JSys 2024, and Salmani et al., InfAdapter, EuroMLSys 2023.

Axes: N histories, T seconds, B bins; U units; G the four gates (input, forget, cell, output) of U units each.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from ttamer.planning.adaptation.predictors.protocol import Network, Training, binned
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Floats

IPA_BINS, IPA_BIN_S = 12, 10
INFADAPTER_BINS, INFADAPTER_BIN_S = 10, 60
WEIGHTS = ("input_1G", "recurrent_UG", "bias_G", "output_U", "output_bias")


@dataclass(frozen=True, slots=True, eq=False)
class Recurrent:
    """A trained network over the highest loads of `bins` bins. Raises InputError unless it has every weight."""

    network: Network
    bins: int
    bin_s: int

    def __post_init__(self) -> None:
        missing = sorted(set(WEIGHTS) - set(self.network))
        if missing:
            raise InputError(f"a network without {', '.join(missing)}", remedy="train it anew")

    @classmethod
    def of_ipa(cls, training: Training) -> Self:
        """IPA's network. Raises InputError where no network may be trained, or on too little past."""
        return cls._trained(training, IPA_BINS, IPA_BIN_S)

    @classmethod
    def of_infadapter(cls, training: Training) -> Self:
        """InfAdapter's network. Raises InputError where no network may be trained, or on too little past."""
        return cls._trained(training, INFADAPTER_BINS, INFADAPTER_BIN_S)

    @classmethod
    def _trained(cls, training: Training, bins: int, bin_s: int) -> Self:
        if training.learn is None:
            raise InputError("an LSTM has to be trained first", remedy="use ttamer simulate --adapt, which trains it")
        history_NT, target_N = training.examples(bins * bin_s, training.horizon_s)  # so that no two targets overlap
        return cls(training.learn(binned(history_NT, bin_s), target_N), bins, bin_s)

    @property
    def window_s(self) -> int:
        """Seconds of history that it looks at."""
        return self.bins * self.bin_s

    def predict(self, load_rps_NT: Floats) -> Floats:
        """The network's answer, not below zero."""
        return np.maximum(0.0, answer(self.network, binned(load_rps_NT, self.bin_s)))


def answer(network: Network, bins_NB: Floats) -> Floats:
    """What the network makes of each row of bins."""
    input_1G, recurrent_UG = network["input_1G"], network["recurrent_UG"]
    units = len(recurrent_UG)
    hidden_NU = np.zeros((len(bins_NB), units))
    cell_NU = np.zeros_like(hidden_NU)
    for at in range(bins_NB.shape[1]):
        gates_NG = bins_NB[:, at : at + 1] @ input_1G + hidden_NU @ recurrent_UG + network["bias_G"]
        enter, forget, candidate, leave = np.split(gates_NG, 4, axis=1)
        cell_NU = _sigmoid(forget) * cell_NU + _sigmoid(enter) * np.maximum(0.0, candidate)
        hidden_NU = _sigmoid(leave) * np.maximum(0.0, cell_NU)
    return np.asarray(hidden_NU @ network["output_U"] + network["output_bias"])


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -60.0, 60.0))))
