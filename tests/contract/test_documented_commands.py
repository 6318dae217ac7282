"""Commands in the README and the documents name options, and controllers, that there are."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from ttamer.planning.adaptation.controllers import CONTROLLERS

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(r"(?:^\$ |^    |`)(ttamer [a-z][^`#\n]+)", re.MULTILINE)
OPTION = re.compile(r"-p|--[a-z][a-z-]*")
OPTIONS = [line.split() for line in (ROOT / "tests/golden/cli_options.txt").read_text().splitlines()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_documented_commands_and_their_options_exist(page: Path) -> None:
    for line in COMMAND.findall(page.read_text()):
        words = line.replace(",", " ").split()
        known = {option for command, *options in OPTIONS if command == words[1] for option in options}
        assert known, line
        used = {word.split("=")[0] for word in words if OPTION.match(word)}
        assert used - known - {"--help"} == set(), line
        for before, name in pairwise(words):
            assert before != "--adapt" or name in {*CONTROLLERS, "apparate"}, line


def test_the_pages_do_name_commands() -> None:
    assert sum(len(COMMAND.findall(page.read_text())) for page in PAGES) > 50
