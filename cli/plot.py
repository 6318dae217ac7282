"""A small scatter plot for the terminal, in plain characters."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Series:
    """Points that share one marker (a single character) and one line in the legend."""

    label: str
    marker: str
    points: Sequence[tuple[float, float]]


def scatter(
    series: Sequence[Series], *, x_label: str, y_label: str, width: int = 72, height: int = 16, is_log: bool = False
) -> str:
    """A scatter plot as text; where points meet, the later series shows. is_log: equal steps are equal ratios.

    >>> print(scatter([Series("a", "o", [(1, 1), (2, 2)])], x_label="x", y_label="y", width=9, height=2))
    y
     2 |         o
     1 | o
       +----------
         1       2  x
    o a
    """
    xs = [x for one in series for x, _ in one.points]
    ys = [y for one in series for _, y in one.points]
    scale = math.log if is_log else float
    scaled_xs, scaled_ys = [scale(x) for x in xs], [scale(y) for y in ys]
    grid = [[" "] * width for _ in range(height)]
    for one in series:
        for x, y in one.points:
            grid[height - 1 - _place(scale(y), scaled_ys, height)][_place(scale(x), scaled_xs, width)] = one.marker
    margin = max(len(f"{bound:.4g}") for bound in (min(ys), max(ys))) + 1
    ticks = {0: f"{max(ys):.4g}", height - 1: f"{min(ys):.4g}"}
    rows = [f"{ticks.get(i, ''):>{margin}} | {''.join(row)}".rstrip() for i, row in enumerate(grid)]
    left, right = f"{min(xs):.4g}", f"{max(xs):.4g}"
    axis = f"{' ' * margin} +{'-' * (width + 1)}"
    numbers = f"{' ' * margin}   {left}{right:>{width - len(left)}}  {x_label}"
    legend = [f"{one.marker} {one.label}" for one in series if one.points]
    return "\n".join([y_label, *rows, axis, numbers, "   ".join(legend)])


def _place(value: float, values: Sequence[float], cells: int) -> int:
    low, high = min(values), max(values)
    return round((value - low) / (high - low) * (cells - 1)) if high > low else 0
