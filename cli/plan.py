"""`ttamer plan`: choose models, exit policies, batches, cores and replicas under an SLO."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ttamer.cli import render
from ttamer.cli.demand import Asked, Options, asked_for
from ttamer.cli.evidence import evidence_lines
from ttamer.cli.group import panels
from ttamer.cli.options import Format, FormatOption, ProfileName
from ttamer.cli.pareto import ParetoAxis, sweep
from ttamer.cli.placing import placed, refuse_unfit
from ttamer.cli.plan_options import PANELS, Objective, RiskOf
from ttamer.cli.schedule import schedule

if TYPE_CHECKING:
    from ttamer.profiles.plan import Plan
    from ttamer.profiles.profile import Profile
    from ttamer.profiles.service import Service


@panels(**{name: title for title, names in PANELS.items() for name in names.split()})
def run(
    service: Annotated[
        Path | None, typer.Argument(metavar="SERVICE", help="A service file; options override what it says.")
    ] = None,
    slo: Annotated[
        str | None, typer.Option("--slo", metavar="DURATION", help="Bound on the sojourn time; needed without a file.")
    ] = None,
    rate: Annotated[str | None, typer.Option("--rate", metavar="RATE", help="Load to serve; default 1rps.")] = None,
    quantile: Annotated[
        str | None, typer.Option(metavar="PERCENT", help="Share of requests within the SLO; default 99%.")
    ] = None,
    objective: Annotated[
        Objective | None,
        typer.Option(
            metavar="GOAL", help="accuracy, cost, latency or weighted; default: accuracy against cost, weighted."
        ),
    ] = None,
    accuracy_floor: Annotated[
        str | None, typer.Option(metavar="PERCENT", help="Least accuracy of the whole pipeline.")
    ] = None,
    max_drop: Annotated[
        str | None, typer.Option(metavar="PERCENT", help="Most accuracy an exit policy may lose; default 100%.")
    ] = None,
    mean_latency: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Most mean time of a request alone, with any policy.")
    ] = None,
    risk: Annotated[
        str | None,
        typer.Option(metavar="PERCENT", help="Offer only policies that are guaranteed to fail no more often, like 1%."),
    ] = None,
    confidence: Annotated[
        str | None, typer.Option(metavar="PERCENT", help="How sure that guarantee must be; default 95%.")
    ] = None,
    risk_of: Annotated[
        RiskOf | None,
        typer.Option(
            metavar="KIND", help="What a failure is: disagreement with the last exit (default), harm or error."
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="D,D", help="Where the models run: cpu, cuda or cpu,cuda; default cpu.")
    ] = None,
    cores: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Core budget; default: the profiled machine's.")
    ] = None,
    devices: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Most GPUs; default: the profiled machine's.")
    ] = None,
    price: Annotated[
        str | None,
        typer.Option(metavar="NAME=M,..", help="Money for an hour of a core, a GPU: cpu=0.04,cuda=1.10."),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="BUDGET", help="Cores (8cores), or money an hour (2.5/h) by the prices."),
    ] = None,
    memory: Annotated[str | None, typer.Option(metavar="SIZE", help="Most memory of all replicas, like 4GiB.")] = None,
    models: Annotated[
        str | None,
        typer.Option(metavar="M,M", help="Models to choose from; default: all comparable."),
    ] = None,
    policies: Annotated[
        str | None,
        typer.Option(metavar="P,P", help="Exit policies to choose from; default: all."),
    ] = None,
    mix: Annotated[
        bool | None, typer.Option("--mix/--no-mix", help="Whether several models may share the load; default yes.")
    ] = None,
    base_allocation: Annotated[
        str | None,
        typer.Option(metavar="RATE", help="Fix each model's cores first: the fewest with which a replica serves this."),
    ] = None,
    cost_weight: Annotated[
        float | None,
        typer.Option(min=0, metavar="W", help="Accuracy (fraction) that one core must buy to be used; default 0.001."),
    ] = None,
    headroom: Annotated[
        str | None, typer.Option(metavar="PERCENT", help="Share of each replica's capacity to leave free; default 0%.")
    ] = None,
    interpolate: Annotated[
        bool | None,
        typer.Option("--interpolate/--no-interpolate", help="Whether batches and cores between points may be used."),
    ] = None,
    allow_contended: Annotated[
        bool | None,
        typer.Option(
            "--allow-contended", help="Plan on timings that other programs disturbed, if there are no others."
        ),
    ] = None,
    current: Annotated[
        Path | None, typer.Option(metavar="PLAN", help="The plan that runs today, for the weight of loading.")
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="What the network takes of the SLO on the way; default nothing."),
    ] = None,
    network_trace: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What it takes second by second: write a schedule of cores and batches."),
    ] = None,
    request_size: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Size of a request, for a trace of bandwidths, like 200kB.")
    ] = None,
    solver: Annotated[
        str | None, typer.Option(metavar="NAME", help="highs, cbc, labels, ...; default: one that suits the program.")
    ] = None,
    time_limit: Annotated[
        str | None, typer.Option(metavar="DURATION", help="How long the solver may take; default 30s.")
    ] = None,
    gap: Annotated[
        str | None, typer.Option(metavar="PERCENT", help="How far from the optimum it may stop; default 0%.")
    ] = None,
    pareto: Annotated[
        ParetoAxis | None,
        typer.Option(metavar="AXIS", help="Sweep slo or cost, and print the plans that no other beats."),
    ] = None,
    verify_by_simulation: Annotated[
        bool,
        typer.Option("--verify-by-simulation", help="Simulate the plan, and plan again until it holds."),
    ] = False,
    verify_arrivals: Annotated[
        str, typer.Option(metavar="KIND", help="Load to hold under, as of ttamer simulate --arrivals.")
    ] = "poisson",
    verify_clock: Annotated[
        str, typer.Option(metavar="NAME", help="Server to hold on: ideal, ray-serve, triton, kserve.")
    ] = "ideal",
    show_config: Annotated[
        bool, typer.Option("--show-config", help="Print what would be solved as a service file, and stop.")
    ] = False,
    profile: ProfileName = "local",
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where it goes; a plan's .parquet lies beside it.")] = Path(
        "plan.yaml"
    ),
    format: FormatOption = Format.TABLE,
) -> None:
    """Choose models, exit policies, batches, cores and replicas under an SLO.

    Example: ttamer plan --slo 200ms --rate 20rps --cores 8 --max-drop 1%

    On two kinds of machines: ttamer plan --slo 50ms --rate 900rps --device cpu,cuda --price cpu=0.04,cuda=1.10
    """
    from ttamer.profiles.errors import InputError
    from ttamer.profiles.shelf import find_profile, read_profile

    if service is None and slo is None:
        raise InputError(
            "Missing option '--slo', and no service file", remedy="ttamer plan --slo 200ms, or ttamer plan service.yaml"
        )
    measured = read_profile(find_profile(profile))
    options = Options(
        mean_latency=mean_latency, risk=risk, confidence=confidence, risk_of=risk_of,
        slo=slo, rate=rate, quantile=quantile, models=models, policies=policies, objective=objective,
        accuracy_floor=accuracy_floor, max_drop=max_drop, cost_weight=cost_weight, cores=cores, devices=devices,
        price=price, budget=budget, memory=memory, mix=mix, device=device, headroom=headroom, interpolate=interpolate,
        allow_contended=allow_contended or None,
        current=current, base_allocation=base_allocation, network=network, network_trace=network_trace,
        request_size=request_size, time_limit=time_limit, gap=gap,
    )  # fmt: skip
    asked = asked_for(service, options, measured)
    if not (show_config or asked.trace or pareto):
        refuse_unfit(out, "plan", table=True)
    if not verify_by_simulation and (verify_arrivals, verify_clock) != ("poisson", "ideal"):
        raise InputError(
            "--verify-arrivals or --verify-clock without --verify-by-simulation", remedy="add --verify-by-simulation"
        )
    if show_config:
        _show(asked, format)
    elif asked.trace:
        schedule(asked, measured, out, format)
    elif pareto:
        sweep(asked.service, measured, pareto, out, format, solver)
    elif verify_by_simulation:
        from ttamer.cli.doubting import plan_held

        plan = plan_held(asked.service, measured, solver, verify_arrivals, verify_clock)
        _write(plan, asked.service, measured, service, out, format)
    else:
        from ttamer.planning.planner import plan_service

        _write(plan_service(asked.service, measured, solver=solver), asked.service, measured, service, out, format)


def _show(asked: Asked, format: Format) -> None:
    from ttamer.profiles.service_file import to_content

    render.document(to_content(asked.service, asked.trace), Format.YAML if format is Format.TABLE else format)


def _write(plan: "Plan", asked: "Service", measured: "Profile", file: Path | None, out: Path, format: Format) -> None:
    from ttamer.profiles.provenance import capture
    from ttamer.profiles.shelf import imported_path

    folder = measured.require_folder()
    plan = placed(plan, folder, out)
    inputs = [folder / "latency.parquet", imported_path(folder), *([file] if file else [])]
    written = plan.write(out, capture(inputs=[path for path in inputs if path.is_file()]))
    if format is Format.TABLE:
        _print(plan, asked)
        following = "export {} --to yaml" if measured.imported else "simulate {}"  # summaries cannot be simulated
        render.say(f"wrote {', '.join(map(str, written))}; next: ttamer {following.format(out)}")
    else:
        render.document(plan.model_dump(mode="json"), format)


def _print(plan: "Plan", service: "Service") -> None:
    promise = plan.promise
    several, is_fleet = len(service.stages) > 1, bool(service.pools)
    rows = [
        (
            *([group.stage] if several else []), *([group.pool] if is_fleet else []),
            group.model, _short(group.policy, group.model), str(group.replicas), str(group.cores), str(group.batch),
            render.seconds(group.batch_timeout_s), render.percent(group.share, 0), render.percent(group.utilization, 0),
            render.seconds(group.latency_s), render.percent(group.accuracy),
        )
        for group in plan.groups
    ]  # fmt: skip
    columns = (
        *(["stage"] if several else []), *(["pool"] if is_fleet else []),
        "model", "exit policy", "replicas", _counted(service), "batch", "wait up to", "load", "busy", "latency",
        "accuracy",
    )  # fmt: skip
    render.table(columns, rows, title=f"Plan for {_goal(service)}", spare=("wait up to", "load", "busy"))
    accuracy = "accuracy unknown"
    if promise.accuracy is not None:
        interval = f", at least {render.percent(promise.accuracy_low)}" if promise.accuracy_low is not None else ""
        accuracy = f"accuracy {render.percent(promise.accuracy)} ({promise.accuracy_source}{interval})"
    cost = _cost(plan, service)
    print(f"Promise: p{100 * promise.quantile:g} {render.seconds(promise.latency_s)}, {accuracy}, {cost}")
    print(
        f"Why: {_proven(plan)} ({plan.solve.solver}) among {render.count(plan.solve.columns, 'setting')}, "
        f"{plan.solve.columns_pruned:,} dominated set aside"
        + (f"; binding: {', '.join(plan.binding)}" if plan.binding else "; nothing binds")
    )
    if plan.solve.status == "time-limited" or service.gap:
        print(f"Gap: the objective is {plan.solve.objective:.6g}, and no plan's is above {plan.solve.bound:.6g}")
    for line in evidence_lines(plan):
        print(line)
    for note in plan.notes:
        print(f"Note: {note}")


def _goal(service: "Service") -> str:
    """What is asked for, and the machines."""
    goal = render.goal(service)
    limits = [f"{pool.cores} of {pool.name}" for pool in service.pools if pool.cores]
    if service.limits.cores:
        limits.append(render.count(service.limits.cores, "device" if service.device == "cuda" else "core"))
    return f"{goal} on {' and '.join(limits)}" if limits else goal


def _proven(plan: "Plan") -> str:
    """What is known of the plan's objective."""
    is_near = plan.solve.status == "optimal" and plan.service.gap > 0
    return f"within {render.percent(plan.service.gap)} of the optimum" if is_near else plan.solve.status


def _counted(service: "Service") -> str:
    """What replicas are counted in."""
    units = {"cpu": "cores", "cuda": "devices"}
    return "/".join(units[device] for device in service.devices())


def _cost(plan: "Plan", service: "Service") -> str:
    promise = plan.promise
    used = [render.count(promise.cores, "core")] if promise.cores or not promise.devices else []
    used += [render.count(promise.devices, "device")] if promise.devices else []
    cost = promise.cost_per_hour
    return ", ".join([*used, *([f"{cost:.4g} an hour"] if cost is not None else [])])


def _short(policy: str, model: str) -> str:
    """The policy's name without the model's, which stands beside it."""
    return policy.rpartition(f"{model}/")[2]
