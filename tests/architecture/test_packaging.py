"""A wheel holds every file of the rooms: setuptools leaves out an unlisted sub-package silently."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("cli", "exits", "planning", "profiles", "profiling")


def test_every_folder_with_modules_is_listed_as_a_package() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {path.parent.relative_to(ROOT) for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    assert set(listed) == {"ttamer", *(".".join(("ttamer", *folder.parts)) for folder in folders)}


def test_the_wheel_holds_every_module_and_data_file_of_the_checkout(tmp_path: Path) -> None:
    source = tmp_path / "source"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for file in filter(None, tracked.split("\0")):
        if (ROOT / file).is_file():
            (source / file).parent.mkdir(parents=True, exist_ok=True)
            (source / file).write_bytes((ROOT / file).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", tmp_path, source]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    wheel = zipfile.ZipFile(next(tmp_path.glob("ttamer-*.whl")))
    inside = {name for name in wheel.namelist() if name.startswith("ttamer/")}
    expected = {
        f"ttamer/{path.relative_to(source)}"
        for room in ROOMS
        for path in (source / room).rglob("*.*")
        if path.is_file()
    }
    expected |= {f"ttamer/{path.name}" for path in (source / "ttamer").iterdir() if path.is_file()}
    assert inside == expected


def test_no_merge_was_left_half_done() -> None:
    marks = ("<" * 7 + " ", ">" * 7 + " ")
    texts = [path for pattern in ("*.md", "docs/*.md", "*.toml", "*.txt", "Makefile") for path in ROOT.glob(pattern)]
    assert len(texts) > 10
    assert [path.name for path in texts if any(line.startswith(marks) for line in path.read_text().splitlines())] == []
