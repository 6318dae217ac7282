"""Records that others wrote, as a model of a profile: on its shelf, with costs that were given rather than measured.

Axes: K exits.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from ttamer.exits.costs import ExitCosts
from ttamer.exits.given_costs import GivenCosts
from ttamer.exits.record_sources import RecordSource
from ttamer.profiles.errors import InputError
from ttamer.profiles.intervals import wilson_interval
from ttamer.profiles.profile import GIVEN, WHOLE, AccuracyRow, LatencyPoint, Machine, ModelSpec, PointKey, Profile
from ttamer.profiles.provenance import Provenance
from ttamer.profiles.records import ExitRecords
from ttamer.profiles.samples import Samples
from ttamer.profiles.shelf import read_profile, records_path, write_profile

IMPORTED = "imported"
SHORTEST_S = 1e-9  # a profile holds no time of nothing


def shelve(
    folder: Path, name: str, source: RecordSource, given: GivenCosts, *, file: Path, provenance: Provenance
) -> Profile:
    """Write the records and a profile with the given costs to a folder, beside models imported there before.

    name: of the profile where it is new. file: where the records come from. Raises InputError if the folder holds
    measured models or one of this name.
    """
    base = _base(folder, name, source.model, file)
    for split, records in source.splits.items():
        replace(records, provenance=provenance).write(records_path(folder, source.model, split))
    spec = _spec(source, file)
    profile = replace(
        base,
        models={**base.models, spec.name: spec},
        latency=(*base.latency, *_points(spec, given.costs)),
        accuracy=(*base.accuracy, *(row for records in source.splits.values() for row in _accuracy(records))),
        settings={**base.settings, "costs": {**base.settings.get("costs", {}), spec.name: given.words}},
        provenance=provenance,
    )
    return write_profile(folder, profile)


def _base(folder: Path, name: str, model: str, file: Path) -> Profile:
    if not (folder / "profile.yaml").is_file():
        if (folder / "journal.jsonl").exists():
            raise InputError(f"{folder} holds an unfinished profile", remedy="import under another name (-p NAME)")
        machine = Machine(fingerprint=IMPORTED, facts={"imported_from": file.name})
        return Profile(name=name, machine=machine, models={}, latency=())
    known = read_profile(folder)
    if known.machine.fingerprint != IMPORTED or known.imported:
        raise InputError(
            f"{folder} holds a profile already, and its times are not comparable with costs that were given",
            remedy="import under another name (-p NAME)",
        )
    if model in known.models:
        raise InputError(
            f"{folder} holds {model!r} already, and an import overwrites nothing",
            remedy="give the model or the profile another name, or remove that folder first",
        )
    return known


def _spec(source: RecordSource, file: Path) -> ModelSpec:
    classes = np.unique(np.concatenate([np.unique(records.label_N) for records in source.splits.values()]))
    return ModelSpec(
        name=source.model, family=IMPORTED, classes=len(classes), input_shape=(), exits=source.exits, head=IMPORTED,
        weights=IMPORTED, source=file.name,
    )  # fmt: skip


def _points(spec: ModelSpec, costs: ExitCosts) -> list[LatencyPoint]:
    """A point for each stage, each head and the whole at batch 1: the cost itself, the only sample there is."""
    stages, heads = costs.stage_s_K.tolist(), costs.head_s_K.tolist()
    parts = [("stage", k, seconds) for k, seconds in enumerate(stages)]
    parts += [("head", k, seconds) for k, seconds in enumerate(heads)]
    parts.append(("whole", WHOLE, sum(stages) + heads[-1]))
    return [
        LatencyPoint(
            key=PointKey(model=spec.name, part=part, exit=exit, device="cpu", dtype="float32", batch=1, cores=1),
            samples=Samples([max(seconds, SHORTEST_S)]),
            peak_memory_bytes=0,
            load_time_s=0.0,
            verdict=GIVEN,
            spec_digest=spec.digest(),
        )
        for part, exit, seconds in parts
    ]


def _accuracy(records: ExitRecords) -> list[AccuracyRow]:
    rows = []
    for exit, right in enumerate(records.correct_NK().sum(axis=0).tolist()):
        low, high = wilson_interval(right, records.samples)
        rows.append(AccuracyRow(
            model=records.model, exit=exit, dataset=records.dataset, split=records.split,
            accuracy=right / records.samples, low=low, high=high, samples=records.samples, source=IMPORTED,
        ))  # fmt: skip
    return rows
