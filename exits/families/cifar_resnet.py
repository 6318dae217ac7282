"""Residual networks for 32x32 images (ResNet-20 to ResNet-110).

He et al., Deep Residual Learning (2016), section 4.2, with option-A shortcuts. Parameters are named as in
Y. Idelbayev's pytorch_resnet_cifar10, whose trained weights are widely used.
"""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

from ttamer.exits.catalog import CIFAR_BLOCKS, Entry
from ttamer.exits.staged import Backbone, Family, ImageBackbone
from ttamer.exits.weights import copy_weights
from ttamer.profiles.errors import InputError

WIDTHS = (16, 32, 64)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut without parameters (option A: subsample, pad channels with zeros)."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.stride, self.padding = stride, (width - channels) // 2

    def forward(self, x: Tensor) -> Tensor:
        """The block's feature map."""
        out = functional.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.stride != 1 or self.padding:
            x = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.padding, self.padding))
        return functional.relu(out + x)


class CifarResNet(nn.Module):
    """The whole network, as it is trained and as its weights are stored."""

    def __init__(self, blocks: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.layer1 = _stage(WIDTHS[0], WIDTHS[0], blocks, 1)
        self.layer2 = _stage(WIDTHS[0], WIDTHS[1], blocks, 2)
        self.layer3 = _stage(WIDTHS[1], WIDTHS[2], blocks, 2)
        self.linear = nn.Linear(WIDTHS[2], classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, V) of images (B, 3, H, W)."""
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.linear(x.mean(dim=(2, 3)))
        return logits


def _stage(channels: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    first = BasicBlock(channels, width, stride)
    return nn.Sequential(first, *(BasicBlock(width, width, 1) for _ in range(blocks - 1)))


def build(entry: Entry, classes: int, weights: Mapping[str, Tensor] | None) -> Backbone:
    """The network in stages. Raises InputError if the weights do not fit it."""
    blocks = CIFAR_BLOCKS[entry.base]
    network = CifarResNet(blocks, classes)
    if weights is not None:
        copy_weights(network, weights, entry.name)
    stem = nn.Sequential(network.conv1, network.bn1, nn.ReLU(inplace=True))
    tail = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), network.linear)
    widths = [width for width in WIDTHS for _ in range(blocks)]
    return ImageBackbone(stem, [*network.layer1, *network.layer2, *network.layer3], tail, widths)


def default_weights(name: str) -> Mapping[str, Tensor]:
    """Nothing is published with a library for these networks. Raises InputError."""
    raise InputError(f"{name!r} has no default weights", remedy="give a .safetensors or .pth file, or `random`")


FAMILY = Family(build=build, default_weights=default_weights, classifier="linear.weight")
