"""Commands as users type them, and what they leave behind."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from ttamer.cli.main import app

FIT = ("fit", "resnet20", "--data", "digits", "--size", "8", "--max-fit", "150", "--train-backbone")
PROFILE = ("profile", "resnet20", "--quick", "--batches", "1,2", "--cores", "1")
PLAN = ("plan", "--slo", "2s", "--rate", "5rps")


def ttamer(*arguments: str) -> Any:
    """The outcome of a command, as typed: exit_code, stdout, stderr."""
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The folder in which fit, profile and plan ran, and what they said."""

    folder: Path
    fit: Any
    profile: Any
    plan: Any
