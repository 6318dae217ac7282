"""Progress where stderr is no terminal: a line now and then, never on stdout."""

import itertools

import pytest

from ttamer.cli.progress import progress


def test_progress_is_told_on_stderr_every_ten_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("time.monotonic", itertools.count(step=4).__next__)
    with progress("profiling") as advance:
        for done in range(6):
            advance(1000 + done, 2000, "resnet20", 7.4 if done == 5 else None)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "profiling: resnet20 (1,002 of 2,000)\nprofiling: resnet20 (1,005 of 2,000, 7 s left)\n"


def test_a_share_is_told_as_a_percentage(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("time.monotonic", itertools.count(step=20).__next__)
    with progress("fitting") as advance:
        advance(0.38, 1, "checking the backbone")
    assert capsys.readouterr().err == "fitting: checking the backbone (38 %)\n"
