"""The schedule part of `ttamer plan`: cores and batch size second by second, where the network takes more or less."""

from pathlib import Path
from typing import TYPE_CHECKING

from ttamer.cli import render
from ttamer.cli.options import Format

if TYPE_CHECKING:
    from ttamer.cli.demand import Asked
    from ttamer.planning.schedule import Schedule
    from ttamer.profiles.profile import Profile
    from ttamer.profiles.service import Service

FIRST = 10  # seconds that a table shows


def schedule(asked: "Asked", profile: "Profile", out: Path, format: Format) -> None:
    """Print the schedule's summary and first seconds, and write it as Parquet.

    out: a .parquet file, or the plan beside which it goes: plan.yaml becomes plan.schedule.parquet.
    """
    from ttamer.planning.schedule import make_schedule, write_schedule
    from ttamer.profiles.network_trace import read_network_trace
    from ttamer.profiles.provenance import capture
    from ttamer.profiles.units import parse_bytes

    assert asked.trace is not None
    file = asked.folder / asked.trace.trace
    request = asked.trace.request
    size = None if request is None else parse_bytes(str(request), "the request size")
    trace = read_network_trace(file, size)
    made = make_schedule(asked.service, profile, trace)
    path = out if out.suffix == ".parquet" else out.with_name(f"{out.stem}.schedule.parquet")
    write_schedule(path, made, capture(inputs=[profile.require_folder() / "profile.yaml", file]))
    if format is Format.TABLE:
        _print(made, asked.service, file)
        render.say(f"wrote {path}")
    else:
        render.document(made.to_content(), format)


def _print(made: "Schedule", service: "Service", file: Path) -> None:
    seconds = made.seconds()
    rows = [
        (
            f"{one.t_s:g}", _network(one.network_s), render.seconds(one.remaining_slo_s),
            *((str(one.cores), str(one.batch)) if one.is_served else ("-", "-")),
            render.seconds(one.latency_s), render.seconds(one.done_s), render.seconds(one.slack_s),
        )
        for one in seconds[:FIRST]
    ]  # fmt: skip
    columns = ("second", "network", "left of SLO", "cores", "batch", "a batch", "all answered", "slack")
    goal = f"p{100 * service.quantile:g} <= {render.seconds(service.slo_s)} less the network ({file.name})"
    render.table(columns, rows, title=f"Schedule of {made.model} for {goal} at {render.rate(service.rate_rps)}")
    if len(seconds) > FIRST:
        print(f"... {render.count(len(seconds) - FIRST, 'second')} more in the file")
    for line in _summary(made):
        print(line)


def _summary(made: "Schedule") -> list[str]:
    found, surface = made.summary(), made.surface
    served, seconds = found["served"], found["seconds"]
    least, most, mean = found["cores_least"], found["cores_static"], found["cores_mean"]
    used = (
        f"{least} to {most} cores, {mean:.2f} on average ({render.percent(1 - mean / most, 0)} less than always {most})"
    )
    if least == most:
        used = f"{render.count(most, 'core')} all the time"
    lines = [
        f"Served: {served:,} of {render.count(seconds, 'second')} on {used}, "
        f"{render.count(found['changes'], 'change')}; least slack {render.seconds(found['slack_least_s'])}"
    ]
    if served < seconds:
        unserved, fastest = render.count(seconds - served, "second"), render.seconds(found["fastest_s"])
        lines.append(
            f"Not served: {unserved}, in which the network leaves less than the {fastest} of the fastest setting; "
            "a running service keeps what it has"
        )
    lines.append(
        f"Why: the exact optimum of each second among {render.count(found['settings'], 'setting')}; a batch takes what "
        f"a surface of {len(surface.cores)} x {len(surface.batches)} measured points says "
        f"(off by {render.percent(surface.unseen_error)} on points left out, widened by "
        f"{render.percent(surface.bound_factor - 1)})"
    )
    return lines


def _network(seconds: float | None) -> str:
    return "nothing passes" if seconds is None else render.seconds(seconds)
