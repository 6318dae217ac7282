"""`ttamer export`: a plan as files that deployment tools read."""

from pathlib import Path
from typing import Annotated

import typer

from ttamer.cli import render
from ttamer.cli.options import PlanPath
from ttamer.cli.placing import placed, profile_of, refuse_overwriting


def run(
    plan: PlanPath,
    to: Annotated[str, typer.Option("--to", metavar="TARGET", help="yaml, parquet or kubernetes.")] = "yaml",
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the files go.")] = Path("deploy"),
) -> None:
    """Write a plan as files that deployment tools read.

    Example: ttamer export plan.yaml --to kubernetes --out deploy
    """
    from ttamer.planning.exporters import EXPORTERS
    from ttamer.profiles.documents import write_atomically
    from ttamer.profiles.plan import Plan
    from ttamer.profiles.provenance import capture
    from ttamer.profiles.registry import lookup

    exporter = lookup(EXPORTERS, to, "export target")
    given = Plan.read(plan)
    files = exporter(placed(given, profile_of(given, plan), out / plan.name), capture(inputs=[plan]))
    refuse_overwriting([plan], *(out / name for name, _ in files))
    for name, content in files:
        write_atomically(out / name, lambda file, content=content: file.write(content))  # type: ignore[misc]
    for name, _ in files:
        print(out / name)
    render.say(f"wrote {render.count(len(files), 'file')} for {to}")
