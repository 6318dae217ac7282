"""Which points to measure when not all of a grid will be: where the surface through the others is least certain.

Corners first, then points far from all others, until a surface can be fitted; then, one by one, the point at which
the surface is least certain, times its distance from the nearest measured point. Distances are in doublings of batch
and cores, each relative to the span of the grid.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ttamer.profiles.surface import FEWEST_POINTS, uncertainty

Setting = tuple[int, int]  # batch, cores
Floats = NDArray[np.float64]
FLOOR = 1e-6  # of an uncertainty, so that distance decides where there is none


def next_setting(grid: Sequence[Setting], measured_s: Mapping[Setting, float]) -> Setting | None:
    """The setting of the grid to measure next, given the seconds of those measured; None when none is left."""
    left = [setting for setting in sorted(set(grid)) if setting not in measured_s]
    if not left:
        return None
    corners = [corner for corner in _corners(grid) if corner in left]
    if corners:
        return corners[0]
    distance_M = _distances(grid, left, list(measured_s))
    if len(measured_s) < FEWEST_POINTS:
        return left[int(distance_M.argmax())]
    points = [(batch, cores, seconds) for (batch, cores), seconds in measured_s.items()]
    return left[int((distance_M * (uncertainty(points, left) + FLOOR)).argmax())]


def _corners(grid: Sequence[Setting]) -> list[Setting]:
    """The extreme settings that the grid holds: smallest and largest batch on fewest and most cores."""
    batches, cores = sorted({batch for batch, _ in grid}), sorted({cores for _, cores in grid})
    return [
        (batch, count)
        for batch, count in ((batches[0], cores[0]), (batches[-1], cores[-1]), (batches[0], cores[-1]),
                             (batches[-1], cores[0]))
        if (batch, count) in grid
    ]  # fmt: skip


def _distances(grid: Sequence[Setting], left: Sequence[Setting], measured: Sequence[Setting]) -> Floats:
    """From each setting that is left to the nearest measured one."""
    logs = np.log2(np.array(grid, dtype=float))
    span = np.maximum(np.ptp(logs, axis=0), FLOOR)
    apart = (np.log2(np.array(left, dtype=float))[:, None] - np.log2(np.array(measured, dtype=float))[None]) / span
    return np.asarray(np.linalg.norm(apart, axis=2).min(axis=1))
