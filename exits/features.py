"""Running data through a frozen backbone once, and keeping what every head reads.

Axes: N samples, K exits, D pooled features of an exit, V classes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ttamer.exits.heads import Head
from ttamer.exits.preparation import Preparation, sized
from ttamer.exits.source import DataSource
from ttamer.exits.staged import StagedModel, State
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Ints

SINGLE_LIMIT_BYTES = 2 * 2**30  # above this the pooled features are kept in half precision
HALF_LARGEST = 65504.0  # the largest finite float16
Array = NDArray[Any]
Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Features:
    """What the heads read, one array (N, D) a head, and the backbone's own logits (N, V), None if it has none."""

    row_N: Ints
    pooled: tuple[Array, ...]
    logits_NV: Array | None

    def take(self, rows: Ints) -> "Features":
        """The features of some of the rows, in the order asked for."""
        order = np.argsort(self.row_N, kind="stable")
        places = order[np.searchsorted(self.row_N, rows, sorter=order)]
        assert (self.row_N[places] == rows).all()
        logits = None if self.logits_NV is None else self.logits_NV[places]
        return Features(rows, tuple(array[places] for array in self.pooled), logits)


def collect(
    model: StagedModel, source: DataSource, rows: Ints, preparation: Preparation, progress: Progress, what: str
) -> Features:
    """The features of these rows in one pass. Raises InputError if they hold NaN or infinity."""
    ordered = preparation.order(source, rows)
    precision = _precision(model, len(rows))
    pooled: list[list[Array]] = [[] for _ in model.heads]
    logits: list[Array] = []
    done = 0
    for batch in sized(ordered, preparation.batch):
        state = tuple(part.to(model.device) for part in preparation.state(source, batch))
        _collect_batch(model, state, pooled, logits, precision)
        done += len(batch)
        progress(what, done / len(ordered))
    features = Features(
        ordered,
        tuple(np.concatenate(parts) for parts in pooled),
        np.concatenate(logits) if logits else None,
    )
    _require_finite(model, features)
    return features


def join(first: Features, second: Features) -> Features:
    """The features of two disjoint sets of rows."""
    logits = None
    if first.logits_NV is not None and second.logits_NV is not None:
        logits = np.concatenate([first.logits_NV, second.logits_NV])
    pooled = tuple(np.concatenate(pair) for pair in zip(first.pooled, second.pooled, strict=True))
    return Features(np.concatenate([first.row_N, second.row_N]), pooled, logits)


def _collect_batch(
    model: StagedModel, state: State, pooled: list[list[Array]], logits: list[Array], precision: type[np.floating[Any]]
) -> None:
    for k in range(model.exits):
        state = model.run_stage(k, state)
        if k < len(model.heads):
            # Half precision would turn a large feature into infinity, and a standardised one needs no such reach.
            pooled_BD = model.pooled(k, state).clamp(-HALF_LARGEST, HALF_LARGEST)
            pooled[k].append(pooled_BD.cpu().numpy().astype(precision))
    if model.backbone.has_classifier:
        with torch.inference_mode():
            logits.append(model.backbone.classify(state).float().cpu().numpy())


def _precision(model: StagedModel, samples: int) -> type[np.floating[Any]]:
    features = sum(head.linear.in_features for head in model.heads if isinstance(head, Head))
    return np.float32 if 4 * features * samples <= SINGLE_LIMIT_BYTES else np.float16


def _require_finite(model: StagedModel, features: Features) -> None:
    arrays = [*features.pooled, *([] if features.logits_NV is None else [features.logits_NV])]
    for k, array in enumerate(arrays):
        if not np.isfinite(array).all():
            raise InputError(
                f"exit {model.spec.exits[k]!r} of {model.spec.name!r} gives NaN or infinity",
                remedy="check the weights and the images or texts",
            )
