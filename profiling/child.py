"""Starting a measuring process and listening to it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import ttamer
from ttamer.profiles.allocation import KEEP_MEMORY
from ttamer.profiling.task import Task

THREAD_COUNTS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
# Each of these pins threads on import and so undoes the binding.
PINNING = ("OMP_PROC_BIND", "OMP_PLACES", "KMP_AFFINITY", "GOMP_CPU_AFFINITY")


class RunningWorker(Protocol):
    """A measuring process as the sweep sees it."""

    def events(self) -> Iterator[Mapping[str, Any]]:
        """Its events in order, until it ends."""
        ...

    def kill(self) -> None:
        """End it at once; harmless when it has ended. May be called from a signal handler."""
        ...

    def ending(self) -> str | None:
        """After the events: why it ended before its task, None if it ended well."""
        ...


StartWorker = Callable[[Task], RunningWorker]


class Worker:
    """A fresh Python process that measures one task.

    It has a session of its own: the terminal's Ctrl-C reaches the parent alone, and a scheduler that
    shares time between sessions gives it a share of its own.
    """

    def __init__(self, task: Task) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "ttamer.profiling.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=child_environment(os.environ, task.threads),
            start_new_session=True,
        )
        self._killed = False
        self._send(task)

    def _send(self, task: Task) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(task.to_json().encode() + b"\n")
            self._process.stdin.flush()  # stays open: the child leaves when it closes
        except BrokenPipeError:
            pass  # it died at once; `ending` says how

    def events(self) -> Iterator[Mapping[str, Any]]:
        """Its events in order, until it ends; a line torn by its death is no event."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.endswith(b"\n"):
                yield json.loads(line)

    def kill(self) -> None:
        """End it at once."""
        self._killed = True
        self._process.kill()

    def ending(self) -> str | None:
        """Why it ended before its task: killed, or the last line it complained with."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        for pipe in (self._process.stdin, self._process.stdout):
            pipe.close()
        code = self._process.wait()
        with self._stderr as file:
            file.seek(0)
            complaint = file.read().decode(errors="replace").strip()
        return None if code == 0 else describe_ending(code, complaint)


def start_worker(task: Task) -> RunningWorker:
    """A measuring process, started."""
    return Worker(task)


def child_environment(base: Mapping[str, str], threads: int) -> dict[str, str]:
    """The environment of a measuring process: thread counts set, pinning unset, memory kept, this ttamer importable."""
    environment = {name: value for name, value in base.items() if name not in PINNING}
    environment |= dict.fromkeys(THREAD_COUNTS, str(threads)) | KEEP_MEMORY
    path = [str(package_root()), *filter(None, [base.get("PYTHONPATH")])]
    return environment | {"PYTHONPATH": os.pathsep.join(path), "TOKENIZERS_PARALLELISM": "false"}


def package_root() -> Path:
    """The folder that contains the ttamer package: a checkout or site-packages."""
    return Path(ttamer.__file__).resolve().parent.parent


def describe_ending(code: int, complaint: str) -> str:
    """One sentence on how a process ended before its task.

    >>> describe_ending(-9, "")
    'its process was killed by SIGKILL, probably for want of memory'
    >>> describe_ending(1, "Traceback ...\\nOSError: no such file")
    'its process ended with code 1: OSError: no such file'
    """
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        likely = ", probably for want of memory" if name == "SIGKILL" else ""
        return f"its process was killed by {name}{likely}"
    last = complaint.splitlines()[-1:] or ["it said nothing"]
    return f"its process ended with code {code}: {last[0]}"
