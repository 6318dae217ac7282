"""The service file: what to serve, as people write it. Field by field: docs/service.md.

Durations, rates, sizes and shares carry their units; inside, a `Service` holds SI numbers.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from ttamer.profiles.documents import load_yaml
from ttamer.profiles.errors import DocumentError, InputError
from ttamer.profiles.plan import Plan
from ttamer.profiles.schema import Document
from ttamer.profiles.service import Count, Prices, Running, Service, Stage, Weights
from ttamer.profiles.units import parse_bytes, parse_duration_s, parse_fraction, parse_rate_rps

Quantity = str | int | float  # a number without a unit is refused where it is parsed, with an example
DURATIONS, RATES, SIZES = ("s", "ms", "us"), ("rps", "rpm"), ("GiB", "MiB", "GB", "MB", "kB", "B")


class FileLimits(Document):
    """Bounds on what a plan may use."""

    cores: Count | None = None
    memory: Quantity | None = None
    replicas: Count = 100
    batch: Count | None = None
    cost_per_hour: float | None = Field(default=None, gt=0)


class ServiceFile(Document):
    """A service as written: defaults are those of `Service`. current: a plan file, or the groups that run today."""

    slo: Quantity
    rate: Quantity
    quantile: Quantity = "99%"
    stages: tuple[Stage, ...] = ()
    objective: Literal["weighted", "accuracy", "cost", "latency"] = "weighted"
    aggregation: Literal["product", "sum", "mean"] = "product"
    accuracy_scale: Literal["raw", "rank"] = "raw"
    accuracy_floor: Quantity | None = None
    max_drop: Quantity = "100%"
    weights: Weights = Weights()
    limits: FileLimits = FileLimits()
    prices: Prices = Prices()
    mix: bool = True
    device: Literal["cpu", "cuda"] = "cpu"
    headroom: Quantity = "0%"
    interpolate: bool = False
    current: str | tuple[Running, ...] = ()

    def to_service(self, source: str, stages: tuple[str, ...] = (), folder: Path = Path()) -> Service:
        """The service. source: for messages, where it was read; stages: of the profile, for a file that names none.

        folder: from which `current` is a path.

        Raises InputError on a quantity without its unit, DocumentError if `current` is no plan.
        """
        named = self.stages or tuple(Stage(name=stage) for stage in stages) or (Stage(),)
        content: dict[str, Any] = {
            "slo_s": parse_duration_s(str(self.slo), f"{source}: slo"),
            "rate_rps": parse_rate_rps(str(self.rate), f"{source}: rate"),
            "quantile": parse_quantile(str(self.quantile), f"{source}: quantile"),
            "stages": named,
            "limits": _limits(self.limits, source),
            "accuracy_floor": _floor(self.accuracy_floor, self.aggregation, f"{source}: accuracy_floor"),
            "max_drop": _share(self.max_drop, f"{source}: max_drop"),
            "headroom": _share(self.headroom, f"{source}: headroom"),
            "current": _running(self.current, folder),
        }
        same = ("objective", "aggregation", "accuracy_scale", "weights", "prices", "mix", "device", "interpolate")
        content |= {name: getattr(self, name) for name in same}
        twice = sorted({stage.name for stage in named if [one.name for one in named].count(stage.name) > 1})
        if twice:
            raise DocumentError(
                f"{source}: stages: {twice[0]!r} stands there twice", remedy="give every stage its own name"
            )
        return Service.parse(content, source)


def read_service_content(path: Path) -> dict[str, Any]:
    """The plain content of a service file, to be completed by options. Raises DocumentError if it is no mapping."""
    content = load_yaml(path)
    if not isinstance(content, dict):
        raise DocumentError(f"{path} is no service file", remedy="write `slo: 200ms` and `rate: 20rps` into it")
    return {str(key): value for key, value in content.items()}


def to_content(service: Service) -> dict[str, Any]:
    """The service as the content of a service file that gives it back exactly."""
    limits = service.limits
    content: dict[str, Any] = {
        "slo": spelled(service.slo_s, DURATIONS, parse_duration_s),
        "rate": spelled(service.rate_rps, RATES, parse_rate_rps),
        "quantile": _percent(service.quantile),
        "stages": [
            {"name": stage.name, "models": list(stage.models), "policies": list(stage.policies)}
            for stage in service.stages
        ],
        "limits": {
            "cores": limits.cores,
            "memory": spelled(limits.memory_bytes, SIZES, parse_bytes) if limits.memory_bytes else None,
            "replicas": limits.replicas,
            "batch": limits.batch,
            "cost_per_hour": limits.cost_per_hour,
        },
        "accuracy_floor": None if service.accuracy_floor is None else _floor_text(service.accuracy_floor),
        "max_drop": _percent(service.max_drop),
        "headroom": _percent(service.headroom),
        "current": [one.model_dump() for one in service.current],
    }
    for name in ("objective", "aggregation", "accuracy_scale", "mix", "device", "interpolate"):
        content[name] = getattr(service, name)
    content |= {"weights": service.weights.model_dump(), "prices": service.prices.model_dump()}
    return {name: content[name] for name in ServiceFile.model_fields}


def spelled(value: float, units: tuple[str, ...], parse: Callable[[str], float]) -> str:
    """The value with the unit that makes the plainest text which means exactly this value.

    >>> spelled(0.2, DURATIONS, parse_duration_s), spelled(4 * 2**30, SIZES, parse_bytes)
    ('200ms', '4GiB')
    """
    texts = [f"{_short(value / parse('1' + unit))}{unit}" for unit in units]
    exact = [text for text in texts if parse(text) == value]
    base = "B" if units is SIZES else units[0]
    return min(exact, key=lambda text: ("." in text, len(text)), default=f"{value!r}{base}")


def _short(number: float) -> str:
    text = f"{number:.12g}"
    return text if "e" not in text and float(text) == number else repr(number)


def _percent(fraction: float) -> str:
    text = f"{_short(round(100 * fraction, 10))}%"
    return text if parse_fraction(text) == fraction else format(Decimal(repr(fraction)), "f")


def _share(value: Quantity, what: str) -> float:
    return parse_fraction(str(value), what)


def parse_quantile(text: str, what: str) -> float:
    """A quantile between 0 and 1, both excluded. Raises InputError with an example."""
    example = "99% or 0.999"
    quantile = parse_fraction(text, what, example)
    if not 0 < quantile < 1:
        raise InputError(f"{what} {text!r} must lie between 0% and 100%", remedy=f"write it like {example}")
    return quantile


def _floor(value: Quantity | None, aggregation: str, what: str) -> float | None:
    """A share; a sum over stages may be more than 1."""
    if value is None:
        return None
    if aggregation == "sum" and not isinstance(value, str) and value > 1:
        return float(value)
    return _share(value, what)


def _floor_text(floor: float) -> str | float:
    return _percent(floor) if floor <= 1 else floor


def _limits(limits: FileLimits, source: str) -> Mapping[str, Any]:
    memory = None if limits.memory is None else parse_bytes(str(limits.memory), f"{source}: limits.memory")
    return {
        "cores": limits.cores, "replicas": limits.replicas, "batch": limits.batch,
        "memory_bytes": memory, "cost_per_hour": limits.cost_per_hour,
    }  # fmt: skip


def _running(current: str | tuple[Running, ...], folder: Path) -> tuple[Running, ...]:
    if not isinstance(current, str):
        return current
    plan = Plan.read(folder / current)
    return tuple(
        Running(
            stage=group.stage, model=group.model, policy=group.policy,
            cores=group.cores, batch=group.batch, replicas=group.replicas,
        )
        for group in plan.groups
    )  # fmt: skip
