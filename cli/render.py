"""Turning numbers into text: the only place where seconds become ms and fractions become %."""

import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ttamer.cli.options import Format

if TYPE_CHECKING:
    from ttamer.profiles.service import Service

DASH = "-"
GAP = 2  # blanks between the columns of a table


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


def percent_between(low: float, high: float, decimals: int = 1) -> str:
    """An interval of fractions as percentages.

    >>> percent_between(0.718, 0.806)
    '71.8 to 80.6 %'
    """
    return f"{100 * low:.{decimals}f} to {percent(high, decimals)}"


def rate(value: float) -> str:
    """Requests per second with three significant digits.

    >>> rate(20.0)
    '20 rps'
    """
    return f"{value:,.0f} rps" if 1000 <= value < 1e12 else f"{value:.3g} rps"


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


def goal(service: "Service") -> str:
    """What a service asks for: its SLO, what the network takes of it, and the load."""
    network = f" less {seconds(service.network_s)} on the network" if service.network_s else ""
    return f"p{100 * service.quantile:g} <= {seconds(service.slo_s)}{network} at {rate(service.rate_rps)}"


def count(number: int, noun: str) -> str:
    """So many of something, in the singular for one.

    >>> count(1, "core"), count(1200, "request")
    ('1 core', '1,200 requests')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def seconds_between(low: float, high: float) -> str:
    """An interval of durations, in the unit of its upper end where the lower one suits it too.

    >>> seconds_between(0.00098, 0.00107), seconds_between(0.0000123, 0.5)
    ('0.98 to 1.07 ms', '12.3 us to 500 ms')
    """
    text = seconds(high)
    scale = {"s": 1.0, "ms": 1e-3, "us": 1e-6}[text.split()[1]]
    if low < 0.1 * scale:
        return f"{seconds(low)} to {text}"
    return f"{_significant(low / scale)} to {text}"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str = "", *, spare: Sequence[str] = ()) -> None:
    """Print a table on stdout; words are flush left, numbers flush right.

    A terminal too narrow for it gets headers of several lines, then does without the columns in `spare`, first one
    first; a remark says which. What is still too wide is printed in full: half a number is worse than a long line.
    """
    rows = [tuple(row) for row in rows]
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    left_out: list[str] = []
    while sum(widths := _widths(columns, rows, left_out, room)) + GAP * (len(widths) - 1) > room:
        if len(left_out) == len(spare):
            break
        left_out.append(spare[len(left_out)])
    for line in filter(None, [title, *_lines(columns, rows, left_out, widths)]):
        print(line if line.strip("-") else line[:room])
    if left_out:
        say(f"narrow terminal: without {', '.join(left_out)} (widen it, or give --format json)")


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]], left_out: Sequence[str], room: int) -> list[int]:
    """The width of every column that stays, with headers on one line if there is room for that."""
    cells = [
        max((len(row[index]) for row in rows), default=0)
        for index, column in enumerate(columns)
        if column not in left_out
    ]
    kept = [column for column in columns if column not in left_out]
    wide = [max(width, len(column)) for width, column in zip(cells, kept, strict=True)]
    narrow = [max(width, *map(len, column.split())) for width, column in zip(cells, kept, strict=True)]
    return wide if sum(wide) + GAP * (len(wide) - 1) <= room else narrow


def _lines(
    columns: Sequence[str], rows: Sequence[Sequence[str]], left_out: Sequence[str], widths: Sequence[int]
) -> Iterator[str]:
    kept = [index for index, column in enumerate(columns) if column not in left_out]
    wordy = [index == 0 or any(row[index][:1].isalpha() for row in rows) for index in kept]

    def line(cells: Iterable[str]) -> str:
        aligned = zip(cells, widths, wordy, strict=True)
        return (" " * GAP).join(f"{cell:{'<' if is_left else '>'}{width}}" for cell, width, is_left in aligned).rstrip()

    headers = [textwrap.wrap(columns[index], width) for index, width in zip(kept, widths, strict=True)]
    height = max(len(header) for header in headers)
    yield from (line(part) for part in zip(*([""] * (height - len(h)) + h for h in headers), strict=True))
    yield "-" * (sum(widths) + GAP * (len(widths) - 1))
    yield from (line(row[index] for index in kept) for row in rows)


def document(content: Mapping[str, Any], format: Format) -> None:
    """Print a document as JSON or YAML on stdout."""
    from ttamer.profiles.documents import to_yaml

    print(json.dumps(content, indent=2) if format is Format.JSON else to_yaml(content), end="\n")


def block(text: str) -> None:
    """Print several lines on stdout, such as a plot; nothing if there are none."""
    if text:
        print(text)


def say(text: str = "") -> None:
    """Print progress or a remark on stderr."""
    print(text, file=sys.stderr)
