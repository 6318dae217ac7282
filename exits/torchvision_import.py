"""Importing torchvision and transformers where torchvision's compiled operators may be missing.

A torchvision built for another torch cannot load its operators and then fails at import, although
the classification models need none of them; transformers imports torchvision and fails with it.
On a proper pairing nothing here does anything: defining an operator twice would abort the process.
"""

import importlib
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import torch

from ttamer.profiles.errors import InputError

# Operators that torchvision's Python files name while they are imported.
SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
_defined: list[Any] = []  # torch forgets the schemas when the library object dies


def torchvision() -> ModuleType:
    """The module torchvision. Raises InputError if it is not installed."""
    if find_spec("torchvision") is None:
        raise InputError("torchvision is not installed", remedy="pip install torchvision")
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    _forget_half_made_modules()
    _define_missing_schemas()
    return importlib.import_module("torchvision")


def transformers() -> ModuleType:
    """The module transformers, with torchvision made importable first. Raises InputError if it is not installed."""
    if find_spec("transformers") is None:
        raise InputError("transformers is not installed", remedy="pip install transformers")
    if find_spec("torchvision") is not None:
        torchvision()
    return importlib.import_module("transformers")


def has_compiled_operators() -> bool:
    """Whether torchvision's compiled operators work here; the classification models run without them."""
    torchvision()
    return bool(importlib.import_module("torchvision.extension")._has_ops())


def installed_software() -> dict[str, Any]:
    """What `ttamer doctor` asks about the numeric libraries: versions, and whether they fit each other."""
    return {
        "torch": str(torch.__version__),
        "torchvision": _installed_version("torchvision"),
        "transformers": _installed_version("transformers"),
        "cuda": torch.version.cuda,
        "sees_gpu": torch.cuda.is_available(),
        "has_operators": has_compiled_operators() if find_spec("torchvision") else None,
        "capability": torch.backends.cpu.get_cpu_capability(),
    }


def _installed_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _forget_half_made_modules() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]


def _define_missing_schemas() -> None:
    library_class: Any = torch.library.Library  # torch leaves it untyped
    library = library_class("torchvision", "FRAGMENT")
    _defined.append(library)
    for name, schema in SCHEMAS.items():
        if not hasattr(torch.ops.torchvision, name):
            library.define(schema)
