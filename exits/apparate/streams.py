"""Orders in which recorded samples arrive: steadily, or drifting as data does after a model was deployed.

Samples are drawn with replacement, one after another; what drifts are the chances with which they are drawn.
Axes: N samples, M arrivals.
"""

from collections.abc import Callable

import numpy as np

from ttamer.profiles.records import ExitRecords, Floats, Ints

Stream = Callable[[ExitRecords, int, np.random.Generator], Ints]

STEEPNESS = 4.0  # at the end the hardest sample is e^4 = 55 times as likely as the easiest; at first the reverse
WIDTH = 0.2  # of the labels in order: how many of them are common at a time
BLOCKS = 50  # steps in which the chances change


def steady(records: ExitRecords, arrivals: int, rng: np.random.Generator) -> Ints:
    """All samples alike, shuffled anew each time all have come."""
    passes = -(-arrivals // records.samples)
    order = [rng.permutation(records.samples) for _ in range(passes)]
    return np.concatenate(order)[:arrivals].astype(np.int64)


def harder(records: ExitRecords, arrivals: int, rng: np.random.Generator) -> Ints:
    """Easy samples first, then ever more of those that early exits get wrong or are unsure of."""
    rank_N = _hardness_N(records)
    return _drawn(lambda share: np.exp(STEEPNESS * (2 * share - 1) * (rank_N - 0.5)), arrivals, rng)


def sudden(records: ExitRecords, arrivals: int, rng: np.random.Generator) -> Ints:
    """The easier half of the samples, then from one arrival to the next the harder half."""
    is_hard_N = _hardness_N(records) >= 0.5
    return _drawn(lambda share: (is_hard_N == (share >= 0.5)).astype(np.float64), arrivals, rng)


def classes(records: ExitRecords, arrivals: int, rng: np.random.Generator) -> Ints:
    """The labels in order: what is common at first is rare at last."""
    labels, place_N = np.unique(records.label_N, return_inverse=True)
    at_N = place_N / max(1, len(labels) - 1)
    return _drawn(lambda share: np.exp(-0.5 * ((at_N - share) / WIDTH) ** 2), arrivals, rng)


STREAMS: dict[str, Stream] = {"steady": steady, "harder": harder, "sudden": sudden, "classes": classes}


def _hardness_N(records: ExitRecords) -> Floats:
    """The rank of each sample, 0 to 1, by how many exits do not agree with the last, then by their mean doubt."""
    disagreeing_N = (~records.agrees_NK()).sum(axis=1)
    order_N = np.lexsort((1 - records.confidence_NK.mean(axis=1), disagreeing_N))
    rank_N = np.empty(records.samples)
    rank_N[order_N] = np.arange(records.samples) / max(1, records.samples - 1)
    return rank_N


def _drawn(chance: Callable[[float], Floats], arrivals: int, rng: np.random.Generator) -> Ints:
    """Arrivals drawn by chances that depend on the share of the stream that has passed."""
    found = []
    for number, block in enumerate(np.array_split(np.arange(arrivals), min(arrivals, BLOCKS))):
        chance_N = chance((number + 0.5) / min(arrivals, BLOCKS))
        found.append(rng.choice(len(chance_N), size=len(block), p=chance_N / chance_N.sum()))
    return np.concatenate(found).astype(np.int64)
