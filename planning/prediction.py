"""What a plan expects of a replica's batches, in numbers that can be measured: the mean and two quantiles.

The mean is the planner's own law of shrinking batches, without the caution that a plan adds for what is not known of
the measurements; the quantiles are the simulator's draws from measured seconds.
Axes: N samples.
"""

from dataclasses import dataclass

import numpy as np

from ttamer.exits.evaluate import evaluate
from ttamer.exits.policies.protocol import Policy
from ttamer.planning.service_times import Paths, Timings, paths_as_seen
from ttamer.planning.simulation.service import Curve, ExitCurves, StagedService
from ttamer.profiles.profile import WHOLE, Profile
from ttamer.profiles.records import ExitRecords, Floats

DRAWS = 4000  # batches: the p99 is then the 40th largest
QUANTILE = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """Seconds until the last row of a full batch is answered."""

    mean_s: float
    p50_s: float
    p99_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Where a model runs, and how large its batches are."""

    model: str
    device: str
    cores: int
    batch: int


def predict_exiting(
    profile: Profile, setting: Setting, policy: Policy, records: ExitRecords, rng: np.random.Generator
) -> Predicted:
    """Batches whose rows do as recorded, independently of each other. Raises InputError for unmeasured settings."""
    outcome, stop_N = evaluate(policy, records), policy.decide(records).stop_N
    timings = Timings(profile, setting.model, setting.device, setting.cores, QUANTILE, is_cautious=False)
    paths = paths_as_seen(outcome)
    mean_s = float(timings.law(setting.batch, paths).mean_s_B[setting.batch])
    stops = rng.choice(stop_N, DRAWS * setting.batch).tolist()
    service = StagedService(_curves(profile, setting, paths), stops, setting.batch, rng)
    ends = range(setting.batch, len(stops) + 1, setting.batch)
    return _predicted(mean_s, np.array([service.serve(end - setting.batch, end) for end in ends]))


def predict_whole(profile: Profile, setting: Setting, rng: np.random.Generator) -> Predicted:
    """Batches of the whole model. Raises InputError for unmeasured settings."""
    curve = _curve(profile, setting, "whole", WHOLE)
    return _predicted(float(curve.mean_s(setting.batch)[setting.batch]), curve.draw_s(setting.batch, DRAWS, rng))


def _predicted(mean_s: float, seconds: Floats) -> Predicted:
    p50_s, p99_s = np.quantile(seconds, [0.5, QUANTILE]).tolist()
    return Predicted(mean_s=mean_s, p50_s=p50_s, p99_s=p99_s)


def _curves(profile: Profile, setting: Setting, paths: Paths) -> ExitCurves:
    return ExitCurves.of(paths, lambda part, k: _curve(profile, setting, part, k))


def _curve(profile: Profile, setting: Setting, part: str, exit: int) -> Curve:
    return Curve.measured(
        profile, setting.model, part, exit, device=setting.device, cores=setting.cores, up_to=setting.batch
    )
