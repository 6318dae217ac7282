"""Start-up: the commands that need no model never load torch; `--help` loads next to nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("command", [(), ("profile",), ("fit",), ("plan",), ("simulate",), ("export",), ("explain",), ("demo",)])
def test_help_loads_neither_torch_nor_the_solver(command: tuple[str, ...]) -> None:
    assert not loaded_by(*command, "--help") & (
        HEAVY | {"pulp", "highspy", "pyarrow", "numpy", "pydantic_core"} - {"pydantic_core"}
    )
