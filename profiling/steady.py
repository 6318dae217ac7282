"""Answering one batch size without a pause, in a measuring process, until the process is ended.

Calls are told in packets with the system-wide time of each one's end, so that a listener can count the calls of
several processes within one window.
"""

import time

import torch

from ttamer.profiling.clock import time_calls
from ttamer.profiling.devices import DEVICES
from ttamer.profiling.session import Emit, clear_failures, load_target, without_garbage_collection
from ttamer.profiling.task import Task
from ttamer.profiling.warming import WHOLE_MODEL, warm_up

PACKET_S = 0.2  # telling takes tens of microseconds: a packet of this length hides it


def run_steadily(task: Task, emit: Emit) -> None:
    """Run the whole model on one batch size until this process is ended. Raises InputError if it cannot be run."""
    torch.manual_seed(0)
    torch.set_flush_denormal(True)  # as in `run_task`
    ((batch, _),) = task.groups
    with torch.inference_mode():
        loaded = load_target(task)
        device, example = DEVICES[task.device], loaded.target.example(batch)
        call = device.finishing(lambda: loaded.target.run_whole(example))
        with clear_failures(task.model, f"it ran a batch of {batch}"), without_garbage_collection():
            warm_up(call, time_calls, WHOLE_MODEL)
            emit("ready")
            while True:
                seconds, ends, clean, start_s = [], [], 0, time.monotonic()
                while time.monotonic() - start_s < PACKET_S:
                    timing = time_calls(call, 1)
                    seconds.append(timing.wall_s)
                    ends.append(time.monotonic())
                    clean += timing.is_clean
                emit("packet", seconds=seconds, ends=ends, clean=clean)
