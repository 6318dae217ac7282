"""Laws of batches from measured seconds."""

import numpy as np
import pytest

from tests.builders import ModelPlan, make_profile
from ttamer.planning.queueing import service_level
from ttamer.planning.service_times import Paths, Timings
from ttamer.profiles.errors import InputError


def timings(noise: float = 0.1) -> Timings:
    return Timings(make_profile([ModelPlan(name="toy", exits=3)], noise=noise), "toy", "cpu", 1, 0.99)


def paths(*stop_share: float, heads: tuple[bool, ...] = (True, True, True)) -> Paths:
    return Paths(stop_share_K=np.array(stop_share), heads_K=heads)


def curve_s(made: Timings, part: str, exit: int, batch: int) -> float:
    """Mean seconds at a measured batch size, as a plan counts them."""
    return made.profile.point("toy", part, exit, device="cpu", cores=1, batch=batch).samples.pessimistic().mean_s()


def test_the_whole_model_takes_the_mean_of_its_samples_at_their_upper_bound() -> None:
    made = timings()
    law = made.law(4)
    assert law.mean_s == pytest.approx(curve_s(made, "whole", -1, 4))
    whole = made.profile.point("toy", "whole", -1, device="cpu", cores=1, batch=4)
    assert law.mean_s > whole.samples.mean_s()
    assert law.answer_s == whole.samples.pessimistic().bound_s(service_level(0.99)) > whole.samples.quantile_s(0.99)


def test_without_caution_the_whole_model_takes_the_mean_that_was_measured() -> None:
    made = timings()
    frank = Timings(made.profile, "toy", "cpu", 1, 0.99, is_cautious=False)
    whole = made.profile.point("toy", "whole", -1, device="cpu", cores=1, batch=4)
    assert frank.law(4).mean_s == pytest.approx(whole.samples.mean_s())


def test_when_nobody_leaves_every_stage_and_head_is_paid_at_full_batch() -> None:
    made = timings()
    expected = sum(curve_s(made, part, exit, 8) for part in ("stage", "head") for exit in range(3))
    assert made.law(8, paths(0.0, 0.0, 1.0)).mean_s == pytest.approx(expected)


def test_when_everybody_stops_at_the_first_exit_nothing_behind_it_is_paid() -> None:
    made = timings()
    law = made.law(8, paths(1.0, 0.0, 0.0))
    assert law.mean_s == pytest.approx(curve_s(made, "stage", 0, 8) + curve_s(made, "head", 0, 8))


def test_a_head_that_is_not_asked_is_not_paid() -> None:
    made = timings()
    with_head, without = (made.law(1, paths(0.0, 0.0, 1.0, heads=(asked, False, True))) for asked in (True, False))
    assert with_head.mean_s - without.mean_s == pytest.approx(curve_s(made, "head", 0, 1))


def test_one_row_pays_for_each_stage_with_the_probability_of_reaching_it() -> None:
    made = timings()
    law = made.law(1, paths(0.5, 0.3, 0.2))
    costs = [curve_s(made, "stage", exit, 1) + curve_s(made, "head", exit, 1) for exit in range(3)]
    assert law.mean_s == pytest.approx(costs[0] + 0.5 * costs[1] + 0.2 * costs[2])


def test_a_head_asked_for_some_rows_is_paid_for_those_alone() -> None:
    made = timings()
    made_up = Paths(stop_share_K=np.array([0.5, 0.3, 0.2]), heads_K=(0.25, 1.0, 0.5), stages_K=(1.0, 0.0, 1.0))
    law = made.law(1, made_up)
    costs = [curve_s(made, "stage", exit, 1) * (exit != 1) for exit in range(3)]
    heads = [curve_s(made, "head", exit, 1) * share for exit, share in enumerate(made_up.heads_K)]
    expected = costs[0] + heads[0] + 0.5 * (costs[1] + heads[1]) + 0.2 * (costs[2] + heads[2])
    assert law.mean_s == pytest.approx(expected)
    pooled = made.law(8, made_up).mean_s
    assert expected < pooled < made.law(8, paths(0.5, 0.3, 0.2)).mean_s


def test_mean_seconds_of_a_shrinking_batch_match_a_simulation() -> None:
    made, rng = timings(noise=1e-9), np.random.default_rng(0)
    stop_NM = rng.choice(3, size=(20_000, 8), p=[0.5, 0.3, 0.2])
    total_s_N = np.zeros(len(stop_NM))
    for exit in range(3):
        left_N = (stop_NM >= exit).sum(axis=1)
        for part in ("stage", "head"):
            total_s_N += made.profile.curve_s("toy", part, exit, device="cpu", cores=1, up_to=8)[left_N]
    assert made.law(8, paths(0.5, 0.3, 0.2)).mean_s == pytest.approx(total_s_N.mean(), rel=0.005)


def test_generating_functions_agree_with_their_means_at_small_tilts() -> None:
    made = timings()
    law = made.law(8, paths(0.5, 0.3, 0.2))
    tilt = law.tilt_T[0]
    assert law.busy_cumulant_T[0] / tilt == pytest.approx(law.mean_s, rel=0.01)
    assert (law.answer_cumulant_T <= law.busy_cumulant_T + 1e-12).all()
    assert (np.diff(law.busy_cumulant_T) > 0).all()


def test_the_slow_answer_is_at_the_exit_that_nearly_all_have_left_by() -> None:
    made = timings(noise=1e-9)
    early, late = made.law(1, paths(0.5, 0.4999, 0.0001)), made.law(1, paths(0.5, 0.4, 0.1))
    third = curve_s(made, "stage", 2, 1) + curve_s(made, "head", 2, 1)
    assert late.answer_s - early.answer_s == pytest.approx(third, rel=1e-6)


def test_a_batch_beyond_the_measured_ones_is_refused() -> None:
    with pytest.raises(InputError, match="not up to 9"):
        timings().law(9)
    with pytest.raises(InputError, match="not up to 9"):
        timings().law(9, paths(0.5, 0.3, 0.2))


def test_the_points_behind_a_law_are_those_of_its_parts_up_to_its_batch() -> None:
    made = timings()
    assert {point.key.batch for point in made.points(4, None)} == {1, 2, 4}
    staged = {
        (point.key.part, point.key.exit) for point in made.points(1, paths(0.5, 0.5, 0.0, heads=(True, False, True)))
    }
    assert staged == {("stage", 0), ("stage", 1), ("head", 0)}
