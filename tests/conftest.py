"""Where the shared test material lies. Tests that need it skip loudly where it is absent."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent


def _folder(variable: str, default: Path) -> Path:
    folder = Path(os.environ.get(variable, default))
    if not folder.is_dir():
        pytest.skip(f"needs the folder {folder} (set {variable})")
    return folder


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared test data: TTAMER_SHARED, or `shared` beside the checkout."""
    return _folder("TTAMER_SHARED", ROOT.parent / "shared")


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of instances with known optima: TTAMER_GOLDEN, or `shared/golden` beside the checkout."""
    return _folder("TTAMER_GOLDEN", ROOT.parent / "shared" / "golden")


# A slow moment of a shared machine is no bug of ours. The default draws the same examples on every machine, so that a
# commit passes or fails alike everywhere; HYPOTHESIS_PROFILE=search draws new ones (`make search`).
settings.register_profile("ttamer", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ttamer"))


@pytest.fixture(autouse=True)
def _keep_subnormal_numbers() -> Iterator[None]:
    """Take back what measuring does to the processor's arithmetic: later tests draw subnormal numbers."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)
