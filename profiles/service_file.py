"""The service file: what to serve, as people write it. Field by field: docs/service.md.

Durations, rates, sizes and shares carry their units; inside, a `Service` holds SI numbers.
"""

from pathlib import Path
from typing import Any, Literal

from ttamer.profiles.documents import load_yaml
from ttamer.profiles.errors import DocumentError
from ttamer.profiles.plan import Plan
from ttamer.profiles.schema import Document
from ttamer.profiles.service import Device, Prices, Running, Service, Stage, Weights
from ttamer.profiles.service_parts import (
    DURATIONS,
    RATES,
    FileLimits,
    FileNetwork,
    FilePool,
    FileStage,
    Quantity,
    limits_content,
    parse_quantile,
    parse_risk,
    percent,
    pool_content,
    refuse_twice,
    spelled,
    stage_content,
)
from ttamer.profiles.units import parse_duration_s, parse_fraction, parse_rate_rps

EXAMPLE = "`slo: 200ms` and `rate: 20rps`"
AS_THEY_ARE = (
    "objective",
    "aggregation",
    "accuracy_scale",
    "risk_of",
    "mix",
    "interpolate",
    "allow_contended",
    "weights",
    "prices",
)


class ServiceFile(Document):
    """A service as written: defaults are those of `Service`. current: a plan file, or the groups that run today."""

    slo: Quantity
    rate: Quantity
    quantile: Quantity = "99%"
    stages: tuple[FileStage, ...] = ()
    objective: Literal["weighted", "accuracy", "cost", "latency"] = "weighted"
    aggregation: Literal["product", "sum", "mean"] = "product"
    accuracy_scale: Literal["raw", "rank"] = "raw"
    accuracy_floor: Quantity | None = None
    max_drop: Quantity = "100%"
    mean_latency: Quantity | None = None
    risk: Quantity | None = None
    confidence: Quantity = "95%"
    risk_of: Literal["disagreement", "harm", "error"] = "disagreement"
    weights: Weights = Weights()
    limits: FileLimits = FileLimits()
    prices: Prices = Prices()
    mix: bool = True
    device: Device | None = None
    pools: tuple[FilePool, ...] = ()
    network: Quantity | dict[str, Any] | None = None
    headroom: Quantity = "0%"
    interpolate: bool = False
    allow_contended: bool = False
    current: str | tuple[Running, ...] = ()
    time_limit: Quantity = "30s"
    gap: Quantity = "0%"

    def to_service(self, source: str, stages: tuple[str, ...] = (), folder: Path = Path()) -> Service:
        """The service. source: for messages, where it was read; stages: of the profile, for a file that names none.

        folder: from which `current` is a path.

        Raises InputError on a quantity without its unit, DocumentError on pools beside what they take the place of,
        and if `current` is no plan.
        """
        named = tuple(stage.to_stage(source) for stage in self.stages)
        named = named or tuple(Stage(name=stage) for stage in stages) or (Stage(),)
        refuse_twice([stage.name for stage in named], "stages", source)
        refuse_twice([pool.name for pool in self.pools], "pools", source)
        self._refuse_beside_pools(source)
        self._refuse_strange_pools(source)
        content: dict[str, Any] = {
            "slo_s": parse_duration_s(str(self.slo), f"{source}: slo"),
            "rate_rps": parse_rate_rps(str(self.rate), f"{source}: rate"),
            "quantile": parse_quantile(str(self.quantile), f"{source}: quantile"),
            "stages": named,
            "limits": self.limits.to_limits(source),
            "accuracy_floor": _floor(self.accuracy_floor, self.aggregation, f"{source}: accuracy_floor"),
            "max_drop": parse_fraction(str(self.max_drop), f"{source}: max_drop"),
            "mean_latency_s": _duration_s(self.mean_latency, f"{source}: mean_latency"),
            "risk": None if self.risk is None else parse_risk(str(self.risk), f"{source}: risk"),
            "confidence": parse_quantile(str(self.confidence), f"{source}: confidence"),
            "headroom": parse_fraction(str(self.headroom), f"{source}: headroom"),
            "pools": tuple(pool.to_pool(source) for pool in self.pools),
            "network_s": 0.0 if self.network_trace(source) else parse_network_s(self.network, f"{source}: network"),
            "current": _running(self.current, folder),
            "time_limit_s": parse_duration_s(str(self.time_limit), f"{source}: time_limit"),
            "gap": parse_fraction(str(self.gap), f"{source}: gap"),
        }
        content |= {name: getattr(self, name) for name in AS_THEY_ARE} | {"device": self.device or "cpu"}
        return Service.parse(content, source)

    def network_trace(self, source: str) -> FileNetwork | None:
        """The trace of what the network takes; None where that is constant. Raises DocumentError on unknown keys."""
        return FileNetwork.parse(self.network, f"{source}: network") if isinstance(self.network, dict) else None

    def _refuse_beside_pools(self, source: str) -> None:
        """Raise DocumentError on a device, prices or a limit on cores beside pools, which have their own."""
        given = {"device": self.device, "prices": self.prices != Prices(), "limits.cores": self.limits.cores}
        twice = [name for name, value in given.items() if value]
        if self.pools and twice:
            raise DocumentError(
                f"{source}: {twice[0]} and pools are given", remedy="write it into the pools, each has its own"
            )

    def _refuse_strange_pools(self, source: str) -> None:
        """Raise DocumentError on a running group that does not say in which of the pools, or names another one."""
        known = [pool.name for pool in self.pools]
        written = self.current if not isinstance(self.current, str) else ()
        for place, one in enumerate(written):
            if known and one.pool not in known and (one.pool or len(known) > 1):
                raise DocumentError(
                    f"{source}: current.{place}: {one.model!r} runs in no known pool {one.pool!r}",
                    remedy=f"name its pool: {', '.join(known)}",
                )


