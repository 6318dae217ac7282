"""Sweeps over made-up measuring processes: what is measured, kept, skipped, retried and told."""

import errno
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from ttamer.profiles.errors import DocumentError, InputError, Interrupted
from ttamer.profiles.profile import AccuracyRow, Machine, ModelSpec, PointKey, Profile
from ttamer.profiles.provenance import Provenance
from ttamer.profiles.shelf import journal_path, read_profile, write_profile
from ttamer.profiling.budgets import BUDGETS, PROTOCOL
from ttamer.profiling.coverage import RETRIES, parts_of
from ttamer.profiling.journal import read_journal
from ttamer.profiling.request import ModelRequest, SweepEvent, SweepRequest
from ttamer.profiling.sweep import plan_sweep, run_sweep
from ttamer.profiling.target import TargetSource
from ttamer.profiling.task import Task
from ttamer.profiling.visits import Visit

MACHINE = Machine(fingerprint="here", facts={"cpu": "Example", "allowed_cpus": [0, 1], "cpu_quota": None})
PARTS = 5  # of a model with two exits
VISITS = 2  # processes that visit each point
Hook = Callable[["FakeWorker", str, int], None]


def visit_of(task: Task, batch: int, part: str, exit: int) -> Visit:
    key = PointKey(
        model=task.model, part=part, exit=exit, device=task.device, dtype="float32", batch=batch, cores=task.cores
    )
    return Visit(
        key=key,
        seconds=((batch + exit + 2) / task.cores / 7,) * 6,
        reference_s=(0.01,) * 6,
        loops=1,
        peak_memory_bytes=1,
        load_time_s=0.5,
        evidence={"protocol": float(PROTOCOL), "budget_s": task.budget["group_s"]},
        spec_digest=task.identity,
    )


class FakeWorker:
    """A measuring process that answers at once; `hook` is called before each event and may end it."""

    def __init__(self, task: Task, hook: Hook) -> None:
        self.task, self.hook = task, hook
        self.end: str | None = None
        self.is_dead = False

    def events(self) -> Iterator[Mapping[str, Any]]:
        for event in self._all():
            self.hook(self, event["event"], event.get("batch", 0))
            if self.is_dead:
                return
            yield event
        self.end = self.end if self.is_dead else None

    def _all(self) -> Iterator[Mapping[str, Any]]:
        spec = ModelSpec(
            name=self.task.model, family="test", classes=3, input_shape=(4,), exits=("a", "b"), head="linear"
        )
        yield {"event": "loaded", "spec": asdict(spec), "load_time_s": 0.5, "facts": {"torch": "2.13"}}
        for batch, done in self.task.groups:
            yield {"event": "group", "batch": batch}
            for part, exit in parts_of(spec):
                if (part, exit) not in done:
                    visit = self.visit(batch, part, exit)
                    yield {"event": "visit", "row": visit.to_row(), "batch": batch}
            yield {"event": "group_done", "batch": batch, "spent_s": {"timed": 1.0}}
        yield {"event": "done"}

    def visit(self, batch: int, part: str, exit: int) -> Visit:
        return visit_of(self.task, batch, part, exit)

    def kill(self) -> None:
        self.is_dead, self.end = True, "its process was killed by SIGKILL"

    def ending(self) -> str | None:
        return self.end


def nothing(worker: FakeWorker, event: str, batch: int) -> None:
    pass


