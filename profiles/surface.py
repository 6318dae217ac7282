"""Latency surfaces: seconds of a batch as a function of its size and of the cores, between the measured points.

A form is a sum of features of batch b and cores c with non-negative coefficients, so it is positive everywhere; an
unconstrained fit may promise negative seconds. Sponge's is g·b/c + d·b + e/c + h: the work that cores share and the
work that they do not, each by request and by batch. Which form a model gets is decided by points left out.

Axes: N measured points, F the features of a form.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ttamer.profiles.errors import InputError

FEWEST_POINTS = 6  # two more than Sponge's coefficients, so that leaving one out still leaves a fit with a residual
MOST_ROUNDS = 1000  # of the active-set method; it needs a handful for five coefficients
NEGLIGIBLE = 1e-12  # share of the target's length below which a gain is rounding
WORTHWHILE = 0.9  # of Sponge's error: another form must do this much better to be taken
Floats = NDArray[np.float64]
Features = Callable[[Floats, Floats], Sequence[Floats]]

# The first is Sponge's (Razavi et al., EuroMLSys 2024); the others have at most one coefficient more.
FORMS: dict[str, Features] = {
    "sponge": lambda b, c: (b / c, b, 1 / c, np.ones_like(b)),
    "serial": lambda b, c: (b / c, b, np.ones_like(b)),
    "sublinear batch": lambda b, c: (b / c, b, 1 / c, np.ones_like(b), np.sqrt(b) / c),
    "sublinear cores": lambda b, c: (b / c, b, 1 / c, np.ones_like(b), b / np.sqrt(c)),
    "shared memory": lambda b, c: (b / c, b, 1 / c, np.ones_like(b), b * c),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """A non-negative fit with its errors and the grid it holds on.

    form: its name in FORMS. coefficients: of the form's features, seconds. mean_error: mean of
    |predicted − measured| / measured over the points (MAPE), as a fraction; unseen_error: the same with every point
    predicted by a fit without it. bound_factor: the largest measured / predicted of such points, and at least 1:
    seconds times this cover every measured point even where the surface had not seen it.
    """

    form: str
    coefficients: tuple[float, ...]
    mean_error: float
    unseen_error: float
    bound_factor: float
    batches: tuple[int, ...]
    cores: tuple[int, ...]

    def latencies_s(self, batch: ArrayLike, cores: ArrayLike) -> Floats:
        """Seconds at batches and cores of any common shape, inside the grid or not."""
        b, c = np.broadcast_arrays(np.asarray(batch, dtype=float), np.asarray(cores, dtype=float))
        return np.asarray(np.stack(FORMS[self.form](b, c), axis=-1) @ np.array(self.coefficients))

    def latency_s(self, batch: int, cores: int) -> float:
        """Seconds of a batch. Raises InputError outside the measured grid."""
        self._refuse_outside(batch, cores)
        return float(self.latencies_s(batch, cores))

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
    """The surface through measured points, of the form that best predicts points left out of its fit.

    Relative errors are least in the square, coefficients ≥ 0. Sponge's form stays unless another one's error is a
    tenth smaller. Raises InputError on fewer than FEWEST_POINTS points, on points of a single batch size or core
    count, and on latencies that are not finite and above zero.
    """
    b, c, seconds_N = checked_points(batch_N, cores_N, latency_N)
    if len(seconds_N) < FEWEST_POINTS or len(set(batch_N)) < 2 or len(set(cores_N)) < 2:
        raise InputError(
            f"{len(seconds_N)} points at {len(set(batch_N))} batch sizes and {len(set(cores_N))} core counts "
            "make no surface",
            remedy=f"measure at least {FEWEST_POINTS} points at 2 batch sizes and 2 core counts",
        )
    relative = {form: np.stack(features(b, c), axis=1) / seconds_N[:, None] for form, features in FORMS.items()}
    unseen = {form: unseen_ratios(matrix_NF) for form, matrix_NF in relative.items()}
    error = {form: float(np.abs(ratios_N - 1).mean()) for form, ratios_N in unseen.items()}
    best = min(error, key=lambda form: error[form])
    form = best if error[best] < WORTHWHILE * error["sponge"] else "sponge"
    fitted_F = non_negative_least_squares(relative[form], np.ones(len(seconds_N)))
    return Surface(
        form=form,
        coefficients=tuple(float(one) for one in fitted_F),
        mean_error=float(np.abs(relative[form] @ fitted_F - 1).mean()),
        unseen_error=error[form],
        bound_factor=max(1.0, float((1 / unseen[form]).max())),
        batches=tuple(sorted({int(batch) for batch in batch_N})),
        cores=tuple(sorted({int(cores) for cores in cores_N})),
    )


def uncertainty(measured_N3: ArrayLike, wanted_M2: ArrayLike) -> Floats:
    """How unsure a surface is at wanted points, (M,): the standard deviation of its prediction over its mean.

    measured_N3: batch, cores and seconds of every measured point. wanted_M2: batch and cores. The variance is that
    between the forms and the mean of their own: of a linear fit, from its residuals and the leverage of the point.
    """
    b, c, seconds_N = checked_points(*np.asarray(measured_N3, dtype=float).T)
    wanted_b, wanted_c = np.asarray(wanted_M2, dtype=float).T
    predicted, variances = [], []
    for features in FORMS.values():
        relative_NF = np.stack(features(b, c), axis=1) / seconds_N[:, None]
        fitted_F = non_negative_least_squares(relative_NF, np.ones(len(b)))
        features_MF = np.stack(features(wanted_b, wanted_c), axis=1)
        predicted.append(features_MF @ fitted_F)
        residual = float(np.square(relative_NF @ fitted_F - 1).sum()) / max(1, len(b) - len(fitted_F))
        norms_F = np.linalg.norm(relative_NF, axis=0)
        weights_MN = features_MF / norms_F @ np.linalg.pinv(relative_NF / norms_F) / predicted[-1][:, None]
        variances.append(residual * np.square(weights_MN).sum(axis=1))
    between = np.square(np.std(predicted, axis=0) / np.mean(predicted, axis=0))
    return np.asarray(np.sqrt(between + np.mean(variances, axis=0)))


def unseen_ratios(relative_NF: Floats) -> Floats:
    """Predicted / measured of every point, (N,), by a fit of the others; rows are features over measured seconds."""
    ones_N = np.ones(len(relative_NF) - 1)
    return np.array(
        [row_F @ non_negative_least_squares(np.delete(relative_NF, place, axis=0), ones_N)
         for place, row_F in enumerate(relative_NF)]
    )  # fmt: skip


def checked_points(
    batch_N: Sequence[float], cores_N: Sequence[float], latency_N: Sequence[float]
) -> tuple[Floats, Floats, Floats]:
    """The columns as arrays. Raises InputError unless they are as long as each other, finite and above zero."""
    b, c, latency = (np.asarray(values, dtype=float) for values in (batch_N, cores_N, latency_N))
    if not len(b) == len(c) == len(latency) or not len(b):
        raise InputError(f"{len(b)} batches, {len(c)} core counts and {len(latency)} latencies are no points")
    for what, values in (("batches", b), ("core counts", c), ("latencies", latency)):
        if not np.isfinite(values).all() or (values <= 0).any():
            raise InputError(f"{what} must be finite and above zero", remedy="leave such points out")
    return b, c, latency


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
