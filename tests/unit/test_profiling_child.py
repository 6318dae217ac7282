"""Starting measuring processes: their environment, how they end, and whole sweeps through real ones."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ttamer.profiles.allocation import KEEP_MEMORY
from ttamer.profiles.errors import InputError
from ttamer.profiles.shelf import journal_path, read_profile
from ttamer.profiling import coverage, sweep
from ttamer.profiling.budgets import Budget
from ttamer.profiling.child import PINNING, THREAD_COUNTS, child_environment, describe_ending, package_root
from ttamer.profiling.journal import read_journal
from ttamer.profiling.request import ModelRequest, SweepEvent, SweepRequest
from ttamer.profiling.sweep import plan_sweep, run_sweep
from ttamer.profiling.target import TargetSource
from ttamer.profiling.worker import check_binding

TARGETS = Path(__file__).parent.parent / "targets"
BUDGET = Budget(name="test", min_rounds=6, group_s=0.2, half_width=0.02)
VISITS = BUDGET.processes
BATCHES = (1, 2)
PARTS = 5  # of the tiny target's two exits: whole, two stages, two heads
POINTS = PARTS * len(BATCHES)


def request_for(factory: str, *, batches: tuple[int, ...] = (1,), **arguments: Any) -> SweepRequest:
    source = TargetSource(factory=f"tiny_target:{factory}", arguments=arguments)
    return SweepRequest(
        name="test", models=(ModelRequest(name="tiny", source=source),), batches=batches, cores=(1,), budget=BUDGET
    )


@pytest.fixture(autouse=True)
def tiny_target_is_importable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TARGETS))
    monkeypatch.chdir(tmp_path)  # a measuring process must find ttamer wherever it is started


@pytest.fixture(autouse=True)
def no_more_processes_where_a_neighbour_disturbs(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (coverage, sweep):
        monkeypatch.setattr(module, "RETRIES", 0)


def test_the_environment_sets_the_threads_and_lets_nobody_pin_them() -> None:
    base = {**dict.fromkeys(PINNING, "true"), "OMP_NUM_THREADS": "9", "PYTHONPATH": "/mine", "HOME": "/h"}
    environment = child_environment(base, 2)
    assert {environment[name] for name in THREAD_COUNTS} == {"2"}
    assert not set(PINNING) & set(environment)
    assert environment["HOME"] == "/h"
    assert environment.items() >= KEEP_MEMORY.items()
    assert environment["PYTHONPATH"] == f"{package_root()}{os.pathsep}/mine"
    assert child_environment({}, 1)["PYTHONPATH"] == str(package_root())


def test_an_ending_is_described_by_its_signal_or_its_last_words() -> None:
    assert describe_ending(-9, "") == "its process was killed by SIGKILL, probably for want of memory"
    assert describe_ending(-11, "noise") == "its process was killed by SIGSEGV"
    assert describe_ending(1, "Traceback\nValueError: x") == "its process ended with code 1: ValueError: x"
    assert describe_ending(1, "") == "its process ended with code 1: it said nothing"


def test_a_library_that_undoes_the_binding_is_noticed() -> None:
    here = tuple(sorted(os.sched_getaffinity(0)))
    check_binding(here, 1, 1)
    with pytest.raises(RuntimeError, match="bound to CPUs"):
        check_binding(here, 1, 4)
    with pytest.raises(RuntimeError, match="bound to CPUs"):
        check_binding((*here, 99), 1, 1)
    with pytest.raises(RuntimeError, match="with 1 and 2"):
        check_binding(here, 1, 1, 2)


def test_a_sweep_through_a_real_process_ends_in_a_profile(tmp_path: Path) -> None:
    events: list[SweepEvent] = []
    marker = tmp_path / "died"
    request = request_for("make_dying_once", marker=str(marker))
    profile = run_sweep(request, tmp_path / "profile", on_event=events.append)
    assert marker.exists()
    told = [event.kind for event in events if event.kind not in ("point", "group")]
    assert told == ["start", "retry", "loaded", "start", "loaded"]
    assert "SIGKILL" in events[1].message
    assert len(profile.latency) == PARTS
    assert read_profile(tmp_path / "profile") == profile
    assert profile.machine.facts["torch"]


def test_a_model_that_kills_its_process_costs_its_large_batches_only(tmp_path: Path) -> None:
    events: list[SweepEvent] = []
    request = request_for("make_failing", at_batch=4, error="kill", batches=(1, 4))
    request = replace(request, budget=replace(BUDGET, processes=1))
    profile = run_sweep(request, tmp_path / "profile", on_event=events.append)
    assert {point.key.batch for point in profile.latency} == {1}
    (failed,) = [event for event in events if event.kind == "failed"]
    assert failed.message == (
        "'tiny' on 1 cores at batch 4: its process was killed by SIGKILL, probably for want of memory"
    )


def test_a_model_that_answers_nan_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"exit 'first' of 'tiny' answers with NaN or infinity at batch 1"):
        run_sweep(request_for("make_nan"), tmp_path / "profile", on_event=lambda event: None)


SWEEP = f"""
import sys
from pathlib import Path
from ttamer.profiling.budgets import Budget
from ttamer.profiling.request import ModelRequest, SweepRequest
from ttamer.profiling.sweep import run_sweep
from ttamer.profiling.target import TargetSource

