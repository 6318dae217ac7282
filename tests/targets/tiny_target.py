"""Small models that the profiling tests measure in fresh processes; some of them misbehave."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ttamer.profiles.profile import ModelSpec


class TinyTarget:
    """Two linear stages, each with a head."""

    def __init__(self, width: int, device: str) -> None:
        torch.manual_seed(0)
        self.spec = ModelSpec(
            name="tiny", family="test", classes=3, input_shape=(width,), exits=("first", "last"), head="linear"
        )
        self.stages = [nn.Linear(width, width).to(device) for _ in range(2)]
        self.heads = [nn.Linear(width, 3).to(device) for _ in range(2)]
        self.device = device

    def example(self, batch: int) -> Tensor:
        return torch.ones(batch, *self.spec.input_shape, device=self.device)

    def run_stage(self, k: int, state: Tensor) -> Tensor:
        return torch.relu(self.stages[k](state))

    def run_head(self, k: int, state: Tensor) -> Tensor:
        logits: Tensor = self.heads[k](state)
        return logits

    def ask_head(self, k: int, state: Tensor) -> list[float]:
        sure: list[float] = self.run_head(k, state).softmax(dim=1).amax(dim=1).tolist()
        return sure

    def run_whole(self, state: Tensor) -> Tensor:
        for k in range(2):
            state = self.run_stage(k, state)
        return self.run_head(1, state)


def make(*, device: str, width: int = 64) -> TinyTarget:
    sys.stdout.write("a model that talks must not disturb the events\n")
    return TinyTarget(width, device)


def make_nan(*, device: str) -> TinyTarget:
    target = TinyTarget(8, device)
    target.heads[0].weight.data[0, 0] = float("nan")
    return target


def make_misshapen(*, device: str) -> TinyTarget:
    target = TinyTarget(8, device)
    target.heads[0] = nn.Linear(8, 5)
    return target


def make_failing(*, device: str, at_batch: int, error: str) -> TinyTarget:
    """Fails when it runs a batch that large: with an exception, or killed by the system."""

    class Failing(TinyTarget):
        def run_stage(self, k: int, state: Tensor) -> Any:
            if len(state) >= at_batch:
                if error == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                raise RuntimeError(error)
            return super().run_stage(k, state)

    return Failing(8, device)


def make_dying_once(*, device: str, marker: str) -> TinyTarget:
    """Kills its process the first time it is built, as a full machine does now and then."""
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return TinyTarget(8, device)


class TinyWorkload:
    """Four samples answered in two ways; it counts its calls."""

    ways = ("early", "late")

    def __init__(self, fails: bool) -> None:
        self.fails = fails
        self.calls = {way: [0] * 4 for way in self.ways}

    def batches(self, batch: int) -> int:
        return 4 // batch

    def run(self, way: str, batch: int, index: int) -> Any:
        if self.fails and batch > 1:
            raise RuntimeError("too large")
        self.calls[way][index] += 1
        return torch.ones(batch, 2)

    def report(self) -> dict[str, Any]:
        return {"calls": self.calls}


def make_workload(*, device: str, fails: bool = False) -> TinyWorkload:
    return TinyWorkload(fails)
