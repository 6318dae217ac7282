"""Which heads a policy evaluates: a head that is never asked costs nothing, so leaving out useless ones pays.

Axes: K exits; the last one, the backbone's own classifier, is always active.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ttamer.profiles.errors import InputError

Heads = tuple[int, ...]

SUFFIX_STARTS = (0.0, 0.25, 0.5, 0.75)  # of the depth; early heads are the weak ones
STRIDES = (1, 2, 4)  # neighbouring exits say almost the same, and each costs its head


def require_ascending(heads: Sequence[int], kind: str) -> None:
    """Raise InputError unless the heads are exits in ascending order."""
    if not heads or heads[0] < 0 or any(later <= earlier for earlier, later in pairwise(heads)):
        raise InputError(
            f"heads of {kind} are {list(heads)}", remedy="name exits from 0 on, ascending, the last included"
        )


def head_mask(heads: Sequence[int], exits: int) -> NDArray[np.bool_]:
    """Which of K heads are evaluated. Raises InputError unless the last head is the last of K exits."""
    if heads[-1] != exits - 1:
        raise InputError(
            f"a policy whose last head is exit {heads[-1]} cannot serve a model of {exits} exits",
            remedy=f"fit one on records of {exits} exits",
        )
    mask_K = np.zeros(exits, dtype=np.bool_)
    mask_K[list(heads)] = True
    return mask_K


def head_choices(exits: int) -> list[Heads]:
    """Sets of two or more active heads worth trying: all, suffixes, and every second or fourth of these.

    >>> head_choices(4)
    [(0, 1, 2, 3), (1, 3), (1, 2, 3), (2, 3)]
    """
    choices: dict[Heads, None] = {}
    for start in SUFFIX_STARTS:
        first = int(start * exits)
        for stride in STRIDES:
            choices[tuple(range(exits - 1, first - 1, -stride))[::-1]] = None
    return [heads for heads in choices if len(heads) > 1]
