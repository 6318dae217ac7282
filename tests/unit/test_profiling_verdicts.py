"""Verdicts are a function of their evidence, so no test needs a clock: the tests write the kernel's files."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ttamer.profiles.profile import VERDICTS
from ttamer.profiles.samples import Samples
from ttamer.profiling.clock import Counters, Timing
from ttamer.profiling.interference import Interference, read_interference
from ttamer.profiling.verdicts import TAIL_ERROR, evidence_of_samples, evidence_of_visit, is_contended, judge

CLEAN = {"cores": 1.0, "error": 0.01, "cpu_share": 1.0, "main_share": 1.0, "clean_share": 1.0, "running_share": 1.0}


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "ok"),
        ({"error": 0.031}, "noisy"),
        ({"error": 0.031, "error_allowed": 0.05}, "ok"),
        ({"error": 0.025, "error_allowed": 0.02}, "noisy"),
        ({"tail_error": 0.025}, "noisy"),
        ({"drift": 0.6}, "noisy"),
        ({"modes_apart": 9.0, "mode_gap": 0.1, "mode_share": 0.3}, "noisy"),
        ({"modes_apart": 9.0, "mode_gap": 0.04, "mode_share": 0.3}, "ok"),
        ({"modes_apart": 9.0, "mode_gap": 0.1, "mode_share": 0.05}, "ok"),
        ({"modes_apart": 4.0, "mode_gap": 0.1, "mode_share": 0.3}, "ok"),
        ({"clean_share": 0.79}, "contended"),
        ({"running_share": 0.89}, "contended"),
        ({"waited_share": 0.06}, "contended"),
        ({"foreign_share": 0.11}, "contended"),
        ({"pressure_share": 0.51}, "contended"),
        ({"steal_share": 0.06}, "contended"),
        ({"gpu_foreign": 1.0}, "contended"),
        ({"throttled_periods": 1.0}, "throttled"),
        ({"gpu_throttled": 1.0}, "throttled"),
        ({"throttled_periods": 1.0, "clean_share": 0.1, "error": 2.0}, "throttled"),
        ({"clean_share": 0.1, "error": 2.0}, "contended"),
        # Half the cores idle is what a serial part looks like; preempted often on top, its partner was held up.
        ({"cores": 2.0, "cpu_share": 0.5}, "ok"),
        ({"cores": 2.0, "cpu_share": 0.5, "part_preemptions_per_s": 250.0}, "contended"),
        ({"cores": 2.0, "cpu_share": 0.5, "part_preemptions_per_s": 250.0, "waited_share": 0.01}, "ok"),
        ({"cores": 2.0, "cpu_share": 0.99, "part_preemptions_per_s": 250.0}, "ok"),
        ({"cores": 1.0, "cpu_share": 0.5, "part_preemptions_per_s": 250.0}, "ok"),
    ],
)
def test_the_worst_finding_names_the_verdict(changes: dict[str, float], verdict: str) -> None:
    assert judge(CLEAN | changes) == verdict
    assert is_contended(CLEAN | changes) == (verdict == "contended" or "clean_share" in changes)
    assert verdict in VERDICTS


def test_a_point_without_a_bounded_median_is_noisy() -> None:
    assert judge({"cv": 0.01}) == "noisy"


def timing(wall_s: float, thread_s: float, cpu_s: float, preemptions: int = 0) -> Timing:
    return Timing(wall_s=wall_s, cpu_s=cpu_s, thread_s=thread_s, preemptions=preemptions)


def test_evidence_tells_time_lost_from_time_used() -> None:
    timings = [timing(0.01, 0.01, 0.02)] * 6 + [timing(0.02, 0.01, 0.02, preemptions=3)] * 2
    evidence = evidence_of_visit(timings, 2, "cpu")
    assert evidence["clean_share"] == 0.75
    assert evidence["cpu_share"] == 1.0
    assert evidence["part_preemptions_per_s"] == pytest.approx(60.0)
    assert judge(evidence) == "contended"


def test_evidence_on_a_gpu_holds_no_core_shares() -> None:
    assert evidence_of_visit([timing(0.01, 0.001, 0.001)] * 8, 1, "cuda") == {"rounds": 8.0, "cores": 1.0}


def evidence_of(seconds: Sequence[float], counts: Sequence[int] | None = None, **wanted: float) -> dict[str, float]:
    samples = Samples(seconds, counts=counts)
    return evidence_of_samples(samples, [0.01] * len(samples), wanted.get("quantile", 0.99))


def spread(count: int, width: float, seed: int = 1) -> list[float]:
    return (1 + width * np.random.default_rng(seed).standard_normal(count)).tolist()


def test_evidence_is_finite_even_with_one_sample() -> None:
    evidence = evidence_of([0.01])
    assert "half_width" not in evidence
    assert "error" not in evidence
    assert judge(evidence) == "noisy"


def test_steady_samples_of_two_processes_are_ok() -> None:
    evidence = evidence_of(spread(80, 0.02), [40, 40])
    assert evidence["error"] < 0.01
    assert judge(evidence) == "ok"


def test_processes_that_disagree_make_a_point_noisy() -> None:
    seconds = spread(80, 0.005)
    apart = [*seconds[:40], *(1.04 * second for second in seconds[40:])]
    evidence = evidence_of(apart, [40, 40])
    assert evidence["process_spread"] == pytest.approx(0.04, abs=0.005)
    assert evidence["error"] == evidence["process_spread"]
    assert judge(evidence) == "noisy"


def test_three_processes_are_known_better_than_two_as_far_apart() -> None:
    two = evidence_of([1.0] * 10 + [1.02] * 10, [10, 10])["process_spread"]
    three = evidence_of([1.0] * 10 + [1.02] * 10 + [1.01] * 10, [10, 10, 10])["process_spread"]
    assert two == pytest.approx(0.02, abs=2e-4)
    assert three == pytest.approx(0.02 / 3**0.5, rel=0.01)


def test_drift_that_was_not_divided_out_shows_in_the_blocks() -> None:
    steps = np.repeat([1.0, 1.03, 0.98, 1.05], 20)
    evidence = evidence_of((steps * spread(80, 0.002)).tolist())
    assert evidence["block_error"] > 0.03 > evidence_of(spread(80, 0.02))["block_error"]


def test_two_modes_are_told_from_one_and_from_a_tail() -> None:
    rng = np.random.default_rng(3)
    two = np.concatenate([rng.normal(1.0, 0.01, 70), rng.normal(1.1, 0.01, 30)]).tolist()
    tail = (1 + 0.05 * rng.exponential(size=100)).tolist()
    assert evidence_of(two)["modes_apart"] > 5 > evidence_of(tail)["modes_apart"]
    assert judge(CLEAN | {key: evidence_of(two)[key] for key in ("modes_apart", "mode_gap", "mode_share")}) == "noisy"
    assert evidence_of([1.0] * 20 + [1.2] * 20)["modes_apart"] > 100
    assert "modes_apart" not in evidence_of(two[:20])
    assert "modes_apart" not in evidence_of([1.0] * 40)


def test_the_planned_quantile_has_an_error_as_soon_as_the_samples_bound_it() -> None:
    assert "tail_error" not in evidence_of(spread(298, 0.02))
    steady = evidence_of(spread(299, 0.02))
    assert 0 < steady["tail_error"] < TAIL_ERROR
    wild = [*spread(289, 0.02), *np.linspace(1.2, 2.0, 10).tolist()]
    assert evidence_of(wild)["tail_error"] > TAIL_ERROR
    assert judge(CLEAN | {"tail_error": evidence_of(wild)["tail_error"]}) == "noisy"
    assert "tail_error" in evidence_of(spread(40, 0.02), quantile=0.9)


def test_processes_whose_tails_disagree_leave_the_planned_quantile_unknown() -> None:
    calm, disturbed = spread(300, 0.02), spread(300, 0.02, seed=2)
    disturbed[::20] = [1.3] * 15
    alike = evidence_of([*calm, *disturbed], counts=(300, 300))
    assert alike["error"] < alike["tail_error"]
    assert alike["tail_error"] > TAIL_ERROR


def test_the_drift_of_the_machine_is_between_its_slow_and_fast_tenths() -> None:
    reference_s = np.linspace(0.010, 0.020, 101).tolist()
    evidence = evidence_of_samples(Samples([1.0] * 101), reference_s, 0.99)
    assert evidence["drift"] == pytest.approx(0.019 / 0.011 - 1)
    assert evidence["reference_s"] == pytest.approx(0.015)


OWN = Counters(at_s=10.0, cpu_s=5.0, thread_s=4.0, preemptions=3, threads=2, waited_s=0.5)


def test_interference_is_what_the_counters_gained() -> None:
    before = Interference(
        own=OWN, throttled_periods=5, steal_s=1.0, busy_s=20.0, pressure_s=3.0, group_pressure_s=2.0
    )  # fmt: skip
    later = replace(OWN, at_s=12.0, cpu_s=8.0, thread_s=5.8, preemptions=9, waited_s=0.7)
    after = Interference(
        own=later, throttled_periods=7, steal_s=1.4, busy_s=23.4, pressure_s=4.0, group_pressure_s=2.1
    )  # fmt: skip
    assert after.evidence_since(before, 2) == pytest.approx({
        "throttled_periods": 2.0,
        "steal_share": 0.1,
        "pressure_share": 0.5,
        "group_pressure_share": 0.05,
        "waited_share": 0.05,
        "foreign_share": 0.1,
        "running_share": 0.9,
        "preemptions_per_s": 3.0,
    })  # fmt: skip


def test_interference_says_nothing_where_the_machine_does_not(tmp_path: Path) -> None:
    own = replace(OWN, waited_s=None)
    nothing = read_interference((0,), own, tmp_path)
    assert nothing == Interference(own=own)
    assert nothing.evidence_since(nothing, 1) == {}
    later = Interference(own=replace(own, at_s=11.0, thread_s=5.0))
    assert later.evidence_since(nothing, 1) == {"running_share": 1.0, "preemptions_per_s": 0.0}


class Machine:
    """Files of the kernel under a folder, as a busy or a quiet machine writes them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("proc/pressure", "proc/self", "sys/fs/cgroup/mine"):
            (root / folder).mkdir(parents=True)
        (root / "proc/self/cgroup").write_text("0::/mine\n")
        self.own = replace(OWN, at_s=0.0, cpu_s=0.0, thread_s=0.0, preemptions=0, waited_s=0.0, threads=1)
        self.write()

    def write(
        self, *, busy: int = 0, steal: int = 0, pressure_us: int = 0, group_us: int = 0, throttled: int = 0
    ) -> Interference:
        """The counters read after the files say so much; busy and steal in hundredths of a second of CPU 1."""
        (self.root / "proc/stat").write_text(
            f"cpu  9 0 9 9 0 0 0 900 0 0\ncpu0 1 0 1 1 0 0 0 500 0 0\ncpu1 {busy} 0 0 9 0 0 0 {steal} 0 0\nctxt 5\n"
        )
        (self.root / "proc/pressure/cpu").write_text(
            f"some avg10=0.00 avg60=0.00 avg300=0.00 total={pressure_us}\nfull avg10=0.00 total=0\n"
        )
        (self.root / "sys/fs/cgroup/mine/cpu.pressure").write_text(f"some avg10=0.00 total={group_us}\n")
        (self.root / "sys/fs/cgroup/mine/cpu.stat").write_text(f"usage_usec 5\nnr_throttled {throttled}\n")
        return read_interference((1,), self.own, self.root)

    def verdict(self, before: Interference, after: Interference) -> str:
        """Of a steady point at one core during which the counters moved so."""
        return judge({"cores": 1.0, "error": 0.01, "clean_share": 1.0} | after.evidence_since(before, 1))


