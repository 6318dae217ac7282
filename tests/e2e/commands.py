"""Commands as users type them, and what they leave behind."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
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


def pictures(folder: str, classes: int, side: int) -> Callable[[], None]:
    """Writes a folder of class folders with square pictures, a shade a class and some noise."""

    def write() -> None:
        rng = np.random.default_rng(0)
        for label in range(classes):
            place = Path(folder) / f"class{label}"
            place.mkdir(parents=True)
            for number in range(20):
                pixels = rng.integers(0, 100, (side, side, 3)) + 150 * label // classes
                Image.fromarray(pixels.astype(np.uint8)).save(place / f"{number}.png")

    return write
