"""The journal of a running sweep: one JSON line per finished visit of a point, on disk before the next is begun.

Line 1 names the machine. A `spec` line says what a model is, a `visit` line what one process measured of one point, a
`spent` line where its time went, a `failed` line what could not be measured. A last line that a crash tore is dropped;
what it held is measured again. Lines of whole points, as version 1 wrote them, are of another protocol and skipped.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ttamer.profiles.errors import DocumentError, InputError
from ttamer.profiles.profile import ModelSpec
from ttamer.profiling.visits import Visit

if sys.platform != "win32":
    import fcntl

VERSION = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredModel:
    """What a measuring process said of the model it loaded; facts are its libraries' versions."""

    spec: ModelSpec
    identity: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A group that could not be measured, and why; batch is None if the model could not even be loaded."""

    model: str
    cores: int
    batch: int | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalContents:
    """What an unfinished sweep has left behind.

    spent_s: seconds by what they went into. size_bytes: of the file's whole lines.
    """

    machine: str | None = None
    models: Mapping[str, MeasuredModel] = field(default_factory=dict)
    visits: tuple[Visit, ...] = ()
    failed: tuple[Failed, ...] = ()
    spent_s: Mapping[str, float] = field(default_factory=dict)
    size_bytes: int = 0

    def require_machine(self, path: Path, fingerprint: str) -> None:
        """Raise DocumentError if another machine began the journal."""
        if self.machine not in (None, fingerprint):
            raise DocumentError(
                f"{path} was begun on machine {self.machine}; this is {fingerprint}",
                remedy="finish it there, or measure under another name: --profile NAME",
            )


def read_journal(path: Path) -> JournalContents:
    """What is in a journal; nothing if there is none.

    Raises DocumentError if a line other than a torn last one is damaged, or a newer ttamer wrote it.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return JournalContents()
    except OSError as error:
        raise DocumentError(f"{path} cannot be read: {error.strerror}", remedy="check the path") from None
    reading = _Reading(path)
    for number, line in enumerate(lines := content.splitlines(keepends=True), start=1):
        if not line.endswith(b"\n"):
            break
        try:
            reading.take(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError, InputError) as error:
            if isinstance(error, DocumentError):
                raise
            if number == len(lines):
                break  # a crash of the machine may leave a whole line of garbage at the end
            raise DocumentError(
                f"line {number} of {path} is damaged: {error}",
                remedy="delete that line to measure its point again, or delete the file to begin anew",
            ) from None
        reading.size_bytes += len(line)
    return reading.contents()


class _Reading:
    """A journal being read, entry by entry."""

    def __init__(self, path: Path) -> None:
        self.size_bytes = 0
        self._path = path
        self._machine: str | None = None
        self._models: dict[str, MeasuredModel] = {}
        self._visits: list[Visit] = []
        self._failed: list[Failed] = []
        self._spent_s: Counter[str] = Counter()

    def take(self, entry: Mapping[str, Any]) -> None:
        match entry["kind"]:
            case "sweep":
                self._machine = _machine_of(entry, self._path)
            case "spec":
                spec = ModelSpec(**entry["spec"])
                self._models[spec.name] = MeasuredModel(spec=spec, identity=entry["identity"], facts=entry["facts"])
            case "visit":
                self._visits.append(Visit.from_row(entry["row"]))
            case "spent":
                self._spent_s.update({name: float(seconds) for name, seconds in entry["seconds"].items()})
            case "failed":
                self._failed.append(Failed(**entry["group"]))
            case "point":
                entry["row"]
            case other:
                raise ValueError(f"unknown kind {other!r}")

    def contents(self) -> JournalContents:
        return JournalContents(
            machine=self._machine,
            models=self._models,
            visits=tuple(self._visits),
            failed=tuple(self._failed),
            spent_s=dict(self._spent_s),
            size_bytes=self.size_bytes,
        )


class Journal:
    """A journal open for appending, locked against a second sweep of the same profile.

    Raises DocumentError if it cannot be opened, is in use, is damaged, or belongs to another machine.
    """

    def __init__(self, path: Path, machine: str) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise DocumentError(f"{path} cannot be written: {error.strerror}", remedy="choose another folder") from None
        try:
            self._lock()
            self.contents = read_journal(path)
            self.contents.require_machine(path, machine)
            self._size_bytes = self.contents.size_bytes
            os.ftruncate(self._descriptor, self._size_bytes)
            if self.contents.machine is None:
                self._append({"kind": "sweep", "version": VERSION, "machine": machine})
        except DocumentError:
            self.close()
            raise

    def append_model(self, model: MeasuredModel) -> None:
        """Write down what a model is."""
        self._append({"kind": "spec", "identity": model.identity, "spec": asdict(model.spec), "facts": model.facts})

    def append_visit(self, visit: Visit) -> None:
        """Write down a finished visit; it is on disk when this returns."""
        self._append({"kind": "visit", "row": visit.to_row()})

    def append_spent(self, spent_s: Mapping[str, float]) -> None:
        """Write down where time went."""
        self._append({"kind": "spent", "seconds": dict(spent_s)})

    def append_failure(self, failed: Failed) -> None:
        """Write down what could not be measured."""
        self._append({"kind": "failed", "group": asdict(failed)})

    def remove(self) -> None:
        """Delete the file, its points being in the profile, and the folder if nothing was worth keeping."""
        self.path.unlink(missing_ok=True)
        if not any(self.path.parent.iterdir()):
            self.path.parent.rmdir()

    def close(self) -> None:
        """Close the file and give up the lock."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _append(self, entry: Mapping[str, Any]) -> None:
        line = json.dumps(entry).encode() + b"\n"
        try:
            written = 0
            while written < len(line):
                written += os.write(self._descriptor, line[written:])
            os.fsync(self._descriptor)
        except OSError as error:
            os.ftruncate(self._descriptor, self._size_bytes)  # a torn line must not meet the next one
            raise DocumentError(
                f"{self.path} cannot be written: {error.strerror}; the points finished before are kept",
                remedy="free some space and run the same command again",
            ) from None
        self._size_bytes += len(line)

    def _lock(self) -> None:
        if sys.platform == "win32":  # pragma: no cover - it has no file locks of this kind
            return
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DocumentError(
                f"another sweep is writing {self.path}", remedy="wait for it, or measure under another --profile NAME"
            ) from None


def _machine_of(entry: Mapping[str, Any], path: Path) -> str:
    if entry["version"] > VERSION:
        raise DocumentError(
            f"{path} has version {entry['version']}; this ttamer reads up to {VERSION}", remedy="install a newer ttamer"
        )
    return str(entry["machine"])
