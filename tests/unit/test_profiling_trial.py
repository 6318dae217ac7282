"""Workloads measured end to end: turns, what is kept, and the process that runs them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from ttamer.profiles.errors import InputError
from ttamer.profiles.profile import Machine
from ttamer.profiling.budgets import Budget
from ttamer.profiling.clock import Timing
from ttamer.profiling.machine import allowed_cpus
from ttamer.profiling.target import TargetSource
from ttamer.profiling.task import Task
from ttamer.profiling.trial import TrialRequest, WayTimings, run_trial
from ttamer.profiling.workload import TURN, Run, run_workload, take_turns

MACHINE = Machine(fingerprint="here", facts={"cpu": "Example", "allowed_cpus": list(allowed_cpus()), "cpu_quota": None})
BUDGET = Budget(name="test", min_rounds=6, group_s=10.0, half_width=0.02, quantile=0.6)  # 6 passes bound it


@pytest.fixture(autouse=True)
def tiny_target_is_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(Path(__file__).parent.parent / "targets")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", folder)


def request_for(**arguments: Any) -> TrialRequest:
    source = TargetSource(factory="tiny_target:make_workload", arguments=arguments)
    return TrialRequest(model="mine", source=source, batches=(1, 2), cores=1, device="cpu", budget=BUDGET)


class FakeClock:
    """Every call takes a second, and the second try of each is disturbed."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.order: list[Run] = []

    def time_calls(self, run: Run, loops: int) -> Timing:
        self.now_s += 1.0
        self.order.append(run)
        return Timing(wall_s=1.0, cpu_s=1.0, thread_s=1.0, preemptions=0, middle_s=self.now_s - 0.5)


def runs(count: int) -> list[Run]:
    def run(index: int) -> Run:
        return lambda: index

    return [run(index) for index in range(count)]


def test_ways_take_turns_and_every_batch_is_answered_as_often() -> None:
    clock, some, others = FakeClock(), runs(TURN + 4), runs(TURN + 4)
    (reference,) = runs(1)
    taken = take_turns(
        {"a": some, "b": others}, reference, Budget(name="t", min_rounds=6, group_s=30.0, half_width=0.1),
        time_calls=clock.time_calls, now=lambda: clock.now_s,
    )  # fmt: skip
    turns, timed = 2 * 2 * 2, 2 * 2 * (TURN + 4)
    warm_up = len(clock.order) - timed - turns - 1
    first_pass = clock.order[warm_up : warm_up + (timed + turns) // 2]
    beside = [reference]
    assert first_pass == beside + some[:TURN] + beside + others[:TURN] + beside + some[TURN:] + beside + others[TURN:]
    assert len(taken.beside) == turns + 1
    assert {way: [len(one) for one in timings] for way, timings in taken.timings.items()} == {
        "a": [2] * (TURN + 4),  # 40 s a pass, and 60 s are allowed: a second pass begins, no third
        "b": [2] * (TURN + 4),
    }


def test_the_mean_counts_every_batch_once_however_often_it_was_answered() -> None:
    timed = WayTimings(
        way="a", batch=1, seconds=((1.0, 1.0, 1.0), (3.0,)), reference_s=((1.0,) * 3, (1.0,)), verdict="ok", evidence={}
    )  # fmt: skip
    assert timed.mean_s() == 2.0
    assert timed.quantile_s(0.5) == 1.0
    assert timed.quantile_s(0.99) == 3.0


def test_a_slow_hour_of_the_machine_is_divided_out_by_the_reference_beside() -> None:
    timed = WayTimings(
        way="a", batch=1, seconds=((2.0, 3.0), (3.0,)), reference_s=((0.02, 0.03), (0.03,)), verdict="ok", evidence={}
    )  # fmt: skip
    assert timed.at_speed(0.01).seconds == ((pytest.approx(1.0), pytest.approx(1.0)), (pytest.approx(1.0),))


def test_a_workload_is_timed_in_a_process_of_its_own() -> None:
    seen: list[int] = []
    trial = run_trial(request_for(), on_batch=seen.append, machine=MACHINE)
    assert seen == [1, 2]
    assert [(timed.way, timed.batch, len(timed.seconds)) for timed in trial.timings] == [
        ("early", 1, 4), ("late", 1, 4), ("early", 2, 2), ("late", 2, 2),
    ]  # fmt: skip
    assert all(second > 0 for timed in trial.timings for some in timed.seconds for second in some)
    assert all(count >= 6 for count in trial.report["calls"]["early"])


def test_a_workload_that_fails_says_at_which_batch() -> None:
    with pytest.raises(InputError, match="'mine' failed when it ran a batch of 2: RuntimeError: too large"):
        run_trial(request_for(fails=True), machine=MACHINE)


def test_a_process_that_dies_is_told_as_such() -> None:
    class Dead:
        def events(self) -> Iterator[Mapping[str, Any]]:
            yield {"event": "group", "batch": 1}

        def kill(self) -> None:
            pass

        def ending(self) -> str:
            return "its process was killed"

    with pytest.raises(InputError, match="'mine' on 1 cores: its process was killed"):
        run_trial(request_for(), machine=MACHINE, start=lambda task: Dead())


def test_a_workload_tells_its_timings_group_by_group_and_then_reports() -> None:
    events: list[str] = []
    task = Task(
        model="mine", factory="tiny_target:make_workload", arguments={}, identity="", device="cpu", cores=1, cpus=(0,),
        threads=torch.get_num_threads(), groups=((1, ()),), measure="workload",
        budget={"name": "t", "min_rounds": 6, "group_s": 0.1, "half_width": 0.1},
    )  # fmt: skip
    run_workload(task, lambda event, **fields: events.append(event))
    assert events == ["loaded", "group", "timed", "timed", "group_done", "report"]
    assert Task.from_json(task.to_json()) == task
