"""Heads: a pooling without parameters, then one linear layer.

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
POOL4_SIDE = 4  # Kaya et al., Shallow-Deep Networks (2019): internal classifiers pool to 4x4


@dataclass(frozen=True, slots=True)
class Pooling:
    """A pooling of a state to (B, cells * C)."""

    pool: Callable[[State], Tensor]
    cells: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadKind:
    """A kind of head: what it reads (`image` or `text`) and how exit k of K pools."""

    modality: str
    pooling: Callable[[int, int], Pooling]


def global_average(state: State) -> Tensor:
    """The mean of every channel over the image."""
    return state[0].mean(dim=(2, 3))


def grid_average(state: State) -> Tensor:
    """The mean of every channel in each cell of a 4x4 grid."""
    return functional.adaptive_avg_pool2d(state[0], POOL4_SIDE).flatten(1)


def masked_mean(state: State) -> Tensor:
    """The mean of the hidden states over the tokens that are no padding."""
    hidden, mask = state
    weight = mask.to(hidden.dtype).unsqueeze(-1)
    return (hidden * weight).sum(dim=1) / weight.sum(dim=1).clamp_min(1.0)


def first_token(state: State) -> Tensor:
    """The hidden state of the first token (CLS)."""
    return state[0][:, 0]


def _pool4(k: int, exits: int) -> Pooling:
    # Deep maps are small and many-channelled already: a grid there costs sixteen times the weights for nothing.
    return Pooling(grid_average, POOL4_SIDE**2) if k < exits // 2 else Pooling(global_average)


HEADS = {
    "cls": HeadKind(modality="text", pooling=lambda k, exits: Pooling(first_token)),
    "gap": HeadKind(modality="image", pooling=lambda k, exits: Pooling(global_average)),
    "mean": HeadKind(modality="text", pooling=lambda k, exits: Pooling(masked_mean)),
    "pool4": HeadKind(modality="image", pooling=_pool4),
}


class Head(nn.Module):
    """A pooling and a linear layer: state to logits (B, V)."""

    def __init__(self, pooling: Pooling, channels: int, classes: int) -> None:
        super().__init__()
        self.pooling = pooling
        self.linear = nn.Linear(pooling.cells * channels, classes)

    def pool(self, state: State) -> Tensor:
        """The pooled features (B, D)."""
        return self.pooling.pool(state)

    def forward(self, state: State) -> Tensor:
        """The head's logits (B, V)."""
        logits: Tensor = self.linear(self.pool(state))
        return logits

    @torch.no_grad()
    def set_linear(self, weight: Tensor, bias: Tensor) -> None:
        """Take over fitted parameters, of shapes (V, D) and (V,)."""
        self.linear.weight.copy_(weight)
        self.linear.bias.copy_(bias)


def make_heads(kind: str, widths: Sequence[int], classes: int, *, last: bool) -> list[Head]:
    """Heads for the exits of a backbone of these widths; `last` says whether the last exit gets one too.

    Raises InputError for an unknown kind.
    """
    head, K = lookup(HEADS, kind, "head"), len(widths)
    count = K if last else K - 1
    return [Head(head.pooling(k, K), widths[k], classes) for k in range(count)]
