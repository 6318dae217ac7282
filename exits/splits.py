"""Dividing a data source into fit, calibration, validation and test.

Heads are fitted on `fit`; temperatures and policies on `calibration`; policies are chosen on `validation` and
reported on `test`. The backbone has usually seen what a source calls its training split, so only `fit` comes
from there. Axes: N samples.
"""

import numpy as np
from numpy.typing import NDArray

from ttamer.profiles.errors import InputError
from ttamer.profiles.records import SPLITS, Ints

Names = NDArray[np.str_]

# What sources call their splits -> what we make of it.
GIVEN_NAMES = {
    "train": "fit", "training": "fit", "fit": "fit",
    "dev": "dev", "val": "dev", "valid": "dev", "validation": "dev", "development": "dev",
    "calibration": "calibration",
    "test": "test", "testing": "test", "eval": "test", "evaluation": "test",
}  # fmt: skip
UNSPLIT_SHARES = {"fit": 0.50, "calibration": 0.15, "validation": 0.15, "test": 0.20}
HELD_OUT_SHARES = {"calibration": 0.25, "validation": 0.25, "test": 0.50}
DEV_SHARES = {"calibration": 0.5, "validation": 0.5}
UNUSED = ""  # the split of a sample left out by a cap


def given_splits(names: NDArray[np.object_]) -> Names:
    """The source's own split names in our words (`fit`, `dev`, `calibration`, `test`). Raises InputError."""
    words = {name: GIVEN_NAMES.get(str(name).strip().lower()) for name in set(names)}
    unknown = sorted(str(name) for name, word in words.items() if word is None)
    if unknown:
        allowed = ", ".join(GIVEN_NAMES)
        raise InputError(f"the data name an unknown split {unknown[0]!r}", remedy=f"allowed: {allowed}")
    return np.array([words[name] for name in names], dtype=np.str_)


def assign_splits(label_N: Ints, given_N: Names | None, seed: int) -> Names:
    """The split of every sample, stratified by class where a division is drawn.

    A source that names all four splits keeps them. One with fit, dev and test has dev halved into calibration
    and validation; with fit and one held-out split that one is divided 25/25/50; without splits of its own
    everything is divided 50/15/15/20. Raises InputError if a split stays empty.
    """
    rng = np.random.default_rng(seed)
    given = set() if given_N is None else set(given_N.tolist())
    everything = np.arange(len(label_N))
    if given_N is None or "fit" not in given or len(given) == 1:
        split_N = _divided(label_N, everything, UNSPLIT_SHARES, rng, np.full(len(label_N), UNUSED, dtype="<U16"))
    elif {"dev", "calibration", "test"} <= given:
        split_N = np.where(given_N == "dev", "validation", given_N).astype("<U16")
    elif {"dev", "test"} <= given:
        split_N = _divided(label_N, np.flatnonzero(given_N == "dev"), DEV_SHARES, rng, given_N.astype("<U16"))
    else:
        split_N = _divided(label_N, np.flatnonzero(given_N != "fit"), HELD_OUT_SHARES, rng, given_N.astype("<U16"))
    empty = [split for split in SPLITS if not (split_N == split).any()]
    if empty:
        message = f"{len(label_N)} samples leave the split {empty[0]!r} empty"
        raise InputError(message, remedy="give more samples, at least 20 a class")
    return split_N


def thinned(label_N: Ints, rows: Ints, most: int | None, seed: int) -> Ints:
    """At most so many of the rows, drawn stratified by class, in ascending order."""
    if most is None or len(rows) <= most:
        return rows
    shares = {"kept": most / len(rows), "left": 1 - most / len(rows)}
    marks = np.full(len(label_N), UNUSED, dtype="<U16")
    kept = np.flatnonzero(_divided(label_N, rows, shares, np.random.default_rng(seed), marks) == "kept")
    return kept.astype(np.int64)


def _divided(label_N: Ints, rows: Ints, shares: dict[str, float], rng: np.random.Generator, split_N: Names) -> Names:
    """The splits with `rows` divided by `shares`, class by class."""
    divided = split_N.copy()
    bounds = np.cumsum(list(shares.values()))[:-1]
    for label in np.unique(label_N[rows]):
        members = rng.permutation(rows[label_N[rows] == label])
        # A random offset keeps the totals right however many small classes there are.
        cuts = np.clip(np.floor(bounds * len(members) + rng.random()), 0, len(members)).astype(int)
        for name, part in zip(shares, np.split(members, cuts), strict=True):
            divided[part] = name
    return divided
