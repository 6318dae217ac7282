"""Fitting heads to a frozen backbone, honestly: check the backbone first, calibrate on samples nothing has seen.

Axes: N samples, K exits, D pooled features, V classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from ttamer.exits.calibration import ExitCalibration, fit_temperature, honesty, log_softmax, records_of
from ttamer.exits.catalog import resolve
from ttamer.exits.checkpoints import FittedHeads, backbone_digest, set_heads, write_heads
from ttamer.exits.dense import fit_dense_layers
from ttamer.exits.features import Features, Progress, collect, join
from ttamer.exits.heads import HEADS
from ttamer.exits.linear import Wanted, fit_linear_layers
from ttamer.exits.preparation import prepare
from ttamer.exits.source import HELD_OUT, DataSource
from ttamer.exits.staged import StagedModel
from ttamer.profiles.errors import InputError
from ttamer.profiles.intervals import wilson_interval
from ttamer.profiles.profile import AccuracyRow
from ttamer.profiles.provenance import Provenance, capture
from ttamer.profiles.records import ExitRecords, Floats, Ints
from ttamer.profiles.registry import unknown_name
from ttamer.profiles.shelf import heads_path, records_path

TARGETS = ("label", "teacher", "soft-teacher")
Z_99 = 2.5758293035489004  # two-sided 99 %, normal
PUBLISHED_SLACK = 0.005  # published accuracies are rounded and differ by library version


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneAccuracy:
    """The backbone's own accuracy on the source's own test samples, with its 95 % interval."""

    accuracy: float
    low: float
    high: float
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FitResult:
    """Everything a fit found out. `backbone` is None for a model without a classifier of its own.

    calibration: one an exit, measured on `test`. records: by split, after temperature.
    """

    heads: FittedHeads
    backbone: BackboneAccuracy | None
    calibration: tuple[ExitCalibration, ...]
    records: Mapping[str, ExitRecords]
    accuracy: tuple[AccuracyRow, ...]


def no_progress(what: str, share: float) -> None:
    """Ignore progress."""


def fit_heads(
    model: StagedModel,
    source: DataSource,
    *,
    target: str = "label",
    expect_accuracy: float | None = None,
    resize: bool = False,
    seed: int = 0,
    progress: Progress = no_progress,
) -> FitResult:
    """Fit the model's heads, of the kind it was loaded with, and give them to it.

    target: `label`, `teacher` for the backbone's answers, or `soft-teacher` for its probabilities.
    expect_accuracy: what the backbone must reach on the source's own test samples (within the 99 % interval and half a
    point) before anything is fitted.
    progress: called with what is being done and the share of it done.
    Raises InputError if source and model do not fit, or the backbone misses its expected accuracy.
    """
    _check_target(model, target, expect_accuracy)
    preparation = prepare(model, source, resize=resize)
    source = _matched(model, source)
    own = collect(model, source, source.own_test_N, preparation, progress, "checking the backbone")
    backbone = _backbone_accuracy(own, source)
    if expect_accuracy is not None:
        _require_accuracy(model, source, backbone, expect_accuracy)
    rest = np.setdiff1d(np.flatnonzero(source.split_N != ""), source.own_test_N)
    features = join(own, collect(model, source, rest, preparation, progress, "reading features"))
    heads = _fitted(model, source, features, target, seed, progress)
    return _result(model, source, features, heads, backbone, seed)


def save_fit(folder: Path, result: FitResult) -> None:
    """Write the heads and the records of a fit into a profile's folder."""
    name = result.heads.model
    for split, records in result.records.items():
        records.write(records_path(folder, name, split))
    write_heads(heads_path(folder, name), result.heads)


def _matched(model: StagedModel, source: DataSource) -> DataSource:
    """The source with its labels numbered as the model numbers its classes. Raises InputError if they differ."""
    spec = model.spec
    folder = Path(spec.source)
    names = [str(name) for name in resolve(spec.source).config.get("id2label", {}).values()] if folder.is_dir() else []
    if source.has_named_classes and {n.casefold() for n in names} == {n.casefold() for n in source.classes}:
        source = source.renumbered(names)
    seen = len(source.classes)
    if seen > spec.classes or (source.has_named_classes and seen != spec.classes):
        message = f"{source.name!r} has {seen} classes but {spec.name!r} tells {spec.classes} apart"
        here = ", or train one here (--train-backbone)" if spec.family == "cifar_resnet" else ""
        raise InputError(message, remedy=f"give the weights of a model of {seen} classes{here}")
    return source


def _check_target(model: StagedModel, target: str, expect_accuracy: float | None) -> None:
    if target not in TARGETS:
        raise unknown_name("target", target, TARGETS)
    if not model.backbone.has_classifier and (target != "label" or expect_accuracy is not None):
        message = f"{model.spec.name!r} has no classifier of its own to be checked or imitated"
        raise InputError(message, remedy="fit to the target `label`, without an expected accuracy")


def _backbone_accuracy(features: Features, source: DataSource) -> BackboneAccuracy | None:
    if features.logits_NV is None:
        return None
    right = int((features.logits_NV.argmax(axis=1) == source.label_N[features.row_N]).sum())
    total = len(features.row_N)
    low, high = wilson_interval(right, total)
    return BackboneAccuracy(accuracy=right / total, low=low, high=high, samples=total)


def _require_accuracy(
    model: StagedModel, source: DataSource, backbone: BackboneAccuracy | None, expected: float
) -> None:
    assert backbone is not None
    low, high = wilson_interval(round(backbone.accuracy * backbone.samples), backbone.samples, Z_99)
    if not low - PUBLISHED_SLACK <= expected <= high + PUBLISHED_SLACK:
        raise InputError(
            f"backbone {model.spec.name} measures {backbone.accuracy:.1%} on {source.name} "
            f"({backbone.samples:,} samples) but {expected:.1%} was expected",
            remedy=(
                "its weights are random: give --weights FILE"
                if model.spec.weights == "random"
                else "check the weights, the normalisation and the image format (JPEG copies lose accuracy)"
            ),
        )


