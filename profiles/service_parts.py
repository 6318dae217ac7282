"""The lists and blocks of a service file as people write them, and what they become: stages, pools, limits, network."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field

from ttamer.profiles.errors import DocumentError, InputError
from ttamer.profiles.schema import Document
from ttamer.profiles.service import BaseAllocation, Count, Device, Limits, Pool, PoolName, Stage, Weight
from ttamer.profiles.units import parse_bytes, parse_duration_s, parse_fraction, parse_rate_rps

Quantity = str | int | float  # a number without a unit is refused where it is parsed, with an example
DURATIONS, RATES, SIZES = ("s", "ms", "us"), ("rps", "rpm"), ("GiB", "MiB", "GB", "MB", "kB", "B")
UNITS: Mapping[str, tuple[str, str]] = {"cpu": ("cores", "core_hour"), "cuda": ("devices", "device_hour")}


class FileLimits(Document):
    """Bounds on what a plan may use."""

    cores: Count | None = None
    memory: Quantity | None = None
    replicas: Count = 100
    stage_replicas: Count | None = None
    batch: Count | None = None
    cost_per_hour: float | None = Field(default=None, gt=0)

    def to_limits(self, source: str) -> dict[str, Any]:
        """The limits as plain data. Raises InputError on a size without its unit."""
        memory = None if self.memory is None else parse_bytes(str(self.memory), f"{source}: limits.memory")
        return self.model_dump(exclude={"memory"}) | {"memory_bytes": memory}


class FileBaseAllocation(Document):
    """Fixing the cores of each model before planning."""

    threshold: Quantity
    slo: Quantity | None = None
    slo_factor: float = Field(default=5.0, gt=0)
    throughput_share: Quantity = "100%"
    rule: Literal["fewest", "published"] = "fewest"

    def to_base_allocation(self, source: str) -> dict[str, Any]:
        """The rule as plain data. Raises InputError on a quantity without its unit."""
        return {
            "threshold_rps": parse_rate_rps(str(self.threshold), f"{source}.threshold"),
            "slo_s": None if self.slo is None else parse_duration_s(str(self.slo), f"{source}.slo"),
            "slo_factor": self.slo_factor,
            "throughput_share": parse_fraction(str(self.throughput_share), f"{source}.throughput_share"),
            "rule": self.rule,
        }


class FileStage(Document):
    """One step of the pipeline."""

    name: str = Field(default="serve", min_length=1)
    models: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    replicas: Count | None = None
    base_allocation: FileBaseAllocation | None = None

    def to_stage(self, source: str) -> Stage:
        """The stage. Raises InputError on a quantity without its unit."""
        base = self.base_allocation
        where = f"{source}: stages.{self.name}"
        content = self.model_dump(exclude={"base_allocation"})
        if base is not None:
            content["base_allocation"] = base.to_base_allocation(f"{where}.base_allocation")
        return Stage.parse(content, where)


class FilePool(Document):
    """Machines of one kind: cores at a price per core-hour, or CUDA devices at a price per device-hour."""

    name: PoolName
    device: Device | None = None
    cores: Count | None = None
    devices: Count | None = None
    memory: Quantity | None = None
    core_hour: Weight | None = None
    device_hour: Weight | None = None

    def to_pool(self, source: str) -> Pool:
        """The pool. Raises DocumentError if it has no price or counts what it does not consist of."""
        where = f"{source}: pools.{self.name}"
        counts_devices = self.devices is not None or self.device_hour is not None
        device = self.device or ("cuda" if counts_devices else "cpu")
        count, price = UNITS[device]
        for key in (name for other, names in UNITS.items() if other != device for name in names):
            if getattr(self, key) is not None:
                raise DocumentError(
                    f"{where} consists of {count} and is given {key}", remedy=f"write {count} and {price} for {device}"
                )
        if getattr(self, price) is None:
            raise DocumentError(
                f"{where} has no price",
                remedy=f"add {price}, the money for an hour of one; 0 for what is paid for anyway",
            )
        memory = None if self.memory is None else parse_bytes(str(self.memory), f"{where}.memory")
        return Pool(
            name=self.name, device=device, cores=getattr(self, count), memory_bytes=memory, price=getattr(self, price)
        )


class FileNetwork(Document):
    """What the network takes of the SLO second by second: a trace, and the size of a request if it is of bandwidths."""

    trace: str = Field(min_length=1)
    request: Quantity | None = None


def refuse_twice(names: list[str], what: str, source: str) -> None:
    """Raise DocumentError if a name of stages or pools stands there twice."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        what_one = what.removesuffix("s")
        raise DocumentError(
            f"{source}: {what}: {twice[0]!r} stands there twice", remedy=f"give every {what_one} its own name"
        )


