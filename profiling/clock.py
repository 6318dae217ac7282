"""Timing calls of this process: wall time beside what the process and its threads really got."""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

CLEAN_SHARE = 0.95  # a sample whose threads ran at least this share of the wall time lost nothing
THREADS = Path("/proc/self/task")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One timed sample of `loops` calls in a row, undivided.

    cpu_s counts all threads of the process, thread_s the calling one; preemptions are involuntary switches.
    waited_s: how long threads of the process, summed over them, were ready to run and had no core; None where the
    system does not say. middle_s: when the sample was half done, on the clock of `time.perf_counter`.
    """

    wall_s: float
    cpu_s: float
    thread_s: float
    preemptions: int
    loops: int = 1
    waited_s: float | None = None
    middle_s: float = 0.0

    def call_s(self) -> float:
        """Wall seconds of one call."""
        return self.wall_s / self.loops

    @property
    def is_clean(self) -> bool:
        """Whether neither the calling thread nor one it works with was kept waiting for its core."""
        return self.thread_s >= CLEAN_SHARE * self.wall_s and (self.waited_s or 0.0) <= (1 - CLEAN_SHARE) * self.wall_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What this process has used so far: CPU seconds of all threads and of the calling one, involuntary switches.

    waited_s: for a core, over all threads; None where the system does not say. threads: those there are.
    """

    at_s: float
    cpu_s: float
    thread_s: float
    preemptions: int
    threads: int = 1
    waited_s: float | None = None


TimeCalls = Callable[[Callable[[], object], int], Timing]


def time_calls(call: Callable[[], object], loops: int) -> Timing:
    """The timing of `loops` calls. The wall clock is the innermost, so the others cost it nothing."""
    preemptions = preemptions_of_process()
    cpu_ns = time.process_time_ns()
    thread_ns = time.thread_time_ns()
    start_ns = time.perf_counter_ns()
    for _ in range(loops):
        call()
    end_ns = time.perf_counter_ns()
    thread_ns = time.thread_time_ns() - thread_ns
    cpu_ns = time.process_time_ns() - cpu_ns
    return Timing(
        wall_s=max(end_ns - start_ns, 1) / 1e9,
        cpu_s=cpu_ns / 1e9,
        thread_s=thread_ns / 1e9,
        preemptions=preemptions_of_process() - preemptions,
        loops=loops,
        middle_s=(start_ns + end_ns) / 2e9,
    )


class WaitingClock:
    """Times calls and says how long threads waited for a core meanwhile, by the scheduler's own account.

    The calling thread's CPU time alone misses a partner thread that is held up while the caller spins.
    Reads the threads that exist when it is entered: warm up before. Source: Linux, sched-stats (schedstat, field 2).
    """

    def __init__(self, threads: Path = THREADS, time_calls: TimeCalls = time_calls) -> None:
        self._threads, self._time_calls = threads, time_calls
        self._files: list[int] = []

    def time_calls(self, call: Callable[[], object], loops: int) -> Timing:
        """As the function of this name, with waited_s where the system says it."""
        before_s = self.waited_s()
        timing = self._time_calls(call, loops)
        after_s = self.waited_s()
        return timing if before_s is None or after_s is None else replace(timing, waited_s=after_s - before_s)

    def waited_s(self) -> float | None:
        """Seconds for which the threads waited for a core so far, summed over them; None where unreadable."""
        try:
            fields = [os.pread(file, 64, 0).split() for file in self._files]
        except OSError:
            return None  # a thread has ended
        waits_ns = [int(field[1]) for field in fields if len(field) == 3]
        return sum(waits_ns) / 1e9 if waits_ns and len(waits_ns) == len(self._files) else None

    def counters(self) -> Counters:
        """What this process has used until now."""
        return Counters(
            at_s=time.perf_counter(),
            cpu_s=time.process_time(),
            thread_s=time.thread_time(),
            preemptions=preemptions_of_process(),
            threads=max(1, len(self._files)),
            waited_s=self.waited_s(),
        )

    def __enter__(self) -> Self:
        try:
            for thread in sorted(self._threads.iterdir()):
                self._files.append(os.open(thread / "schedstat", os.O_RDONLY))
        except OSError:
            self._close()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        for file in self._files:
            os.close(file)
        self._files.clear()


if sys.platform == "win32":  # pragma: no cover

    def preemptions_of_process() -> int:
        """0: Windows does not say how often a process was preempted."""
        return 0

else:
    import resource

    def preemptions_of_process() -> int:
        """How often any thread of this process was preempted so far."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
