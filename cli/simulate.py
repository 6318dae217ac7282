"""`ttamer simulate`: does the plan hold under load?"""

import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ttamer.cli import adapting, ramps, render
from ttamer.cli.adaptation_options import IntervalOption, LevelOption, LoadTimeOption, PastOption, PredictorOption
from ttamer.cli.adapting import Adaptation
from ttamer.cli.memory import available_bytes
from ttamer.cli.options import Format, FormatOption, PlanPath, Seed
from ttamer.cli.placing import profile_of, refuse_overwriting, refuse_unfit
from ttamer.cli.progress import Advance, progress
from ttamer.cli.simulated import print_report, print_timeline

if TYPE_CHECKING:
    from ttamer.planning.simulation.traces import Trace
    from ttamer.profiles.network_trace import NetworkTrace

TRACE = "trace:"


class Order(StrEnum):
    """Who of those that wait is taken first."""

    FIFO = "fifo"
    EDF = "edf"


class Exits(StrEnum):
    """What an early exit saves."""

    STOP = "stop"
    RELEASE = "release"


def run(
    plan: PlanPath,
    requests: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=100,
            help="Requests, in all replications together; default: 1000 beyond the quantile, 50,000 at least.",
        ),
    ] = None,
    replications: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Independent runs that the intervals rest on; default 10."),
    ] = None,
    arrivals: Annotated[
        str,
        typer.Option(
            metavar="KIND", help="poisson, constant, bursty, or a recorded load: trace:FILE or trace:FILE@SERIES."
        ),
    ] = "poisson",
    scale: Annotated[float, typer.Option(metavar="FACTOR", help="So many times the load of the plan or trace.")] = 1.0,
    window: Annotated[str | None, typer.Option(metavar="SPAN", help="Part of the trace, like 0s-600s.")] = None,
    warm_up: Annotated[
        str | None,
        typer.Option(metavar="PERCENT", help="First requests not judged; default 10%, of a trace none."),
    ] = None,
    clock: Annotated[
        str, typer.Option(metavar="NAME", help="Server whose batch timeout it is: ideal, ray-serve, triton, kserve.")
    ] = "ideal",
    routing: Annotated[
        str, typer.Option(metavar="NAME", help="To replicas: random, round-robin, shortest-queue or shared-queue.")
    ] = "random",
    order: Annotated[Order, typer.Option(help="Of a queue: first come, first served, or earliest deadline first.")] = (
        Order.FIFO
    ),
    queue_limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Most requests in a queue; more are dropped.")
    ] = None,
    patience: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Drop requests that have waited longer for a server.")
    ] = None,
    drop_late: Annotated[
        bool, typer.Option("--drop-late/--keep-late", help="Drop requests that have missed their SLO already.")
    ] = False,
    exits: Annotated[
        Exits, typer.Option(help="Whether early exits stop computing, or only release the answer.")
    ] = Exits.STOP,
    network: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What the network takes of the SLO: times, or bandwidths.")
    ] = None,
    request_size: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Of a request, where the network is given as bandwidths.")
    ] = None,
    adapt: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Let a controller change what runs: ttamer, ipa, ...; or tune exits: apparate."
        ),
    ] = None,
    stream: Annotated[
        str,
        typer.Option(metavar="KIND", help="With --adapt apparate: order of records: steady, harder, sudden, classes."),
    ] = "steady",
    predictor: PredictorOption = None,
    level: LevelOption = None,
    interval: IntervalOption = None,
    past: PastOption = None,
    load_time: LoadTimeOption = None,
    seed: Seed = 0,
    profile: Annotated[
        str | None, typer.Option("--profile", "-p", metavar="NAME", help="Profile; default: the one planned on.")
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="Where the report goes; requests and timeline beside it.")
    ] = Path("simulation.yaml"),
    plot: Annotated[
        bool | None, typer.Option("--plot/--no-plot", help="Show the run over time; default: of a trace.")
    ] = None,
    fail: Annotated[bool, typer.Option("--fail/--no-fail", help="Exit 4 when a promise is broken.")] = True,
    format: FormatOption = Format.TABLE,
) -> None:
    """Simulate a plan under load and set what it promised beside what happened.

    With --adapt, the plan's service is adapted while the load changes, from a monitor and a predictor, and with what
    changes take: what was promised is that no more requests miss the SLO than its quantile allows.

    Example: ttamer simulate plan.yaml --arrivals bursty --clock ray-serve

    Example: ttamer simulate plan.yaml --arrivals trace:load.csv --adapt ttamer
    """
    from ttamer.planning.simulation.conditions import ONE_BY_ONE, Conditions, size_of
    from ttamer.planning.simulation.discipline import Discipline
    from ttamer.planning.simulation.simulate import read_records, simulate
    from ttamer.planning.simulation.timeline import timeline_of_plan
    from ttamer.profiles.errors import BrokenPromiseError
    from ttamer.profiles.plan import Plan
    from ttamer.profiles.provenance import capture, sha256_of
    from ttamer.profiles.shelf import find_profile, read_profile
    from ttamer.profiles.units import parse_duration_s, parse_fraction

    given = Plan.read(plan)
    inputs = [path for path in (plan, _trace_file(arrivals), network) if path]
    requests_path, timeline_path = (out.with_name(f"{out.stem}.{what}.parquet") for what in ("requests", "timeline"))
    refuse_overwriting(inputs, out, requests_path, timeline_path)
    refuse_unfit(out, "simulation")
    conditions = Conditions(
        arrivals=arrivals_of(arrivals, window),
        rate_scale=scale,
        warm_up=None if warm_up is None else parse_fraction(warm_up, "warm-up"),
        clock=clock,
        routing=routing,
        discipline=Discipline(
            order=order.value,
            limit=queue_limit,
            patience_s=None if patience is None else parse_duration_s(patience, "patience"),
            drops_late=drop_late,
        ),
        releases=exits is Exits.RELEASE,
        network=network_of(network, request_size),
    )
    measured = read_profile(find_profile(profile) if profile else profile_of(given, plan))
    habits = Adaptation(
        trace=None if (file := _trace_file(arrivals)) is None else (file, _series(arrivals)), window=window,
        scale=scale, past=past, predictor=predictor, level=level, interval=interval, load_time=load_time,
    )  # fmt: skip
    if adapt is not None:
        size = size_of(conditions, given.service.quantile, requests, 1)
        size.check_memory(len(given.service.stages), ONE_BY_ONE, available_bytes())
        task = adapting.Task(
            plan=plan, out=out, controller=adapt, habits=habits, conditions=conditions, requests=size.requests,
            seed=seed, plot=plot is not False, fail=fail,
        )  # fmt: skip
        if adapt == ramps.NAME:
            ramps.run(task, stream, measured, format)
        else:
            adapting.run(task, measured, format)
        return
    habits.refuse_without_adapting()
    with progress("simulating") as advance:
        report, table = simulate(
            given,
            measured,
            read_records(given, measured),
            size=size_of(conditions, given.service.quantile, requests, replications),
            seed=seed,
            conditions=conditions,
            memory_bytes=available_bytes(),
            plan_sha256=sha256_of(plan),
            on_progress=_with_remaining_time(advance),
        )
    timeline = timeline_of_plan(table, given)
    provenance = capture(seed=seed, inputs=inputs)
    report.write(out, provenance)
    table.write(requests_path, provenance)
    timeline.write(timeline_path, provenance)
    if format is Format.TABLE:
        print_report(report)
        if plot or (plot is None and not isinstance(conditions.arrivals, str)):
            print_timeline(timeline)
        render.say(f"wrote {out}, {requests_path}, {timeline_path}; next: ttamer export {plan} --to kubernetes")
    else:
        render.document(report.model_dump(mode="json"), format)
    if fail and report.verdict == "broken":
        broken = ", ".join(check.name for check in report.checks if check.verdict == "broken") or "overload"
        remedy = "plan with --verify-by-simulation or headroom, or --no-fail"
        raise BrokenPromiseError(f"the plan breaks its promise: {broken}", remedy=remedy)


