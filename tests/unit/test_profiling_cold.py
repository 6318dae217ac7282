"""Files are made cold before a model is loaded from them."""

from pathlib import Path

import pytest

from ttamer.profiling.cold import forget


def test_files_and_the_files_of_folders_are_forgotten_and_names_are_left_alone(tmp_path: Path) -> None:
    for name in ("a.safetensors", "b.json"):
        (tmp_path / name).write_bytes(b"x" * 5000)
    assert forget([str(tmp_path), str(tmp_path / "a.safetensors"), "resnet18", 3, None, "/no/such/file"]) == 3
    assert (tmp_path / "a.safetensors").read_bytes() == b"x" * 5000


def test_a_relative_name_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "random").write_text("not weights")
    assert forget(["random"]) == 0
