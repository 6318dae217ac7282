"""Groups of commands: the root, where failures become exit codes, and `profile`, which also measures by itself."""

import errno
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from ttamer.profiles.errors import InputError, Interrupted, TtamerError

T = TypeVar("T", bound=Callable[..., None])
UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # what typer raises for a wrong option or argument
DEFAULT = "(default)"  # the name of what a group runs by itself; nobody types it


class Commands(TyperGroup):
    """Commands whose expected failures end in one clear sentence and a documented exit code."""

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order of the pipeline, which begins with the one that is a group of its own."""
        return sorted(super().list_commands(ctx), key=lambda name: not isinstance(self.commands[name], DefaultGroup))

    def invoke(self, ctx: Any) -> Any:
        """Run the command; turn a TtamerError, or what was typed wrongly, into its message and exit code."""
        failure: TtamerError
        try:
            with _printed():
                super().invoke(ctx)
            return None
        except TtamerError as error:
            failure = error
        except UsageError as error:
            failure = _mistyped(error)
        except KeyboardInterrupt:
            failure = Interrupted("stopped", remedy="run the same command again to go on")
        print(f"ttamer: {failure.message}", file=sys.stderr)
        if failure.remedy:
            print(f"  try: {failure.remedy}", file=sys.stderr)
        raise typer.Exit(failure.exit_code)


@contextmanager
def _printed() -> Iterator[None]:
    """All that is printed reaches stdout before the command ends; a closed pipe downstream is no error.

    Raises InputError if the disk beneath stdout is full: what the command writes to files is complete by then.
    """
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.ENOSPC):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left is flushed at the very end
        if error.errno == errno.ENOSPC:
            raise InputError("stdout cannot be written: no space left", remedy="free some space there") from None


def _mistyped(error: Any) -> TtamerError:
    """What typer says of a wrong option or argument, and where the right ones are listed."""
    message = error.format_message().replace("Value error, ", "").rstrip(".")
    if isinstance(error.__cause__, ValueError) and hasattr(error.__cause__, "errors"):  # pydantic's, with what it saw
        seen = error.__cause__.errors()[0]["input"]
        message = message.replace(": Input should", f" {str(seen)!r}: must").partition(", unable to parse")[0]
    path = error.ctx.command_path if error.ctx else "ttamer"
    return InputError(message[:1].lower() + message[1:], remedy=f"see: {path.rstrip()} --help")


class _Unnamed(typer.Context):
    """The context of a command that is run without being named: its usage line names the group alone."""

    @property
    def command_path(self) -> str:
        """The path of the group."""
        return super().command_path.rstrip()


class Command(TyperCommand):
    """A command whose help leaves room for words: flags need no type, and many options fall into panels."""

    def __init__(self, *arguments: Any, **fields: Any) -> None:
        super().__init__(*arguments, **fields)
        panels = getattr(inspect.unwrap(self.callback), "panels", {}) if self.callback else {}
        for param in self.params:
            if getattr(param, "is_flag", False):
                param.metavar = " "
            if param.name in panels and isinstance(param, TyperOption):
                param.rich_help_panel = panels[param.name]


class DefaultCommand(Command):
    """The command that a group runs when no other one is named."""

    context_class = _Unnamed


class DefaultGroup(TyperGroup):
    """A group that runs its hidden command when its first argument names none of the others."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Name the default command where no command is named."""
        return super().parse_args(ctx, args if args and args[0] in self.commands else [DEFAULT, *args])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The default command goes without a name in usage lines."""
        name, command, rest = super().resolve_command(ctx, args)
        return "" if name == DEFAULT else name, command, rest


def paragraphs(docstring: str) -> str:
    """A docstring whose paragraphs are a line each, so that help breaks them where the terminal ends."""
    return "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(docstring).split("\n\n"))


def panels(**titles: str) -> Callable[[T], T]:
    """A decorator that says in which panel of the help an option stands, by the option's name."""

    def remember(run: T) -> T:
        run.panels = titles  # type: ignore[attr-defined]
        return run

    return remember


def add(app: typer.Typer, name: str, run: Callable[..., None]) -> None:
    """Add a command whose help is the function's docstring."""
    cls = DefaultCommand if name == DEFAULT else Command
    app.command(name=name, help=paragraphs(run.__doc__ or ""), cls=cls)(run)
