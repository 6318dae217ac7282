"""Grids of latencies by batch and cores: published ones, and what half of their points tell of the rest."""

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np

from ttamer.profiles.surface import FEWEST_POINTS, FORMS, Floats, Surface, fit_surface, unseen_ratios
from ttamer.profiling.adaptive import Design
from ttamer.profiling.design import Setting

Grid = dict[Setting, float]


def designed(seconds: Grid, count: int) -> Grid:
    """The points that an adaptive sweep takes of a grid, wave by wave, as it would measure them."""
    design, measured = Design(grid=tuple(seconds), count=count), dict[Setting, float]()
    while wave := design.wave(measured):
        measured |= {setting: seconds[setting] for setting in wave}
    return measured


def error_over(seconds: Grid, measured: Grid) -> float:
    """Mean relative error over the whole grid, each point predicted by a surface that has not seen it."""
    b, c = np.array(list(measured), dtype=float).T
    surface, taken_N = _surface(measured), np.array(list(measured.values()))
    own = unseen_ratios(np.stack(FORMS[surface.form](b, c), axis=1) / taken_N[:, None])
    return float(np.abs(np.concatenate([own, _rest_ratios(surface, seconds, measured)]) - 1).mean())


def error_at_rest(seconds: Grid, measured: Grid) -> float:
    """Mean relative error of the surface through what was measured, at the points that were not."""
    return float(np.abs(_rest_ratios(_surface(measured), seconds, measured) - 1).mean())


def _surface(measured: Grid) -> Surface:
    batches, cores = zip(*measured, strict=True)
    return fit_surface(batches, cores, list(measured.values()))


def _rest_ratios(surface: Surface, seconds: Grid, measured: Grid) -> Floats:
    """Predicted / true of every point that was not measured."""
    rest = [setting for setting in seconds if setting not in measured]
    return np.array([float(surface.latencies_s(*setting)) / seconds[setting] for setting in rest])


def published_grids(shared: Path) -> dict[str, Grid]:
    """Sponge's grids of whole batches and cores that have several of both, p99 seconds."""
    grids: dict[str, Grid] = defaultdict(dict)
    with (shared / "data" / "peers" / "sponge_profile_grids.csv").open() as file:
        for row in csv.DictReader(file):
            if row["latency_p99_s"] and float(row["cores"]).is_integer():
                setting = (int(float(row["batch"])), int(float(row["cores"])))
                grids[row["grid_id"]][setting] = float(row["latency_p99_s"])
    return {name: grid for name, grid in grids.items() if len(grid) >= 2 * FEWEST_POINTS and is_plane(grid)}


def is_plane(grid: Grid) -> bool:
    """Whether the grid has several batches and several core counts."""
    return all(len({setting[axis] for setting in grid}) > 1 for axis in (0, 1))
