"""`ttamer frontier`: what a model's exits can buy."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ttamer.cli import render
from ttamer.cli.options import Device, DeviceOption, Format, FormatOption, ProfileName, names
from ttamer.cli.plot import Series, scatter

if TYPE_CHECKING:
    from ttamer.exits.frontier import Frontier


def run(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model with exit records.")],
    policies: Annotated[
        str | None, typer.Option(metavar="P,P", help="Exit policies to look at; default: those a plan tries.")
    ] = None,
    device: DeviceOption = Device.CPU,
    profile: ProfileName = "local",
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the frontier goes, as Parquet.")] = Path(
        "frontier.parquet"
    ),
    format: FormatOption = Format.TABLE,
) -> None:
    """Show the exit policies of a model that no other, and no mixture of two, beats in accuracy and mean time.

    Example: ttamer frontier resnet20 -p reference
    """
    from ttamer.exits.frontier import frontier, write_vertices
    from ttamer.planning.exit_choice import allowed_kinds, measured_costs, read_records
    from ttamer.profiles.provenance import capture
    from ttamer.profiles.service import Stage
    from ttamer.profiles.shelf import find_profile, read_profile, records_path

    measured = read_profile(find_profile(profile))
    measured.spec(model)
    stage = Stage(policies=names(policies, "--policies", "dynamic-index,no-recall"))
    kinds = allowed_kinds(stage, measured.members(model))
    splits = ("calibration", "validation", "test")
    calibration, validation, test = (read_records(measured, model, split) for split in splits)
    found = frontier(kinds, calibration, validation, test, measured_costs(measured, model, device.value))
    inputs = [records_path(measured.require_folder(), model, split) for split in splits]
    write_vertices(out, found, capture(inputs=[path for path in inputs if path.is_file()]))
    if format is Format.TABLE:
        _print(found)
        render.say(f"wrote {out}; next: ttamer plan with --max-drop or --mean-latency")
    else:
        render.document(found.model_dump(mode="json"), format)


def _print(found: "Frontier") -> None:
    rows = [
        (
            one.policy.kind, render.seconds(one.validation.mean_s), render.percent(one.saved, 0),
            render.percent(one.validation.accuracy), render.percent(one.test.accuracy),
            render.percent_between(one.test.accuracy_low, one.test.accuracy_high), render.seconds(one.test.mean_s),
            render.percent(one.test.recalled),
        )
        for one in found.vertices
    ]  # fmt: skip
    columns = (
        "policy",
        "mean alone",
        "saved",
        "accuracy",
        "accuracy on test",
        "95 % interval",
        "mean on test",
        "recalled",
    )
    title = f"Frontier of {found.model} on {found.dataset}: {len(found.vertices)} of {found.settings:,} settings"
    render.table(columns, rows, title=title, spare=("recalled", "mean on test"))
    last = found.last_exit
    print(
        f"The last exit: {render.seconds(last.validation.mean_s)}, {render.percent(last.validation.accuracy)}, "
        f"on test {render.percent(last.test.accuracy)}. Fitted on {found.calibration_samples:,} samples, chosen on "
        f"{found.validation_samples:,}, tested on {found.test_samples:,}.\n"
        "Between two neighbours lie their mixtures, which plan uses for --max-drop and --mean-latency.\n"
    )
    print(_plot(found))


def _plot(found: "Frontier") -> str:
    test = [(1e3 * one.test.mean_s, 100 * one.test.accuracy) for one in found.vertices]
    validation = [(1e3 * one.validation.mean_s, 100 * one.validation.accuracy) for one in found.vertices]
    last = found.last_exit
    return scatter(
        [
            Series("on test", "t", test),
            Series("on validation", "o", validation),
            Series("last exit", "L", [(1e3 * last.validation.mean_s, 100 * last.validation.accuracy)]),
        ],
        x_label="ms",
        y_label="accuracy (%)",
        width=60,
        height=14,
    )
