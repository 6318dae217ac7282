"""A catalog as IPA's program sees it: every model of a stage on one number of cores, each batch with its latency."""

from collections.abc import Sequence
from dataclasses import replace

from ttamer.planning.adaptation.catalog import Catalog, Offer
from ttamer.planning.problem import Problem, Solution
from ttamer.planning.programs import ipa
from ttamer.planning.programs.base_allocation import Point as BasePoint
from ttamer.planning.programs.base_allocation import Variant as BaseVariant
from ttamer.planning.programs.base_allocation import stage_slo_s
from ttamer.planning.simulation.adaptive import Configuration
from ttamer.planning.valuation import weighing_of


def stages_of(catalog: Catalog) -> list[ipa.Stage]:
    """The stages with their models, the replicas of each on as few cores as its stage's SLO allows."""
    stages = []
    for stage in catalog.stages:
        variants = [_variant(offers) for offers in base_offers(catalog, stage)]
        stages.append(ipa.Stage(name=stage, variants=tuple(variants)))
    return stages


def base_offers(catalog: Catalog, stage: str) -> list[list[Offer]]:
    """For each model of the stage its offers on the fewest cores on which one request meets the stage's SLO.

    That SLO is five times the mean latency of single requests, as IPA has it, or the even part of the service's SLO
    where that is less. A model that never meets it is taken on the most cores.
    """
    models = catalog.models(stage)
    measured = [
        BaseVariant(name=model, accuracy=0.0, points=tuple(_base_points(catalog.of_stage(stage, model))))
        for model in models
    ]
    slo_s = min(stage_slo_s(measured), catalog.service.slo_s)
    chosen = []
    for model in models:
        offers = catalog.of_stage(stage, model)
        able = [offer.cores for offer in offers if offer.latency_s <= slo_s]
        cores = min(able) if able else max(offer.cores for offer in offers)
        chosen.append([offer for offer in offers if offer.cores == cores])
    return chosen


def problem_at(catalog: Catalog, stages: Sequence[ipa.Stage], rate_rps: float) -> Problem:
    """IPA's program of the service at this load, within the service's cores and replicas."""
    service = catalog.service
    weighing = weighing_of(service)
    program = ipa.problem(
        stages,
        rate_rps=rate_rps,
        slo_s=service.slo_s,
        aggregation=service.aggregation if len(stages) > 1 else "sum",
        weights=ipa.Weights(alpha=weighing.accuracy, beta=weighing.cost, delta=weighing.batch),
        most_replicas=service.limits.replicas,
    )
    return replace(program, most_cores=service.limits.cores)


def settings_of(catalog: Catalog, program: Problem, solution: Solution) -> Configuration | None:
    """What a solution of IPA's program runs, None if there is none; a batch waits as long as the program assumes."""
    if solution.status == "infeasible":
        return None
    found = []
    for column, count, share in zip(program.columns, solution.replicas_J, solution.share_J, strict=True):
        if count:
            offer = next(
                one
                for one in catalog.of_stage(column.stage, column.name, batch=column.batch)
                if one.cores == column.cores
            )
            timeout_s = ipa.batch_wait_s(column.batch, program.rate_rps)
            found.append(offer.setting(replicas=count, share=share, timeout_s=timeout_s))
    return tuple(found)


def _variant(offers: Sequence[Offer]) -> ipa.Variant:
    points = tuple(
        ipa.Point(batch=offer.batch, latency_s=offer.latency_s, throughput_rps=offer.throughput_rps)
        for offer in sorted(offers, key=lambda offer: offer.batch)
    )
    first = offers[0]
    return ipa.Variant(name=first.model, accuracy=first.accuracy, cores=first.cores, points=points)


def _base_points(offers: Sequence[Offer]) -> list[BasePoint]:
    smallest = min(offer.batch for offer in offers)
    return [
        BasePoint(cores=o.cores, batch=1, latency_s=o.latency_s, throughput_rps=o.throughput_rps)
        for o in offers
        if o.batch == smallest
    ]
