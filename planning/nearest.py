"""Saying why there is no plan, and which service close by could be had.

Everything named as near is asked for in the very words that name it before it is named.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ttamer.planning.candidates import Server
from ttamer.planning.conflict import Demand, count, duration, irreducible, listed, rate
from ttamer.planning.easing import easings
from ttamer.planning.feasibility import Feasibility
from ttamer.profiles.errors import InfeasibleError
from ttamer.profiles.schema import Document
from ttamer.profiles.service import Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One demand eased as little as it takes, in words, and the service that then can be had."""

    demand: str
    words: str
    service: Service


def infeasible(service: Service, feasibility: Feasibility) -> InfeasibleError:
    """The error for a service that cannot be had: which demands conflict, and how far each must give alone."""
    conflict = _conflict(service, feasibility)
    ways = list(nearest(service, conflict, feasibility)) or list(_together(service, conflict, feasibility))
    floor = f" with {_words_of('accuracy', conflict)}" if _words_of("accuracy", conflict) else ""
    asked = f"{rate(service.rate_rps)} within {duration(service.slo_s)} at p{100 * service.quantile:g}{floor}"
    return InfeasibleError(
        f"no plan serves {asked}: {_reason(service, conflict, ways, feasibility)}",
        remedy=" or ".join(way.words for way in ways) or "profile a faster model, more cores or larger batches",
    )


def _conflict(service: Service, feasibility: Feasibility) -> tuple[Demand, ...]:
    """Demands that cannot hold together. Published models lose their batches where they may share a load."""
    loses_batches = any(not server.is_offered(mix=True) for server in feasibility.servers(service))
    return irreducible(service, feasibility.is_feasible, exchanged=["mix"] if loses_batches else [])


def nearest(service: Service, conflict: Sequence[Demand], feasibility: Feasibility) -> Iterator[Way]:
    """For each conflicting demand the service nearest in it alone that can be had, where there is one."""
    conflicting = {demand.name for demand in conflict}
    for name, ease in easings(service).items():
        if name in conflicting:
            found = ease(service, feasibility)
            if found is not None:
                yield Way(demand=name, words=found[0], service=found[1])


def _together(service: Service, conflict: Sequence[Demand], feasibility: Feasibility) -> Iterator[Way]:
    """Services with one demand of this conflict and one of the next eased, where one alone is not enough."""
    eased = service
    for demand in conflict:
        eased = demand.without(eased)
    if feasibility.is_feasible(eased):
        return
    for first in nearest(eased, _conflict(eased, feasibility), feasibility):
        halfway = _with_changes(service, eased, first.service)
        if feasibility.is_feasible(halfway):  # the first was enough, being farther away than it was looked for
            yield Way(demand=first.demand, words=first.words, service=halfway)
            continue
        rest = _conflict(halfway, feasibility)
        for second in nearest(halfway, rest, feasibility):
            yield Way(demand=first.demand, words=f"{first.words} and {second.words}", service=second.service)


def _with_changes(service: Service, before: Service, after: Service) -> Service:
    """The service with what is changed between two others."""
    limits = service.limits.model_copy(update=_changes(before.limits, after.limits))
    return service.model_copy(update=_changes(before, after) | {"limits": limits})


def _changes(before: Document, after: Document) -> dict[str, object]:
    names = type(before).model_fields
    return {name: getattr(after, name) for name in names if getattr(after, name) != getattr(before, name)}


def _reason(service: Service, conflict: Sequence[Demand], ways: Sequence[Way], feasibility: Feasibility) -> str:
    fastest = [
        min((server for server in feasibility.servers(service) if server.stage == stage.name),
            key=lambda server: server.law.answer_s)
        for stage in service.stages
    ]  # fmt: skip
    idle_s = sum(server.law.answer_s for server in fastest)
    if idle_s > service.serving_s > 0 and not service.network_s:
        names = ", then ".join(f"{server.point.name} on {_where(server)}" for server in fastest)
        return f"the SLO is too tight for any model, the fastest ({names}) needs {duration(idle_s)} without any waiting"
    names_of_conflict = {demand.name for demand in conflict}
    cores = next((way.service.limits.cores for way in ways if way.demand == "cores"), None)
    if cores is not None and names_of_conflict <= {"load", "SLO", "cores", "accuracy"}:
        return f"that takes {count(cores, 'core')} and the budget is {service.limits.cores}"
    if "replicas" in names_of_conflict and names_of_conflict <= {"load", "SLO", "replicas", "cores"}:
        both = f"{count(service.limits.cores or 0, 'core')} and " if "cores" in names_of_conflict else ""
        verb = "is" if service.limits.replicas == 1 and not both else "are"
        return f"{both}{count(service.limits.replicas, 'replica')} {verb} too few"
    if names_of_conflict <= {"SLO", "load"}:
        return "the SLO leaves the stages no time to queue"
    words = listed([demand.words for demand in conflict])
    return f"{words} cannot hold together" if len(conflict) > 1 else f"{words} cannot be had whatever else is given up"


def _where(server: Server) -> str:
    """What a replica runs on, in words."""
    return count(server.cores, "CUDA device" if server.device == "cuda" else f"{server.device} core")


def _words_of(name: str, conflict: Sequence[Demand]) -> str:
    return next((demand.words for demand in conflict if demand.name == name), "")
