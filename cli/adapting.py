"""`ttamer simulate --adapt`, and what it shares with `compare --trace`: traces with their past, delays, networks."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ttamer.cli import render
from ttamer.cli.options import Format
from ttamer.cli.progress import progress
from ttamer.cli.simulated import print_timeline

if TYPE_CHECKING:
    from ttamer.planning.adaptation.comparing import Choices, Scene
    from ttamer.planning.adaptation.predictors.protocol import Learner, Network
    from ttamer.planning.adaptation.report import AdaptationReport
    from ttamer.planning.simulation.conditions import Conditions
    from ttamer.profiles.plan import Plan
    from ttamer.profiles.profile import Profile
    from ttamer.profiles.records import Floats

MOST_CHANGES = 10  # that are printed
FOURTEEN_DAYS_S = 14 * 86_400.0  # what the published networks learn from
NETWORKS = Path("networks")  # where trained networks are kept
RESIZE_S, DECISION_S = 0.1, 0.5  # until other cores are felt, as Kubernetes resizes in place; until a plan is made


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptation:
    """Options of adaptation as they were given. trace: the file and series of the load, window: the part of it."""

    trace: tuple[Path, str | None] | None
    window: str | None
    scale: float
    past: str | None
    predictor: str | None
    level: str | None
    interval: str | None
    load_time: str | None

    def refuse_without_adapting(self) -> None:
        """Raise InputError if an option was given that only a controller has a use for."""
        from ttamer.profiles.errors import InputError

        given = {
            "--predictor": self.predictor, "--level": self.level, "--interval": self.interval, "--past": self.past,
            "--load-time": self.load_time,
        }  # fmt: skip
        for option, value in given.items():
            if value is not None:
                raise InputError(f"{option} without --adapt", remedy="name a controller: --adapt ttamer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One adaptive simulation. out: of the report; changes and timeline go beside it."""

    plan: Path
    out: Path
    controller: str
    habits: Adaptation
    conditions: "Conditions"
    requests: int
    seed: int
    plot: bool
    fail: bool


def run(task: Task, profile: "Profile", format: Format) -> None:
    """Adapt the plan's service to the load and print how it went. Raises BrokenPromiseError if too many are late."""
    from ttamer.planning.adaptation.comparing import trial
    from ttamer.planning.adaptation.controllers import CONTROLLERS
    from ttamer.planning.adaptation.controllers.protocol import Setup
    from ttamer.planning.adaptation.report import report_on
    from ttamer.planning.simulation.timeline import timeline_of_run
    from ttamer.profiles.errors import BrokenPromiseError
    from ttamer.profiles.plan import Plan
    from ttamer.profiles.provenance import capture, sha256_of
    from ttamer.profiles.registry import unknown_name

    plan = Plan.read(task.plan)
    if task.controller not in CONTROLLERS:
        raise unknown_name("controller", task.controller, CONTROLLERS, also=", or apparate, which tunes exits")
    kind = CONTROLLERS[task.controller]
    choices = choices_of(task.habits)
    scene = make_scene(plan, profile, task.conditions, task.habits, requests=task.requests, seed=task.seed)
    setup = Setup(catalog=scene.catalog, peak_rps=peak_rps(scene), load_s=scene.delays.load_s)
    with progress("simulating") as advance:
        done = trial(
            task.controller, kind, scene, setup, choices, lambda now_s, end_s: advance(now_s, end_s, "seconds")
        )
    report = report_on(done, plan_sha256=sha256_of(task.plan), seed=task.seed, arrivals=task.conditions.arrivals_name)
    timeline = timeline_of_run(done.run, plan.service.quantile)
    provenance = capture(seed=task.seed, inputs=[task.plan, *([task.habits.trace[0]] if task.habits.trace else [])])
    timeline_path = task.out.with_name(f"{task.out.stem}.timeline.parquet")
    report.write(task.out, provenance)
    timeline.write(timeline_path, provenance)
    if format is Format.TABLE:
        _print(report, kind.title)
        if task.plot:
            print_timeline(timeline)
        render.say(f"wrote {task.out}, {timeline_path}; next: ttamer compare {task.plan} --trace FILE")
    else:
        render.document(report.model_dump(mode="json"), format)
    if task.fail and report.verdict == "broken":
        raise BrokenPromiseError(
            f"{render.percent(report.misses.observed, 2)} of the requests miss the SLO",
            remedy="allow more cores, forecast with a higher --level, or --no-fail",
        )


