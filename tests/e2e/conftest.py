"""A pipeline run once: a small ResNet fitted on digits and measured in a folder that every test gets a copy of."""

import shutil
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.commands import FIT, PLAN, PROFILE, Pipeline, ttamer
from ttamer.profiles.profile import PointKey
from ttamer.profiles.samples import Samples
from ttamer.profiles.shelf import read_profile, write_profile
from ttamer.profiling import coverage, sweep
from ttamer.profiling.budgets import BUDGETS

pytest.register_assert_rewrite("tests.e2e.bad_input")


@contextmanager
def short_measurements() -> Iterator[None]:
    """`--quick` as short as can be, and no processes more where a neighbour disturbs: nobody plans on it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BUDGETS, "quick", replace(BUDGETS["quick"], group_s=0.2))
        for module in (coverage, sweep):
            patch.setattr(module, "RETRIES", 0)
        yield


@pytest.fixture(autouse=True)
def measures_shortly() -> Iterator[None]:
    """For this test alone: tests of measuring may come after it in the same process."""
    with short_measurements():
        yield


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """The commands up to the plan, run in an empty folder."""
    folder = tmp_path_factory.mktemp("pipeline")
    with chdir(folder), short_measurements():
        fitted, measured = ttamer(*FIT), ttamer(*PROFILE)
        if measured.exit_code == 0:
            call_quiet(Path("profiles/local"))
            measured = ttamer(*PROFILE)
        return Pipeline(folder, fitted, measured, ttamer(*PLAN))


def call_quiet(folder: Path) -> None:
    """Give every point the times and the verdict of a quiet machine: what else it does must not decide a test.

    Even the chosen exit policy would hang on it, and with that whether its accuracy on few digits keeps its promise.
    """
    profile = read_profile(folder)
    points = [replace(p, verdict="ok", samples=steady(p.key, len(p.samples))) for p in profile.latency]
    write_profile(folder, replace(profile, latency=tuple(points)))


def steady(key: PointKey, count: int) -> Samples:
    """Seconds that differ by a tenth at most and hang on the part and the batch alone."""
    mean_s = {"whole": 1.8e-3, "stage": 0.2e-3, "head": 0.02e-3}[key.part] * (1 + key.batch) / 2
    return Samples([mean_s * (0.95 + 0.1 * number / count) for number in range(count)])


@pytest.fixture
def here(pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the pipeline's folder, which is the current one."""
    copy = tmp_path / "here"
    shutil.copytree(pipeline.folder, copy)
    monkeypatch.chdir(copy)
    return copy
