"""How far a plan stays from each of its limits, in the limit's own unit."""

from collections.abc import Iterator, Mapping, Sequence

from ttamer.planning.exit_choice import OperatingPoint
from ttamer.planning.naming import name_of
from ttamer.planning.valuation import Levels, accuracy_of, cores_of, cost_of, memory_of
from ttamer.profiles.plan import Group, Promise
from ttamer.profiles.schema import Document
from ttamer.profiles.service import Pool, Service

SLACKLESS = 1e-9  # relative slack below which a constraint binds


class Slack(Document):
    """One constraint of a plan: what is used, what is allowed, what is left, all in `unit`."""

    constraint: str
    unit: str
    used: float
    allowed: float
    slack: float
    binds: bool

    @property
    def is_broken(self) -> bool:
        """Whether the limit is exceeded, by more than the rounding of sums."""
        return self.slack < -SLACKLESS * max(abs(self.allowed), abs(self.used))


def slacks(
    service: Service, groups: Sequence[Group], promise: Promise, points: Mapping[str, OperatingPoint], levels: Levels
) -> Iterator[Slack]:
    """Every constraint that has a limit. points: by policy name; levels: accuracies by stage that ranks count in."""
    yield _at_most("SLO", "s", promise.latency_s + service.network_s, service.slo_s)
    for group in groups:
        usable_rps = group.capacity_rps * (1 - service.headroom)
        yield _at_most(f"rate of each {name_of(group, groups)}", "rps", group.rate_rps / group.replicas, usable_rps)
    yield from _budgets(service, groups)
    if service.accuracy_floor is not None:
        yield _at_least("accuracy floor", "accuracy", accuracy_of(service, levels, groups), service.accuracy_floor)
    for group in groups:
        if points[group.policy].paths is not None and service.max_drop < 1:
            yield _at_most(f"accuracy drop of {group.policy}", "fraction", points[group.policy].drop, service.max_drop)


def _budgets(service: Service, groups: Sequence[Group]) -> Iterator[Slack]:
    limits = service.limits
    if limits.cores is not None:
        cores = sum(group.replicas * group.cores for group in groups)
        yield _at_most("core budget", "cores", cores, limits.cores)
    for pool in service.pools:
        yield from _budgets_of_pool(pool, groups)
    if limits.cost_per_hour is not None:
        yield _at_most("budget", "an hour", cost_of(service, groups), limits.cost_per_hour)
    if limits.memory_bytes is not None:
        memory = sum(group.replicas * group.memory_bytes for group in groups)
        yield _at_most("memory limit", "bytes", memory, limits.memory_bytes)
    yield _at_most("replica limit", "replicas", sum(group.replicas for group in groups), limits.replicas)
    if limits.stage_replicas is not None:
        for stage in service.stages:
            replicas = sum(group.replicas for group in groups if group.stage == stage.name)
            yield _at_most(f"replica limit of {stage.name}", "replicas", replicas, limits.stage_replicas)
    if limits.batch is not None:
        yield _at_most("batch limit", "requests", max(group.batch for group in groups), limits.batch)


def _budgets_of_pool(pool: Pool, groups: Sequence[Group]) -> Iterator[Slack]:
    if pool.cores is not None:
        unit = "devices" if pool.device == "cuda" else "cores"
        yield _at_most(f"pool {pool.name}", unit, cores_of(groups, pool.name), pool.cores)
    if pool.memory_bytes is not None:
        yield _at_most(f"memory of pool {pool.name}", "bytes", memory_of(groups, pool.name), pool.memory_bytes)


def _at_least(constraint: str, unit: str, reached: float, asked: float) -> Slack:
    """A limit from below: what is reached is used, and what is above the limit is left."""
    slack = reached - asked
    return Slack(
        constraint=constraint, unit=unit, used=reached, allowed=asked, slack=slack,
        binds=slack <= SLACKLESS * max(abs(asked), abs(reached)),
    )  # fmt: skip


def _at_most(constraint: str, unit: str, used: float, allowed: float) -> Slack:
    slack = allowed - used
    return Slack(
        constraint=constraint, unit=unit, used=used, allowed=allowed,
        slack=slack, binds=slack <= SLACKLESS * max(abs(allowed), abs(used)),
    )  # fmt: skip