SECOND = 100  # ticks of the kernel's clock


@pytest.mark.parametrize(
    ("written", "own", "verdict"),
    [
        ({"busy": 10 * SECOND}, {}, "ok"),
        ({"busy": 12 * SECOND}, {}, "contended"),  # somebody else used the core for 2 of 10 seconds
        ({"busy": 10 * SECOND, "steal": SECOND}, {}, "contended"),
        ({"busy": 10 * SECOND, "pressure_us": 1_000_000}, {}, "ok"),
        ({"busy": 10 * SECOND, "pressure_us": 6_000_000}, {}, "contended"),
        ({"busy": 10 * SECOND, "throttled": 1}, {}, "throttled"),
        ({"busy": 10 * SECOND}, {"thread_s": 5.0, "cpu_s": 5.0}, "contended"),
        ({"busy": 10 * SECOND}, {"waited_s": 0.6}, "contended"),
        ({"busy": 10 * SECOND}, {"waited_s": 0.4}, "ok"),
    ],
)
def test_every_counter_of_the_machine_can_turn_the_verdict(
    tmp_path: Path, written: dict[str, int], own: dict[str, float], verdict: str
) -> None:
    machine = Machine(tmp_path)
    before = machine.write()
    machine.own = replace(machine.own, **({"at_s": 10.0, "cpu_s": 10.0, "thread_s": 10.0} | own))  # type: ignore[arg-type]
    assert machine.verdict(before, machine.write(**written)) == verdict


def test_a_busy_loop_on_the_core_is_seen_although_every_sample_slips_through(tmp_path: Path) -> None:
    """A call of 50 us fits between two turns of the neighbour: its samples are clean, the group got half the core."""
    machine = Machine(tmp_path)
    before = machine.write()
    machine.own = replace(machine.own, at_s=10.0, cpu_s=5.0, thread_s=5.0, waited_s=5.0)
    after = machine.write(busy=10 * SECOND, pressure_us=10_000_000)
    evidence = after.evidence_since(before, 1)
    assert evidence["foreign_share"] == pytest.approx(0.5)
    assert evidence["waited_share"] == pytest.approx(0.5)
    assert machine.verdict(before, after) == "contended"


def test_files_of_the_kernel_that_make_no_sense_are_unknown(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    for name in ("proc/stat", "proc/pressure/cpu", "sys/fs/cgroup/mine/cpu.pressure", "sys/fs/cgroup/mine/cpu.stat"):
        (tmp_path / name).write_text("no such thing\n")
    assert read_interference((1,), machine.own, tmp_path) == Interference(own=machine.own)
