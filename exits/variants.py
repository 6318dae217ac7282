"""Variants of one model, measured beside it: another memory layout, another number format, compiled.

A variant is named after its model: `resnet18+channels_last`, `bert-mini+bf16`, `resnet18+channels_last+compile`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from ttamer.exits.heads import State
from ttamer.profiles.errors import InputError

BF16_FLAGS = ("avx512_bf16", "amx_bf16", "bf16")  # Intel and AMD, Intel's tiles, Arm
MOST_STAGES = 1024  # times batch sizes: each is compiled by itself
T = TypeVar("T")
Convert = Callable[[State], State]


def converter(variant: Sequence[str], spec_name: str, shape: Sequence[int], device: torch.device) -> Convert | None:
    """What turns an input into the layout and number format that the variant computes in; None if it stays.

    Raises InputError for a variant that the model or the processor cannot run.
    """
    if "channels_last" in variant and len(shape) != 3:
        raise InputError(f"{spec_name!r} reads texts, which have no channels", remedy="leave +channels_last out")
    if "bf16" in variant and not has_bf16(device):
        raise InputError(
            f"{spec_name!r} asks for bf16 and this processor has none: it would be 7 to 27 times slower, not faster",
            remedy="leave +bf16 out, or use a processor with avx512_bf16 or amx_bf16",
        )
    dtype = torch.bfloat16 if "bf16" in variant else None
    layout = torch.channels_last if "channels_last" in variant else None
    if dtype is None and layout is None:
        return None

    def convert(state: State) -> State:
        return tuple(_converted(tensor, dtype, layout) for tensor in state)

    return convert


def apply_variant(modules: Sequence[nn.Module], variant: Sequence[str]) -> None:
    """Put the weights into the layout and number format of the variant."""
    for module in modules:
        if "bf16" in variant:
            module.to(torch.bfloat16)
        if "channels_last" in variant:
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def compiled(function: Callable[..., T], variant: Sequence[str]) -> Callable[..., T]:
    """The function, compiled if the variant says so."""
    if "compile" not in variant:
        return function
    import torch._dynamo  # loads a compiler, so only where one is wanted

    # Stages share one function and differ in its argument; beyond the usual limit of 8 they would run uncompiled.
    torch._dynamo.config.cache_size_limit = max(torch._dynamo.config.cache_size_limit, MOST_STAGES)
    return torch.compile(function)


def has_bf16(device: torch.device, cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the device computes in bf16 natively."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    try:
        text = cpuinfo.read_text()
    except OSError:
        return False
    flags = next((line for line in text.splitlines() if line.lower().startswith(("flags", "features"))), "")
    return any(flag in flags.split() for flag in BF16_FLAGS)


def _converted(tensor: Tensor, dtype: torch.dtype | None, layout: torch.memory_format | None) -> Tensor:
    if dtype is not None and tensor.is_floating_point():
        tensor = tensor.to(dtype)
    return tensor.contiguous(memory_format=layout) if layout is not None and tensor.dim() == 4 else tensor
