"""Start-up: the commands that need no model never load torch; `--help` loads next to nothing."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.builders import make_profile, make_profile_folder

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "torchvision", "transformers", "ray", "sklearn", "pandas", "scipy"}


COMMANDS_IN_TURN = """
import json, sys
from ttamer.cli.main import app
for command in json.loads(sys.argv[1]):
    try:
        app(command)
    except SystemExit as stop:
        print("ENDED", stop.code)
    print("LOADED", *{name.split(".")[0] for name in sys.modules})
"""


def loaded_by(*commands: Sequence[str]) -> list[set[str]]:
    """Top-level modules in memory after each command, one after the other in a process of their own."""
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS_IN_TURN, json.dumps(commands)],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("ENDED")] == ["ENDED 0"] * len(commands), done.stderr
    return [set(line.split()[1:]) for line in lines if line.startswith("LOADED ")]


def test_help_loads_neither_torch_nor_the_solver() -> None:
    commands = [
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
    ]
    for command, loaded in zip(commands, loaded_by(*((*one, "--help") for one in commands)), strict=True):
        assert "ttamer" in loaded
        assert not loaded & (HEAVY | {"pulp", "highspy", "pyarrow", "numpy"}), command


def test_planning_explaining_simulating_and_exporting_load_no_model_library(tmp_path: Path) -> None:
    make_profile_folder(tmp_path / "profile", make_profile(), {})
    plan = str(tmp_path / "plan.yaml")
    arguments = ("plan", "--slo", "200ms", "-p", str(tmp_path / "profile"), "--out", plan)
    simulate = ("simulate", plan, "--requests", "1000", "--no-fail", "--out", str(tmp_path / "simulation.yaml"))
    export = ("export", plan, "--to", "kubernetes", "--out", str(tmp_path / "deploy"))
    frontier = (*arguments, "--pareto", "cost")
    commands = (arguments, frontier, ("explain", plan), ("compare", plan), simulate, export)
    for command, loaded in zip(commands, loaded_by(*commands), strict=True):
        assert not loaded & (HEAVY - {"pandas"}), command  # pyarrow loads pandas by itself
    assert Path(plan).is_file()
