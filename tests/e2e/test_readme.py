"""The README says what the commands say."""

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_transcript_in_the_readme_is_what_its_commands_print() -> None:
    transcripts = tool("transcript")
    found = transcripts.BLOCK.search((ROOT / "README.md").read_text())
    assert found is not None
    assert transcripts.transcript(transcripts.commands(found[2])) == found[2]