def arrivals_of(text: str, window: str | None) -> "str | Trace":
    """The name of a process, or the trace in a file. Raises InputError on a window of a process."""
    from ttamer.planning.simulation.traces import read_trace
    from ttamer.profiles.errors import InputError

    file = _trace_file(text)
    if file is None:
        if window is not None:
            raise InputError(f"a window of {text!r} arrivals", remedy="windows cut traces: --arrivals trace:FILE")
        return text
    return read_trace(file, _series(text), window)


def _series(text: str) -> str | None:
    """The series of `trace:FILE@SERIES`."""
    return text.rpartition("@")[2] if "@" in text else None


def _trace_file(text: str) -> Path | None:
    """The file of `trace:FILE` or `trace:FILE@SERIES`."""
    if not text.startswith(TRACE):
        return None
    file = text.removeprefix(TRACE)
    return Path(file.rpartition("@")[0] if "@" in file else file)


def network_of(file: Path | None, request_size: str | None) -> "NetworkTrace | None":
    """What the network takes, None where nothing was said. Raises InputError on a size without a file."""
    from ttamer.profiles.errors import InputError
    from ttamer.profiles.network_trace import read_network_trace
    from ttamer.profiles.units import parse_bytes

    if file is not None:
        return read_network_trace(file, None if request_size is None else parse_bytes(request_size, "request size"))
    if request_size is not None:
        raise InputError("--request-size without --network", remedy="give the file of bandwidths too")
    return None


def _with_remaining_time(advance: Advance) -> Callable[[int, int], object]:
    """Progress in requests, with the time that the rest will take at the pace so far."""
    began_s = time.monotonic()

    def tell(done: int, total: int) -> None:
        elapsed_s = time.monotonic() - began_s
        advance(done, total, "requests", elapsed_s * (total - done) / done if done else None)

    return tell
