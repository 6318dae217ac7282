"""Printing what a simulation found: promises beside observations, loads, and how the run went on."""

from typing import TYPE_CHECKING

from ttamer.cli import render
from ttamer.cli.strips import Strip, strips

if TYPE_CHECKING:
    from ttamer.planning.simulation.timeline import Timeline
    from ttamer.profiles.simulation import Check, SimulationReport


SMALLEST_SHARE = 1e-5  # that is written out


def print_report(report: "SimulationReport") -> None:
    """Print the checks, the groups, the verdict and the notes."""
    rows = [
        (c.name, _value(c, c.promised), _value(c, c.observed), _interval(c), c.verdict) for c in report.checks
    ]  # fmt: skip
    render.table(("promise", "promised", "observed", "95 % interval", "verdict"), rows, title=_title(report))
    for group in report.groups:
        print(
            f"{group.policy}: {render.count(group.requests, 'request')}, {render.percent(group.utilization, 0)} busy"
            f" (planned {render.percent(group.promised_utilization, 0)}), mean batch {group.mean_batch:.2f} of"
            f" {group.batch}"
        )
    dropped = f", {_share(report.drops)} of them dropped" if report.drops else ""
    print(f"SLO missed by {render.percent(report.slo_misses, 2)} of requests{dropped}. Verdict: {report.verdict}.")
    for note in report.notes:
        print(f"Note: {note}")


def _title(report: "SimulationReport") -> str:
    several = f" in {report.replications} replications" if report.replications > 1 else ""
    server = "" if report.clock == "ideal" else f" on {report.clock}"
    return (
        f"{report.requests:,} {report.arrivals} requests at {render.rate(report.rate_rps)}{server}{several}"
        f" (seed {report.seed})"
    )


def _value(check: "Check", value: float | None) -> str:
    if value is None:
        return render.DASH
    sign = {"at_most": "<= ", "at_least": ">= "}[check.kind] if value is check.promised else ""
    texts = {"s": render.seconds, "fraction": _share, "core-seconds": "{:,.0f} core-s".format}
    return sign + texts.get(check.unit, "{:.3g}".format)(value)


def _share(value: float) -> str:
    """A percentage that does not round a small share to nothing."""
    if 0 < value < SMALLEST_SHARE:
        return f"< {render.percent(SMALLEST_SHARE, 3)}"
    return render.percent(value, 1 if value == 0 or value >= 0.01 else 3)


def _interval(check: "Check") -> str:
    if check.low is None and check.high is None:
        return render.DASH
    return f"{_value(check, check.low)} to {_value(check, check.high)}"


def print_timeline(timeline: "Timeline") -> None:
    """Print load, latency, cores and accuracy over time."""
    shown = [
        Strip(label="load", values=timeline.rate_rps_W.tolist(), text=render.rate),
        Strip(
            label=f"p{100 * timeline.quantile:g} latency (dots: SLO {render.seconds(timeline.slo_s)})",
            values=timeline.latency_s_W.tolist(),
            text=render.seconds,
            limit=timeline.slo_s,
        ),
        Strip(label="cores", values=timeline.cores_W.tolist(), text="{:.3g}".format),
        Strip(label="accuracy", values=timeline.accuracy_W.tolist(), text=render.percent, from_zero=False),
    ]
    end_s = timeline.start_s_W[-1] + timeline.width_s
    print(strips([one for one in shown if not one.is_empty], first="0 s", last=f"{end_s:,.4g} s"))
