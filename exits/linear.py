"""Fitting linear layers to cached features: independent heads, trained side by side.

Axes: G heads of one width, N samples, B of them, D features, V classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ttamer.exits.features import Array, Progress
from ttamer.exits.threads import one_thread_if
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Floats, Ints

EPOCHS, BATCH, LEARNING_RATE = 15, 256, 1e-2
LEAST_STEPS = 600  # small data sets get more epochs: 15 would leave their heads under-confident
SMALL_LAYER = 2**16  # parameters up to which a step takes well under a millisecond on one thread
Wanted = Ints | Floats
SMALLEST_STD = 1e-6  # a feature that never varies (a dead channel) is only centred


@dataclass(frozen=True, slots=True)
class LinearLayer:
    """Fitted parameters, for features as they are (the standardisation is folded in)."""

    weight_VD: Tensor
    bias_V: Tensor


@dataclass(frozen=True, slots=True)
class _Group:
    """Standardised features of G heads with equally many features, and their layers, stacked."""

    places: tuple[int, ...]
    x_GND: Tensor
    mean_GD: Tensor
    std_GD: Tensor
    weight_GDV: nn.Parameter
    bias_GV: nn.Parameter

    def loss(self, rows: Tensor, wanted: Tensor) -> Tensor:
        """The sum over the heads of their mean cross-entropy on these rows."""
        logits_GBV = torch.baddbmm(self.bias_GV[:, None], self.x_GND[:, rows], self.weight_GDV)
        repeated = torch.cat([wanted[rows]] * len(self.places))
        return functional.cross_entropy(logits_GBV.flatten(0, 1), repeated) * len(self.places)

    def layers(self) -> dict[int, LinearLayer]:
        """The fitted layers by their place among the heads."""
        weight_GVD = (self.weight_GDV.detach() / self.std_GD[:, :, None]).transpose(1, 2).contiguous()
        bias_GV = self.bias_GV.detach() - torch.einsum("gvd,gd->gv", weight_GVD, self.mean_GD)
        return {k: LinearLayer(weight_GVD[g].clone(), bias_GV[g].clone()) for g, k in enumerate(self.places)}


def require_classes(wanted: Wanted) -> None:
    """Raise InputError if fewer than two classes are wanted."""
    if len(np.unique(wanted if wanted.ndim == 1 else wanted.argmax(axis=1))) < 2:
        raise InputError(
            "the samples to fit on show one class only",
            remedy="give more samples to fit on, or fit to the target `label`",
        )


def targets_of(wanted: Wanted) -> Tensor:
    """What cross-entropy is taken against: classes (N,), or probabilities (N, V) in single precision."""
    return torch.from_numpy(np.asarray(wanted, dtype=np.int64 if wanted.ndim == 1 else np.float32))


def fit_linear_layers(
    features: Sequence[Array], wanted: Wanted, classes: int, *, seed: int, progress: Progress
) -> list[LinearLayer]:
    """One layer for each array (N, D), by cross-entropy on standardised features.

    wanted: classes (N,), or probabilities of the classes (N, V).
    Adam, learning rate 1e-2 with cosine decay, batches of 256, 15 epochs but at least 600 steps. Deterministic for
    a seed. Raises InputError if fewer than two classes are wanted.
    """
    require_classes(wanted)
    if not features:
        return []
    groups = _grouped(features, classes)
    with one_thread_if(max(group.weight_GDV.numel() for group in groups) < SMALL_LAYER):
        _train(groups, targets_of(wanted), seed, progress)
    layers = {k: layer for group in groups for k, layer in group.layers().items()}
    return [layers[k] for k in range(len(features))]


def _grouped(features: Sequence[Array], classes: int) -> list[_Group]:
    """The heads in groups of one width, which take a step together: many small steps would wait on each other."""
    widths = sorted({features_ND.shape[1] for features_ND in features})
    places = [tuple(k for k, array in enumerate(features) if array.shape[1] == width) for width in widths]
    return [_group(group, [features[k] for k in group], classes) for group in places]


def _group(places: tuple[int, ...], features: Sequence[Array], classes: int) -> _Group:
    mean = np.stack([features_ND.mean(axis=0, dtype=np.float64) for features_ND in features])
    std = np.stack([features_ND.std(axis=0, dtype=np.float64) for features_ND in features])
    mean_GD = torch.from_numpy(mean).float()
    std_GD = torch.from_numpy(np.where(std > SMALLEST_STD, std, 1.0)).float()
    x_GND = torch.stack([torch.from_numpy(features_ND).float() for features_ND in features])
    x_GND.sub_(mean_GD[:, None]).div_(std_GD[:, None])
    # The loss is convex, so every start is as good; zero needs no random numbers.
    weight_GDV = nn.Parameter(torch.zeros(len(places), mean.shape[1], classes))
    return _Group(places, x_GND, mean_GD, std_GD, weight_GDV, nn.Parameter(torch.zeros(len(places), classes)))


def _train(groups: list[_Group], wanted: Tensor, seed: int, progress: Progress) -> None:
    generator = torch.Generator().manual_seed(seed)
    steps_an_epoch = -(-len(wanted) // BATCH)
    epochs = max(EPOCHS, -(-LEAST_STEPS // steps_an_epoch))
    parameters = [parameter for group in groups for parameter in (group.weight_GDV, group.bias_GV)]
    optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * steps_an_epoch)
    for epoch in range(epochs):
        for rows in torch.split(torch.randperm(len(wanted), generator=generator), BATCH):
            optimizer.zero_grad()
            torch.stack([group.loss(rows, wanted) for group in groups]).sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        progress("fitting heads", (epoch + 1) / epochs)