def _fitted(
    model: StagedModel, source: DataSource, features: Features, target: str, seed: int, progress: Progress
) -> FittedHeads:
    fit = features.take(source.rows("fit"))
    wanted = _wanted(source, fit, target)
    heads = FittedHeads(
        model=model.spec.name,
        head=model.spec.head,
        classes=model.spec.classes,
        exits=model.spec.exits,
        backbone=backbone_digest(model),
        **_layers(model, fit, wanted, seed, progress),
        temperature_K=(1.0,) * model.exits,
        dataset=source.name,
        target=target,
        seed=seed,
    )
    calibration = features.take(source.rows("calibration"))
    label_N = source.label_N[calibration.row_N]
    temperatures = [fit_temperature(logits_NV, label_N) for logits_NV in exit_logits(heads, calibration)]
    return heads.with_temperatures(temperatures)


def _wanted(source: DataSource, fit: Features, target: str) -> Wanted:
    if target == "label":
        return source.label_N[fit.row_N]
    assert fit.logits_NV is not None
    logits_NV = np.asarray(fit.logits_NV, dtype=np.float64)
    return logits_NV.argmax(axis=1) if target == "teacher" else np.exp(log_softmax(logits_NV))


def _layers(
    model: StagedModel, fit: Features, wanted: Wanted, seed: int, progress: Progress
) -> dict[str, tuple[Tensor, ...]]:
    """The parameters of the heads, by the names that FittedHeads gives them."""
    classes = model.spec.classes
    if not HEADS[model.spec.head].is_dense:
        layers = fit_linear_layers(fit.pooled, wanted, classes, seed=seed, progress=progress)
        return {"weights": tuple(one.weight_VD for one in layers), "biases": tuple(one.bias_V for one in layers)}
    both = fit_dense_layers(
        fit.pooled, wanted, classes, seed=seed, progress=progress, start=model.backbone.pooler()
    )  # fmt: skip
    return {
        "weights": tuple(one.weight_VD for one in both),
        "biases": tuple(one.bias_V for one in both),
        "dense_weights": tuple(one.dense_weight_DD for one in both),
        "dense_biases": tuple(one.dense_bias_D for one in both),
    }


def exit_logits(heads: FittedHeads, features: Features) -> list[Floats]:
    """The logits (N, V) of every exit, before temperature."""
    pooled = [np.asarray(pooled_ND) for pooled_ND in features.pooled]
    for k, (weight, bias) in enumerate(zip(heads.dense_weights, heads.dense_biases, strict=True)):
        pooled[k] = np.tanh(pooled[k] @ weight.numpy().T + bias.numpy())
    pairs = zip(pooled, heads.weights, heads.biases, strict=True)
    logits = [pooled_ND @ weight.numpy().T + bias.numpy() for pooled_ND, weight, bias in pairs]
    own = [] if features.logits_NV is None else [features.logits_NV]
    return [np.asarray(logits_NV, dtype=np.float64) for logits_NV in (*logits, *own)]


def _result(
    model: StagedModel,
    source: DataSource,
    features: Features,
    heads: FittedHeads,
    backbone: BackboneAccuracy | None,
    seed: int,
) -> FitResult:
    provenance = capture(seed=seed, inputs=source.files)
    records: dict[str, ExitRecords] = {}
    calibration: tuple[ExitCalibration, ...] = ()
    for split in HELD_OUT:
        part = features.take(source.rows(split))
        label_N, raw = source.label_N[part.row_N], exit_logits(heads, part)
        records[split] = _records(model, source, heads, raw, part.row_N, split, provenance)
        if split == "test":
            calibration = _calibration(model, heads, raw, label_N)
    set_heads(model, heads)
    rows = tuple(row for split in HELD_OUT for row in accuracy_rows(records[split]))
    return FitResult(heads=heads, backbone=backbone, calibration=calibration, records=records, accuracy=rows)


def _records(
    model: StagedModel,
    source: DataSource,
    heads: FittedHeads,
    raw: list[Floats],
    row_N: Ints,
    split: str,
    provenance: Provenance,
) -> ExitRecords:
    cooled = [logits_NV / t for logits_NV, t in zip(raw, heads.temperature_K, strict=True)]
    return records_of(
        cooled, row_N, source.label_N[row_N], model=model.spec.name, dataset=source.name, split=split,
        provenance=provenance,
    )  # fmt: skip


def _calibration(
    model: StagedModel, heads: FittedHeads, raw: list[Floats], label_N: Ints
) -> tuple[ExitCalibration, ...]:
    return tuple(
        ExitCalibration(
            exit=k,
            name=model.spec.exits[k],
            temperature=t,
            before=honesty(logits_NV, label_N),
            after=honesty(logits_NV / t, label_N),
        )
        for k, (logits_NV, t) in enumerate(zip(raw, heads.temperature_K, strict=True))
    )


def accuracy_rows(records: ExitRecords) -> list[AccuracyRow]:
    """The measured accuracy of every exit on the records' split, with its 95 % interval."""
    rows = []
    for k, right in enumerate(records.correct_NK().sum(axis=0).tolist()):
        low, high = wilson_interval(right, records.samples)
        rows.append(
            AccuracyRow(
                model=records.model, exit=k, dataset=records.dataset, split=records.split,
                accuracy=right / records.samples, low=low, high=high, samples=records.samples, source="measured",
            )
        )  # fmt: skip
    return rows
