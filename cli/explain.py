"""`ttamer explain`: why a plan is what it is."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ttamer.cli import render
from ttamer.cli.options import Format, FormatOption, PlanPath
from ttamer.cli.placing import profile_of

if TYPE_CHECKING:
    from ttamer.planning.explanation import Change, Explanation, RunnerUp, Source, Worth
    from ttamer.planning.slack import Slack

NO_PLAN, SAME = "no plan", "same"


def run(
    plan: PlanPath,
    profile: Annotated[
        str | None, typer.Option("--profile", "-p", metavar="NAME", help="Profile; default: the one planned on.")
    ] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Say what binds a plan, what more room would buy, what comes second and how old its measurements are.

    Example: ttamer explain plan.yaml
    """
    from datetime import UTC, datetime

    from ttamer.planning.explanation import explain
    from ttamer.profiles.documents import read_created
    from ttamer.profiles.plan import Plan
    from ttamer.profiles.shelf import find_profile, read_profile

    given = Plan.read(plan)
    folder = find_profile(profile) if profile else profile_of(given, plan)
    measured = read_profile(folder)
    created = read_created(folder / "profile.yaml")
    explanation = explain(given, measured, created=created, now=datetime.now(UTC))
    if format is Format.TABLE:
        _print(explanation)
    else:
        render.document(explanation.model_dump(mode="json"), format)


def _print(explanation: "Explanation") -> None:
    service, worth = explanation.service, explanation.worth
    print(f"Plan for {render.goal(service)}: {explanation.status}, objective {worth.objective:.4f}")
    print("Binding: " + ("; ".join(explanation.binding) or "nothing") + ".\n")
    rows = [_slack_row(slack) for slack in explanation.slacks]
    render.table(("constraint", "used", "allowed", "slack", "binds"), rows)
    print()
    rows = [("this plan", *_absolute(worth)), *(_change_row(change, worth) for change in explanation.changes)]
    compared = ("objective", "accuracy", "cores", *(["an hour"] if worth.cost_per_hour is not None else []), "latency")
    render.table(("what if", *compared), rows)
    print()
    rows = [_runner_up_row(one, worth) for one in explanation.runners_up]
    render.table(("without", "next best", *compared), rows)
    print()
    print(_measured_by(explanation.source))
    rows = [
        (one.policy, str(one.points), _verdicts(one.verdicts), str(one.samples), str(one.samples_needed))
        for one in explanation.measurements
    ]
    render.table(("measurements of", "points", "verdict", "samples", "needed"), rows)
    for note in explanation.notes:
        print(f"Note: {note}")


def _slack_row(slack: "Slack") -> tuple[str, ...]:
    amounts = (slack.used, slack.allowed, slack.slack)
    return slack.constraint, *(amount(value, slack.unit) for value in amounts), "yes" if slack.binds else "no"


def amount(value: float, unit: str) -> str:
    """A number with its unit as people read it."""
    if unit == "s":
        return render.seconds(value)
    if unit in ("fraction", "accuracy"):
        return render.percent(value, 2)
    if unit == "bytes":
        return render.mebibytes(value)
    return render.rate(value) if unit == "rps" else f"{value:g} {unit if value != 1 else unit.removesuffix('s')}"


def _absolute(worth: "Worth") -> tuple[str, ...]:
    return (
        f"{worth.objective:.4f}",
        render.percent(worth.accuracy),
        _used(worth),
        *([f"{worth.cost_per_hour:.4g}"] if worth.cost_per_hour is not None else []),
        render.seconds(worth.latency_s),
    )


def _used(worth: "Worth") -> str:
    gpus = render.count(worth.devices, "GPU")
    return str(worth.cores) if not worth.devices else f"{worth.cores} + {gpus}" if worth.cores else gpus


def _change_row(change: "Change", worth: "Worth") -> tuple[str, ...]:
    what = f"{change.demand} {amount(change.after, change.unit)}"
    return what, *differences(change.plan, worth)


def _runner_up_row(one: "RunnerUp", worth: "Worth") -> tuple[str, ...]:
    instead = NO_PLAN if one.plan is None else ", ".join(one.instead) or "the rest alone"
    return one.without, instead, *differences(one.plan, worth)


def differences(plan: "Worth | None", reference: "Worth") -> tuple[str, ...]:
    """How a plan differs from another in objective, accuracy, cores, money and latency, with signs."""
    is_priced = reference.cost_per_hour is not None
    if plan is None:
        return NO_PLAN, *[render.DASH] * (3 + is_priced)
    gpus = _signed(plan.devices - reference.devices, lambda number: render.count(number, "GPU"))
    cores = _signed(plan.cores - reference.cores, "{:d}".format)
    return (
        _signed(plan.objective - reference.objective, "{:.4f}".format),
        _points(plan.accuracy, reference.accuracy),
        cores if gpus == SAME else gpus if cores == SAME else f"{cores}, {gpus}",
        *([_signed((plan.cost_per_hour or 0.0) - (reference.cost_per_hour or 0.0), "{:.4g}".format)] * is_priced),
        _signed(plan.latency_s - reference.latency_s, render.seconds),
    )


def _points(accuracy: float | None, reference: float | None) -> str:
    """The difference of two accuracies in percentage points."""
    if accuracy is None or reference is None:
        return render.DASH
    return _signed(100 * (accuracy - reference), "{:.1f} pp".format)


def _signed(value: float, spell: Callable[[Any], str]) -> str:
    text = spell(abs(value))
    return f"{'-' if value < 0 else '+'}{text}" if text != spell(type(value)(0)) else SAME


def _verdicts(counted: "dict[str, int]") -> str:
    return ", ".join(f"{count} {verdict}" if len(counted) > 1 else verdict for verdict, count in counted.items())


def _measured_by(source: "Source") -> str:
    age = "in memory only" if source.age_s is None else f"written {_age(source.age_s)} ago ({source.created})"
    return f"Measurements: profile {source.name} of machine {source.machine}, {age}, by {source.measured_by}"


def _age(seconds: float) -> str:
    """A time span in the largest unit that is at least one.

    >>> _age(7200.0), _age(90000.0), _age(5.0)
    ('2 hours', '1 day', '5 seconds')
    """
    for unit, length_s in (("day", 86400.0), ("hour", 3600.0), ("minute", 60.0)):
        if seconds >= length_s:
            return render.count(int(seconds // length_s), unit)
    return render.count(max(0, int(seconds)), "second")
