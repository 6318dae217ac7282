"""The service: what a user wants served, how fast and under which load."""

from typing import Annotated, Literal, Self

from pydantic import Field

from ttamer.profiles.schema import Document

SMALLEST, LARGEST = 1e-9, 1e9  # of every quantity: a nanosecond, thirty years; solvers compute in doubles
Weight = Annotated[float, Field(ge=0, le=LARGEST)]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Memory = Annotated[int, Field(ge=1, le=2**63 - 1)]
Device = Literal["cpu", "cuda"]
PoolName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$")]  # a label of Kubernetes
TIME_LIMIT_S = 30.0  # of a solver


class BaseAllocation(Document):
    """How many cores a replica of each model of a stage gets before planning: enough for some load in time.

    The fewest measured cores with which some batch is answered within slo_s and serves threshold_rps, of measured
    throughputs the given share counting. slo_s: None for slo_factor times the models' mean latency of single requests
    on the most cores. rule: `published` is that of IPA's code, where models share one level of cores that never goes
    down. Source: IPA (JSys 2024).
    """

    threshold_rps: float = Field(ge=SMALLEST, le=LARGEST)
    slo_s: float | None = Field(default=None, ge=SMALLEST, le=LARGEST)
    slo_factor: float = Field(default=5.0, ge=SMALLEST, le=LARGEST)
    throughput_share: float = Field(default=1.0, gt=0, le=1)
    rule: Literal["fewest", "published"] = "fewest"


class Stage(Document):
    """One step of the pipeline and the models allowed in it (empty: every model of the profile).

    In a profile whose models belong to stages, no names mean the models of the stage of this name.
    replicas: exactly so many of each model in use, all alike; None where their number is free.
    """

    name: str = Field(default="serve", min_length=1)
    models: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    replicas: Count | None = None
    base_allocation: BaseAllocation | None = None


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
    """Bounds on what a plan may use; None where there is none. cost_per_hour: money, by the prices.

    cores: of the service's one device (on a GPU: devices); pools have limits of their own. replicas: of all stages,
    stage_replicas: of each.
    """

    cores: Count | None = None
    replicas: Count = 100
    stage_replicas: Count | None = None
    batch: Count | None = None
    memory_bytes: Memory | None = None
    cost_per_hour: float | None = Field(default=None, ge=SMALLEST, le=LARGEST)


class Prices(Document):
    """Money for an hour of one core, or of one device (a GPU); None where cost is counted in cores."""

    core_hour: Weight | None = None
    device_hour: Weight | None = None


class Pool(Document):
    """Machines of one kind: how many cores (on a GPU: devices) a plan may use of them, and money for an hour of one.

    None where there is no limit.
    """

    name: PoolName
    device: Device = "cpu"
    cores: Count | None = None
    memory_bytes: Memory | None = None
    price: Weight


class Running(Document):
    """One replica group of the plan that runs today: what need not be loaded anew. pool: empty for any."""

    stage: str
    model: str
    policy: str
    pool: str = ""
    cores: Count
    batch: Count
    replicas: Count


class Service(Document):
    """A service-level objective, a load and the freedom that the planner has.

    slo_s bounds the time from sending a request to its answer at `quantile`; network_s of it pass on the way, the rest
    is for the sojourn in the service. pools: machines to choose from, each with its own price and limits; without any,
    one of `device`, with the prices and the limit on cores. max_drop is the most accuracy (a fraction)
    that an exit policy may lose against its model's last exit; `mix` lets models share the load.
    mean_latency_s: of a request alone with any policy, at most. risk: most that a policy's disagreement with the last
    exit, its harm or its error (risk_of) may be, with this confidence whatever the data; None asks for no guarantee.
    aggregation makes one accuracy of those of the stages, which counts in the objective and against accuracy_floor;
    accuracy_scale `rank` puts 0 for the least and 1 for the most accurate model of a stage in the objective's place.
    headroom: share of each replica's capacity to leave free. interpolate: offer batches and cores between measured
    ones, by a fitted surface. allow_contended: plan on disturbed timings where a stage has no others. current: what
    runs today, for the weight of loading. time_limit_s, gap: how long a solver may take, and how far (relative) from
    the optimum it may stop.
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
    mean_latency_s: float | None = Field(default=None, ge=SMALLEST, le=LARGEST)
    risk: float | None = Field(default=None, gt=0, lt=1)
    confidence: float = Field(default=0.95, gt=0, lt=1)
    risk_of: Literal["disagreement", "harm", "error"] = "disagreement"
    mix: bool = True
    device: Device = "cpu"
    pools: tuple[Pool, ...] = ()
    network_s: float = Field(default=0.0, ge=0, le=LARGEST)
    headroom: float = Field(default=0.0, ge=0, lt=1)
    interpolate: bool = False
    allow_contended: bool = False
    current: tuple[Running, ...] = ()
    time_limit_s: float = Field(default=TIME_LIMIT_S, ge=SMALLEST, le=LARGEST)
    gap: float = Field(default=0.0, ge=0, lt=1)

    @property
    def serving_s(self) -> float:
        """What the network leaves of the SLO; nothing is left below zero."""
        return max(0.0, self.slo_s - self.network_s)

    def at_its_door(self) -> Self:
        """The service as its own machines see it: the SLO is what the network leaves of it."""
        return self.model_copy(update={"slo_s": self.serving_s, "network_s": 0.0}) if self.network_s else self

    @property
    def is_priced(self) -> bool:
        """Whether cost is counted in money an hour, not in cores."""
        return bool(self.pools) or self._price_of_device() is not None

    def fleet(self) -> tuple[Pool, ...]:
        """The pools to run on: those named, else one of the device, at a price of 1 where cost is counted in cores."""
        if self.pools:
            return self.pools
        price = self._price_of_device()
        return (Pool(name=self.device, device=self.device, price=1.0 if price is None else price),)

    def devices(self) -> tuple[str, ...]:
        """The kinds of devices to run on."""
        return tuple(dict.fromkeys(pool.device for pool in self.fleet()))

    def _price_of_device(self) -> float | None:
        return self.prices.device_hour if self.device == "cuda" else self.prices.core_hour
