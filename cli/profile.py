"""`ttamer profile`: measure latency by batch size and cores, stage by stage."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ttamer.cli import render, surfaces
from ttamer.cli.live import live_sweep
from ttamer.cli.measured import print_measured, rows_of, say_doubts
from ttamer.cli.options import Device, DeviceOption, Format, FormatOption, ProfileName, integers, names
from ttamer.cli.sweeping import budget_as_before, budget_of, print_sweep

if TYPE_CHECKING:
    from ttamer.cli.models import ModelChoice
    from ttamer.profiles.profile import Profile
    from ttamer.profiling.budgets import Budget
    from ttamer.profiling.request import SweepRequest

DEFAULT_MODELS = ("resnet18", "resnet34", "resnet50", "bert-mini")
DEFAULT_BATCHES, QUICK_BATCHES = "1,2,4,8", "1,4"


def run(
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="MODEL", help="Names (resnet18, bert-mini+bf16, ...) or Hugging Face folders."),
    ] = None,
    batches: Annotated[
        str | None, typer.Option(metavar="N,N", help="Batch sizes; default 1,2,4,8 (quick 1,4).")
    ] = None,
    cores: Annotated[
        str | None, typer.Option(metavar="N,N", help="Core counts; default 1,2,4,... of this machine.")
    ] = None,
    device: DeviceOption = Device.CPU,
    weights: Annotated[
        str | None,
        typer.Option(metavar="FILE|DEFAULT", help="Weights of one model; default: random, enough for latency."),
    ] = None,
    head: Annotated[
        str | None, typer.Option(metavar="KIND", help="Kind of the early heads: gap, pool4, mean, cls, pooler.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(metavar="PIXELS", min=8, help="Side of images in pixels; default: the model's.")
    ] = None,
    tokens: Annotated[
        str | None, typer.Option(metavar="N,N", help="Length of texts in tokens, or a list of them; default 128.")
    ] = None,
    own: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="MODULE:FUNCTION", help="A function that returns (module, example input)."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer batches and samples: a few minutes.")] = False,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Samples that bound the planned quantile: up to 3 minutes a batch size.")
    ] = False,
    quantile: Annotated[
        str | None, typer.Option(metavar="PERCENT", help="What plans will promise: it needs samples; default 99%.")
    ] = None,
    adaptive: Annotated[
        bool, typer.Option("--adaptive", help="Measure half the grid: where a fitted surface is least certain.")
    ] = False,
    replicas: Annotated[
        str | None, typer.Option(metavar="N,N", help="Measure so many replicas side by side, and nothing else.")
    ] = None,
    remeasure: Annotated[
        str | None,
        typer.Option(metavar="V,V", help="Measure points of these verdicts again: noisy, contended, throttled, ok."),
    ] = None,
    import_file: Annotated[
        Path | None,
        typer.Option("--import", metavar="FILE", help="Take numbers from a CSV or Parquet file, and measure nothing."),
    ] = None,
    import_quantile: Annotated[
        str, typer.Option(metavar="PERCENT", help="What the imported latencies are the quantile of.")
    ] = "99%",
    policy: Annotated[
        str | None,
        typer.Option(metavar="KIND|FILE", help="Run one fitted model under this exit policy, or a plan's, on --data."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="With --policy: what the model was fitted on.")
    ] = None,
    samples: Annotated[
        int, typer.Option(metavar="N", min=1, help="With --policy: how many test samples are run.")
    ] = 256,
    resize: Annotated[
        bool, typer.Option("--resize", help="With --policy: scale images to the model's input size.")
    ] = False,
    predict_only: Annotated[
        bool, typer.Option("--predict-only", help="Measure nothing; show what was measured beside fitted surfaces.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be measured, and stop.")] = False,
    profile: ProfileName = "local",
    format: FormatOption = Format.TABLE,
) -> None:
    """Measure the latency of models by batch size and cores: whole, stage by stage and head by head.

    A stopped run goes on where it was when the same command is given again. `ttamer profile show NAME` shows what was
    measured, `ttamer profile diff BEFORE AFTER` compares two profiles. With --policy, a model that was fitted and
    profiled runs on real samples and really exits; what it takes is printed beside what a plan expects of it.

    Example: ttamer profile resnet18 bert-mini --quick
    """
    from ttamer.cli.models import choose_model, choose_own_model, existing_profile
    from ttamer.profiles.errors import InputError
    from ttamer.profiles.shelf import profile_folder, profile_option
    from ttamer.profiling.adaptive import design_of, run_adaptive_sweep
    from ttamer.profiling.sweep import plan_sweep, run_sweep

    if predict_only:
        from ttamer.cli.profile_show import show_predictions

        show_predictions(profile, models or [], format)
        return
    if import_file is not None:
        from ttamer.cli.importing import import_into

        if models:
            raise InputError(f"--import takes its models from {import_file}", remedy="leave the model names out")
        import_into(profile_folder(profile), import_file, import_quantile, device.value, format)
        return
    if policy is not None:
        from ttamer.cli import runtime

        if len(models or ()) != 1:
            raise InputError(f"--policy {policy} belongs to one model", remedy="name that model alone")
        wish = runtime.Wish(
            model=(models or [""])[0], policy=policy, data=data, samples=samples, device=device.value, quick=quick,
            resize=resize, batches=None if batches is None else integers(batches, "--batches"),
            cores=None if cores is None else integers(cores, "--cores"),
        )  # fmt: skip
        runtime.run(wish, profile_folder(profile), format)
        return
    if weights and len(models or ()) != 1:
        raise InputError(
            "--weights belongs to one model", remedy="name that model and profile the others by themselves"
        )
    folder = profile_folder(profile)
    known = existing_profile(folder)
    lengths = () if tokens is None else integers(tokens, "--tokens")
    if len(lengths) > 1:
        models, lengths = [f"{name}+{length}tokens" for name in models or DEFAULT_MODELS for length in lengths], ()
    chosen = [
        choose_model(name, known, weights=weights, head=head, size=size, tokens=lengths[0] if lengths else None)
        for name in models or (() if own else DEFAULT_MODELS)
    ] + [choose_own_model(function) for function in own or ()]
    if replicas is not None:
        from ttamer.cli import replicas as side_by_side

        side_by_side.run(
            chosen, folder, replicas=integers(replicas, "--replicas"), batches=integers(batches or "1", "--batches"),
            cores=integers(cores or "1", "--cores"), device=device.value, quick=quick, format=format,
        )  # fmt: skip
        return
    verdicts = names(remeasure, "--remeasure", "contended,noisy")
    if verdicts and known:
        batches, cores = _as_before(known, {choice.name for choice in chosen}, batches, cores)
        quick, thorough = budget_as_before(known, {choice.name for choice in chosen}, quick, thorough)
    budget = budget_of(quick, thorough, quantile)
    request = _request(
        folder.name,
        chosen,
        integers((QUICK_BATCHES if quick else DEFAULT_BATCHES) if batches is None else batches, "--batches"),
        None if cores is None else integers(cores, "--cores"),
        device.value,
        budget,
        verdicts,
    )
    if adaptive and dry_run:
        design = design_of(request)
        render.say(f"{design.count} of {len(design.grid)} settings of each model, chosen while they are measured")
        return
    if dry_run:
        print_sweep(plan_sweep(request, folder), request, format)
        return
    failures: list[str] = []
    with live_sweep(failures) as follow:
        if adaptive:
            measured = run_adaptive_sweep(request, lambda wave: run_sweep(wave, folder, on_event=follow))
        else:
            measured = run_sweep(request, folder, on_event=follow)
    for failure in failures:
        render.say(failure)
    measured = _with_published_accuracy(measured, folder)
    if format is Format.TABLE:
        print_measured(measured, [choice.name for choice in chosen])
        render.block(surfaces.plot(measured, [choice.name for choice in chosen]))
        say_doubts(measured, [choice.name for choice in chosen])
        render.say(f"wrote {folder}; next: ttamer plan --slo 200ms{profile_option(folder)}")
    else:
        render.document({"rows": rows_of(measured, [choice.name for choice in chosen])}, format)


def _as_before(
    known: "Profile", models: set[str], batches: str | None, cores: str | None
) -> tuple[str | None, str | None]:
    """The batches and core counts of the models' points, where none were given: measure those, no others."""
    keys = [point.key for point in known.latency if point.key.model in models]
    if keys:
        batches = batches if batches is not None else ",".join(map(str, sorted({key.batch for key in keys})))
        cores = cores if cores is not None else ",".join(map(str, sorted({key.cores for key in keys})))
    return batches, cores


