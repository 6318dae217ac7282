"""The measuring process: `python -m ttamer.profiling.worker`, one task on stdin, events as JSON lines on stdout.

It binds itself to its CPUs before torch or numpy are imported, because their thread pools are sized and
placed on import; so this file imports the standard library alone, and the rest after binding.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

from ttamer.profiling.task import Task


def main() -> int:
    """Run the task on standard input; 0 if it was done, 3 if the model failed (an event says why)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when an interrupted sweep stops
    emit = _emitter(_private_stdout())
    task = Task.from_json(sys.stdin.readline())
    _leave_with_parent(sys.stdin.fileno())
    bind(task.cpus)
    return _run(task, emit)


def _run(task: Task, emit: Callable[..., None]) -> int:
    import torch

    from ttamer.profiles.errors import InputError
    from ttamer.profiling.session import run_task
    from ttamer.profiling.steady import run_steadily
    from ttamer.profiling.workload import run_workload

    runs = {"parts": run_task, "workload": run_workload, "steady": run_steadily}

    torch.set_num_threads(task.threads)
    torch.set_num_interop_threads(1)
    check_binding(task.cpus, task.threads, torch.get_num_threads(), torch.get_num_interop_threads())
    try:
        runs[task.measure](task, emit)
    except InputError as error:
        emit("failed", message=error.message, remedy=error.remedy)
        return 3
    check_binding(task.cpus, task.threads, torch.get_num_threads(), torch.get_num_interop_threads())
    emit("done")
    return 0


def bind(cpus: Sequence[int]) -> None:
    """Bind this process, and all threads it will start, to the CPUs (a no-op where the system cannot)."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cpus)


def check_binding(cpus: Sequence[int], threads: int, torch_threads: int, between: int = 1) -> None:
    """Raise RuntimeError if a library undid the binding: some pin the main thread when they are imported.

    between: threads that torch runs independent operations on, one where it computes one model at a time.
    """
    bound = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else sorted(cpus)
    if bound != sorted(cpus) or (torch_threads, between) != (threads, 1):
        raise RuntimeError(
            f"bound to CPUs {sorted(cpus)} with {threads} threads within an operation and 1 between them, but running "
            f"on {bound} with {torch_threads} and {between}"
        )


def _private_stdout() -> int:
    """A descriptor for events alone: whatever a model prints goes to stderr instead."""
    private = os.dup(1)
    os.dup2(2, 1)
    return private


def _emitter(descriptor: int) -> Callable[..., None]:
    stream = os.fdopen(descriptor, "w", encoding="utf-8")

    def emit(event: str, **fields: Any) -> None:
        stream.write(json.dumps({"event": event, **fields}) + "\n")
        stream.flush()

    return emit


def _leave_with_parent(descriptor: int) -> None:
    """End this process when its standard input closes, that is, when the parent is gone however it went."""

    def wait() -> None:
        while os.read(descriptor, 1):
            pass
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # everything is told; taking torch apart would cost every process a second