source = TargetSource(factory="tiny_target:make")
request = SweepRequest(
    name="test", models=(ModelRequest(name="tiny", source=source),), batches={BATCHES}, cores=(1,),
    budget=Budget(name="test", min_rounds={BUDGET.min_rounds}, group_s={BUDGET.group_s},
                  half_width={BUDGET.half_width}),
)
try:
    run_sweep(request, Path("profile"), on_event=lambda event: print(event.kind, flush=True))
except Exception as error:
    print(error, flush=True)
    sys.exit(getattr(error, "exit_code", 1))
"""


def start_sweep(tmp_path: Path) -> "subprocess.Popen[str]":
    path = os.pathsep.join([str(package_root()), str(TARGETS)])
    return subprocess.Popen(
        [sys.executable, "-c", SWEEP],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )


def await_visits(child: "subprocess.Popen[str]", count: int) -> None:
    assert child.stdout is not None
    seen = 0
    while seen < count:
        line = child.stdout.readline()
        assert line, "the sweep ended early"
        seen += line == "point\n"


def finish_by_hand(tmp_path: Path) -> None:
    """Resume a stopped sweep and count that no visit in its journal is repeated."""
    journal = journal_path(tmp_path / "profile")
    kept = len(read_journal(journal).visits)
    assert 0 < kept < VISITS * POINTS
    events: list[SweepEvent] = []
    request = replace(request_for("make"), batches=BATCHES)
    profile = run_sweep(request, tmp_path / "profile", on_event=events.append)
    planned = [event for event in events if event.kind == "point"][: VISITS * POINTS - kept]
    assert [event.total for event in planned] == [VISITS * POINTS] * (VISITS * POINTS - kept)
    assert len(profile.latency) == len({point.key for point in profile.latency}) == POINTS
    assert not journal.exists()


def test_a_sweep_killed_in_the_middle_is_resumed_without_repeating_a_point(tmp_path: Path) -> None:
    child = start_sweep(tmp_path)
    await_visits(child, PARTS)
    child.kill()
    child.communicate()
    finish_by_hand(tmp_path)


def test_a_sweep_interrupted_once_exits_130_and_can_go_on(tmp_path: Path) -> None:
    child = start_sweep(tmp_path)
    await_visits(child, PARTS)
    child.send_signal(signal.SIGINT)
    output, _ = child.communicate()
    assert child.returncode == 130
    assert "run the same command again to go on" in output
    kept = len(read_journal(journal_path(tmp_path / "profile")).visits)
    assert kept % PARTS == 0
    left = plan_sweep(replace(request_for("make"), batches=BATCHES), tmp_path / "profile")
    assert 0 < left.visits_done == kept < VISITS * POINTS
