"""Which heads a policy evaluates: a head that is never asked costs nothing, so leaving out useless ones pays.

The last active head answers whatever is left. It need not be the last exit: where a model is about as good some stages
before its end, the rest of it is never run.

Axes: K exits.
"""

from collections.abc import Sequence
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from ttamer.profiles.errors import InputError
from ttamer.profiles.records import ExitRecords, Floats

Heads = tuple[int, ...]

SUFFIX_STARTS = (0.0, 0.25, 0.5, 0.75)  # of the depth; early heads are the weak ones
STRIDES = (1, 2, 4)  # neighbouring exits say almost the same, and each costs its head
# Accuracy, against the last exit's, from which on an exit may be the last one in use.
SHORTFALLS = (0.03, 0.01, 0.0)
MOST_OF_A_MEMBER = 4  # heads of one model in a cascade: with more, the sets of all models together become too many


def require_ascending(heads: Sequence[int], kind: str) -> None:
    """Raise InputError unless the heads are exits in ascending order."""
    if not heads or heads[0] < 0 or any(later <= earlier for earlier, later in pairwise(heads)):
        raise InputError(f"heads of {kind} are {list(heads)}", remedy="name exits from 0 on, ascending")


def head_mask(heads: Sequence[int], exits: int) -> NDArray[np.bool_]:
    """The heads among K exits. Raises InputError if there are fewer exits than that."""
    if heads[-1] >= exits:
        raise InputError(
            f"a policy whose last head is exit {heads[-1]} cannot serve a model of {exits} exits",
            remedy=f"fit one on records of {exits} exits",
        )
    mask_K = np.zeros(exits, dtype=np.bool_)
    mask_K[list(heads)] = True
    return mask_K


def head_choices(calibration: ExitRecords) -> list[Heads]:
    """Sets of two or more active heads worth trying: each ends at a deep enough exit and is thinned from there."""
    if len(calibration.starts) > 1:
        return cascade_choices(calibration.accuracy_K(), calibration.starts)
    choices = dict.fromkeys(heads for end in ends_of(calibration.accuracy_K()) for heads in thinned_to(end))
    return [heads for heads in choices if len(heads) > 1]


def cascade_choices(accuracy_K: Floats, starts: Sequence[int]) -> list[Heads]:
    """Sets of heads of a cascade: of its first and last model some, of those between the last or none."""
    spans = list(pairwise((*starts, len(accuracy_K))))
    options: list[list[Heads]] = []
    for place, (low, high) in enumerate(spans):
        ends = ends_of(accuracy_K[low:high])
        if 0 < place < len(spans) - 1:
            own = [(), (ends[0],)]
        else:
            own = [heads for end in ends for heads in [(end,), *thinned_to(end)] if len(heads) <= MOST_OF_A_MEMBER]
        options.append([tuple(low + head for head in heads) for heads in dict.fromkeys(own)])
    return [sum(chosen, ()) for chosen in product(*options)]


def ends_of(accuracy_K: Floats) -> list[int]:
    """Exits worth being the last one in use, deepest first: the last, and the first ones about as accurate.

    >>> ends_of(np.array([0.6, 0.89, 0.9, 0.91, 0.905]))
    [4, 3, 2, 1]
    """
    last = len(accuracy_K) - 1
    enough = {int(np.flatnonzero(accuracy_K >= accuracy_K[last] - shortfall)[0]) for shortfall in SHORTFALLS}
    return sorted({last, *enough}, reverse=True)


def thinned_to(end: int) -> list[Heads]:
    """Sets of heads that end at this exit: all, suffixes, and every second or fourth of these.

    >>> thinned_to(3)
    [(0, 1, 2, 3), (1, 3), (3,), (1, 2, 3), (2, 3)]
    """
    choices: dict[Heads, None] = {}
    for start in SUFFIX_STARTS:
        first = int(start * (end + 1))
        for stride in STRIDES:
            choices[tuple(range(end, first - 1, -stride))[::-1]] = None
    return list(choices)
