"""Heads: a pooling without parameters, then one linear layer, with or without a dense one before it.

A head sees the state after its stage: a feature map (B, C, H, W), or hidden states (B, T, C) with their
mask (B, T). Axes: B batch, C channels, T tokens, D pooled features, V classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ttamer.profiles.registry import lookup

State = tuple[Tensor, ...]
# Features of a grid: 4x4 cells, as Kaya et al., Shallow-Deep Networks (2019), pool to, of up to 256 channels.
# On CIFAR-10 a grid in the middle of ResNet-20 is right for 14 to 17 images of 100 more than the mean alone.
MOST_POOLED = 4096


@dataclass(frozen=True, slots=True)
class Pooling:
    """A pooling of a state to (B, cells * C)."""

    pool: Callable[[State], Tensor]
    cells: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadKind:
    """A kind of head: what it reads (`image` or `text`) and how it pools a state of so many channels.

    is_dense: whether a hidden layer with tanh comes between, as in BERT's own pooler.
    """

    modality: str
    pooling: Callable[[int], Pooling]
    is_dense: bool = False


def global_average(state: State) -> Tensor:
    """The mean of every channel over the image."""
    return state[0].mean(dim=(2, 3))


def grid_average(state: State, side: int = 4) -> Tensor:
    """The mean of every channel in each cell of a square grid."""
    return functional.adaptive_avg_pool2d(state[0], side).flatten(1)


def masked_mean(state: State) -> Tensor:
    """The mean of the hidden states over the tokens that are no padding."""
    hidden, mask = state
    weight = mask.to(hidden.dtype).unsqueeze(-1)
    return (hidden * weight).sum(dim=1) / weight.sum(dim=1).clamp_min(1.0)


def first_token(state: State) -> Tensor:
    """The hidden state of the first token (CLS)."""
    return state[0][:, 0]


def _pool4(channels: int) -> Pooling:
    """The finest grid up to 4x4 that leaves at most MOST_POOLED features: many-channelled maps get a coarser one."""
    side = next((side for side in (4, 2) if side * side * channels <= MOST_POOLED), 1)
    return Pooling(lambda state: grid_average(state, side), side * side) if side > 1 else Pooling(global_average)


HEADS = {
    "cls": HeadKind(modality="text", pooling=lambda channels: Pooling(first_token)),
    "gap": HeadKind(modality="image", pooling=lambda channels: Pooling(global_average)),
    "mean": HeadKind(modality="text", pooling=lambda channels: Pooling(masked_mean)),
    "pool4": HeadKind(modality="image", pooling=_pool4),
    "pooler": HeadKind(modality="text", pooling=lambda channels: Pooling(first_token), is_dense=True),
}


class Head(nn.Module):
    """A pooling, for a dense head a hidden layer with tanh, and a linear layer: state to logits (B, V)."""

    def __init__(self, pooling: Pooling, channels: int, classes: int, *, is_dense: bool = False) -> None:
        super().__init__()
        self.pooling = pooling
        features = pooling.cells * channels
        self.dense = nn.Linear(features, features) if is_dense else None
        self.linear = nn.Linear(features, classes)

    def pool(self, state: State) -> Tensor:
        """The pooled features (B, D)."""
        return self.pooling.pool(state)

    def forward(self, state: State) -> Tensor:
        """The head's logits (B, V)."""
        return self.read(self.pool(state))

    def read(self, pooled_BD: Tensor) -> Tensor:
        """The head's logits (B, V) from its pooled features."""
        if self.dense is not None:
            pooled_BD = torch.tanh(self.dense(pooled_BD))
        logits: Tensor = self.linear(pooled_BD)
        return logits

    @torch.no_grad()
    def set_linear(self, weight: Tensor, bias: Tensor) -> None:
        """Take over fitted parameters, of shapes (V, D) and (V,)."""
        self.linear.weight.copy_(weight)
        self.linear.bias.copy_(bias)

    @torch.no_grad()
    def set_dense(self, weight: Tensor, bias: Tensor) -> None:
        """Take over the fitted parameters of the hidden layer, of shapes (D, D) and (D,)."""
        assert self.dense is not None
        self.dense.weight.copy_(weight)
        self.dense.bias.copy_(bias)


def make_heads(kind: str, widths: Sequence[int], classes: int, *, last: bool) -> list[Head]:
    """Heads for the exits of a backbone of these widths; `last` says whether the last exit gets one too.

    Raises InputError for an unknown kind.
    """
    head = lookup(HEADS, kind, "head")
    fitted = widths if last else widths[:-1]
    return [Head(head.pooling(width), width, classes, is_dense=head.is_dense) for width in fitted]
