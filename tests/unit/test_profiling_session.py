"""What happens inside a measuring process: loading, checking and timing a small torch model."""

from pathlib import Path
from typing import Any

import pytest
import torch

from ttamer.profiles.errors import InputError
from ttamer.profiling.budgets import PROTOCOL
from ttamer.profiling.devices import DEVICES, Device, host_peak_memory_bytes
from ttamer.profiling.placement import PLACEMENTS
from ttamer.profiling.reference import reference_kernel
from ttamer.profiling.session import group_parts, load_target, run_task
from ttamer.profiling.task import Task
from ttamer.profiling.visits import Visit

# Six rounds, whatever the machine is busy with: the time is spent at once.
BUDGET = {"name": "test", "processes": 1, "min_rounds": 6, "group_s": 1e-6, "half_width": 0.02}


@pytest.fixture(autouse=True)
def tiny_target_is_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "targets"))


def task_for(factory: str, *, groups: Any = ((1, ()), (3, ())), **arguments: Any) -> Task:
    return Task(
        model="mine",
        factory=f"tiny_target:{factory}",
        arguments=arguments,
        identity="v1",
        device="cpu",
        cores=1,
        cpus=(0,),
        threads=torch.get_num_threads(),
        budget=BUDGET,
        groups=groups,
    )


def events_of(task: Task) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    run_task(task, lambda event, **fields: events.append({"event": event, **fields}))
    return events


def test_a_task_tells_the_model_and_then_every_part_of_every_group() -> None:
    events = events_of(task_for("make", width=16))
    assert [event["event"] for event in events] == ["loaded", *(["group", *["visit"] * 5, "group_done"] * 2)]
    assert events[0]["spec"]["name"] == "mine"
    assert events[0]["facts"]["torch"] == torch.__version__
    visits = [Visit.from_row(event["row"]) for event in events if event["event"] == "visit"]
    parts = [("whole", -1), ("stage", 0), ("head", 0), ("stage", 1), ("head", 1)]
    assert [(visit.key.part, visit.key.exit) for visit in visits] == parts * 2
    assert {visit.key.batch for visit in visits[:5]} == {1}
    assert all(len(visit.seconds) == len(visit.reference_s) for visit in visits)
    assert all(visit.evidence["rounds"] == 6 and visit.spec_digest == "v1" for visit in visits)
    assert all(visit.peak_memory_bytes > 2**20 and visit.load_time_s > 0 for visit in visits)
    assert all(visit.evidence["protocol"] == PROTOCOL and visit.evidence["running_share"] > 0 for visit in visits)
    (spent_s, _) = [event["spent_s"] for event in events if event["event"] == "group_done"]
    assert set(spent_s) == {"warm_up", "settling", "reference", "timed", "rest"}


def test_a_small_head_is_timed_once_behind_its_stage_as_when_it_serves() -> None:
    events = events_of(task_for("make", width=4, groups=((1, ()),)))
    visits = [Visit.from_row(event["row"]) for event in events if event["event"] == "visit"]
    assert all(visit.loops == 1 for visit in visits if visit.key.part == "head")


def test_parts_that_were_measured_before_are_left_out() -> None:
    done = (("whole", -1), ("stage", 0), ("stage", 1))
    events = events_of(task_for("make", groups=((2, done),)))
    visits = [Visit.from_row(event["row"]) for event in events if event["event"] == "visit"]
    assert [(visit.key.part, visit.key.exit) for visit in visits] == [("head", 0), ("head", 1)]


def test_stages_follow_on_each_other_and_heads_are_read_out() -> None:
    loaded = load_target(task_for("make"))
    with torch.inference_mode():
        parts = {(part.part, part.exit): part for part in group_parts(loaded, 2, DEVICES["cpu"])}
        whole = parts["whole", -1].call()
        parts["head", 1].prepare()  # no part was called before: what is missing is run
        last = parts["head", 1].call()
    assert isinstance(whole, torch.Tensor)
    assert last == whole.softmax(dim=1).amax(dim=1).tolist()  # a head's time is until its confidence has been read


@pytest.mark.parametrize(
    ("factory", "arguments", "message"),
    [
        ("make_nan", {}, "exit 'first' of 'mine' answers with NaN or infinity at batch 1"),
        ("make_misshapen", {}, "exit 'first' of 'mine' answers with shape (1, 5), not (1, 3)"),
        (
            "make_failing",
            {"at_batch": 3, "error": "can't allocate memory: 99 bytes\nmore"},
            "'mine' failed when it ran a batch of 3: RuntimeError: can't allocate memory: 99 bytes",
        ),
        (
            "make_failing",
            {"at_batch": 1, "error": ""},
            "'mine' failed when it answered for the first time: RuntimeError: no reason given",
        ),
        (
            "make",
            {"depth": 3},
            "'mine' failed when it was built: TypeError: make() got an unexpected keyword argument 'depth'",
        ),
        ("absent", {}, "'mine' cannot be built: module 'tiny_target' has no attribute 'absent'"),
    ],
)
def test_a_model_that_fails_is_told_in_one_sentence(factory: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as raised:
        events_of(task_for(factory, **arguments))
    assert raised.value.message == message
    assert raised.value.remedy
    if "memory" in message:
        assert raised.value.remedy == "measure smaller batches (--batches) or a smaller model"


def test_a_device_that_runs_behind_is_waited_for_after_every_call() -> None:
    log: list[str] = []
    device = Device(
        name="cuda",
        synchronize=lambda: log.append("wait"),
        peak_memory_bytes=host_peak_memory_bytes,
        gemm_size=8,
        moved_bytes=8,
    )
    call = device.finishing(lambda: log.append("call"))
    call()
    call()
    assert log == ["call", "wait"] * 2


def test_every_device_that_can_be_placed_can_be_measured() -> None:
    assert set(DEVICES) == set(PLACEMENTS)


def test_the_reference_kernel_multiplies_and_moves_the_same_numbers_every_time() -> None:
    assert reference_kernel("cpu", 8, 64)() is None