def _print(report: "AdaptationReport", title: str) -> None:
    changes = render.count(len(report.changes), "change")
    print(
        f"{title} on {report.requests:,} {report.arrivals} requests in {report.duration_s:,.0f} s (seed "
        f"{report.seed}): a decision each {render.seconds(report.interval_s)}, load expected by {report.predictor}"
    )
    misses = report.misses
    between = (
        "" if misses.low is None or misses.high is None else f" ({render.percent_between(misses.low, misses.high, 2)})"
    )
    print(
        f"SLO missed by {render.percent(misses.observed, 2)} of requests{between}, at most "
        f"{render.percent(misses.promised, 2)} promised: {report.verdict}."
    )
    print(
        f"p{100 * report.quantile:g} {render.seconds(report.latency_s)}, accuracy {render.percent(report.accuracy)}, "
        f"{report.core_seconds:,.0f} core-seconds ({report.core_seconds / report.duration_s:.2f} cores), {changes}"
    )
    rows = [("0 s", "; ".join(report.start))]
    shown = report.changes if len(report.changes) <= MOST_CHANGES else report.changes[:MOST_CHANGES]
    rows += [(f"{one.at_s:,.4g} s", "; ".join(one.groups)) for one in shown]
    render.table(("from", "what runs"), rows)
    if len(report.changes) > len(shown):
        print(f"... {render.count(len(report.changes) - len(shown), 'change')} more in the report")
    for note in report.notes:
        print(f"Note: {note}")


def split_series(text: str) -> tuple[Path, str | None]:
    """The file and the series of FILE@SERIES.

    >>> split_series("load.csv"), split_series("all.csv@night")
    ((PosixPath('load.csv'), None), (PosixPath('all.csv'), 'night'))
    """
    file, _, series = text.partition("@")
    return Path(file), series or None


def choices_of(given: Adaptation) -> "Choices":
    """What is chosen in place of a controller's own habits. Raises InputError on a wrong quantity."""
    from ttamer.planning.adaptation.comparing import Choices
    from ttamer.profiles.errors import InputError
    from ttamer.profiles.units import parse_duration_s, parse_fraction

    level = None if given.level is None else parse_fraction(given.level, "--level")
    if level is not None and not 0 < level < 1:
        raise InputError(f"a level of {given.level}", remedy="give the share of forecasts that may not fall short: 95%")
    return Choices(
        predictor=given.predictor,
        level=level,
        interval_s=None if given.interval is None else parse_duration_s(given.interval, "--interval"),
    )


def make_scene(
    plan: "Plan", profile: "Profile", conditions: "Conditions", given: Adaptation, *, requests: int, seed: int
) -> "Scene":
    """The scene of a plan's service under these conditions, with what came before the trace's window to learn from."""
    from ttamer.planning.adaptation import scenes
    from ttamer.planning.simulation.adaptive import Delays
    from ttamer.planning.simulation.simulate import read_records
    from ttamer.profiles.units import parse_duration_s

    load_s = None if given.load_time is None else parse_duration_s(given.load_time, "--load-time")
    past_rps_T = _past(given)
    scene = scenes.make_scene(
        plan.service, profile, read_records(plan, profile), conditions,
        requests=requests, seed=seed, past_rps_T=past_rps_T,
        delays=Delays(decision_s=DECISION_S, load_s=load_s, resize_s=RESIZE_S),
        learn=_learner,
    )  # fmt: skip
    if len(past_rps_T):
        render.say(f"learning from {len(past_rps_T):,} s of load before the window")
    return scene


def _past(given: Adaptation) -> "Floats":
    """Load before the window, or in the span that was asked for, a value a second; empty if there is none."""
    import numpy as np

    from ttamer.planning.adaptation.scenes import load_per_second
    from ttamer.planning.simulation.traces import parse_window, read_trace
    from ttamer.profiles.errors import InputError

    if given.trace is None:
        if given.past is not None:
            raise InputError("a past without a trace", remedy="give the trace that it is part of")
        return np.empty(0)
    span = given.past
    if span is None:
        before_s = parse_window(given.window)[0] if given.window else 0.0
        span = f"0s-{min(before_s, FOURTEEN_DAYS_S):g}s" if before_s > 0 else None
    return np.empty(0) if span is None else load_per_second(read_trace(*given.trace, span).scaled(given.scale))


def _learner(name: str) -> "Learner":
    """Trains a network of this name, or reads it if it was trained on the same past before."""

    def learn(bins_NB: "Floats", target_N: "Floats") -> "Network":
        from ttamer.exits.recurrent import Recipe, trained_network

        with progress(f"training {name}") as advance:
            return trained_network(
                NETWORKS, name, bins_NB, target_N, Recipe(), lambda done, total: advance(done, total, "epochs")
            )

    return learn


def peak_rps(scene: "Scene") -> float:
    """The highest load of a second of the trace, for what is provisioned once and knows it all."""
    return float(scene.load_rps_T.max(initial=0.0))
