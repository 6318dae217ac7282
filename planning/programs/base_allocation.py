"""How many cores a replica of each variant of a stage gets before IPA plans: enough for some load within the SLO.

Source: Ghafouri et al., IPA, JSys 2024, and its published code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ttamer.profiles.errors import InfeasibleError


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What was measured of one replica with these cores at one batch size."""

    cores: int
    batch: int
    latency_s: float
    throughput_rps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One model of the stage, as measured."""

    name: str
    accuracy: float
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a replica must be able to do. throughput_margin: what measured throughputs are multiplied by."""

    threshold_rps: float
    slo_s: float
    throughput_margin: float = 1.0

    def met_by(self, point: Point) -> bool:
        """Whether the point has the throughput and the latency."""
        return point.throughput_rps * self.throughput_margin >= self.threshold_rps and point.latency_s <= self.slo_s


def stage_slo_s(variants: Sequence[Variant], factor: float = 5.0) -> float:
    """The SLO of a stage: a multiple of the mean latency of single requests on the most cores.

    Source of the factor: Swayam (Middleware 2017), as in IPA; the published code has its square, 25.
    """
    firsts = [max((p for p in variant.points if p.batch == 1), key=lambda p: p.cores) for variant in variants]
    return factor * sum(point.latency_s for point in firsts) / len(firsts)


def fewest_cores(variants: Sequence[Variant], demand: Demand) -> Mapping[str, int]:
    """The rule of the paper: for each variant the fewest cores with which some batch meets the demand.

    Raises InfeasibleError if a variant has none.
    """
    chosen = {}
    for variant in variants:
        able = [point.cores for point in variant.points if demand.met_by(point)]
        if not able:
            raise _insufficient(variant, demand)
        chosen[variant.name] = min(able)
    return chosen


def cores_as_published(variants: Sequence[Variant], demand: Demand) -> Mapping[str, int]:
    """The rule of the code: variants in ascending accuracy share one level of cores, which never goes down.

    The first takes the lowest level with a batch that meets the demand; each later one steps up once if more batches
    do so there, then until one does. Raises InfeasibleError if no level suffices.
    """
    levels = sorted({point.cores for variant in variants for point in variant.points})
    chosen: dict[str, int] = {}
    level = 0
    for variant in sorted(variants, key=lambda one: one.accuracy):
        able = [sum(p.cores == cores and demand.met_by(p) for p in variant.points) for cores in levels]
        if chosen and level + 1 < len(levels) and able[level + 1] > able[level]:
            level += 1
        while able[level] == 0:
            level += 1
            if level == len(levels):
                raise _insufficient(variant, demand)
        chosen[variant.name] = levels[level]
    return chosen


def _insufficient(variant: Variant, demand: Demand) -> InfeasibleError:
    return InfeasibleError(
        f"no measured number of cores serves {demand.threshold_rps:g} rps of {variant.name!r} in {demand.slo_s:g} s",
        remedy="measure it on more cores, lower the threshold or raise the SLO",
    )
