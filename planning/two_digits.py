"""Numbers of two digits in order, and searching ordered things for the first that works.

Steps count the numbers 1.0, 1.1, ..., 9.9, 10, 11, ... from 0 up, and 0.99, 0.98, ... from -1 down.
"""

import math
from collections.abc import Callable

STEPS_A_DECADE = 90


def two_digits(step: int) -> float:
    """The number at a step.

    >>> two_digits(0), two_digits(-1), two_digits(5), two_digits(91)
    (1.0, 0.99, 1.5, 11.0)
    """
    decade, place = divmod(step, STEPS_A_DECADE)
    return float(f"{place + 10}e{decade - 1}")


def step_below(value: float) -> int:
    """The step of the largest number of two digits that is no larger than a value above zero.

    >>> two_digits(step_below(0.1299)), two_digits(step_below(0.13))
    (0.12, 0.13)
    """
    decade = math.floor(math.log10(value))
    step = STEPS_A_DECADE * decade + math.floor(value / 10.0 ** (decade - 1)) - 10
    while two_digits(step + 1) <= value:  # rounding may have put it off by one
        step += 1
    while two_digits(step) > value:
        step -= 1
    return step


def step_above(value: float) -> int:
    """The step of the smallest number of two digits that is no smaller than a value above zero."""
    step = step_below(value)
    return step if two_digits(step) >= value else step + 1


def first_that(works: Callable[[int], bool], first: int, last: int) -> int | None:
    """The first number from `first` to `last` that works, if whatever follows a number that works does too.

    Strides double until one works, so that near answers are found soon.

    >>> first_that(lambda number: number >= 37, 1, 100)
    37
    """
    bad, stride = first - 1, 1
    while bad < last:
        trial = min(last, bad + stride)
        if works(trial):
            return _bisect(works, trial, bad)
        bad, stride = trial, 2 * stride
    return None


def _bisect(works: Callable[[int], bool], good: int, bad: int) -> int:
    while good - bad > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if works(middle) else (good, middle)
    return good
