"""Records that others write, and choices among policies, for whatever hypothesis thinks of."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.synthetic_records import even_costs, plausible_records
from ttamer.exits.careful_choice import CAUTION, fastest_mixed, fastest_of, judge
from ttamer.exits.evaluate import FittedPolicy
from ttamer.exits.policies.fixed_exit import FixedExit
from ttamer.exits.policies.last_exit import LastExit
from ttamer.exits.policies.threshold import ConfidenceThreshold
from ttamer.exits.record_importers import IMPORTERS
from ttamer.exits.record_importers.imported import Imported, all_records
from ttamer.exits.replay import replay
from ttamer.profiles.records import ExitRecords

COSTS = even_costs(4)


@st.composite
def answers(draw: st.DrawFn) -> Imported:
    """Answers of two to five exits to two to thirty samples of two to four classes, both in sight."""
    samples, exits = draw(st.integers(2, 30)), draw(st.integers(2, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    label_N = rng.integers(0, draw(st.integers(2, 4)), samples)
    label_N[:2] = (0, 1)
    return Imported(
        model="any",
        dataset="any",
        label_N=label_N,
        prediction_NK=rng.integers(0, 4, (samples, exits)),
        confidence_NK=rng.uniform(size=(samples, exits)),
    )


def written(imported: Imported, layout: str, folder: Path, rng: np.random.Generator) -> Path:
    """The answers in a layout, rows of the long one in any order."""
    N, K = imported.prediction_NK.shape
    cells = [
        (n, k, repr(float(imported.confidence_NK[n, k])), imported.prediction_NK[n, k], imported.label_N[n])
        for n in range(N)
        for k in range(K)
    ]
    if layout == "long-csv":
        rows = [",".join(map(str, cells[place])) for place in rng.permutation(len(cells))]
        text = "\n".join(["Sample_ID,Exit,Confidence,Prediction,Label", *rows])
    else:
        names = [f"{name}{k + 1}" for k in range(K) for name in ("conf_branch_", "infered_class_branch_")]
        rows = [
            ",".join(str(cell) for _, _, *pair, _ in cells[K * n : K * (n + 1)] for cell in pair)
            + f",{imported.label_N[n]}"
            for n in range(N)
        ]
        text = "\n".join([",".join([*names, "target"]), *rows])
    path = folder / "answers.csv"
    path.write_text(text)
    return path


@given(imported=answers(), layout=st.sampled_from(["long-csv", "wide-csv"]), seed=st.integers(0, 99))
def test_what_is_written_in_a_layout_is_what_is_read(imported: Imported, layout: str, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        read = IMPORTERS[layout](written(imported, layout, Path(folder), np.random.default_rng(seed)))
    np.testing.assert_array_equal(read.label_N, imported.label_N)
    np.testing.assert_array_equal(read.prediction_NK, imported.prediction_NK)
    np.testing.assert_array_equal(read.confidence_NK, imported.confidence_NK)


@given(imported=answers())
def test_apparates_layout_keeps_who_agrees_with_the_last_exit(imported: Imported) -> None:
    agrees_NK = all_records(imported).agrees_NK()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.npz"
        np.savez(path, conf=imported.confidence_NK.T, acc=agrees_NK.T)
        read = all_records(IMPORTERS["apparate-npz"](path))
    np.testing.assert_array_equal(read.agrees_NK(), agrees_NK)
    np.testing.assert_array_equal(read.correct_NK(), agrees_NK)


def candidates() -> list[FittedPolicy]:
    thresholds = [ConfidenceThreshold(float(threshold), (0, 1, 2, 3)) for threshold in np.linspace(0.5, 0.95, 12)]
    return [FittedPolicy(policy, "toy") for policy in (*thresholds, *map(FixedExit, range(3)), LastExit())]


def loss(fitted: FittedPolicy, records: ExitRecords) -> float:
    lost_N = records.correct_NK()[:, -1].astype(float) - replay(fitted.policy, records, COSTS).right_N
    return float(lost_N.mean() + CAUTION * lost_N.std() / np.sqrt(records.samples))


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), samples=st.integers(20, 200), drop=st.sampled_from([0.0, 0.01, 0.03, 0.1]))
def test_the_choice_is_the_fastest_of_all_and_a_mixture_is_never_slower_nor_loses_more(
    seed: int, samples: int, drop: float
) -> None:
    calibration = plausible_records(seed, samples, 4, split="calibration")
    validation = plausible_records(seed + 1, samples, 4, split="validation", first=10_000)
    judged = judge(candidates(), calibration, validation, COSTS)
    within = [
        replay(fitted.policy, validation, COSTS).seconds_N.mean()
        for fitted in candidates()
        if max(loss(fitted, calibration), loss(fitted, validation)) <= drop + 1e-9
    ]
    best = fastest_of(judged, drop)
    assert best is not None
    assert best.mean_s == pytest.approx(min(within))
    mixed = fastest_mixed(judged, calibration, validation, COSTS, drop)
    assert mixed is not None
    assert mixed.mean_s <= best.mean_s + 1e-12
    assert max(loss(mixed.fitted, calibration), loss(mixed.fitted, validation)) <= drop + 1e-9
