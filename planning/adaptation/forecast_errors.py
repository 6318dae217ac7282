"""How wrong a predictor is on a load: the published measures, and how often it promises too little.

Axes: N predictions, T seconds.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from ttamer.planning.adaptation.predictors.protocol import BIN_S, Predictor, examples
from ttamer.profiles.records import Floats

AT_ONCE = 8192  # histories: ten minutes of each are 40 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastErrors:
    """smape: mean of 2 |p − y| / (p + y), 0 where both are 0. under: share of predictions below what came.

    mae_rps: mean |p − y|. short: mean of what was missing, as a fraction of what came, where anything came.
    """

    predictions: int
    smape: float
    under: float
    mae_rps: float
    short: float

    @classmethod
    def of(cls, predicted_N: Floats, came_N: Floats) -> Self:
        """The errors of these predictions."""
        total_N = predicted_N + came_N
        wrong_N = np.abs(predicted_N - came_N)
        missing_N = np.maximum(0.0, came_N - predicted_N)[came_N > 0] / came_N[came_N > 0]
        return cls(
            predictions=len(came_N),
            smape=float(np.mean(2 * wrong_N / np.where(total_N > 0, total_N, 1.0))),
            under=float((predicted_N < came_N).mean()),
            mae_rps=float(wrong_N.mean()),
            short=float(missing_N.mean()) if len(missing_N) else 0.0,
        )


def predictions(
    predictor: Predictor, load_rps_T: Floats, horizon_s: int, *, window_s: int = 0, step_s: int = BIN_S
) -> tuple[Floats, Floats]:
    """What the predictor said each `step_s`, and the highest load of the `horizon_s` that came after.

    window_s: seconds that pass before the first prediction, at least the predictor's own window, so that predictors
    with different windows can be asked at the same moments.
    """
    first = max(window_s, predictor.window_s)
    history_NT, came_N = examples(load_rps_T, first, horizon_s, step_s)
    recent_NT = history_NT[:, first - predictor.window_s :]
    parts = [predictor.predict(recent_NT[at : at + AT_ONCE]) for at in range(0, len(recent_NT), AT_ONCE)]
    return np.concatenate(parts), came_N
