"""Reading a policy's parameters from plain data, as they come out of a YAML document."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ttamer.profiles.errors import InputError
from ttamer.profiles.registry import unknown_name

Rows = tuple[tuple[float, ...], ...]


def require_names(params: Mapping[str, Any], names: Collection[str], kind: str) -> None:
    """Raise InputError unless the parameters are exactly the ones named."""
    for name in params:
        if name not in names:
            raise (
                unknown_name("parameter", str(name), names, where=f" of {kind}")
                if names
                else InputError(f"unknown parameter {name!r} of {kind}", remedy="it takes none")
            )
    missing = [name for name in names if name not in params]
    if missing:
        raise InputError(f"{kind} lacks the parameter {missing[0]!r}", remedy=f"it takes {', '.join(names)}")


def number(params: Mapping[str, Any], name: str, kind: str) -> float:
    """The parameter as a finite number, else InputError."""
    return _number(params[name], f"{name} of {kind}")


def integer(params: Mapping[str, Any], name: str, kind: str) -> int:
    """The parameter as a whole number, else InputError."""
    return _integer(params[name], f"{name} of {kind}")


def integers(params: Mapping[str, Any], name: str, kind: str) -> tuple[int, ...]:
    """The parameter as a list of whole numbers, else InputError."""
    return tuple(_integer(value, f"{name} of {kind}") for value in _sequence(params[name], f"{name} of {kind}"))


def number_rows(params: Mapping[str, Any], name: str, kind: str) -> Rows:
    """The parameter as a list of rows of finite numbers, possibly of different lengths, else InputError."""
    what = f"{name} of {kind}"
    return tuple(tuple(_number(value, what) for value in _sequence(row, what)) for row in _sequence(params[name], what))


def integer_rows(params: Mapping[str, Any], name: str, kind: str) -> tuple[tuple[int, ...], ...]:
    """The parameter as a list of rows of whole numbers, possibly of different lengths, else InputError."""
    what = f"{name} of {kind}"
    rows = (_sequence(row, what) for row in _sequence(params[name], what))
    return tuple(tuple(_integer(value, what) for value in row) for row in rows)


def plain_rows(rows: Rows) -> list[list[float]]:
    """Rows as lists, for a document."""
    return [list(row) for row in rows]


def _sequence(value: Any, what: str) -> Sequence[Any]:
    if not isinstance(value, (list, tuple)):
        raise InputError(f"{what} is {value!r}, a list is needed")
    return value


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InputError(f"{what} holds {value!r}, a finite number is needed")
    return float(value)


def _integer(value: Any, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{what} holds {value!r}, a whole number is needed")
    return value
