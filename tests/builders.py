"""Profiles made up for tests: times follow g·b/c + d·b + e/c + h, noise is seeded, records are plausible."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.synthetic_records import plausible_records
from ttamer.profiles.profile import WHOLE, AccuracyRow, LatencyPoint, Machine, ModelSpec, PointKey, Profile
from ttamer.profiles.samples import Samples
from ttamer.profiles.shelf import records_path, write_profile

MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPlan:
    """A made-up model: seconds of the whole at one request on one core, its exits and its accuracy."""

    name: str
    whole_s: float = 0.010
    exits: int = 4
    accuracy: float | None = 0.9
    dataset: str = "synthetic"
    source: str = "measured"
    head_share: float = 0.02  # of the whole's seconds, for each head


def make_profile(
    models: Sequence[ModelPlan] = (ModelPlan(name="toy"),),
    *,
    batches: Sequence[int] = (1, 2, 4, 8),
    cores: Sequence[int] = (1, 2),
    samples: int = 300,
    noise: float = 0.05,
    seed: int = 0,
    device: str = "cpu",
    verdicts: Mapping[str, str] | None = None,
) -> Profile:
    """A profile in memory. verdicts: of a model's points, `ok` where it says nothing."""
    rng = np.random.default_rng(seed)
    points = [
        _point(model, part, exit, share, device, batch, count, rng.lognormal(0, noise, samples), verdicts or {})
        for model in models
        for part, exit, share in _parts(model)
        for count in cores
        for batch in batches
    ]
    specs = {
        model.name: ModelSpec(
            name=model.name, family="toy", classes=2, input_shape=(3, 8, 8),
            exits=tuple(f"exit{k}" for k in range(model.exits)), head="linear",
        )
        for model in models
    }  # fmt: skip
    rows = tuple(_accuracy(model) for model in models if model.accuracy is not None)
    machine = Machine(fingerprint="made-up", facts={"cores": max(cores)})
    return Profile(name="made-up", machine=machine, models=specs, latency=tuple(points), accuracy=rows)


def make_profile_folder(folder: Path, profile: Profile, recorded: Mapping[str, int], *, samples: int = 600) -> Profile:
    """The profile written to a folder, with records of all splits for the models in `recorded` (name to seed)."""
    written = write_profile(folder, profile)
    for model, seed in recorded.items():
        exits = len(profile.spec(model).exits)
        for place, split in enumerate(("calibration", "validation", "test")):
            records = plausible_records(
                seed + place, samples, exits, split=split, first=place * samples, model=model
            )  # fmt: skip
            records.write(records_path(folder, model, split))
    return written


def _parts(model: ModelPlan) -> list[tuple[str, int, float]]:
    stages = [("stage", k, (1 - model.head_share) / model.exits) for k in range(model.exits)]
    heads = [("head", k, model.head_share) for k in range(model.exits)]
    return [("whole", WHOLE, 1.0), *stages, *heads]


def _point(
    model: ModelPlan, part: str, exit: int, share: float, device: str, batch: int, cores: int,
    noise_N: np.ndarray, verdicts: Mapping[str, str],
) -> LatencyPoint:  # fmt: skip
    seconds = share * model.whole_s * (0.55 * batch / cores + 0.05 * batch + 0.3 / cores + 0.1)
    return LatencyPoint(
        key=PointKey(
            model=model.name, part=part, exit=exit, device=device, dtype="float32", batch=batch, cores=cores
        ),
        samples=Samples((seconds * noise_N).tolist()),
        peak_memory_bytes=200 * MIB + batch * MIB,
        load_time_s=0.5,
        verdict=verdicts.get(model.name, "ok"),
    )  # fmt: skip


def _accuracy(model: ModelPlan) -> AccuracyRow:
    assert model.accuracy is not None
    measured = model.source == "measured"
    return AccuracyRow(
        model=model.name,
        exit=model.exits - 1,
        dataset=model.dataset,
        split="validation",
        accuracy=model.accuracy,
        low=model.accuracy - 0.02 if measured else None,
        high=min(1.0, model.accuracy + 0.02) if measured else None,
        samples=600 if measured else 0,
        source=model.source,
    )
