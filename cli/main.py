"""The `ttamer` command: one small file a command, and one place where failures become exit codes.

Heavy rooms are imported inside the commands, so that `--help` is instant.
"""

import inspect
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import ttamer
from ttamer.cli import compare, demo, doctor, explain, export, fit, plan, profile, simulate
from ttamer.profiles.errors import Interrupted, TtamerError

EPILOG = (
    "Exit codes: 0 done, 1 bug, 2 usage or bad document, 3 infeasible, 4 promise broken, "
    "5 measurement not trustworthy, 130 interrupted with partial results saved."
)


class Commands(TyperGroup):
    """Commands whose expected failures end in one clear sentence and a documented exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; turn a TtamerError into its message and exit code."""
        try:
            return super().invoke(ctx)
        except TtamerError as error:
            failure = error
        except KeyboardInterrupt:
            failure = Interrupted("stopped", remedy="run the same command again to go on")
        print(f"ttamer: {failure.message}", file=sys.stderr)
        if failure.remedy:
            print(f"  try: {failure.remedy}", file=sys.stderr)
        raise typer.Exit(failure.exit_code)


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


def _paragraphs(docstring: str) -> str:
    """A docstring whose paragraphs are a line each, so that help breaks them where the terminal ends."""
    return "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(docstring).split("\n\n"))


for command in (profile, fit, plan, simulate, export, explain, compare, doctor, demo):
    app.command(name=command.__name__.rpartition(".")[2], help=_paragraphs(command.run.__doc__ or ""))(command.run)


def main() -> None:
    """Run the command line; a closed pipe downstream is no error."""
    try:
        app(prog_name="ttamer")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
