"""Where a document comes from: versions, command, seed and the hashes of what went in."""

import hashlib
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import ttamer

LIBRARIES = ("numpy", "pyarrow", "torch", "torchvision", "transformers", "pulp", "highspy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """How a document came about. `inputs` maps each input's path to its sha256."""

    ttamer: str = ttamer.__version__
    python: str = ""
    platform: str = ""
    libraries: Mapping[str, str] = field(default_factory=dict)
    git: str | None = None
    seed: int | None = None
    command: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain data, for a document's header."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Provenance":
        """The provenance in a document's header; keys of newer minor versions are ignored."""
        return cls(**{name: fields[name] for name in cls.__dataclass_fields__ if name in fields})


def capture(*, seed: int | None = None, inputs: Iterable[Path] = ()) -> Provenance:
    """The provenance of a document written now by this process."""
    return Provenance(
        python=platform.python_version(),
        platform=platform.platform(),
        libraries=_library_versions(),
        git=_git_commit(),
        seed=seed,
        command=" ".join(["ttamer", *sys.argv[1:]]),
        inputs={str(path): sha256_of(path) for path in inputs},
    )


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _library_versions() -> dict[str, str]:
    found = {name: next(iter(metadata.distributions(name=name)), None) for name in LIBRARIES}
    return {name: distribution.version for name, distribution in found.items() if distribution}


def _git_commit() -> str | None:
    """The commit of a source checkout, None in an installed package or without git."""
    root = Path(ttamer.__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        found = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None
