"""Easing one demand of a service as little as it takes, by what the demand is.

Every value is tried as it would be typed, in the words that name it.
"""

import math
from collections.abc import Callable

from ttamer.planning.conflict import (
    FARTHEST,
    PLENTY,
    Demand,
    accuracy,
    count,
    demands,
    duration,
    memory,
    percent,
    plain,
    rate,
    with_limits,
    with_pool,
)
from ttamer.planning.feasibility import Feasibility
from ttamer.planning.two_digits import first_that, step_above, step_below, two_digits
from ttamer.profiles.service import Pool, Prices, Service
from ttamer.profiles.units import parse_duration_s, parse_fraction, parse_rate_rps

MEBIBYTE = 2**20
Found = tuple[str, Service] | None


def _raise_slo(service: Service, feasibility: Feasibility) -> Found:
    def eased(slo_s: float) -> Service:
        return service.model_copy(update={"slo_s": parse_duration_s(duration(slo_s))})

    first, last = step_above(service.slo_s), step_above(FARTHEST * service.slo_s)
    step = first_that(lambda step: feasibility.is_feasible(eased(two_digits(step))), first, last)
    return None if step is None else (f"raise the SLO to {duration(two_digits(step))}", eased(two_digits(step)))


def _lower_rate(service: Service, feasibility: Feasibility) -> Found:
    def eased(rate_rps: float) -> Service:
        return service.model_copy(update={"rate_rps": parse_rate_rps(rate(rate_rps))})

    first, last = -step_below(service.rate_rps), -step_below(service.rate_rps / FARTHEST)
    step = first_that(lambda step: feasibility.is_feasible(eased(two_digits(-step))), first, last)
    return None if step is None else (f"lower the rate to {rate(two_digits(-step))}", eased(two_digits(-step)))


def _allow_cores(service: Service, feasibility: Feasibility) -> Found:
    if service.limits.cost_per_hour is not None:  # it stands in prices, which cores are not counted in
        return _allow_count(service, feasibility, "cores", "core", PLENTY)
    free = with_limits(service, cores=None).model_copy(update={"prices": Prices()})
    solution = feasibility.cheapest(free)
    if solution.status == "infeasible":
        return None
    least = 1 if solution.status != "optimal" else round(-solution.objective)
    return _allow_count(service, feasibility, "cores", "core", round(-solution.objective), least)


def _allow_replicas(service: Service, feasibility: Feasibility) -> Found:
    return _allow_count(service, feasibility, "replicas", "replica", PLENTY)


def _allow_count(
    service: Service, feasibility: Feasibility, limit: str, noun: str, most: int, least: int = 1
) -> Found:  # fmt: skip
    """The smallest whole number from the least up to the most that does as one of the limits."""

    def eased(number: int) -> Service:
        return with_limits(service, **{limit: number})

    if not feasibility.is_feasible(eased(most)):
        return None
    first = max(least, getattr(service.limits, limit) + 1)
    number = first_that(lambda number: feasibility.is_feasible(eased(number)), first, most)
    return None if number is None else (f"allow {count(number, noun)}", eased(number))


def _allow_memory(service: Service, feasibility: Feasibility) -> Found:
    def eased(step: int) -> Service:
        return with_limits(service, memory_bytes=round(two_digits(step)) * MEBIBYTE)

    asked = (service.limits.memory_bytes or MEBIBYTE) / MEBIBYTE
    first = max(step_above(asked), step_above(10))
    step = first_that(lambda step: feasibility.is_feasible(eased(step)), first, step_above(max(10, FARTHEST * asked)))
    if step is None:
        return None
    return f"allow {memory(eased(step).limits.memory_bytes or 0)} of memory", eased(step)


def _allow_cost(service: Service, feasibility: Feasibility) -> Found:
    solution = feasibility.cheapest(with_limits(service, cost_per_hour=None))
    if solution.status == "infeasible":
        return None

    def eased(step: int) -> Service:
        return with_limits(service, cost_per_hour=two_digits(step))

    least, enough = step_above(service.limits.cost_per_hour or 1.0), step_above(max(-solution.objective, 1e-9)) + 1
    step = first_that(lambda step: feasibility.is_feasible(eased(step)), least, enough)
    return None if step is None else (f"allow {plain(two_digits(step))} an hour", eased(step))


