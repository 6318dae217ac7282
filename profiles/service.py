"""The service: what a user wants served, how fast and under which load."""

from typing import Annotated, Literal

from pydantic import Field

from ttamer.profiles.schema import Document

SMALLEST, LARGEST = 1e-9, 1e9  # of every quantity: a nanosecond, thirty years; solvers compute in doubles
Weight = Annotated[float, Field(ge=0, le=LARGEST)]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Stage(Document):
    """One step of the pipeline and the models allowed in it (empty: every model of the profile).

    In a profile whose models belong to stages, no names mean the models of the stage of this name.
    """

    name: str = Field(default="serve", min_length=1)
    models: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()


class Weights(Document):
    """How much one unit counts in the objective: accuracy as a fraction, cost in cores, or in money an hour if priced.

    The defaults say that a core is worth a tenth of a point of accuracy, and that of two plans
    alike in both the one with the smaller batches is better. loading: of a second of the longest load time
    among what does not run already.
    """

    accuracy: Weight = 1.0
    cost: Weight = 1e-3
    batch: Weight = 1e-6
    loading: Weight = 0.0


class Limits(Document):
    """Bounds on what a plan may use; None where there is none. cost_per_hour: money, by the prices."""

    cores: Count | None = None
    replicas: Count = 100
    batch: Count | None = None
    memory_bytes: int | None = Field(default=None, ge=1, le=2**63 - 1)
    cost_per_hour: float | None = Field(default=None, ge=SMALLEST, le=LARGEST)


class Prices(Document):
    """Money for an hour of one core, or of one device (a GPU); None where cost is counted in cores."""

    core_hour: Weight | None = None
    device_hour: Weight | None = None


class Running(Document):
    """One replica group of the plan that runs today: what need not be loaded anew."""

    stage: str
    model: str
    policy: str
    cores: Count
    batch: Count
    replicas: Count


class Service(Document):
    """A service-level objective, a load and the freedom that the planner has.

    slo_s bounds the sojourn time of a request at `quantile`; max_drop is the most accuracy (a fraction)
    that an exit policy may lose against its model's last exit; `mix` lets models share the load.
    aggregation makes one accuracy of those of the stages, which counts in the objective and against accuracy_floor;
    accuracy_scale `rank` puts 0 for the least and 1 for the most accurate model of a stage in the objective's place.
    headroom: share of each replica's capacity to leave free. interpolate: offer batches and cores between measured
    ones, by a fitted surface. current: what runs today, for the weight of loading.
    """

    slo_s: float = Field(ge=SMALLEST, le=LARGEST)
    quantile: float = Field(default=0.99, gt=0, lt=1)
    rate_rps: float = Field(ge=SMALLEST, le=LARGEST)
    stages: tuple[Stage, ...] = Field(default=(Stage(),), min_length=1)
    limits: Limits = Limits()
    weights: Weights = Weights()
    prices: Prices = Prices()
    objective: Literal["weighted", "accuracy", "cost", "latency"] = "weighted"
    aggregation: Literal["product", "sum", "mean"] = "product"
    accuracy_scale: Literal["raw", "rank"] = "raw"
    accuracy_floor: float | None = Field(default=None, ge=0, le=LARGEST)
    max_drop: float = Field(default=1.0, ge=0, le=1)
    mix: bool = True
    device: Literal["cpu", "cuda"] = "cpu"
    headroom: float = Field(default=0.0, ge=0, lt=1)
    interpolate: bool = False
    current: tuple[Running, ...] = ()
