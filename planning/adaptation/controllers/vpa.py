"""VPA+: one model a stage; every thirty seconds as many cores as it used before, and a margin.

The recommendation is a high quantile of the cores used, weighing older use less, and 15 % above: it knows of use
alone, so it grows step by step where a burst keeps all cores busy. What a recommendation changes is loaded anew.
Source: the recommender of the Kubernetes Vertical Pod Autoscaler (its published defaults), applied as InfAdapter
(EuroMLSys 2023) applies it: from 2 cores to the budget, fewer only after four lower recommendations.

Axes: U uses of cores, oldest first.
"""

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from ttamer.planning.adaptation.controllers.infadapter import HORIZON_S, INTERVAL_S, PATIENCE
from ttamer.planning.adaptation.controllers.protocol import Kind, Rule, Setup
from ttamer.planning.adaptation.sizes import Size, Sizes, sizes_of
from ttamer.planning.simulation.adaptive import Configuration, Observation

QUANTILE = 0.9  # of the uses, as VPA's target
MARGIN = 1.15  # as VPA's safety margin
HALF_LIFE_S = 86_400.0  # as VPA's histogram
FEWEST_CORES = 2
KEPT = 2880  # uses: a day of decisions


@dataclass(slots=True)
class Usage:
    """What a stage used, and the sizes it may be given. lower: recommendations below the cores it has, in a row."""

    sizes: Sizes
    cores_U: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    at_s_U: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    lower: int = 0

    def recommended_cores(self) -> float:
        """The weighted quantile of the uses and the margin."""
        used_U, at_s_U = np.array(self.cores_U), np.array(self.at_s_U)
        weight_U = 0.5 ** ((at_s_U[-1] - at_s_U) / HALF_LIFE_S)
        order_U = np.argsort(used_U)
        reached_U = np.cumsum(weight_U[order_U]) / weight_U.sum()
        return MARGIN * float(used_U[order_U][int(np.searchsorted(reached_U, QUANTILE))])

    def next_size(self, cores: int) -> Size:
        """The size for the recommendation, given the cores it has: fewer only after some patience."""
        size = self.sizes.at_least(max(FEWEST_CORES, self.recommended_cores()))
        self.lower = self.lower + 1 if size.cores < cores else 0
        return size if size.cores >= cores or self.lower >= PATIENCE else self.sizes.at_least(cores)


def rule(setup: Setup) -> Rule:
    """The cores of each stage's one model, by what it used."""
    catalog = setup.catalog
    usage = {stage: Usage(sizes_of(catalog, stage, setup.model_of(stage))) for stage in catalog.stages}

    def choose(rate_rps: float, seen: Observation) -> Configuration | None:
        found = []
        for stage, one in usage.items():
            running = sum(setting.cores * setting.replicas for setting in seen.running if setting.stage == stage)
            if not running:
                found.append(first_size(one.sizes, rate_rps).setting())
                continue
            one.cores_U.append(running * seen.utilization.get(stage, 0.0))
            one.at_s_U.append(seen.now_s)
            found.append(one.next_size(running).setting())
        return tuple(found)

    return choose


def first_size(sizes: Sizes, rate_rps: float) -> Size:
    """The smallest size that carries the load, the largest if none does: what is deployed before anything was used."""
    known = [size for size in sizes.size_C if size is not None]
    return next((size for size in known if size.cores >= FEWEST_CORES and size.sustained_rps >= rate_rps), known[-1])


VPA = Kind(
    title="VPA", rule=rule, interval_s=INTERVAL_S, predictor="last-value", untrained="last-value", horizon_s=HORIZON_S
)  # fmt: skip
