"""Quantities as people type them: `200ms`, `20rps`, `1%`. Inside, everything is SI.

A bare number is refused where a unit is needed: tools of this field disagree on whether
`--slo 200` means seconds, milliseconds or nanoseconds.
"""

import math
import re

from ttamer.profiles.errors import InputError

SECONDS_PER_UNIT = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
BYTES_PER_UNIT = {
    "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "Mi": 2**20, "Gi": 2**30,
}  # fmt: skip
RPS_PER_UNIT = {"rps": 1.0, "/s": 1.0, "rpm": 1 / 60, "/min": 1 / 60}

_QUANTITY = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([a-zA-Z/%]*)\s*")


def _parse(text: str, units: dict[str, float] | dict[str, int], what: str, example: str) -> float:
    match = _QUANTITY.fullmatch(text)
    if not match:
        raise InputError(f"{what} {text!r} is not a number with a unit", remedy=f"write it like {example}")
    number, unit = match.groups()
    if unit not in units:
        problem = "has no unit" if not unit else f"has the unknown unit {unit!r}"
        raise InputError(f"{what} {text!r} {problem}", remedy=f"write it like {example}; units: {', '.join(units)}")
    quantity = float(number) * units[unit]
    if not math.isfinite(quantity):
        raise InputError(f"{what} {text!r} is too large", remedy=f"write it like {example}")
    if quantity <= 0:
        raise InputError(f"{what} {text!r} must be above zero", remedy=f"write it like {example}")
    return quantity


def parse_duration_s(text: str, what: str = "duration") -> float:
    """Seconds in a duration with a unit.

    >>> parse_duration_s("200ms")
    0.2
    """
    return _parse(text, SECONDS_PER_UNIT, what, "200ms or 1.5s")


def parse_rate_rps(text: str, what: str = "rate") -> float:
    """Requests per second in a rate with a unit.

    >>> parse_rate_rps("90rpm")
    1.5
    """
    return _parse(text, RPS_PER_UNIT, what, "20rps")


def parse_bytes(text: str, what: str = "size") -> int:
    """Bytes in a size with a unit.

    >>> parse_bytes("2MiB")
    2097152
    """
    return round(_parse(text, BYTES_PER_UNIT, what, "512MiB or 2GB"))


def parse_fraction(text: str, what: str = "fraction", example: str = "1% or 0.01") -> float:
    """A fraction in [0, 1] from a percentage (`1%`) or from a fraction with a point (`0.01`).

    A bare integer is refused: `1` could mean 1 % or everything.

    >>> parse_fraction("1%")
    0.01
    """
    match = _QUANTITY.fullmatch(text)
    if not match or match[2] not in ("%", "") or (match[2] == "" and "." not in text):
        raise InputError(f"{what} {text!r} is not a percentage", remedy=f"write it like {example}")
    fraction = float(match[1]) / (100 if match[2] == "%" else 1)
    if not 0 <= fraction <= 1:
        raise InputError(f"{what} {text!r} lies outside 0% to 100%", remedy=f"write it like {example}")
    return fraction