def parse_quantile(text: str, what: str) -> float:
    """A quantile between 0 and 1, both excluded. Raises InputError with an example."""
    example = "99% or 0.999"
    quantile = parse_fraction(text, what, example)
    if not 0 < quantile < 1:
        raise InputError(f"{what} {text!r} must lie between 0% and 100%", remedy=f"write it like {example}")
    return quantile


def parse_risk(text: str, what: str) -> float:
    """A risk between 0 and 1, both excluded: nothing measured is ever certain. Raises InputError with an example."""
    risk = parse_fraction(text, what)
    if not 0 < risk < 1:
        raise InputError(
            f"{what} {text!r} must lie between 0% and 100%: no number of samples rules out every failure",
            remedy="write it like 1% or 0.01",
        )
    return risk


def limits_content(limits: Limits) -> dict[str, Any]:
    """The limits as a service file has them."""
    content: dict[str, Any] = {name: getattr(limits, name, None) for name in FileLimits.model_fields}
    return content | {"memory": _size(limits.memory_bytes)}


def stage_content(stage: Stage) -> dict[str, Any]:
    """The stage as a service file has it."""
    content: dict[str, Any] = {"name": stage.name, "models": list(stage.models), "policies": list(stage.policies)}
    if stage.replicas is not None:
        content["replicas"] = stage.replicas
    if stage.base_allocation is not None:
        content["base_allocation"] = _base_content(stage.base_allocation)
    return content


def _base_content(base: BaseAllocation) -> dict[str, Any]:
    return {
        "threshold": spelled(base.threshold_rps, RATES, parse_rate_rps),
        "slo": None if base.slo_s is None else spelled(base.slo_s, DURATIONS, parse_duration_s),
        "slo_factor": base.slo_factor,
        "throughput_share": percent(base.throughput_share),
        "rule": base.rule,
    }


def pool_content(pool: Pool) -> dict[str, Any]:
    """The pool as a service file has it."""
    count, price = UNITS[pool.device]
    content: dict[str, Any] = {"name": pool.name, "device": pool.device, count: pool.cores, price: pool.price}
    return content | ({"memory": _size(pool.memory_bytes)} if pool.memory_bytes else {})


def spelled(value: float, units: tuple[str, ...], parse: Callable[[str], float]) -> str:
    """The value with the unit that makes the plainest text which means exactly this value.

    >>> spelled(0.2, DURATIONS, parse_duration_s), spelled(4 * 2**30, SIZES, parse_bytes)
    ('200ms', '4GiB')
    """
    texts = [f"{_short(value / parse('1' + unit))}{unit}" for unit in units]
    exact = [text for text in texts if parse(text) == value]
    base = "B" if units is SIZES else units[0]
    return min(exact, key=lambda text: ("." in text, len(text)), default=f"{value!r}{base}")


def percent(fraction: float) -> str:
    """The fraction as a percentage that means exactly this value, else as a fraction with a point."""
    text = f"{_short(round(100 * fraction, 10))}%"
    return text if parse_fraction(text) == fraction else format(Decimal(repr(fraction)), "f")


def _size(size_bytes: int | None) -> str | None:
    return spelled(size_bytes, SIZES, parse_bytes) if size_bytes else None


def _short(number: float) -> str:
    text = f"{number:.12g}"
    return text if "e" not in text and float(text) == number else repr(number)
