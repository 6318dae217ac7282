"""Plausible exit records without a model: harder samples are wrong longer, early exits are weaker and less sure.

Axes: N samples, K exits.
"""

import numpy as np

from ttamer.exits.policies.protocol import ExitCosts
from ttamer.profiles.records import ExitRecords


def plausible_records(
    seed: int, samples: int = 400, exits: int = 6, *, split: str = "test", first: int = 0, model: str = "toy"
) -> ExitRecords:
    """Two-class records whose sample numbers start at `first`; the same seed gives the same records."""
    rng = np.random.default_rng(seed)
    lasting_N1 = rng.normal(size=(samples, 1))  # noise that all exits of a sample share: some stay wrong and sure
    strength_K = np.linspace(0.3, 2.2, exits)
    evidence_NK = strength_K * (1 + 0.9 * lasting_N1) + 0.5 * rng.normal(size=(samples, exits))
    label_N = rng.integers(0, 2, samples)
    confidence_NK = (1 / (1 + np.exp(-1.5 * np.abs(evidence_NK)))).astype(np.float32).astype(np.float64)
    return ExitRecords(
        model=model,
        dataset="synthetic",
        split=split,
        sample_N=np.arange(first, first + samples),
        label_N=label_N,
        prediction_NK=np.where(evidence_NK > 0, label_N[:, None], 1 - label_N[:, None]),
        confidence_NK=confidence_NK,
        margin_NK=2 * confidence_NK - 1,
        entropy_NK=-confidence_NK * np.log(confidence_NK),
    )


def even_costs(exits: int = 6, stage_s: float = 0.001, head_s: float = 0.0001) -> ExitCosts:
    """Equal stages and equal heads."""
    return ExitCosts(np.full(exits, stage_s), np.full(exits, head_s))
