"""Which model a command means: a name, a folder, or one that the profile already knows."""

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ttamer.profiles.errors import DocumentError, InputError
from ttamer.profiles.profile import Profile
from ttamer.profiles.shelf import heads_path, read_profile, weights_path

FACTORY = "ttamer.exits.loading:load"
USER_FACTORY = "ttamer.exits.user_model:load"
NAMED_WEIGHTS = ("random", "default")


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model's name and the arguments of `ttamer.exits.loading.load` that build it."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    factory: str = FACTORY

    def identity(self) -> str:
        """Hash of what a timing depends on: the architecture, not the values of its weights; a user's own code."""
        from ttamer.exits.catalog import resolve

        if self.factory == USER_FACTORY:
            code = _file_of(self.arguments["function"], self.arguments["folder"]).read_bytes()
            return hashlib.sha256(self.arguments["function"].encode() + code).hexdigest()[:12]

        entry = resolve(self.arguments["model"])
        shape = self.arguments.get("input_shape") or entry.input_shape
        head = self.arguments.get("head") or entry.heads[0]
        timed = [entry.name, entry.family, self.arguments.get("classes") or entry.classes, list(shape), head]
        return hashlib.sha256(json.dumps(timed).encode()).hexdigest()[:12]


def existing_profile(folder: Path) -> Profile | None:
    """The profile in a folder, None where there is none yet. A damaged one is an error, not nothing."""
    return read_profile(folder) if (folder / "profile.yaml").is_file() else None


def choose_own_model(function: str) -> ModelChoice:
    """The model that `package.module:function` returns, looked for in the current folder, too.

    Raises InputError if it is written otherwise or there is no such module.
    """
    module, _, name = function.partition(":")
    if not name.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise InputError(f"--model {function!r} names no function", remedy="write it like package.module:function")
    folder = str(Path.cwd())
    _file_of(function, folder)
    return ModelChoice(name, {"function": function, "name": name, "folder": folder}, USER_FACTORY)


def _file_of(function: str, folder: str) -> Path:
    """The file of the module that a function lies in. Raises InputError if there is none."""
    module = function.partition(":")[0]
    added = folder not in sys.path
    if added:
        sys.path.insert(0, folder)
    try:
        found = find_spec(module)
    except ModuleNotFoundError:
        found = None
    finally:
        if added:
            sys.path.remove(folder)
    if found is None or found.origin is None:
        raise InputError(
            f"--model {function}: there is no module {module!r} here",
            remedy="run in the folder of the module, or install its package",
        )
    return Path(found.origin)


def choose_model(
    name_or_path: str,
    profile: Profile | None,
    *,
    weights: str | None = None,
    head: str | None = None,
    size: int | None = None,
    tokens: int | None = None,
) -> ModelChoice:
    """The model meant. What the profile knows of it (weights, classes, shape, heads) holds unless told otherwise.

    Raises InputError for an unknown name and for a weights file that is not there.
    """
    from ttamer.exits.catalog import resolve

    if weights and weights.lower() not in NAMED_WEIGHTS and not Path(weights).is_file():
        raise DocumentError(
            f"there is no weights file {weights}", remedy="give a .safetensors or .pth file, or DEFAULT"
        )
    if profile is not None and name_or_path in profile.models and not (weights or size or tokens):
        return _known(name_or_path, profile, head)
    entry = resolve(name_or_path)
    is_image = len(entry.input_shape) == 3
    if (tokens and is_image) or (size and not is_image):
        reads, wrong = ("images", "--tokens") if is_image else ("texts", "--size")
        raise InputError(f"{entry.name!r} reads {reads}", remedy=f"leave {wrong} out")
    shape = [entry.input_shape[0], size, size] if size else [tokens] if tokens else None
    arguments = {
        "model": str(entry.folder.resolve()) + entry.suffix if entry.folder else entry.name,
        "weights": None if entry.folder else _absolute(weights or "random"),
        "head": head,
        "classes": _classes_in(weights, name_or_path),
        "input_shape": shape,
    }
    return ModelChoice(entry.name, {key: value for key, value in arguments.items() if value is not None})


def _classes_in(weights: str | None, model: str) -> int | None:
    """The number of classes that a weights file tells apart; None where no file is given."""
    if weights is None or weights.lower() in NAMED_WEIGHTS or Path(model).is_dir():
        return None
    from ttamer.exits.loading import spec_of

    return spec_of(model, weights=weights).classes


def _absolute(weights: str) -> str:
    return weights if weights.lower() in NAMED_WEIGHTS else str(Path(weights).resolve())


def _known(name: str, profile: Profile, head: str | None) -> ModelChoice:
    spec = profile.spec(name)
    heads_file = heads_path(profile.require_folder(), name)
    from_folder = Path(spec.source).is_dir()
    named = spec.weights in NAMED_WEIGHTS
    suffix = "+".join(["", *name.split("+")[1:]])
    arguments: dict[str, Any] = {
        "model": spec.source + suffix if from_folder else name,
        "head": head or spec.head,
        "classes": spec.classes,
        "input_shape": list(spec.input_shape),
    }
    if not from_folder:
        arguments["weights"] = spec.weights if named else _weights_file(spec.source, profile, name)
    if heads_file.is_file() and head in (None, spec.head):
        arguments["heads_file"] = str(heads_file.resolve())
    return ModelChoice(name, arguments)


def _weights_file(source: str, profile: Profile, name: str) -> str:
    """The file that holds a model's weights; trained ones lie in the profile's folder and move with it."""
    trained = weights_path(profile.require_folder(), name)
    return str(trained.resolve()) if not Path(source).is_file() and trained.is_file() else source
