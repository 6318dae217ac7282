"""A CSV file with a row a sample and a group of columns for every exit, numbered from 1.

conf_branch_1, then infered_class_branch_1 (or inferred_class_, predicted_class_, prediction_) or correct_branch_1, and
so on; the label in target or label. Of files that say only whether an answer is correct the accuracy is known; whether
two wrong answers agree is not.

Axes: N samples, K exits.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ttamer.exits.record_importers.imported import Imported, as_classes, as_numbers, read_columns, truths
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Ints

MOST_EXITS = 200
ANSWERS = ("infered_class_branch_", "inferred_class_branch_", "predicted_class_branch_", "prediction_branch_")
LABELS = ("target", "label")


def read_wide_csv(path: Path) -> Imported:
    """The records in a wide CSV file. Raises InputError where an exit lacks its answer or the answers their label."""
    names = [f"{prefix}{k}?" for prefix in ("conf_branch_", "correct_branch_", *ANSWERS) for k in range(1, MOST_EXITS)]
    columns = read_columns(path, [*names, *(f"{label}?" for label in LABELS)])
    exits = [k for k in range(1, MOST_EXITS) if f"conf_branch_{k}" in columns]
    if exits != list(range(1, len(exits) + 1)) or not exits:
        raise InputError(f"{path} has confidences of the exits {exits}", remedy="number them from conf_branch_1 on")
    confidence_NK = np.stack(
        [as_numbers(columns[f"conf_branch_{k}"], f"{path}: conf_branch_{k}") for k in exits], axis=1
    )
    label = next((name for name in LABELS if name in columns), None)
    prefix = next((prefix for prefix in ANSWERS if all(f"{prefix}{k}" in columns for k in exits)), None)
    if prefix and label:
        label_N = as_classes(columns[label], f"{path}: {label}")
        answers = [_classes(columns[f"{prefix}{k}"], f"{path}: {prefix}{k}") for k in exits]
        prediction_NK = np.stack(answers, axis=1)
    elif all(f"correct_branch_{k}" in columns for k in exits):
        right = [_truths(columns[f"correct_branch_{k}"], f"{path}: correct_branch_{k}") for k in exits]
        label_N, prediction_NK = truths(np.stack(right, axis=1))
    else:
        raise InputError(
            f"{path} does not say what its exits answered",
            remedy=f"it needs {ANSWERS[0]}K with {LABELS[0]}, or correct_branch_K, for every exit K",
        )
    return Imported(
        model=path.stem,
        dataset=path.stem,
        label_N=label_N,
        prediction_NK=prediction_NK,
        confidence_NK=confidence_NK,
    )


def _classes(values: list[str], what: str) -> Ints:
    """Class numbers, or words of truth as 1 and 0."""
    words = {"true": "1", "false": "0"}
    return as_classes([words.get(value.strip().lower(), value) for value in values], what)


def _truths(values: list[str], what: str) -> NDArray[np.bool_]:
    """Whether each answer is right, from words or from 1 and 0. Raises InputError for anything else."""
    words = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
    texts = [value.strip().lower() for value in values]
    unknown = [text for text in texts if text not in words]
    if unknown:
        raise InputError(f"{what} holds {unknown[0]!r}", remedy="allowed: true and false, or 1 and 0")
    return np.array([words[text] for text in texts], dtype=np.bool_)
