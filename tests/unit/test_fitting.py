"""Fitting heads: the backbone is checked first, temperatures are fitted on unseen samples, records are honest."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression

from ttamer.exits.calibration import fit_temperature, honesty, log_softmax, nll
from ttamer.exits.datasets import open_source
from ttamer.exits.fitting import FitResult, fit_heads, no_progress, save_fit
from ttamer.exits.linear import fit_linear_layers
from ttamer.exits.loading import load
from ttamer.exits.preparation import cropped, prepare, stretched
from ttamer.exits.source import DataSource, Reading, make_source
from ttamer.exits.training import train_backbone
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import ExitRecords
from ttamer.profiles.shelf import heads_path, records_path

SHAPE = (3, 8, 8)


@pytest.fixture(scope="module")
def digits() -> DataSource:
    return open_source("digits")


@pytest.fixture(scope="module")
def weights(digits: DataSource, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("backbone") / "weights.safetensors"
    return str(train_backbone("resnet20", digits, path, input_shape=SHAPE, epochs=12, progress=no_progress))


@pytest.fixture(scope="module")
def result(digits: DataSource, weights: str) -> FitResult:
    return fit_heads(load("resnet20", weights=weights, input_shape=SHAPE), digits)


def test_a_trained_backbone_reads_digits(result: FitResult) -> None:
    assert result.backbone is not None
    assert result.backbone.accuracy > 0.75
    assert result.backbone.low < result.backbone.accuracy < result.backbone.high


def test_heads_on_deep_exits_beat_chance_and_shallow_ones(result: FitResult) -> None:
    accuracy_K = result.records["test"].accuracy_K()
    assert len(accuracy_K) == 9
    assert accuracy_K[0] > 0.3
    assert accuracy_K[7] > accuracy_K[0]
    assert accuracy_K[7] > 0.75


def test_the_last_exit_of_the_records_is_the_backbone_itself(
    result: FitResult, digits: DataSource, weights: str
) -> None:
    model, records = load("resnet20", weights=weights, input_shape=SHAPE), result.records["test"]
    logits = model.run_whole(prepare(model, digits).state(digits, records.sample_N))
    assert (logits.argmax(dim=1).numpy() == records.prediction_NK[:, -1]).all()


def test_the_saved_heads_give_the_recorded_confidences(
    result: FitResult, digits: DataSource, weights: str, tmp_path: Path
) -> None:
    save_fit(tmp_path, result)
    model = load(
        "resnet20", weights=weights, input_shape=SHAPE, heads_file=str(heads_path(tmp_path, "resnet20"))
    )  # fmt: skip
    records = ExitRecords.read(records_path(tmp_path, "resnet20", "validation"))
    state = prepare(model, digits).state(digits, records.sample_N)
    for k in range(model.exits):
        state = model.run_stage(k, state)
        confidence_N = torch.softmax(model.run_head(k, state), dim=1).max(dim=1).values.numpy()
        assert confidence_N == pytest.approx(records.confidence_NK[:, k], abs=1e-3)


def test_no_sample_is_in_two_splits(result: FitResult, digits: DataSource) -> None:
    seen = np.concatenate([digits.rows("fit"), *(records.sample_N for records in result.records.values())])
    assert len(np.unique(seen)) == len(seen) == 1797


def test_every_exit_and_split_has_an_accuracy_with_its_interval(result: FitResult) -> None:
    assert {(row.exit, row.split) for row in result.accuracy} == {
        (k, split) for k in range(9) for split in ("calibration", "validation", "test")
    }
    for row in result.accuracy:
        assert row.low is not None
        assert row.high is not None
        assert row.low <= row.accuracy <= row.high
        assert (row.source, row.dataset) == ("measured", "digits")


def test_the_same_seed_fits_the_same_heads(result: FitResult, digits: DataSource, weights: str) -> None:
    again = fit_heads(load("resnet20", weights=weights, input_shape=SHAPE), digits)
    assert again.heads.temperature_K == pytest.approx(result.heads.temperature_K, rel=1e-3)
    for first, second in zip(again.heads.weights, result.heads.weights, strict=True):
        assert torch.allclose(first, second, atol=1e-4)


def test_a_teacher_s_heads_agree_with_it_more_than_with_the_labels_it_misses(digits: DataSource, weights: str) -> None:
    fitted = fit_heads(load("resnet20", weights=weights, input_shape=SHAPE), digits, target="teacher")
    assert fitted.heads.target == "teacher"
    assert fitted.records["test"].agrees_NK()[:, 7].mean() > 0.75


def test_a_backbone_that_misses_its_expected_accuracy_is_not_fitted(digits: DataSource) -> None:
    model = load("resnet20", input_shape=SHAPE)
    before = [parameter.clone() for parameter in model.heads.parameters()]
    with pytest.raises(InputError, match=r"backbone resnet20 measures \d+\.\d% on digits .* but 95\.0% was expected"):
        fit_heads(model, digits, expect_accuracy=0.95)
    assert all(torch.equal(old, new) for old, new in zip(before, model.heads.parameters(), strict=True))


def test_more_classes_than_the_model_knows_are_refused(digits: DataSource) -> None:
    with pytest.raises(InputError, match="'digits' has 10 classes but 'resnet20' tells 4 apart"):
        fit_heads(load("resnet20", input_shape=SHAPE, classes=4), digits)


def test_texts_are_refused_by_a_model_of_images() -> None:
    source = make_source(Reading(name="words", kind="text", items=["a"] * 80, labels=[0, 1] * 40), seed=0)
    with pytest.raises(InputError, match="'resnet20' reads images but 'words' holds texts"):
        fit_heads(load("resnet20", input_shape=SHAPE), source)


def test_images_of_another_size_name_both_sizes_and_the_remedy() -> None:
    pixels = [np.full((12, 10), shade, dtype=np.uint8) for shade in range(80)]
    source = make_source(Reading(name="tall", kind="image", items=pixels, labels=[0, 1] * 40), seed=0)
    with pytest.raises(InputError) as refusal:
        fit_heads(load("resnet20", input_shape=SHAPE, classes=2), source)
    assert refusal.value.message == "images of 'tall' are 12x10 but 'resnet20' takes 8x8"
    assert refusal.value.remedy == "pass --resize to scale them"
    assert fit_heads(load("resnet20", input_shape=SHAPE, classes=2), source, resize=True).accuracy


def test_heads_that_imitate_the_backbones_doubts_state_them(digits: DataSource, weights: str) -> None:
    model = load("resnet20", weights=weights, input_shape=SHAPE)
    soft = fit_heads(model, digits, target="soft-teacher")
    assert soft.heads.target == "soft-teacher"
    assert soft.records["test"].accuracy_K()[7] > 0.7
    assert soft.records["test"].agrees_NK().mean(axis=0)[7] > 0.8


def test_calibration_is_told_by_three_measures_before_and_after(result: FitResult) -> None:
    for fitted in result.calibration:
        assert 0 <= fitted.before.ece <= 1
        assert 0 <= fitted.before.brier <= 2
        assert fitted.before.nll > 0
    assert sum(one.after.nll for one in result.calibration) < sum(one.before.nll for one in result.calibration)


def test_an_unknown_target_is_refused(digits: DataSource) -> None:
    with pytest.raises(InputError, match="unknown target 'labels'"):
        fit_heads(load("resnet20", input_shape=SHAPE), digits, target="labels")


def test_progress_is_told_and_ends_at_one(digits: DataSource) -> None:
    told: list[tuple[str, float]] = []
    capped = digits.capped(fit=60, held_out=40)
    fit_heads(load("resnet20", input_shape=SHAPE), capped, progress=lambda what, share: told.append((what, share)))
    assert [what for what, share in told if share == 1.0] == [
        "checking the backbone", "reading features", "fitting heads",
    ]  # fmt: skip


def test_linear_heads_reach_the_accuracy_of_logistic_regression() -> None:
    rng = np.random.default_rng(0)
    wanted_N = rng.integers(0, 4, 2000)
    features_ND = (0.5 * rng.standard_normal((4, 12))[wanted_N] + rng.standard_normal((2000, 12))) * 7.0 + 3.0
    (layer,) = fit_linear_layers([features_ND.astype(np.float32)], wanted_N, 4, seed=0, progress=no_progress)
    ours = (features_ND @ layer.weight_VD.numpy().T + layer.bias_V.numpy()).argmax(axis=1)
    reference = LogisticRegression(max_iter=500).fit(features_ND, wanted_N)
    assert (ours == wanted_N).mean() == pytest.approx(reference.score(features_ND, wanted_N), abs=0.01)


def test_the_temperature_minimises_the_likelihood_as_scipy_does() -> None:
    rng = np.random.default_rng(1)
    label_N = rng.integers(0, 5, 800)
    logits_NV = 6.0 * (np.eye(5)[label_N] + rng.standard_normal((800, 5)))
    best = minimize_scalar(lambda log_t: nll(logits_NV / np.exp(log_t), label_N), bounds=(-3, 3), method="bounded")
    assert fit_temperature(logits_NV, label_N) == pytest.approx(np.exp(best.x), rel=1e-4)


def test_a_certain_and_right_answer_is_perfectly_honest_and_a_wrong_one_is_not() -> None:
    logits_NV = np.array([[50.0, 0.0], [0.0, 50.0]])
    right, wrong = honesty(logits_NV, np.array([0, 1])), honesty(logits_NV, np.array([1, 0]))
    assert (right.ece, right.brier, right.nll) == pytest.approx((0.0, 0.0, 0.0), abs=1e-9)
    assert (wrong.ece, wrong.brier, wrong.nll) == pytest.approx((1.0, 2.0, 50.0))


def test_calibration_on_unseen_samples_lowers_the_likelihood_loss_of_an_overconfident_exit() -> None:
    rng = np.random.default_rng(2)
    label_N = rng.integers(0, 3, 4000)
    logits_NV = 9.0 * (np.eye(3)[label_N] + rng.standard_normal((4000, 3)))
    t = fit_temperature(logits_NV[:2000], label_N[:2000])
    before, after = honesty(logits_NV[2000:], label_N[2000:]), honesty(logits_NV[2000:] / t, label_N[2000:])
    assert t > 1
    assert after.nll < before.nll
    assert after.ece < before.ece


def test_log_softmax_stands_large_logits() -> None:
    assert np.exp(log_softmax(np.array([[1000.0, 1000.0]]))).tolist() == [[0.5, 0.5]]


def test_a_crop_takes_the_centre_and_a_stretch_takes_everything() -> None:
    pixels = np.zeros((100, 200, 3), dtype=np.uint8)
    pixels[:, 90:110] = 255
    assert cropped(pixels, (56, 56)).shape == (56, 56, 3)
    assert cropped(pixels, (56, 56))[28, 28, 0] == 255
    assert cropped(pixels, (56, 56))[28, 0, 0] == 0
    assert stretched(pixels, (8, 4)).shape == (8, 4, 3)
