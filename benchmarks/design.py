"""Half the points of a grid, chosen by the adaptive design, beside all of them: what a surface through them gets wrong.

The error is the mean over the whole grid of what a surface says of points that it has not seen: those of its own are
predicted without them. Beside it stands the error at the points that were spared. Published grids are Sponge's; our own
are measured first: models at ten batch sizes on one and two cores (`--quick`), kept in build/bench/design. The design was
picked on Sponge's grids and two of ours; the others were measured after it had been.

Run: python -m benchmarks.design [../shared]
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tests.grids import Grid, designed, error_at_rest, error_over, published_grids
from ttamer.cli import render
from ttamer.profiles.profile import WHOLE
from ttamer.profiles.shelf import read_profile

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "build" / "bench" / "design"
MORE = 0.01  # that half a grid may be worse than all of it
PICKED_ON = ("resnet20", "bert-tiny")
FRESH = ("resnet32", "resnet56", "resnet18", "bert-mini", "bert-small")
BATCHES, CORES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32), (1, 2)


def main() -> None:
    shared = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared"
    print_designs(published_grids(shared) | own_grids(PICKED_ON))
    print("\ngrids that the design was not picked on")
    print_designs(own_grids(FRESH))


def print_designs(grids: Mapping[str, Grid]) -> None:
    """A line a grid: what all of it and half of it get wrong; and in sum how much more the half does."""
    rows, lost = [], []
    for name, grid in grids.items():
        measured = designed(grid, len(grid) // 2)
        whole, half, rest = error_over(grid, grid), error_over(grid, measured), error_at_rest(grid, measured)
        lost.append((half - whole, rest - whole))
        rows.append(
            (name, str(len(grid)), f"{100 * whole:.1f} %", str(len(measured)), f"{100 * half:.1f} %",
             f"{100 * (half - whole):+.1f}", f"{100 * rest:.1f} %", f"{100 * (rest - whole):+.1f}")
        )  # fmt: skip
    render.table(("grid", "points", "error", "of them", "error", "points more", "at the spared", "points more"), rows)
    for what, more in zip(("over the grid", "at the spared points"), np.array(lost).T, strict=True):
        print(
            f"{what}: on average {100 * more.mean():+.1f} points more, at most {100 * more.max():+.1f}; "
            f"{(more <= MORE).sum()} of {more.size} within {100 * MORE:.0f}"
        )


def own_grids(models: Sequence[str]) -> dict[str, Grid]:
    """Medians of whole models as measured here, each unless it was before."""
    wanted = ("--batches", ",".join(map(str, BATCHES)), "--cores", ",".join(map(str, CORES)))
    command = [sys.executable, "-m", "ttamer", "profile", *models, *wanted, "--quick", "-p", str(KEPT)]
    subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, stdout=subprocess.DEVNULL
    )
    profile = read_profile(KEPT)
    return {
        f"{model}, measured here": {
            (batch, cores): profile.point(
                model, "whole", WHOLE, device="cpu", cores=cores, batch=batch
            ).samples.median_s()
            for batch in BATCHES
            for cores in CORES
        }
        for model in models
    }


if __name__ == "__main__":
    main()
