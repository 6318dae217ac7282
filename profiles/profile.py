"""The profile: what was measured of which models on which machine, and looking it up.

A profile is a folder: `profile.yaml` (machine, models, settings), `latency.parquet` (a row a point),
`accuracy.parquet` (a row an exit and split), `imported.parquet` if numbers came from elsewhere, and beside them what
was fitted: `heads/`, `records/`.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ttamer.profiles.cascade import Numbering, is_cascade, join_specs, members_of
from ttamer.profiles.errors import InputError
from ttamer.profiles.provenance import Provenance
from ttamer.profiles.registry import unknown_name
from ttamer.profiles.samples import Samples

PARTS = ("stage", "head", "whole")
GIVEN = "given"  # by somebody, as a constant that nobody measured
VERDICTS = ("ok", GIVEN, "noisy", "contended", "throttled")
WHOLE = -1  # the exit number of a whole-model point


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """What a model is: enough to build it again and to know whether a point belongs to it.

    input_shape: (channels, height, width) of an image or (tokens,) of a text, without the batch.
    exits: names of the K exits, shallow to deep; the last is the backbone's own classifier.
    weights: `random`, `default`, or the sha256 of the weights file.
    task: the stage of a pipeline that it was imported for, empty for none.
    variant: how it is run beside the usual way, such as ("channels_last",) or ("bf16",).
    """

    name: str
    family: str
    classes: int
    input_shape: tuple[int, ...]
    exits: tuple[str, ...]
    head: str
    weights: str = "random"
    source: str = ""
    task: str = ""
    variant: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("input_shape", "exits", "variant"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def dtype(self) -> str:
        """The number format that it computes in."""
        return "bfloat16" if "bf16" in self.variant else "float32"

    def digest(self) -> str:
        """Short hash of everything that changes what a measured point means."""
        shape = (self.family, self.classes, self.input_shape, self.exits, self.head, self.weights)
        return hashlib.sha256(repr(shape + self.variant).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class PointKey:
    """Which point of the sweep: exit is the stage's or head's number, WHOLE (-1) for the whole model."""

    model: str
    part: str
    exit: int
    device: str
    dtype: str
    batch: int
    cores: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyPoint:
    """One measured point with its raw samples.

    peak_memory_bytes: high-water mark of the measuring process when the point was done.
    load_time_s: seconds from building the model to its first answer, in that process.
    evidence: what the verdict rests on (spread, preemptions, ...), as plain numbers.
    """

    key: PointKey
    samples: Samples
    peak_memory_bytes: int
    load_time_s: float
    verdict: str = "ok"
    evidence: Mapping[str, float] = field(default_factory=dict)
    spec_digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedPoint:
    """A whole model at one batch and core count as somebody else summed it up: numbers without samples.

    latency_s: seconds that a full batch takes to be answered, at `quantile`. throughput_rps: what one replica
    answers with full batches. memory_bytes: None if unknown.
    """

    model: str
    device: str
    cores: int
    batch: int
    latency_s: float
    quantile: float
    throughput_rps: float
    load_time_s: float
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyRow:
    """Accuracy of one exit on one split; `source` says whether it was measured, published or imported.

    exit: number of the exit (the last one is the backbone). The interval is None unless it was measured.
    """

    model: str
    exit: int
    dataset: str
    split: str
    accuracy: float
    low: float | None
    high: float | None
    samples: int
    source: str

    def __post_init__(self) -> None:
        """Raise InputError unless the accuracy is a fraction."""
        if not 0 <= self.accuracy <= 1:
            what = f"accuracy {self.accuracy:g} of {self.model!r} at exit {self.exit}"
            raise InputError(f"{what} lies outside 0 to 1", remedy="measure it anew")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Facts of the machine that measured; None where a fact is unreadable."""

    fingerprint: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Measured latencies and accuracies of models on one machine.

    Where a model is asked for, a cascade of its models may be named too: `resnet20:resnet56` (see cascade.py).
    """

    name: str
    machine: Machine
    models: Mapping[str, ModelSpec]
    latency: tuple[LatencyPoint, ...]
    accuracy: tuple[AccuracyRow, ...] = ()
    imported: tuple[ImportedPoint, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    provenance: Provenance = field(default_factory=Provenance)
    folder: Path | None = None
    _points: dict[PointKey, LatencyPoint] = field(init=False, repr=False, compare=False)
    _batches: dict[tuple[str, str, int, str, int], list[int]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        points = {point.key: point for point in self.latency}
        batches: dict[tuple[str, str, int, str, int], list[int]] = defaultdict(list)
        for key in points:
            batches[key.model, key.part, key.exit, key.device, key.cores].append(key.batch)
        object.__setattr__(self, "_points", points)
        object.__setattr__(self, "_batches", {curve: sorted(set(sizes)) for curve, sizes in batches.items()})

    def spec(self, model: str) -> ModelSpec:
        """The model's specification. Raises InputError that names the nearest model."""
        if model not in self.models and is_cascade(model):
            return join_specs(model, [self.spec(member) for member in members_of(model)])
        if model not in self.models:
            raise unknown_name("model", model, self.models, where=f" in profile {self.name!r}")
        return self.models[model]

    def members(self, model: str) -> tuple[str, ...]:
        """The models of a cascade in order, a single model as itself."""
        return members_of(model) if model not in self.models and is_cascade(model) else (model,)

    def numbering(self, model: str) -> Numbering:
        """How the exits of a cascade's members are numbered through; a single model is one member."""
        return Numbering(tuple(len(self.spec(member).exits) for member in self.members(model)))

    def _owner(self, model: str, part: str, exit: int) -> tuple[str, int]:
        """The model that a part belongs to, and its number there; the whole of a cascade is its last member."""
        members = self.members(model)
        if len(members) == 1 or part == "whole":
            return members[-1], exit
        member, own = self.numbering(model).place(exit)
        return members[member], own

    def settings_of(self, model: str) -> list[tuple[str, int, int]]:
        """Every (device, cores, batch) at which the whole model and all its stages were measured, or imported."""
        members = self.members(model)
        if len(members) > 1:
            own = [set() if self.is_imported(member) else set(self.settings_of(member)) for member in members]
            return sorted(set.intersection(*own))
        exits = range(len(self.spec(model).exits))
        if self.is_imported(model):
            return sorted((p.device, p.cores, p.batch) for p in self.imported if p.model == model)
        whole = {(k.device, k.cores, k.batch) for k in self._points if k.model == model and k.part == "whole"}
        return sorted(
            setting for setting in whole if all(self._has(model, "stage", exit, setting) for exit in exits)
        )  # fmt: skip

    def is_imported(self, model: str) -> bool:
        """Whether the model's numbers are summaries from elsewhere, without samples."""
        return any(point.model == model for point in self.imported)

    def imported_points(self, model: str, device: str) -> list[ImportedPoint]:
        """The imported points of a model on a device, by cores and batch."""
        points = (point for point in self.imported if point.model == model and point.device == device)
        return sorted(points, key=lambda point: (point.cores, point.batch))

    def tasks(self) -> tuple[str, ...]:
        """The stages that models were imported for, in the order of the import."""
        return tuple(dict.fromkeys(spec.task for spec in self.models.values() if spec.task))

    def _has(self, model: str, part: str, exit: int, setting: tuple[str, int, int]) -> bool:
        device, cores, batch = setting
        return batch in self._batches.get((model, part, exit, device, cores), ())

    def point(self, model: str, part: str, exit: int, *, device: str, cores: int, batch: int) -> LatencyPoint:
        """A measured point, of the member it belongs to. Raises InputError if it was not measured."""
        model, exit = self._owner(model, part, exit)
        key = PointKey(
            model=model, part=part, exit=exit, device=device, dtype=self.spec(model).dtype, batch=batch, cores=cores
        )  # fmt: skip
        if key not in self._points:
            raise InputError(
                f"profile {self.name!r} has no {part} {exit} of {model!r} at batch {batch} on {cores} {device} cores",
                remedy=f"measure it: ttamer profile {model}",
            )
        return self._points[key]

    def batches(self, model: str, part: str, exit: int, *, device: str, cores: int) -> list[int]:
        """Measured batch sizes of a part, ascending."""
        owner, own = self._owner(model, part, exit)
        return self._batches.get((owner, part, own, device, cores), [])

    def batches_up_to(self, model: str, part: str, exit: int, *, device: str, cores: int, up_to: int) -> list[int]:
        """Measured batch sizes of a part. Raises InputError unless they reach from 1 to up_to."""
        sizes = self.batches(model, part, exit, device=device, cores=cores)
        if not sizes or up_to > sizes[-1] or sizes[0] > 1:
            raise InputError(
                f"{model!r} ({part} {exit}) was measured at batches {sizes} on {cores} {device} cores, not up to"
                f" {up_to}",
                remedy=f"ttamer profile {model} --batches 1,...,{up_to}",
            )
        return sizes

    def curve_s(
        self, model: str, part: str, exit: int, *, device: str, cores: int, up_to: int, quantile: float | None = None
    ) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Seconds of a part by batch size 0..up_to: the mean, or a quantile, of the measured samples.

        Between measured batches it interpolates; beyond them it refuses (InputError). Batch 0 costs nothing.
        """
        sizes = self.batches_up_to(model, part, exit, device=device, cores=cores, up_to=up_to)
        points = [self.point(model, part, exit, device=device, cores=cores, batch=size) for size in sizes]
        seconds = [p.samples.mean_s() if quantile is None else p.samples.quantile_s(quantile) for p in points]
        return np.interp(np.arange(up_to + 1), [0, *sizes], [0.0, *seconds])

    def digest(self, models: Iterable[str]) -> str:
        """Hash of the specifications and raw timings of the given models: what a plan was made from."""
        hasher = hashlib.sha256()
        names = {member for model in models for member in self.members(model)}
        for model in sorted(names):
            hasher.update(self.spec(model).digest().encode())
        chosen = sorted((p for p in self.latency if p.key.model in names), key=lambda point: repr(point.key))
        for point in chosen:
            hasher.update(repr((point.key, point.samples.seconds)).encode())
        for imported in sorted((p for p in self.imported if p.model in names), key=repr):
            hasher.update(repr(imported).encode())
        return hasher.hexdigest()[:16]

    def accuracy_of(self, model: str, dataset: str | None = None) -> list[AccuracyRow]:
        """Accuracy rows of a model, measured before published, in the order they were written.

        Those of a cascade are its last member's, which answers what no other does.
        """
        *_, last = members = self.members(model)
        rows = [r for r in self.accuracy if r.model == last and dataset in (None, r.dataset)]
        if len(members) > 1:
            start = self.numbering(model).starts[-1]
            rows = [replace(row, model=model, exit=start + row.exit) for row in rows]
        return sorted(rows, key=lambda row: row.source != "measured")

    def require_folder(self) -> Path:
        """The folder the profile was read from; InputError for one that lives in memory only."""
        if self.folder is None:
            raise InputError(f"profile {self.name!r} has no folder", remedy="write it first")
        return self.folder
