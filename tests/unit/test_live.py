"""A sweep as it is shown: a table on a terminal, lines elsewhere, failures kept for the end."""

import io
import sys

import pytest

from tests.builders import make_profile
from ttamer.cli.live import live_sweep
from ttamer.profiles.profile import LatencyPoint
from ttamer.profiling.request import SweepEvent


def event(kind: str, done: int, point: LatencyPoint | None = None, message: str = "", remedy: str = "") -> SweepEvent:
    return SweepEvent(
        kind=kind, model="toy", cores=1, batch=4, done=done, total=9, remaining_s=7.0, point=point, message=message,
        remedy=remedy,
    )  # fmt: skip


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_the_last_points_progress_rate_and_remaining_time(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    whole = next(point for point in make_profile().latency if point.key.part == "whole" and point.key.batch == 4)
    failures: list[str] = []
    with live_sweep(failures) as follow:
        follow(event("group", 3))
        follow(event("point", 4, whole))
    shown = screen.getvalue()
    for part in ("median", "95 % interval", "toy on 1 core, batch 4: 4 of 9 points", "a second", "7 s left"):
        assert part in shown
    assert failures == []


@pytest.mark.parametrize("is_terminal", [True, False])
def test_failures_are_kept(monkeypatch: pytest.MonkeyPatch, is_terminal: bool) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal() if is_terminal else io.StringIO())
    failures: list[str] = []
    with live_sweep(failures) as follow:
        follow(event("failed", 3, message="it died", remedy="free memory"))
    assert failures == ["failed: toy on 1 core, batch 4: it died (free memory)"]
