"""A CSV file with a row for every sample and exit: Sample_ID, Exit, Confidence, Prediction, Label.

Axes: N samples, K exits.
"""

from pathlib import Path

import numpy as np

from ttamer.exits.record_importers.imported import Imported, as_classes, as_numbers, binary, read_columns
from ttamer.profiles.errors import InputError

COLUMNS = ("Sample_ID", "Exit", "Confidence", "Prediction", "Label")


def read_long_csv(path: Path) -> Imported:
    """The records in a long CSV file; exits may be counted from any number, in any order of rows.

    Raises InputError unless every sample has every exit once and one label.
    """
    columns = read_columns(path, COLUMNS)
    sample, exit, prediction, label = (
        as_classes(columns[name], f"{path}: {name}") for name in (*COLUMNS[:2], *COLUMNS[3:])
    )
    samples, row = np.unique(sample, return_inverse=True)
    exits, place = np.unique(exit, return_inverse=True)
    N, K = len(samples), len(exits)
    cells, first, copies = np.unique(row * K + place, return_index=True, return_counts=True)
    if len(cells) < len(sample):
        twice = first[copies > 1].min()
        raise InputError(
            f"{path} has sample {columns['Sample_ID'][twice]} at exit {columns['Exit'][twice]} twice",
            remedy="keep one of the rows",
        )
    if len(sample) != N * K:
        raise InputError(
            f"{path} has {len(sample)} rows for {N} samples and {K} exits", remedy="one row each is needed"
        )
    order = np.lexsort((place, row))
    label_NK = label[order].reshape(N, K)
    if (label_NK != label_NK[:, :1]).any():
        two_ways = int(np.flatnonzero((label_NK != label_NK[:, :1]).any(axis=1))[0])
        raise InputError(
            f"{path} labels sample {samples[two_ways]} in two ways", remedy="give every exit of a sample the same label"
        )
    imported = Imported(
        model=path.parent.name or path.stem,
        dataset=path.stem,
        label_N=label_NK[:, 0],
        prediction_NK=prediction[order].reshape(N, K),
        confidence_NK=as_numbers(columns["Confidence"], f"{path}: Confidence")[order].reshape(N, K),
    )
    two_classes = set(np.unique(label).tolist()) | set(np.unique(prediction).tolist()) <= {0, 1}
    probable = bool(((imported.confidence_NK >= 0) & (imported.confidence_NK <= 1)).all())
    return binary(imported) if two_classes and probable else imported
