"""Apparate: latencies, the search against the optimum, placement, controllers, and what release and stop save."""

import numpy as np
import pytest

from tests.synthetic_records import plausible_records
from ttamer.exits.apparate.controller import Controller
from ttamer.exits.apparate.feedback import Feedback
from ttamer.exits.apparate.language import LanguageController
from ttamer.exits.apparate.latency import RampLatency, at_batch
from ttamer.exits.apparate.placement import add_greedily, place_exactly, place_initially, spaced, utilities
from ttamer.exits.apparate.replay import Semantics, replay, replay_fixed
from ttamer.exits.apparate.tuner import Compat, most_errors, tune, tune_exactly
from ttamer.exits.apparate.vision import VisionController
from ttamer.profiles.errors import InputError

EXITS = 8
LATENCY = RampLatency.of_stages(np.full(EXITS, 0.001), np.append(np.full(EXITS - 1, 0.0001), 0.0))
FEEDBACK = Feedback.of(plausible_records(1, 1500, EXITS))


def test_an_answer_waits_for_the_trunk_and_every_ramp_on_the_way() -> None:
    assert LATENCY.answer_s([1, 4]) == pytest.approx([0.0021, 0.0052, 0.0082])
    assert LATENCY.cut_pct([0.5, 0.25, 0.25], LATENCY.answer_s([1, 4])) == pytest.approx(100 * (1 - 0.0044 / 0.008))
    assert LATENCY.tail_overhead([1, 4]) == pytest.approx(0.025)


def test_no_ramp_lies_where_its_answer_would_come_after_the_models() -> None:
    assert LATENCY.latest_ramp() == EXITS - 2
    assert RampLatency(np.array([1.0, 1.9, 2.0]), np.array([0.3, 0.3, 0.0])).latest_ramp() == 0


def test_a_batch_takes_the_latencies_of_the_next_measured_size() -> None:
    other = RampLatency(LATENCY.prefix_s_K * 3, LATENCY.ramp_s_K)
    assert at_batch({4: LATENCY, 16: other}, 5) is other
    assert at_batch({4: LATENCY, 16: other}, 99) is other
    assert at_batch({4: LATENCY, 16: other}, 3) is LATENCY


@pytest.mark.parametrize("compat", Compat)
@pytest.mark.parametrize("budget", [0.001, 0.01, 0.05])
@pytest.mark.parametrize("ramps", [(3,), (2, 5), (1, 6)])
def test_the_search_keeps_its_budget_and_saves_no_more_than_the_optimum(
    compat: Compat, budget: float, ramps: tuple[int, ...]
) -> None:
    found = tune(FEEDBACK, LATENCY, ramps, budget, compat=compat)
    best = tune_exactly(FEEDBACK, LATENCY, ramps, budget)
    assert 1 - found.agreement < budget
    assert 1 - best.agreement < budget
    assert found.cut_pct <= best.cut_pct + 1e-9
    assert found.cut_pct >= best.cut_pct - 5
    assert sum(found.exit_share) == pytest.approx(1)


def test_the_exact_pair_is_the_best_of_all_pairs_of_thresholds() -> None:
    few = FEEDBACK.rows(slice(0, 25))
    best = tune_exactly(few, LATENCY, (2, 5), 0.1)
    doubts = [np.append(np.nextafter(1 - few.confidence_NK[:, ramp], 2), 0.0) for ramp in (2, 5)]
    cuts = []
    for first in doubts[0]:
        for second in doubts[1]:
            leaving_N = few.leaving_N((2, 5), (first, second))
            wrong = ~few.agrees_NK[np.arange(25), np.array([2, 5, EXITS - 1])[leaving_N]]
            share = np.bincount(leaving_N, minlength=3) / 25
            if wrong.sum() <= most_errors(25, 0.1):
                cuts.append(LATENCY.cut_pct(share.tolist(), LATENCY.answer_s((2, 5))))
    assert best.cut_pct == pytest.approx(max(cuts))


def test_held_ramps_keep_their_thresholds() -> None:
    found = tune(FEEDBACK, LATENCY, (2, 5), 0.01, held={2: 0.123})
    assert found.thresholds[0] == 0.123
    assert tune(FEEDBACK, LATENCY, (2,), 0.01, held={2: 0.2}).thresholds == (0.2,)


