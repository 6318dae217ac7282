"""A plan made ready to run: every group with its batching, its measured seconds and where its requests stop.

Axes: K exits, M rows of a model's test records.
"""

import math
from collections.abc import Mapping, MutableSequence
from dataclasses import dataclass, replace

import numpy as np

from ttamer.exits.evaluate import FittedPolicy, evaluate
from ttamer.exits.policies.last_exit import LastExit
from ttamer.planning.service_times import paths_as_seen
from ttamer.planning.simulation.replica import Batching
from ttamer.planning.simulation.requests import UNKNOWN
from ttamer.planning.simulation.service import BatchService, Curve, ExitCurves, StagedService, WholeService
from ttamer.profiles.errors import DocumentError, InputError
from ttamer.profiles.plan import Group, Plan
from ttamer.profiles.profile import WHOLE, Profile
from ttamer.profiles.records import ExitRecords, Floats, Ints
from ttamer.profiles.shelf import SHELF, records_path

SHARE_ROUNDING = 1e-6  # of written shares; more is load that nobody serves


@dataclass(frozen=True, slots=True)
class Answers:
    """Where the rows of a model's test records stop, and whether the answer is right (1, 0 or UNKNOWN)."""

    stop_M: Ints
    correct_M: Ints


@dataclass(frozen=True, slots=True)
class Deployed:
    """One replica group, ready to run. number is its place in the plan; curve is of the whole model or of its parts.

    releases: its exits answer early but compute on.
    """

    number: int
    group: Group
    batching: Batching
    curve: Curve | ExitCurves
    answers: Answers
    releases: bool = False

    def service(self, stops: MutableSequence[int], rng: np.random.Generator) -> BatchService:
        """The service of one of its replicas, whose requests stop at these exits."""
        if isinstance(self.curve, Curve):
            return WholeService(self.curve, self.batching.size, rng)
        return StagedService(self.curve, stops, self.batching.size, rng, releases=self.releases)

    def capacity_rps(self) -> float:
        """The most requests per second that one replica can answer: full batches, one after the other."""
        size = self.batching.size
        if isinstance(self.curve, Curve):
            return size / float(self.curve.mean_s(size)[size])
        reach_K = [1.0 if self.releases else float((self.answers.stop_M >= k).mean()) for k in range(self.curve.exits)]
        mean_s = 0.0
        for reach, parts in zip(reach_K, self.curve.parts(), strict=True):
            mean_s += sum(float(_binomial(size, reach * share) @ curve.mean_s(size)) for curve, share in parts)
        return size / mean_s


def deploy(
    plan: Plan, profile: Profile, records: Mapping[str, ExitRecords], clock: str, *, releases: bool = False
) -> list[list[Deployed]]:
    """The plan's groups by stage, in the order of the service's stages.

    Raises DocumentError if the plan was made for other measurements or leaves load unserved, and InputError
    if a policy with early exits has no test records, or if a setting was imported or not measured.
    """
    check_same_measurements(plan, profile)
    _refuse_unmeasured(plan, profile)
    deployed = [
        replace(_deploy(number, group, plan, profile, records, clock, releases=releases), releases=releases)
        for number, group in enumerate(plan.groups)
    ]
    stages = [[one for one in deployed if one.group.stage == stage.name] for stage in plan.service.stages]
    for stage, groups in zip(plan.service.stages, stages, strict=True):
        served = sum(one.group.share for one in groups)
        if abs(served - 1) > SHARE_ROUNDING:
            raise DocumentError(f"the plan's groups serve {served:.4f} of stage {stage.name!r}", remedy="plan anew")
    return stages


def _refuse_unmeasured(plan: Plan, profile: Profile) -> None:
    """Raise InputError on imported summaries and on cores between measured ones: there are no samples to draw from."""
    for group in plan.groups:
        if profile.is_imported(group.model):
            raise InputError(
                f"{group.model!r} was imported: a summary has no samples to simulate",
                remedy=f"measure it: ttamer profile {group.model} -p NAME, then plan on that profile",
            )
        if group.cores not in {cores for at, cores, _ in profile.settings_of(group.model) if at == group.device}:
            raise InputError(
                f"{group.model!r} was not measured on {group.cores} {group.device} cores: a surface has no samples",
                remedy=f"measure it: ttamer profile {group.model} --cores {group.cores}, or plan without interpolate",
            )


