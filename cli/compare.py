"""`ttamer compare`: a plan beside other planners, or every exit policy on the same records; a file each."""

from pathlib import Path
from typing import Annotated

import typer

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

    With --records, set every exit policy beside the others: fitted and chosen on two splits, reported on a third, with
    oracles as bounds.

    Example: ttamer compare plan.yaml

    Example: ttamer compare --records resnet20 -p local --max-drop 1%
    """
    from ttamer.cli import comparing_plans, comparing_records
    from ttamer.profiles.errors import InputError

    if (plan is None) == (records is None):
        raise InputError(
            "nothing to compare" if plan is None else f"{plan} and --records {records} are two comparisons",
            remedy="ttamer compare plan.yaml, or ttamer compare --records MODEL",
        )
    if plan is not None:
        comparing_plans.run(plan, profile, out, format)
        return
    wish = comparing_records.Wish(
        records=records or "", costs=costs, exits=exits, max_drop=max_drop, seed=seed, device=device.value
    )
    comparing_records.run(wish, profile, out, format)
