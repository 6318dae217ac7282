"""Doubting a plan: every promise and every constraint computed again from the plan and the profile alone."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ttamer.planning.base_cores import base_cores
from ttamer.planning.candidates import Server, make_published, make_server, parts_of, stage_quantile
from ttamer.planning.evidence import doubts
from ttamer.planning.exit_choice import OperatingPoint, restored_point
from ttamer.planning.exit_terms import kinds_in
from ttamer.planning.interpolation import Setting, server_between, settings_between
from ttamer.planning.model_choice import ModelChoice, choose_models
from ttamer.planning.promises import Deployment, promise_of_group, promise_of_plan, promised_latency_s
from ttamer.planning.published import Law, PublishedLaw, group_timeout_s, is_overloaded, most_rps
from ttamer.planning.service_times import Timings
from ttamer.planning.valuation import (
    Levels,
    accuracy_of,
    cores_of,
    cost_of,
    levels_of,
    memory_of,
    objective_of,
    pool_of,
    weighing_of,
)
from ttamer.profiles.errors import DocumentError
from ttamer.profiles.plan import Group, Plan
from ttamer.profiles.profile import Profile
from ttamer.profiles.schema import Document
from ttamer.profiles.service import Service, Stage

TOLERANCE = 1e-6  # relative: far above the rounding of sums, far below what anybody could measure


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that a plan says and that is not so: where, and what."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def verify(plan: Plan, profile: Profile) -> list[Violation]:
    """Everything in which the plan breaks a promise or a constraint; empty for a sound plan.

    Raises DocumentError if the plan was made from another profile or from other records, InputError if a policy
    in it is impossible.
    """
    used = {member for group in plan.groups for member in profile.members(group.model)}
    unknown = sorted(used - set(profile.models))
    if unknown or plan.profile.digest != profile.digest([group.model for group in plan.groups]):
        raise DocumentError(
            f"this is a plan for another profile: it was made from {plan.profile.name!r} ({plan.profile.digest}) "
            f"and {profile.name!r} differs from that" + (f" in lacking {', '.join(unknown)}" if unknown else ""),
            remedy="give the profile it was made from, or plan anew",
        )
    broken = [*_structure(plan), *_limits(plan)]
    return broken or [*_promises(plan, profile)]


def _structure(plan: Plan) -> Iterator[Violation]:
    """Stages, models, policies and shares fit together."""
    stages = {stage.name: stage for stage in plan.service.stages}
    for group in plan.groups:
        if group.stage not in stages:
            yield Violation(group.policy, f"serves a stage {group.stage!r} that the service does not have")
        elif group.policy not in plan.policies or plan.policies[group.policy].model != group.model:
            yield Violation(group.policy, f"is no policy of {group.model!r} in this plan")
        else:
            yield from _is_allowed(group, stages[group.stage], plan)
    for name in stages:
        share = sum(group.share for group in plan.groups if group.stage == name)
        if not _same(share, 1.0):
            yield Violation(f"stage {name}", f"the shares of its groups add up to {share:.6g}, not to 1")
        actives = [group for group in plan.groups if group.stage == name]
        if len(actives) > 1 and not plan.service.mix:
            yield Violation(f"stage {name}", f"{len(actives)} groups share the load though mixing is not allowed")


def _is_allowed(group: Group, stage: Stage, plan: Plan) -> Iterator[Violation]:
    kinds = kinds_in(plan.policies[group.policy])
    if stage.models and group.model not in stage.models:
        yield Violation(group.policy, f"{group.model!r} is not among the models of stage {stage.name!r}")
    for kind in kinds:
        if stage.policies and kind not in (*stage.policies, "last-exit"):
            yield Violation(group.policy, f"{kind} is not among the policies of stage {stage.name!r}")
    yield from _runs_where_allowed(group, plan.service)
    if not _same(group.rate_rps, group.share * plan.service.rate_rps):
        yield Violation(group.policy, f"{group.rate_rps:.6g} rps are not its share of {plan.service.rate_rps:.6g} rps")
    if group.batch == 1 and group.batch_timeout_s > 0:
        yield Violation(group.policy, "a batch of 1 waits for nobody and needs no timeout")


def _runs_where_allowed(group: Group, service: Service) -> Iterator[Violation]:
    """In a pool of the service's fleet, on the device of that pool."""
    devices = {pool.name: pool.device for pool in service.fleet()}
    if group.device not in devices.values():
        yield Violation(group.policy, f"runs on {group.device}, the service asks for {' or '.join(service.devices())}")
    elif pool_of(group) not in devices:
        yield Violation(group.policy, f"runs in pool {group.pool!r}, the service has {', '.join(devices)}")
    elif devices[pool_of(group)] != group.device:
        yield Violation(group.policy, f"runs on {group.device}, pool {group.pool!r} has {devices[pool_of(group)]}")


def _limits_of_pools(plan: Plan) -> Iterator[Violation]:
    for pool in plan.service.pools:
        unit = "devices" if pool.device == "cuda" else "cores"
        yield from _above(f"pool {pool.name}", cores_of(plan.groups, pool.name), pool.cores, unit)
        yield from _above(f"memory of pool {pool.name}", memory_of(plan.groups, pool.name), pool.memory_bytes, "bytes")


