"""What a controller did on a load, as a document: misses with their interval, cost, accuracy, and every change."""

from pathlib import Path

import numpy as np
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from ttamer.planning.adaptation.comparing import Trial, in_short
from ttamer.planning.simulation.adaptive import AdaptiveRun
from ttamer.planning.simulation.checks import share_check
from ttamer.profiles.documents import envelope, write_yaml
from ttamer.profiles.provenance import Provenance
from ttamer.profiles.schema import Document
from ttamer.profiles.simulation import Check, Verdict

FORMAT, VERSION = "adaptation", 1
FEWEST_WAITING = 10  # requests: fewer may be chance


class ChangeRow(Document):
    """What was asked for from a moment on, a group each."""

    at_s: NonNegativeFloat
    groups: tuple[str, ...]


class AdaptationReport(Document):
    """The outcome of one adaptive run. core_seconds: paid for, loading included."""

    plan_sha256: str
    controller: str
    predictor: str
    interval_s: PositiveFloat
    seed: NonNegativeInt
    arrivals: str
    requests: PositiveInt
    duration_s: PositiveFloat
    slo_s: PositiveFloat
    quantile: float
    misses: Check
    drops: float
    latency_s: NonNegativeFloat
    accuracy: float | None
    core_seconds: NonNegativeFloat
    start: tuple[str, ...]
    changes: tuple[ChangeRow, ...]
    verdict: Verdict
    notes: tuple[str, ...] = ()

    def write(self, path: Path, provenance: Provenance) -> None:
        """Write the report as YAML."""
        write_yaml(path, envelope(FORMAT, VERSION, provenance) | self.model_dump(mode="json"))


def report_on(trial: Trial, *, plan_sha256: str, seed: int, arrivals: str) -> AdaptationReport:
    """The report on a trial: kept if no more than the tolerated share of requests is late or dropped."""
    run = trial.run
    misses = share_check("SLO misses", [run.sojourn_s_N > run.slo_s], trial.quantile)
    latency_s = run.latency_s(trial.quantile)
    return AdaptationReport(
        plan_sha256=plan_sha256,
        controller=trial.controller,
        predictor=trial.predictor,
        interval_s=trial.interval_s,
        seed=seed,
        arrivals=arrivals,
        requests=len(run.arrival_s_N),
        duration_s=run.duration_s,
        slo_s=run.slo_s,
        quantile=trial.quantile,
        misses=misses,
        drops=run.drops,
        latency_s=latency_s,
        accuracy=run.accuracy,
        core_seconds=run.core_seconds,
        start=in_short(trial.start),
        changes=tuple(ChangeRow(at_s=one.at_s, groups=in_short(one.wished)) for one in trial.changes),
        verdict=misses.verdict,
        notes=_overload(run),
    )


def _overload(run: AdaptiveRun) -> tuple[str, ...]:
    """A note where more requests wait in the end than twice those that all could be there and in time.

    By Little's law these are arrival rate x SLO.
    """
    answered_s_N = run.arrival_s_N - run.network_s_N + run.sojourn_s_N
    waiting = int((np.isfinite(answered_s_N) & (answered_s_N > run.duration_s)).sum())
    rate_rps = len(run.arrival_s_N) / run.duration_s
    if waiting <= max(FEWEST_WAITING, 2 * rate_rps * run.slo_s):
        return ()
    return (
        f"overload: {waiting:,} requests wait when the load ends, more than can be answered in time: what ran took"
        f" less than the {rate_rps:.3g} rps that came",
    )
