"""Staged models without weights: their logits are given, and every call is counted.

Axes: N rows, K exits, V classes.
"""

from typing import Any

import torch
from torch import Tensor

from ttamer.exits.staged import Backbone, StagedModel, State
from ttamer.profiles.profile import ModelSpec


class TableBackbone(Backbone):
    """Answers row n at exit k with logits_KNV[k, n]; its input is the row number, as an image of one pixel."""

    def __init__(self, logits_KNV: Tensor) -> None:
        super().__init__()
        self.logits_KNV = logits_KNV
        self.widths = (1,) * len(logits_KNV)

    def stage(self, k: int, state: State) -> State:
        return (state[0] + 0,)

    def classify(self, state: State) -> Tensor:
        return self.logits_KNV[-1, state[0].reshape(-1).long()]

    def example(self, batch: int, input_shape: tuple[int, ...], device: torch.device) -> State:
        return (torch.arange(batch),)


class CountingModel(StagedModel):
    """A staged model of a table that notes which stages and heads ran, each with how many rows."""

    def __init__(self, logits_KNV: Tensor, name: str = "table") -> None:
        torch.nn.Module.__init__(self)
        exits, _, classes = logits_KNV.shape
        self.spec = ModelSpec(
            name=name, family="test", classes=classes, input_shape=(1, 1, 1),
            exits=tuple(f"exit{k}" for k in range(exits)), head="gap",
        )  # fmt: skip
        self.device = torch.device("cpu")
        self.backbone: Any = TableBackbone(logits_KNV)
        self.stages: list[tuple[int, int]] = []
        self.asked: list[tuple[int, int]] = []

    def run_stage(self, k: int, state: State) -> State:
        self.stages.append((k, len(state[0])))
        return self.backbone.stage(k, state)

    def run_head(self, k: int, state: State) -> Tensor:
        self.asked.append((k, len(state[0])))
        logits: Tensor = self.backbone.logits_KNV[k, state[0].long()]
        return logits


def sure_logits(confidence: list[list[float]], wrong: list[list[bool]] | None = None) -> Tensor:
    """Two-class logits (K, N, 2) of class 1 with these confidences, a row a sample; class 0 where wrong."""
    sure_KN = torch.tensor(confidence, dtype=torch.float64).T
    towards_KN = torch.log(sure_KN / (1 - sure_KN))
    if wrong is not None:
        towards_KN = torch.where(torch.tensor(wrong).T, -towards_KN, towards_KN)
    return torch.stack([torch.zeros_like(towards_KN), towards_KN], dim=2)