def _replicas(plan: Plan) -> Iterator[Violation]:
    """Replicas of each stage: within their limit, or as many of each model as are fixed."""
    for stage in plan.service.stages:
        groups = [group for group in plan.groups if group.stage == stage.name]
        most = plan.service.limits.stage_replicas
        yield from _above(f"replica limit of {stage.name}", sum(one.replicas for one in groups), most, "replicas")
        if stage.replicas is None:
            continue
        for group in groups:
            if group.replicas != stage.replicas:
                yield Violation(group.policy, f"runs {group.replicas} replicas, {stage.replicas} are fixed")
        models = [group.model for group in groups]
        for model in sorted({model for model in models if models.count(model) > 1}):
            yield Violation(f"stage {stage.name}", f"{model!r} runs in several settings, its replicas are fixed")


def _limits(plan: Plan) -> Iterator[Violation]:
    """Cores, money, memory, replicas, batches, headroom and the SLO."""
    limits, service = plan.service.limits, plan.service
    yield from _limits_of_pools(plan)
    yield from _replicas(plan)
    yield from _above("core budget", sum(one.replicas * one.cores for one in plan.groups), limits.cores, "cores")
    yield from _above("budget", cost_of(service, plan.groups), limits.cost_per_hour, "an hour")
    memory = sum(one.replicas * one.memory_bytes for one in plan.groups)
    yield from _above("memory limit", memory, limits.memory_bytes, "bytes")
    yield from _above("replica limit", sum(one.replicas for one in plan.groups), limits.replicas, "replicas")
    for group in plan.groups:
        if limits.batch is not None and group.batch > limits.batch:
            yield Violation(group.policy, f"batches of {group.batch}, {limits.batch} allowed")
        if limits.memory_bytes is not None and not group.memory_bytes:
            yield Violation(group.policy, "memory is limited, and how much this needs is unknown")
        usable_rps = group.capacity_rps * (1 - service.headroom)
        if group.rate_rps / group.replicas > usable_rps * (1 + TOLERANCE):
            yield Violation(
                group.policy,
                f"each replica gets more than its capacity of {group.capacity_rps:.6g} rps"
                + (f" less {100 * service.headroom:g} % headroom" if service.headroom else ""),
            )
    if plan.promise.latency_s > service.serving_s * (1 + TOLERANCE):
        network = f", less {service.network_s:.6g} s of the network" if service.network_s else ""
        yield Violation("SLO", f"{plan.promise.latency_s:.6g} s are promised, {service.slo_s:.6g} s asked for{network}")


def _above(where: str, used: float, allowed: float | None, unit: str) -> Iterator[Violation]:
    if allowed is not None and used > allowed * (1 + TOLERANCE):
        yield Violation(where, f"{used:.10g} {unit} are used, {allowed:.10g} allowed")


def _promises(plan: Plan, profile: Profile) -> Iterator[Violation]:
    """What groups, plan and solver claim, beside what follows from the measurements."""
    service = plan.service
    choices = choose_models(profile, service)
    yield from _base_allocations(plan, profile, choices)
    datasets = {choice.stage: choice.dataset for choice in choices}
    points: dict[str, OperatingPoint] = {}
    expected: list[Group] = []
    for group in plan.groups:
        if not _is_known(group, profile, service):
            yield Violation(group.policy, f"batch {group.batch} on {group.cores} {group.device} cores was not measured")
            return
        point = restored_point(profile, group.policy, plan.policies[group.policy], datasets[group.stage])
        points[group.policy] = point
        if point.drop > service.max_drop + TOLERANCE:
            yield Violation(group.policy, f"loses {point.drop:.4f} of accuracy, {service.max_drop:.4f} allowed")
        server = _server(group, profile, point, plan)
        if is_overloaded(server.law, group.rate_rps / group.replicas):
            yield Violation(group.policy, "its replicas are overloaded")
            return
        yield from _is_sound(group, server.law, service)
        capacity_rps = _capacity_rps(group, server.law, service)
        if capacity_rps <= 0:
            yield Violation(group.policy, f"no batch of {group.batch} is answered within the SLO at any rate")
            return
        expected.append(promise_of_group(server, _deployment(group), capacity_rps))
        yield from _differences(group.policy, group, expected[-1])
    promise = promise_of_plan(service, expected, points, list(datasets.values()))
    yield from _differences("promise", plan.promise, promise)
    yield from (Violation(where, what) for where, what in doubts(plan, profile))
    yield from _aims(plan, levels_of(profile, choices), expected)


def _base_allocations(plan: Plan, profile: Profile, choices: Sequence[ModelChoice]) -> Iterator[Violation]:
    """Each replica has the cores that the base allocation of its stage gives its model."""
    for stage, choice in zip(plan.service.stages, choices, strict=True):
        for device in plan.service.devices() if stage.base_allocation else ():
            cores = base_cores(profile, plan.service, stage, choice, device) or {}
            for group in plan.groups:
                given = cores.get(group.model, group.cores)
                if (group.stage, group.device) == (stage.name, device) and group.cores != given:
                    yield Violation(group.policy, f"has {group.cores} cores, its base allocation is {given}")


