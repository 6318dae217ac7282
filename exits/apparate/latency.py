"""What an answer takes when ramps are active: the trunk up to its ramp and every active ramp on the way.

Axes: K exits, the last is the full model; R active ramps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Floats


@dataclass(frozen=True, slots=True, eq=False)
class RampLatency:
    """Seconds of the plain model up to each exit, and seconds of each ramp, at one batch size.

    prefix_s_K[-1]: the whole plain model. ramp_s_K[-1] is not used: the last exit is no ramp.
    Raises InputError where shapes differ, a time is negative or the model takes no time.
    """

    prefix_s_K: Floats
    ramp_s_K: Floats

    def __post_init__(self) -> None:
        if self.prefix_s_K.ndim != 1 or self.prefix_s_K.shape != self.ramp_s_K.shape:
            raise InputError(f"{self.prefix_s_K.shape} prefixes and {self.ramp_s_K.shape} ramps, one each is needed")
        if (np.diff(self.prefix_s_K, prepend=0.0) < 0).any() or (self.ramp_s_K < 0).any():
            raise InputError("a prefix is shorter than the one before it, or a ramp negative", remedy="measure again")
        if not self.prefix_s_K[-1] > 0:
            raise InputError("the model takes no time", remedy="measure its stages")

    @classmethod
    def of_stages(cls, stage_s_K: Floats, head_s_K: Floats) -> Self:
        """The latencies of a staged model; its own classifier, the last head, belongs to the plain model."""
        prefix_s_K = np.cumsum(stage_s_K)
        prefix_s_K[-1] += head_s_K[-1]
        return cls(prefix_s_K, np.append(head_s_K[:-1], 0.0))

    @property
    def exits(self) -> int:
        """K, the full model included."""
        return len(self.prefix_s_K)

    @property
    def plain_s(self) -> float:
        """Seconds of the whole model without a ramp."""
        return float(self.prefix_s_K[-1])

    def answer_s(self, ramps: Sequence[int]) -> list[float]:
        """Seconds until each active ramp has answered and, last, until the model has, after all ramps."""
        ramp_s = [float(self.ramp_s_K[r]) for r in ramps]
        # the sums start anew for each ramp: what is equal in the released code is equal here
        early_s = [float(self.prefix_s_K[r]) + sum(ramp_s[: j + 1]) for j, r in enumerate(ramps)]
        return [*early_s, self.plain_s + sum(ramp_s)]

    def cut_pct(self, exit_share: Sequence[float], answer_s: Sequence[float]) -> float:
        """Mean latency saved against the plain model, in % of it; negative where ramps cost more than they save."""
        mean_s = sum(share * s for share, s in zip(exit_share, answer_s, strict=True))
        return (self.plain_s - mean_s) / self.plain_s * 100

    def tail_overhead(self, ramps: Sequence[int]) -> float:
        """What passing all active ramps adds to the plain model, as a fraction of it."""
        return (self.answer_s(ramps)[-1] - self.plain_s) / self.plain_s

    def latest_ramp(self) -> int:
        """The deepest ramp up to which every ramp alone answers no later than the plain model."""
        latest = 0
        for r in range(self.exits - 1):
            if self.answer_s([r])[0] > self.plain_s:
                break
            latest = r
        return latest


def at_batch(latencies: Mapping[int, RampLatency], batch: int) -> RampLatency:
    """The latencies at the smallest measured batch that holds this one, at the largest if none does."""
    sizes = [size for size in latencies if size >= batch]
    return latencies[min(sizes) if sizes else max(latencies)]
