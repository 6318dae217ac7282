"""The maximum: the highest load of the last two minutes comes again. IPA's `max`, and what it does at first."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from ttamer.planning.adaptation.predictors.protocol import Training
from ttamer.profiles.records import Floats

WINDOW_S = 120  # as IPA (JSys 2024)


@dataclass(frozen=True, slots=True)
class Maximum:
    """The highest load of the last `window_s` seconds."""

    window_s: int = WINDOW_S

    @classmethod
    def learned(cls, _training: Training) -> Self:
        """There is nothing to learn."""
        return cls()

    def predict(self, load_rps_NT: Floats) -> Floats:
        """The highest load of the window."""
        return np.asarray(load_rps_NT.max(axis=1))
