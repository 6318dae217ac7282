"""Operating points: policies fitted on calibration, chosen on validation, within the allowed drop."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.builders import ModelPlan, make_profile, make_profile_folder
from tests.synthetic_records import plausible_records
from ttamer.exits.evaluate import FittedPolicy, evaluate
from ttamer.exits.policies.threshold import ConfidenceThreshold
from ttamer.planning.exit_choice import (
    Z_95_UPPER,
    OperatingPoint,
    measured_costs,
    operating_points,
    paths_of,
    read_records,
    restored_point,
)
from ttamer.planning.exit_terms import ExitTerms
from ttamer.planning.model_choice import ModelChoice
from ttamer.profiles.errors import DocumentError, InputError
from ttamer.profiles.intervals import wilson_interval
from ttamer.profiles.profile import Profile
from ttamer.profiles.service import Stage
from ttamer.profiles.shelf import records_path

CHOICE = ModelChoice(stage="serve", models=("toy",), dataset="synthetic")


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    return make_profile_folder(tmp_path_factory.mktemp("profile"), make_profile(), {"toy": 7})


def points_of(profile: Profile, max_drop: float = 1.0, kinds: tuple[str, ...] = ()) -> list[OperatingPoint]:
    return operating_points(profile, "toy", Stage(policies=kinds), CHOICE, "cpu", ExitTerms(max_drop=max_drop))


def test_the_last_exit_is_always_there_and_needs_no_staged_model(profile: Profile) -> None:
    first = points_of(profile)[0]
    validation = read_records(profile, "toy", "validation")
    assert (first.name, first.paths, first.drop) == ("toy/last-exit", None, 0.0)
    assert first.accuracy == validation.accuracy_K()[-1]


def test_a_handful_of_operating_points_is_kept_each_faster_and_no_more_accurate_than_the_one_before(
    profile: Profile,
) -> None:
    costs, validation = measured_costs(profile, "toy", "cpu"), read_records(profile, "toy", "validation")
    early = points_of(profile)[1:]
    seconds = [evaluate(FittedPolicy.from_spec(point.spec), validation, costs).mean_s or 0.0 for point in early]
    assert 2 <= len(early) <= 6
    assert seconds == sorted(seconds, reverse=True)
    assert [point.accuracy for point in early] == sorted((point.accuracy for point in early), reverse=True)


def test_rows_are_planned_to_run_deeper_than_they_did_on_validation_records(profile: Profile) -> None:
    costs, validation = measured_costs(profile, "toy", "cpu"), read_records(profile, "toy", "validation")
    for point in points_of(profile)[1:]:
        assert point.paths is not None
        seen = evaluate(FittedPolicy.from_spec(point.spec), validation, costs)
        planned_reach_K = np.cumsum(point.paths.stop_share_K[::-1])[::-1]
        assert (planned_reach_K >= seen.reach_share_K - 1e-12).all()
        assert point.paths.stop_share_K.sum() == pytest.approx(1.0)
        planned_s = float(point.paths.stop_share_K @ costs.path_s_K(seen.heads_K))
        assert seen.mean_s is not None
        assert seen.mean_s <= planned_s < 1.15 * seen.mean_s


def test_an_exit_that_nearly_every_row_passes_is_planned_to_be_passed_a_little_more() -> None:
    seen = evaluate(ConfidenceThreshold(threshold=0.5), plausible_records(1, 400, 4, split="validation"))
    nearly = replace(seen, stop_share_K=np.array([0.01, 0.69, 0.2, 0.1]), reach_share_K=np.array([1.0, 0.99, 0.3, 0.1]))
    planned = paths_of("confidence-threshold", nearly)
    assert planned is not None
    assert planned.stop_share_K[-1] == pytest.approx(wilson_interval(40, 400, Z_95_UPPER)[1])
    assert 0 < planned.stop_share_K[0] < 0.01


def test_an_early_exit_that_beats_the_last_one_by_more_than_chance_competes(tmp_path: Path) -> None:
    """As where a backbone was trained on little: its own classifier is weaker than a head before it."""
    written = make_profile_folder(tmp_path, make_profile(), {"toy": 7})
    for split in ("calibration", "validation"):
        turned = read_records(written, "toy", split)
        order = [1, 2, 3, 0]  # the weakest exit comes last
        arrays = {
            name: getattr(turned, name)[:, order]
            for name in ("prediction_NK", "confidence_NK", "margin_NK", "entropy_NK")
        }
        replace(turned, **arrays).write(records_path(tmp_path, "toy", split))
    points = points_of(written)
    single_K = read_records(written, "toy", "validation").accuracy_K()
    assert single_K[2] > single_K[3] + 0.1
    assert max(point.accuracy or 0.0 for point in points) >= single_K[2]


@pytest.mark.parametrize("max_drop", [0.0, 0.01, 0.1])
def test_no_operating_point_loses_more_accuracy_than_allowed(profile: Profile, max_drop: float) -> None:
    assert all(point.drop <= max_drop + 1e-9 for point in points_of(profile, max_drop))


def test_only_the_allowed_kinds_compete_beside_the_last_exit(profile: Profile) -> None:
    kinds = {point.spec.kind for point in points_of(profile, kinds=("fixed-exit",))}
    assert kinds == {"last-exit", "fixed-exit"}


def test_an_unknown_kind_is_refused(profile: Profile) -> None:
    with pytest.raises(InputError, match="unknown exit policy 'fixed-exits'"):
        points_of(profile, kinds=("fixed-exits",))


def test_a_point_says_on_which_records_it_was_fitted_and_chosen(profile: Profile) -> None:
    for point in points_of(profile)[1:]:
        assert point.spec.fitted_on == {"calibration": read_records(profile, "toy", "calibration").digest()}
        assert point.spec.chosen_on == {"validation": read_records(profile, "toy", "validation").digest()}


def test_a_point_is_restored_from_its_specification(profile: Profile) -> None:
    for point in points_of(profile):
        again = restored_point(profile, point.name, point.spec, "synthetic")
        assert (again.accuracy, again.accuracy_low, again.drop) == (point.accuracy, point.accuracy_low, point.drop)
        assert (again.paths is None) == (point.paths is None)


def test_a_model_without_records_has_its_last_exit_and_its_published_accuracy() -> None:
    published = make_profile((ModelPlan(name="toy", accuracy=0.75, source="published"),))
    (point,) = points_of(published)
    assert (point.accuracy, point.accuracy_low, point.source) == (0.75, None, "published")


def test_records_that_changed_since_the_choice_are_refused(tmp_path: Path) -> None:
    written = make_profile_folder(tmp_path, make_profile(), {"toy": 7})
    point = points_of(written)[1]
    other = plausible_records(99, 600, 4, split="validation", first=600, model="toy")
    other.write(records_path(tmp_path, "toy", "validation"))
    with pytest.raises(DocumentError, match="validation records of 'toy' have changed"):
        restored_point(written, point.name, point.spec, "synthetic")


def test_splits_that_share_samples_are_refused(tmp_path: Path) -> None:
    written = make_profile_folder(tmp_path, make_profile(), {"toy": 7})
    overlapping = plausible_records(8, 600, 4, split="validation", first=300, model="toy")
    overlapping.write(records_path(tmp_path, "toy", "validation"))
    with pytest.raises(InputError, match="share 300 samples"):
        points_of(written)


def test_records_of_another_model_are_refused(tmp_path: Path) -> None:
    written = make_profile_folder(tmp_path, make_profile(), {"toy": 7})
    plausible_records(8, 60, 5, split="validation", first=600, model="toy").write(
        records_path(tmp_path, "toy", "validation")
    )
    with pytest.raises(InputError, match="with 5 exits, expected validation records of 'toy' with 4"):
        points_of(written)