def _request(
    name: str,
    chosen: list["ModelChoice"],
    batches: tuple[int, ...],
    cores: tuple[int, ...] | None,
    device: str,
    budget: "Budget",
    remeasure: tuple[str, ...],
) -> "SweepRequest":
    from ttamer.profiling.machine import allowed_cpus
    from ttamer.profiling.request import ModelRequest, SweepRequest
    from ttamer.profiling.target import TargetSource

    allowed = len(allowed_cpus()) if device == "cpu" else 1
    powers = tuple(sorted({1 << n for n in range(allowed.bit_length()) if 1 << n <= allowed} | {allowed}))
    return SweepRequest(
        name=name,
        models=tuple(
            ModelRequest(
                name=c.name, source=TargetSource(factory=c.factory, arguments=c.arguments, identity=c.identity())
            )
            for c in chosen
        ),
        batches=batches,
        cores=cores or powers,
        device=device,
        budget=budget,
        remeasure=remeasure,
    )


def _with_published_accuracy(profile: "Profile", folder: Path) -> "Profile":
    """The profile with the accuracies that torchvision publishes for its models, marked as published."""
    from ttamer.exits.published import published_accuracy
    from ttamer.profiles.shelf import write_profile

    known = {(row.model, row.source) for row in profile.accuracy}
    rows = [
        row for model in profile.models for row in published_accuracy(model) if (row.model, row.source) not in known
    ]
    return write_profile(folder, replace(profile, accuracy=(*profile.accuracy, *rows))) if rows else profile
