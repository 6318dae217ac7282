"""Fitting heads with a hidden layer to cached features: dense, tanh, linear, as BERT's own pooler and classifier.

Axes: N samples, B of them, D features, V classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ttamer.exits.features import Array, Progress
from ttamer.exits.linear import BATCH, Wanted, require_classes, targets_of

EPOCHS, LEARNING_RATE, WEIGHT_DECAY = 8, 1e-3, 1e-2
LEAST_STEPS = 600
SMALLEST_STD = 1e-6  # a feature that never varies is only centred


@dataclass(frozen=True, slots=True)
class DenseLayers:
    """Fitted parameters of both layers, for features as they are (the standardisation is folded in)."""

    dense_weight_DD: Tensor
    dense_bias_D: Tensor
    weight_VD: Tensor
    bias_V: Tensor


def fit_dense_layers(
    features: Sequence[Array],
    wanted: Wanted,
    classes: int,
    *,
    seed: int,
    progress: Progress,
    start: DenseLayers | None = None,
) -> list[DenseLayers]:
    """Both layers for each array (N, D), by cross-entropy on standardised features; deterministic for a seed.

    start: layers to begin with, such as the backbone's own; at random otherwise.
    Adam with weight decay 1e-2, learning rate 1e-3 with cosine decay, 8 epochs but at least 600 steps.
    Raises InputError if fewer than two classes are wanted.
    """
    require_classes(wanted)
    target = targets_of(wanted)
    found = []
    for place, features_ND in enumerate(features):
        found.append(_fitted(torch.from_numpy(np.asarray(features_ND)).float(), target, classes, seed, start))
        progress("fitting heads", (place + 1) / len(features))
    return found


def _fitted(x_ND: Tensor, target: Tensor, classes: int, seed: int, start: DenseLayers | None) -> DenseLayers:
    mean_D, std_D = x_ND.mean(dim=0), x_ND.std(dim=0)
    std_D = torch.where(std_D > SMALLEST_STD, std_D, torch.ones_like(std_D))
    z_ND, width = (x_ND - mean_D) / std_D, x_ND.shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        dense, linear = nn.Linear(width, width), nn.Linear(width, classes)
    if start is not None:
        with torch.no_grad():
            dense.weight.copy_(start.dense_weight_DD * std_D)
            dense.bias.copy_(start.dense_bias_D + start.dense_weight_DD @ mean_D)
            linear.weight.copy_(start.weight_VD)
            linear.bias.copy_(start.bias_V)
    _train(dense, linear, z_ND, target, seed)
    weight_DD = dense.weight.detach() / std_D
    return DenseLayers(
        weight_DD, dense.bias.detach() - weight_DD @ mean_D, linear.weight.detach(), linear.bias.detach()
    )  # fmt: skip


def _train(dense: nn.Linear, linear: nn.Linear, z_ND: Tensor, target: Tensor, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    steps_an_epoch = -(-len(z_ND) // BATCH)
    epochs = max(EPOCHS, -(-LEAST_STEPS // steps_an_epoch))
    parameters = [*dense.parameters(), *linear.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * steps_an_epoch)
    for _ in range(epochs):
        for rows in torch.split(torch.randperm(len(z_ND), generator=generator), BATCH):
            optimizer.zero_grad()
            logits_BV = linear(torch.tanh(dense(z_ND[rows])))
            functional.cross_entropy(logits_BV, target[rows]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
