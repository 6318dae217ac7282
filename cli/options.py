"""Options that several commands share, and the parsers that give a wrong value one clear sentence."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from ttamer.profiles.errors import InputError
from ttamer.profiles.units import parse_duration_s, parse_fraction, parse_rate_rps

T = TypeVar("T")


class Format(StrEnum):
    """How a result is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


def _as_parameter(parse: Callable[[str, str], T], what: str) -> Callable[[str], T]:
    """A parser for typer: an InputError becomes a usage error (exit 2) that shows its remedy."""

    def parameter(text: str) -> T:
        try:
            return parse(text, what)
        except InputError as error:
            raise typer.BadParameter(str(error)) from None

    parameter.__name__ = what
    return parameter


def integers(text: str, what: str) -> tuple[int, ...]:
    """Distinct whole numbers above zero in a comma-separated list, ascending."""
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{what} {text!r} is not a list of whole numbers", remedy="write it like 1,2,4,8") from None
    if min(numbers) < 1 or len(set(numbers)) != len(numbers):
        raise InputError(f"{what} {text!r} must be distinct numbers above zero", remedy="write it like 1,2,4,8")
    return tuple(sorted(numbers))


def names(text: str, what: str) -> tuple[str, ...]:
    """The names in a comma-separated list."""
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    if not found:
        raise InputError(f"{what} {text!r} names nothing", remedy="write it like resnet18,resnet50")
    return found


duration = _as_parameter(parse_duration_s, "duration")
rate = _as_parameter(parse_rate_rps, "rate")
fraction = _as_parameter(parse_fraction, "fraction")
integer_list = _as_parameter(integers, "list")
name_list = _as_parameter(names, "names")

ProfileName = Annotated[
    str, typer.Option("--profile", "-p", metavar="NAME", help="Profile by name (in profiles/) or folder.")
]
FormatOption = Annotated[Format, typer.Option("--format", help="How the result is printed on stdout.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything random; recorded in what is written.")]
PlanPath = Annotated[Path, typer.Argument(metavar="PLAN", help="A plan written by ttamer plan.")]
