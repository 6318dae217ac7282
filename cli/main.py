"""The `ttamer` command: one small file a command, and one place where failures become exit codes.

Heavy rooms are imported inside the commands, so that `--help` is instant.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

import ttamer
from ttamer.cli import (
    compare,
    demo,
    doctor,
    drift,
    explain,
    export,
    fit,
    frontier,
    plan,
    profile,
    profile_diff,
    profile_show,
    simulate,
)
from ttamer.cli.group import DEFAULT, Commands, DefaultGroup, add, paragraphs

EPILOG = (
    "Exit codes: 0 done, 1 bug, 2 usage or bad document, 3 infeasible, 4 promise broken, "
    "5 measurement not trustworthy, 130 interrupted with partial results saved."
)

app = typer.Typer(
    name="ttamer",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    rich_markup_mode="rich",
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"ttamer {ttamer.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Version.")
    ] = False,
) -> None:
    """Plan how machine-learning models are served: measure, solve, prove.

    The pipeline is profile, fit, plan, simulate, export; `ttamer demo` runs it on embedded data.
    """


profiles = typer.Typer(cls=DefaultGroup, no_args_is_help=False)
add(profiles, DEFAULT, profile.run)
add(profiles, "show", profile_show.run)
add(profiles, "diff", profile_diff.run)
app.add_typer(profiles, name="profile", help=paragraphs(profile.run.__doc__ or ""))
for command in (fit, plan, simulate, export, explain, compare, frontier, drift, doctor, demo):
    add(app, command.__name__.rpartition(".")[2], command.run)


def main() -> None:
    """Run the command line; where stdout or stderr is closed, what would be printed goes nowhere."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 open until the process ends
    app(prog_name="ttamer")