class Bench:
    """Runs sweeps in one folder and counts what was measured."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events: list[SweepEvent] = []
        self.tasks: list[Task] = []
        self.worker: Callable[[Task, Hook], FakeWorker] = FakeWorker

    def run(self, request: SweepRequest, hook: Hook = nothing, machine: Machine = MACHINE) -> Profile:
        def start(task: Task) -> FakeWorker:
            self.tasks.append(task)
            return self.worker(task, hook)

        self.events, self.tasks = [], []
        return run_sweep(request, self.folder, on_event=self.events.append, machine=machine, start=start)

    def told(self, kind: str) -> list[SweepEvent]:
        return [event for event in self.events if event.kind == kind]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # no power fails here, and a disk is slow
    return Bench(tmp_path / "profiles" / "local")


def request_for(*names: str, identity: str = "v1", **changes: Any) -> SweepRequest:
    models = tuple(ModelRequest(name=n, source=TargetSource(factory="m:f", identity=identity)) for n in names)
    fields: dict[str, Any] = {"name": "local", "models": models, "batches": (1, 4), "cores": (1, 2)}
    return SweepRequest(**{**fields, "budget": BUDGETS["quick"], **changes})


def test_a_sweep_measures_every_part_and_leaves_a_profile_without_a_journal(bench: Bench) -> None:
    profile = bench.run(request_for("a", "b"))
    assert len(profile.latency) == 2 * 2 * 2 * PARTS
    assert read_profile(bench.folder) == profile
    assert not journal_path(bench.folder).exists()
    assert profile.settings_of("a") == [("cpu", 1, 1), ("cpu", 1, 4), ("cpu", 2, 1), ("cpu", 2, 4)]
    assert profile.machine.facts["torch"] == "2.13"


def test_one_process_measures_one_model_at_one_core_count_on_cpus_of_its_own(bench: Bench) -> None:
    bench.run(request_for("a", "b", cores=(2, 1), batches=(4, 1)))
    assert [(t.model, t.cores, t.cpus, t.threads) for t in bench.tasks] == VISITS * [
        ("a", 1, (1,), 1),
        ("a", 2, (0, 1), 2),
        ("b", 1, (1,), 1),
        ("b", 2, (0, 1), 2),
    ]
    assert [batch for batch, _ in bench.tasks[0].groups] == [1, 4]


def test_events_count_up_to_the_exact_total_and_the_rest_shrinks_to_nothing(bench: Bench) -> None:
    bench.run(request_for("a"))
    visits = bench.told("point")
    assert [event.done for event in visits] == list(range(1, VISITS * 4 * PARTS + 1))
    assert {event.total for event in visits} == {VISITS * 4 * PARTS}
    assert all(event.remaining_s >= 0 for event in bench.events)
    assert bench.events[0].remaining_s == pytest.approx(VISITS * 2 * 8 + 4 * 3, abs=0.5)
    assert visits[-1].point is not None


def test_a_finished_sweep_is_not_repeated(bench: Bench) -> None:
    first = bench.run(request_for("a"))
    again = bench.run(request_for("a"))
    assert bench.tasks == []
    assert again == first


def test_a_profile_is_extended_by_models_batches_and_cores(bench: Bench) -> None:
    first = bench.run(request_for("a", batches=(1,), cores=(1,)))
    row = AccuracyRow(
        model="a", exit=1, dataset="d", split="test", accuracy=0.9, low=None, high=None, samples=10, source="published"
    )
    write_profile(bench.folder, replace(first, accuracy=(row,)))
    profile = bench.run(request_for("a", "b"))
    assert len(profile.latency) == 8 * PARTS
    assert profile.accuracy == (row,)
    assert sum(len(task.groups) for task in bench.tasks) == VISITS * 7
    assert all(point in profile.latency for point in first.latency)


def test_a_better_budget_measures_again_and_a_worse_one_does_not(bench: Bench) -> None:
    bench.run(request_for("a"))
    better = bench.run(request_for("a", budget=BUDGETS["default"]))
    assert len(bench.tasks) == VISITS * 2
    assert {point.evidence["budget_s"] for point in better.latency} == {12.0}
    bench.run(request_for("a"))
    assert bench.tasks == []


def test_points_of_a_verdict_are_measured_again_on_demand(bench: Bench) -> None:
    first = bench.run(request_for("a"))
    doubtful = replace(first.latency[0], verdict="noisy")
    write_profile(bench.folder, replace(first, latency=(doubtful, *first.latency[1:])))
    profile = bench.run(request_for("a", remeasure=("noisy",)))
    assert len(bench.told("point")) == VISITS
    assert profile.latency == first.latency


def test_a_model_built_otherwise_replaces_its_old_points(bench: Bench) -> None:
    bench.run(request_for("a", "b"))
    plan = plan_sweep(request_for("a", identity="v2", batches=(1,)), bench.folder, machine=MACHINE)
    assert len(plan.stale) == 4 * PARTS
    profile = bench.run(request_for("a", identity="v2", batches=(1,)))
    assert {(p.key.batch, p.spec_digest) for p in profile.latency if p.key.model == "a"} == {(1, "v2")}
    assert sum(point.key.model == "b" for point in profile.latency) == 4 * PARTS


def test_the_profile_of_another_machine_is_refused_with_the_way_out(bench: Bench) -> None:
    bench.run(request_for("a"))
    other = replace(MACHINE, fingerprint="there")
    for call in (
        lambda: bench.run(request_for("b"), machine=other),
        lambda: plan_sweep(request_for("b"), bench.folder, machine=other),
    ):
        with pytest.raises(DocumentError) as raised:
            call()
        assert raised.value.message == f"{bench.folder} was measured on machine here (Example); this is there (Example)"
        assert raised.value.remedy == "measure under another name: --profile NAME"
    assert len(read_profile(bench.folder).latency) == 4 * PARTS


def test_a_plan_counts_what_is_left_and_touches_nothing(bench: Bench) -> None:
    plan = plan_sweep(request_for("a"), bench.folder, machine=MACHINE)
    assert not bench.folder.exists()
    assert (len(plan.todo), plan.finished, plan.estimated_s) == (VISITS * 4, (), VISITS * 2 * 8 + 4 * 3)
    bench.run(request_for("a", batches=(1,)))
    plan = plan_sweep(request_for("a"), bench.folder, machine=MACHINE)
    assert plan.groups_todo() == {("a", 1, 4): PARTS, ("a", 2, 4): PARTS}
    assert (plan.points_todo(), len(plan.finished)) == (2 * PARTS, 2 * PARTS)


def dying(at_event: str, times: int, *, batch: int | None = None) -> Hook:
    left = [times]

    def hook(worker: FakeWorker, event: str, at: int) -> None:
        if event == at_event and left[0] and batch in (None, at):
            left[0] -= 1
            worker.kill()

    return hook


def test_a_process_that_dies_once_is_started_again_where_it_was(bench: Bench) -> None:
    profile = bench.run(request_for("a", cores=(1,)), dying("group", 1, batch=4))
    assert len(profile.latency) == 2 * PARTS
    assert [[batch for batch, _ in task.groups] for task in bench.tasks] == [[1, 4], [4], [1, 4]]
    assert [event.message for event in bench.told("retry")] == ["its process was killed by SIGKILL"]
    assert len(bench.told("point")) == VISITS * 2 * PARTS


def test_a_process_that_dies_amid_a_group_does_not_repeat_its_points(bench: Bench) -> None:
    seen: list[int] = []

    def hook(worker: FakeWorker, event: str, batch: int) -> None:
        seen.extend([batch] if event == "visit" else [])
        if len(seen) == 3 and event == "visit":
            worker.kill()

    profile = bench.run(request_for("a", cores=(1,), batches=(1,)), hook)
    assert bench.tasks[1].groups == ((1, (("whole", -1), ("stage", 0))),)
    assert len(bench.told("point")) == VISITS * PARTS
    assert len(profile.latency) == PARTS


def test_a_group_whose_process_dies_twice_is_a_failed_point_and_the_run_goes_on(bench: Bench) -> None:
    def hook(worker: FakeWorker, event: str, batch: int) -> None:
        if worker.task.cores == 2 and batch == 4:
            worker.kill()

    profile = bench.run(request_for("a", "b", batches=(1, 4, 8)), hook)
    (first, second) = bench.told("failed")
    assert (first.model, first.cores, first.batch) == ("a", 2, 4)
    assert first.message == "'a' on 2 cores at batch 4: its process was killed by SIGKILL"
    assert first.remedy == "measure smaller batches (--batches) or free some memory"
    assert second.model == "b"
    assert second.done < second.total
    assert bench.events[-1].done == bench.events[-1].total
    assert len(profile.latency) == 10 * PARTS
    assert profile.settings["failed"] == [
        {"model": model, "cores": 2, "batch": 4, "reason": first.message.replace("'a'", repr(model))}
        for model in ("a", "b")
    ]
    assert [len(bench.told(kind)) for kind in ("start", "retry")] == [10, 2]


def test_a_group_that_failed_is_tried_again_by_the_next_run_alone(bench: Bench) -> None:
    bench.run(request_for("a", cores=(1,)), dying("group", 2, batch=4))
    assert [event.batch for event in bench.told("failed")] == [4]
    profile = bench.run(request_for("a", cores=(1,)))
    assert [[batch for batch, _ in task.groups] for task in bench.tasks] == [[4], [4]]
    assert len(profile.latency) == 2 * PARTS
    assert profile.settings["failed"] == []


class BrokenWorker(FakeWorker):
    """A process whose model cannot be loaded."""

    def _all(self) -> Iterator[Mapping[str, Any]]:
        yield {"event": "failed", "message": "'a' answers with NaN", "remedy": "fit it"}
        self.end = "its process ended with code 3: nothing"


def test_a_model_that_cannot_be_loaded_is_tried_once_and_left_out(bench: Bench) -> None:
    tasks: list[Task] = []

    def start(task: Task) -> FakeWorker:
        tasks.append(task)
        return (BrokenWorker if task.model == "a" else FakeWorker)(task, nothing)

    profile = run_sweep(request_for("a", "b"), bench.folder, on_event=bench.events.append, machine=MACHINE, start=start)
    assert [(task.model, task.cores) for task in tasks] == [("a", 1), *VISITS * [("b", 1), ("b", 2)]]
    assert set(profile.models) == {"b"}
    assert [(event.message, event.remedy) for event in bench.told("failed")] == [("'a' answers with NaN", "fit it")]


def test_a_sweep_that_measures_nothing_is_an_error_and_leaves_nothing(bench: Bench) -> None:
    with pytest.raises(InputError, match=r"'a' answers with NaN \(fit it\)"):
        run_sweep(
            request_for("a"),
            bench.folder,
            on_event=bench.events.append,
            machine=MACHINE,
            start=lambda task: BrokenWorker(task, nothing),
        )
    assert not bench.folder.exists()


def interrupting(at_event: str, *, batch: int, times: int = 1, after: int = 0) -> Hook:
    left, before = [times], [after]

    def hook(worker: FakeWorker, event: str, at: int) -> None:
        before[0] -= event == at_event and at == batch
        while event == at_event and at == batch and before[0] < 0 and left[0]:
            left[0] -= 1
            os.kill(os.getpid(), signal.SIGINT)

    return hook


def test_one_interrupt_finishes_the_group_and_says_how_to_go_on(bench: Bench) -> None:
    whole = Bench(bench.folder.parent / "whole").run(request_for("a"))
    with pytest.raises(Interrupted) as raised:
        bench.run(request_for("a"), interrupting("visit", batch=1))
    assert raised.value.exit_code == 130
    journal, total = journal_path(bench.folder), VISITS * 4 * PARTS
    assert raised.value.message == f"stopped after {PARTS} of {total} visits of points, which are kept in {journal}"
    assert raised.value.remedy == "run the same command again to go on"
    assert not (bench.folder / "profile.yaml").exists()
    resumed = bench.run(request_for("a"))
    assert len(bench.told("point")) == 7 * PARTS
    assert bench.events[0].done == PARTS
    assert resumed.latency == whole.latency


def test_two_interrupts_stop_within_the_group(bench: Bench) -> None:
    with pytest.raises(Interrupted, match=f"stopped after 0 of {VISITS * 4 * PARTS} visits"):
        bench.run(request_for("a"), interrupting("visit", batch=1, times=2))
    bench.run(request_for("a"))
    assert len(bench.told("point")) == VISITS * 4 * PARTS


def test_an_interrupt_while_a_model_loads_stops_at_once(bench: Bench) -> None:
    with pytest.raises(Interrupted):
        bench.run(request_for("a"), interrupting("loaded", batch=0))
    assert bench.told("loaded") == []


def test_an_interrupt_in_the_last_group_comes_too_late_to_lose_anything(bench: Bench) -> None:
    before = signal.getsignal(signal.SIGINT)
    profile = bench.run(request_for("a", cores=(1,), batches=(1,)), interrupting("visit", batch=1, after=PARTS))
    assert len(profile.latency) == PARTS
    assert signal.getsignal(signal.SIGINT) is before


def test_a_journal_cut_anywhere_ends_in_the_same_table(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every byte of its last two lines, and at random places before them."""
    monkeypatch.setattr("ttamer.profiling.merging.capture", Provenance)  # asking git a thousand times takes minutes
    monkeypatch.setattr("ttamer.profiling.sweep.write_profile", lambda folder, profile: profile)
    whole = Bench(bench.folder.parent / "whole").run(request_for("a", cores=(1,)))
    with pytest.raises(Interrupted):
        bench.run(request_for("a", cores=(1,)), interrupting("visit", batch=1, after=PARTS))
    journal = journal_path(bench.folder)
    content = journal.read_bytes()
    cut = content.rindex(b"\n", 0, content.rindex(b"\n", 0, -1)) + 1
    anywhere = np.random.default_rng(5).choice(cut, 40, replace=False).tolist()
    for size in (*range(cut, len(content) + 1), *anywhere):
        journal.parent.mkdir(exist_ok=True)
        journal.write_bytes(content[:size])
        kept = len(read_journal(journal).visits)
        assert bench.run(request_for("a", cores=(1,))).latency == whole.latency
        assert len(bench.told("point")) == VISITS * 2 * PARTS - kept
        assert kept >= 3 * PARTS - 2 or size < cut


