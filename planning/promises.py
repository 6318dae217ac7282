"""What a replica group and a whole plan promise, computed from the law of their batches and the load they get."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from ttamer.planning.candidates import Candidate, Server
from ttamer.planning.exit_choice import OperatingPoint
from ttamer.planning.published import busy_share, group_timeout_s, latency_bound_s
from ttamer.planning.valuation import cost_of
from ttamer.profiles.plan import Group, Promise
from ttamer.profiles.service import Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """How a server is used: its replicas, their share of the stage's load and the batch timeout."""

    replicas: int
    share: float
    rate_rps: float
    batch_timeout_s: float


def deploy(candidate: Candidate, replicas: int, share: float, stage_rate_rps: float) -> Deployment:
    """The candidate in use, with the batch timeout that suits the rate of each replica."""
    rate_rps = share * stage_rate_rps
    timeout_s = group_timeout_s(candidate.law, rate_rps, replicas, candidate.slo_s)
    return Deployment(replicas=replicas, share=share, rate_rps=rate_rps, batch_timeout_s=timeout_s)


def promise_of_group(server: Server | Candidate, use: Deployment, capacity_rps: float) -> Group:
    """The group of replicas with everything it promises at the load that it gets."""
    each_rps = use.rate_rps / use.replicas
    return Group(
        stage=server.stage,
        model=server.point.spec.model,
        policy=server.point.name,
        device=server.device,
        pool=server.pool,
        cores=server.cores,
        batch=server.batch,
        batch_timeout_s=use.batch_timeout_s,
        replicas=use.replicas,
        share=use.share,
        rate_rps=use.rate_rps,
        capacity_rps=capacity_rps,
        utilization=busy_share(server.law, each_rps, use.batch_timeout_s),
        service_s=server.law.mean_s,
        latency_s=latency_bound_s(server.law, each_rps, use.batch_timeout_s),
        accuracy=server.point.accuracy,
        accuracy_low=server.point.accuracy_low,
        memory_bytes=server.memory_bytes,
        load_time_s=server.load_time_s,
    )


def promise_of_plan(
    service: Service, groups: Sequence[Group], points: Mapping[str, OperatingPoint], datasets: Sequence[str | None]
) -> Promise:
    """What the groups promise together: points by policy name, a data set for each stage.

    Latencies of stages add up, each at the stage's own quantile; accuracies of stages multiply, as if their
    errors were independent.
    """
    by_stage = [[group for group in groups if group.stage == stage.name] for stage in service.stages]
    sources = {points[group.policy].source for group in groups}
    return Promise(
        latency_s=promised_latency_s(service, groups),
        quantile=service.quantile,
        accuracy=_product([_mean_accuracy(stage, "accuracy") for stage in by_stage]),
        accuracy_low=_product([_mean_accuracy(stage, "accuracy_low") for stage in by_stage]),
        accuracy_source=next(source for source in (None, "imported", "published", "measured") if source in sources),
        dataset=datasets[0] if len(set(datasets)) == 1 else None,
        utilization=max(group.utilization for group in groups),
        cores=sum(group.replicas * group.cores for group in groups if group.device != "cuda"),
        devices=sum(group.replicas * group.cores for group in groups if group.device == "cuda"),
        cost_per_hour=cost_of(service, groups) if service.is_priced else None,
    )


def promised_latency_s(service: Service, groups: Sequence[Group]) -> float:
    """The end-to-end latency: of each stage the slowest group's."""
    stages = [stage.name for stage in service.stages]
    return sum(max(group.latency_s for group in groups if group.stage == stage) for stage in stages)


def _mean_accuracy(groups: Sequence[Group], name: str) -> float | None:
    total = 0.0
    for group in groups:
        accuracy: float | None = getattr(group, name)
        if accuracy is None:
            return None
        total += group.share * accuracy
    return min(1.0, total)


def _product(accuracies: Sequence[float | None]) -> float | None:
    known = [one for one in accuracies if one is not None]
    return prod(known) if len(known) == len(accuracies) else None
