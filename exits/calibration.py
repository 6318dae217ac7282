"""Temperatures, what they do to a model's honesty, and exit records from logits.

Axes: N samples, K exits, V classes, S bins.
"""

from dataclasses import dataclass

import numpy as np

from ttamer.profiles.provenance import Provenance
from ttamer.profiles.records import ExitRecords, Floats, Ints

BINS = 15  # Guo et al., On Calibration of Modern Neural Networks (2017), section 2
COLDEST, HOTTEST = 0.05, 20.0
GOLDEN_SECTION = (5**0.5 - 1) / 2
SEARCH_STEPS = 60  # narrows the bracket by 0.618^60, to about 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Honesty:
    """How far stated probabilities are from the truth: expected calibration error, Brier score, mean NLL in nats."""

    ece: float
    brier: float
    nll: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitCalibration:
    """The temperature of one exit, and its honesty before and after on samples the temperature has not seen."""

    exit: int
    name: str
    temperature: float
    before: Honesty
    after: Honesty


def log_softmax(logits_NV: Floats) -> Floats:
    """Log-probabilities."""
    shifted = logits_NV - logits_NV.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def nll(logits_NV: Floats, label_N: Ints) -> float:
    """Mean negative log-likelihood of the labels, in nats."""
    return float(-log_softmax(logits_NV)[np.arange(len(label_N)), label_N].mean())


def fit_temperature(logits_NV: Floats, label_N: Ints) -> float:
    """The temperature T in [0.05, 20] that minimises the NLL of softmax(logits / T).

    The NLL is convex in 1/T, so golden-section search on log T finds the minimum.
    Source: Guo et al. (2017), section 4.2.
    """
    low, high = np.log(COLDEST), np.log(HOTTEST)
    left, right = high - GOLDEN_SECTION * (high - low), low + GOLDEN_SECTION * (high - low)
    at_left, at_right = (nll(logits_NV / np.exp(point), label_N) for point in (left, right))
    for _ in range(SEARCH_STEPS):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - GOLDEN_SECTION * (high - low)
            at_left = nll(logits_NV / np.exp(left), label_N)
        else:
            low, left, at_left = left, right, at_right
            right = low + GOLDEN_SECTION * (high - low)
            at_right = nll(logits_NV / np.exp(right), label_N)
    return float(np.exp((low + high) / 2))


def honesty(logits_NV: Floats, label_N: Ints) -> Honesty:
    """ECE over 15 equal-width bins of confidence, multi-class Brier score and NLL."""
    probability_NV = np.exp(log_softmax(logits_NV))
    confidence_N, correct_N = probability_NV.max(axis=1), probability_NV.argmax(axis=1) == label_N
    bin_N = np.minimum((confidence_N * BINS).astype(int), BINS - 1)
    gap_S = np.bincount(bin_N, weights=confidence_N - correct_N, minlength=BINS)
    truth_NV = np.eye(probability_NV.shape[1])[label_N]
    return Honesty(
        ece=float(np.abs(gap_S).sum() / len(label_N)),
        brier=float(((probability_NV - truth_NV) ** 2).sum(axis=1).mean()),
        nll=nll(logits_NV, label_N),
    )


def records_of(
    logits: list[Floats], sample_N: Ints, label_N: Ints, *, model: str, dataset: str, split: str, provenance: Provenance
) -> ExitRecords:
    """The exit records of calibrated logits, one array (N, V) an exit."""
    logs = [log_softmax(logits_NV) for logits_NV in logits]
    top2 = [np.sort(np.exp(log_NV), axis=1)[:, -2:] for log_NV in logs]
    return ExitRecords(
        model=model,
        dataset=dataset,
        split=split,
        sample_N=sample_N,
        label_N=label_N,
        prediction_NK=np.stack([logits_NV.argmax(axis=1) for logits_NV in logits], axis=1),
        confidence_NK=np.stack([pair[:, 1] for pair in top2], axis=1),
        margin_NK=np.stack([pair[:, 1] - pair[:, 0] for pair in top2], axis=1),
        entropy_NK=np.stack([-(np.exp(log_NV) * log_NV).sum(axis=1) for log_NV in logs], axis=1),
        provenance=provenance,
    )
