"""What a sweep is asked for, and what it would do: `ttamer profile --dry-run`."""

from collections import Counter
from typing import TYPE_CHECKING

from ttamer.cli import render
from ttamer.cli.options import Format

if TYPE_CHECKING:
    from ttamer.profiles.profile import Profile
    from ttamer.profiling.budgets import Budget
    from ttamer.profiling.request import SweepPlan, SweepRequest


def budget_of(quick: bool, thorough: bool, quantile: str | None) -> "Budget":
    """The budget that the options name. Raises InputError if they name two, or no quantile."""
    from ttamer.profiles.errors import InputError
    from ttamer.profiles.service_parts import parse_quantile
    from ttamer.profiling.budgets import BUDGETS

    if quick and thorough:
        raise InputError("--quick and --thorough ask for two budgets", remedy="leave one out")
    budget = BUDGETS["quick" if quick else "thorough" if thorough else "default"]
    return budget if quantile is None else budget.for_quantile(parse_quantile(quantile, "--quantile"))


def budget_as_before(known: "Profile", models: set[str], quick: bool, thorough: bool) -> tuple[bool, bool]:
    """Whether points are measured again quickly or thoroughly: as they were, where neither was asked for."""
    from ttamer.profiling.budgets import BUDGETS

    seconds = [point.evidence.get("budget_s", 0.0) for point in known.latency if point.key.model in models]
    if quick or thorough or not seconds:
        return quick, thorough
    return min(seconds) < BUDGETS["default"].group_s, min(seconds) >= BUDGETS["thorough"].group_s


def print_sweep(planned: "SweepPlan", request: "SweepRequest", format: Format) -> None:
    """Print what would be measured, what earlier runs have finished, and about how long it takes."""
    todo, visits = planned.groups_todo(), planned.visits_todo()
    finished = Counter((key.model, key.cores, key.batch) for key in planned.finished)
    groups = [
        (model.name, cores, batch)
        for model in request.models for cores in sorted(request.cores) for batch in sorted(request.batches)
        if request.asks_for(batch, cores)
    ]  # fmt: skip
    if format is not Format.TABLE:
        content = {
            "points_to_measure": planned.points_todo(), "points_finished": len(planned.finished),
            "points_replaced": len(planned.stale), "processes_per_point": request.budget.processes,
            "estimated_s": planned.estimated_s,
            "groups": [
                {"model": model, "cores": cores, "batch": batch,
                 "points_to_measure": todo.get((model, cores, batch), 0),
                 "visits_to_make": visits.get((model, cores, batch), 0),
                 "points_finished": finished[model, cores, batch]}
                for model, cores, batch in groups
            ],
        }  # fmt: skip
        render.document(content, format)
        return
    print(
        f"{render.count(planned.points_todo(), 'point')} to measure, {len(planned.finished):,} finished, "
        f"about {planned.estimated_s:.0f} s"
    )
    rows = [
        (group[0], str(group[1]), str(group[2]), f"{todo.get(group, 0):,}", f"{visits.get(group, 0):,}",
         f"{finished[group]:,}")
        for group in groups
    ]  # fmt: skip
    title = f"Budget {request.budget.name!r}: {request.budget.processes} processes visit each point"
    render.table(("model", "cores", "batch", "to measure", "visits", "finished"), rows, title=title)
    if planned.stale:
        print(f"{render.count(len(planned.stale), 'point')} of models that are built differently now would be replaced")
