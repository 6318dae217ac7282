"""Why a plan is what it is: what binds, what more room would buy, what comes second, and what it was measured from."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

from ttamer.planning.candidates import Server, stage_quantile
from ttamer.planning.conflict import with_limits, with_pool
from ttamer.planning.exit_choice import OperatingPoint, restored_point
from ttamer.planning.model_choice import ModelChoice
from ttamer.planning.naming import setting_of
from ttamer.planning.service_times import Timings, samples_short, worst_verdict
from ttamer.planning.slack import Slack, slacks
from ttamer.planning.valuation import levels_of, pool_of
from ttamer.planning.verify import describe, verify
from ttamer.planning.what_if import WhatIf
from ttamer.profiles.errors import BrokenPromiseError
from ttamer.profiles.plan import Group, Plan
from ttamer.profiles.profile import VERDICTS, LatencyPoint, Profile
from ttamer.profiles.schema import Document
from ttamer.profiles.service import Service

MORE = 1.1  # times the SLO, the rate and the budget: what `explain` asks for


class Worth(Document):
    """What a plan comes to. cost_per_hour: money, None without prices."""

    objective: float
    accuracy: float | None
    cores: int
    devices: int
    cost_per_hour: float | None
    latency_s: float


class Change(Document):
    """A demand changed from one value to another, and the best plan then; None where there is none.

    gain: how much higher its objective is.
    """

    demand: str
    unit: str
    before: float
    after: float
    plan: Worth | None
    gain: float | None


class RunnerUp(Document):
    """The best plan without one chosen group's setting, or without its model; None where there is none.

    instead: the groups that it runs otherwise than the plan does. loss: how much lower its objective is.
    """

    stage: str
    without: str
    instead: tuple[str, ...]
    plan: Worth | None
    loss: float | None


class Measured(Document):
    """The points behind one group: how many by verdict, the worst, and the fewest samples of any.

    Imported numbers have the verdict `imported` and no samples.
    """

    policy: str
    points: int
    verdicts: dict[str, int]
    worst: str
    samples: int
    samples_needed: int


class Source(Document):
    """The profile behind a plan. age_s: seconds since it was last written, None if it lives in memory only."""

    name: str
    machine: str
    digest: str
    created: str | None
    age_s: float | None
    measured_by: str


class Explanation(Document):
    """Everything `ttamer explain` says."""

    service: Service
    status: str
    worth: Worth
    binding: tuple[str, ...]
    slacks: tuple[Slack, ...]
    changes: tuple[Change, ...]
    runners_up: tuple[RunnerUp, ...]
    source: Source
    measurements: tuple[Measured, ...]
    notes: tuple[str, ...]


def explain(plan: Plan, profile: Profile, *, created: datetime | None, now: datetime) -> Explanation:
    """The explanation of a plan, by planning again on its profile.

    created: when the profile was written. Raises DocumentError if the plan was made from another profile,
    BrokenPromiseError if it does not hold.
    """
    broken = verify(plan, profile)
    if broken:
        raise BrokenPromiseError(f"the plan does not hold: {describe(broken)}", remedy="plan anew")
    what_if = WhatIf(profile, plan.solve.solver)
    choices = what_if.choices(plan.service)
    points = _points(plan, profile, choices)
    return Explanation(
        service=plan.service,
        status=plan.solve.status,
        worth=worth_of(plan),
        binding=plan.binding,
        slacks=tuple(slacks(plan.service, plan.groups, plan.promise, points, levels_of(profile, choices))),
        changes=tuple(changes(plan, what_if)),
        runners_up=tuple(runners_up(plan, what_if)),
        source=_source(plan, profile, created, now),
        measurements=tuple(_measured(group, plan, profile, points[group.policy]) for group in plan.groups),
        notes=plan.notes,
    )


def worth_of(plan: Plan) -> Worth:
    """What the plan promises, in the terms that plans are compared by."""
    promise = plan.promise
    return Worth(
        objective=plan.solve.objective,
        accuracy=promise.accuracy,
        cores=promise.cores,
        devices=promise.devices,
        cost_per_hour=promise.cost_per_hour,
        latency_s=promise.latency_s,
    )


def changes(plan: Plan, what_if: WhatIf) -> Iterator[Change]:
    """The best plans with a tenth more SLO, rate and budget, one at a time; at least one whole core more."""
    service = plan.service
    slo_s, rate_rps = MORE * service.slo_s, MORE * service.rate_rps
    yield _change("SLO", "s", service.slo_s, slo_s, plan, what_if, service.model_copy(update={"slo_s": slo_s}))
    yield _change(
        "rate", "rps", service.rate_rps, rate_rps, plan, what_if, service.model_copy(update={"rate_rps": rate_rps})
    )  # fmt: skip
    limits = service.limits
    if limits.cores is not None:
        more = math.ceil(round(MORE * limits.cores, 6))
        yield _change("core budget", "cores", limits.cores, more, plan, what_if, with_limits(service, cores=more))
    for pool in service.pools:
        if pool.cores is not None:
            more = math.ceil(round(MORE * pool.cores, 6))
            unit = "devices" if pool.device == "cuda" else "cores"
            eased = with_pool(service, pool.name, cores=more)
            yield _change(f"pool {pool.name}", unit, pool.cores, more, plan, what_if, eased)
    if limits.cost_per_hour is not None:
        cost = MORE * limits.cost_per_hour
        eased = with_limits(service, cost_per_hour=cost)
        yield _change("budget", "an hour", limits.cost_per_hour, cost, plan, what_if, eased)


def _change(
    demand: str, unit: str, before: float, after: float, plan: Plan, what_if: WhatIf, service: Service
) -> Change:
    found = what_if.plan(service)
    return Change(
        demand=demand,
        unit=unit,
        before=before,
        after=after,
        plan=None if found is None else worth_of(found),
        gain=None if found is None else found.solve.objective - plan.solve.objective,
    )


def runners_up(plan: Plan, what_if: WhatIf) -> Iterator[RunnerUp]:
    """For every group the best plan without its setting, and the best without its model."""
    for group in plan.groups:
        yield _runner_up(group, setting_of(group), plan, what_if, by_model=False)
    for stage, model in dict.fromkeys((group.stage, group.model) for group in plan.groups):
        group = next(one for one in plan.groups if (one.stage, one.model) == (stage, model))
        yield _runner_up(group, f"every setting of {model}", plan, what_if, by_model=True)


def _runner_up(group: Group, without: str, plan: Plan, what_if: WhatIf, *, by_model: bool) -> RunnerUp:
    def is_other(server: Server) -> bool:
        if server.stage != group.stage or server.point.spec.model != group.model:
            return True
        same = (server.point.name, server.pool, server.cores, server.batch) == (
            group.policy, pool_of(group), group.cores, group.batch,
        )  # fmt: skip
        return not (same or by_model)

    found = what_if.plan(plan.service, is_other)
    return RunnerUp(
        stage=group.stage,
        without=without,
        instead=() if found is None else tuple(_otherwise(plan, found)),
        plan=None if found is None else worth_of(found),
        loss=None if found is None else plan.solve.objective - found.solve.objective,
    )


def _otherwise(plan: Plan, other: Plan) -> Iterator[str]:
    """The other plan's groups that are not in the plan with as many replicas."""
    known = {(setting_of(group), group.replicas) for group in plan.groups}
    for group in other.groups:
        if (setting_of(group), group.replicas) not in known:
            yield setting_of(group) + (f" x {group.replicas}" if group.replicas > 1 else "")


