"""Ctrl-C in a sweep: once ends it after the group in hand, twice ends it now."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from ttamer.profiling.child import RunningWorker


class Interruption:
    """Listens to SIGINT while a sweep runs; between groups one signal is enough to stop at once.

    Python delivers signals to the main thread alone, so elsewhere it never hears one.
    """

    def __init__(self) -> None:
        self.count = 0
        self._worker: RunningWorker | None = None
        self._in_group = False
        self._before: Any = None

    @property
    def is_requested(self) -> bool:
        """Whether the user asked to stop."""
        return self.count > 0

    def watch(self, worker: RunningWorker | None) -> None:
        """Name the process to end when the user asks."""
        self._worker, self._in_group = worker, False
        self._end_if_due()

    def group(self, *, running: bool) -> None:
        """Say that a group begins or that all its points are on disk."""
        self._in_group = running
        self._end_if_due()

    def on_signal(self, number: int = signal.SIGINT, frame: FrameType | None = None) -> None:
        """What a SIGINT does."""
        self.count += 1
        self._end_if_due()

    def _end_if_due(self) -> None:
        if self._worker and self.count > (1 if self._in_group else 0):
            self._worker.kill()

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self.on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
