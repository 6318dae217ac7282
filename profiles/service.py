"""The service: what a user wants served, how fast and under which load."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from ttamer.profiles.schema import Document


class Stage(Document):
    """One step of the pipeline and the models allowed in it (empty: every model of the profile)."""

    name: str = "serve"
    models: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()


class Weights(Document):
    """How much one unit counts in the objective: accuracy as a fraction, cost in cores.

    The defaults say that a core is worth a tenth of a point of accuracy, and that of two plans
    alike in both the one with the smaller batches is better.
    """

    accuracy: float = Field(default=1.0, ge=0)
    cost: float = Field(default=1e-3, ge=0)
    batch: float = Field(default=1e-6, ge=0)


class Limits(Document):
    """Bounds on what a plan may use; None where there is none."""

    cores: PositiveInt | None = None
    replicas: PositiveInt = 100
    batch: PositiveInt | None = None


class Service(Document):
    """A service-level objective, a load and the freedom that the planner has.

    slo_s bounds the sojourn time of a request at `quantile`; max_drop is the most accuracy (a fraction)
    that an exit policy may lose against its model's last exit; `mix` lets models share the load.
    """

    slo_s: PositiveFloat
    quantile: float = Field(default=0.99, gt=0, lt=1)
    rate_rps: PositiveFloat
    stages: tuple[Stage, ...] = (Stage(),)
    limits: Limits = Limits()
    weights: Weights = Weights()
    max_drop: float = Field(default=1.0, ge=0, le=1)
    mix: bool = True
    device: Literal["cpu", "cuda"] = "cpu"
