"""Apparate's layout of confidences and agreement, as an .npz file: conf and acc, K rows of N each.

acc says whether an exit gives the full model's answer, and nothing says what that is. The label therefore stands for
it: accuracy and agreement are one, and wrong answers of different exits are not comparable with each other.
The full model's row may be left out of conf or hold NaN; its confidence is then 1, which no policy acts on.

Axes: N samples, K exits.
"""

import zipfile
from pathlib import Path

import numpy as np

from ttamer.exits.record_importers.imported import Imported, truths
from ttamer.profiles.errors import InputError


def read_apparate_npz(path: Path) -> Imported:
    """The records in an .npz file. Raises InputError where rows are missing, pickled, or the last one disagrees."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            conf_KN, acc_KN = np.asarray(arrays["conf"], dtype=np.float64), np.asarray(arrays["acc"]).astype(np.bool_)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        reason = error.args[0] if isinstance(error, KeyError) else "it is no archive of plain arrays"
        raise InputError(
            f"{path} cannot be read: {reason}", remedy="write plain arrays: np.savez(file, conf=..., acc=...)"
        ) from None
    if conf_KN.ndim == acc_KN.ndim == 2 and len(conf_KN) == len(acc_KN) - 1:
        conf_KN = np.vstack([conf_KN, np.ones((1, conf_KN.shape[1]))])
    if conf_KN.shape != acc_KN.shape or conf_KN.ndim != 2 or not acc_KN.size:
        raise InputError(
            f"{path}: conf {conf_KN.shape} and acc {acc_KN.shape} do not fit", remedy="give K rows of N each"
        )
    if not acc_KN[-1].all():
        raise InputError(f"{path}: the last row of acc is not all true", remedy="the full model agrees with itself")
    conf_KN[-1] = np.where(np.isfinite(conf_KN[-1]), conf_KN[-1], 1.0)
    label_N, prediction_NK = truths(np.ascontiguousarray(acc_KN.T))
    return Imported(
        model=path.stem,
        dataset=path.stem,
        label_N=label_N,
        prediction_NK=prediction_NK,
        confidence_NK=np.ascontiguousarray(conf_KN.T),
    )
