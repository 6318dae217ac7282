"""Sponge's latency curve l(b, c) = g·b/c + d·b + e/c + h as it was published: for its numbers, not for plans.

Source: Razavi et al., Sponge, EuroMLSys 2024. Plans use the non-negative surfaces of `ttamer.profiles.surface`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ttamer.profiles.surface import FORMS, checked_points

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficients:
    """The coefficients of l(b, c) = g·b/c + d·b + e/c + h, in the unit of the latencies they were fitted to."""

    g: float
    d: float
    e: float
    h: float

    def latency(self, batch: ArrayLike, cores: ArrayLike) -> Floats:
        """The form at batches and cores of any common shape, in the unit of the fit."""
        b, c = np.asarray(batch, dtype=float), np.asarray(cores, dtype=float)
        return np.asarray(self.g * b / c + self.d * b + self.e / c + self.h)


def fit_least_squares(
    batch_N: Sequence[float], cores_N: Sequence[float], latency_N: Sequence[float]
) -> Coefficients:  # fmt: skip
    """Ordinary least squares without constraints, as Sponge fits: coefficients and predictions may be negative.

    Raises InputError on latencies not above zero.
    """
    b, c, latency = checked_points(batch_N, cores_N, latency_N)
    fitted_F = np.linalg.lstsq(np.stack(FORMS["sponge"](b, c), axis=1), latency, rcond=None)[0]
    g, d, e, h = (float(one) for one in fitted_F)
    return Coefficients(g=g, d=d, e=e, h=h)
