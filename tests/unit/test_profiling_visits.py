"""Visits of several processes make one point."""

from dataclasses import replace

import pytest

from ttamer.profiles.errors import InputError
from ttamer.profiles.profile import PointKey
from ttamer.profiles.samples import Samples
from ttamer.profiling.budgets import BUDGETS
from ttamer.profiling.visits import Visit, counting, needs_visit, point_from_visits, reference_level_s

KEY = PointKey(model="m", part="whole", exit=-1, device="cpu", dtype="float32", batch=1, cores=1)
QUIET = {"running_share": 1.0, "rounds": 6.0, "budget_s": 12.0, "throttled_periods": 0.0}
BUSY = QUIET | {"running_share": 0.5}
BUDGET = BUDGETS["default"]


def visit(seconds: float, reference_s: float = 0.01, evidence: dict[str, float] = QUIET, count: int = 6) -> Visit:
    return Visit(
        key=KEY,
        seconds=(seconds,) * count,
        reference_s=(reference_s,) * count,
        loops=3,
        peak_memory_bytes=100,
        load_time_s=0.5,
        spec_digest="v1",
        evidence=evidence,
    )


def test_times_are_brought_to_the_level_of_the_reference() -> None:
    point = point_from_visits([visit(0.1, 0.01), visit(0.24, 0.02, count=8)], 0.01, BUDGET)
    assert point.samples.seconds == pytest.approx([0.1] * 6 + [0.12] * 8)
    assert point.samples.raw_seconds == pytest.approx([0.1] * 6 + [0.24] * 8)
    assert point.samples.counts == (6, 8)
    assert point.samples.process_medians_s() == pytest.approx([0.1, 0.12])
    assert point.evidence["process_spread"] == pytest.approx(0.02 / 0.11)
    assert point.verdict == "noisy"


def test_the_level_counts_every_process_alike() -> None:
    assert reference_level_s([visit(1.0, 0.01, count=50), visit(1.0, 0.03)]) == pytest.approx(0.02)


def test_a_point_keeps_the_worst_evidence_of_its_processes() -> None:
    point = point_from_visits([visit(0.1), visit(0.1, evidence=QUIET | {"throttled_periods": 2.0})], 0.01, BUDGET)
    assert point.verdict == "throttled"
    assert point.evidence["rounds"] == 12
    assert point.evidence["throttled_periods"] == 2
    assert point.evidence["error_allowed"] == BUDGET.error
    assert point_from_visits([visit(0.1), visit(0.1, evidence=BUSY)], 0.01, BUDGET).evidence["running_share"] == 0.5


def test_undisturbed_visits_make_the_point_if_there_are_enough() -> None:
    quiet, busy = visit(0.1), visit(0.3, evidence=BUSY)
    assert counting([busy, quiet], 2) == [busy, quiet]
    assert counting([busy, quiet, quiet], 2) == [quiet, quiet]
    assert point_from_visits([busy, quiet, quiet], 0.01, BUDGET).verdict == "ok"
    assert point_from_visits([busy, quiet], 0.01, BUDGET).verdict == "contended"


@pytest.mark.parametrize(
    ("visits", "needed"),
    [("", True), ("q", True), ("qq", False), ("qb", True), ("qbb", True), ("bbbb", False), ("bqbq", False)],
)
def test_a_point_is_visited_until_enough_were_undisturbed_or_too_many_tried(visits: str, needed: bool) -> None:
    made = [visit(0.1, evidence=QUIET if kind == "q" else BUSY) for kind in visits]
    assert needs_visit(made, 2, 2) == needed


def test_a_visit_survives_being_written_down() -> None:
    assert Visit.from_row(visit(0.1).to_row()) == visit(0.1)


def test_a_visit_without_a_reference_beside_every_sample_is_refused() -> None:
    with pytest.raises(InputError, match="1 samples and 2 references do not belong together"):
        replace(visit(0.1), seconds=(0.1,), reference_s=(0.1, 0.1))


def test_samples_know_their_processes() -> None:
    samples = Samples([1.0, 2.0, 3.0], counts=[1, 2], raw_seconds=[4.0, 5.0, 6.0])
    assert samples.by_process() == [(1.0,), (2.0, 3.0)]
    assert samples.raw_median_s() == 5.0
    with pytest.raises(InputError, match="do not belong together"):
        Samples([1.0, 2.0], counts=[1])
    with pytest.raises(InputError, match="do not belong together"):
        Samples([1.0, 2.0], raw_seconds=[1.0])


def test_pessimistic_samples_have_the_median_of_the_worst_process_at_its_bound() -> None:
    steady = Samples([1.0] * 20, counts=[10, 10])
    assert steady.pessimistic() == steady
    apart = Samples([1.0] * 10 + [1.1] * 10, counts=[10, 10])
    assert apart.pessimistic().median_s() == pytest.approx(1.1)
    few = Samples([1.0, 1.2], counts=[2])
    assert few.pessimistic().median_s() == pytest.approx(1.2)
