"""AR(12): the next maximum as a linear combination of the last twelve, fitted by least squares.

Axes: N histories, T seconds, B bins, oldest first.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from ttamer.planning.adaptation.predictors.protocol import BIN_S, Training, binned
from ttamer.profiles.records import Floats

ORDER = 12  # bins, as IPA's networks see


@dataclass(frozen=True, slots=True, eq=False)
class Autoregressive:
    """weight_B · (the highest loads of the last bins) + constant_rps."""

    weight_B: Floats
    constant_rps: float
    bin_s: int = BIN_S

    @classmethod
    def learned(cls, training: Training) -> Self:
        """The least squares over the past. Raises InputError if there is too little of it."""
        history_NT, target_N = training.examples(ORDER * BIN_S)
        bins_NB = binned(history_NT, BIN_S)
        fitted = np.linalg.lstsq(np.column_stack([bins_NB, np.ones(len(bins_NB))]), target_N, rcond=None)[0]
        return cls(np.asarray(fitted[:-1]), float(fitted[-1]))

    @property
    def window_s(self) -> int:
        """Seconds of history that it looks at."""
        return len(self.weight_B) * self.bin_s

    def predict(self, load_rps_NT: Floats) -> Floats:
        """The combination, not below zero."""
        return np.maximum(0.0, binned(load_rps_NT, self.bin_s) @ self.weight_B + self.constant_rps)