def _source(plan: Plan, profile: Profile, created: datetime | None, now: datetime) -> Source:
    return Source(
        name=profile.name,
        machine=profile.machine.fingerprint,
        digest=plan.profile.digest,
        created=None if created is None else created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        age_s=None if created is None else (now - created).total_seconds(),
        measured_by=profile.provenance.command or f"ttamer {profile.provenance.ttamer}",
    )


def _points(plan: Plan, profile: Profile, choices: Sequence[ModelChoice]) -> dict[str, OperatingPoint]:
    """The operating points of the plan's groups by policy name."""
    datasets = {choice.stage: choice.dataset for choice in choices}
    return {
        group.policy: restored_point(profile, group.policy, plan.policies[group.policy], datasets[group.stage])
        for group in plan.groups
    }


def _measured(group: Group, plan: Plan, profile: Profile, point: OperatingPoint) -> Measured:
    if profile.is_imported(group.model):
        return Measured(
            policy=group.policy, points=1, verdicts={"imported": 1}, worst="imported", samples=0, samples_needed=0
        )
    quantile = stage_quantile(plan.service.quantile, len(plan.service.stages))
    points = _points_behind(group, profile, point, quantile)
    samples, needed = samples_short(points, quantile)
    counted = Counter(one.verdict for one in points)
    return Measured(
        policy=group.policy,
        points=len(points),
        verdicts={verdict: counted[verdict] for verdict in VERDICTS if counted[verdict]},
        worst=worst_verdict(points, {verdict: rank for rank, verdict in enumerate(VERDICTS)}),
        samples=samples,
        samples_needed=needed,
    )


def _points_behind(group: Group, profile: Profile, point: OperatingPoint, quantile: float) -> list[LatencyPoint]:
    """The measured points of the group's setting; of a setting between measured ones, every point of its model."""
    if (group.device, group.cores, group.batch) in profile.settings_of(group.model):
        return Timings(profile, group.model, group.device, group.cores, quantile).points(group.batch, point.paths)
    return [
        one for one in profile.latency
        if (one.key.model, one.key.part, one.key.device) == (group.model, "whole", group.device)
    ]  # fmt: skip
