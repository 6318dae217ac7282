"""Pareto fronts: which rows no other row beats.

Axes: N rows, M measures, all of them the smaller the better.
"""

import math
import time

import numpy as np

from ttamer.profiles.records import Floats, Ints

CHUNK = 256  # rows compared at a time: the comparisons fit the cache


def undominated(measure_NM: Floats, deadline: float = math.inf) -> Ints:
    """Numbers of the rows that no other row equals or beats in every measure, ascending; of equals the first.

    deadline: of `time.monotonic`. Raises TimeoutError after it.

    >>> undominated(np.array([[1.0, 2.0], [2.0, 1.0], [2.0, 2.0], [1.0, 2.0]])).tolist()
    [0, 1]
    """
    if len(measure_NM) == 0:
        return np.zeros(0, dtype=np.int64)
    measure_NM = measure_NM[:, np.ptp(measure_NM, axis=0) > 0]
    if measure_NM.shape[1] == 0:
        return np.zeros(1, dtype=np.int64)
    order_N = np.lexsort(measure_NM.T[::-1])  # whoever beats another comes first, equals by number
    sorted_NM = measure_NM[order_N]
    kept = order_N[_staircase(sorted_NM) if measure_NM.shape[1] <= 2 else _by_chunks(sorted_NM, deadline)]
    return np.asarray(np.sort(kept))


def spread(measure_NM: Floats, most: int) -> Ints:
    """Numbers of at most so many rows, ascending: those least in each measure and in all together, in turn."""
    if len(measure_NM) <= most:
        return np.arange(len(measure_NM))
    span_M = np.maximum(np.ptp(measure_NM, axis=0), 1e-300)
    together_N = ((measure_NM - measure_NM.min(axis=0)) / span_M).sum(axis=1)
    ranked = np.argsort(np.column_stack([measure_NM, together_N]), axis=0, kind="stable").ravel()
    _, first = np.unique(ranked, return_index=True)
    return np.asarray(np.sort(ranked[np.sort(first)[:most]]))


def best_first(worth_N: Floats, most: int) -> Ints:
    """Numbers of the so many worth most, the best first; of equals the first."""
    return np.asarray(np.argsort(-worth_N, kind="stable")[:most])


def _staircase(sorted_NM: Floats) -> np.ndarray:
    """Of rows with at most two measures: those whose last measure is below that of all before."""
    if sorted_NM.shape[1] == 1:
        return np.asarray(np.arange(len(sorted_NM)) == 0)
    last_N = sorted_NM[:, 1]
    before_N = np.concatenate([[np.inf], np.minimum.accumulate(last_N)[:-1]])
    return np.asarray(last_N < before_N)


def _by_chunks(sorted_NM: Floats, deadline: float) -> np.ndarray:
    is_kept_N = np.ones(len(sorted_NM), dtype=bool)
    kept_MN = np.empty((sorted_NM.shape[1], 0))
    for start in range(0, len(sorted_NM), CHUNK):
        if time.monotonic() > deadline:
            raise TimeoutError
        chunk_MN = sorted_NM[start : start + CHUNK].T
        is_alive_N = np.asarray(~_is_beaten(kept_MN, chunk_MN).any(axis=0))
        chunk_MN = chunk_MN[:, is_alive_N]
        # A beaten row may itself beat another, but then so does the row that beat it.
        is_alive_N[is_alive_N] = ~np.triu(_is_beaten(chunk_MN, chunk_MN), k=1).any(axis=0)
        is_kept_N[start : start + CHUNK] = is_alive_N
        kept_MN = np.concatenate([kept_MN, sorted_NM[start : start + CHUNK][is_alive_N].T], axis=1)
    return is_kept_N


def _is_beaten(better_MA: Floats, other_MB: Floats) -> np.ndarray:
    """Whether row a is no worse than row b in every measure, for each pair."""
    is_beaten_AB = np.asarray(better_MA[0][:, None] <= other_MB[0][None, :])
    for better_A, other_B in zip(better_MA[1:], other_MB[1:], strict=True):
        is_beaten_AB &= better_A[:, None] <= other_B[None, :]
    return is_beaten_AB
