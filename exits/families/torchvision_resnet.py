"""torchvision's ResNet-18 to ResNet-152, built from torchvision's own modules."""

from collections.abc import Mapping

from torch import Tensor, nn

from ttamer.exits.catalog import Entry
from ttamer.exits.staged import Backbone, Family, ImageBackbone
from ttamer.exits.torchvision_import import torchvision
from ttamer.exits.weights import copy_weights
from ttamer.profiles.errors import InputError


def build(entry: Entry, classes: int, weights: Mapping[str, Tensor] | None) -> Backbone:
    """The network in stages. Raises InputError if the weights do not fit it."""
    network = torchvision().models.get_model(entry.base, weights=None, num_classes=classes)
    if weights is not None:
        copy_weights(network, weights, entry.name)
    blocks = [*network.layer1, *network.layer2, *network.layer3, *network.layer4]
    stem = nn.Sequential(network.conv1, network.bn1, network.relu, network.maxpool)
    tail = nn.Sequential(network.avgpool, nn.Flatten(), network.fc)
    return ImageBackbone(stem, blocks, tail, [_width(block) for block in blocks])


def default_weights(name: str) -> Mapping[str, Tensor]:
    """The weights torchvision publishes, from its cache or downloaded. Raises InputError if they cannot be had."""
    published = torchvision().models.get_model_weights(name).DEFAULT
    try:
        weights: Mapping[str, Tensor] = published.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:  # no network (URLError is an OSError), or a damaged download
        raise InputError(
            f"the weights {published} of {name!r} are neither in torch's cache nor downloadable: {error}",
            remedy=f"connect to {published.url.split('/')[2]}, give a weights file, or use `random`",
        ) from None
    return weights


def _width(block: nn.Module) -> int:
    last = block.conv3 if hasattr(block, "conv3") else block.conv2
    assert isinstance(last, nn.Conv2d)
    return last.out_channels


FAMILY = Family(build=build, default_weights=default_weights, classifier="fc.weight")