def read_service_content(path: Path) -> dict[str, Any]:
    """The plain content of a service file, to be completed by options. Raises DocumentError if it is no mapping."""
    content = load_yaml(path)
    if not isinstance(content, dict):
        raise DocumentError(f"{path} is no service file", remedy=f"write {EXAMPLE} into it")
    if str(content.get("format", "")).startswith("ttamer/"):
        raise DocumentError(f"{path} is a {content['format']} document", remedy=f"give a service file: {EXAMPLE}")
    return {str(key): value for key, value in content.items()}


def to_content(service: Service, trace: FileNetwork | None = None) -> dict[str, Any]:
    """The service as the content of a service file that gives it back exactly. trace: of the network, if it has one."""
    content: dict[str, Any] = {
        "slo": spelled(service.slo_s, DURATIONS, parse_duration_s),
        "rate": spelled(service.rate_rps, RATES, parse_rate_rps),
        "quantile": percent(service.quantile),
        "stages": [stage_content(stage) for stage in service.stages],
        "limits": limits_content(service.limits),
        "accuracy_floor": None if service.accuracy_floor is None else _floor_text(service.accuracy_floor),
        "max_drop": percent(service.max_drop),
        "mean_latency": _duration_text(service.mean_latency_s),
        "risk": None if service.risk is None else percent(service.risk),
        "confidence": percent(service.confidence),
        "headroom": percent(service.headroom),
        "network": _network_content(service, trace),
        "current": [one.model_dump() for one in service.current],
        "time_limit": spelled(service.time_limit_s, DURATIONS, parse_duration_s),
        "gap": percent(service.gap),
    }
    content |= {name: getattr(service, name) for name in AS_THEY_ARE if name not in ("weights", "prices")}
    content |= {"weights": service.weights.model_dump()}
    if service.pools:
        content["pools"] = [pool_content(pool) for pool in service.pools]
    else:
        content |= {"device": service.device, "prices": service.prices.model_dump()}
    return {name: content[name] for name in ServiceFile.model_fields if name in content}


def _network_content(service: Service, trace: FileNetwork | None) -> object:
    if trace is not None:
        return trace.model_dump(exclude_none=True)
    return spelled(service.network_s, DURATIONS, parse_duration_s) if service.network_s else None


def parse_network_s(value: object, what: str) -> float:
    """Seconds that the network takes; 0 where none are given. Raises InputError on a duration without its unit."""
    return 0.0 if value is None else parse_duration_s(str(value), what)


def _duration_text(seconds: float | None) -> str | None:
    return None if seconds is None else spelled(seconds, DURATIONS, parse_duration_s)


def _duration_s(value: Quantity | None, what: str) -> float | None:
    return None if value is None else parse_duration_s(str(value), what)


def _floor(value: Quantity | None, aggregation: str, what: str) -> float | None:
    """A share; a sum over stages may be more than 1."""
    if value is None:
        return None
    if aggregation == "sum" and not isinstance(value, str) and value > 1:
        return float(value)
    return parse_fraction(str(value), what)


def _floor_text(floor: float) -> str | float:
    return percent(floor) if floor <= 1 else floor


def _running(current: str | tuple[Running, ...], folder: Path) -> tuple[Running, ...]:
    if not isinstance(current, str):
        return current
    plan = Plan.read(folder / current)
    return tuple(
        Running(
            stage=group.stage, model=group.model, policy=group.policy, pool=group.pool,
            cores=group.cores, batch=group.batch, replicas=group.replicas,
        )
        for group in plan.groups
    )  # fmt: skip
