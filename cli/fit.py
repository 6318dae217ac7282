"""`ttamer fit`: train exit heads on a frozen backbone and record what every exit answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ttamer.cli import render
from ttamer.cli.options import Format, FormatOption, ProfileName, Seed
from ttamer.cli.progress import Advance, progress

if TYPE_CHECKING:
    from ttamer.cli.models import ModelChoice
    from ttamer.exits.features import Progress as FitProgress
    from ttamer.exits.fitting import FitResult
    from ttamer.exits.source import DataSource
    from ttamer.profiles.profile import ModelSpec, Profile


def run(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A name (resnet20) or a Hugging Face folder.")],
    data: Annotated[
        str,
        typer.Option(
            metavar="SOURCE", help="digits, a folder of class folders, a Parquet or CSV file, or cifar10, ..."
        ),
    ] = "digits",
    weights: Annotated[
        str | None, typer.Option(metavar="FILE|DEFAULT", help="The backbone's weights; a folder brings its own.")
    ] = None,
    head: Annotated[
        str | None, typer.Option(metavar="KIND", help="Kind of head: gap, pool4 (images), mean, cls, pooler (texts).")
    ] = None,
    target: Annotated[
        str,
        typer.Option(metavar="TARGET", help="What heads learn: label, or the backbone's own: teacher, soft-teacher."),
    ] = "label",
    expect_accuracy: Annotated[
        str | None, typer.Option(metavar="PERCENT", help="Fit nothing unless the backbone reaches this on test data.")
    ] = None,
    train_backbone: Annotated[
        bool, typer.Option("--train-backbone", help="Train a small CIFAR ResNet on the data first.")
    ] = False,
    max_fit: Annotated[int | None, typer.Option(metavar="N", min=1, help="Most samples to fit heads on.")] = None,
    size: Annotated[
        int | None, typer.Option(metavar="PIXELS", min=8, help="Side of the images in pixels; default: the model's.")
    ] = None,
    tokens: Annotated[int | None, typer.Option(metavar="N", min=1, help="Length of texts in tokens.")] = None,
    resize: Annotated[bool, typer.Option("--resize", help="Scale images to the model's input size.")] = False,
    records: Annotated[
        str | None,
        typer.Option(
            "--import", metavar="[LAYOUT:]PATH", help="Take MODEL's exit records from what others wrote; train nothing."
        ),
    ] = None,
    costs: Annotated[
        str | None,
        typer.Option(metavar="COSTS", help="With --import: what stages cost, like 0.6ms+0.1ms; default: all the same."),
    ] = None,
    exits: Annotated[
        str | None, typer.Option(metavar="K,K", help="With --import: the exits to keep; the last of them answers last.")
    ] = None,
    seed: Seed = 0,
    profile: ProfileName = "local",
    format: FormatOption = Format.TABLE,
) -> None:
    """Train exit heads after every block of a frozen backbone, and record what every exit answers.

    Calibration, validation and test are disjoint parts of the data that heads were not fitted on.

    Example: ttamer fit resnet20 --data digits --train-backbone

    With --import, the records come from a file or folder that others wrote (docs/records.md).

    Example: ttamer fit bert12 --import long-csv:df.csv --costs 0.622ms+0.106ms -p sst2
    """
    from ttamer.cli.models import choose_model, existing_profile
    from ttamer.exits.datasets import open_source
    from ttamer.exits.fitting import fit_heads, save_fit
    from ttamer.exits.loading import load
    from ttamer.profiles.errors import InputError
    from ttamer.profiles.shelf import profile_folder, profile_option, weights_path
    from ttamer.profiles.units import parse_fraction

    expected = None if expect_accuracy is None else parse_fraction(expect_accuracy, "--expect-accuracy")
    folder = profile_folder(profile)
    if records is not None:
        from ttamer.cli import importing_records

        wish = importing_records.Wish(model=model, records=records, costs=costs, exits=exits, seed=seed)
        importing_records.run(wish, folder, format)
        return
    if costs is not None or exits is not None:
        raise InputError("--costs and --exits are for --import", remedy="leave them out, or import records")
    known = existing_profile(folder)
    if weights and train_backbone:
        raise InputError("--train-backbone makes weights of its own", remedy="leave --weights out")
    choice = choose_model(model, known, weights=weights, head=head, size=size, tokens=tokens)
    source = open_source(data, seed=seed, max_fit=max_fit)
    trained = weights_path(folder, choice.name)
    # Weights take the place of older ones only when heads were fitted to them.
    with progress("fitting") as advance, _set_aside(trained) as fresh:
        if train_backbone:
            choice = _trained(choice, source, fresh, seed, advance)
        staged = load(**{**choice.arguments, "heads_file": None}, seed=seed)
        result = fit_heads(
            staged, source, target=target, expect_accuracy=expected, resize=resize or train_backbone, seed=seed,
            progress=_shares(advance),
        )  # fmt: skip
    spec = replace(staged.spec, source=str(trained.resolve())) if train_backbone else staged.spec
    save_fit(folder, result)
    _update_profile(folder, known, choice, spec, result, seed)
    if format is Format.TABLE:
        _print(result, spec, source.name)
        render.say(f"wrote {folder}; next: ttamer profile {spec.name}{profile_option(folder)}")
    else:
        render.document({"rows": _rows(result, spec)}, format)


def _shares(advance: Advance) -> "FitProgress":
    return lambda what, share: advance(share, 1, what)


def _update_profile(
    folder: Path, known: "Profile | None", choice: "ModelChoice", spec: "ModelSpec", result: "FitResult", seed: int
) -> None:
    """Put the model and its accuracies into the profile; timings of another architecture no longer count."""
    from ttamer.profiles.profile import Profile
    from ttamer.profiles.provenance import capture
    from ttamer.profiles.shelf import write_profile
    from ttamer.profiling.machine import read_machine

    base = known or Profile(name=folder.name, machine=read_machine(), models={}, latency=())
    timed = replace(choice, arguments={**choice.arguments, "classes": spec.classes}).identity()
    latency = tuple(p for p in base.latency if p.key.model != spec.name or p.spec_digest == timed)
    if len(latency) < len(base.latency):
        render.say(f"timings of {spec.name!r} were taken with another shape or head: profile it again")
    others = tuple(row for row in base.accuracy if (row.model, row.source) != (spec.name, "measured"))
    updated = replace(
        base,
        models={**base.models, spec.name: spec},
        latency=latency,
        accuracy=(*others, *result.accuracy),
        provenance=capture(seed=seed),
    )
    write_profile(folder, updated)


def _rows(result: "FitResult", spec: "ModelSpec") -> list[dict[str, Any]]:
    accuracy = {(row.exit, row.split): row for row in result.accuracy}
    return [
        {
            "exit": fitted.exit,
            "name": fitted.name,
            "temperature": fitted.temperature,
            **{
                f"{name}_{when}": value
                for when, honesty in (("before", fitted.before), ("after", fitted.after))
                for name, value in asdict(honesty).items()
            },
            **{f"accuracy_{split}": accuracy[fitted.exit, split].accuracy for split in ("validation", "test")},
            "test_low": accuracy[fitted.exit, "test"].low,
            "test_high": accuracy[fitted.exit, "test"].high,
            "head": "backbone" if fitted.exit == len(spec.exits) - 1 and result.backbone else spec.head,
        }
        for fitted in result.calibration
    ]


def _print(result: "FitResult", spec: "ModelSpec", source: str) -> None:
    sizes = ", ".join(f"{records.samples:,} {split}" for split, records in result.records.items())
    if result.backbone:
        own = result.backbone
        print(
            f"Backbone {spec.name}: {render.percent(own.accuracy, 2)} on {own.samples:,} test samples of {source}"
            f" ({render.percent_between(own.low, own.high, 2)})"
        )
    rows = [
        (
            str(row["exit"]), str(row["name"]), str(row["head"]), render.percent(row["accuracy_test"]),
            render.percent_between(row["test_low"], row["test_high"]),
            render.percent(row["accuracy_validation"]), f"{row['temperature']:.2f}",
            *(f"{row[f'{name}_before']:.3f} to {row[f'{name}_after']:.3f}" for name in ("ece", "brier", "nll")),
        )
        for row in _rows(result, spec)
    ]  # fmt: skip
    columns = (
        "exit", "after", "head", "test accuracy", "95 % interval", "validation", "temperature", "calibration error",
        "Brier score", "NLL",
    )  # fmt: skip
    spare = ("NLL", "Brier score", "temperature", "validation", "calibration error")
    render.table(columns, rows, title=f"Exits of {spec.name} on {source} ({sizes})", spare=spare)
    if result.backbone and spec.weights == "random":
        print("Note: the backbone has random weights: give --weights FILE, or --train-backbone")


@contextmanager
def _set_aside(path: Path) -> Iterator[Path]:
    """A path beside this one; what lies there takes its place if the block succeeds, and goes if it does not."""
    fresh = path.with_suffix(f".fresh{path.suffix}")
    try:
        yield fresh
        if fresh.is_file():
            fresh.replace(path)
    finally:
        if fresh.is_file():
            fresh.unlink()


def _trained(choice: "ModelChoice", source: "DataSource", path: Path, seed: int, advance: Advance) -> "ModelChoice":
    """The model with a backbone trained on the source's fit split, its weights in this file."""
    from ttamer.exits.training import train_backbone

    shape = choice.arguments.get("input_shape")
    train_backbone(choice.name, source, path, input_shape=shape, resize=True, seed=seed, progress=_shares(advance))
    arguments = {**choice.arguments, "weights": str(path.resolve()), "classes": len(source.classes)}
    return replace(choice, arguments=arguments)
