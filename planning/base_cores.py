"""The base allocation of a stage: the cores that a replica of each model gets before planning, by IPA's rule."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ttamer.planning.candidates import stage_quantile
from ttamer.planning.model_choice import ModelChoice, is_measured, last_exit_row
from ttamer.planning.programs.base_allocation import (
    Demand,
    Point,
    Variant,
    cores_as_published,
    fewest_cores,
    stage_slo_s,
)
from ttamer.profiles.errors import InfeasibleError, InputError
from ttamer.profiles.profile import WHOLE, Profile
from ttamer.profiles.service import BaseAllocation, Service, Stage

RULES = {"fewest": fewest_cores, "published": cores_as_published}


def base_cores(
    profile: Profile, service: Service, stage: Stage, choice: ModelChoice, device: str
) -> Mapping[str, int] | None:
    """Cores by model on a device; None for a stage without a base allocation.

    Raises InfeasibleError if no measured number of cores of a model is enough, InputError if the rule has nothing to
    go by.
    """
    base = stage.base_allocation
    models = [model for model in choice.models if is_measured(profile, model, device)]
    if base is None or not models:
        return None
    quantile = stage_quantile(service.quantile, len(service.stages))
    variants = [_variant(profile, model, choice, device, quantile) for model in models]
    try:
        return RULES[base.rule](variants, demand_of(base, variants))
    except InfeasibleError as error:
        remedy = f"lower the threshold of the base allocation of {stage.name!r}, raise its SLO or measure on more cores"
        raise InfeasibleError(error.message, remedy=remedy) from None


def demand_of(base: BaseAllocation, variants: Sequence[Variant]) -> Demand:
    """What a replica must be able to do. Raises InputError if the SLO is to follow from requests not measured."""
    slo_s = base.slo_s
    if slo_s is None:
        lacking = [one.name for one in variants if all(point.batch > 1 for point in one.points)]
        if lacking:
            raise InputError(
                f"a base allocation takes its SLO from single requests, and {lacking[0]!r} was not measured at batch 1",
                remedy="give it an slo of its own",
            )
        slo_s = stage_slo_s(variants, base.slo_factor)
    return Demand(threshold_rps=base.threshold_rps, slo_s=slo_s, throughput_margin=base.throughput_share)


def in_words(stage: str, cores: Mapping[str, int]) -> str:
    """What the base allocation comes to, for the reader of a plan."""
    return f"base allocation of {stage}: " + ", ".join(
        f"{model} {number} {'core' if number == 1 else 'cores'}" for model, number in cores.items()
    )


def _variant(profile: Profile, model: str, choice: ModelChoice, device: str, quantile: float) -> Variant:
    row = last_exit_row(profile, model, choice.dataset) if choice.dataset is not None else None
    variant = Variant(name=model, accuracy=row.accuracy if row else 0.0, points=())
    if profile.is_imported(model):
        points = [
            Point(cores=one.cores, batch=one.batch, latency_s=one.latency_s, throughput_rps=one.throughput_rps)
            for one in profile.imported_points(model, device)
        ]
        return replace(variant, points=tuple(points))
    settings = [(cores, batch) for at, cores, batch in profile.settings_of(model) if at == device]
    return replace(variant, points=tuple(_measured(profile, model, device, *one, quantile) for one in settings))


def _measured(profile: Profile, model: str, device: str, cores: int, batch: int, quantile: float) -> Point:
    samples = profile.point(model, "whole", WHOLE, device=device, cores=cores, batch=batch).samples
    return Point(
        cores=cores, batch=batch, latency_s=samples.quantile_s(quantile), throughput_rps=batch / samples.mean_s()
    )
