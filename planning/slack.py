"""How far a plan stays from each of its limits, in the limit's own unit."""

from collections.abc import Iterator, Mapping

from ttamer.planning.exit_choice import OperatingPoint
from ttamer.profiles.plan import Group, Plan
from ttamer.profiles.schema import Document

SLACKLESS = 1e-9  # relative slack below which a constraint binds


class Slack(Document):
    """One constraint of a plan: what is used, what is allowed, what is left, all in `unit`."""

    constraint: str
    unit: str
    used: float
    allowed: float
    slack: float
    binds: bool


def slacks(plan: Plan, points: Mapping[str, OperatingPoint]) -> Iterator[Slack]:
    """Every constraint that has a limit. points: by policy name."""
    service, promise = plan.service, plan.promise
    yield _at_most("SLO", "s", promise.latency_s, service.slo_s)
    for group in plan.groups:
        each_rps = group.rate_rps / group.replicas
        yield _at_most(f"rate of each {name_of(group, plan)}", "rps", each_rps, group.capacity_rps)
    yield from _budgets(plan)
    for group in plan.groups:
        if points[group.policy].paths is not None and service.max_drop < 1:
            yield _at_most(f"accuracy drop of {group.policy}", "fraction", points[group.policy].drop, service.max_drop)


def name_of(group: Group, plan: Plan) -> str:
    """The group's policy, and its setting too if other groups share the policy."""
    alike = [one for one in plan.groups if one.policy == group.policy]
    cores = "1 core" if group.cores == 1 else f"{group.cores} cores"
    return group.policy if len(alike) == 1 else f"{group.policy} on {cores} at batch {group.batch}"


def _budgets(plan: Plan) -> Iterator[Slack]:
    limits = plan.service.limits
    if limits.cores is not None:
        yield _at_most("core budget", "cores", plan.promise.cores, limits.cores)
    yield _at_most("replica limit", "replicas", sum(group.replicas for group in plan.groups), limits.replicas)
    if limits.batch is not None:
        yield _at_most("batch limit", "requests", max(group.batch for group in plan.groups), limits.batch)


def _at_most(constraint: str, unit: str, used: float, allowed: float) -> Slack:
    slack = allowed - used
    return Slack(
        constraint=constraint, unit=unit, used=used, allowed=allowed,
        slack=slack, binds=slack <= SLACKLESS * max(abs(allowed), abs(used)),
    )  # fmt: skip
