"""Confidence as a Markov chain over the active heads: the model of a sample that the table policies are solved on.

The state at a head is the quantile bin of its confidence; the loss of a state is the calibrated
probability that the head's answer is not the label. Answering with an earlier head is priced as if
nothing later said anything about it, which is optimistic: what a policy promises on the chain is no
measure of what it does on records.

Axes: N samples, K exits, A active heads, S bins of a head, P bins of the head before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ttamer.exits.active_heads import Heads, require_ascending
from ttamer.exits.exploration.chain import Chain, chain_of
from ttamer.exits.parameters import Rows
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import ExitRecords, Floats, Ints

SAMPLES_PER_BIN = 60  # a bin's error is then known to about 6 points; more bins won nothing on held-out halves
FEWEST_BINS, MOST_BINS = 4, 16
ERROR_PRIOR = 4.0  # samples' worth of the head's mean error in every bin, so that no bin is ever sure
TRANSITION_PRIOR = 4.0  # samples' worth of the next head's marginal law in every row

MANY, FEW_EDGES = (
    256,
    32,
)  # samples and edges for which counting the edges below is faster than searching: up to 8 times

# Errors one full run of the backbone is worth: from a run that is almost free to one dearer than a sure error.
PRICES = np.logspace(-4, 0.5, 40)


@dataclass(frozen=True, slots=True, eq=False)
class ConfidenceChain:
    """The chain of bins over the active heads, estimated from records.

    edges[i]: S - 1 ascending inner edges of head i's bins. loss[i]: S error probabilities, falling with confidence.
    transitions[i]: P rows of S probabilities; one row for the first head.
    """

    heads: Heads
    edges: tuple[Floats, ...]
    loss: tuple[Floats, ...]
    transitions: tuple[Floats, ...]

    def priced(self, share_A: Floats, price: float) -> Chain:
        """The exploration problem in which a run of the whole backbone costs as much as `price` errors.

        share_A: the time from each active head to the next as a share of the backbone's.
        """
        return chain_of((price * share_A).tolist(), self.loss, self.transitions)


def fit_chain(calibration: ExitRecords, heads: Heads) -> ConfidenceChain:
    """The chain over these heads: shrunk, monotone errors per bin and smoothed transitions between neighbours."""
    bins = int(np.clip(calibration.samples // SAMPLES_PER_BIN, FEWEST_BINS, MOST_BINS))
    edges = tuple(quantile_edges(calibration.confidence_NK[:, head], bins) for head in heads)
    wrong_NK = ~calibration.correct_NK()
    bin_AN = [bin_of(calibration.confidence_NK[:, k], e) for k, e in zip(heads, edges, strict=True)]
    sizes = [len(e) + 1 for e in edges]
    loss = tuple(
        calibrated_errors(bin_N, wrong_NK[:, head], size)
        for bin_N, head, size in zip(bin_AN, heads, sizes, strict=True)
    )
    first = np.bincount(bin_AN[0], minlength=sizes[0])[np.newaxis] / calibration.samples
    later = (
        smoothed_transitions(before_N, after_N, P, S)
        for (before_N, after_N), (P, S) in zip(pairwise(bin_AN), pairwise(sizes), strict=True)
    )
    return ConfidenceChain(heads, edges, loss, (first, *later))


def quantile_edges(confidence_N: Floats, bins: int) -> Floats:
    """Inner edges of bins that hold about equally many samples; equal edges are merged."""
    return np.unique(np.quantile(confidence_N, np.arange(1, bins) / bins))


def bin_of(confidence_N: Floats, edges: Floats | Sequence[float]) -> Ints:
    """The bin of each confidence; an edge belongs to the bin above it."""
    if len(confidence_N) < MANY or len(edges) > FEW_EDGES:
        place_N = np.searchsorted(np.asarray(edges, dtype=np.float64), confidence_N, side="right")
        return np.asarray(place_N, dtype=np.int64)
    bin_N = np.zeros(len(confidence_N), dtype=np.int8)
    for edge in edges:
        bin_N += (confidence_N >= edge).view(np.int8)
    return bin_N.astype(np.int64)


def calibrated_errors(bin_N: Ints, wrong_N: NDArray[np.bool_], bins: int) -> Floats:
    """Error probability of each bin, shrunk to the mean of all and made to fall with confidence."""
    count_S = np.bincount(bin_N, minlength=bins).astype(np.float64)
    wrong_S = np.bincount(bin_N, weights=wrong_N, minlength=bins)
    shrunk_S = (wrong_S + ERROR_PRIOR * wrong_N.mean()) / (count_S + ERROR_PRIOR)
    return falling(shrunk_S, count_S + ERROR_PRIOR)


def falling(values: Floats, weights: Floats) -> Floats:
    """The nearest sequence in weighted least squares that never rises.

    Source: pool adjacent violators; Barlow et al., Statistical Inference under Order Restrictions (1972).

    >>> falling(np.array([0.5, 0.1, 0.3, 0.0]), np.array([1.0, 1.0, 1.0, 1.0])).tolist()
    [0.5, 0.2, 0.2, 0.0]
    """
    pools: list[tuple[float, float, int]] = []  # mean, weight, length
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        mean, total, length = value, weight, 1
        while pools and pools[-1][0] <= mean:
            before, before_weight, before_length = pools.pop()
            mean = (before * before_weight + mean * total) / (before_weight + total)
            total, length = before_weight + total, before_length + length
        pools.append((mean, total, length))
    return np.repeat([mean for mean, _, _ in pools], [length for _, _, length in pools])


def smoothed_transitions(before_N: Ints, after_N: Ints, before_bins: int, after_bins: int) -> Floats:
    """P(bin at a head | bin at the head before), each row drawn to the marginal law."""
    pairs = np.bincount(before_N * after_bins + after_N, minlength=before_bins * after_bins)
    count_PS = pairs.reshape(before_bins, after_bins).astype(np.float64)
    marginal_S = count_PS.sum(axis=0) / count_PS.sum()
    return np.asarray(
        (count_PS + TRANSITION_PRIOR * marginal_S) / (count_PS.sum(axis=1, keepdims=True) + TRANSITION_PRIOR)
    )


def require_tables(kind: str, heads: Heads, edges: Rows, tables: Sequence[tuple[str, Rows, int]]) -> None:
    """Raise InputError unless heads ascend, edges ascend, and each table has one entry for each bin.

    tables: name, rows, and how many of the heads have a row.
    """
    require_ascending(heads, kind)
    if len(edges) != len(heads) or any(b <= a for row in edges for a, b in pairwise(row)):
        raise InputError(f"edges of {kind} are not {len(heads)} ascending rows", remedy="fit the policy anew")
    for name, rows, wanted in tables:
        sizes = [len(edge) + 1 for edge in edges[:wanted]]
        if [len(row) for row in rows] != sizes:
            raise InputError(
                f"{name} of {kind} has rows of {[len(row) for row in rows]} entries, the bins need {sizes}",
                remedy="fit the policy anew",
            )
