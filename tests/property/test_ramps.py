"""Ramps: exact thresholds against brute force, controllers under any stream, positions against removed operations."""

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.synthetic_records import plausible_records
from ttamer.exits.apparate.feedback import Feedback
from ttamer.exits.apparate.latency import RampLatency
from ttamer.exits.apparate.placement import add_greedily, place_exactly, place_initially
from ttamer.exits.apparate.positions import feasible_positions
from ttamer.exits.apparate.replay import Semantics, replay
from ttamer.exits.apparate.servings import CONTROLLERS
from ttamer.exits.apparate.tuner import Compat, most_errors, tune, tune_exactly
from ttamer.profiles.records import Floats

EXITS = 6
STREAM = Feedback.of(plausible_records(4, 400, EXITS))
seeds = st.integers(0, 10_000)


def latency_of(rng: np.random.Generator) -> RampLatency:
    """A made-up model whose heads cost up to a tenth of a stage."""
    stage_s_K = rng.uniform(0.5, 1.5, EXITS)
    return RampLatency.of_stages(stage_s_K, rng.uniform(0, 0.1, EXITS))


def few_samples(rng: np.random.Generator, samples: int) -> Feedback:
    """Feedback with repeated confidences, so that thresholds meet ties."""
    confidence_NK = rng.integers(0, 5, (samples, EXITS)) / 5
    agrees_NK = rng.random((samples, EXITS)) < 0.8
    agrees_NK[:, -1] = True
    return Feedback(confidence_NK, agrees_NK)


def saved_by(feedback: Feedback, latency: RampLatency, ramps: tuple[int, ...], thresholds: tuple[float, ...]) -> Floats:
    """Wrong answers, and the latency cut."""
    leaving_N = feedback.leaving_N(ramps, thresholds)
    columns = np.array([*ramps, EXITS - 1])
    wrong = ~feedback.agrees_NK[np.arange(feedback.samples), columns[leaving_N]]
    share = np.bincount(leaving_N, minlength=len(columns)) / feedback.samples
    return np.array([wrong.sum(), latency.cut_pct(share.tolist(), latency.answer_s(ramps))])


@given(seed=seeds, ramps=st.sets(st.integers(0, EXITS - 2), min_size=1, max_size=3), budget=st.floats(0.01, 0.5))
@settings(max_examples=60)
def test_exact_thresholds_save_as_much_as_any(seed: int, ramps: set[int], budget: float) -> None:
    rng = np.random.default_rng(seed)
    feedback, latency, active = few_samples(rng, 12), latency_of(rng), tuple(sorted(ramps))
    best = tune_exactly(feedback, latency, active, budget)
    levels = [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.1]
    tried = [saved_by(feedback, latency, active, one) for one in product(levels, repeat=len(active))]
    allowed = [cut for wrong, cut in tried if wrong <= most_errors(12, budget)]
    assert np.isclose(best.cut_pct, max(allowed))
    assert 1 - best.agreement < budget
    for compat in Compat:
        assert tune(feedback, latency, active, budget, compat=compat).cut_pct <= best.cut_pct + 1e-9


@given(seed=seeds, most=st.integers(1, 3), tail=st.floats(0.001, 0.2))
@settings(max_examples=25)
def test_no_placement_beats_the_exact_one_or_breaks_the_tail_budget(seed: int, most: int, tail: float) -> None:
    rng = np.random.default_rng(seed)
    feedback, latency = few_samples(rng, 40), latency_of(rng)
    exact = place_exactly(feedback, latency, most, max_disagreement=0.1, tail_budget=tail).tuned
    for compat in Compat:
        greedy = add_greedily(feedback, latency, most, max_disagreement=0.1, tail_budget=tail, compat=compat).tuned
        if greedy is None:
            continue
        assert latency.tail_overhead(greedy.ramps) < tail
        assert greedy.cut_pct <= (exact.cut_pct if exact is not None else 0.0) + 1e-9
    if exact is not None:
        assert latency.tail_overhead(exact.ramps) < tail
        assert len(exact.ramps) <= most


@given(
    seed=seeds, kind=st.sampled_from(sorted(CONTROLLERS)), compat=st.sampled_from(Compat), batch=st.integers(1, 20),
    tail=st.floats(0.0, 0.2), audit=st.floats(0, 1), semantics=st.sampled_from(Semantics),
)  # fmt: skip
@settings(max_examples=40)
def test_a_controller_keeps_a_ramp_and_its_tail_whatever_comes(
    seed: int, kind: str, compat: Compat, batch: int, tail: float, audit: float, semantics: Semantics
) -> None:
    rng = np.random.default_rng(seed)
    latencies = {4: latency_of(rng), 16: latency_of(rng)}
    controller = CONTROLLERS[kind]
    ramps = place_initially(
        STREAM, latencies[16], controller.most_ramps, tail_budget=max(tail, 1e-6), compat=compat
    )  # fmt: skip
    order_M = rng.integers(0, STREAM.samples, 130 * batch)
    served = replay(
        controller(latencies, ramps, compat=compat, tail_budget=tail), STREAM, order_M, batch, semantics,
        audited_M=rng.random(len(order_M)) < audit,
    )  # fmt: skip
    for one in served.batches:
        assert one.ramps
        assert list(one.ramps) == sorted(set(one.ramps))
        assert max(one.ramps) <= EXITS - 2
    for latency in latencies.values():
        started = latency.tail_overhead(ramps)
        several = [one.ramps for one in served.batches if len(one.ramps) > 1]
        assert all(latency.tail_overhead(one) < max(tail, started) + 1e-12 for one in several)
    if semantics is Semantics.RELEASE:
        assert served.busy_cut_pct <= 0
    else:
        assert served.busy_cut_pct <= served.cut_pct + 1e-9


@given(seed=seeds, kind=st.sampled_from(sorted(CONTROLLERS)))
@settings(max_examples=10)
def test_a_stop_with_every_request_audited_decides_as_release_does(seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    latency = latency_of(rng)
    order_M = rng.integers(0, STREAM.samples, 800)
    found = [
        replay(CONTROLLERS[kind]({8: latency}, (1, 3)), STREAM, order_M, 8, semantics, audited_M=np.ones(800, bool))
        for semantics in Semantics
    ]
    assert found[0].batches == found[1].batches
    assert np.isclose(found[0].busy_cut_pct, found[1].busy_cut_pct)


def test_a_stop_without_audits_learns_nothing() -> None:
    controller = CONTROLLERS["vision"]({8: latency_of(np.random.default_rng(0))}, (1, 3))
    served = replay(controller, STREAM, np.arange(400), 8, Semantics.STOP)
    assert {one.thresholds for one in served.batches} == {(0.0, 0.0)}
    assert served.agreement == 1.0


@given(operations=st.integers(2, 9), data=st.data())
@settings(max_examples=150)
def test_a_feasible_position_cuts_every_path(operations: int, data: st.DataObject) -> None:
    pairs = [(i, j) for j in range(operations) for i in range(j)]
    edges = data.draw(st.sets(st.sampled_from(pairs)))
    edges |= {(data.draw(st.integers(0, j - 1)), j) for j in range(1, operations)}  # everything comes from the input
    found = feasible_positions(operations, edges)
    for operation in range(1, operations - 1):
        assert (operation in found) == (not reaches(operations, {e for e in edges if operation not in e}))


def reaches(operations: int, edges: set[tuple[int, int]]) -> bool:
    """Whether a path leads from the first operation to the last."""
    reached = {0}
    for tail, head in sorted(edges):
        if tail in reached:
            reached.add(head)
    return operations - 1 in reached
