"""Timing calls of this process: wall time beside what the process and its main thread really got."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

CLEAN_SHARE = 0.95  # a sample whose main thread ran at least this share of the wall time lost nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One timed sample of `loops` calls in a row, undivided.

    cpu_s counts all threads of the process, thread_s the calling one; preemptions are involuntary switches.
    """

    wall_s: float
    cpu_s: float
    thread_s: float
    preemptions: int
    loops: int = 1

    def call_s(self) -> float:
        """Wall seconds of one call."""
        return self.wall_s / self.loops

    @property
    def is_clean(self) -> bool:
        """Whether the calling thread was never kept waiting for its core."""
        return self.thread_s >= CLEAN_SHARE * self.wall_s


TimeCalls = Callable[[Callable[[], object], int], Timing]


def time_calls(call: Callable[[], object], loops: int) -> Timing:
    """The timing of `loops` calls. The wall clock is the innermost, so the others cost it nothing."""
    preemptions = preemptions_of_process()
    cpu_ns = time.process_time_ns()
    thread_ns = time.thread_time_ns()
    wall_ns = time.perf_counter_ns()
    for _ in range(loops):
        call()
    wall_ns = time.perf_counter_ns() - wall_ns
    thread_ns = time.thread_time_ns() - thread_ns
    cpu_ns = time.process_time_ns() - cpu_ns
    return Timing(
        wall_s=max(wall_ns, 1) / 1e9,
        cpu_s=cpu_ns / 1e9,
        thread_s=thread_ns / 1e9,
        preemptions=preemptions_of_process() - preemptions,
        loops=loops,
    )


if sys.platform == "win32":  # pragma: no cover

    def preemptions_of_process() -> int:
        """0: Windows does not say how often a process was preempted."""
        return 0

else:
    import resource

    def preemptions_of_process() -> int:
        """How often any thread of this process was preempted so far."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
