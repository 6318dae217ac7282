"""What a service wants, in the terms of the program: weights, prices, accuracies that count, and what runs already."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from ttamer.planning.model_choice import ModelChoice, last_exit_row
from ttamer.planning.problem import AIMS, SECOND_TO_NONE, Pool
from ttamer.profiles.errors import InputError
from ttamer.profiles.plan import Group
from ttamer.profiles.profile import Profile
from ttamer.profiles.service import Service

Levels = Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing:
    """What one unit counts in the objective: accuracy, cost, a request of batch, a second of latency or of loading."""

    accuracy: float
    cost: float
    batch: float
    latency: float
    loading: float


def weighing_of(service: Service) -> Weighing:
    """The weights of the service, or those of its single aim: what else counts then only decides between equals."""
    given = service.weights
    if service.objective == "weighted":
        return Weighing(
            accuracy=given.accuracy, cost=given.cost, batch=given.batch, latency=0.0, loading=given.loading
        )  # fmt: skip
    aim = AIMS[service.objective]
    return Weighing(
        accuracy=aim.get("accuracy_weight", 0.0),
        cost=aim.get("cost_weight", 0.0),
        batch=SECOND_TO_NONE**2,
        latency=aim.get("latency_weight", 0.0),
        loading=0.0,
    )


def pools_of(service: Service) -> tuple[Pool, ...]:
    """The machines to run on, with their prices and limits.

    Raises InputError if money is limited and nothing has a price.
    """
    if service.limits.cost_per_hour is not None and not service.is_priced:
        field = "device_hour" if service.device == "cuda" else "core_hour"
        raise InputError(
            f"a budget of {service.limits.cost_per_hour:g} an hour, but {service.device} has no price",
            remedy=f"give prices: {field}, or a budget in cores",
        )
    return tuple(
        Pool(name=pool.name, price=pool.price, most_cores=pool.cores, most_memory_bytes=pool.memory_bytes)
        for pool in service.fleet()
    )


def pool_of(group: Group) -> str:
    """The name of the pool that a group runs in; of the one pool of its device where it names none."""
    return group.pool or group.device


def cores_of(groups: Sequence[Group], pool: str) -> int:
    """Cores that the groups take of a pool (of GPUs: devices)."""
    return sum(group.replicas * group.cores for group in groups if pool_of(group) == pool)


def memory_of(groups: Sequence[Group], pool: str) -> int:
    """Bytes of memory that the groups take of a pool."""
    return sum(group.replicas * group.memory_bytes for group in groups if pool_of(group) == pool)


def most_cores_of(service: Service) -> int | None:
    """The cores and devices that the service's limits on them allow in all; None if any pool has no limit."""
    if not service.pools:
        return service.limits.cores
    limits = [pool.cores for pool in service.pools if pool.cores is not None]
    return sum(limits) if len(limits) == len(service.pools) else None


def levels_of(profile: Profile, choices: Sequence[ModelChoice]) -> Levels:
    """The accuracies of the models' last exits by stage, ascending: what ranks are counted in."""
    levels: dict[str, tuple[float, ...]] = {}
    for choice in choices:
        rows = [last_exit_row(profile, model, choice.dataset) for model in choice.models if choice.dataset is not None]
        levels[choice.stage] = tuple(sorted(row.accuracy for row in rows if row is not None))
    return levels


def counted_accuracy(service: Service, levels: Levels, stage: str, accuracy: float | None) -> float:
    """The accuracy as the objective counts it; 0 if it is unknown.

    By rank: the share of the stage's other models that are less accurate at their last exit, 1 for a single model.
    Source of the ranks: IPA (JSys 2024), ordinal rank / (variants − 1).
    """
    if accuracy is None:
        return 0.0
    if service.accuracy_scale == "raw":
        return accuracy
    others = len(levels[stage]) - 1
    below = sum(level < accuracy for level in levels[stage])
    return min(1.0, below / others) if others > 0 else 1.0


def aggregated(service: Service, accuracies: Sequence[float]) -> float:
    """One accuracy of those of the stages."""
    if service.aggregation == "product":
        return prod(accuracies)
    return sum(accuracies) / (len(accuracies) if service.aggregation == "mean" else 1)


def running_of(service: Service, stage: str, model: str, cores: int, pool: str) -> int:
    """Replicas of the model with as many cores that run today: another exit policy or batch needs no loading."""
    return sum(
        one.replicas
        for one in service.current
        if (one.stage, one.model, one.cores) == (stage, model, cores) and one.pool in ("", pool)
    )


def cost_of(service: Service, groups: Sequence[Group]) -> float:
    """What the groups cost: money an hour, or cores if those have no price."""
    return sum(pool.price * cores_of(groups, pool.name) for pool in service.fleet())


def loading_s(service: Service, groups: Sequence[Group]) -> float:
    """The longest load time of a group with more replicas than run today."""
    started = (
        group.load_time_s
        for group in groups
        if group.replicas > running_of(service, group.stage, group.model, group.cores, pool_of(group))
    )
    return max(started, default=0.0)


def accuracy_of(service: Service, levels: Levels, groups: Sequence[Group]) -> float:
    """The accuracy that the objective counts and that a floor bounds."""
    by_stage = dict.fromkeys((stage.name for stage in service.stages), 0.0)
    for group in groups:
        by_stage[group.stage] += group.share * counted_accuracy(service, levels, group.stage, group.accuracy)
    return aggregated(service, list(by_stage.values()))


def objective_of(service: Service, levels: Levels, groups: Sequence[Group], latency_s: float) -> float:
    """What a plan with these groups and this end-to-end latency is worth."""
    weighing = weighing_of(service)
    value = weighing.accuracy * accuracy_of(service, levels, groups) - weighing.cost * cost_of(service, groups)
    value -= weighing.batch * sum(group.batch for group in groups)
    return value - weighing.latency * latency_s - weighing.loading * loading_s(service, groups)
