"""What ramps said about inputs whose final answer is known.

Axes: N samples, K exits, the last is the full model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ttamer.profiles.errors import InputError
from ttamer.profiles.records import ExitRecords, Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Feedback:
    """Confidence of every exit and whether it gives the full model's answer, for N samples.

    Raises InputError where shapes differ.
    """

    confidence_NK: Floats
    agrees_NK: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.confidence_NK.shape != self.agrees_NK.shape or self.confidence_NK.ndim != 2:
            raise InputError(f"confidence {self.confidence_NK.shape} does not fit agreement {self.agrees_NK.shape}")

    @classmethod
    def of(cls, records: ExitRecords) -> Self:
        """The feedback in exit records."""
        return cls(records.confidence_NK, records.agrees_NK())

    @property
    def samples(self) -> int:
        """N."""
        return len(self.confidence_NK)

    def rows(self, rows_N: NDArray[np.int64] | slice) -> "Feedback":
        """The feedback of these samples."""
        return Feedback(self.confidence_NK[rows_N], self.agrees_NK[rows_N])

    def leaving_N(self, ramps: Sequence[int], thresholds: Sequence[float]) -> Ints:
        """The place among the active ramps at which each sample leaves, their number where it does not.

        A sample leaves at the first ramp whose doubt, 1 - confidence, is strictly below the threshold.
        """
        below_NR = 1 - self.confidence_NK[:, list(ramps)] < np.asarray(thresholds)
        last_N1 = np.ones((self.samples, 1), dtype=np.bool_)
        return np.asarray(np.hstack([below_NR, last_N1]).argmax(axis=1), dtype=np.int64)
