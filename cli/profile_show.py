"""`ttamer profile show`: a profile that was measured before."""

from typing import TYPE_CHECKING, Annotated

import typer

from ttamer.cli import render, surfaces
from ttamer.cli.options import Format, FormatOption

if TYPE_CHECKING:
    from ttamer.profiles.profile import Profile


def run(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Profile by name (in profiles/) or folder.")] = "local",
    format: FormatOption = Format.TABLE,
) -> None:
    """Show a profile: latencies, their plot, what a fitted surface makes of them, accuracies and the machine.

    Example: ttamer profile show reference
    """
    from ttamer.cli.importing import print_imported
    from ttamer.cli.measured import print_measured, rows_of
    from ttamer.cli.replicas import print_side_by_side
    from ttamer.profiles.shelf import find_profile, read_profile
    from ttamer.profiles.side_by_side import read_side_by_side

    profile = read_profile(find_profile(name))
    models = list(profile.models)
    if format is not Format.TABLE:
        content = {
            "machine": dict(profile.machine.facts),
            "rows": rows_of(profile, models),
            "surfaces": surfaces.fitted(profile, models),
        }
        render.document(content, format)
        return
    if profile.latency:
        print_measured(profile, models)
        surfaces.print_fits(surfaces.fitted(profile, models))
        render.block(surfaces.plot(profile, models))
    if profile.imported:
        print_imported(profile)
    if together := read_side_by_side(profile.require_folder()):
        print_side_by_side(together)
    _print_accuracy(profile)


def show_predictions(name: str, models: "list[str]", format: Format) -> None:
    """Print what was measured beside what fitted surfaces predict. Raises InputError if no model has a surface."""
    from ttamer.profiles.errors import InputError
    from ttamer.profiles.shelf import find_profile, read_profile

    profile = read_profile(find_profile(name))
    for model in models:
        profile.spec(model)
    fits = surfaces.fitted(profile, models or list(profile.models))
    if not any(fit["form"] for fit in fits):
        reasons = "; ".join(f"{fit['model']}: {fit['why_not']}" for fit in fits) or "nothing was measured"
        raise InputError(f"no surface can be fitted: {reasons}", remedy="profile more batches on more core counts")
    if format is Format.TABLE:
        surfaces.print_predictions(fits)
        surfaces.print_fits(fits)
    else:
        render.document({"surfaces": fits}, format)


def _print_accuracy(profile: "Profile") -> None:
    rows = [
        (
            row.model, str(row.exit), row.dataset, row.split, render.percent(row.accuracy, 2),
            render.DASH if row.low is None or row.high is None else render.percent_between(row.low, row.high, 2),
            f"{row.samples:,}", row.source,
        )
        for row in profile.accuracy
    ]  # fmt: skip
    if rows:
        columns = ("model", "exit", "data set", "split", "accuracy", "95 % interval", "samples", "source")
        render.table(columns, rows, title="Accuracy by exit", spare=("samples", "95 % interval"))
