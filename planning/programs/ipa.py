"""IPA: a variant, a batch size and replicas for each stage of a pipeline, under an end-to-end SLO.

maximise  α · A − β · Σ_s n_s cores_s − δ · Σ_s b_s
subject to  Σ_s ( l_s + (b_s − 1)/λ ) ≤ SLO  and  n_s h_s ≥ λ for every stage.

A batch's first request waits for the b − 1 behind it, so the wait is added to the latency; the published code
subtracts it. FA2 is the same program with the variants fixed, RIM with the replicas fixed.
Source: Ghafouri et al., IPA: Inference Pipeline Adaptation, JSys 2024.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ttamer.planning.problem import Aggregation, Column, Problem
from ttamer.profiles.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What was measured of one replica at one batch size."""

    batch: int
    latency_s: float
    throughput_rps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One model of a stage on the cores its replicas have."""

    name: str
    accuracy: float
    cores: int
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One step of the pipeline and its variants."""

    name: str
    variants: tuple[Variant, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What accuracy, a core and one more request in a batch count for. Source of δ: IPA's configurations."""

    alpha: float = 1.0
    beta: float = 1e-3
    delta: float = 1e-6


def problem(
    stages: Sequence[Stage],
    *,
    rate_rps: float,
    slo_s: float,
    aggregation: Aggregation = "product",
    weights: Weights | None = None,
    most_replicas: int | None = 100,
    batches: Collection[int] | None = None,
    variants: Sequence[str] | None = None,
    replicas: Sequence[int] | None = None,
) -> Problem:
    """The program of a pipeline.

    most_replicas: of each stage. batches: those that may be used. variants: one for each stage, fixed (FA2).
    replicas: of each stage, fixed (RIM). Raises InputError if they are not as many as stages, or a variant is unknown.
    """
    _check_fixed(stages, variants, replicas)
    chosen = weights or Weights()
    columns = [
        _column(stage, variant, point, rate_rps, replicas[place] if replicas is not None else None)
        for place, stage in enumerate(stages)
        for variant in stage.variants
        for point in variant.points
        if (batches is None or point.batch in batches) and (variants is None or variants[place] == variant.name)
    ]
    return Problem(
        columns=tuple(columns),
        stages=tuple(stage.name for stage in stages),
        rate_rps=rate_rps,
        most_replicas=None,
        most_stage_replicas=most_replicas,
        most_latency_s=slo_s,
        mix=False,
        aggregation=aggregation,
        accuracy_weight=chosen.alpha,
        cost_weight=chosen.beta,
        batch_weight=chosen.delta,
    )


def batch_wait_s(batch: int, rate_rps: float) -> float:
    """How long a batch's first request waits for the others at this rate; 0 without load."""
    return (batch - 1) / rate_rps if rate_rps > 0 else 0.0


def rank_accuracies(variants: Sequence[Variant]) -> list[float]:
    """Accuracies as IPA's first version has them: the rank among a stage's variants, from 0 to 1."""
    if len(variants) == 1:
        return [1.0]
    ascending = sorted(range(len(variants)), key=lambda number: variants[number].accuracy)
    rank = {number: place / (len(variants) - 1) for place, number in enumerate(ascending)}
    return [rank[number] for number in range(len(variants))]


def _column(stage: Stage, variant: Variant, point: Point, rate_rps: float, replicas: int | None) -> Column:
    return Column(
        stage=stage.name,
        name=variant.name,
        cores=variant.cores,
        batch=point.batch,
        capacity_rps=point.throughput_rps,
        accuracy=variant.accuracy,
        latency_s=point.latency_s + batch_wait_s(point.batch, rate_rps),
        replicas=replicas,
    )


def _check_fixed(stages: Sequence[Stage], variants: Sequence[str] | None, replicas: Sequence[int] | None) -> None:
    for fixed in (variants, replicas):
        if fixed is not None and len(fixed) != len(stages):
            raise InputError(f"{len(fixed)} fixed choices for {len(stages)} stages", remedy="fix one for each stage")
    for stage, name in zip(stages, variants or (), strict=False):
        names = [variant.name for variant in stage.variants]
        if name not in names:
            raise InputError(f"stage {stage.name!r} has no variant {name!r}", remedy=f"it has: {', '.join(names)}")
