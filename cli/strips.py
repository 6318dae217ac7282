"""Quantities over time for the terminal: one strip of columns each, in plain characters, over a common axis."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """One quantity. values: in order of time, nan where there is none. text: how a value is written.

    limit: a level to mark, as of an SLO; from_zero: whether the strip begins at zero or at the least value.
    """

    label: str
    values: Sequence[float]
    text: Callable[[float], str]
    limit: float | None = None
    from_zero: bool = True

    @property
    def is_empty(self) -> bool:
        """Whether no value is known."""
        return all(math.isnan(value) for value in self.values)

    @property
    def constant(self) -> float | None:
        """The value that all known ones share, None if they differ."""
        known = {value for value in self.values if not math.isnan(value)}
        return known.pop() if len(known) == 1 else None


def strips(several: Sequence[Strip], *, first: str, last: str, width: int = 72, height: int = 4) -> str:
    """The strips as text, one above the other; what never changes is one line. first, last: the ends of the axis.

    >>> load = Strip(label="load", values=[1, 2, 4, 3], text="{:.0f} rps".format)
    >>> print(strips([load], first="0 s", last="4 s", width=8, height=2))
    load
    4 rps |    ####
          |########
    0 rps +--------
          0 s   4 s
    """
    shown = [_shrunk(one.values, width) for one in several]
    columns = max(len(values) for values in shown)
    shown = [_stretched(values, columns, width) for values in shown]
    rows = [
        [] if one.constant is not None else _rows(one, values, height)
        for one, values in zip(several, shown, strict=True)
    ]
    margin = max((len(text) for lines in rows for text, _ in lines), default=0)
    text = []
    for one, lines in zip(several, rows, strict=True):
        text.append(one.label if one.constant is None else f"{one.label}: {one.text(one.constant)} throughout")
        text += [f"{left:>{margin}} {line}".rstrip() for left, line in lines]
    room = max(len(values) for values in shown)
    return "\n".join([*text, f"{'':{margin}} {first}{last:>{room + 1 - len(first)}}".rstrip()])


def _shrunk(values: Sequence[float], width: int) -> list[float]:
    """At most `width` values: the largest of every part, so that no peak is lost."""
    if len(values) <= width:
        return list(values)
    cuts = [round(k * len(values) / width) for k in range(width + 1)]
    return [_largest(values[low:high]) for low, high in pairwise(cuts)]


def _stretched(values: Sequence[float], columns: int, width: int) -> list[float]:
    """Each value as many times as there is room for all."""
    times = max(1, width // columns)
    return [value for value in values for _ in range(times)]


def _largest(values: Sequence[float]) -> float:
    return max((value for value in values if not math.isnan(value)), default=math.nan)


def _rows(one: Strip, values: Sequence[float], height: int) -> list[tuple[str, str]]:
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return [("", "+" + "-" * len(values) + " no value")]
    high = max([*known, *([one.limit] if one.limit is not None else [])])
    low = 0.0 if one.from_zero else min(known)
    levels = [_level(value, low, high, height) for value in values]
    marked = None if one.limit is None else max(1, _level(one.limit, low, high, height))
    lines = []
    for row in range(height, 0, -1):
        empty = "." if row == marked else " "
        line = "".join("#" if level >= row else empty for level in levels)
        lines.append((one.text(high) if row == height else "", f"|{line}"))
    return [*lines, (one.text(low), "+" + "-" * len(values))]


def _level(value: float, low: float, high: float, height: int) -> int:
    """How many rows high a value stands: at least one if it is above the lowest."""
    if math.isnan(value) or value < low:
        return 0
    return math.ceil((value - low) / (high - low) * height - 1e-9)
