"""What `ttamer plan` is asked for: a service file, options that override it, and defaults from the profile."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ttamer.cli.fleet import put_fleet
from ttamer.cli.options import names
from ttamer.profiles.errors import InputError

if TYPE_CHECKING:
    from ttamer.profiles.profile import Profile
    from ttamer.profiles.service import Service
    from ttamer.profiles.service_parts import FileNetwork

BUDGET = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(cores?|/h)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of the command that say what to serve; None where one was left out."""

    slo: str | None = None
    rate: str | None = None
    quantile: str | None = None
    models: str | None = None
    policies: str | None = None
    base_allocation: str | None = None
    objective: str | None = None
    accuracy_floor: str | None = None
    max_drop: str | None = None
    mean_latency: str | None = None
    risk: str | None = None
    confidence: str | None = None
    risk_of: str | None = None
    cost_weight: float | None = None
    cores: int | None = None
    devices: int | None = None
    price: str | None = None
    budget: str | None = None
    memory: str | None = None
    mix: bool | None = None
    device: str | None = None
    headroom: str | None = None
    interpolate: bool | None = None
    allow_contended: bool | None = None
    current: Path | None = None
    network: str | None = None
    network_trace: Path | None = None
    request_size: str | None = None
    time_limit: str | None = None
    gap: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked for. trace: what the network takes second by second, with the folder that its path starts from."""

    service: "Service"
    trace: "FileNetwork | None" = None
    folder: Path = Path()


def asked_for(file: Path | None, options: Options, profile: "Profile") -> Asked:
    """The service in the file, each option given in place of what the file says.

    Stages are those of the profile where neither names any, and the core budget is the profiled machine's.
    Raises InputError on a quantity without its unit, DocumentError on a file that is none or has an unknown key.
    """
    from ttamer.profiles.service_file import ServiceFile, read_service_content

    content = {"rate": "1rps"} if file is None else read_service_content(file)
    for path, value in _given(options).items():
        _put(content, path, value)
    _choose_models(content, options)
    _put_network(content, options)
    put_fleet(
        content, profile.machine.facts,
        device=options.device, cores=_cores(options), devices=options.devices, price=options.price,
    )  # fmt: skip
    source = "the service" if file is None else str(file)
    folder = Path() if file is None else file.parent
    written = ServiceFile.parse(content, source)
    service = written.to_service(source, profile.tasks(), Path() if options.current else folder)
    return Asked(
        service=service, trace=written.network_trace(source), folder=Path() if options.network_trace else folder
    )


def _given(options: Options) -> dict[tuple[str, ...], Any]:
    """What the options put where in a service file, checked so that a wrong one is named as it was typed."""
    from ttamer.profiles.service_parts import parse_quantile, parse_risk
    from ttamer.profiles.units import parse_bytes, parse_duration_s, parse_fraction, parse_rate_rps

    checks: dict[str, Callable[[str, str], Any]] = {
        "slo": parse_duration_s, "rate": parse_rate_rps, "memory": parse_bytes, "accuracy_floor": parse_fraction,
        "max_drop": parse_fraction, "headroom": parse_fraction, "quantile": parse_quantile,
        "mean_latency": parse_duration_s, "risk": parse_risk, "confidence": parse_quantile,
        "network": parse_duration_s, "request_size": parse_bytes, "time_limit": parse_duration_s,
        "gap": parse_fraction, "base_allocation": parse_rate_rps,
    }  # fmt: skip
    for name, check in checks.items():
        text = getattr(options, name)
        if text is not None:
            check(text, f"--{name.replace('_', '-')}")
    found: dict[tuple[str, ...], Any] = {
        (name,): getattr(options, name)
        for name in (
            "slo", "rate", "quantile", "objective", "accuracy_floor", "max_drop",
            "mean_latency", "risk", "confidence", "risk_of", "mix", "headroom", "interpolate", "allow_contended",
            "time_limit", "gap",
        )
    }  # fmt: skip
    found |= {
        ("weights", "cost"): options.cost_weight,
        ("limits", "memory"): options.memory,
        ("limits", "cost_per_hour"): _budget(options.budget)[1],
        ("current",): None if options.current is None else str(options.current),
    }
    return {path: value for path, value in found.items() if value is not None}


def _cores(options: Options) -> int | None:
    """Cores by either option, a budget in cores going first."""
    in_budget = _budget(options.budget)[0]
    return options.cores if in_budget is None else in_budget


def _budget(text: str | None) -> tuple[int | None, float | None]:
    """Cores or money an hour, whichever the budget is in."""
    if text is None:
        return None, None
    match = BUDGET.fullmatch(text)
    amount = float(match[1]) if match else 0.0
    if match is None or amount <= 0 or (match[2] != "/h" and amount != int(amount)):
        raise InputError(
            f"--budget {text!r} is no budget", remedy="write it like 8cores, or like 2.5/h in the unit of the prices"
        )
    return (None, amount) if match[2] == "/h" else (int(amount), None)


def _put_network(content: dict[str, Any], options: Options) -> None:
    """A constant time, or a trace with the size of a request; the size alone completes the trace of the file."""
    if options.network is not None and options.network_trace is not None:
        raise InputError(
            "--network and --network-trace are given", remedy="give the time that is constant, or the trace"
        )
    if options.network is not None:
        content["network"] = options.network
    if options.network_trace is not None:
        content["network"] = {"trace": str(options.network_trace)}
    if options.request_size is None:
        return
    if not isinstance(content.get("network"), dict):
        raise InputError("--request-size belongs to a trace of the network", remedy="add --network-trace FILE")
    content["network"] = {**content["network"], "request": options.request_size}


def _choose_models(content: dict[str, Any], options: Options) -> None:
    """Options that belong to a stage go to the only one."""
    chosen = {
        "models": list(names(options.models, "--models", "resnet18,resnet50")),
        "policies": list(names(options.policies, "--policies", "dynamic-index,no-recall")),
    }
    given: dict[str, Any] = {name: value for name, value in chosen.items() if value}
    if options.base_allocation is not None:
        given["base_allocation"] = {"threshold": options.base_allocation}
    if not given:
        return
    stages = content.get("stages") or [{}]
    if not isinstance(stages, list) or len(stages) != 1 or not isinstance(stages[0], dict):
        raise InputError(
            f"--{next(iter(given)).replace('_', '-')} belongs to one stage and the service has several",
            remedy="write it under each of the stages in the service file",
        )
    content["stages"] = [{**stages[0], **given}]


def _put(content: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    if len(path) == 1:
        content[path[0]] = value
    elif content.get(path[0]) is None or isinstance(content[path[0]], dict):
        content[path[0]] = {**(content.get(path[0]) or {}), path[1]: value}
