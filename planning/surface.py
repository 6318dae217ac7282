"""Latency surfaces: seconds of a batch as a function of its size and of the cores, between the measured points.

l(b, c) = g·b/c + d·b + e/c + h: the work that cores share and the work that they do not, each by request and by
batch. Source of the form: Razavi et al., Sponge, EuroMLSys 2024. With non-negative coefficients it is positive
everywhere, grows with the batch and falls with the cores; an unconstrained fit may promise negative seconds.

Axes: N measured points, F the four features of the form.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ttamer.profiles.errors import InputError

FEWEST_POINTS = 6  # two more than coefficients, so that leaving one out still leaves a fit with a residual
MOST_ROUNDS = 1000  # of the active-set method; it needs a handful for four coefficients
NEGLIGIBLE = 1e-12  # share of the target's length below which a gain is rounding
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """A non-negative fit with its errors and the grid it holds on.

    mean_error: mean of |predicted − measured| / measured over the points (MAPE), as a fraction.
    bound_factor: the largest measured / predicted of any point by a fit without that point, and at least 1;
    seconds times this cover every measured point even where the surface had not seen it.
    """

    coefficients: Coefficients
    mean_error: float
    bound_factor: float
    batches: tuple[int, ...]
    cores: tuple[int, ...]

    def latency_s(self, batch: int, cores: int) -> float:
        """Seconds of a batch. Raises InputError outside the measured grid."""
        self._refuse_outside(batch, cores)
        return float(self.coefficients.latency(batch, cores))

    def bound_s(self, batch: int, cores: int) -> float:
        """Seconds that cover what was measured, left-out points included. Raises InputError outside the grid."""
        return self.bound_factor * self.latency_s(batch, cores)

    def _refuse_outside(self, batch: int, cores: int) -> None:
        for what, value, known in (("batch", batch, self.batches), ("cores", cores, self.cores)):
            if not known[0] <= value <= known[-1]:
                raise InputError(
                    f"{what} {value} lies outside the measured {known[0]}..{known[-1]}: a surface does not extrapolate",
                    remedy="measure there",
                )


def fit_surface(batch_N: Sequence[int], cores_N: Sequence[int], latency_N: Sequence[float]) -> Surface:
    """The surface through measured points whose relative errors are smallest in the square, coefficients ≥ 0.

    Raises InputError on fewer than FEWEST_POINTS points, on points of a single batch size or core count, and on
    latencies that are not finite and above zero.
    """
    features_NF, seconds_N = _checked(batch_N, cores_N, latency_N)
    if len(seconds_N) < FEWEST_POINTS or len(set(batch_N)) < 2 or len(set(cores_N)) < 2:
        raise InputError(
            f"{len(seconds_N)} points at {len(set(batch_N))} batch sizes and {len(set(cores_N))} core counts "
            "make no surface",
            remedy=f"measure at least {FEWEST_POINTS} points at 2 batch sizes and 2 core counts",
        )
    relative_NF, ones_N = features_NF / seconds_N[:, None], np.ones(len(seconds_N))
    fitted_F = non_negative_least_squares(relative_NF, ones_N)
    errors_N = np.abs(relative_NF @ fitted_F - 1)
    unseen = [_unseen_ratio(relative_NF, place) for place in range(len(seconds_N))]
    return Surface(
        coefficients=_named(fitted_F),
        mean_error=float(errors_N.mean()),
        bound_factor=max(1.0, *unseen),
        batches=tuple(sorted({int(batch) for batch in batch_N})),
        cores=tuple(sorted({int(cores) for cores in cores_N})),
    )


def fit_least_squares(
    batch_N: Sequence[float], cores_N: Sequence[float], latency_N: Sequence[float]
) -> Coefficients:  # fmt: skip
    """Ordinary least squares without constraints, as Sponge fits: coefficients and predictions may be negative.

    Kept to reproduce published numbers; plans use `fit_surface`. Raises InputError on latencies not above zero.
    """
    features_NF, latency = _checked(batch_N, cores_N, latency_N)
    fitted_F = np.linalg.lstsq(features_NF, latency, rcond=None)[0]
    return _named(np.asarray(fitted_F, dtype=np.float64))


def non_negative_least_squares(matrix_NF: ArrayLike, target_N: ArrayLike) -> Floats:
    """The x ≥ 0 with the least |matrix · x − target|.

    Source: Lawson & Hanson, Solving Least Squares Problems (1974), ch. 23.

    >>> [round(float(x), 9) for x in non_negative_least_squares([[1.0, 0.0], [0.0, 1.0]], [2.0, -3.0])]
    [2.0, 0.0]
    """
    given_NF, target = np.asarray(matrix_NF, dtype=float), np.asarray(target_N, dtype=float)
    norms_F = np.linalg.norm(given_NF, axis=0)
    scales_F = np.where(norms_F > 0, norms_F, 1.0)  # columns of one length make one tolerance fit all
    matrix = given_NF / scales_F
    x_F, free_F = np.zeros(matrix.shape[1]), np.zeros(matrix.shape[1], dtype=bool)
    tolerance = NEGLIGIBLE * float(np.linalg.norm(target))
    for _ in range(MOST_ROUNDS):
        gain_F = np.where(free_F, -np.inf, matrix.T @ (target - matrix @ x_F))
        entering = int(gain_F.argmax())
        if free_F.all() or gain_F[entering] <= tolerance:
            return np.asarray(x_F / scales_F)
        free_F[entering] = True
        x_F, free_F = _restored(matrix, target, x_F, free_F)
    raise InputError("the latencies are too ill-conditioned to be fitted", remedy="scale them or leave some out")


def _restored(
    matrix: Floats, target: Floats, x_F: Floats, free_F: NDArray[np.bool_]
) -> tuple[Floats, NDArray[np.bool_]]:
    """The least squares over the free unknowns, freeing fewer until none is negative."""
    while True:
        wanted_F = np.zeros_like(x_F)
        wanted_F[free_F] = np.linalg.lstsq(matrix[:, free_F], target, rcond=None)[0]
        blocked_F = free_F & (wanted_F <= 0)
        if not blocked_F.any():
            return wanted_F, free_F
        step = float((x_F[blocked_F] / (x_F[blocked_F] - wanted_F[blocked_F])).min())
        x_F = x_F + step * (wanted_F - x_F)
        free_F = free_F & (x_F > np.finfo(float).eps)
        x_F = np.where(free_F, x_F, 0.0)


def _unseen_ratio(relative_NF: Floats, place: int) -> float:
    """Measured / predicted of a point, by a fit of the others."""
    others_NF = np.delete(relative_NF, place, axis=0)
    predicted = float(relative_NF[place] @ non_negative_least_squares(others_NF, np.ones(len(others_NF))))
    return 1 / predicted


def _checked(batch_N: Sequence[float], cores_N: Sequence[float], latency_N: Sequence[float]) -> tuple[Floats, Floats]:
    b, c, latency = (np.asarray(values, dtype=float) for values in (batch_N, cores_N, latency_N))
    if not len(b) == len(c) == len(latency) or not len(b):
        raise InputError(f"{len(b)} batches, {len(c)} core counts and {len(latency)} latencies are no points")
    for what, values in (("batches", b), ("core counts", c), ("latencies", latency)):
        if not np.isfinite(values).all() or (values <= 0).any():
            raise InputError(f"{what} must be finite and above zero", remedy="leave such points out")
    return np.stack([b / c, b, 1 / c, np.ones_like(b)], axis=1), latency


def _named(fitted_F: Floats) -> Coefficients:
    g, d, e, h = (float(one) for one in fitted_F)
    return Coefficients(g=g, d=d, e=e, h=h)
