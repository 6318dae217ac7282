"""What a predictor of load is, what it may learn from, and what it falls back on before it has seen enough.

A load is requests in each second. A predictor looks back a number of seconds and says what the highest load of the next
seconds will be: that is what a controller must be ready for until its next decision.

Axes: N histories, T seconds of a history, oldest first; B bins of a history; F features.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Floats

Network = Mapping[str, Floats]  # named weights
Learner = Callable[[Floats, Floats], Network]  # bins_NB, target_N: what training made of them
BIN_S = 10  # seconds whose highest load is one input, as IPA (JSys 2024)


@runtime_checkable
class Predictor(Protocol):
    """Says how high the load will be."""

    @property
    def window_s(self) -> int:
        """Seconds of history that it looks at."""
        ...

    def predict(self, load_rps_NT: Floats) -> Floats:
        """The highest load expected after each history of `window_s` seconds."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Training:
    """What a predictor may learn from.

    load_rps_T: past load, empty if there is none. horizon_s: seconds ahead whose highest load is asked for.
    averaged_s: seconds that each value of the load is a mean of.
    level: the share of cases in which the load may not exceed a prediction by quantile.
    learn: trains a network, None where none may be trained. Raises InputError on a load below zero or no horizon.
    """

    load_rps_T: Floats
    horizon_s: int = 20
    level: float = 0.5
    learn: Learner | None = None
    averaged_s: int = 1

    def __post_init__(self) -> None:
        if self.load_rps_T.ndim != 1 or not (self.load_rps_T >= 0).all():
            raise InputError("a load is one row of numbers, none below zero", remedy="give requests a second")
        if self.horizon_s < 1 or not 0 < self.level < 1:
            raise InputError(
                f"a horizon of {self.horizon_s} s at level {self.level:g}",
                remedy="look a second or more ahead, at a level between 0 and 1",
            )

    def examples(self, window_s: int, step_s: int = BIN_S) -> tuple[Floats, Floats]:
        """Histories of so many seconds, one each `step_s`, and the highest load that came after each.

        Raises InputError if the past is too short for two of them.
        """
        return examples(self.load_rps_T, window_s, self.horizon_s, step_s)


def examples(load_rps_T: Floats, window_s: int, horizon_s: int, step_s: int = BIN_S) -> tuple[Floats, Floats]:
    """Histories of `window_s` seconds, one each `step_s`, as a view, and the highest load of the `horizon_s` after.

    Raises InputError if the load is too short for two of them.
    """
    if len(load_rps_T) < window_s + horizon_s + step_s:
        raise InputError(
            f"{len(load_rps_T)} s of load are too few to learn from",
            remedy=f"give {window_s + horizon_s + step_s} s or more, or take a predictor that needs none: peak, ewma",
        )
    both_NT = sliding_window_view(load_rps_T, window_s + horizon_s)[::step_s]
    return both_NT[:, :window_s], np.asarray(both_NT[:, window_s:].max(axis=1), dtype=np.float64)


def binned(load_rps_NT: Floats, bin_s: int) -> Floats:
    """The highest load of each bin of so many seconds; the window must be a whole number of bins.

    >>> binned(np.array([[1.0, 3.0, 2.0, 0.0]]), 2).tolist()
    [[3.0, 2.0]]
    """
    histories, seconds = load_rps_NT.shape
    return np.asarray(load_rps_NT.reshape(histories, seconds // bin_s, bin_s).max(axis=2), dtype=np.float64)


def forecast_rps(predictor: Predictor, load_rps_T: Floats) -> float:
    """What the predictor expects after this history; the highest load seen, while that is shorter than its window.

    Before anything was seen, 0. Source of the fallback: IPA's published code.
    """
    if len(load_rps_T) < predictor.window_s:
        return float(load_rps_T.max(initial=0.0))
    history_NT = np.asarray(load_rps_T[-predictor.window_s :], dtype=np.float64)[None, :]
    return max(0.0, float(predictor.predict(history_NT)[0]))
