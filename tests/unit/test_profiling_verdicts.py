"""Verdicts are a function of their evidence, so no test needs a clock."""

from pathlib import Path

import pytest

from ttamer.profiles.profile import VERDICTS
from ttamer.profiles.samples import Samples
from ttamer.profiling.clock import Timing
from ttamer.profiling.interference import Interference, read_interference
from ttamer.profiling.verdicts import evidence_of, judge

CLEAN = {"cores": 1.0, "cv": 0.02, "half_width": 0.01, "cpu_share": 1.0, "main_share": 1.0, "clean_share": 1.0}


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "ok"),
        ({"cv": 0.21}, "noisy"),
        ({"half_width": 0.11}, "noisy"),
        ({"clean_share": 0.79}, "contended"),
        ({"steal_share": 0.06}, "contended"),
        ({"throttled_periods": 1.0}, "throttled"),
        ({"throttled_periods": 1.0, "clean_share": 0.1, "cv": 2.0}, "throttled"),
        ({"clean_share": 0.1, "cv": 2.0}, "contended"),
        # Half the cores idle is what a serial part looks like; preempted often on top, its partner was held up.
        ({"cores": 2.0, "cpu_share": 0.5}, "ok"),
        ({"cores": 2.0, "cpu_share": 0.5, "preemptions_per_s": 250.0}, "contended"),
        ({"cores": 2.0, "cpu_share": 0.99, "preemptions_per_s": 250.0}, "ok"),
        ({"cores": 1.0, "cpu_share": 0.5, "preemptions_per_s": 250.0}, "ok"),
    ],
)
def test_the_worst_finding_names_the_verdict(changes: dict[str, float], verdict: str) -> None:
    assert judge(CLEAN | changes) == verdict
    assert verdict in VERDICTS


def test_a_point_without_a_bounded_median_is_noisy() -> None:
    assert judge({"cv": 0.01}) == "noisy"


def timing(wall_s: float, thread_s: float, cpu_s: float, preemptions: int = 0) -> Timing:
    return Timing(wall_s=wall_s, cpu_s=cpu_s, thread_s=thread_s, preemptions=preemptions)


def test_evidence_tells_time_lost_from_time_used() -> None:
    timings = [timing(0.01, 0.01, 0.02)] * 6 + [timing(0.02, 0.01, 0.02, preemptions=3)] * 2
    evidence = evidence_of(Samples([t.wall_s for t in timings]), timings, timings, 2, "cpu")
    assert evidence["clean_share"] == 0.75
    assert evidence["cpu_share"] == 1.0
    assert evidence["preemptions_per_s"] == pytest.approx(60.0)
    assert evidence["reference_s"] == 0.01
    assert judge(evidence) == "contended"


def test_evidence_on_a_gpu_holds_no_core_shares() -> None:
    timings = [timing(0.01, 0.001, 0.001)] * 8
    evidence = evidence_of(Samples([0.01] * 8), timings, timings, 1, "cuda")
    assert "clean_share" not in evidence
    assert judge(evidence) == "ok"


def test_evidence_is_finite_even_with_one_sample() -> None:
    evidence = evidence_of(Samples([0.01]), [timing(0.01, 0.01, 0.01)], [timing(0.01, 0.01, 0.01)], 1, "cpu")
    assert "half_width" not in evidence
    assert judge(evidence) == "noisy"


def test_interference_is_what_the_counters_gained() -> None:
    before = Interference(throttled_periods=5, steal_s=1.0, at_s=10.0)
    after = Interference(throttled_periods=7, steal_s=1.4, at_s=12.0)
    assert after.evidence_since(before, 2) == {"throttled_periods": 2.0, "steal_share": pytest.approx(0.1)}


def test_interference_says_nothing_where_the_machine_does_not(tmp_path: Path) -> None:
    nothing = read_interference((0,), 1.0, tmp_path)
    assert nothing == Interference(throttled_periods=None, steal_s=None, at_s=1.0)
    assert nothing.evidence_since(nothing, 1) == {}


def test_stolen_time_counts_the_given_cpus_only(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/stat").write_text(
        "cpu  1 0 1 1 0 0 0 500 0 0\ncpu0 1 0 1 1 0 0 0 100 0 0\ncpu1 1 0 1 1 0 0 0 400 0 0\nctxt 5\n"
    )
    found = read_interference((0,), 1.0, tmp_path).steal_s
    both = read_interference((0, 1), 1.0, tmp_path).steal_s
    assert found is not None
    assert both == pytest.approx(5 * found)
