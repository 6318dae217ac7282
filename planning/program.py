"""The program of a service: its candidates as columns, with the weights, prices and limits that it states."""

from collections.abc import Sequence
from dataclasses import dataclass

from ttamer.planning.candidates import Candidate, Server, candidates_under, undominated
from ttamer.planning.problem import Problem
from ttamer.planning.programs import joined
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
    weighing, fixed = weighing_of(service), {stage.name: stage.replicas for stage in service.stages if stage.replicas}
    candidates = candidates_under(
        servers, service.serving_s, len(service.stages), rate_rps=service.rate_rps, mix=service.mix
    )  # fmt: skip
    columns = candidates
    if prune and not weighing.loading:  # else what runs already may be worth more than what beats it
        apart = list(fixed) if service.mix else []
        columns = undominated(candidates, resources=_limited(service), by_model=apart)
    offers = [_offer(candidate, service, levels, fixed.get(candidate.stage)) for candidate in columns]
    running = {
        offer.loaded: running_of(service, offer.stage, offer.model, offer.cores, offer.pool) for offer in offers
    }  # fmt: skip
    problem = joined.problem(
        offers,
        stages=[stage.name for stage in service.stages],
        rate_rps=service.rate_rps,
        limits=_limits(service),
        fleet=joined.Fleet(pools=pools_of(service), running=running),
        objective=joined.Objective(
            aggregation=service.aggregation if len(service.stages) > 1 else "sum",  # of one stage they are all the same
            accuracy=weighing.accuracy,
            cost=weighing.cost,
            batch=weighing.batch,
            latency=weighing.latency,
            loading=weighing.loading,
        ),
        mix=service.mix,
    )
    return Program(columns=tuple(columns), pruned=len(candidates) - len(columns), problem=problem)


def _limited(service: Service) -> list[str]:
    """What is limited of candidates besides cores."""
    is_limited = service.limits.memory_bytes or any(pool.memory_bytes for pool in service.pools)
    return ["memory_bytes"] if is_limited else []


def _limits(service: Service) -> joined.Limits:
    limits = service.limits
    return joined.Limits(
        latency_s=service.serving_s,
        cores=limits.cores,
        cost=limits.cost_per_hour,
        replicas=limits.replicas,
        stage_replicas=limits.stage_replicas,
        memory_bytes=limits.memory_bytes,
        least_accuracy=service.accuracy_floor,
    )


def _offer(candidate: Candidate, service: Service, levels: Levels, replicas: int | None) -> joined.Offer:
    return joined.Offer(
        stage=candidate.stage,
        model=candidate.model,
        policy=candidate.policy,
        pool=candidate.pool,
        cores=candidate.cores,
        batch=candidate.batch,
        latency_s=candidate.slo_s,
        capacity_rps=candidate.capacity_rps * (1 - service.headroom),
        accuracy=counted_accuracy(service, levels, candidate.stage, candidate.accuracy),
        memory_bytes=candidate.memory_bytes,
        load_time_s=candidate.load_time_s,
        replicas=replicas,
    )


def _refuse_unlimitable(service: Service, servers: Sequence[Server]) -> None:
    """Raise InputError on a memory limit for models of unknown size, and on a floor for ranks."""
    limited = {pool.name for pool in service.fleet() if service.limits.memory_bytes or pool.memory_bytes}
    unknown = sorted({one.point.spec.model for one in servers if not one.memory_bytes and one.pool in limited})
    if unknown:
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