def test_a_disk_that_fills_up_keeps_the_visits_made_before(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Bench(bench.folder.parent / "whole").run(request_for("a", cores=(1,)))
    write, space = os.write, [6000]

    def write_if_there_is_space(file: int, content: bytes) -> int:
        written = write(file, content[: space[0]])
        space[0] -= written
        if written < len(content):
            raise OSError(errno.ENOSPC, "No space left on device")
        return written

    monkeypatch.setattr("ttamer.profiling.journal.os.write", write_if_there_is_space)
    with pytest.raises(DocumentError) as raised:
        bench.run(request_for("a", cores=(1,)))
    journal = journal_path(bench.folder)
    assert raised.value.message == (
        f"{journal} cannot be written: No space left on device; the points finished before are kept"
    )
    assert raised.value.remedy == "free some space and run the same command again"
    monkeypatch.undo()
    kept = len(read_journal(journal).visits)
    assert 0 < kept < VISITS * 2 * PARTS
    assert bench.run(request_for("a", cores=(1,))).latency == whole.latency
    assert len(bench.told("point")) == VISITS * 2 * PARTS - kept


def test_a_disk_too_full_for_the_profile_keeps_the_journal(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as during:
        during.setattr("ttamer.profiling.sweep.write_profile", refuse_for_want_of_space)
        with pytest.raises(DocumentError, match="No space left on device"):
            bench.run(request_for("a", cores=(1,)))
    profile = bench.run(request_for("a", cores=(1,)))
    assert bench.tasks == []
    assert len(profile.latency) == 2 * PARTS


def refuse_for_want_of_space(folder: Path, profile: Profile) -> Profile:
    raise DocumentError(f"{folder} cannot be written: No space left on device", remedy="free some space")


def test_a_listener_that_fails_ends_the_process(bench: Bench) -> None:
    workers: list[FakeWorker] = []

    def start(task: Task) -> FakeWorker:
        workers.append(FakeWorker(task, nothing))
        return workers[-1]

    def on_event(event: SweepEvent) -> None:
        if event.kind == "group":
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        run_sweep(request_for("a"), bench.folder, on_event=on_event, machine=MACHINE, start=start)
    assert workers[0].is_dead


@pytest.mark.parametrize(
    ("changes", "message", "remedy"),
    [
        ({"batches": (0,)}, "batch 0 was asked for; at least 1 is allowed", "give whole numbers from 1"),
        ({"batches": ()}, "no batches were given", "give at least one"),
        ({"batches": (1, 4, 4)}, "batches 4 were given twice", "give each once"),
        ({"cores": (1, 1)}, "cores 1 were given twice", "give each once"),
        ({"cores": (-1,)}, "core count -1 was asked for; at least 1 is allowed", "give whole numbers from 1"),
        ({"device": "tpu"}, "unknown device 'tpu'", "did you mean 'cpu'? known: cpu, cuda"),
        (
            {"remeasure": ("noise",)},
            "unknown verdict 'noise'",
            "did you mean 'noisy'? known: contended, noisy, ok, throttled",
        ),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(changes: dict[str, Any], message: str, remedy: str) -> None:
    with pytest.raises(InputError) as raised:
        request_for("a", **changes)
    assert (raised.value.message, raised.value.remedy) == (message, remedy)


def test_more_cores_than_allowed_are_refused_before_anything_starts(bench: Bench) -> None:
    with pytest.raises(InputError, match="3 cores were asked for; this process may use 1 to 2"):
        bench.run(request_for("a", cores=(1, 3)))
    assert bench.tasks == []
    assert not bench.folder.exists()


def test_two_models_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match="models a were given twice"):
        request_for("a", "a")


@pytest.mark.parametrize("factory", ["", "package.module", ":function", "module:not-a-name"])
def test_a_source_must_name_a_function(factory: str) -> None:
    with pytest.raises(InputError, match=r"names no function \(write it like package.module:function\)"):
        TargetSource(factory=factory)


def test_a_source_is_known_by_how_it_builds() -> None:
    source = TargetSource(factory="m:f", arguments={"a": 1, "b": [2]})
    assert source.identity == TargetSource(factory="m:f", arguments={"b": [2], "a": 1}).identity
    assert source.identity != TargetSource(factory="m:f", arguments={"a": 2, "b": [2]}).identity
    with pytest.raises(InputError, match="the arguments of m:f are not plain data"):
        TargetSource(factory="m:f", arguments={"a": object()})


def test_a_task_survives_the_way_to_its_process() -> None:
    task = Task(
        model="a",
        factory="m:f",
        arguments={"x": [1]},
        identity="i",
        device="cpu",
        cores=1,
        cpus=(1,),
        threads=1,
        budget=asdict(BUDGETS["quick"]),
        groups=((1, (("whole", -1),)), (4, ())),
    )
    assert Task.from_json(task.to_json()) == task


class DisturbedWorker(FakeWorker):
    """A process beside which a neighbour has the cores while `shares` last: what the calling thread ran of the time."""

    shares: ClassVar[list[float]] = []

    def visit(self, batch: int, part: str, exit: int) -> Visit:
        visit = super().visit(batch, part, exit)
        running = self.shares.pop(0) if part == "whole" and self.shares else 1.0
        return replace(visit, evidence={**visit.evidence, "running_share": running})


@pytest.mark.parametrize(
    ("shares", "processes", "verdict"),
    [
        ([], 2, "ok"),
        ([0.5], 3, "ok"),  # one was disturbed, and another takes its place
        ([0.5, 1.0, 0.5], 4, "ok"),
        ([0.5] * 4, 4, "contended"),  # after that it stays, with its verdict
        ([0.5] * 3, 4, "contended"),
    ],
)
def test_disturbed_points_are_visited_again_a_few_times_and_alone(
    bench: Bench, shares: list[float], processes: int, verdict: str
) -> None:
    bench.worker = DisturbedWorker
    DisturbedWorker.shares = list(shares)
    profile = bench.run(request_for("a", cores=(1,), batches=(1,)))
    assert len(bench.tasks) == processes <= VISITS + RETRIES
    whole, *others = profile.latency
    assert whole.verdict == verdict
    assert {point.verdict for point in others} == {"ok"}
    assert whole.evidence["visits"] == processes
    assert len(whole.samples.counts) == (VISITS if verdict == "ok" else processes)
    assert [len(task.groups[0][1]) for task in bench.tasks[VISITS:]] == [PARTS - 1] * (processes - VISITS)
    assert len(bench.told("again")) == processes - VISITS


def test_a_point_that_stayed_contended_is_not_tried_again_unless_asked(bench: Bench) -> None:
    bench.worker = DisturbedWorker
    DisturbedWorker.shares = [0.5] * 4
    bench.run(request_for("a", cores=(1,), batches=(1,)))
    bench.run(request_for("a", cores=(1,), batches=(1,)))
    assert bench.tasks == []
    profile = bench.run(request_for("a", cores=(1,), batches=(1,), remeasure=("contended",)))
    assert [len(task.groups[0][1]) for task in bench.tasks] == [PARTS - 1] * VISITS
    assert {point.verdict for point in profile.latency} == {"ok"}


class SlowingWorker(FakeWorker):
    """A machine that gets slower from process to process: everything takes longer, the reference kernel too."""

    speeds: ClassVar[list[float]] = []

    def __init__(self, task: Task, hook: Hook) -> None:
        super().__init__(task, hook)
        self.slower = self.speeds.pop(0) if self.speeds else 1.0

    def visit(self, batch: int, part: str, exit: int) -> Visit:
        visit = super().visit(batch, part, exit)
        return replace(
            visit,
            seconds=tuple(self.slower * second for second in visit.seconds),
            reference_s=tuple(self.slower * second for second in visit.reference_s),
        )


def test_the_drift_of_the_machine_is_divided_out_and_raw_times_are_kept(bench: Bench) -> None:
    bench.worker = SlowingWorker
    SlowingWorker.speeds = [1.0, 1.2]
    (point, *_) = bench.run(request_for("a", cores=(1,), batches=(1,))).latency
    assert point.samples.raw_seconds == pytest.approx([2 / 7] * 6 + [2.4 / 7] * 6)
    assert point.samples.seconds == pytest.approx([2.2 / 7] * 12)  # at the run's median speed
    assert point.evidence["process_spread"] == pytest.approx(0.0, abs=1e-9)
    assert point.verdict == "ok"


def test_all_profiles_of_a_machine_state_times_at_one_level(bench: Bench, tmp_path: Path) -> None:
    first = bench.run(request_for("a", cores=(1,), batches=(1,)))
    bench.worker = SlowingWorker
    SlowingWorker.speeds = [1.1, 1.1]
    bench.folder = tmp_path / "profiles" / "second"
    second = bench.run(request_for("a", cores=(1,), batches=(1,), name="second"))
    assert second.settings["reference_s"] == first.settings["reference_s"] == {"cpu/1": 0.01}
    assert [p.samples.median_s() for p in second.latency] == pytest.approx(
        [p.samples.median_s() for p in first.latency]
    )
    SlowingWorker.speeds = [1.1, 1.1]
    again = bench.run(request_for("b", cores=(1,), batches=(1,), name="second"))
    assert again.settings["reference_s"] == {"cpu/1": 0.01}


def test_a_level_of_another_state_of_the_machine_is_not_taken_over(bench: Bench, tmp_path: Path) -> None:
    bench.run(request_for("a", cores=(1,), batches=(1,)))
    bench.worker = SlowingWorker
    SlowingWorker.speeds = [1.3, 1.3]
    bench.folder = tmp_path / "profiles" / "second"
    second = bench.run(request_for("a", cores=(1,), batches=(1,), name="second"))
    assert second.settings["reference_s"]["cpu/1"] == pytest.approx(0.013)


def test_a_profile_says_where_the_time_went(bench: Bench) -> None:
    spent_s = bench.run(request_for("a", cores=(1,))).settings["spent_s"]
    assert spent_s["timed"] == VISITS * 2.0
    assert spent_s["processes"] == VISITS
    assert set(spent_s) == {"start", "processes", "timed", "end", "total"}


class DrownedWorker(FakeWorker):
    """A process that had half a core all along, for the kernel, too."""

    def visit(self, batch: int, part: str, exit: int) -> Visit:
        visit = super().visit(batch, part, exit)
        reference_s = tuple(3 * second for second in visit.reference_s)
        return replace(visit, reference_s=reference_s, evidence={**visit.evidence, "running_share": 0.5})


def test_a_machine_that_was_busy_throughout_sets_no_level(bench: Bench) -> None:
    bench.worker = DrownedWorker
    busy = bench.run(request_for("a", cores=(1,), batches=(1,)))
    assert busy.settings["reference_s"] == {}
    assert {point.evidence["level_s"] for point in busy.latency} == {0.03}
    bench.worker = FakeWorker
    quiet = bench.run(request_for("a", cores=(1,), batches=(1,), remeasure=("contended",)))
    assert quiet.settings["reference_s"] == {"cpu/1": 0.01}
