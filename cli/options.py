"""Options that several commands share.

Quantities and lists arrive as text and are parsed inside the command, so that a wrong one is an
InputError like any other: one sentence, one remedy, exit code 2.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ttamer.profiles.errors import InputError


class Format(StrEnum):
    """How a result is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


class Device(StrEnum):
    """Where a model runs."""

    CPU = "cpu"
    CUDA = "cuda"


def integers(text: str, what: str) -> tuple[int, ...]:
    """Distinct whole numbers above zero in a comma-separated list, ascending."""
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{what} {text!r} is not a list of whole numbers", remedy="write it like 1,2,4,8") from None
    if min(numbers) < 1 or len(set(numbers)) != len(numbers):
        raise InputError(f"{what} {text!r} must be distinct numbers above zero", remedy="write it like 1,2,4,8")
    return tuple(sorted(numbers))


def names(text: str | None, what: str, example: str) -> tuple[str, ...]:
    """The names in a comma-separated list; none where the option was left out."""
    if text is None:
        return ()
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    if not found:
        raise InputError(f"{what} {text!r} names nothing", remedy=f"write it like {example}")
    return found


ProfileName = Annotated[
    str, typer.Option("--profile", "-p", metavar="NAME", help="Profile by name (in profiles/) or folder.")
]
FormatOption = Annotated[
    Format, typer.Option("--format", metavar="FORM", help="What is printed on stdout: table, json or yaml.")
]
DeviceOption = Annotated[Device, typer.Option(metavar="NAME", help="Where the model runs: cpu or cuda.")]
Seed = Annotated[int, typer.Option(metavar="N", min=0, help="Seed of everything random; recorded in what is written.")]
PlanPath = Annotated[Path, typer.Argument(metavar="PLAN", help="A plan written by ttamer plan.")]
