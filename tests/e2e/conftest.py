"""A pipeline run once: a small ResNet fitted on digits and measured in a folder that every test gets a copy of."""

import shutil
from contextlib import chdir
from pathlib import Path

import pytest

from tests.e2e.commands import FIT, PLAN, PROFILE, Pipeline, ttamer

pytest.register_assert_rewrite("tests.e2e.bad_input")


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """The commands up to the plan, run in an empty folder."""
    folder = tmp_path_factory.mktemp("pipeline")
    with chdir(folder):
        return Pipeline(folder, ttamer(*FIT), ttamer(*PROFILE), ttamer(*PLAN))


@pytest.fixture
def here(pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the pipeline's folder, which is the current one."""
    copy = tmp_path / "here"
    shutil.copytree(pipeline.folder, copy)
    monkeypatch.chdir(copy)
    return copy
