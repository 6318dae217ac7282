"""Training the small recurrent network by which published controllers predict load, and keeping what was trained.

It lies in this room because torch does; predicting with the weights needs numpy alone (`planning/adaptation`).
The network: LSTM of 25 units with ReLU in place of the hyperbolic tangent, then one linear output; mean squared error
plus an L1 penalty on the input weights, Adam, 30 epochs in batches of 64.
Source: the published code of IPA (JSys 2024) and InfAdapter (EuroMLSys 2023), whose defaults are those of Keras.

Axes: N examples, B bins, U units, G the four gates (input, forget, cell, output) of U units each.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save
from torch import Tensor

from ttamer.exits.threads import one_thread_if
from ttamer.profiles.documents import write_atomically

Floats = NDArray[np.float64]
OnProgress = Callable[[int, int], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How the network is trained. Source of every default: the published code."""

    units: int = 25
    epochs: int = 30
    batch: int = 64
    learning_rate: float = 1e-3
    l1: float = 1e-5
    seed: int = 0


def trained_network(
    folder: Path, name: str, bins_NB: Floats, target_N: Floats, recipe: Recipe, on_progress: OnProgress | None = None
) -> dict[str, Floats]:
    """The network trained on these examples: read from the folder if it was trained before, else trained and kept.

    The file's name holds the digest of the examples and the recipe, so that another past trains another network.
    """
    digest = hashlib.sha256(bins_NB.tobytes() + target_N.tobytes() + repr(recipe).encode()).hexdigest()[:16]
    path = folder / f"{name}.{digest}.safetensors"
    if path.is_file():
        return {key: np.asarray(value, dtype=np.float64) for key, value in load_file(path).items()}
    network = train_network(bins_NB, target_N, recipe, on_progress)
    content = save({key: np.asarray(value, order="C") for key, value in network.items()})
    write_atomically(path, lambda file: file.write(content))
    return network


def train_network(
    bins_NB: Floats, target_N: Floats, recipe: Recipe, on_progress: OnProgress | None = None
) -> dict[str, Floats]:
    """The weights after training. on_progress is told how many epochs of how many are done."""
    with one_thread_if(True):
        generator = torch.Generator().manual_seed(recipe.seed)
        weights = _initial(recipe.units, generator)
        optimizer = torch.optim.Adam(weights.values(), lr=recipe.learning_rate, eps=1e-7)
        inputs = torch.as_tensor(bins_NB, dtype=torch.float32)
        targets = torch.as_tensor(target_N, dtype=torch.float32)
        for epoch in range(recipe.epochs):
            for rows in torch.split(torch.randperm(len(inputs), generator=generator), recipe.batch):
                loss = (answer(weights, inputs[rows]) - targets[rows]).square().mean()
                loss = loss + recipe.l1 * weights["input_1G"].abs().sum()
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            if on_progress:
                on_progress(epoch + 1, recipe.epochs)
        return {name: weight.detach().double().numpy() for name, weight in weights.items()}


def answer(weights: dict[str, Tensor], bins: Tensor) -> Tensor:
    """What the network makes of each row of bins."""
    hidden = bins.new_zeros(len(bins), len(weights["output_U"]))
    cell = torch.zeros_like(hidden)
    from_input = bins.unsqueeze(2) * weights["input_1G"] + weights["bias_G"]
    for at in range(bins.shape[1]):
        enter, forget, candidate, leave = (from_input[:, at] + hidden @ weights["recurrent_UG"]).chunk(4, dim=1)
        cell = forget.sigmoid() * cell + enter.sigmoid() * candidate.relu()
        hidden = leave.sigmoid() * cell.relu()
    return hidden @ weights["output_U"] + weights["output_bias"]


def _initial(units: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Keras' start: Glorot for what comes in and goes out, orthogonal for what recurs, forget gates open."""
    input_1G = torch.empty(1, 4 * units)
    recurrent_UG = torch.empty(units, 4 * units)
    output_U = torch.empty(1, units)
    torch.nn.init.xavier_uniform_(input_1G, generator=generator)
    torch.nn.init.orthogonal_(recurrent_UG, generator=generator)
    torch.nn.init.xavier_uniform_(output_U, generator=generator)
    bias_G = torch.zeros(4 * units)
    bias_G[units : 2 * units] = 1.0
    weights = {
        "input_1G": input_1G,
        "recurrent_UG": recurrent_UG,
        "bias_G": bias_G,
        "output_U": output_U[0].clone(),
        "output_bias": torch.zeros(()),
    }
    return {name: weight.requires_grad_() for name, weight in weights.items()}
