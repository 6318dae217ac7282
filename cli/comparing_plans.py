"""A plan beside what other planners would have done: `ttamer compare PLAN`."""

from pathlib import Path
from typing import TYPE_CHECKING

from ttamer.cli import render
from ttamer.cli.explain import amount
from ttamer.cli.options import Format
from ttamer.cli.placing import profile_of

if TYPE_CHECKING:
    from ttamer.planning.comparison import Comparison, Row
    from ttamer.planning.slack import Slack

COUNTED = ("cores", "devices", "replicas", "requests")


def run(plan: Path, profile: str | None, out: Path | None, format: Format) -> None:
    """Print the plan beside FA2, RIM, Model-Switching+, VPA+ and static provisioning."""
    from ttamer.planning.comparison import compare, write_comparison
    from ttamer.profiles.plan import Plan
    from ttamer.profiles.provenance import capture
    from ttamer.profiles.shelf import find_profile, read_profile

    given = Plan.read(plan)
    measured = read_profile(find_profile(profile) if profile else profile_of(given, plan))
    comparison = compare(given, measured)
    if format is Format.TABLE:
        _print(comparison)
    else:
        render.document(comparison.model_dump(mode="json"), format)
    if out is not None:
        write_comparison(out, comparison, capture(inputs=[plan]))
        render.say(f"wrote {out}")


def _print(comparison: "Comparison") -> None:
    service = comparison.service
    columns = ["planner", "feasible", "objective", "accuracy", "cores", "GPUs", "an hour", "latency", "what runs"]
    is_known = {"GPUs": any(row.devices for row in comparison.rows), "an hour": service.is_priced}
    shown = [place for place, column in enumerate(columns) if is_known.get(column, True)]
    rows = [[cells[place] for place in shown] for cells in map(_cells, comparison.rows)]
    title = f"Planners for {render.goal(service)}"
    render.table([columns[place] for place in shown], rows, title=title, spare=("what runs",))
    for row in comparison.rows:
        if not row.feasible:
            print(f"{row.planner} is infeasible: {_why(row)}")


def _why(row: "Row") -> str:
    if not row.broken:
        return "its rule finds nothing that carries the load in time"
    return ", ".join(f"{slack.constraint} {_against(slack)}" for slack in row.broken)


def _against(slack: "Slack") -> str:
    used, limit = amount(slack.used, slack.unit), amount(slack.allowed, slack.unit)
    if slack.unit == "accuracy":
        return f"{used} where {limit} is asked for"
    return f"{used} where {limit} {'is' if slack.allowed == 1 or slack.unit not in COUNTED else 'are'} allowed"


def _cells(row: "Row") -> tuple[str, ...]:
    return (
        row.planner,
        "yes" if row.feasible else "no",
        render.DASH if row.objective is None else f"{row.objective:.4f}",
        render.percent(row.accuracy),
        render.DASH if row.cores is None else str(row.cores),
        render.DASH if row.devices is None else str(row.devices),
        render.DASH if row.cost is None else f"{row.cost:.3g}",
        render.seconds(row.latency_s),
        ", ".join(row.groups) or render.DASH,
    )
