"""The README's transcript, made by running its commands; a test keeps the two the same.

Run: python tools/transcript.py   rewrites the block in README.md
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"(<!-- transcript -->\n```console\n)(.*?)(```\n)", re.DOTALL)


def commands(text: str) -> list[str]:
    """The commands in a transcript, as typed."""
    return [line[2:] for line in text.splitlines() if line.startswith("$ ttamer ")]


def transcript(typed: list[str]) -> str:
    """What a terminal shows when the commands are typed in an empty folder, one after another."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120", "PYTHONUNBUFFERED": "1"}
    shown = []
    with tempfile.TemporaryDirectory() as folder:
        for command in typed:
            arguments = [sys.executable, "-m", *shlex.split(command)]
            done = subprocess.run(
                arguments, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            lines = [line.rstrip() for line in done.stdout.splitlines()]
            shown.append("\n".join([f"$ {command}", *lines]))
    return "\n\n".join(shown) + "\n"


def main() -> None:
    text = README.read_text()
    found = BLOCK.search(text)
    assert found, "README.md has no transcript block"
    README.write_text(text[: found.start(2)] + transcript(commands(found[2])) + text[found.end(2) :])


if __name__ == "__main__":
    main()