def check_same_measurements(plan: Plan, profile: Profile) -> None:
    """Raise DocumentError unless the plan rests on these measurements of its models, on this machine."""
    models = sorted({member for group in plan.groups for member in profile.members(group.model)})
    remedy = f"plan anew on profile {profile.name!r}"
    if plan.profile.name != profile.name:
        remedy += f", or give the profile {plan.profile.name!r} it was made on"
    missing = [model for model in models if model not in profile.models]
    if missing:
        raise DocumentError(f"the plan uses {missing[0]!r}, which profile {profile.name!r} lacks", remedy=remedy)
    if plan.profile.machine != profile.machine.fingerprint:
        raise DocumentError(
            f"the plan was made for machine {plan.profile.machine}, profile {profile.name!r} is of"
            f" {profile.machine.fingerprint}",
            remedy=remedy,
        )
    if plan.profile.digest != profile.digest(models):
        raise DocumentError(
            f"the plan was made from other measurements of {', '.join(models)} than profile {profile.name!r} holds",
            remedy=remedy,
        )


def _deploy(
    number: int,
    group: Group,
    plan: Plan,
    profile: Profile,
    records: Mapping[str, ExitRecords],
    clock: str,
    *,
    releases: bool,
) -> Deployed:
    fitted = FittedPolicy.from_spec(plan.policies[group.policy])
    seen = records.get(group.model)
    if seen is not None:
        _check_records(fitted, seen, profile)
    batching = Batching(size=group.batch, timeout_s=group.batch_timeout_s, clock=clock)
    if isinstance(fitted.policy, LastExit):
        whole = _curve(profile, group, "whole", WHOLE)
        return Deployed(number, group, batching, whole, _answers(fitted, seen, profile))
    if seen is None:
        raise InputError(
            f"policy {group.policy!r} of {group.model!r} cannot be simulated without "
            f"{records_path(profile.folder or SHELF / profile.name, group.model, 'test')}",
            remedy=f"ttamer fit {group.model}",
        )
    paths = paths_as_seen(evaluate(fitted.policy, seen))
    if releases:
        paths = replace(paths, heads_K=tuple(fitted.policy.heads_K(seen.exits).tolist()), stages_K=None)
    curves = ExitCurves.of(paths, lambda part, k: _curve(profile, group, part, k))
    return Deployed(number, group, batching, curves, _answers(fitted, seen, profile))


def _check_records(fitted: FittedPolicy, seen: ExitRecords, profile: Profile) -> None:
    if seen.split != "test":
        raise InputError(f"a simulation needs test records of {seen.model!r}, not {seen.split}", remedy="ttamer fit")
    fitted.check_unseen(seen)
    if fitted.chosen_on and seen.digest() in fitted.chosen_on.values():
        raise InputError(f"the {fitted.kind} policy was chosen on these records", remedy="simulate on test records")
    exits = len(profile.spec(seen.model).exits)
    if seen.exits != exits:
        raise InputError(
            f"records of {seen.model!r} have {seen.exits} exits, the profiled model has {exits}",
            remedy=f"ttamer fit {seen.model}",
        )


def _answers(fitted: FittedPolicy, seen: ExitRecords | None, profile: Profile) -> Answers:
    if seen is None:
        return Answers(np.array([len(profile.spec(fitted.model).exits) - 1]), np.array([UNKNOWN]))
    decision = fitted.policy.decide(seen)
    correct_M = seen.correct_NK()[np.arange(seen.samples), decision.answer_N]
    return Answers(decision.stop_N, correct_M.astype(np.int64))


def _curve(profile: Profile, group: Group, part: str, exit: int) -> Curve:
    return Curve.measured(
        profile, group.model, part, exit, device=group.device, cores=group.cores, up_to=group.batch
    )  # fmt: skip


def _binomial(size: int, share: float) -> Floats:
    """P(X = 0..size) for X ~ Binomial(size, share)."""
    return np.array([math.comb(size, x) * share**x * (1 - share) ** (size - x) for x in range(size + 1)])
