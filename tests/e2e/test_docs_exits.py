"""docs/exits.md shows what its commands print, or at least commands that run."""

import re
import shlex
from pathlib import Path

import pytest

from tests.e2e.commands import ttamer

DOCS = Path(__file__).resolve().parents[2] / "docs" / "exits.md"
BLOCK = re.compile(r"```console\n\$ ttamer (.*?)\n(.*?)```", re.DOTALL)


def test_the_examples_in_the_docs_are_what_their_commands_print(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall(DOCS.read_text())
    assert len(blocks) == 2
    for command, shown in blocks:
        done = ttamer(*shlex.split(command))
        assert "Traceback" not in done.stderr
        assert not shown or done.stdout + done.stderr == shown, command
