"""torchvision and transformers import beside any torch, and nothing is defined twice."""

import subprocess
import sys

import pytest

from ttamer.exits.published import published_accuracy, published_resize_ratio, published_weights
from ttamer.profiles.errors import InputError


def _python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_fresh_process_imports_both_and_builds_from_both() -> None:
    code = (
        "from ttamer.exits.torchvision_import import torchvision, transformers\n"
        "transformers().BertModel; print(torchvision().models.resnet18(num_classes=2).fc.out_features)"
    )
    assert _python(code) == "2"


def test_on_a_proper_pairing_nothing_is_defined() -> None:
    # Operators that exist already stand for a torchvision that fits.
    code = (
        "import torch\n"
        "library = torch.library.Library('torchvision', 'DEF')\n"
        "library.define('nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')\n"
        "library.define('qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')\n"
        "from ttamer.exits import torchvision_import\n"
        "torchvision_import.torchvision(); print(len(torchvision_import._defined))"
    )
    assert _python(code) == "0"


def test_the_catalog_loads_no_torch() -> None:
    code = (
        "import sys; from ttamer.exits.catalog import known_names, resolve\n"
        "[resolve(name) for name in known_names()]; print('torch' in sys.modules)"
    )
    assert _python(code) == "False"


def test_published_accuracies_are_torchvision_s_own() -> None:
    (row,) = published_accuracy("resnet50", "IMAGENET1K_V1")
    assert (row.accuracy, row.exit, row.source, row.low) == (pytest.approx(0.7613), 15, "published", None)
    assert published_accuracy("resnet50")[0].accuracy > 0.80
    assert published_accuracy("resnet20") == []
    assert published_weights("resnet50") == ("IMAGENET1K_V1", "IMAGENET1K_V2")
    assert published_resize_ratio("resnet18") == pytest.approx(256 / 224)
    assert published_resize_ratio("resnet50") == pytest.approx(232 / 224)


def test_unknown_weights_are_refused() -> None:
    with pytest.raises(InputError, match="unknown weights 'IMAGENET1K_V9' of 'resnet18'"):
        published_accuracy("resnet18", "IMAGENET1K_V9")
