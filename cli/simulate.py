"""`ttamer simulate`: does the plan hold under load?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ttamer.cli import render
from ttamer.cli.options import Format, FormatOption, PlanPath, Seed
from ttamer.cli.placing import profile_of, refuse_overwriting
from ttamer.cli.progress import progress

if TYPE_CHECKING:
    from ttamer.profiles.simulation import Check, SimulationReport


def run(
    plan: PlanPath,
    requests: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=100, help="Requests to simulate; default: 1000 beyond the quantile, 50,000 at least."
        ),
    ] = None,
    arrivals: Annotated[str, typer.Option(metavar="KIND", help="Arrival process: poisson or constant.")] = "poisson",
    seed: Seed = 0,
    profile: Annotated[
        str | None, typer.Option("--profile", "-p", metavar="NAME", help="Profile; default: the one planned on.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the report goes; requests beside it.")] = Path(
        "simulation.yaml"
    ),
    fail: Annotated[bool, typer.Option("--fail/--no-fail", help="Exit 4 when a promise is broken.")] = True,
    format: FormatOption = Format.TABLE,
) -> None:
    """Simulate a plan under load and set what it promised beside what happened.

    Example: ttamer simulate plan.yaml --requests 50000
    """
    from ttamer.planning.simulation.simulate import default_requests, read_records, simulate
    from ttamer.profiles.errors import BrokenPromiseError
    from ttamer.profiles.plan import Plan
    from ttamer.profiles.provenance import capture, sha256_of
    from ttamer.profiles.shelf import find_profile, read_profile

    given = Plan.read(plan)
    refuse_overwriting(plan, out)
    folder = find_profile(profile) if profile else profile_of(given, plan)
    measured = read_profile(folder)
    with progress("simulating") as advance:
        report, table = simulate(
            given,
            measured,
            read_records(given, measured),
            requests=requests or default_requests(given.service.quantile),
            seed=seed,
            arrivals=arrivals,
            plan_sha256=sha256_of(plan),
            on_progress=lambda done, total: advance(done, total, "requests"),
        )
    provenance = capture(seed=seed, inputs=[plan])
    requests_path = out.with_name(f"{out.stem}.requests.parquet")
    report.write(out, provenance)
    table.write(requests_path, provenance)
    if format is Format.TABLE:
        _print(report)
        render.say(f"wrote {out}, {requests_path}; next: ttamer export {plan} --to kubernetes")
    else:
        render.document(report.model_dump(mode="json"), format)
    if fail and report.verdict == "broken":
        broken = ", ".join(check.name for check in report.checks if check.verdict == "broken")
        raise BrokenPromiseError(f"the plan breaks its promise: {broken}", remedy="plan with headroom, or --no-fail")


def _print(report: "SimulationReport") -> None:
    rows = [
        (c.name, _value(c, c.promised), _value(c, c.observed), _interval(c), c.verdict) for c in report.checks
    ]  # fmt: skip
    title = f"{report.requests:,} {report.arrivals} requests at {render.rate(report.rate_rps)} (seed {report.seed})"
    render.table(("promise", "promised", "observed", "95 % interval", "verdict"), rows, title=title)
    for group in report.groups:
        print(
            f"{group.policy}: {render.count(group.requests, 'request')}, "
            f"{render.percent(group.utilization, 0)} busy, mean batch {group.mean_batch:.2f}"
        )
    print(f"SLO missed by {render.percent(report.slo_misses, 2)} of requests. Verdict: {report.verdict}.")
    for note in report.notes:
        print(f"Note: {note}")


def _value(check: "Check", value: float | None) -> str:
    if value is None:
        return render.DASH
    sign = {"at_most": "<= ", "at_least": ">= "}[check.kind] if value is check.promised else ""
    text = {"s": render.seconds, "fraction": _share}.get(check.unit, lambda number: f"{number:.3g}")(value)
    return sign + text


def _share(value: float) -> str:
    """A percentage that does not round a small share to nothing."""
    return render.percent(value, 1 if value == 0 or value >= 0.01 else 3)


def _interval(check: "Check") -> str:
    if check.low is None and check.high is None:
        return render.DASH
    return f"{_value(check, check.low)} to {_value(check, check.high)}"
