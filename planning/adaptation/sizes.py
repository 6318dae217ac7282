"""How much load a model takes on each number of cores, and by which replicas: what vertical scalers choose from.

Axes: C numbers of cores from 0 on.
"""

from dataclasses import dataclass

from ttamer.planning.adaptation.catalog import Catalog, Offer
from ttamer.planning.simulation.adaptive import Setting

MOST_CORES = 20  # where the service has no limit: InfAdapter's budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """So many replicas of an offer, and the load that they take together within the SLO."""

    offer: Offer
    replicas: int

    @property
    def cores(self) -> int:
        """Cores of all replicas."""
        return self.offer.cores * self.replicas

    @property
    def sustained_rps(self) -> float:
        """The load that they take within the stage's part of the SLO."""
        return self.offer.sustained_rps * self.replicas

    def setting(self, share: float = 1.0) -> Setting:
        """The replicas with this share of the stage's load."""
        return self.offer.setting(replicas=self.replicas, share=share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """A model's sizes by number of cores, the one that takes most load of each; single requests, as InfAdapter."""

    model: str
    size_C: tuple[Size | None, ...]

    def capacity_rps(self, part: float = 1.0) -> tuple[float, ...]:
        """The load taken on 0, 1, 2, ... cores, this part of it."""
        return tuple(0.0 if size is None else part * size.sustained_rps for size in self.size_C)

    def at_least(self, cores: float) -> Size:
        """The smallest size with so many cores, the largest if none has."""
        known = [size for size in self.size_C if size is not None]
        return next((size for size in known if size.cores >= cores), known[-1])


def sizes_of(catalog: Catalog, stage: str, model: str) -> Sizes:
    """Sizes up to the stage's even part of the service's cores: replicas of one kind, as measured."""
    limits = catalog.service.limits
    most = max(1, (limits.cores or MOST_CORES * len(catalog.stages)) // len(catalog.stages))
    offers = catalog.of_stage(stage, model)
    single = min(offer.batch for offer in offers)
    size_C: list[Size | None] = [None]
    for cores in range(1, most + 1):
        able = [
            Size(offer=offer, replicas=cores // offer.cores)
            for offer in offers
            if offer.batch == single and cores % offer.cores == 0 and cores // offer.cores <= limits.replicas
        ]
        size_C.append(max(able, key=lambda size: (size.sustained_rps, -size.replicas), default=None))
    if not any(size_C):  # the budget is below the smallest replica
        offer = min((one for one in offers if one.batch == single), key=lambda one: one.cores)
        size_C.append(Size(offer=offer, replicas=1))
    return Sizes(model=model, size_C=tuple(size_C))
