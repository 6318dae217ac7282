"""`profile show`, `profile diff` and `profile --predict-only` on made-up profiles."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.builders import ModelPlan, make_profile
from tests.e2e.commands import ttamer
from ttamer.profiles.shelf import write_profile


@pytest.fixture
def shelf(here: Path) -> Path:
    """A folder with two profiles of the same model, the second a fifth slower, and one that makes no surface."""
    write_profile(here / "profiles/old", make_profile())
    write_profile(here / "profiles/new", make_profile([replace(ModelPlan(name="toy"), whole_s=0.012)]))
    write_profile(here / "profiles/thin", make_profile(batches=(1,), cores=(1,)))
    return here


def test_show_prints_points_surface_plot_and_accuracy(shelf: Path) -> None:
    done = ttamer("profile", "show", "old")
    assert done.exit_code == 0
    for part in ("Profile 'made-up'", "Fitted surfaces", "requests per second", "o toy on 1 core", "Accuracy by exit"):
        assert part in done.stdout


def test_show_gives_data_as_json(shelf: Path) -> None:
    content = json.loads(ttamer("profile", "show", "old", "--format", "json").stdout)
    assert {row["batch"] for row in content["rows"]} == {1, 2, 4, 8}
    assert content["surfaces"][0]["form"]


def test_diff_ends_with_code_4_where_something_became_worse(shelf: Path) -> None:
    done = ttamer("profile", "diff", "old", "new")
    assert done.exit_code == 4
    assert "became worse" in done.stderr
    assert "+20.0 %" in done.stdout
    assert ttamer("profile", "diff", "new", "old").exit_code == 0
    assert ttamer("profile", "diff", "old", "new", "--tolerance", "30%").exit_code == 0


def test_diff_refuses_profiles_that_share_nothing(shelf: Path) -> None:
    write_profile(shelf / "profiles/other", make_profile([ModelPlan(name="another")]))
    done = ttamer("profile", "diff", "old", "other")
    assert (done.exit_code, "share no point" in done.stderr) == (2, True)


def test_predict_only_sets_measured_beside_predicted_and_measures_nothing(shelf: Path) -> None:
    before = sorted(shelf.rglob("*"))
    done = ttamer("profile", "--predict-only", "-p", "old")
    assert done.exit_code == 0
    assert "Medians measured and predicted" in done.stdout
    assert sorted(shelf.rglob("*")) == before


def test_predict_only_says_why_there_is_no_surface(shelf: Path) -> None:
    done = ttamer("profile", "--predict-only", "-p", "thin")
    assert done.exit_code == 2
    assert "1 points at 1 batch sizes and 1 core counts make no surface" in done.stderr
