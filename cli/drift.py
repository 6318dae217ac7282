"""`ttamer drift`: what becomes of early exits when the data change."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ttamer.cli import render
from ttamer.cli.drift_report import print_report
from ttamer.cli.options import Device, DeviceOption, Format, FormatOption, ProfileName, Seed

if TYPE_CHECKING:
    from numpy.random import Generator

    from ttamer.exits.apparate.servings import Ground, Rules
    from ttamer.profiles.profile import Profile

USUAL_BATCH = 16  # of the batches that Apparate was published for, the one in the middle


class Compat(StrEnum):
    """Whose rules the tuner follows."""

    FIXED = "fixed"
    RELEASED = "released"


class Controls(StrEnum):
    """Which of Apparate's controllers manages the ramps."""

    AUTO = "auto"
    VISION = "vision"
    LANGUAGE = "language"


class Arrivals(StrEnum):
    """How recorded samples arrive."""

    STEADY = "steady"
    HARDER = "harder"
    SUDDEN = "sudden"
    CLASSES = "classes"


def run(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model with exit records.")],
    stream: Annotated[
        Arrivals,
        typer.Option(help="Test samples as they come; ever harder ones; easy ones, then hard ones; class after class."),
    ] = Arrivals.HARDER,
    later: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Exit records of other data, which arrive in the second half."),
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Samples a batch; default 16, or the largest measured.")
    ] = None,
    batches: Annotated[int, typer.Option(min=1, help="Batches to stream.")] = 400,
    compat: Annotated[
        Compat, typer.Option(help="Rules of Apparate's tuner: what they mean, or those of the released code.")
    ] = Compat.FIXED,
    controller: Annotated[
        Controls, typer.Option(help="Apparate's controller; default: by the model's input.")
    ] = Controls.AUTO,
    ramps: Annotated[
        int | None, typer.Option(min=1, max=4, help="Most ramps; default 3, for language models 2.")
    ] = None,
    tail_budget: Annotated[
        str | None,
        typer.Option(metavar="PERCENT", help="Most that ramps may add to the whole model; default 2%, released 5%."),
    ] = None,
    max_disagreement: Annotated[
        str, typer.Option(metavar="PERCENT", help="Answers that may change where ramps are placed and tuned once.")
    ] = "1%",
    audit: Annotated[
        str, typer.Option(metavar="PERCENT", help="Requests computed to the end, for the controller that stops.")
    ] = "10%",
    device: DeviceOption = Device.CPU,
    profile: ProfileName = "local",
    seed: Seed = 0,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where every batch goes, as Parquet.")] = Path(
        "drift.parquet"
    ),
    format: FormatOption = Format.TABLE,
) -> None:
    """Stream recorded samples through Apparate's controller and through exits that stay as they were placed.

    Example: ttamer drift resnet20 -p reference --stream sudden
    """
    import numpy as np

    from ttamer.exits.apparate.drift_report import report_on, write_batches
    from ttamer.exits.apparate.servings import audits, serve_alike
    from ttamer.profiles.provenance import capture
    from ttamer.profiles.shelf import find_profile, read_profile, records_path

    measured = read_profile(find_profile(profile))
    rules = _rules(measured, model, controller, compat, ramps, tail_budget, max_disagreement, audit)
    rng = np.random.default_rng(seed)
    ground = _ground(measured, model, device.value, stream, later, batch, batches, rng)
    servings = serve_alike(ground, rules, audits(len(ground.order_M), rules.audit, rng))
    how = stream.value if later is None else f"{stream.value}, then {later.name}"
    report = report_on(servings, ground, rules, exits=measured.spec(model).exits, stream=how, seed=seed)
    inputs = [records_path(measured.require_folder(), model, split) for split in ("calibration", "validation", "test")]
    write_batches(
        out, servings, report, ground.latency(), capture(seed=seed, inputs=[*inputs, *([later] if later else [])])
    )
    if format is Format.TABLE:
        print_report(report)
        render.say(f"wrote {out}")
    else:
        render.document(report.model_dump(mode="json"), format)


def _rules(
    profile: "Profile",
    model: str,
    controller: Controls,
    compat: Compat,
    ramps: int | None,
    tail_budget: str | None,
    max_disagreement: str,
    audit: str,
) -> "Rules":
    from ttamer.exits.apparate import tuner
    from ttamer.exits.apparate.servings import Rules
    from ttamer.profiles.units import parse_fraction

    by_input = Controls.LANGUAGE if len(profile.spec(model).input_shape) == 1 else Controls.VISION
    return Rules(
        controller=(by_input if controller is Controls.AUTO else controller).value,
        compat=tuner.Compat(compat.value),
        most_ramps=ramps,
        tail_budget=None if tail_budget is None else parse_fraction(tail_budget, "--tail-budget"),
        max_disagreement=parse_fraction(max_disagreement, "--max-disagreement"),
        audit=parse_fraction(audit, "--audit"),
    )


def _ground(
    profile: "Profile",
    model: str,
    device: str,
    stream: Arrivals,
    later: Path | None,
    batch: int | None,
    batches: int,
    rng: "Generator",
) -> "Ground":
    import numpy as np

    from ttamer.exits.apparate.servings import Ground, joined
    from ttamer.exits.apparate.streams import STREAMS
    from ttamer.exits.evaluate import refuse_overlap
    from ttamer.planning.exit_choice import read_records
    from ttamer.planning.exit_costs import costs_by_batch
    from ttamer.profiles.records import ExitRecords

    costs = costs_by_batch(profile, model, device)
    calibration, validation, test = (
        read_records(profile, model, split) for split in ("calibration", "validation", "test")
    )
    refuse_overlap(calibration, validation, test)
    size = batch or min(USUAL_BATCH, max(costs))
    arrivals = size * batches
    if later is None:
        records, order_M = test, STREAMS[stream.value](test, arrivals, rng)
    else:
        other = ExitRecords.read(later)
        records, half = joined(test, other), arrivals // 2
        afterwards_M = STREAMS["steady"](other, arrivals - half, rng) + test.samples
        order_M = np.concatenate([STREAMS[stream.value](test, half, rng), afterwards_M]) if half else afterwards_M
    return Ground(
        calibration=calibration, validation=validation, stream=records, order_M=order_M, batch=size, costs=costs
    )
