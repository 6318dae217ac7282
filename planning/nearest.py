"""Saying why there is no plan, and which service close by could be had."""

import math
from collections.abc import Callable, Sequence

from ttamer.planning.candidates import Server
from ttamer.planning.problem import Solution
from ttamer.profiles.errors import InfeasibleError
from ttamer.profiles.service import Limits, Service, Weights

FARTHEST = 1024.0  # times the SLO asked for: whatever needs more is of another kind
PRECISION = 0.005  # relative; the answer is rounded to two digits anyway
UNLIMITED = Limits(cores=None, replicas=10**6)
CHEAPEST = Weights(accuracy=0.0, cost=1.0, batch=0.0)

Solves = Callable[[Service], Solution]


def infeasible(service: Service, servers: Sequence[Server], solve: Solves) -> InfeasibleError:
    """The error for a service that cannot be had, with the nearest SLO, rate and core budget that can.

    solve: the solution for a service, under its own SLO, load and limits.
    """
    asked = f"{_rate(service.rate_rps)} within {_duration(service.slo_s)} at p{100 * service.quantile:g}"
    unlimited = _least_cores(service, solve)
    ways = [
        _raise_slo(service, solve),
        _lower_rate(service, solve),
        f"allow {unlimited} cores" if unlimited is not None and service.limits.cores is not None else None,
    ]
    remedy = " or ".join(way for way in ways if way)
    return InfeasibleError(
        f"no plan serves {asked}: {_conflict(service, servers, unlimited, solve)}",
        remedy=remedy or "profile a faster model, more cores or larger batches",
    )


def _conflict(service: Service, servers: Sequence[Server], least_cores: int | None, solve: Solves) -> str:
    fastest = [
        min((server for server in servers if server.stage == stage.name), key=lambda server: server.law.answer_s)
        for stage in service.stages
    ]
    idle_s = sum(server.law.answer_s for server in fastest)
    if idle_s > service.slo_s:
        names = ", then ".join(f"{server.point.name} on {server.cores} {server.device} cores" for server in fastest)
        return (
            f"the SLO is too tight for any model, the fastest ({names}) needs {_duration(idle_s)} without any waiting"
        )
    limits = service.limits
    if least_cores is not None and limits.cores is not None and least_cores > limits.cores:
        return f"that takes {least_cores} cores and the budget is {limits.cores}"
    if _is_feasible(service.model_copy(update={"limits": UNLIMITED}), solve):
        cores = f"{limits.cores} cores and " if limits.cores is not None else ""
        return f"{cores}{limits.replicas} replicas are too few"
    return "the SLO leaves the stages no time to queue"


def _least_cores(service: Service, solve: Solves) -> int | None:
    """The smallest core budget that works; None if no budget does."""
    limits = service.limits.model_copy(update={"cores": None})
    solution = solve(service.model_copy(update={"limits": limits, "weights": CHEAPEST}))
    return None if solution.status == "infeasible" else round(-solution.objective)


def _raise_slo(service: Service, solve: Solves) -> str | None:
    """The nearest SLO that can be kept, in words."""

    def is_kept(slo_s: float) -> bool:
        return _is_feasible(service.model_copy(update={"slo_s": slo_s}), solve)

    low, high = service.slo_s, 2 * service.slo_s
    while not is_kept(high):
        low, high = high, 2 * high
        if high > FARTHEST * service.slo_s:
            return None
    return f"raise the SLO to {_duration(_round_up(_bisect(is_kept, high, low)))}"


def _lower_rate(service: Service, solve: Solves) -> str | None:
    """The highest rate that can be served, in words."""

    def is_served(rate_rps: float) -> bool:
        return _is_feasible(service.model_copy(update={"rate_rps": rate_rps}), solve)

    low = service.rate_rps / FARTHEST
    if not is_served(low):
        return None
    return f"lower the rate to {_rate(_round_down(_bisect(is_served, low, service.rate_rps)))}"


def _is_feasible(service: Service, solve: Solves) -> bool:
    return solve(service.model_copy(update={"weights": CHEAPEST})).status != "infeasible"


def _bisect(works: Callable[[float], bool], good: float, bad: float) -> float:
    """A value that works, within PRECISION of one that does not; geometric between the two."""
    while abs(good - bad) > PRECISION * good:
        middle = math.sqrt(good * bad)
        good, bad = (middle, bad) if works(middle) else (good, middle)
    return good


def _round_up(value: float) -> float:
    """The next number of two digits.

    >>> _round_up(0.1234)
    0.13
    """
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(value / unit - 1e-9) * unit:.2g}")


def _round_down(value: float) -> float:
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.floor(value / unit + 1e-9) * unit:.2g}")


def _duration(seconds: float) -> str:
    """Seconds as the command line takes them."""
    return f"{seconds:g}s" if seconds >= 1 else f"{1e3 * seconds:.3g}ms"


def _rate(rate_rps: float) -> str:
    return f"{rate_rps:g}rps"
