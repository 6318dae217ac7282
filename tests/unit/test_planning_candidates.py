"""Candidates: capacity, distrust of disturbed timings, and setting aside what is beaten."""

from pathlib import Path

import pytest

from tests.builders import ModelPlan, make_profile
from ttamer.planning.candidates import (
    Candidate,
    candidates_under,
    doubts,
    enumerate_servers,
    stage_quantile,
    trusted,
    undominated,
)
from ttamer.planning.exit_choice import unrecorded_point
from ttamer.profiles.errors import UntrustworthyError
from ttamer.profiles.profile import Profile

DEMO = Path("profiles/demo")
TWO = (ModelPlan(name="fast", whole_s=0.005, accuracy=0.8), ModelPlan(name="good", whole_s=0.02, accuracy=0.9))


def candidates(
    profile: Profile, slo_s: float = 0.2, most_batch: int | None = None, allow_contended: bool = False
) -> list[Candidate]:
    points = [unrecorded_point(profile, model, "synthetic") for model in profile.models]
    servers = enumerate_servers(profile, "serve", points, device="cpu", quantile=0.99, most_batch=most_batch)
    chosen = trusted(servers, allow_contended=allow_contended, folder=DEMO)
    return candidates_under(chosen, slo_s, 1, rate_rps=10.0)


def test_every_measured_setting_is_a_candidate() -> None:
    made = candidates(make_profile(TWO), slo_s=10.0)
    assert len(made) == 2 * 4 * 2  # models, batches, cores
    assert {candidate.batch for candidate in candidates(make_profile(TWO), most_batch=2)} == {1, 2}


def test_what_misses_the_slo_when_idle_is_no_candidate() -> None:
    assert {candidate.model for candidate in candidates(make_profile(TWO), slo_s=0.012)} == {"fast"}


def test_a_looser_slo_never_lowers_a_capacity() -> None:
    tight, loose = (candidates(make_profile(TWO), slo_s=slo_s) for slo_s in (0.15, 0.3))
    capacity = {(one.model, one.batch, one.cores): one.capacity_rps for one in loose}
    assert all(capacity[one.model, one.batch, one.cores] >= one.capacity_rps for one in tight)


def test_a_candidate_carries_what_was_measured_of_it() -> None:
    (candidate,) = (c for c in candidates(make_profile(TWO)) if (c.model, c.batch, c.cores) == ("good", 4, 2))
    assert candidate.memory_bytes == 204 * 2**20
    assert (candidate.load_time_s, candidate.cores, candidate.verdict) == (0.5, 2, "ok")
    assert candidate.service_s == pytest.approx(0.02 * (0.55 * 2 + 0.2 + 0.15 + 0.1), rel=0.02)


@pytest.mark.parametrize("verdict", ["contended", "throttled"])
def test_disturbed_timings_are_refused_unless_allowed_and_there_are_no_others(verdict: str) -> None:
    for allowed in (False, True):
        beside = candidates(make_profile(TWO, verdicts={"good": verdict}), allow_contended=allowed)
        assert {candidate.model for candidate in beside} == {"fast"}
    with pytest.raises(UntrustworthyError) as refused:
        candidates(make_profile(TWO[1:], verdicts={"good": verdict}))
    assert refused.value.exit_code == 5
    assert refused.value.message.startswith(f"all timings of good were disturbed ({verdict})")
    assert refused.value.remedy == (
        f"when it is quiet: ttamer profile good --remeasure {verdict} -p demo; or plan on them with --allow-contended"
    )
    alone = candidates(make_profile(TWO[1:], verdicts={"good": verdict}), allow_contended=True)
    assert {candidate.model for candidate in alone} == {"good"}
    assert f"timings of good are {verdict}" in next(doubts(alone, 0.99, DEMO))


def test_noisy_timings_are_used_with_a_note() -> None:
    made = candidates(make_profile(TWO, verdicts={"good": "noisy"}))
    assert {candidate.model for candidate in made} == {"fast", "good"}
    assert list(doubts(made, 0.99, DEMO)) == [
        "timings of good are noisy, and the promised latency is as good as they are; "
        "measure again when the machine is quiet: ttamer profile good --remeasure noisy -p demo"
    ]


def test_too_few_samples_for_the_quantile_are_noted() -> None:
    made = candidates(make_profile(TWO[:1], samples=40))
    assert list(doubts(made, 0.99, DEMO)) == [
        "fast: 40 samples a point bound no tail at p99 (299 would); the largest sample stands in"
    ]


def test_what_is_set_aside_is_beaten_by_something_kept() -> None:
    made = candidates(make_profile(TWO))
    kept = undominated(made)
    assert 0 < len(kept) < len(made)
    for candidate in made:
        assert any(
            better.cores <= candidate.cores
            and better.capacity_rps >= candidate.capacity_rps
            and (better.accuracy or 0) >= (candidate.accuracy or 0)
            and better.batch <= candidate.batch
            for better in kept
        )


def test_of_two_alike_one_is_kept() -> None:
    made = candidates(make_profile(TWO[:1]))[:1]
    assert undominated(made + made) == made


def test_late_shares_of_stages_add_up_to_the_tolerated_one() -> None:
    assert stage_quantile(0.99, 1) == pytest.approx(0.99)
    assert stage_quantile(0.99, 2) == pytest.approx(0.995)
