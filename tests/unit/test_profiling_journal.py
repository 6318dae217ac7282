"""The journal keeps what is finished, whatever happens to the machine or the disk."""

import json
import os
import resource
import signal
from pathlib import Path

import pytest

from ttamer.profiles.errors import DocumentError
from ttamer.profiles.profile import ModelSpec, PointKey
from ttamer.profiles.shelf import journal_path
from ttamer.profiling.journal import Failed, Journal, JournalContents, MeasuredModel, read_journal
from ttamer.profiling.visits import Visit

SPEC = ModelSpec(name="m", family="test", classes=3, input_shape=(4,), exits=("a", "b"), head="linear")
MODEL = MeasuredModel(spec=SPEC, identity="i", facts={"torch": "2"})


def visit(exit: int) -> Visit:
    key = PointKey(model="m", part="stage", exit=exit, device="cpu", dtype="float32", batch=1, cores=1)
    return Visit(
        key=key,
        seconds=(0.1, 0.3 + exit / 7),
        reference_s=(0.01, 0.02),
        loops=1,
        peak_memory_bytes=5,
        load_time_s=1 / 3,
        evidence={"clean_share": 0.9},
        spec_digest="i",
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal of one model and three visits."""
    path = tmp_path / "profile" / "journal.jsonl"
    with Journal(path, "machine") as journal:
        journal.append_model(MODEL)
        for exit in range(3):
            journal.append_visit(visit(exit))
    return path


def test_what_was_written_is_read_again(path: Path) -> None:
    contents = read_journal(path)
    assert contents.machine == "machine"
    assert contents.models == {"m": MODEL}
    assert contents.visits == tuple(visit(exit) for exit in range(3))


def test_no_journal_holds_nothing(tmp_path: Path) -> None:
    assert read_journal(tmp_path / "journal.jsonl") == JournalContents()


def test_a_journal_cut_anywhere_in_its_last_two_lines_loses_those_only_and_can_go_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # hundreds of cuts, none of the power
    whole = path.read_bytes()
    third = whole.rindex(b"\n", 0, -1) + 1
    second = whole.rindex(b"\n", 0, third - 1) + 1
    for size in range(second, len(whole) + 1):
        path.write_bytes(whole[:size])
        kept = 1 + (size >= third) + (size == len(whole))
        assert len(read_journal(path).visits) == kept
        with Journal(path, "machine") as journal:
            assert len(journal.contents.visits) == kept
            for exit in range(kept, 3):
                journal.append_visit(visit(exit))
        assert path.read_bytes() == whole


def test_a_journal_cut_in_its_first_line_begins_anew(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:9])
    with Journal(path, "machine") as journal:
        assert journal.contents == JournalContents()
    assert path.read_bytes() == whole[: whole.index(b"\n") + 1]


def test_garbage_in_the_last_line_is_dropped(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole + b"\0\0\0\n")
    assert len(read_journal(path).visits) == 3
    with Journal(path, "machine"):
        pass
    assert path.read_bytes() == whole


@pytest.mark.parametrize("damage", [b"garbage\n", b"[]\n", b'{"kind": "other"}\n', b'{"kind": "visit", "row": {}}\n'])
def test_damage_in_the_middle_names_the_line_and_the_way_out(path: Path, damage: bytes) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    lines[3] = damage
    path.write_bytes(b"".join(lines))
    with pytest.raises(DocumentError, match=r"line 4 of .*journal.jsonl is damaged.*delete that line") as raised:
        Journal(path, "machine")
    assert "delete the file to begin anew" in raised.value.remedy


def test_the_journal_of_another_machine_is_refused(path: Path) -> None:
    with pytest.raises(DocumentError, match=r"begun on machine machine; this is other.*--profile NAME"):
        Journal(path, "other")


def test_a_newer_journal_says_so(path: Path) -> None:
    path.write_text(json.dumps({"kind": "sweep", "version": 3, "machine": "machine"}) + "\n")
    with pytest.raises(DocumentError, match="version 3; this ttamer reads up to 2"):
        read_journal(path)


def test_a_second_sweep_of_the_same_profile_is_refused_while_the_first_runs(path: Path) -> None:
    with Journal(path, "machine"), pytest.raises(DocumentError, match="another sweep is writing"):
        Journal(path, "machine")
    with Journal(path, "machine") as journal:
        assert len(journal.contents.visits) == 3


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DocumentError, match="cannot be written"):
        Journal(tmp_path / "file" / "journal.jsonl", "machine")


def test_a_full_disk_keeps_the_points_finished_before(path: Path) -> None:
    whole = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with Journal(path, "machine") as journal:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 50, limits[1]))
            with pytest.raises(DocumentError, match=r"the points finished before are kept.*free some space"):
                journal.append_visit(visit(3))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, ignored)
        assert path.read_bytes() == whole
        journal.append_visit(visit(3))
    assert len(read_journal(path).visits) == 4


def test_removing_the_journal_of_a_run_that_measured_nothing_leaves_no_folder(tmp_path: Path) -> None:
    with Journal(journal_path(tmp_path / "p"), "machine") as journal:
        journal.remove()
    assert not (tmp_path / "p").exists()


def test_removing_the_journal_keeps_what_lies_beside_it(tmp_path: Path) -> None:
    with Journal(journal_path(tmp_path / "p"), "machine") as journal:
        (tmp_path / "p" / "profile.yaml").touch()
        journal.remove()
    assert [path.name for path in (tmp_path / "p").iterdir()] == ["profile.yaml"]


def test_where_time_went_and_what_failed_is_kept(path: Path) -> None:
    failed = Failed(model="m", cores=2, batch=8, reason="its process was killed")
    with Journal(path, "machine") as journal:
        journal.append_spent({"timed": 1.5, "rest": 0.25})
        journal.append_spent({"timed": 0.5})
        journal.append_failure(failed)
    contents = read_journal(path)
    assert contents.spent_s == {"timed": 2.0, "rest": 0.25}
    assert contents.failed == (failed,)


def test_points_that_version_1_wrote_are_passed_over(path: Path) -> None:
    first, *rest = path.read_bytes().splitlines(keepends=True)
    old = json.dumps({"kind": "point", "row": {"model": "m", "seconds": [0.1]}}).encode() + b"\n"
    path.write_bytes(b"".join([first.replace(b'"version": 2', b'"version": 1'), old, *rest]))
    assert read_journal(path).visits == tuple(visit(exit) for exit in range(3))


@pytest.mark.parametrize(
    "change", [{"seconds": [0.1]}, {"seconds": [0.1, -1]}, {"reference_s": [0.1, 0]}, {"loops": None}]
)
def test_a_visit_that_cannot_be_is_damage(change: dict[str, object], path: Path) -> None:
    row = visit(0).to_row() | change
    if change == {"loops": None}:
        del row["loops"]
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = json.dumps({"kind": "visit", "row": row}).encode() + b"\n"
    path.write_bytes(b"".join(lines))
    with pytest.raises(DocumentError, match=r"line 3 of .* is damaged"):
        read_journal(path)
