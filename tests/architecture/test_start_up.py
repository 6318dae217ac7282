"""Start-up: the commands that need no model never load torch; `--help` loads next to nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import make_profile, make_profile_folder

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "torchvision", "transformers", "ray", "sklearn", "pandas", "scipy"}


def loaded_by(*argv: str) -> set[str]:
    """Top-level modules in memory after `ttamer` ran with these arguments."""
    code = (
        "import sys\nfrom ttamer.cli.main import app\n"
        "try:\n    app(sys.argv[1:])\nexcept SystemExit as stop:\n    code = stop.code\n"
        "print('LOADED', *{m.split('.')[0] for m in sys.modules})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *argv], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stdout.split("LOADED ")[-1].split())


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("profile",),
        ("profile", "show"),
        ("profile", "diff"),
        ("fit",),
        ("plan",),
        ("simulate",),
        ("export",),
        ("explain",),
        ("compare",),
        ("frontier",),
        ("drift",),
        ("doctor",),
        ("demo",),
    ],
)
def test_help_loads_neither_torch_nor_the_solver(command: tuple[str, ...]) -> None:
    assert not loaded_by(*command, "--help") & (HEAVY | {"pulp", "highspy", "pyarrow", "numpy"})


def test_planning_explaining_simulating_and_exporting_load_no_model_library(tmp_path: Path) -> None:
    make_profile_folder(tmp_path / "profile", make_profile(), {})
    plan = str(tmp_path / "plan.yaml")
    arguments = ("plan", "--slo", "200ms", "-p", str(tmp_path / "profile"), "--out", plan)
    simulate = ("simulate", plan, "--requests", "1000", "--no-fail", "--out", str(tmp_path / "simulation.yaml"))
    export = ("export", plan, "--to", "kubernetes", "--out", str(tmp_path / "deploy"))
    frontier = (*arguments, "--pareto", "cost")
    for command in (arguments, frontier, ("explain", plan), ("compare", plan), simulate, export):
        loaded = loaded_by(*command)
        assert "ttamer" in loaded
        assert not loaded & (HEAVY - {"pandas"}), command  # pyarrow loads pandas by itself
    assert Path(plan).is_file()
