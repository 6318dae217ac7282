"""`ttamer profile --import`: a profile from numbers that somebody has already, in place of measuring."""

from pathlib import Path
from typing import TYPE_CHECKING

from ttamer.cli import render
from ttamer.cli.options import Format

if TYPE_CHECKING:
    from ttamer.profiles.profile import ImportedPoint, Profile

FILES = ("profile.yaml", "journal.jsonl", "latency.parquet")  # what says that a folder holds a profile already


def import_into(folder: Path, file: Path, quantile: str, device: str, format: Format) -> None:
    """Write the profile in a file to a new folder and show it. Raises InputError if the folder holds a profile."""
    from ttamer.profiles.errors import InputError
    from ttamer.profiles.imports import import_profile
    from ttamer.profiles.service_parts import parse_quantile
    from ttamer.profiles.shelf import profile_option, write_profile

    at = parse_quantile(quantile, "--import-quantile")
    if any((folder / name).exists() for name in FILES):
        raise InputError(
            f"{folder} holds a profile already, and an import overwrites nothing",
            remedy="import under another name (-p NAME), or remove that folder first",
        )
    imported = write_profile(folder, import_profile(file, folder.name, quantile=at, device=device))
    if format is Format.TABLE:
        print_imported(imported, file.name)
        render.say(f"wrote {folder}; next: ttamer plan --slo {_slo(imported)} --rate 10rps{profile_option(folder)}")
    else:
        rows = [_row(point, imported) for point in imported.imported]
        render.document({"rows": rows}, format)


def _slo(profile: "Profile") -> str:
    """Something to start with: ten times what the fastest models take, one after the other."""
    stages = profile.tasks() or ("",)
    fastest_s = [
        min(point.latency_s for point in profile.imported if profile.spec(point.model).task == stage)
        for stage in stages
    ]
    return f"{10 * sum(fastest_s):.2g}s"


def _row(point: "ImportedPoint", profile: "Profile") -> dict[str, object]:
    accuracy = [row.accuracy for row in profile.accuracy_of(point.model)]
    return {
        "stage": profile.spec(point.model).task, "model": point.model, "device": point.device, "cores": point.cores,
        "batch": point.batch, "latency_s": point.latency_s, "quantile": point.quantile,
        "throughput_rps": point.throughput_rps, "load_time_s": point.load_time_s, "memory_bytes": point.memory_bytes,
        "accuracy": accuracy[0] if accuracy else None,
    }  # fmt: skip


def print_imported(profile: "Profile", source: str = "") -> None:
    """Print the imported points as a table. source: the file they came from."""
    rows, on_several = [], len({point.device for point in profile.imported}) > 1
    for row, point in ((_row(point, profile), point) for point in profile.imported):
        accuracy = row["accuracy"]
        rows.append((
            str(row["stage"]) or "-", point.model, *([point.device] if on_several else []), str(point.cores),
            str(point.batch), render.seconds(point.latency_s), render.rate(point.throughput_rps),
            render.seconds(point.load_time_s), render.percent(accuracy if isinstance(accuracy, float) else None),
        ))  # fmt: skip
    quantile = f"{100 * profile.imported[0].quantile:g}"
    columns = (
        "stage",
        "model",
        *(["device"] if on_several else []),
        "cores",
        "batch",
        f"p{quantile}",
        "throughput",
        "loading",
        "accuracy",
    )
    render.table(columns, rows, title=f"Profile {profile.name!r}, imported{source and f' from {source}'}")
