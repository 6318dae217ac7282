"""Serving what waits: the load that a queue adds to the one that comes."""

from collections.abc import Mapping
from dataclasses import dataclass

from ttamer.planning.adaptation.catalog import Catalog
from ttamer.planning.published import Law
from ttamer.planning.simulation.adaptive import Configuration, Observation, Setting

DRAIN_PART = 0.25  # of the SLO, in which what waits is to be answered


@dataclass(slots=True)
class Backlog:
    """What has to be served beyond the load, so that what waits is answered in a part of the SLO.

    While more replicas load the queue grows on, which is foreseen once: until it is gone, or nothing loads any more,
    the same is asked for.
    """

    catalog: Catalog
    load_s: float | None
    asked_rps: float = 0.0

    def more_rps(self, rate_rps: float, seen: Observation) -> float:
        """The load to add to an expected one."""
        waiting = self._beyond(seen)
        if not waiting:
            self.asked_rps = 0.0
            return 0.0
        ready_rps, wished_rps = self.capacity_rps(seen.running), self.capacity_rps(seen.wished)
        if wished_rps <= max(ready_rps, rate_rps):
            grows_s = max(self._load_times(seen.wished), default=0.0) + seen.interval_s
            growth = max(0.0, seen.rate_rps - ready_rps) * grows_s
            drain_s = max(seen.interval_s, DRAIN_PART * self.catalog.service.slo_s)
            self.asked_rps = max(self.asked_rps, (waiting + growth) / drain_s)
        return self.asked_rps

    def _beyond(self, seen: Observation) -> float:
        """Requests that wait at the fullest stage beyond what is always there: two batches for each replica."""
        usual: dict[str, int] = {}
        for setting in seen.running:
            usual[setting.stage] = usual.get(setting.stage, 0) + 2 * setting.batch * setting.replicas
        return max(0, *(waiting - usual.get(stage, 0) for stage, waiting in seen.waiting.items()), 0)

    def capacity_rps(self, configuration: Configuration) -> float:
        """What the stage with the least capacity answers, replicas busy all the time."""
        total = dict.fromkeys(self.catalog.stages, 0.0)
        for setting in configuration:
            law = self._law_of(setting)
            total[setting.stage] += setting.replicas * setting.batch / law.mean_s if law else 0.0
        return min(total.values())

    def _law_of(self, setting: Setting) -> Law | None:
        same = (
            server.law
            for server in self.catalog.servers
            if (server.stage, server.point.name, server.cores, server.batch)
            == (setting.stage, setting.policy, setting.cores, setting.batch)
        )
        return next(same, None)

    def _load_times(self, configuration: Configuration) -> list[float]:
        known = load_times(self.catalog, self.load_s)
        return [known[setting.stage, setting.model] for setting in configuration]


def load_times(catalog: Catalog, load_s: float | None) -> Mapping[tuple[str, str], float]:
    """Seconds that each model of each stage takes to load; load_s: all of them alike."""
    return {
        (server.stage, server.point.spec.model): server.load_time_s if load_s is None else load_s
        for server in catalog.servers
    }
