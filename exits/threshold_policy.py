"""What policies with one threshold a head share: leave at the first head that is sure enough.

Axes: N samples, A active heads.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ttamer.exits.active_heads import Heads, require_ascending
from ttamer.exits.head_policy import HeadPolicy
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import ExitRecords, Floats, Ints

NEVER = 2.0  # no confidence reaches it

# How many of the samples that reach a head leave there, from whether its answers to them are right, surest first.
Leaving = Callable[[NDArray[np.bool_]], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdPolicy(HeadPolicy):
    """Active heads with a threshold for each but the last. Raises InputError where their numbers disagree."""

    thresholds: tuple[float, ...]

    def __post_init__(self) -> None:
        require_ascending(self.heads, self.kind)
        if len(self.thresholds) != len(self.heads) - 1:
            raise InputError(
                f"{self.kind} has {len(self.thresholds)} thresholds for {len(self.heads)} heads",
                remedy="give one for every head but the last",
            )


def first_sure(heads: Heads, sure_NA: NDArray[np.bool_]) -> Ints:
    """The first active head that is sure of each sample, the last one where none is.

    sure_NA: for every active head but the last.
    """
    last_N1 = np.ones((len(sure_NA), 1), dtype=np.bool_)
    first_N = np.hstack([sure_NA, last_N1]).argmax(axis=1)
    return np.asarray(np.asarray(heads, dtype=np.int64)[first_N])


def fitted_thresholds(calibration: ExitRecords, heads: Heads, sureness_NK: Floats, leaving: Leaving) -> list[float]:
    """The least sureness that leaves at each head but the last, so that as many leave as asked; infinite for none.

    Every head sees the samples that no earlier one let go.
    """
    correct_NK = calibration.correct_NK()
    left_N = np.arange(calibration.samples)
    thresholds: list[float] = []
    for head in heads[:-1]:
        sureness_N = sureness_NK[left_N, head]
        order_N = np.argsort(-sureness_N, kind="stable")
        count = leaving(correct_NK[left_N, head][order_N])
        thresholds.append(float(sureness_N[order_N[count - 1]]) if 0 < count <= len(left_N) else np.inf)
        left_N = left_N[sureness_N < thresholds[-1]]
    return thresholds


def leave_share(share: float) -> Leaving:
    """That share of the samples that reach a head, rounded down."""
    return lambda right_N: int(share * len(right_N))


def leave_while_precise(target: float, fewest: int = 10) -> Leaving:
    """As many as possible while the share of right answers among them is above the target.

    fewest: fewer than these are no evidence. Source: the fixed baseline of JEI-DNN, arXiv 2310.09163.
    """

    def count(right_N: NDArray[np.bool_]) -> int:
        precision_N = np.cumsum(right_N) / np.arange(1, len(right_N) + 1)
        enough = np.flatnonzero(precision_N[fewest - 1 :] > target)
        return int(enough[-1]) + fewest if len(enough) else 0

    return count
