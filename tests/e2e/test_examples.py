"""Every command's help shows an example, and the examples run."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.e2e.commands import ttamer
from tests.golden.test_cli_options import leaves
from ttamer.cli.main import app

COMMANDS: dict[str, Any] = leaves(typer.main.get_command(app))
# Parsed only: fitting is run by the other tests, the demo takes minutes, and a reader has other profiles to compare.
SLOW = {"fit", "demo", "profile diff"}
OWN_FILE = "load.csv"  # so has the reader a trace of a load
EXAMPLE = re.compile(r"^Example: ttamer (.+)$", re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_an_example(name: str) -> None:
    done = ttamer(*name.split(), "--help")
    assert done.exit_code == 0
    assert f"Example: ttamer {name} " in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_the_example_in_the_help_runs(name: str, here: Path) -> None:
    for example in EXAMPLE.findall(COMMANDS[name].help):
        arguments = shlex.split(example.removeprefix(name))
        if name in SLOW or OWN_FILE in arguments or f"trace:{OWN_FILE}" in arguments:
            COMMANDS[name].make_context(name, arguments)
        else:
            done = ttamer(*name.split(), *arguments, *(["--dry-run"] if name == "profile" else []))
            assert done.exit_code == 0, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_paragraphs_in_the_help_break_at_the_end_of_the_terminal_alone(name: str) -> None:
    assert all("\n" not in part for part in COMMANDS[name].help.split("\n\n"))


def test_help_fits_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for command in [(), *((name,) for name in COMMANDS)]:
        assert max(map(len, ttamer(*" ".join(command).split(), "--help").stdout.splitlines())) <= 80
