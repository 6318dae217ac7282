"""A CSV file with a row a sample and a group of columns for every exit, numbered from 1.

conf_branch_1, then infered_class_branch_1 (or inferred_class_, predicted_class_, prediction_) or correct_branch_1, and
so on; the label in target or label. Files that say only whether an answer is correct get the label 1 and the answers 1
for right and 0 for wrong: accuracy is theirs, agreement of two wrong answers is not known.

Axes: N samples, K exits.
"""

from pathlib import Path

import numpy as np

from ttamer.exits.record_importers.imported import Imported, as_classes, as_numbers, read_columns
from ttamer.profiles.errors import InputError

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
    elif all(f"correct_branch_{k}" in columns for k in exits):
        prefix, label_N = "correct_branch_", np.ones(len(confidence_NK), dtype=np.int64)
    else:
        raise InputError(
            f"{path} does not say what its exits answered",
            remedy=f"it needs {ANSWERS[0]}K with {LABELS[0]}, or correct_branch_K, for every exit K",
        )
    answers = [_truths(columns[f"{prefix}{k}"], f"{path}: {prefix}{k}") for k in exits]
    return Imported(
        model=path.stem,
        dataset=path.stem,
        label_N=label_N,
        prediction_NK=np.stack(answers, axis=1),
        confidence_NK=confidence_NK,
    )


def _truths(values: list[str], what: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Class numbers, or words of truth as 1 and 0."""
    words = {"true": "1", "false": "0"}
    return np.asarray(as_classes([words.get(value.strip().lower(), value) for value in values], what))