def _lower_floor(service: Service, feasibility: Feasibility) -> Found:
    def eased(thousandths: int) -> Service:
        floor = thousandths / 1000
        return service.model_copy(update={"accuracy_floor": parse_fraction(accuracy(floor)) if floor <= 1 else floor})

    asked = math.ceil(1000 * (service.accuracy_floor or 0.0) - 1e-9)
    most = feasibility.most_accurate(service)
    if most.status == "infeasible":
        return None
    reached = min(asked - 1, math.floor(1000 * most.objective + 1e-6))
    step = first_that(lambda step: feasibility.is_feasible(eased(-step)), -reached, 0)
    if step is None:
        return None
    return f"lower the accuracy floor to {accuracy(-step / 1000)}", eased(-step)


def _allow_drop(service: Service, feasibility: Feasibility) -> Found:
    def eased(fraction: float) -> Service:
        return service.model_copy(update={"max_drop": parse_fraction(percent(fraction))})

    free = service.model_copy(update={"max_drop": 1.0})
    drops = {server.point.drop for server in feasibility.servers(free) if server.point.drop > service.max_drop}
    for drop in sorted({math.ceil(1000 * drop - 1e-6) / 1000 for drop in drops}):
        if feasibility.is_feasible(eased(drop)):
            return f"allow an accuracy drop of {percent(drop)}", eased(drop)
    return None


def _allow_batch(service: Service, feasibility: Feasibility) -> Found:
    free = with_limits(service, batch=None)
    for batch in sorted({server.batch for server in feasibility.servers(free)}):
        eased = with_limits(service, batch=batch)
        if batch > (service.limits.batch or 0) and feasibility.is_feasible(eased):
            return f"allow batches of {batch}", eased
    return None


def _allow_mix(service: Service, feasibility: Feasibility) -> Found:
    eased = service.model_copy(update={"mix": True})
    return ("let models share the load", eased) if feasibility.is_feasible(eased) else None


def _spare_headroom(service: Service, feasibility: Feasibility) -> Found:
    def eased(hundredths: int) -> Service:
        return service.model_copy(update={"headroom": parse_fraction(percent(hundredths / 100))})

    asked = math.ceil(100 * service.headroom - 1e-9)
    step = first_that(lambda step: feasibility.is_feasible(eased(-step)), 1 - asked, 0)
    return None if step is None else (f"lower the headroom to {percent(-step / 100)}", eased(-step))


def _quicken_network(service: Service, feasibility: Feasibility) -> Found:
    def eased(step: int) -> Service:
        return service.model_copy(update={"network_s": parse_duration_s(duration(two_digits(-step)))})

    first, last = -step_below(service.network_s), -step_below(service.network_s / FARTHEST)
    step = first_that(lambda step: feasibility.is_feasible(eased(step)), first, last)
    return None if step is None else (f"bring the network down to {duration(two_digits(-step))}", eased(step))


def _allow_in_pool(pool: Pool) -> Callable[[Service, Feasibility], Found]:
    """The fewest more cores or devices of a pool that do."""

    def allow(service: Service, feasibility: Feasibility) -> Found:
        def eased(number: int) -> Service:
            return with_pool(service, pool.name, cores=number)

        if pool.cores is None or not feasibility.is_feasible(eased(PLENTY)):
            return None
        number = first_that(lambda number: feasibility.is_feasible(eased(number)), pool.cores + 1, PLENTY)
        if number is None:
            return None
        unit = "device" if pool.device == "cuda" else "core"
        return f"allow {count(number, unit)} in pool {pool.name}", eased(number)

    return allow


def easings(service: Service) -> dict[str, Callable[[Service, Feasibility], Found]]:
    """How to ease each demand of a service, by the demand's name."""
    pools = {f"pool {pool.name}": _allow_in_pool(pool) for pool in service.pools}
    known = EASINGS | pools
    return known | {demand.name: _do_without(demand) for demand in demands(service) if demand.name not in known}


def _do_without(demand: Demand) -> Callable[[Service, Feasibility], Found]:
    """What has no measure is kept or dropped."""

    def drop(service: Service, feasibility: Feasibility) -> Found:
        eased = demand.without(service)
        return (f"do without {demand.words}", eased) if feasibility.is_feasible(eased) else None

    return drop


EASINGS: dict[str, Callable[[Service, Feasibility], Found]] = {
    "SLO": _raise_slo,
    "network": _quicken_network,
    "load": _lower_rate,
    "cores": _allow_cores,
    "replicas": _allow_replicas,
    "memory": _allow_memory,
    "cost": _allow_cost,
    "accuracy": _lower_floor,
    "max-drop": _allow_drop,
    "batch": _allow_batch,
    "mix": _allow_mix,
    "headroom": _spare_headroom,
}
