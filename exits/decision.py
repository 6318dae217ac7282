"""What a policy decides about samples, and how to decide about many of them at the speed of the cache.

Axes: N samples, K exits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Floats, Ints

BLOCK = 1 << 15  # samples whose confidences and working arrays fit a core's cache


@dataclass(frozen=True, slots=True)
class Decision:
    """Where each sample stops and which exit answers; answer < stop is recall.

    evaluated_NK: the heads evaluated for each sample, where that depends on the sample; None where every head the
    policy evaluates is evaluated when passed. Raises InputError if an answer lies beyond its stop.
    """

    stop_N: Ints
    answer_N: Ints
    evaluated_NK: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if self.stop_N.shape != self.answer_N.shape or (self.answer_N > self.stop_N).any():
            raise InputError("a decision answers with an exit that was never reached")
        if self.evaluated_NK is not None and len(self.evaluated_NK) != len(self.stop_N):
            raise InputError(f"{len(self.evaluated_NK)} rows of evaluated heads for {len(self.stop_N)} samples")

    def heads_NK(self, heads_K: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The heads evaluated for each sample; heads_K: those the policy evaluates when passed."""
        if self.evaluated_NK is not None:
            return self.evaluated_NK
        return np.asarray(heads_K & (np.arange(len(heads_K)) <= self.stop_N[:, np.newaxis]))


def stages_run(heads_NK: NDArray[np.bool_], starts: Sequence[int] = (0,)) -> NDArray[np.bool_]:
    """The stages that are run where these heads are evaluated: in each model up to the last of its heads.

    heads_NK: with any axes before that of the exits. starts: the first exit of each model of a cascade.
    """
    bounds = (*starts, heads_NK.shape[-1])
    parts = [heads_NK[..., low:high] for low, high in pairwise(bounds)]
    later = [np.logical_or.accumulate(part[..., ::-1], axis=-1)[..., ::-1] for part in parts]
    return np.concatenate(later, axis=-1)


def in_blocks(walk: Callable[[Floats], Decision], confidence_NK: Floats) -> Decision:
    """What a walk over confidences decides, block by block of samples; each sample must be decided by itself."""
    if len(confidence_NK) <= BLOCK:
        return walk(confidence_NK)
    parts = [walk(confidence_NK[start : start + BLOCK]) for start in range(0, len(confidence_NK), BLOCK)]
    evaluated = [part.evaluated_NK for part in parts if part.evaluated_NK is not None]
    return Decision(
        np.concatenate([part.stop_N for part in parts]),
        np.concatenate([part.answer_N for part in parts]),
        np.concatenate(evaluated) if evaluated else None,
    )
