"""The simulation report: what a plan promised beside what its simulated deployment did.

History: version 1, the first; version 2 has replications, drops, cost and the conditions.
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from ttamer.profiles.documents import envelope, read_yaml, write_yaml
from ttamer.profiles.provenance import Provenance
from ttamer.profiles.schema import Document

FORMAT, VERSION = "simulation", 2

Verdict = Literal["kept", "broken", "undecided"]


class Check(Document):
    """One promise and what was observed of it, with the 95 % interval of the observation.

    promised is None where the plan promised nothing; the verdict is then `undecided`.
    `kind` says which side of the promise is good: the observed value must stay at_most or at_least.
    """

    name: str
    unit: str
    kind: Literal["at_most", "at_least"]
    promised: float | None
    observed: float | None
    low: float | None = None
    high: float | None = None
    verdict: Verdict


class GroupLoad(Document):
    """What one replica group did: utilization is busy time over wall time, per replica, beside what was promised."""

    stage: str
    model: str
    policy: str
    requests: NonNegativeInt
    utilization: float
    promised_utilization: float
    mean_batch: float
    batch: PositiveInt


class SimulationReport(Document):
    """The outcome of a simulation. requests and warm_up_requests: in all replications; duration_s: of each, measured.

    clock, routing, order, queue_limit, patience_s, drops_late, exits and network: the conditions, None where there is
    no such limit. slo_misses and drops: shares of the measured requests, drops being misses too. core_seconds: paid for
    in a replication. Where there are several, intervals are those of the replications.
    """

    plan_sha256: str
    seed: NonNegativeInt
    arrivals: str
    clock: str
    routing: str
    order: str
    queue_limit: PositiveInt | None
    patience_s: PositiveFloat | None
    drops_late: bool
    exits: Literal["stop", "release"]
    network: bool
    rate_rps: PositiveFloat
    replications: PositiveInt
    requests: PositiveInt
    warm_up_requests: NonNegativeInt
    duration_s: PositiveFloat
    slo_s: PositiveFloat
    slo_misses: float
    drops: float
    core_seconds: float
    checks: tuple[Check, ...]
    groups: tuple[GroupLoad, ...]
    verdict: Verdict
    notes: tuple[str, ...] = ()

    def write(self, path: Path, provenance: Provenance) -> None:
        """Write the report as YAML."""
        write_yaml(path, envelope(FORMAT, VERSION, provenance) | self.model_dump(mode="json"))

    @classmethod
    def read(cls, path: Path) -> Self:
        """The report in a file. Raises DocumentError that names the first wrong field."""
        content = read_yaml(path, FORMAT, VERSION)
        for key in ("format", "version", "created", "provenance"):
            content.pop(key, None)
        return cls.parse(content, path)
