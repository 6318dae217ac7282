"""`ttamer profile --replicas`: what replicas of a model do to each other on one host."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ttamer.cli import render
from ttamer.cli.options import Format

if TYPE_CHECKING:
    from ttamer.cli.models import ModelChoice
    from ttamer.profiles.side_by_side import SideBySide

QUICK_S, DEFAULT_S = 2.0, 6.0  # of a window


def run(
    chosen: "Sequence[ModelChoice]",
    folder: Path,
    *,
    replicas: Sequence[int],
    batches: Sequence[int],
    cores: Sequence[int],
    device: str,
    quick: bool,
    format: Format,
) -> None:
    """Measure every model at every batch and core count with so many replicas at once; adds to the profile's folder."""
    from ttamer.cli.progress import progress
    from ttamer.profiles.provenance import capture
    from ttamer.profiles.side_by_side import write_side_by_side
    from ttamer.profiling.side_by_side import ReplicaRequest, measure_side_by_side
    from ttamer.profiling.target import TargetSource

    asked = [(choice, count, batch) for choice in chosen for count in cores for batch in batches]
    measured: list[SideBySide] = []
    window_s = QUICK_S if quick else DEFAULT_S
    with progress("side by side") as advance:
        for place, (choice, count, batch) in enumerate(asked):
            what = f"{choice.name} on {render.count(count, 'core')}, batch {batch}"
            advance(place, len(asked), what, (len(asked) - place) * (1 + len(replicas)) * (window_s + 5))
            source = TargetSource(factory=choice.factory, arguments=choice.arguments, identity=choice.identity())
            request = ReplicaRequest(
                model=choice.name, source=source, batch=batch, cores=count, replicas=tuple(replicas),
                window_s=window_s, device=device,
            )  # fmt: skip
            found = measure_side_by_side(request)
            write_side_by_side(folder, found, capture())
            measured += found
    if format is Format.TABLE:
        print_side_by_side(measured)
        render.say(f"wrote {folder / 'replicas.parquet'}")
    else:
        render.document({"rows": [asdict(one) for one in measured]}, format)


def print_side_by_side(measured: "Sequence[SideBySide]") -> None:
    """Print a line for each number of replicas."""
    rows = [
        (
            one.model, str(one.cores), str(one.batch), str(one.replicas), render.rate(one.throughput_rps),
            render.seconds(one.median_s), f"{100 * (one.slowdown - 1):+.1f} %", f"{one.calls:,}", one.verdict,
        )
        for one in measured
    ]  # fmt: skip
    columns = ("model", "cores each", "batch", "replicas", "throughput", "median", "slower by", "calls", "verdict")
    render.table(columns, rows, title="Replicas side by side", spare=("calls",))
