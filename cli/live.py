"""A sweep as it runs: the whole models measured last, progress, rate and remaining time, on stderr."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ttamer.cli import render
from ttamer.cli.progress import progress

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ttamer.profiling.request import SweepEvent

    OnEvent = Callable[[SweepEvent], None]

SHOWN = 12  # lines of the table: the last ones measured
FAILURES = ("retry", "failed")


@contextmanager
def live_sweep(failures: list[str]) -> "Iterator[OnEvent]":
    """Shows what a sweep tells until the block ends. failures: gets a line for each, as the table is wiped out."""
    if sys.stderr.isatty():
        with _table(failures) as follow:
            yield follow
    else:
        with progress("profiling") as advance:

            def follow_lines(event: "SweepEvent") -> None:
                advance(event.done, event.total, where(event), event.remaining_s)
                failures.extend(_failure(event))

            yield follow_lines


def where(event: "SweepEvent") -> str:
    """What is being measured: model, cores and batch."""
    batch = f", batch {event.batch}" if event.batch else ""
    return f"{event.model} on {render.count(event.cores, 'core')}{batch}"


def _failure(event: "SweepEvent") -> list[str]:
    if event.kind not in FAILURES:
        return []
    return [f"{event.kind}: {where(event)}: {event.message}" + (f" ({event.remedy})" if event.remedy else "")]


@contextmanager
def _table(failures: list[str]) -> "Iterator[OnEvent]":
    from rich.console import Console
    from rich.live import Live

    latest: deque[tuple[str, ...]] = deque(maxlen=SHOWN)
    began_s = time.monotonic()
    first: int | None = None
    with Live(console=Console(stderr=True), transient=True, refresh_per_second=4) as live:

        def follow(event: "SweepEvent") -> None:
            nonlocal first
            first = event.done if first is None else first
            latest.extend(_rows(event))
            failures.extend(_failure(event))
            live.update(_picture(event, latest, (event.done - first) / max(1e-9, time.monotonic() - began_s)))

        yield follow


def _rows(event: "SweepEvent") -> list[tuple[str, ...]]:
    """A line for a whole model at one setting; its stages and heads are counted alone."""
    point = event.point
    if point is None or point.key.part != "whole":
        return []
    low_s, high_s = point.samples.interval_s(0.5)
    key, median_s = point.key, point.samples.median_s()
    return [(
        key.model, str(key.cores), str(key.batch), render.seconds(median_s), render.seconds_between(low_s, high_s),
        str(len(point.samples)), render.rate(key.batch / median_s), point.verdict,
    )]  # fmt: skip


def _picture(event: "SweepEvent", latest: "deque[tuple[str, ...]]", rate: float) -> "RenderableType":
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in ("model", "cores", "batch", "median", "95 % interval", "n", "throughput", "verdict"):
        table.add_column(name, justify="left" if name in ("model", "verdict") else "right")
    for row in latest:
        table.add_row(*row, style="yellow" if row[-1] != "ok" else "")
    state = (
        f"{where(event)}: {event.done:,} of {render.count(event.total, 'point')}, {rate:.1f} a second, "
        f"{event.remaining_s:.0f} s left"
    )
    return Group(table, Text(state), ProgressBar(total=max(1, event.total), completed=event.done, width=60))
