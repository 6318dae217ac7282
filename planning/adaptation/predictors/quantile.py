"""Quantile regression over means and maxima of several lengths: the load that is exceeded at a chosen rate alone.

The mean of a minute says more about the next peak than single peaks do, and how much more is learned: the logarithm
of the highest load is a linear combination of the logarithms of recent means and maxima, fitted so that the chosen
share of targets lies above it. The constant is then raised until that holds in the worst part of the past, for the
future need not be like the average of the past.
Source: Koenker & Bassett, Regression Quantiles, Econometrica 46 (1978); the fit by reweighted least squares:
Schlossmacher, JASA 68 (1973); correcting what was fitted: Romano et al., Conformalized Quantile Regression, 2019.

Axes: N histories, T seconds, B bins, F features.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from ttamer.planning.adaptation.predictors.protocol import BIN_S, Training, binned
from ttamer.profiles.records import Floats

WINDOW_S = 600
MEANS_S = (10, 30, 60, 120, 300, 600)
BINS = 12
HALF = 0.5  # requests/s added before the logarithm: a load may be 0
ROUNDS = 40  # of reweighting; the weights of Twitter's loads no longer change after 30
CLOSEST = 1e-3  # of a logarithm: residuals below weigh no more
RIDGE = 1e-6  # relative to the histories: features of a constant load are all the same
MOST_EXAMPLES = 60_000  # learned from; more change nothing in the third digit
PARTS = 7  # of the past, in the worst of which the level holds: of a fortnight, two days each


@dataclass(frozen=True, slots=True, eq=False)
class Quantile:
    """exp(weight_F · features) − ½, where the last feature is 1."""

    weight_F: Floats
    window_s: int = WINDOW_S

    @classmethod
    def learned(cls, training: Training) -> Self:
        """The fit at the training's level. Raises InputError if there is too little of the past."""
        history_NT, target_N = training.examples(WINDOW_S)
        stride = -(-len(target_N) // MOST_EXAMPLES)
        features_NF, log_target_N = _features(history_NT[::stride]), np.log(target_N[::stride] + HALF)
        weight_F = fit_quantile(features_NF, log_target_N, training.level)
        parts = np.array_split(log_target_N - features_NF @ weight_F, min(PARTS, len(log_target_N)))
        weight_F[-1] += max(float(np.quantile(part_N, training.level, method="higher")) for part_N in parts)
        return cls(weight_F)

    def predict(self, load_rps_NT: Floats) -> Floats:
        """The load that the highest of the horizon exceeds at the chosen rate."""
        return np.maximum(0.0, np.exp(_features(load_rps_NT) @ self.weight_F) - HALF)


def fit_quantile(features_NF: Floats, target_N: Floats, level: float) -> Floats:
    """Weights whose combination lies above `level` of the targets, in the least sum of tilted absolute errors."""
    ridge_FF = RIDGE * len(target_N) * np.eye(features_NF.shape[1])
    weighted_NF = features_NF
    weight_F: Floats = np.zeros(features_NF.shape[1])
    for _ in range(ROUNDS):
        weight_F = np.asarray(np.linalg.solve(weighted_NF.T @ features_NF + ridge_FF, weighted_NF.T @ target_N))
        missed_N = target_N - features_NF @ weight_F
        tilt_N = np.where(missed_N > 0, level, 1 - level) / np.maximum(np.abs(missed_N), CLOSEST)
        weighted_NF = features_NF * tilt_N[:, None]
    return np.asarray(weight_F)


def _features(load_rps_NT: Floats) -> Floats:
    """Logarithms of recent means and of the maxima of the last bins, and 1."""
    means = [load_rps_NT[:, -seconds:].mean(axis=1) for seconds in MEANS_S]
    bins_NB = binned(load_rps_NT[:, -BINS * BIN_S :], BIN_S)
    values_NF = np.column_stack([*means, bins_NB.mean(axis=1), bins_NB.max(axis=1), bins_NB])
    return np.column_stack([np.log(values_NF + HALF), np.ones(len(values_NF))])
