"""A drift replay as tables, remarks and a plot."""

from typing import TYPE_CHECKING

from ttamer.cli import render
from ttamer.cli.plot import Series, scatter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ttamer.exits.apparate.drift_report import DriftReport, Way

MARKS = {"controller": "o", "greedy placement": "g", "exact placement": "x", "skippable heads": "s"}


def print_report(report: "DriftReport") -> None:
    """Print the ways to serve side by side, the ramps that there can be, the controller over time and a plot."""
    rows = [
        (
            way.name, way.semantics, render.percent(way.agreement, 2), render.percent(way.breaches, 0),
            _points(way.cut_pct), _points(way.expected_cut_pct), _points(way.busy_cut_pct), _ramps(way),
        )
        for way in report.ways
    ]  # fmt: skip
    columns = (
        "served by",
        "semantics",
        "agreement",
        "bad batches",
        "latency saved",
        "when placed",
        "computing saved",
        "ramps",
    )
    title = (
        f"Drift replay of {report.model} on {report.dataset}: {report.arrivals:,} arrivals in batches of "
        f"{report.batch}, {report.stream} (seed {report.seed})"
    )
    render.table(columns, rows, title=title, spare=("when placed", "bad batches"))
    audited = f", but for {render.percent(report.audit, 0)} audited requests, from which the controller learns"
    print(
        "\nagreement: with the whole model's answers; bad batches have less than 99 % of them\n"
        "when placed: latency saved on the calibration records that ramps were placed on (heads: validation records)\n"
        "release: answers leave early, computing goes on; stop: computing ends with the answer"
        + (audited if report.audit else "")
    )
    for line in _on_ramps(report):
        print(line)
    print()
    _print_over_time(report)
    print()
    print(_plot(report))


def _print_over_time(report: "DriftReport") -> None:
    """The controller that releases, beside exact placement if any exit keeps the tail budget."""
    adaptive = next(way for way in report.ways if way.name == "controller")
    placed = next((way for way in report.ways if way.name == "exact placement"), None)
    rows = [
        (
            f"{one.first_batch}-{one.last_batch}", render.percent(one.agreement, 2), _points(one.cut_pct),
            ",".join(map(str, one.ramps)), ",".join(f"{threshold:.3g}" for threshold in one.thresholds),
            *(() if placed is None else (render.percent(placed.windows[place].agreement, 2),
                                         _points(placed.windows[place].cut_pct))),
        )
        for place, one in enumerate(adaptive.windows)
    ]  # fmt: skip
    columns = ["batches", "agreement", "latency saved", "ramps then", "thresholds"]
    columns += ["| placed exactly once: agreement", "latency saved"] if placed is not None else []
    title = f"The controller over time ({report.controller}, {report.compat} rules, {adaptive.semantics})"
    render.table(columns, rows, title=title, spare=("thresholds",))


def _points(value: float | None) -> str:
    return render.DASH if value is None else f"{value:.1f} %"


def _ramps(way: "Way") -> str:
    """The first and the last ramps, and how often they changed."""
    if not way.changes:
        return render.DASH
    first, last = (",".join(map(str, way.changes[place].ramps)) for place in (0, -1))
    moves = len(way.changes) - 1
    return first if not moves else f"{first} to {last} in {render.count(moves, 'move')}"


def _on_ramps(report: "DriftReport") -> list[str]:
    """What ramps there can be, and what choosing them well buys."""
    budget = f"a tail budget of {render.percent(report.tail_budget)}"
    lines = [
        f"Exits that can be ramps within {budget}: {_listed(report.feasible_ramps)} "
        f"(0 is {report.exits[0]}, {len(report.exits) - 2} is {report.exits[-2]}); "
        f"up to {render.count(report.most_ramps, 'ramp')}."
    ]
    if not report.feasible_ramps:
        lines = [
            f"No exit keeps {budget}: the cheapest ramp adds {render.percent(report.least_tail_overhead)} "
            "to the whole model. The controller starts with one all the same (try --tail-budget or a larger --batch)."
        ]
    saved = {way.name: way for way in report.ways}
    if "greedy placement" in saved and "exact placement" in saved:
        greedy, exact, skipping = (saved[name] for name in ("greedy placement", "exact placement", "skippable heads"))
        lines.append(
            f"Against greedy placement, on the stream: exact placement saves {_more(exact.cut_pct - greedy.cut_pct)} "
            f"latency, heads that samples may skip save {_more(skipping.cut_pct - greedy.cut_pct)}."
        )
    return lines


def _listed(numbers: "Sequence[int]") -> str:
    """Numbers in order, runs of them by their ends.

    >>> _listed([0, 1, 2, 5, 7, 8])
    '0 to 2, 5, 7 to 8'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)


def _more(points: float) -> str:
    return "as much" if abs(points) < 0.05 else f"{abs(points):.1f} points {'more' if points > 0 else 'less'}"


def _plot(report: "DriftReport") -> str:
    def series(way: "Way") -> Series:
        points = [((one.first_batch + one.last_batch) / 2, one.cut_pct) for one in way.windows]
        return Series(way.name, MARKS[way.name], points)

    shown = {
        way.name: way for way in reversed(report.ways) if way.name in MARKS
    }  # of controllers the one that releases
    return scatter(
        [series(way) for way in shown.values()], x_label="batch", y_label="latency saved (%)", width=60, height=12
    )
