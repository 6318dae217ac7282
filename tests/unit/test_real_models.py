"""Published weights on real data reach their published accuracy, and heads on them what is known of such heads."""

from pathlib import Path

import numpy as np
import pytest

from ttamer.exits.datasets import open_source
from ttamer.exits.fitting import FitResult, fit_heads
from ttamer.exits.loading import load
from ttamer.profiles.errors import InputError


@pytest.fixture(scope="module")
def vision(shared: Path) -> Path:
    return shared / "data" / "real" / "vision"


def _held_out_accuracy(result: FitResult) -> np.ndarray:
    return np.concatenate([records.correct_NK() for records in result.records.values()]).mean(axis=0)


def _as_published(vision: Path, *, max_fit: int, max_held_out: int) -> np.ndarray:
    """Held-out accuracy of each exit of ResNet-20 with the published weights, whose own accuracy must be theirs."""
    source = open_source(str(vision / "cifar10.parquet"), max_fit=max_fit, max_held_out=max_held_out)
    model = load("resnet20", weights=str(vision / "resnet20_cifar10.safetensors"))
    result = fit_heads(model, source, expect_accuracy=0.9173)
    assert result.backbone is not None
    assert result.backbone.low <= 0.9173 <= result.backbone.high
    return _held_out_accuracy(result)


def test_resnet20_on_cifar10_is_as_good_as_published(vision: Path) -> None:
    assert _as_published(vision, max_fit=100, max_held_out=200)[6] > 0.5


@pytest.mark.slow
def test_resnet20_on_cifar10_is_as_good_as_published_and_its_heads_as_measured_before(vision: Path) -> None:
    # With 20,000 images to fit on and 10,000 to test: .357 .398 .457 .564 .595 .659 .780 .861.
    reference = np.array([0.357, 0.398, 0.457, 0.564, 0.595, 0.659, 0.780, 0.861])
    assert (_as_published(vision, max_fit=3000, max_held_out=700)[:-1] > reference - 0.05).all()


def test_jpeg_copies_of_the_images_are_noticed_before_anything_is_fitted(vision: Path) -> None:
    source = open_source(str(vision / "cifar10_jpeg.parquet"), max_fit=50, max_held_out=600)
    model = load("resnet20", weights=str(vision / "resnet20_cifar10.safetensors"))
    with pytest.raises(InputError, match=r"backbone resnet20 measures .* on cifar10_jpeg .* but 91\.7% was expected"):
        fit_heads(model, source, expect_accuracy=0.917)


@pytest.mark.slow
def test_a_fine_tuned_minilm_reads_sentiments_as_well_as_known(shared: Path) -> None:
    text = shared / "data" / "real" / "text"
    model = load(str(text / "minilm_l6_sst2"))
    source = open_source(str(text / "sst2.parquet"), max_fit=600, max_held_out=300)
    result = fit_heads(model, source, expect_accuracy=0.8885)
    assert model.spec.name == "minilm_l6_sst2"
    accuracy_K = _held_out_accuracy(result)
    assert accuracy_K[-1] == pytest.approx(0.885, abs=0.05)
    assert accuracy_K[-2] > 0.82
