"""`ttamer demo`: the whole pipeline on embedded data."""

from contextlib import chdir
from pathlib import Path
from typing import Annotated

import typer

from ttamer.cli import export, fit, plan, profile, render, simulate
from ttamer.cli.plot import Series, scatter

NAME, MODEL = "demo", "resnet20"
LOAD = 1.2  # of one core's throughput: enough to make early exits matter, and served by two cores without them


def run(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the files go.")] = Path("ttamer-demo"),
) -> None:
    """Run the whole pipeline on embedded data, printing each step as a command to type.

    A small ResNet learns handwritten digits, gets exits, is measured beside ResNet-18 and BERT-mini, planned,
    simulated and exported. Needs no network and about two minutes on 2 cores.

    Example: ttamer demo --out ttamer-demo
    """
    from ttamer.profiles.errors import InputError

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {out} cannot be a folder: {error.strerror}", remedy="choose another path") from None
    with chdir(out):
        print(f"In the folder {out}:")
        _step(f"fit {MODEL} --data digits --size 16 --train-backbone -p {NAME}")
        fit.run(MODEL, data="digits", size=16, train_backbone=True, profile=NAME)
        _step(f"profile {MODEL} resnet18 bert-mini --quick -p {NAME}")
        profile.run([MODEL, "resnet18", "bert-mini"], quick=True, profile=NAME)
        load = _demanding_load(Path("profiles") / NAME)
        disturbed = _is_disturbed(Path("profiles") / NAME)
        allowed = " --allow-contended" if disturbed else ""
        print(f"\nThe load: about {LOAD:.1f} times what one core serves without early exits.")
        alone = Path("plan-last-exit.yaml")
        _step(f"plan --slo 50ms --rate {load} --policies last-exit -p {NAME} --out {alone}{allowed}")
        plan.run(slo="50ms", rate=load, policies="last-exit", profile=NAME, out=alone, allow_contended=disturbed)
        _step(f"plan --slo 50ms --rate {load} --max-drop 1% -p {NAME}{allowed}")
        plan.run(slo="50ms", rate=load, max_drop="1%", profile=NAME, allow_contended=disturbed)
        _step("simulate plan.yaml")
        simulate.run(Path("plan.yaml"), fail=False)
        _step("export plan.yaml --to kubernetes")
        export.run(Path("plan.yaml"), to="kubernetes")
        print()
        print(_trade_off(Path("profiles") / NAME))
        files = sorted(path for path in Path().rglob("*") if path.is_file())
        print(f"\nFiles written to {out}:")
        for path in files:
            print(f"  {path}  ({render.kibibytes(path.stat().st_size)})")


def _step(command: str) -> None:
    print(f"\n$ ttamer {command}", flush=True)


def _demanding_load(folder: Path) -> str:
    """A load in rps, two significant digits, that one core cannot serve by running the whole model."""
    from ttamer.profiles.shelf import read_profile

    measured = read_profile(folder)
    whole = [p for p in measured.latency if (p.key.model, p.key.part, p.key.cores) == (MODEL, "whole", 1)]
    throughput_rps = max(point.key.batch / point.samples.mean_s() for point in whole)
    return f"{float(f'{LOAD * throughput_rps:.2g}'):.0f}rps"


def _is_disturbed(folder: Path) -> bool:
    """Whether other programs disturbed the measurement: a demo goes on, and says so."""
    from ttamer.profiles.shelf import read_profile

    return any(point.verdict in ("contended", "throttled") for point in read_profile(folder).latency)


def _trade_off(folder: Path) -> str:
    """Accuracy on test records against mean latency at batch 1: single exits, and what policies reach."""
    from ttamer.exits.evaluate import evaluate_all, fit_candidates, frontier
    from ttamer.planning.exit_choice import measured_costs
    from ttamer.profiles.records import ExitRecords
    from ttamer.profiles.shelf import read_profile, records_path

    calibration, validation, test = (
        ExitRecords.read(records_path(folder, MODEL, split)) for split in ("calibration", "validation", "test")
    )
    costs = measured_costs(read_profile(folder), MODEL, "cpu")

    def points(*kinds: str) -> list[tuple[float, float]]:
        chosen = [one.fitted for one in frontier(fit_candidates(kinds, calibration, costs), validation, costs)]
        return [
            (1e3 * (outcome.mean_s or 0.0), 100 * outcome.accuracy)
            for _, outcome in evaluate_all(chosen, test, costs)
        ]  # fmt: skip

    series = [
        Series("one exit for all", "o", points("fixed-exit", "last-exit")),
        Series("confidence threshold", "+", points("confidence-threshold")),
        Series("dynamic index with recall", "*", points("dynamic-index")),
    ]
    title = f"Exits of {MODEL}: accuracy on unseen digits against mean latency at batch 1\n"
    return title + scatter(series, x_label="mean latency (ms)", y_label="accuracy (%)")
