"""What `ttamer plan` is asked for: a service file, options that override it, and defaults from the profile."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ttamer.cli.options import names
from ttamer.profiles.errors import InputError

if TYPE_CHECKING:
    from ttamer.profiles.profile import Profile
    from ttamer.profiles.service import Service

BUDGET = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(cores?|/h)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of the command that say what to serve; None where one was left out."""

    slo: str | None = None
    rate: str | None = None
    quantile: str | None = None
    models: str | None = None
    policies: str | None = None
    objective: str | None = None
    accuracy_floor: str | None = None
    max_drop: str | None = None
    cost_weight: float | None = None
    cores: int | None = None
    budget: str | None = None
    memory: str | None = None
    mix: bool | None = None
    device: str | None = None
    headroom: str | None = None
    interpolate: bool | None = None
    current: Path | None = None


def service_asked_for(file: Path | None, options: Options, profile: "Profile") -> "Service":
    """The service in the file, each option given in place of what the file says.

    Stages are those of the profile where neither names any, and the core budget is the profiled machine's.
    Raises InputError on a quantity without its unit, DocumentError on a file that is none or has an unknown key.
    """
    from ttamer.profiles.service_file import ServiceFile, read_service_content

    content = {"rate": "1rps"} if file is None else read_service_content(file)
    for path, value in _given(options).items():
        _put(content, path, value)
    _choose_models(content, options)
    if "cores" not in _inner(content, "limits") and not content.get("pools"):
        _put(content, ("limits", "cores"), _cores_of(profile, str(content.get("device", "cpu"))))
    source = "the service" if file is None else str(file)
    folder = Path() if file is None or options.current else file.parent
    return ServiceFile.parse(content, source).to_service(source, profile.tasks(), folder)


def _given(options: Options) -> dict[tuple[str, ...], Any]:
    """What the options put where in a service file, checked so that a wrong one is named as it was typed."""
    from ttamer.profiles.service_parts import parse_quantile
    from ttamer.profiles.units import parse_bytes, parse_duration_s, parse_fraction, parse_rate_rps

    checks: dict[str, Callable[[str, str], Any]] = {
        "slo": parse_duration_s, "rate": parse_rate_rps, "memory": parse_bytes, "accuracy_floor": parse_fraction,
        "max_drop": parse_fraction, "headroom": parse_fraction, "quantile": parse_quantile,
    }  # fmt: skip
    for name, check in checks.items():
        text = getattr(options, name)
        if text is not None:
            check(text, f"--{name.replace('_', '-')}")
    found: dict[tuple[str, ...], Any] = {
        (name,): getattr(options, name)
        for name in (
            "slo", "rate", "quantile", "objective", "accuracy_floor", "max_drop", "mix", "device", "headroom",
            "interpolate",
        )
    }  # fmt: skip
    found |= {
        ("weights", "cost"): options.cost_weight,
        ("limits", "cores"): options.cores,
        ("limits", "memory"): options.memory,
        ("current",): None if options.current is None else str(options.current),
    }
    return {path: value for path, value in (found | _budget(options.budget)).items() if value is not None}


def _budget(text: str | None) -> dict[tuple[str, ...], Any]:
    if text is None:
        return {}
    match = BUDGET.fullmatch(text)
    amount = float(match[1]) if match else 0.0
    if match is None or amount <= 0 or (match[2] != "/h" and amount != int(amount)):
        raise InputError(
            f"--budget {text!r} is no budget", remedy="write it like 8cores, or like 2.5/h in the unit of the prices"
        )
    return {("limits", "cost_per_hour"): amount} if match[2] == "/h" else {("limits", "cores"): int(amount)}


def _choose_models(content: dict[str, Any], options: Options) -> None:
    """Options that belong to a stage go to the only one."""
    chosen = {
        "models": list(names(options.models, "--models", "resnet18,resnet50")),
        "policies": list(names(options.policies, "--policies", "dynamic-index,no-recall")),
    }
    given = {name: value for name, value in chosen.items() if value}
    if not given:
        return
    stages = content.get("stages") or [{}]
    if not isinstance(stages, list) or len(stages) != 1 or not isinstance(stages[0], dict):
        raise InputError(
            f"--{next(iter(given))} belongs to one stage and the service has several",
            remedy="name models and policies under each of the stages in the service file",
        )
    content["stages"] = [{**stages[0], **given}]


def _inner(content: dict[str, Any], key: str) -> Mapping[str, Any]:
    inner = content.get(key)
    return inner if isinstance(inner, dict) else {}


def _put(content: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    if len(path) == 1:
        content[path[0]] = value
    elif content.get(path[0]) is None or isinstance(content[path[0]], dict):
        content[path[0]] = {**(content.get(path[0]) or {}), path[1]: value}


def _cores_of(profile: "Profile", device: str) -> int | None:
    """Cores (or GPUs) of the profiled machine, where it is known how many it has."""
    allowed = profile.machine.facts.get("gpus" if device == "cuda" else "allowed_cpus")
    return len(allowed) if isinstance(allowed, list) else None