def test_nothing_to_tune_is_refused() -> None:
    with pytest.raises(InputError, match="0 ramps"):
        tune(FEEDBACK, LATENCY, (), 0.01)
    with pytest.raises(InputError, match=r"7 ramps within a budget of 0\.1 of 1500 samples"):
        tune_exactly(FEEDBACK, LATENCY, tuple(range(EXITS - 1)), 0.1)


def test_the_best_subset_saves_no_less_than_greedy_addition_and_keeps_the_tail() -> None:
    for tail in (0.02, 0.05):
        greedy = add_greedily(FEEDBACK, LATENCY, 2, max_disagreement=0.02, tail_budget=tail).tuned
        best = place_exactly(FEEDBACK, LATENCY, 2, max_disagreement=0.02, tail_budget=tail).tuned
        assert greedy is not None
        assert best is not None
        assert best.cut_pct >= greedy.cut_pct - 1e-9
        assert LATENCY.tail_overhead(best.ramps) < tail
    assert place_exactly(FEEDBACK, LATENCY, 2, max_disagreement=0.02, tail_budget=0.001).ramps == ()


def test_a_ramp_is_worth_the_way_to_the_next_one_less_what_it_costs_those_who_pass() -> None:
    assert utilities((1, 4), (0.5, 0.25, 0.25), LATENCY) == pytest.approx(
        [0.5 * 0.0031 - 0.5 * 0.0001, 0.25 * 0.003 - 0.25 * 0.0001]
    )


def test_the_first_ramps_are_spaced_evenly() -> None:
    assert place_initially(FEEDBACK, LATENCY, 3) in {spaced(0, 6, n) for n in (1, 2, 3)}
    with pytest.raises(InputError, match="one exit"):
        place_initially(FEEDBACK, RampLatency(np.ones(1), np.zeros(1)), 2)


@pytest.mark.parametrize("compat", Compat)
@pytest.mark.parametrize("kind", [VisionController, LanguageController])
@pytest.mark.parametrize("batch", [1, 7, 32])
def test_a_controller_survives_any_stream(kind: type[Controller], compat: Compat, batch: int) -> None:
    stream = Feedback.of(plausible_records(2, 1500, EXITS))
    rng = np.random.default_rng(batch)
    order = rng.integers(0, stream.samples, 260 * batch + 3)
    controller = kind({8: LATENCY, 32: LATENCY}, place_initially(FEEDBACK, LATENCY, kind.most_ramps), compat=compat)
    result = replay(controller, stream, order, batch)
    assert sum(one.samples for one in result.batches) == len(order)
    for one in result.batches:
        assert list(one.ramps) == sorted(set(one.ramps))
        assert one.ramps
        assert max(one.ramps) <= EXITS - 2
        assert min(one.thresholds) >= 0
        assert sum(one.exit_share) == pytest.approx(1)
    assert result.ramp_sets[0].first_batch == 1
    assert result.agreement > 0.9


def test_thresholds_fall_when_confident_answers_turn_wrong() -> None:
    sane = plausible_records(2, 3000, EXITS)
    calm = Feedback(sane.confidence_NK, np.ones((3000, EXITS), dtype=bool))
    drifted = Feedback(sane.confidence_NK, np.arange(EXITS) == EXITS - 1 + np.zeros((3000, 1)))
    stream = Feedback(
        np.concatenate([calm.confidence_NK, drifted.confidence_NK]), np.concatenate([calm.agrees_NK, drifted.agrees_NK])
    )
    result = replay(VisionController({16: LATENCY}, (2, 4)), stream, np.arange(6000), 16)
    assert result.batches[150].cut_pct > 30
    assert result.batches[-1].exit_share[-1] > 0.9


def test_release_pays_for_every_ramp_and_stop_saves_what_is_not_computed() -> None:
    tuned = tune(FEEDBACK, LATENCY, (2, 5), 0.02)
    released, stopped = (
        replay_fixed(tuned, LATENCY, FEEDBACK, np.arange(FEEDBACK.samples), 50, semantics) for semantics in Semantics
    )
    assert released.cut_pct == pytest.approx(stopped.cut_pct) == pytest.approx(tuned.cut_pct)
    assert released.agreement == pytest.approx(tuned.agreement, abs=1e-6)
    assert released.busy_cut_pct == pytest.approx(-100 * LATENCY.tail_overhead((2, 5)))
    assert stopped.busy_cut_pct == pytest.approx(tuned.cut_pct)


def test_an_empty_stream_is_refused() -> None:
    with pytest.raises(InputError, match="no stream"):
        replay(VisionController({1: LATENCY}, (2,)), FEEDBACK, np.arange(0), 8)
