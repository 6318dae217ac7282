"""Two-stage cascades of language models: proxy_pred_true_prob, the small one's P(label = 1), and oracle_pred.

The label is the large model's answer, so the second exit is right by construction and accuracy means agreement with it.
Its confidence is not in the file; it is set to 1, which no policy acts on: nobody leaves behind the last exit.

Source: the data folder of streaming-model-cascades (MIT). Axes: N samples, K = 2 exits.
"""

from pathlib import Path

import numpy as np

from ttamer.exits.record_importers.imported import Imported, as_numbers, binary, read_columns
from ttamer.profiles.errors import InputError

TRUTHS = {"true": 1, "false": 0, "1": 1, "0": 0}


def read_cascade_csv(path: Path) -> Imported:
    """The records of a two-stage cascade. Raises InputError on a probability outside 0..1 or an unknown answer."""
    columns = read_columns(path, ("proxy_pred_true_prob", "oracle_pred"))
    true_N = as_numbers(columns["proxy_pred_true_prob"], f"{path}: proxy_pred_true_prob")
    if (true_N < 0).any() or (true_N > 1).any():
        raise InputError(f"{path}: proxy_pred_true_prob spans {true_N.min()}..{true_N.max()}", remedy="allowed: 0 to 1")
    words = [word.strip().lower() for word in columns["oracle_pred"]]
    unknown = [word for word in words if word not in TRUTHS]
    if unknown:
        raise InputError(f"{path}: oracle_pred is {unknown[0]!r}", remedy="allowed: true and false")
    label_N = np.array([TRUTHS[word] for word in words], dtype=np.int64)
    return binary(
        Imported(
            model=path.stem,
            dataset=path.stem,
            label_N=label_N,
            prediction_NK=np.stack([(true_N >= 0.5).astype(np.int64), label_N], axis=1),
            confidence_NK=np.stack([np.maximum(true_N, 1 - true_N), np.ones(len(label_N))], axis=1),
            exits=("proxy", "oracle"),
            separate=True,
        )
    )
