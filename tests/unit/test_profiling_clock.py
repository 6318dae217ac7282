"""Timing calls, and the scheduler's account of waiting, read from files that the tests write."""

from pathlib import Path

from ttamer.profiling.clock import Timing, WaitingClock, time_calls


def test_the_real_clock_counts_loops_and_never_returns_zero() -> None:
    calls: list[int] = []
    timing = time_calls(lambda: calls.append(1), 7)
    assert len(calls) == timing.loops == 7
    assert timing.wall_s > 0
    assert timing.call_s() == timing.wall_s / 7
    later = time_calls(lambda: None, 1)
    assert later.middle_s > timing.middle_s


def threads(folder: Path, *waited_ns: int) -> Path:
    """Threads as the kernel shows them: nanoseconds run, nanoseconds waited, times run."""
    for number, waited in enumerate(waited_ns):
        (folder / str(number)).mkdir(parents=True, exist_ok=True)
        (folder / str(number) / "schedstat").write_text(f"5000000 {waited} 7\n")
    return folder


def test_waiting_is_summed_over_all_threads(tmp_path: Path) -> None:
    with WaitingClock(threads(tmp_path, 2_000_000, 500_000)) as clock:
        assert clock.waited_s() == 0.0025
        assert clock.counters().threads == 2
        timing = clock.time_calls(lambda: threads(tmp_path, 2_000_000, 1_500_000), 1)
        assert timing.waited_s is not None
        assert round(timing.waited_s, 9) == 0.001


def test_waiting_is_unknown_where_the_system_does_not_say(tmp_path: Path) -> None:
    with WaitingClock(tmp_path / "absent") as clock:
        assert clock.waited_s() is None
        assert clock.time_calls(lambda: None, 1).waited_s is None
        assert clock.counters().threads == 1


def test_a_kernel_that_counts_nothing_leaves_waiting_unknown(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "schedstat").write_text("")
    with WaitingClock(tmp_path) as clock:
        assert clock.waited_s() is None


def test_a_sample_is_clean_if_no_thread_waited_for_its_core() -> None:
    ran = Timing(wall_s=0.01, cpu_s=0.02, thread_s=0.0096, preemptions=0)
    assert ran.is_clean
    assert not Timing(wall_s=0.01, cpu_s=0.02, thread_s=0.0094, preemptions=0).is_clean
    assert not Timing(wall_s=0.01, cpu_s=0.02, thread_s=0.01, preemptions=0, waited_s=0.0006).is_clean
