"""Doubting a plan: every promise and every constraint computed again from the plan and the profile alone."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ttamer.planning.candidates import PARTS_OF_SLO, Server, make_server, stage_quantile
from ttamer.planning.exit_choice import OperatingPoint, restored_point
from ttamer.planning.model_choice import choose_models
from ttamer.planning.promises import Deployment, promise_of_group, promise_of_plan
from ttamer.planning.queueing import capacity_rps, saturation_rps
from ttamer.planning.service_times import Timings
from ttamer.profiles.errors import DocumentError
from ttamer.profiles.plan import Group, Plan
from ttamer.profiles.profile import Profile
from ttamer.profiles.schema import Document
from ttamer.profiles.service import Stage

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
    unknown = sorted({group.model for group in plan.groups} - set(profile.models))
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
    kind = plan.policies[group.policy].kind
    if stage.models and group.model not in stage.models:
        yield Violation(group.policy, f"{group.model!r} is not among the models of stage {stage.name!r}")
    if stage.policies and kind not in (*stage.policies, "last-exit"):
        yield Violation(group.policy, f"{kind} is not among the policies of stage {stage.name!r}")
    if group.device != plan.service.device:
        yield Violation(group.policy, f"runs on {group.device}, the service asks for {plan.service.device}")
    if not _same(group.rate_rps, group.share * plan.service.rate_rps):
        yield Violation(group.policy, f"{group.rate_rps:.6g} rps are not its share of {plan.service.rate_rps:.6g} rps")
    if group.batch == 1 and group.batch_timeout_s > 0:
        yield Violation(group.policy, "a batch of 1 waits for nobody and needs no timeout")


def _limits(plan: Plan) -> Iterator[Violation]:
    """Cores, replicas, batches and the SLO."""
    limits, service = plan.service.limits, plan.service
    cores = sum(group.replicas * group.cores for group in plan.groups)
    replicas = sum(group.replicas for group in plan.groups)
    if limits.cores is not None and cores > limits.cores:
        yield Violation("core budget", f"{cores} cores are used, {limits.cores} allowed")
    if replicas > limits.replicas:
        yield Violation("replica limit", f"{replicas} replicas are used, {limits.replicas} allowed")
    for group in plan.groups:
        if limits.batch is not None and group.batch > limits.batch:
            yield Violation(group.policy, f"batches of {group.batch}, {limits.batch} allowed")
        if group.rate_rps / group.replicas > group.capacity_rps * (1 + TOLERANCE):
            yield Violation(group.policy, f"each replica gets more than its capacity of {group.capacity_rps:.6g} rps")
    if plan.promise.latency_s > service.slo_s * (1 + TOLERANCE):
        yield Violation("SLO", f"{plan.promise.latency_s:.6g} s are promised, {service.slo_s:.6g} s asked for")


def _promises(plan: Plan, profile: Profile) -> Iterator[Violation]:
    """What groups, plan and solver claim, beside what follows from the measurements."""
    service = plan.service
    datasets = [choice.dataset for choice in choose_models(profile, service)]
    by_stage = dict(zip((stage.name for stage in service.stages), datasets, strict=True))
    points: dict[str, OperatingPoint] = {}
    expected: list[Group] = []
    for group in plan.groups:
        if (group.device, group.cores, group.batch) not in profile.settings_of(group.model):
            yield Violation(group.policy, f"batch {group.batch} on {group.cores} {group.device} cores was not measured")
            return
        spec = plan.policies[group.policy]
        point = restored_point(profile, group.policy, spec, by_stage[group.stage])
        points[group.policy] = point
        if point.drop > service.max_drop + TOLERANCE:
            yield Violation(group.policy, f"loses {point.drop:.4f} of accuracy, {service.max_drop:.4f} allowed")
        server = _server(group, profile, point, plan)
        if group.rate_rps / group.replicas >= saturation_rps(server.law):
            yield Violation(group.policy, "its replicas are overloaded")
            return
        expected.append(_expected(group, server, plan))
        yield from _differences(group.policy, group, expected[-1])
    yield from _differences("promise", plan.promise, promise_of_plan(service, expected, points, datasets))
    yield from _objective(plan)


def _server(group: Group, profile: Profile, point: OperatingPoint, plan: Plan) -> Server:
    quantile = stage_quantile(plan.service.quantile, len(plan.service.stages))
    timings = Timings(profile, group.model, group.device, group.cores, quantile)
    return make_server(timings, group.stage, point, group.batch)


def _expected(group: Group, server: Server, plan: Plan) -> Group:
    use = Deployment(
        replicas=group.replicas, share=group.share, rate_rps=group.rate_rps, batch_timeout_s=group.batch_timeout_s
    )  # fmt: skip
    slo_s, several = plan.service.slo_s, len(plan.service.stages) > 1
    parts = [slo_s * part / PARTS_OF_SLO for part in range(1, PARTS_OF_SLO)] if several else [slo_s]
    capacities = [capacity_rps(server.law, part_s) for part_s in parts]
    claimed = [capacity for capacity in capacities if _same(capacity, group.capacity_rps)]
    return promise_of_group(server, use, claimed[0] if claimed else capacities[-1])


def _differences(where: str, stated: Document, expected: Document) -> Iterator[Violation]:
    for name in type(stated).model_fields:
        says, follows = getattr(stated, name), getattr(expected, name)
        if not _same(says, follows):
            yield Violation(where, f"{name} is stated as {says}, the measurements say {follows}")


def _objective(plan: Plan) -> Iterator[Violation]:
    weights, solve = plan.service.weights, plan.solve
    accuracy = sum(group.share * (group.accuracy or 0.0) for group in plan.groups)
    cores = sum(group.replicas * group.cores for group in plan.groups)
    batches = sum(group.batch for group in plan.groups)
    objective = weights.accuracy * accuracy - weights.cost * cores - weights.batch * batches
    if not _same(objective, solve.objective):
        yield Violation("solve", f"the objective is stated as {solve.objective}, it is {objective}")
    if solve.bound < solve.objective - TOLERANCE or (solve.status == "optimal" and not _same(solve.bound, objective)):
        yield Violation("solve", f"the bound {solve.bound} does not fit the objective {objective} ({solve.status})")


def _same(one: object, other: object) -> bool:
    if isinstance(one, float) or isinstance(other, float):
        if not isinstance(one, (int, float)) or not isinstance(other, (int, float)):
            return False
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=1e-12)
    return one == other


def describe(violations: Sequence[Violation]) -> str:
    """The violations, a line each."""
    return "\n".join(str(violation) for violation in violations)
