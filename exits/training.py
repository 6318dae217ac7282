"""Training a small residual network from scratch, where no trained backbone is at hand. Axes: B batch."""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional

from ttamer.exits.catalog import CIFAR_BLOCKS, resolve, with_shape
from ttamer.exits.families.cifar_resnet import CifarResNet
from ttamer.exits.features import Progress
from ttamer.exits.loading import load
from ttamer.exits.preparation import prepare
from ttamer.exits.source import DataSource
from ttamer.exits.threads import one_thread_if
from ttamer.profiles.documents import write_atomically
from ttamer.profiles.errors import InputError

BATCH, PEAK_RATE, MOMENTUM, WEIGHT_DECAY = 64, 0.1, 0.9, 5e-4  # He et al. (2016), section 4.2, scaled to batch 64
SMALL_SIDE = 16  # pixels
SHIFT_PIXELS = 2  # random shifts, the only augmentation that suits digits and letters as well as photographs


def train_backbone(
    model: str,
    source: DataSource,
    path: Path,
    *,
    input_shape: Sequence[int] | None = None,
    epochs: int = 20,
    resize: bool = False,
    seed: int = 0,
    progress: Progress,
) -> Path:
    """Train a CIFAR ResNet on the source's `fit` split and write its weights as safetensors; returns the path.

    SGD with momentum and a one-cycle learning rate, random shifts. Deterministic for a seed and a thread count.
    Raises InputError for a model of another family, or if the source cannot feed it.
    """
    if model not in CIFAR_BLOCKS:
        raise InputError(
            f"{model!r} is too large to be trained here", remedy=f"train one of: {', '.join(CIFAR_BLOCKS)}"
        )
    shape = with_shape(resolve(model), None if input_shape is None else tuple(input_shape)).input_shape
    staged = load(model, classes=len(source.classes), input_shape=shape, seed=seed)
    (images,) = prepare(staged, source, resize=resize).state(source, source.rows("fit"))
    labels = torch.from_numpy(source.label_N[source.rows("fit")])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = CifarResNet(CIFAR_BLOCKS[model], len(source.classes))
        with one_thread_if(max(images.shape[2:]) <= SMALL_SIDE):
            _train(network, images, labels, epochs, progress)
    content = save({key: tensor.contiguous() for key, tensor in network.state_dict().items()})
    write_atomically(path, lambda file: file.write(content))
    return path


def _train(network: CifarResNet, images: Tensor, labels: Tensor, epochs: int, progress: Progress) -> None:
    optimizer = torch.optim.SGD(
        network.parameters(), lr=PEAK_RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY, nesterov=True
    )
    steps = epochs * -(-len(labels) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=steps)
    # Twice as fast on a CPU at this size as torch's default layout.
    network.train()
    images = images.contiguous(memory_format=torch.channels_last)
    for epoch in range(epochs):
        for rows in torch.split(torch.randperm(len(labels)), BATCH):
            optimizer.zero_grad()
            loss = functional.cross_entropy(network(_shifted(images[rows])), labels[rows])
            if not torch.isfinite(loss):
                raise InputError("training diverged", remedy="check the images, or give another seed")
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        progress("training the backbone", (epoch + 1) / epochs)
    network.eval()


def _shifted(images: Tensor) -> Tensor:
    """The batch moved by one random offset, its edge repeated."""
    top, left = (int(offset) for offset in torch.randint(2 * SHIFT_PIXELS + 1, (2,)))
    padded = functional.pad(images, (SHIFT_PIXELS,) * 4, mode="replicate")
    height, width = images.shape[2:]
    return padded[:, :, top : top + height, left : left + width]
