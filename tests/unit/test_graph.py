"""Where a traced module can be cut: at the ends of residual blocks, never inside them."""

import pytest
import torch
from torch import Tensor, nn

from ttamer.exits.families.cifar_resnet import CifarResNet
from ttamer.exits.graph import traced_positions
from ttamer.exits.torchvision_import import torchvision
from ttamer.profiles.errors import InputError


def test_a_resnet_is_cut_behind_its_stem_and_its_blocks() -> None:
    found = traced_positions(torchvision().models.resnet18())
    blocks = [f"layer{stage}_{block}_relu_1" for stage in (1, 2, 3, 4) for block in (0, 1)]
    assert [name for name in found if name.startswith("layer")] == blocks
    assert {"relu", "maxpool", "avgpool"} <= set(found)


def test_a_cifar_resnet_has_one_position_behind_each_of_its_blocks() -> None:
    found = traced_positions(CifarResNet(3, 10))
    assert len([name for name in found if name.startswith("relu")]) == 1 + 9
    assert not any("conv1" in name and name != "conv1" for name in found)


def test_a_module_of_two_inputs_has_none_before_they_meet() -> None:
    class Meeting(nn.Module):
        def forward(self, one: Tensor, other: Tensor) -> Tensor:
            return torch.tanh(torch.relu(one) + torch.relu(other))

    assert traced_positions(Meeting()) == ["add", "tanh"]


def test_a_module_whose_course_depends_on_values_is_refused() -> None:
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(InputError, match="Branching cannot be traced"):
        traced_positions(Branching())
