"""A model of the user's own, from a function `package.module:function` that returns it with an example input.

The function takes no arguments and returns (module, example): the example is a tensor, or a tuple of tensors, each
with the batch as its first axis. A plain module is one stage. A module with the attributes `stages` and `heads`, lists
of modules of one length, is measured stage by stage: stages[k] takes what stage k-1 returned (stage 0 the example),
heads[k] takes what stages[k] returned and answers with logits (batch, classes).
"""

import importlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ttamer.exits.inference import inferring
from ttamer.exits.signals import confidences
from ttamer.profiles.errors import InputError
from ttamer.profiles.profile import ModelSpec

FAMILY = "user"


class UserModel:
    """A user's module as something that can be measured. Axes: B batch, K exits, V classes."""

    def __init__(self, spec: ModelSpec, module: nn.Module, example: tuple[Tensor, ...]) -> None:
        self.spec = spec
        self._example = example
        self._module = module
        self._stages: Sequence[nn.Module] = list(getattr(module, "stages", ()))
        self._heads: Sequence[nn.Module] = list(getattr(module, "heads", ()))

    @inferring
    def example(self, batch: int) -> tuple[Tensor, ...]:
        """The user's example, repeated along its first axis until there are B rows."""
        return tuple(_with_rows(tensor, batch) for tensor in self._example)

    @inferring
    def run_stage(self, k: int, state: Any) -> Any:
        """The state after stage k; a plain module's only stage is the whole module."""
        if not self._stages:
            return self._module(*state)
        return self._stages[k](*state) if k == 0 else self._stages[k](state)

    @inferring
    def run_head(self, k: int, state: Any) -> Tensor:
        """The logits (B, V) of exit k; of a plain module, what it returned."""
        return logits_of(self._heads[k](state) if self._heads else state)

    def ask_head(self, k: int, state: Any) -> list[float]:
        """How sure exit k is of each row (B,), read out of the device, as a policy asks it."""
        return confidences(self.run_head(k, state))

    @inferring
    def run_whole(self, state: Any) -> Tensor:
        """The logits (B, V) of the last exit."""
        for k in range(len(self.spec.exits)):
            state = self.run_stage(k, state)
        return self.run_head(len(self.spec.exits) - 1, state)


def load(function: str, *, name: str, folder: str = "", device: str = "cpu") -> UserModel:
    """The model that a function returns, in evaluation mode on the device. folder: where its module lies.

    Raises InputError if it cannot be imported, or returns something else than a module and its example.
    """
    module, example = _call(function, folder)
    place = torch.device(device)
    module.requires_grad_(False).eval().to(place)
    inputs = tuple(tensor.to(place) for tensor in (example if isinstance(example, tuple) else (example,)))
    exits = _exits(module, function)
    spec = ModelSpec(
        name=name, family=FAMILY, classes=2, input_shape=tuple(inputs[0].shape[1:]), exits=exits, head="own",
        weights=FAMILY, source=function,
    )  # fmt: skip
    model = UserModel(spec, module, inputs)
    logits = model.run_whole(model.example(1))
    if logits.dim() != 2 or logits.shape[1] < 2:
        raise InputError(
            f"{function} answers one input with shape {tuple(logits.shape)}",
            remedy="return a module whose answers are logits of shape (batch, classes)",
        )
    model.spec = replace(spec, classes=int(logits.shape[1]))
    return model


def logits_of(answer: Any) -> Tensor:
    """The logits in an answer: itself, its attribute `logits` (as transformers returns), or its first part."""
    logits = getattr(answer, "logits", answer)
    first: Tensor = logits[0] if isinstance(logits, tuple) else logits
    return first


def _call(function: str, folder: str) -> tuple[nn.Module, Any]:
    module_name, _, name = function.partition(":")
    if folder and folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        made = getattr(importlib.import_module(module_name), name)()
    except SyntaxError as error:
        raise InputError(
            f"{error.filename}, line {error.lineno}: {error.msg}", remedy="correct it; Python cannot read it"
        ) from error
    except AttributeError as error:
        if hasattr(sys.modules.get(module_name), name):  # the function is there and failed inside
            raise
        raise InputError(
            f"there is no function {name!r} in {module_name}", remedy="name one of its functions"
        ) from error
    except ImportError as error:
        raise InputError(
            f"{function} cannot be called: {error}", remedy="run in the folder of the module, or install its package"
        ) from error
    if not (isinstance(made, tuple) and len(made) == 2 and isinstance(made[0], nn.Module) and _is_example(made[1])):
        kind = type(made).__name__
        raise InputError(f"{function} returns {kind}", remedy="return a torch.nn.Module and a tensor, as a tuple")
    return made[0], made[1]


def _is_example(example: Any) -> bool:
    tensors = example if isinstance(example, tuple) else (example,)
    return bool(tensors) and all(isinstance(one, Tensor) and one.dim() >= 1 and len(one) for one in tensors)


def _exits(module: nn.Module, function: str) -> tuple[str, ...]:
    stages, heads = (list(getattr(module, name, ())) for name in ("stages", "heads"))
    if len(stages) != len(heads):
        raise InputError(
            f"{function}: {len(stages)} stages and {len(heads)} heads", remedy="give every stage one head, or neither"
        )
    return tuple(f"stage.{k}" for k in range(len(stages))) or ("output",)


def _with_rows(tensor: Tensor, batch: int) -> Tensor:
    repeats = -(-batch // len(tensor))
    return tensor.repeat(repeats, *[1] * (tensor.dim() - 1))[:batch].contiguous()
