"""What becomes of a command whose stdout is closed, full or no longer read."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXPORT = ("export", "plan.yaml", "--to", "yaml")
ROOT = Path(__file__).parents[2]


def command(*arguments: str, **places: Any) -> "subprocess.CompletedProcess[str]":
    """A command in a process of its own."""
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "ttamer", *arguments],
        **places, text=True, stderr=subprocess.PIPE, env=os.environ | {"PYTHONPATH": paths}, check=False,
    )  # fmt: skip


def test_a_closed_stdout_is_no_error(here: Path) -> None:
    done = command(*EXPORT, preexec_fn=lambda: os.close(1))
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert Path("deploy/plan.yaml").exists()


def test_a_reader_that_is_gone_is_no_error(here: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = command(*EXPORT, stdout=writing)
    os.close(writing)
    assert done.returncode == 0
    assert "rror" not in done.stderr
    assert Path("deploy/plan.yaml").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_beneath_stdout_is_said_and_the_files_are_there(here: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = command(*EXPORT, stdout=full)
    assert done.returncode == 2
    assert done.stderr.endswith("ttamer: stdout cannot be written: no space left\n  try: free some space there\n")
    assert Path("deploy/plan.yaml").exists()
