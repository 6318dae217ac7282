"""A progress bar with remaining time on stderr; a plain line now and then when stderr is no terminal."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from ttamer.cli.render import say


class Advance(Protocol):
    """Reports progress: `done` of `total`, doing what, and the seconds left if they are known.

    Of a total of 1, `done` is the share.
    """

    def __call__(self, done: float, total: float, doing: str, remaining_s: float | None = None) -> None: ...


@contextmanager
def progress(what: str) -> Iterator[Advance]:
    """A function that shows progress until the block ends."""
    if sys.stderr.isatty():
        with _bar(what) as advance:
            yield advance
    else:
        yield _lines(what)


@contextmanager
def _bar(what: str) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[at]}"), TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None, at="", left="")

        def advance(done: float, total: float, doing: str, remaining_s: float | None = None) -> None:
            left = "" if remaining_s is None else f"{remaining_s:.0f} s left"
            bar.update(
                task, completed=done, total=total, description=f"{what}: {doing}", at=_at(done, total), left=left
            )

        yield advance


def _lines(what: str, every_s: float = 10.0) -> Advance:
    last = time.monotonic()

    def advance(done: float, total: float, doing: str, remaining_s: float | None = None) -> None:
        nonlocal last
        if time.monotonic() - last >= every_s:
            last = time.monotonic()
            left = "" if remaining_s is None else f", {remaining_s:.0f} s left"
            say(f"{what}: {doing} ({_at(done, total)}{left})")

    return advance


def _at(done: float, total: float) -> str:
    return f"{100 * done:.0f} %" if total == 1 else f"{done:,.0f} of {total:,.0f}"
