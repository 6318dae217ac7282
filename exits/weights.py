"""Reading the weights of a backbone from a file and copying them into a network."""

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from ttamer.profiles.errors import InputError

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".th")


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file by name; code in a .pth file is never run.

    Raises InputError if the file is missing, damaged or holds anything but tensors.
    """
    if not path.is_file():
        raise InputError(f"the weights file {path} does not exist", remedy="check the path, or use `random`")
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path} is no weights file", remedy=f"allowed endings: {', '.join(SUFFIXES)}")
    try:
        if path.suffix == ".safetensors":
            tensors: dict[str, Tensor] = load_file(path)
            return tensors
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, UnpicklingError, RuntimeError, OSError, EOFError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} cannot be read as weights: {reason}", remedy="store plain tensors") from None
    return _tensors(content, path)


def weight_shape(path: Path, key: str) -> tuple[int, ...] | None:
    """The shape of one tensor in a weights file, None if the file lacks it."""
    if path.is_file() and path.suffix == ".safetensors":
        try:
            with safe_open(path, "pt") as file:
                return tuple(file.get_slice(key).get_shape()) if key in file.keys() else None  # noqa: SIM118
        except SafetensorError as error:
            raise InputError(f"{path} cannot be read as weights: {error}", remedy="copy the file anew") from None
    tensors = read_weights(path)
    return tuple(tensors[key].shape) if key in tensors else None


def copy_weights(network: nn.Module, weights: Mapping[str, Tensor], name: str) -> None:
    """Copy weights into a network, as float32.

    Raises InputError that names the first tensor which is missing, surplus or of another shape.
    """
    wanted = network.state_dict()
    # Batch counters are not used in inference and are missing from many published files.
    missing = sorted(set(wanted) - set(weights) - {key for key in wanted if key.endswith("num_batches_tracked")})
    surplus = sorted(set(weights) - set(wanted))
    if missing or surplus:
        problem = f"lack {missing[0]!r}" if missing else f"hold the unknown {surplus[0]!r}"
        raise InputError(f"the weights {problem} of {name!r}", remedy="give the weights of this very model")
    for key, tensor in weights.items():
        if tensor.shape != wanted[key].shape:
            shapes = f"{tuple(tensor.shape)}, expected {tuple(wanted[key].shape)}"
            raise InputError(f"{key!r} of {name!r} has shape {shapes}", remedy="give the weights of this very model")
        if not torch.isfinite(tensor).all():
            raise InputError(f"{key!r} of {name!r} holds NaN or infinity", remedy="give intact weights")
    network.load_state_dict(dict(weights), strict=False)


def _tensors(content: object, path: Path) -> dict[str, Tensor]:
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"{path} holds something else than named tensors", remedy="store the model's state_dict")
    # Networks trained under DataParallel carry this prefix.
    return {str(key).removeprefix("module."): value for key, value in content.items()}
