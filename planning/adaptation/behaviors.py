"""How replicas behave in a simulation, looked up in a profile: measured seconds, or imported numbers made into some.

An imported point is one latency at a quantile and one throughput. Its seconds are those of a lognormal law whose mean
is what the throughput says, or the latency where that is less (a throughput measured under little load says nothing of
the time of a batch), and whose quantile is the latency.

Axes: N samples of a law, M rows of test records.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, log, sqrt
from statistics import NormalDist

import numpy as np

from ttamer.exits.evaluate import FittedPolicy, evaluate
from ttamer.exits.policies.last_exit import LastExit
from ttamer.planning.model_choice import last_exit_row
from ttamer.planning.service_times import paths_as_seen
from ttamer.planning.simulation.adaptive import Behavior, Setting
from ttamer.planning.simulation.deployment import Answers
from ttamer.planning.simulation.requests import UNKNOWN
from ttamer.planning.simulation.service import Curve, ExitCurves
from ttamer.profiles.errors import InputError
from ttamer.profiles.plan import PolicySpec
from ttamer.profiles.profile import WHOLE, ImportedPoint, Profile
from ttamer.profiles.records import ExitRecords, Floats

SAMPLES = 200  # of an imported law: its p99 is then the second largest


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProfileBook:
    """Behaviors from a profile: policies by name in settings, test records by model.

    releases: early exits answer but compute on. kept: what was looked up.
    """

    profile: Profile
    policies: dict[str, PolicySpec]
    records: Mapping[str, ExitRecords] = field(default_factory=dict)
    releases: bool = False
    kept: dict[tuple[str, str, str, int], Behavior] = field(default_factory=dict)

    def behavior(self, setting: Setting) -> Behavior:
        """How replicas of a setting behave. Raises InputError if that was not measured, or records are missing."""
        key = (setting.model, setting.policy, setting.device, setting.cores)
        if key not in self.kept:
            self.kept[key] = self._made(setting)
        return self.kept[key]

    def _made(self, setting: Setting) -> Behavior:
        profile, model = self.profile, setting.model
        fitted = FittedPolicy.from_spec(self.policies[setting.policy])
        seen = self.records.get(model)
        if profile.is_imported(model):
            points = [one for one in profile.imported_points(model, setting.device) if one.cores == setting.cores]
            if not points:
                raise InputError(f"{model!r} was not imported on {setting.cores} cores", remedy="import that number")
            curve: Curve | ExitCurves = imported_curve(points)
            load_s = max(point.load_time_s for point in points)
        else:
            curve = self._measured(setting, fitted, seen)
            load_s = max(
                point.load_time_s
                for point in profile.latency
                if (point.key.model, point.key.device, point.key.cores) == (model, setting.device, setting.cores)
            )
        return Behavior(
            curve=curve, answers=self._answers(fitted, seen), accuracy=self._accuracy(model), load_s=load_s,
            releases=self.releases,
        )  # fmt: skip

    def _measured(self, setting: Setting, fitted: FittedPolicy, seen: ExitRecords | None) -> Curve | ExitCurves:
        if isinstance(fitted.policy, LastExit):
            return self._curve(setting, "whole", WHOLE)
        if seen is None:
            raise InputError(
                f"policy {setting.policy!r} of {setting.model!r} cannot be simulated without test records",
                remedy=f"ttamer fit {setting.model}",
            )
        paths = paths_as_seen(evaluate(fitted.policy, seen))
        return ExitCurves.of(paths, lambda part, k: self._curve(setting, part, k))

    def _curve(self, setting: Setting, part: str, exit: int) -> Curve:
        sizes = self.profile.batches(setting.model, part, exit, device=setting.device, cores=setting.cores)
        if not sizes:
            raise InputError(
                f"{setting.model!r} was not measured on {setting.cores} {setting.device} cores",
                remedy=f"ttamer profile {setting.model} --cores {setting.cores}",
            )
        return Curve.measured(
            self.profile, setting.model, part, exit, device=setting.device, cores=setting.cores, up_to=max(sizes)
        )

    def _answers(self, fitted: FittedPolicy, seen: ExitRecords | None) -> Answers:
        last = len(self.profile.spec(fitted.model).exits) - 1
        if seen is None:
            return Answers(np.array([last]), np.array([UNKNOWN]))
        decision = fitted.policy.decide(seen)
        correct_M = seen.correct_NK()[np.arange(seen.samples), decision.answer_N]
        return Answers(decision.stop_N, correct_M.astype(np.int64))

    def _accuracy(self, model: str) -> float | None:
        row = last_exit_row(self.profile, model, None)
        return None if row is None else row.accuracy


def imported_curve(points: Sequence[ImportedPoint]) -> Curve:
    """The curve of imported batch sizes, from 1 on: a single request takes no longer than the smallest batch."""
    ordered = sorted(points, key=lambda point: point.batch)
    sizes = [point.batch for point in ordered]
    seconds = [
        law_s_N(min(one.batch / one.throughput_rps, one.latency_s), one.latency_s, one.quantile) for one in ordered
    ]
    if sizes[0] > 1:
        sizes, seconds = [1, *sizes], [seconds[0], *seconds]
    return Curve(tuple(sizes), tuple(seconds))


def law_s_N(mean_s: float, tail_s: float, quantile: float) -> Floats:
    """Evenly likely seconds, ascending, of the lognormal law with this mean and this quantile.

    Where no lognormal law has both, the narrowest is taken that has the mean and the largest tail there is.

    >>> seconds = law_s_N(0.1, 0.2, 0.99)
    >>> round(float(seconds.mean()), 6), len(seconds)
    (0.1, 200)
    """
    level_N = (np.arange(SAMPLES) + 0.5) / SAMPLES
    if tail_s <= mean_s:
        return np.full(SAMPLES, mean_s)
    z = NormalDist().inv_cdf(quantile)
    # ln mean = m + s²/2 and ln tail = m + z s, so s² − 2 z s + 2 ln(tail / mean) = 0; the smaller root
    spread = z - sqrt(max(0.0, z * z - 2 * log(tail_s / mean_s)))
    shape_N = np.array([exp(spread * NormalDist().inv_cdf(float(level))) for level in level_N])
    return np.asarray(shape_N * mean_s / shape_N.mean())
