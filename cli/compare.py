"""`ttamer compare`: a plan beside other planners, controllers on a trace, or exit policies on records; a file each."""

from pathlib import Path
from typing import Annotated

import typer

from ttamer.cli.adaptation_options import IntervalOption, LevelOption, LoadTimeOption, PastOption, PredictorOption
from ttamer.cli.options import Device, DeviceOption, Format, FormatOption, Seed


def run(
    plan: Annotated[
        Path | None, typer.Argument(metavar="PLAN", help="A plan written by ttamer plan; or give --records.")
    ] = None,
    records: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL|PATH", help="Compare exit policies on a profile's model, or on records that others wrote."
        ),
    ] = None,
    costs: Annotated[
        str | None,
        typer.Option(metavar="COSTS", help="With --records PATH: what stages cost, like 0.6ms+0.1ms; see docs."),
    ] = None,
    exits: Annotated[
        str | None, typer.Option(metavar="K,K", help="With --records PATH: the exits to keep; the last one answers.")
    ] = None,
    trace: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="With PLAN: let controllers adapt its service to a recorded load."),
    ] = None,
    window: Annotated[str | None, typer.Option(metavar="SPAN", help="With --trace: part of it, like 0s-1200s.")] = None,
    scale: Annotated[float, typer.Option(metavar="FACTOR", help="With --trace: so many times its load.")] = 1.0,
    controllers: Annotated[
        str | None, typer.Option(metavar="LIST", help="With --trace: some of them, like ttamer,ipa,static.")
    ] = None,
    predictor: PredictorOption = None,
    level: LevelOption = None,
    interval: IntervalOption = None,
    past: PastOption = None,
    load_time: LoadTimeOption = None,
    routing: Annotated[
        str, typer.Option(metavar="NAME", help="With --trace: to replicas, as ttamer simulate.")
    ] = "shared-queue",
    network: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --trace: what the network takes of the SLO.")
    ] = None,
    request_size: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Of a request, where the network is given as bandwidths.")
    ] = None,
    max_drop: Annotated[
        str, typer.Option(metavar="PERCENT", help="With --records: accuracy that a policy may lose.")
    ] = "1%",
    seed: Seed = 0,
    device: DeviceOption = Device.CPU,
    profile: Annotated[
        str | None,
        typer.Option("--profile", "-p", metavar="NAME", help="Profile; default: the one planned on, or local."),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the table as Parquet, too.")] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Set a plan beside FA2, RIM, Model-Switching+, VPA+ and static provisioning, on the same profile and limits.

    With --trace, let every controller adapt the plan's service to the same load: IPA, InfAdapter, Sponge and others,
    and ttamer; set their SLO misses, accuracy, cost and changes beside each other.

    With --records, set every exit policy beside the others: fitted and chosen on two splits, reported on a third, with
    oracles as bounds.

    Example: ttamer compare plan.yaml

    Example: ttamer compare plan.yaml --trace load.csv --window 600s-1800s

    Example: ttamer compare --records resnet20 -p local --max-drop 1%
    """
    from ttamer.cli import comparing_plans, comparing_records, comparing_trace
    from ttamer.cli.adapting import Adaptation, split_series
    from ttamer.profiles.errors import InputError

    if (plan is None) == (records is None):
        raise InputError(
            "nothing to compare" if plan is None else f"{plan} and --records {records} are two comparisons",
            remedy="ttamer compare plan.yaml, or ttamer compare --records MODEL",
        )
    if trace is not None:
        if plan is None:
            raise InputError(f"a trace for {records!r}", remedy="give a plan whose service is to be adapted")
        adaptation = Adaptation(
            trace=split_series(trace), window=window, scale=scale, past=past, predictor=predictor, level=level,
            interval=interval, load_time=load_time,
        )  # fmt: skip
        load = comparing_trace.Wish(
            adaptation=adaptation, controllers=controllers, network=network, request_size=request_size,
            routing=routing, seed=seed,
        )  # fmt: skip
        comparing_trace.run(plan, load, profile, out, format)
        return
    if plan is not None:
        comparing_plans.run(plan, profile, out, format)
        return
    wish = comparing_records.Wish(
        records=records or "", costs=costs, exits=exits, max_drop=max_drop, seed=seed, device=device.value
    )
    comparing_records.run(wish, profile, out, format)
