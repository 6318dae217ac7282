"""An exponentially weighted mean of recent maxima. InfAdapter's for its first ten minutes, by minutes, span 10.

Axes: N histories, T seconds, B bins, oldest first.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from ttamer.planning.adaptation.predictors.protocol import BIN_S, Training, binned
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Floats

SPAN = 10  # bins, as InfAdapter (EuroMLSys 2023)
SPANS_SEEN = 6  # what is older weighs e**-12 of the newest


@dataclass(frozen=True, slots=True)
class Ewma:
    """The weighted mean of the highest loads of bins; each weighs 1 − 2 / (span + 1) of the next newer.

    Raises InputError on a span or bin below one.
    """

    span: int = SPAN
    bin_s: int = BIN_S

    def __post_init__(self) -> None:
        if self.span < 1 or self.bin_s < 1:
            raise InputError(f"a span of {self.span} bins of {self.bin_s} s", remedy="give one or more of each")

    @classmethod
    def learned(cls, _training: Training) -> Self:
        """There is nothing to learn."""
        return cls()

    @property
    def window_s(self) -> int:
        """Seconds of history that it looks at."""
        return SPANS_SEEN * self.span * self.bin_s

    def predict(self, load_rps_NT: Floats) -> Floats:
        """The weighted mean of the bins, which never leaves their range."""
        bins_NB = binned(load_rps_NT, self.bin_s)
        age_B = np.arange(bins_NB.shape[1])[::-1]
        weight_B = (1 - 2 / (self.span + 1)) ** age_B
        return np.asarray(bins_NB @ (weight_B / weight_B.sum()))
