"""Replicas side by side: what is counted, what each runs on, and what is refused."""

import itertools
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ttamer.profiles.errors import InputError
from ttamer.profiles.profile import Machine
from ttamer.profiles.provenance import Provenance
from ttamer.profiles.side_by_side import SideBySide, read_side_by_side, write_side_by_side
from ttamer.profiling.machine import allowed_cpus
from ttamer.profiling.side_by_side import ReplicaRequest, measure_side_by_side
from ttamer.profiling.target import TargetSource
from ttamer.profiling.task import Task

FOUR = Machine(fingerprint="here", facts={"allowed_cpus": [0, 1, 2, 3], "cpu_quota": None})
SOURCE = TargetSource(factory="package.module:make")


def request_for(**changes: Any) -> ReplicaRequest:
    fields: dict[str, Any] = {"model": "toy", "source": SOURCE, "batch": 2, "cores": 1, "replicas": (2,)}
    return ReplicaRequest(**(fields | changes))


class FakeReplica:
    """Answers at once: packets of ten calls a second of pretended time, until it is killed."""

    def __init__(self, call_s: float, clean: int = 10, failure: str = "") -> None:
        self.call_s, self.clean, self.failure = call_s, clean, failure
        self.killed = threading.Event()

    def events(self) -> Iterator[Mapping[str, Any]]:
        if self.failure:
            yield {"event": "failed", "message": self.failure, "remedy": "mend it"}
            return
        yield {"event": "ready"}
        for packet in itertools.count():
            if self.killed.wait(0.001):
                return
            ends = [packet + place / 10 for place in range(10)]
            yield {"event": "packet", "seconds": [self.call_s] * 10, "ends": ends, "clean": self.clean}

    def kill(self) -> None:
        self.killed.set()

    def ending(self) -> str | None:
        return None


class Host:
    """Starts fake replicas; all are slowed down by a tenth for each neighbour."""

    def __init__(self, **made: Any) -> None:
        self.made, self.tasks, self.begun = made, list[Task](), 0

    def start(self, task: Task) -> FakeReplica:
        self.tasks.append(task)
        return FakeReplica(0.01 if len(self.tasks) == 1 else 0.011, **self.made)

    def now(self) -> float:
        return 0.0


def measured(request: ReplicaRequest, host: Host) -> list[SideBySide]:
    return measure_side_by_side(request, machine=FOUR, start=host.start, now=host.now)


def test_one_replica_alone_is_measured_first_and_the_others_are_held_against_it() -> None:
    alone, pair = measured(request_for(), Host())
    assert (alone.replicas, alone.slowdown) == (1, 1.0)
    assert (pair.replicas, pair.slowdown) == (2, pytest.approx(1.1))
    assert pair.median_s == pytest.approx(0.011)


def test_throughput_counts_the_requests_of_all_replicas_in_the_window() -> None:
    alone, pair = measured(request_for(window_s=5.0), Host())
    assert alone.throughput_rps == pytest.approx(20, rel=0.05)  # ten calls a second, two requests a call
    assert pair.throughput_rps == pytest.approx(40, rel=0.05)


def test_every_replica_has_cores_of_its_own() -> None:
    host = Host()
    measured(request_for(cores=2), host)
    _, first, second = host.tasks
    assert not set(first.cpus) & set(second.cpus)
    assert (len(first.cpus), first.threads, first.measure) == (2, 2, "steady")


def test_calls_that_others_disturbed_make_the_verdict_contended() -> None:
    assert measured(request_for(), Host(clean=2))[1].verdict == "contended"
    assert measured(request_for(), Host())[1].verdict == "ok"


@pytest.mark.parametrize(("changes", "said"), [
    ({"replicas": (5,)}, "5 x 1 cores were asked for; this process may use 4"),
    ({"cores": 3}, "2 x 3 cores"),
    ({"device": "cuda"}, "side by side were asked for on cuda"),
])  # fmt: skip
def test_more_than_the_machine_has_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        measured(request_for(**changes), Host())


def test_a_replica_that_fails_says_why() -> None:
    with pytest.raises(InputError, match="no weights"):
        measured(request_for(), Host(failure="no weights"))


def test_a_setting_measured_again_replaces_the_older_one(tmp_path: Path) -> None:
    found = measured(request_for(), Host())
    write_side_by_side(tmp_path, found, Provenance())
    write_side_by_side(tmp_path, found[1:], Provenance())
    assert read_side_by_side(tmp_path) == found


def test_a_folder_without_such_measurements_has_none(tmp_path: Path) -> None:
    assert read_side_by_side(tmp_path) == []


def test_a_real_process_answers_until_it_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(Path(__file__).parent.parent / "targets")
    monkeypatch.setenv("PYTHONPATH", folder)
    source = TargetSource(factory="tiny_target:make")
    machine = Machine(fingerprint="here", facts={"allowed_cpus": list(allowed_cpus()), "cpu_quota": None})
    (alone,) = measure_side_by_side(request_for(source=source, replicas=(1,), window_s=0.2), machine=machine)
    assert alone.calls >= 20
    assert alone.throughput_rps > 0
