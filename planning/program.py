"""The program of a service: its candidates as columns, with the weights, prices and limits that it states."""

from collections.abc import Sequence
from dataclasses import dataclass

from ttamer.planning.candidates import Candidate, Server, candidates_under, undominated
from ttamer.planning.problem import Column, Problem
from ttamer.planning.valuation import Levels, counted_accuracy, pools_of, running_of, weighing_of
from ttamer.profiles.errors import InputError
from ttamer.profiles.service import Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The columns a solver sees and how many candidates were left out of it, being beaten by others."""

    columns: tuple[Candidate, ...]
    pruned: int
    problem: Problem


def make_program(service: Service, servers: Sequence[Server], levels: Levels, *, prune: bool = True) -> Program:
    """The program for a service: its candidates, without those that others beat if asked to prune them.

    levels: accuracies by stage that ranks are counted in. Raises InputError on limits that nothing can be held to.
    """
    _refuse_unlimitable(service, servers)
    weighing, limits = weighing_of(service), service.limits
    candidates = candidates_under(
        servers, service.slo_s, len(service.stages), rate_rps=service.rate_rps, mix=service.mix
    )  # fmt: skip
    columns = candidates
    if prune and not weighing.loading:  # else what runs already may be worth more than what beats it
        columns = undominated(candidates, resources=["memory_bytes"] if limits.memory_bytes else [])
    problem = Problem(
        columns=tuple(_column(candidate, service, levels) for candidate in columns),
        stages=tuple(stage.name for stage in service.stages),
        rate_rps=service.rate_rps,
        pools=pools_of(service),
        most_cores=limits.cores,
        most_cost=limits.cost_per_hour,
        most_replicas=limits.replicas,
        most_memory_bytes=limits.memory_bytes,
        most_latency_s=service.slo_s,
        least_accuracy=service.accuracy_floor,
        mix=service.mix,
        aggregation=service.aggregation if len(service.stages) > 1 else "sum",  # of one stage they are all the same
        accuracy_weight=weighing.accuracy,
        cost_weight=weighing.cost,
        batch_weight=weighing.batch,
        latency_weight=weighing.latency,
        loading_weight=weighing.loading,
    )
    return Program(columns=tuple(columns), pruned=len(candidates) - len(columns), problem=problem)


def _column(candidate: Candidate, service: Service, levels: Levels) -> Column:
    return Column(
        stage=candidate.stage,
        name=candidate.model,
        pool=candidate.device,
        cores=candidate.cores,
        batch=candidate.batch,
        capacity_rps=candidate.capacity_rps * (1 - service.headroom),
        accuracy=counted_accuracy(service, levels, candidate.stage, candidate.accuracy),
        latency_s=candidate.slo_s,
        memory_bytes=candidate.memory_bytes,
        load_time_s=candidate.load_time_s,
        running=running_of(service, candidate.stage, candidate.model, candidate.cores),
    )


def _refuse_unlimitable(service: Service, servers: Sequence[Server]) -> None:
    """Raise InputError on a memory limit for models of unknown size, and on a floor for ranks."""
    unknown = sorted({server.point.spec.model for server in servers if not server.memory_bytes})
    if service.limits.memory_bytes is not None and unknown:
        raise InputError(
            f"memory is limited, but that of {', '.join(unknown)} is unknown",
            remedy="import it as memory_bytes, measure it, or leave the limit out",
        )
    if service.accuracy_floor is not None and service.accuracy_scale == "rank":
        raise InputError("an accuracy floor needs raw accuracies, not ranks", remedy="set accuracy_scale: raw")
    unsure = sorted({server.point.spec.model for server in servers if server.point.accuracy is None})
    if service.accuracy_floor is not None and unsure:
        raise InputError(
            f"accuracy has a floor, but that of {', '.join(unsure)} is unknown",
            remedy="measure it with ttamer fit, import it, or leave the floor out",
        )
