"""The last value: the highest load of the last seconds comes again. IPA's `reactive`."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from ttamer.planning.adaptation.predictors.protocol import BIN_S, Training
from ttamer.profiles.records import Floats


@dataclass(frozen=True, slots=True)
class LastValue:
    """The highest load of the last `window_s` seconds."""

    window_s: int = BIN_S

    @classmethod
    def learned(cls, _training: Training) -> Self:
        """There is nothing to learn."""
        return cls()

    def predict(self, load_rps_NT: Floats) -> Floats:
        """The highest load of the last bin."""
        return np.asarray(load_rps_NT.max(axis=1))
