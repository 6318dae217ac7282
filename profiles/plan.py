"""The plan: which models run where, how, and what that promises. Deployment tools read it.

Schema, field by field: docs/plan.md. History: version 1, the first.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import pyarrow as pa
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from ttamer.profiles.documents import envelope, read_yaml, table_of, write_table, write_yaml
from ttamer.profiles.errors import DocumentError
from ttamer.profiles.provenance import Provenance
from ttamer.profiles.schema import Document
from ttamer.profiles.service import Service

FORMAT, VERSION = "plan", 1


class Assurance(Document):
    """How rarely a policy failed on samples that it was not chosen by, and what that bounds.

    risk_of: what was counted: `disagreement` (with the last exit), `harm` (wrong where the last exit is right) or
    `error`. bound: of the share of failures, with this confidence, whatever the distribution of the data.
    """

    risk_of: str
    failures: NonNegativeInt
    samples: PositiveInt
    bound: float = Field(ge=0, le=1)
    confidence: float = Field(gt=0, lt=1)


class Seen(Document):
    """What a policy did on one split of records.

    digest: of the records. accuracy_low and accuracy_high: its 95 % Wilson interval. agreement: share of the last
    exit's answers. drop: accuracy lost against the last exit, with its paired 95 % interval; negative where it won
    some. mean_s: of a request alone (batch 1 on the most cores).
    """

    digest: str
    samples: PositiveInt
    accuracy: float = Field(ge=0, le=1)
    accuracy_low: float = Field(ge=0, le=1)
    accuracy_high: float = Field(ge=0, le=1)
    agreement: float = Field(ge=0, le=1)
    drop: float = Field(ge=-1, le=1)
    drop_low: float = Field(ge=-1, le=1)
    drop_high: float = Field(ge=-1, le=1)
    mean_s: NonNegativeFloat


class Evidence(Document):
    """What speaks for a policy: on the records that chose it, and on test records, which decided nothing.

    fitted_samples: calibration samples it was fitted on. test: None without such records. last_exit_s: as mean_s, of
    the last exit alone.
    """

    fitted_samples: NonNegativeInt
    validation: Seen
    test: Seen | None = None
    last_exit_s: NonNegativeFloat


class PolicySpec(Document):
    """An exit policy as data: its kind, its parameters, and the records it was fitted and chosen on.

    fitted_on and chosen_on map a split's name to the sha256 of its records. settings: how many were to choose among,
    of all kinds that were allowed. assurance: of its risk, where the service asks for a guarantee.
    """

    kind: str
    model: str
    params: Mapping[str, Any] = {}
    fitted_on: Mapping[str, str] = {}
    chosen_on: Mapping[str, str] = {}
    settings: NonNegativeInt = 0
    assurance: Assurance | None = None


class Group(Document):
    """Replicas of one model that share one setting and one part of the load.

    pool: where it runs, empty for the one pool of its device. share: part of the stage's load, in (0, 1];
    rate_rps: that load, over all replicas of the group.
    batch_timeout_s: the longest a request may wait for its batch to fill.
    capacity_rps: the most one replica may be given under the SLO. utilization: of each replica, 1 at most (and below
    1 unless its capacity was imported).
    latency_s: promised sojourn time at the SLO's quantile. accuracy_low: lower end of its interval.
    cores: per replica (on a GPU: devices). memory_bytes: per replica.
    """

    stage: str
    model: str
    policy: str
    device: str
    pool: str = ""
    cores: PositiveInt
    batch: PositiveInt
    batch_timeout_s: NonNegativeFloat
    replicas: PositiveInt
    share: float = Field(gt=0, le=1)
    rate_rps: PositiveFloat
    capacity_rps: PositiveFloat
    utilization: float = Field(ge=0, le=1)
    service_s: PositiveFloat
    latency_s: PositiveFloat
    accuracy: float | None = Field(default=None, ge=0, le=1)
    accuracy_low: float | None = Field(default=None, ge=0, le=1)
    memory_bytes: NonNegativeInt
    load_time_s: NonNegativeFloat


class Promise(Document):
    """What the plan as a whole promises. accuracy_source: `measured`, `published`, `imported` or None.

    latency_s: in the service, without the network. cores: of all CPUs, devices: of all GPUs. cost_per_hour: money, None
    without prices.
    """

    latency_s: PositiveFloat
    quantile: float = Field(gt=0, lt=1)
    accuracy: float | None = Field(default=None, ge=0, le=1)
    accuracy_low: float | None = Field(default=None, ge=0, le=1)
    accuracy_source: str | None = None
    dataset: str | None = None
    utilization: float = Field(ge=0, le=1)
    cores: NonNegativeInt
    devices: NonNegativeInt = 0
    cost_per_hour: NonNegativeFloat | None = None


class Solve(Document):
    """How the plan was found. bound: no plan's objective can be higher; `optimal` if it equals objective.

    status: `feasible` is a heuristic's plan, of which nothing is proven.
    """

    solver: str
    status: Literal["optimal", "time-limited", "feasible"]
    objective: float
    bound: float
    columns: PositiveInt
    columns_pruned: NonNegativeInt


class ProfileReference(Document):
    """The measurements a plan rests on: digest covers the models in use, machine is its fingerprint."""

    name: str
    path: str
    digest: str
    machine: str


class Plan(Document):
    """A deployment plan. evidence: by policy, of those that were chosen on records."""

    service: Service
    profile: ProfileReference
    promise: Promise
    groups: tuple[Group, ...] = Field(min_length=1)
    policies: Mapping[str, PolicySpec]
    solve: Solve
    binding: tuple[str, ...] = ()
    evidence: Mapping[str, Evidence] = {}
    notes: tuple[str, ...] = ()

    def write(self, path: Path, provenance: Provenance) -> list[Path]:
        """Write plan.yaml and, beside it, the groups as plan.parquet; returns both paths."""
        header = envelope(FORMAT, VERSION, provenance)
        write_yaml(path, header | self.model_dump(mode="json"))
        return [path, write_groups(path.with_suffix(".parquet"), self, provenance)]

    @classmethod
    def read(cls, path: Path) -> Self:
        """The plan in a file. Raises DocumentError that names the first wrong field."""
        content = read_yaml(path, FORMAT, VERSION)
        for key in ("format", "version", "created", "provenance"):
            content.pop(key, None)
        plan = cls.parse(content, path)
        missing = sorted({group.policy for group in plan.groups} - set(plan.policies))
        if missing:
            raise DocumentError(f"{path}: group policies {missing} are not under 'policies'", remedy="plan anew")
        return plan


def write_groups(path: Path, plan: Plan, provenance: Provenance) -> Path:
    """Write the plan's groups as a Parquet table, a row a group; returns the path."""
    rows = [group.model_dump() for group in plan.groups]
    write_table(
        path, table_of(rows, GROUP_SCHEMA), envelope("plan-groups", VERSION, provenance) | {"slo_s": plan.service.slo_s}
    )
    return path


GROUP_SCHEMA = pa.schema({
    "stage": pa.string(), "model": pa.string(), "policy": pa.string(), "device": pa.string(), "pool": pa.string(),
    "cores": pa.int32(), "batch": pa.int32(), "batch_timeout_s": pa.float64(), "replicas": pa.int32(),
    "share": pa.float64(), "rate_rps": pa.float64(), "capacity_rps": pa.float64(), "utilization": pa.float64(),
    "service_s": pa.float64(), "latency_s": pa.float64(), "accuracy": pa.float64(), "accuracy_low": pa.float64(),
    "memory_bytes": pa.int64(), "load_time_s": pa.float64(),
})  # fmt: skip
