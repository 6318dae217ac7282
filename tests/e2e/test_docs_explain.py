"""docs/explain.md shows what its commands print, on the profile that test_explain.py makes up."""

import re
import shlex
from pathlib import Path

from tests.e2e.commands import ttamer
from tests.e2e.test_explain import made, made_once

__all__ = ["made", "made_once"]  # the fixtures
DOCS = Path(__file__).resolve().parents[2] / "docs" / "explain.md"
BLOCK = re.compile(r"```console\n\$ ttamer (.*?)\n(.*?)```", re.DOTALL)


def test_the_examples_in_the_docs_are_what_their_commands_print(made: Path) -> None:
    blocks = BLOCK.findall(DOCS.read_text())
    assert len(blocks) == 5
    for command, shown in blocks:
        done = ttamer(*shlex.split(command))
        printed = "".join(done.stdout.splitlines(keepends=True)) + done.stderr
        assert undated(shown) == undated(printed), command


def undated(text: str) -> list[str]:
    """The lines without the date of the profile."""
    lines = [re.sub(r"\(20\S+Z\), by .*", "(DATE)", line).rstrip() for line in text.splitlines()]
    return [line for line in lines if line]
