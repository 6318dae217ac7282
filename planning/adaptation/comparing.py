"""Controllers on one trace: the same arrivals, seed, profile and delays for all, and what each of them made of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

import numpy as np
import pyarrow as pa

from ttamer.planning.adaptation.adapting import Adapting, adapting, first_configuration, smoothed
from ttamer.planning.adaptation.catalog import Catalog
from ttamer.planning.adaptation.controllers.protocol import Care, Kind, Setup
from ttamer.planning.adaptation.predictors import PREDICTORS
from ttamer.planning.adaptation.predictors.protocol import Learner, Predictor, Training
from ttamer.planning.simulation.adaptive import AdaptiveRun, Book, Change, Configuration, Delays, Traffic
from ttamer.planning.simulation.discipline import PLAIN, Discipline
from ttamer.planning.simulation.running import run_adaptive
from ttamer.profiles.documents import envelope, write_table
from ttamer.profiles.errors import InfeasibleError
from ttamer.profiles.provenance import Provenance
from ttamer.profiles.records import Floats
from ttamer.profiles.registry import lookup

FORMAT, VERSION = "trace-comparison", 1
ENOUGH_PAST_S = 3600  # less is too little to learn quantiles or networks from
FIRST_S = 10  # of the trace, whose highest load tells how to begin
SMOOTHED_MOST_S = 10  # over which ours averages at most: as long as a bin of its predictor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """What all controllers are given alike. delays.in_place is each controller's own.

    past_rps_T: load before the trace, to learn from, empty if there is none. learn: trains networks; None: none are.
    begin_rps: the load that is served to begin with (default: the highest of the trace's first seconds).
    """

    catalog: Catalog
    book: Book
    traffic: Traffic
    past_rps_T: Floats
    delays: Delays
    discipline: Discipline = PLAIN
    clock: str = "ideal"
    routing: str = "random"
    seed: int = 0
    learn: Callable[[str], Learner] | None = None
    begin_rps: float | None = None

    @property
    def load_rps_T(self) -> Floats:
        """Requests in each whole second of the trace."""
        counts_T = np.bincount(self.traffic.arrival_s_N.astype(np.int64), minlength=ceil(self.traffic.duration_s))
        return counts_T.astype(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What may be chosen for a controller in place of its own habits: None keeps them."""

    predictor: str | None = None
    level: float | None = None
    interval_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trial:
    """One controller's run. predictor: by name. expected: the load predicted at each decision."""

    controller: str
    predictor: str
    interval_s: float
    run: AdaptiveRun
    start: Configuration
    expected: Sequence[tuple[float, float]]
    quantile: float

    @property
    def mean_cores(self) -> float:
        """Cores paid for on average."""
        return self.run.core_seconds / self.run.duration_s

    @property
    def changes(self) -> list[Change]:
        """The changes of what runs; how long a batch may wait is no change."""
        found, before = [], in_short(self.start)
        for change in self.run.changes:
            now = in_short(change.wished)
            if now != before:
                found.append(change)
            before = now
        return found

    def row(self) -> dict[str, object]:
        """What the run comes to."""
        run = self.run
        return {
            "controller": self.controller, "predictor": self.predictor, "interval_s": self.interval_s,
            "requests": len(run.arrival_s_N), "misses": run.misses, "drops": run.drops, "accuracy": run.accuracy,
            "core_seconds": run.core_seconds, "mean_cores": self.mean_cores, "changes": len(self.changes),
            "latency_s": run.latency_s(self.quantile),
        }  # fmt: skip


def in_short(configuration: Configuration) -> tuple[str, ...]:
    """A configuration in words, a group each."""
    return tuple(
        f"{one.policy} x {one.replicas} on {one.cores} {'core' if one.cores == 1 else 'cores'}"
        + (f", batches of {one.batch}" if one.batch > 1 else "")
        + (f", {100 * one.share:.0f} % of the load" if one.share < 1 else "")
        for one in configuration
    )


def trial(
    name: str, kind: Kind, scene: Scene, setup: Setup, choices: Choices | None = None,
    on_progress: Callable[[float, float], object] | None = None,
) -> Trial:  # fmt: skip
    """What a controller makes of the scene. on_progress is told how many seconds of how many are done.

    Raises InfeasibleError if it finds nothing to begin with, InputError on an unknown predictor.
    """
    chosen = choices or Choices()
    in_place = scene.delays.in_place and kind.in_place
    setup = replace(setup, in_place=in_place)
    controller, predictor = _controller(kind, scene, setup, chosen)
    seen_rps = float(scene.load_rps_T[:FIRST_S].max(initial=0.0))
    begin_rps = seen_rps if scene.begin_rps is None else scene.begin_rps
    start = first_configuration(controller, begin_rps, scene.catalog.service.slo_s)
    delays = Delays(
        decision_s=scene.delays.decision_s, load_s=scene.delays.load_s, resize_s=scene.delays.resize_s,
        in_place=in_place,
    )  # fmt: skip
    run = run_adaptive(
        start, controller, scene.book, scene.traffic, slo_s=scene.catalog.service.slo_s, delays=delays,
        discipline=scene.discipline, clock=scene.clock, routing=scene.routing, seed=scene.seed, on_progress=on_progress,
    )  # fmt: skip
    return Trial(
        controller=name, predictor=predictor, interval_s=controller.interval_s, run=run, start=start,
        expected=tuple(controller.expected), quantile=scene.catalog.service.quantile,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A controller that found nothing to begin with, and why."""

    controller: str
    reason: str


def compare(
    kinds: Mapping[str, Kind], scene: Scene, setup: Setup, choices: Choices | None = None,
    on_progress: Callable[[int, int, str], object] | None = None,
) -> tuple[list[Trial], list[Refusal]]:  # fmt: skip
    """Every controller on the same scene, and those that found nothing to begin with.

    on_progress is told how many of how many are done, and which comes next.
    """
    trials: list[Trial] = []
    refusals: list[Refusal] = []
    for done, (name, kind) in enumerate(kinds.items()):
        if on_progress:
            on_progress(done, len(kinds), name)
        try:
            trials.append(trial(name, kind, scene, setup, choices))
        except InfeasibleError as error:
            refusals.append(Refusal(controller=name, reason=error.message))
    return trials, refusals


def _controller(kind: Kind, scene: Scene, setup: Setup, choices: Choices) -> tuple[Adapting, str]:
    service = scene.catalog.service
    smooth_s = max(1, min(SMOOTHED_MOST_S, int(service.slo_s))) if kind.smooths else 1
    care = kind.care(setup) if kind.care else Care(level=kind.level, patience_s=kind.patience * kind.interval_s)
    level = care.level if choices.level is None else choices.level
    name, predictor = predictor_for(kind, scene, choices.predictor, level, smooth_s)
    every_s = choices.interval_s or kind.interval_s
    patience = max(1, round(care.patience_s / every_s)) if kind.care else kind.patience
    controller = adapting(
        kind, setup, predictor, past_rps_T=scene.past_rps_T, interval_s=every_s, patience=patience, smooth_s=smooth_s
    )
    return controller, name


def predictor_for(
    kind: Kind, scene: Scene, chosen: str | None, level: float, smooth_s: int
) -> tuple[str, Predictor]:  # fmt: skip
    """The predictor that was chosen, or the controller's own, or what it does where there is no past to learn from."""
    own = kind.predictor if len(scene.past_rps_T) >= ENOUGH_PAST_S else kind.untrained
    if own.startswith("lstm") and scene.learn is None:
        own = kind.untrained
    name = chosen or own
    make = lookup(PREDICTORS, name, "predictor")
    past_T = smoothed(scene.past_rps_T, smooth_s)
    learn = scene.learn(name) if scene.learn else None
    return name, make(
        Training(load_rps_T=past_T, horizon_s=kind.horizon_s, level=level, learn=learn, averaged_s=smooth_s)
    )


def write_trials(path: Path, trials: Sequence[Trial], provenance: Provenance, extra: Mapping[str, object]) -> Path:
    """Write the comparison as a Parquet table, a row a controller; returns the path."""
    table = pa.Table.from_pylist([one.row() for one in trials], schema=SCHEMA)
    write_table(path, table, envelope(FORMAT, VERSION, provenance) | dict(extra))
    return path


SCHEMA = pa.schema({
    "controller": pa.string(), "predictor": pa.string(), "interval_s": pa.float64(), "requests": pa.int64(),
    "misses": pa.float64(), "drops": pa.float64(), "accuracy": pa.float64(), "core_seconds": pa.float64(),
    "mean_cores": pa.float64(), "changes": pa.int64(), "latency_s": pa.float64(),
})  # fmt: skip
