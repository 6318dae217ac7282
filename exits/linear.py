"""Fitting linear layers to cached features: independent heads, trained side by side.

Axes: N samples, D features, V classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ttamer.exits.features import Array, Progress
from ttamer.exits.threads import one_thread_if
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Ints

EPOCHS, BATCH, LEARNING_RATE = 15, 256, 1e-2
LEAST_STEPS = 300  # small data sets get more epochs: 15 would leave their heads under-confident
SMALL_LAYER = 2**16  # parameters up to which a step takes well under a millisecond on one thread
SMALLEST_STD = 1e-6  # a feature that never varies (a dead channel) is only centred


@dataclass(frozen=True, slots=True)
class LinearLayer:
    """Fitted parameters, for features as they are (the standardisation is folded in)."""

    weight_VD: Tensor
    bias_V: Tensor


@dataclass(frozen=True, slots=True)
class _Scale:
    """Mean and standard deviation of every feature."""

    mean_D: Tensor
    std_D: Tensor

    @classmethod
    def of(cls, features_ND: Array) -> "_Scale":
        mean_D = features_ND.mean(axis=0, dtype=np.float64)
        std_D = features_ND.std(axis=0, dtype=np.float64)
        std_D = np.where(std_D > SMALLEST_STD, std_D, 1.0)
        return cls(torch.from_numpy(mean_D).float(), torch.from_numpy(std_D).float())


def fit_linear_layers(
    features: Sequence[Array], wanted_N: Ints, classes: int, *, seed: int, progress: Progress
) -> list[LinearLayer]:
    """One layer for each array (N, D), by cross-entropy on standardised features.

    Adam, learning rate 1e-2 with cosine decay, batches of 256, 15 epochs but at least 300 steps. Deterministic for
    a seed.
    Raises InputError if fewer than two classes are wanted.
    """
    if len(np.unique(wanted_N)) < 2:
        raise InputError("the samples to fit on show one class only", remedy="fit to the target `label`, or more data")
    generator = torch.Generator().manual_seed(seed)
    scales = [_Scale.of(features_ND) for features_ND in features]
    layers = [_zero_layer(features_ND.shape[1], classes) for features_ND in features]
    parameters = [parameter for layer in layers for parameter in layer.parameters()]
    if parameters:
        with one_thread_if(max(layer.weight.numel() for layer in layers) < SMALL_LAYER):
            _train(layers, parameters, scales, features, wanted_N, generator, progress)
    return [_folded(layer, scale) for layer, scale in zip(layers, scales, strict=True)]


def _zero_layer(inputs: int, classes: int) -> nn.Linear:
    layer = nn.Linear(inputs, classes)
    # The loss is convex, so every start is as good; zero needs no random numbers.
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _train(
    layers: list[nn.Linear],
    parameters: list[nn.Parameter],
    scales: list[_Scale],
    features: Sequence[NDArray[Any]],
    wanted_N: Ints,
    generator: torch.Generator,
    progress: Progress,
) -> None:
    inputs = [torch.from_numpy(features_ND) for features_ND in features]
    wanted = torch.from_numpy(np.asarray(wanted_N, dtype=np.int64))
    steps_an_epoch = -(-len(wanted) // BATCH)
    epochs = max(EPOCHS, -(-LEAST_STEPS // steps_an_epoch))
    optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * steps_an_epoch)
    for epoch in range(epochs):
        for rows in torch.split(torch.randperm(len(wanted), generator=generator), BATCH):
            optimizer.zero_grad()
            losses = [
                functional.cross_entropy(layer((x[rows].float() - scale.mean_D) / scale.std_D), wanted[rows])
                for layer, x, scale in zip(layers, inputs, scales, strict=True)
            ]
            torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        progress("fitting heads", (epoch + 1) / epochs)


def _folded(layer: nn.Linear, scale: _Scale) -> LinearLayer:
    with torch.no_grad():
        weight_VD = layer.weight / scale.std_D
        return LinearLayer(weight_VD, layer.bias - weight_VD @ scale.mean_D)
