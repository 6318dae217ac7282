"""What a service demands, one thing at a time, and which of it cannot hold together."""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from ttamer.profiles.service import Limits, Service

FARTHEST = 1024.0  # times the SLO, or of the load: whatever needs more is of another kind
PLENTY = 10**6  # replicas


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """One thing that a service asks for, in words, and how to ask for everything else alone."""

    name: str
    words: str
    without: Callable[[Service], Service]


def demands(service: Service) -> Iterator[Demand]:
    """Everything the service demands, what is least likely to matter first."""
    limits = service.limits
    yield Demand(name="replicas", words=f"{limits.replicas} replicas", without=_unlimited(replicas=PLENTY))
    if not service.mix:
        yield Demand(name="mix", words="one model a stage", without=_changed(mix=True))
    if limits.batch is not None:
        yield Demand(name="batch", words=f"batches of at most {limits.batch}", without=_unlimited(batch=None))
    if service.headroom > 0:
        yield Demand(
            name="headroom", words=f"a headroom of {percent(service.headroom)}", without=_changed(headroom=0.0)
        )
    if service.max_drop < 1:
        words = f"an accuracy drop of at most {percent(service.max_drop)}"
        yield Demand(name="max-drop", words=words, without=_changed(max_drop=1.0))
    if service.mean_latency_s is not None:
        words = f"a mean latency of at most {duration(service.mean_latency_s)} alone"
        yield Demand(name="mean-latency", words=words, without=_changed(mean_latency_s=None))
    if service.risk is not None:
        words = f"a {service.risk_of} of at most {percent(service.risk)}, guaranteed"
        yield Demand(name="risk", words=words, without=_changed(risk=None))
    if limits.memory_bytes is not None:
        yield Demand(
            name="memory", words=f"{memory(limits.memory_bytes)} of memory", without=_unlimited(memory_bytes=None)
        )
    yield from _demands_of_stages(service)
    if service.network_s:
        words = f"{duration(service.network_s)} on the network"
        yield Demand(name="network", words=words, without=_changed(network_s=0.0))
    for pool in service.pools:
        if pool.memory_bytes is not None:
            words = f"{memory(pool.memory_bytes)} of memory in pool {pool.name}"
            yield Demand(
                name=f"memory of pool {pool.name}", words=words, without=_unlimited_pool(pool.name, memory_bytes=None)
            )
        if pool.cores is not None:
            words = f"{count(pool.cores, 'device' if pool.device == 'cuda' else 'core')} in pool {pool.name}"
            yield Demand(name=f"pool {pool.name}", words=words, without=_unlimited_pool(pool.name, cores=None))
    if limits.cost_per_hour is not None:
        words = f"a budget of {plain(limits.cost_per_hour)} an hour"
        yield Demand(name="cost", words=words, without=_unlimited(cost_per_hour=None))
    if service.accuracy_floor is not None:
        words = f"an accuracy of at least {accuracy(service.accuracy_floor)}"
        yield Demand(name="accuracy", words=words, without=_changed(accuracy_floor=None))
    if limits.cores is not None:
        yield Demand(name="cores", words=f"a budget of {count(limits.cores, 'core')}", without=_unlimited(cores=None))
    yield Demand(name="SLO", words=f"an SLO of {duration(service.slo_s)}", without=_slower)
    yield Demand(name="load", words=f"a load of {rate(service.rate_rps)}", without=_idler)


def _demands_of_stages(service: Service) -> Iterator[Demand]:
    """What is fixed or limited of stages one by one."""
    if service.limits.stage_replicas is not None:
        words = f"{count(service.limits.stage_replicas, 'replica')} a stage"
        yield Demand(name="stage replicas", words=words, without=_unlimited(stage_replicas=None))
    for stage in service.stages:
        if stage.replicas is not None:
            words = f"exactly {count(stage.replicas, 'replica')} of each model of {stage.name}"
            yield Demand(name=f"replicas of {stage.name}", words=words, without=_freed_stage(stage.name, replicas=None))
        if stage.base_allocation is not None:
            words = f"the base allocation of {stage.name}"
            yield Demand(
                name=f"base allocation of {stage.name}",
                words=words,
                without=_freed_stage(stage.name, base_allocation=None),
            )


def irreducible(
    service: Service, is_feasible: Callable[[Service], bool], *, exchanged: Collection[str] = ()
) -> tuple[Demand, ...]:
    """Demands that cannot hold together though any one of them could be dropped to make room for the others.

    The service itself must be infeasible. By deletion: whatever can be dropped while it stays so, is.
    exchanged: names of demands without which other things are lost, so that they are dropped only if that helps.
    """
    kept: list[Demand] = []
    for demand in demands(service):
        eased = demand.without(service)
        if is_feasible(eased):
            kept.append(demand)
        elif demand.name not in exchanged:
            service = eased
    return tuple(kept)


def listed(words: Sequence[str]) -> str:
    """Words as a list in a sentence.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def duration(seconds: float) -> str:
    """Seconds as the command line takes them."""
    return f"{plain(seconds)}s" if seconds >= 1 else f"{plain(1e3 * seconds, 3)}ms"


def rate(rate_rps: float) -> str:
    """A rate as the command line takes it."""
    return f"{plain(rate_rps)}rps"


def plain(value: float, digits: int = 6) -> str:
    """A number from zero up with so many significant digits, without an exponent; whole digits all stay.

    >>> plain(1e6), plain(0.00001234567), plain(2.5), plain(1234567.8)
    ('1000000', '0.0000123457', '2.5', '1234568')
    """
    decimals = max(0, digits - 1 - math.floor(math.log10(value))) if value > 0 else 0
    return f"{value:.{decimals}f}".rstrip("0").rstrip(".") if decimals else f"{value:.0f}"


def percent(fraction: float) -> str:
    """A fraction as the command line takes it."""
    return f"{100 * fraction:.6g}%"


def accuracy(value: float) -> str:
    """An accuracy in percent; a sum over stages can exceed 1 and stays a number."""
    return percent(value) if value <= 1 else plain(value)


def memory(size_bytes: int) -> str:
    """Bytes as the command line takes them."""
    return f"{plain(size_bytes / 2**20)}MiB"


def count(number: int, noun: str) -> str:
    """So many of something."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _changed(**changes: object) -> Callable[[Service], Service]:
    return lambda service: service.model_copy(update=changes)


def _unlimited(**changes: object) -> Callable[[Service], Service]:
    return lambda service: with_limits(service, **changes)


def with_limits(service: Service, **changes: object) -> Service:
    """The service with other limits."""
    limits: Limits = service.limits.model_copy(update=changes)
    return service.model_copy(update={"limits": limits})


def with_pool(service: Service, name: str, **changes: object) -> Service:
    """The service with other limits of one pool."""
    pools = tuple(pool.model_copy(update=changes) if pool.name == name else pool for pool in service.pools)
    return service.model_copy(update={"pools": pools})


def _unlimited_pool(name: str, **changes: object) -> Callable[[Service], Service]:
    return lambda service: with_pool(service, name, **changes)


def _freed_stage(name: str, **changes: object) -> Callable[[Service], Service]:
    def freed(service: Service) -> Service:
        stages = tuple(one.model_copy(update=changes) if one.name == name else one for one in service.stages)
        return service.model_copy(update={"stages": stages})

    return freed


def _slower(service: Service) -> Service:
    return service.model_copy(update={"slo_s": FARTHEST * service.slo_s})


def _idler(service: Service) -> Service:
    return service.model_copy(update={"rate_rps": service.rate_rps / FARTHEST})
