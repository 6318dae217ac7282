"""`ttamer plan`: choose models, exit policies, batches, cores and replicas under an SLO."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ttamer.cli import render
from ttamer.cli.options import Device, DeviceOption, Format, FormatOption, ProfileName, names
from ttamer.cli.placing import placed

if TYPE_CHECKING:
    from ttamer.profiles.plan import Plan
    from ttamer.profiles.profile import Profile
    from ttamer.profiles.service import Service


def run(
    slo: Annotated[str, typer.Option("--slo", metavar="DURATION", help="Bound on the sojourn time.")],
    rate: Annotated[str, typer.Option("--rate", metavar="RATE", help="Load to serve.")] = "1rps",
    quantile: Annotated[str, typer.Option(metavar="PERCENT", help="Share of requests within the SLO.")] = "99%",
    cores: Annotated[int | None, typer.Option(min=1, help="Core budget; default: the profiled machine's.")] = None,
    max_drop: Annotated[str, typer.Option(metavar="PERCENT", help="Most accuracy an exit policy may lose.")] = "100%",
    models: Annotated[
        str | None,
        typer.Option(metavar="M,M", help="Models to choose from; default: all comparable."),
    ] = None,
    policies: Annotated[
        str | None,
        typer.Option(metavar="P,P", help="Exit policies to choose from; default: all."),
    ] = None,
    mix: Annotated[bool, typer.Option(help="Whether several models may share the load.")] = True,
    device: DeviceOption = Device.CPU,
    cost_weight: Annotated[
        float, typer.Option(min=0, help="Accuracy (fraction) that one core must buy to be used.")
    ] = 1e-3,
    profile: ProfileName = "local",
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the plan goes; a .parquet lies beside it.")] = Path(
        "plan.yaml"
    ),
    format: FormatOption = Format.TABLE,
) -> None:
    """Choose models, exit policies, batches, cores and replicas under an SLO.

    Example: ttamer plan --slo 200ms --rate 20rps --cores 8 --max-drop 1%
    """
    from ttamer.planning.planner import plan_service
    from ttamer.profiles.provenance import capture
    from ttamer.profiles.service import Service
    from ttamer.profiles.shelf import find_profile, read_profile
    from ttamer.profiles.units import parse_duration_s, parse_fraction, parse_rate_rps

    measured = read_profile(find_profile(profile))
    service = Service.parse(
        {
            "slo_s": parse_duration_s(slo, "--slo"),
            "quantile": _quantile(quantile),
            "rate_rps": parse_rate_rps(rate, "--rate"),
            "stages": [
                {
                    "models": names(models, "--models", "resnet18,resnet50"),
                    "policies": names(policies, "--policies", "dynamic-index,no-recall"),
                }
            ],
            "limits": {"cores": cores or _cores_of(measured)},
            "weights": {"cost": cost_weight},
            "max_drop": parse_fraction(max_drop, "--max-drop"),
            "mix": mix,
            "device": device.value,
        },
        "the service",
    )
    plan = placed(plan_service(service, measured), measured.require_folder(), out)
    provenance = capture(inputs=[measured.require_folder() / "latency.parquet"])
    written = plan.write(out, provenance)
    if format is Format.TABLE:
        _print(plan, service)
        render.say(f"wrote {', '.join(map(str, written))}; next: ttamer simulate {out}")
    else:
        render.document(plan.model_dump(mode="json"), format)


def _quantile(text: str) -> float:
    from ttamer.profiles.errors import InputError
    from ttamer.profiles.units import parse_fraction

    example = "99% or 0.999"
    quantile = parse_fraction(text, "--quantile", example)
    if not 0 < quantile < 1:
        raise InputError(f"--quantile {text!r} must lie between 0% and 100%", remedy=f"write it like {example}")
    return quantile


def _cores_of(profile: "Profile") -> int | None:
    allowed = profile.machine.facts.get("allowed_cpus")
    return len(allowed) if isinstance(allowed, list) else None


def _print(plan: "Plan", service: "Service") -> None:
    promise = plan.promise
    goal = f"p{100 * service.quantile:g} <= {render.seconds(service.slo_s)} at {render.rate(service.rate_rps)}"
    budget = f" on {render.count(service.limits.cores, 'core')}" if service.limits.cores else ""
    rows = [
        (
            group.model, _short(group.policy, group.model), str(group.replicas), str(group.cores), str(group.batch),
            render.seconds(group.batch_timeout_s), render.percent(group.share, 0), render.percent(group.utilization, 0),
            render.seconds(group.latency_s), render.percent(group.accuracy),
        )
        for group in plan.groups
    ]  # fmt: skip
    columns = (
        "model", "exit policy", "replicas", "cores", "batch", "wait up to", "load", "busy", "latency", "accuracy",
    )  # fmt: skip
    render.table(columns, rows, title=f"Plan for {goal}{budget}", spare=("wait up to", "load", "busy"))
    accuracy = "accuracy unknown"
    if promise.accuracy is not None:
        interval = f", at least {render.percent(promise.accuracy_low)}" if promise.accuracy_low is not None else ""
        accuracy = f"accuracy {render.percent(promise.accuracy)} ({promise.accuracy_source}{interval})"
    cores = render.count(promise.cores, "core")
    print(f"Promise: p{100 * promise.quantile:g} {render.seconds(promise.latency_s)}, {accuracy}, {cores}")
    print(
        f"Why: {plan.solve.status} ({plan.solve.solver}) among {render.count(plan.solve.columns, 'setting')}, "
        f"{plan.solve.columns_pruned:,} dominated set aside"
        + (f"; binding: {', '.join(plan.binding)}" if plan.binding else "; nothing binds")
    )
    for note in plan.notes:
        print(f"Note: {note}")


def _short(policy: str, model: str) -> str:
    """The policy's name without the model's, which stands beside it."""
    return policy.replace(f"{model}/", "", 1)
