"""A model cut into stages with a way out after each.

Stage 0 is the stem (or the embeddings) with the first block, stage k is block k. Exits 0..K-2 carry
heads; exit K-1 is the backbone's own classifier. A state is a tuple of tensors, each with the batch
as its first axis, so rows can be dropped by indexing. Axes: B batch, K exits, V classes.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ttamer.exits.catalog import Entry
from ttamer.exits.heads import Head
from ttamer.exits.inference import inferring
from ttamer.exits.signals import confidences
from ttamer.exits.variants import apply_variant, compiled, converter
from ttamer.profiles.errors import InputError
from ttamer.profiles.profile import ModelSpec

if TYPE_CHECKING:
    from ttamer.exits.dense import DenseLayers

State = tuple[Tensor, ...]


class Backbone(nn.Module, ABC):
    """A trunk in K stages with its own classifier; `widths` are the channels of the state after each stage."""

    widths: tuple[int, ...]
    has_classifier: bool = True

    @abstractmethod
    def stage(self, k: int, state: State) -> State:
        """The state after stage k."""

    @abstractmethod
    def classify(self, state: State) -> Tensor:
        """The backbone's own logits (B, V) from the state after the last stage."""

    def pooler(self) -> "DenseLayers | None":
        """Copies of the layers of its own classifier, for dense heads to start from; None if it is of another kind."""
        return None

    @abstractmethod
    def example(self, batch: int, input_shape: tuple[int, ...], device: torch.device) -> State:
        """A random valid input of stage 0."""


class ImageBackbone(Backbone):
    """A residual network: stem, blocks, tail. Its state is the feature map alone."""

    def __init__(self, stem: nn.Module, blocks: Sequence[nn.Module], tail: nn.Module, widths: Sequence[int]) -> None:
        super().__init__()
        self.stem, self.blocks, self.tail = stem, nn.ModuleList(blocks), tail
        self.widths = tuple(widths)

    def stage(self, k: int, state: State) -> State:
        """The feature map after block k."""
        (x,) = state
        return (self.blocks[k](self.stem(x) if k == 0 else x),)

    def classify(self, state: State) -> Tensor:
        """The network's own logits."""
        logits: Tensor = self.tail(state[0])
        return logits

    def example(self, batch: int, input_shape: tuple[int, ...], device: torch.device) -> State:
        """Images of standard normal pixels, as normalised images are."""
        return (torch.randn(batch, *input_shape, device=device),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How the models of one family are built.

    build: the backbone from entry, classes and weights (None: random initialisation, from torch's generator).
    default_weights: the published weights of a model by name; raises InputError where they cannot be had.
    classifier: key of the classifier's weight in a weights file, from which the number of classes is read.
    """

    build: Callable[[Entry, int, Mapping[str, Tensor] | None], Backbone]
    default_weights: Callable[[str], Mapping[str, Tensor]]
    classifier: str


class StagedModel(nn.Module):
    """A backbone with a head on every exit, for inference.

    `run_head` divides the logits by the exit's temperature (1 unless fitted, and where the head's weights hold it), so
    its softmax is what exit records hold; `run_whole` returns the backbone's logits untouched.
    """

    def __init__(self, spec: ModelSpec, backbone: Backbone, heads: Sequence[Head], device: torch.device) -> None:
        super().__init__()
        fitted = len(spec.exits) - backbone.has_classifier
        if len(backbone.widths) != len(spec.exits) or len(heads) != fitted:
            raise InputError(f"{spec.name!r} has {len(spec.exits)} exits but {len(heads)} heads")
        self.spec, self.device = spec, device
        self.backbone, self.heads = backbone, nn.ModuleList(heads)
        self.temperature_K: tuple[float, ...] = (1.0,) * len(spec.exits)
        self.requires_grad_(False).eval().to(device)
        self._convert = converter(spec.variant, spec.name, spec.input_shape, device)
        apply_variant((self.backbone, self.heads), spec.variant)
        self._stage_K = [compiled(partial(backbone.stage, k), spec.variant) for k in range(len(spec.exits))]
        self._logits_K = [compiled(partial(self._logits, k), spec.variant) for k in range(len(spec.exits))]

    @property
    def exits(self) -> int:
        """K, the number of exits, the backbone's own classifier included."""
        return len(self.spec.exits)

    @property
    def starts(self) -> tuple[int, ...]:
        """The first exit of each model: there is one."""
        return (0,)

    @inferring
    def example(self, batch: int) -> State:
        """A random valid input of stage 0, on the model's device."""
        return self.backbone.example(batch, self.spec.input_shape, self.device)

    @inferring
    def run_stage(self, k: int, state: State) -> State:
        """The state after stage k, from the state before it."""
        return self._stage_K[k](self._convert(state) if k == 0 and self._convert else state)

    @inferring
    def run_head(self, k: int, state: State) -> Tensor:
        """Calibrated logits (B, V) of exit k, from the state after stage k."""
        logits, temperature = self._logits_K[k](state), self.temperature_K[k]
        return logits if temperature == 1 else logits / temperature

    def ask_head(self, k: int, state: State) -> list[float]:
        """How sure exit k is of each row (B,), read out of the device, as a policy asks it."""
        return confidences(self.run_head(k, state))

    @inferring
    def run_whole(self, state: State) -> Tensor:
        """The backbone's own logits (B, V), without any early head."""
        if self._convert:
            state = self._convert(state)
        for stage in self._stage_K:
            state = stage(state)
        return self._logits_K[-1](state)

    @inferring
    def pooled(self, k: int, state: State) -> Tensor:
        """What the linear layer of head k sees (B, D), from the state after stage k."""
        head = self.heads[k]
        assert isinstance(head, Head)
        return head.pool(state)

    def _logits(self, k: int, state: State) -> Tensor:
        logits: Tensor = self.heads[k](state) if k < len(self.heads) else self.backbone.classify(state)
        return logits.float()
