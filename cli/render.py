"""Turning numbers into text: the only place where seconds become ms and fractions become %."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ttamer.cli.options import Format

DASH = "-"


def seconds(value: float | None) -> str:
    """A duration with three significant digits in the unit that suits it.

    >>> seconds(0.0487), seconds(2.5), seconds(0.0000123)
    ('48.7 ms', '2.50 s', '12.3 us')
    """
    if value is None:
        return DASH
    if value == 0:
        return "0 s"
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= 0.9995 * scale or unit == "us":
            return f"{_significant(value / scale)} {unit}"
    raise AssertionError


def _significant(value: float) -> str:
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{decimals}f}"


def percent(value: float | None, decimals: int = 1) -> str:
    """A fraction as a percentage.

    >>> percent(0.91734, 2)
    '91.73 %'
    """
    return DASH if value is None else f"{100 * value:.{decimals}f} %"


def rate(value: float) -> str:
    """Requests per second with three significant digits.

    >>> rate(20.0)
    '20 rps'
    """
    return f"{value:.3g} rps" if value < 1000 else f"{value:,.0f} rps"


def mebibytes(value: float) -> str:
    """Bytes as MiB.

    >>> mebibytes(2**28)
    '256 MiB'
    """
    return f"{value / 2**20:,.0f} MiB"


def kibibytes(value: float) -> str:
    """Bytes as KiB.

    >>> kibibytes(1536)
    '1.5 KiB'
    """
    return f"{value / 2**10:,.1f} KiB"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> None:
    """Print a table on stdout; the first column is text, the others are numbers flush right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    grid = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    rows = [tuple(row) for row in rows]
    for index, column in enumerate(columns):
        wordy = index == 0 or any(row[index][:1].isalpha() for row in rows)
        grid.add_column(column, justify="left" if wordy else "right", no_wrap=True)
    for row in rows:
        grid.add_row(*row)
    width = None if sys.stdout.isatty() else 160
    Console(width=width, highlight=False, markup=False).print(grid)


def document(content: Mapping[str, Any], format: Format) -> None:
    """Print a document as JSON or YAML on stdout."""
    from ttamer.profiles.documents import to_yaml

    print(json.dumps(content, indent=2) if format is Format.JSON else to_yaml(content), end="\n")


def say(text: str = "") -> None:
    """Print progress or a remark on stderr."""
    print(text, file=sys.stderr)
