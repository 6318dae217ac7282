"""Latency surfaces: never negative, honest about their errors, silent outside the grid."""

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ttamer.planning.surface import Coefficients, fit_least_squares
from ttamer.profiles.errors import InputError
from ttamer.profiles.surface import FORMS, WORTHWHILE, fit_surface, non_negative_least_squares

GRID = [(batch, cores) for batch in (1, 2, 4, 8) for cores in (1, 2, 4)]
BATCH_N, CORES_N = [batch for batch, _ in GRID], [cores for _, cores in GRID]


def seconds(g: float, d: float, e: float, h: float) -> list[float]:
    return Coefficients(g=g, d=d, e=e, h=h).latency(BATCH_N, CORES_N).tolist()


def measured_grids(shared: Path) -> dict[str, list[tuple[int, int, float]]]:
    grids: dict[str, list[tuple[int, int, float]]] = defaultdict(list)
    with (shared / "data" / "peers" / "sponge_profile_grids.csv").open() as file:
        for row in csv.DictReader(file):
            if row["latency_p99_s"] and float(row["cores"]).is_integer():
                point = (int(float(row["batch"])), int(float(row["cores"])), float(row["latency_p99_s"]))
                grids[row["grid_id"]].append(point)
    return grids


def test_a_surface_gives_back_the_coefficients_that_made_the_points() -> None:
    surface = fit_surface(BATCH_N, CORES_N, seconds(0.030, 0.001, 0.010, 0.004))
    assert surface.form == "sponge"
    assert surface.coefficients == pytest.approx((0.030, 0.001, 0.010, 0.004), rel=1e-6)
    assert surface.mean_error == pytest.approx(0.0, abs=1e-9)
    assert surface.bound_factor == pytest.approx(1.0, abs=1e-6)
    assert surface.latency_s(3, 3) == pytest.approx(0.030 + 0.003 + 0.010 / 3 + 0.004)


@pytest.mark.parametrize("form", [form for form in FORMS if form not in ("sponge", "serial")])
def test_the_form_that_made_the_points_is_chosen_by_points_left_out(form: str) -> None:
    b, c = np.array(BATCH_N, dtype=float), np.array(CORES_N, dtype=float)
    seconds_N = sum(0.01 * feature_N for feature_N in FORMS[form](b, c)) + 0.1 * FORMS[form](b, c)[-1]
    surface = fit_surface(BATCH_N, CORES_N, seconds_N.tolist())
    assert surface.form == form
    assert surface.unseen_error < WORTHWHILE * 0.05


def test_ordinary_least_squares_may_go_below_zero_and_the_surface_never_does() -> None:
    latencies = seconds(0.030, 0.0, 0.0, 0.0)
    latencies = [latency + (0.5 if batch == 8 and cores == 1 else 0.0) for latency, (batch, cores) in
                 zip(latencies, GRID, strict=True)]  # fmt: skip
    free = fit_least_squares(BATCH_N, CORES_N, latencies)
    assert free.latency(BATCH_N, CORES_N).min() < 0
    bounded = fit_surface(BATCH_N, CORES_N, latencies)
    assert bounded.latencies_s(BATCH_N, CORES_N).min() > 0


def test_the_bound_covers_every_measured_point() -> None:
    noise = np.random.default_rng(0).lognormal(0, 0.2, len(GRID))
    latencies = (np.array(seconds(0.03, 0.001, 0.01, 0.004)) * noise).tolist()
    surface = fit_surface(BATCH_N, CORES_N, latencies)
    assert 0.01 < surface.mean_error < 0.3
    for (batch, cores), latency in zip(GRID, latencies, strict=True):
        assert surface.bound_s(batch, cores) >= latency * (1 - 1e-9)


@pytest.mark.parametrize(("batch", "cores", "what"), [(9, 1, "batch 9"), (0, 1, "batch 0"), (1, 5, "cores 5")])
def test_a_surface_refuses_to_extrapolate(batch: int, cores: int, what: str) -> None:
    surface = fit_surface(BATCH_N, CORES_N, seconds(0.03, 0.001, 0.01, 0.004))
    with pytest.raises(InputError, match=f"{what} lies outside the measured"):
        surface.latency_s(batch, cores)


@pytest.mark.parametrize(
    ("batches", "cores", "latencies", "said"),
    [
        ([1, 2], [1, 1], [0.1, 0.2], "2 points at 2 batch sizes and 1 core counts make no surface"),
        ([1] * 6, [1, 2, 3, 4, 5, 6], [0.1] * 6, "6 points at 1 batch sizes"),
        ([1, 2], [1, 1], [0.1, -0.2], "latencies must be finite and above zero"),
        ([1, 2], [1, 1], [0.1, float("nan")], "latencies must be finite and above zero"),
        ([0, 2], [1, 1], [0.1, 0.1], "batches must be finite and above zero"),
        ([1, 2], [1], [0.1, 0.1], "are no points"),
    ],
)
def test_points_that_make_no_surface_are_refused(
    batches: list[int], cores: list[int], latencies: list[float], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        fit_surface(batches, cores, latencies)


@given(
    hnp.arrays(
        float,
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=7),
        elements=st.integers(-10, 10).map(float),
    ),
    st.data(),
)
def test_non_negative_least_squares_is_as_good_as_scipy(matrix: np.ndarray, data: st.DataObject) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    target = data.draw(hnp.arrays(float, len(matrix), elements=st.integers(-10, 10).map(float)))
    ours = non_negative_least_squares(matrix, target)
    _, residual = optimize.nnls(matrix, target)
    assert (ours >= 0).all()
    assert np.linalg.norm(matrix @ ours - target) <= residual + 1e-6 * max(1.0, residual)


@given(st.lists(st.floats(1e-4, 1e3), min_size=len(GRID), max_size=len(GRID)))
def test_no_latencies_make_a_surface_negative(latencies: list[float]) -> None:
    surface = fit_surface(BATCH_N, CORES_N, latencies)
    assert min(surface.latency_s(batch, cores) for batch in range(1, 9) for cores in range(1, 5)) > 0


def test_surfaces_of_measured_grids_are_positive_where_least_squares_is_not(shared: Path) -> None:
    wrong = 0
    for grid_id, points in measured_grids(shared).items():
        batch_N, cores_N, latency_N = (list(column) for column in zip(*points, strict=True))
        if len(set(batch_N)) < 2 or len(set(cores_N)) < 2:
            continue
        wrong += int((fit_least_squares(batch_N, cores_N, latency_N).latency(batch_N, cores_N) <= 0).sum())
        surface = fit_surface(batch_N, cores_N, latency_N)
        assert (surface.latencies_s(batch_N, cores_N) > 0).all(), grid_id
        assert all(surface.bound_s(b, c) > 0 for b, c, _ in points)
    assert wrong > 0, "the grids are known to fool an unconstrained fit"