def _is_known(group: Group, profile: Profile, service: Service) -> bool:
    """Whether the setting was measured or imported, or lies between such points where that is allowed."""
    if (group.device, group.cores, group.batch) in profile.settings_of(group.model):
        return True
    setting = Setting(cores=group.cores, batch=group.batch)
    return service.interpolate and setting in settings_between(profile, group.model, group.device)


def _is_sound(group: Group, law: Law, service: Service) -> Iterator[Violation]:
    """The batch timeout is the wait that the SLO check assumed, and a summary is of a quantile that is enough."""
    most_s = group_timeout_s(law, group.rate_rps, group.replicas, service.serving_s)
    if isinstance(law, PublishedLaw):
        if law.quantile < service.quantile:
            yield Violation(group.policy, f"rests on p{100 * law.quantile:g}, p{100 * service.quantile:g} is promised")
        if group.batch > 1 and group.share < 1:
            yield Violation(group.policy, "imported batches need the whole load of their stage to fill")
        if not _same(group.batch_timeout_s, most_s):
            yield Violation(group.policy, f"waits {group.batch_timeout_s:.6g} s for a batch, {most_s:.6g} s fill it")
    elif group.batch_timeout_s > most_s * (1 + TOLERANCE):
        yield Violation(group.policy, f"waits {group.batch_timeout_s:.6g} s for a batch, {most_s:.6g} s do")


def _server(group: Group, profile: Profile, point: OperatingPoint, plan: Plan) -> Server:
    quantile = stage_quantile(plan.service.quantile, len(plan.service.stages))
    if (group.device, group.cores, group.batch) not in profile.settings_of(group.model):
        setting = Setting(cores=group.cores, batch=group.batch)
        return replace(server_between(profile, group.stage, point, group.device, quantile, setting), pool=group.pool)
    for imported in profile.imported_points(group.model, group.device):
        if (imported.cores, imported.batch) == (group.cores, group.batch):
            return replace(make_published(imported, group.stage, point), pool=group.pool)
    timings = Timings(profile, group.model, group.device, group.cores, quantile)
    return replace(make_server(timings, group.stage, point, group.batch), pool=group.pool)


def _capacity_rps(group: Group, law: Law, service: Service) -> float:
    """What one replica can serve: of the parts of the SLO that may have been assumed, the one that the group states."""
    parts = [service.serving_s] if isinstance(law, PublishedLaw) else parts_of(service.serving_s, len(service.stages))
    capacities = [most_rps(law, part_s, service.rate_rps) for part_s in parts]
    return next((capacity for capacity in capacities if _same(capacity, group.capacity_rps)), capacities[-1])


def _deployment(group: Group) -> Deployment:
    return Deployment(
        replicas=group.replicas, share=group.share, rate_rps=group.rate_rps, batch_timeout_s=group.batch_timeout_s
    )  # fmt: skip


def _differences(where: str, stated: Document, expected: Document) -> Iterator[Violation]:
    for name in type(stated).model_fields:
        says, follows = getattr(stated, name), getattr(expected, name)
        if not _same(says, follows):
            yield Violation(where, f"{name} is stated as {says}, the measurements say {follows}")


def _aims(plan: Plan, levels: Levels, groups: Sequence[Group]) -> Iterator[Violation]:
    """The accuracy floor, the objective and its bound. groups: as the measurements have them."""
    service, solve = plan.service, plan.solve
    accuracy, floor = accuracy_of(service, levels, groups), service.accuracy_floor
    if floor is not None and accuracy < floor - TOLERANCE * max(1.0, floor):
        yield Violation("accuracy floor", f"the accuracy is {accuracy:.6g}, at least {floor:.6g} is asked for")
    latency_s = promised_latency_s(service, groups)
    objective = objective_of(service, levels, groups, latency_s)
    if not _same(objective, solve.objective):
        yield Violation("solve", f"the objective is stated as {solve.objective}, it is {objective}")
    proven = solve.status == "optimal" and service.objective != "latency"  # whose optimum is found by bisection
    farthest = objective + service.gap * abs(objective) if service.gap else objective
    is_proven = solve.bound <= farthest or _same(solve.bound, farthest)
    if solve.bound < solve.objective - TOLERANCE or (proven and not is_proven):
        yield Violation("solve", f"the bound {solve.bound} does not fit the objective {objective} ({solve.status})")
    if service.objective == "latency" and solve.bound > weighing_of(service).accuracy * len(service.stages):
        yield Violation("solve", f"the bound {solve.bound} asks for less than no latency")


def _same(one: object, other: object) -> bool:
    if isinstance(one, float) or isinstance(other, float):
        if not isinstance(one, (int, float)) or not isinstance(other, (int, float)):
            return False
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=1e-12)
    return one == other


def describe(violations: Sequence[Violation]) -> str:
    """The violations, a line each."""
    return "\n".join(str(violation) for violation in violations)
