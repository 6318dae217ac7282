"""The options of every command are frozen: scripts rely on them, so a change is made on purpose or not at all."""

from pathlib import Path
from typing import Any

import typer

from ttamer.cli.group import DEFAULT
from ttamer.cli.main import app

FROZEN = Path(__file__).with_name("cli_options.txt")


def line(name: str, command: Any) -> str:
    """A command with its arguments and, sorted, its options."""
    arguments = [param.metavar or param.name for param in command.params if param.param_type_name == "argument"]
    options = [
        opt
        for param in command.params
        if param.param_type_name == "option"
        for opt in param.opts + param.secondary_opts
    ]
    return " ".join([name, *arguments, *sorted(options)])


def leaves(group: Any, path: str = "") -> dict[str, Any]:
    """Every command under a group by its words; what a group runs by itself carries the group's name."""
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        words = path if name == DEFAULT else f"{path} {name}".strip()
        found |= leaves(command, words) if hasattr(command, "commands") else {words: command}
    return found


def test_the_options_of_every_command_are_the_frozen_ones() -> None:
    commands = leaves(typer.main.get_command(app))
    lines = [line(name, commands[name]) for name in sorted(commands)]
    assert FROZEN.read_text().splitlines() == lines, "if this is meant: write these lines to " + FROZEN.name
