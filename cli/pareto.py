"""The `--pareto` part of `ttamer plan`: the frontier as a table, a small plot and Parquet."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from ttamer.cli import render
from ttamer.cli.options import Format
from ttamer.cli.plot import Series, scatter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ttamer.profiles.plan import Plan
    from ttamer.profiles.profile import Profile
    from ttamer.profiles.service import Service


class ParetoAxis(StrEnum):
    """What is swept."""

    SLO = "slo"
    COST = "cost"


def sweep(
    service: "Service", profile: "Profile", axis: ParetoAxis, out: Path, format: Format, solver: str | None = None
) -> None:
    """Print the frontier and write it beside where the plan would go: plan.yaml becomes plan.pareto.parquet."""
    from ttamer.planning.nearest import infeasible
    from ttamer.planning.pareto import frontier, write_frontier
    from ttamer.planning.what_if import WhatIf
    from ttamer.profiles.provenance import capture

    what_if = WhatIf(profile, solver)
    plans = frontier(service, what_if, axis.value)
    if not plans:
        raise infeasible(service, what_if.feasibility(service))
    provenance = capture(inputs=[profile.require_folder() / "profile.yaml"])
    path = write_frontier(out.with_name(f"{out.stem}.pareto.parquet"), plans, axis.value, provenance)
    if format is Format.TABLE:
        _print(plans, service, axis)
        render.say(f"wrote {path}; next: ttamer plan with the SLO or cores of a row")
    else:
        render.document({"axis": axis.value, "plans": [plan.model_dump(mode="json") for plan in plans]}, format)


def _print(plans: "Sequence[Plan]", service: "Service", axis: ParetoAxis) -> None:
    from ttamer.planning.naming import in_short
    from ttamer.planning.pareto import cost_of

    rows = [
        (
            render.seconds(plan.service.slo_s), render.seconds(plan.promise.latency_s),
            render.percent(plan.promise.accuracy), f"{cost_of(plan):.4g}", f"{plan.solve.objective:.4f}",
            ", ".join(in_short(group) for group in plan.groups),
        )
        for plan in plans
    ]  # fmt: skip
    columns = ("SLO", "latency", "accuracy", _unit(service), "objective", "what runs")
    # Under a cost axis all plans share one SLO, and the objective they were found by is not the service's.
    shown = range(len(columns)) if axis is ParetoAxis.SLO else (3, 1, 2, 5)
    title = f"Plans for {render.rate(service.rate_rps)} at p{100 * service.quantile:g} that no other beats"
    cells = [[row[place] for place in shown] for row in rows]
    render.table([columns[place] for place in shown], cells, title=title, spare=("what runs",))
    if len(plans) > 1:
        print()
        print(_plot(plans, axis))


def _unit(service: "Service") -> str:
    """What cost is shown in."""
    return "an hour" if service.pools else "devices" if service.device == "cuda" else "cores"


def _plot(plans: "Sequence[Plan]", axis: ParetoAxis) -> str:
    from ttamer.planning.pareto import cost_of

    by_latency, unit = axis is ParetoAxis.SLO, _unit(plans[0].service)
    knows_accuracy = all(plan.promise.accuracy is not None for plan in plans)
    points = [
        (
            1e3 * plan.promise.latency_s if by_latency else cost_of(plan),
            100 * (plan.promise.accuracy or 0.0) if knows_accuracy else cost_of(plan),
        )
        for plan in plans
    ]
    return scatter(
        [Series("plan", "o", points)],
        x_label="latency (ms)" if by_latency else unit,
        y_label="accuracy (%)" if knows_accuracy else unit,
        width=60,
        height=12,
    )
