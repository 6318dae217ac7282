"""Single rules of controllers, on numbers that can be worked out by hand."""

from itertools import pairwise

import numpy as np
import pytest

from tests.builders_adaptation import SLO_S, catalog_of, profile_of_three, scene_of, seen, service_of
from ttamer.planning.adaptation.adapting import Hesitation, adapting, renamed, smoothed
from ttamer.planning.adaptation.backlog import Backlog
from ttamer.planning.adaptation.behaviors import ProfileBook, law_s_N
from ttamer.planning.adaptation.catalog import Catalog
from ttamer.planning.adaptation.caution import Caution
from ttamer.planning.adaptation.comparing import Choices, Scene, trial
from ttamer.planning.adaptation.controllers import CONTROLLERS
from ttamer.planning.adaptation.controllers.infadapter import CAPACITY_PART, problem_at, tables_of
from ttamer.planning.adaptation.controllers.protocol import Setup
from ttamer.planning.adaptation.controllers.ttamer import Network, is_loading, loading_core_s
from ttamer.planning.adaptation.controllers.vpa import Usage
from ttamer.planning.adaptation.pipeline import base_offers, stages_of
from ttamer.planning.adaptation.plans import on_grid
from ttamer.planning.adaptation.predictors.last_value import LastValue
from ttamer.planning.adaptation.sizes import sizes_of
from ttamer.planning.simulation.adaptive import Configuration, Delays, Setting
from ttamer.planning.solve import solve
from ttamer.profiles.errors import InfeasibleError, InputError

CATALOG = catalog_of()


def running_of(model: str, *, cores: int = 1, batch: int = 1, replicas: int = 1) -> Configuration:
    offer = next(one for one in CATALOG.of_stage("serve", model, batch=batch) if one.cores == cores)
    return (offer.setting(replicas=replicas),)


def test_a_catalog_knows_whole_models_in_order_of_accuracy() -> None:
    assert CATALOG.models("serve") == ["small", "medium", "large"]
    assert len(CATALOG.of_stage("serve", "small")) == 12  # 3 core counts, 4 batches
    one = CATALOG.of_stage("serve", "small", batch=1)[0]
    assert one.throughput_rps == pytest.approx(100, rel=0.02)  # 10 ms each on one core
    assert 0 < one.sustained_rps < one.throughput_rps


def test_base_cores_are_the_fewest_that_answer_one_request_in_the_stages_slo() -> None:
    tight = catalog_of(slo_s=0.06)  # large takes 80 ms on one core, 48 ms on two
    cores = {offers[0].model: {offer.cores for offer in offers} for offers in base_offers(tight, "serve")}
    assert cores == {"small": {1}, "medium": {1}, "large": {2}}
    assert [variant.cores for variant in stages_of(tight)[0].variants] == [1, 1, 2]


def test_sizes_are_the_best_replicas_for_each_number_of_cores() -> None:
    sizes = sizes_of(CATALOG, "serve", "small")
    assert len(sizes.size_C) == 25
    assert sizes.size_C[0] is None
    assert [size.cores for size in sizes.size_C[1:] if size] == list(range(1, 25))
    assert sizes.at_least(2.5).cores == 3
    assert sizes.at_least(99).cores == 24
    capacity = sizes.capacity_rps()
    assert all(more > less for less, more in pairwise(capacity))


def test_infadapters_program_counts_four_fifths_of_what_is_sustained() -> None:
    setup = Setup(catalog=CATALOG)
    table = tables_of(setup)["serve"]
    program = problem_at(setup, table, 40.0, {})
    column = next(one for one in program.columns if one.name == "small" and one.cores == 2)
    assert column.capacity_rps == pytest.approx(CAPACITY_PART * table[0].size_C[2].sustained_rps)  # type: ignore[union-attr]
    assert solve(program, "labels").status == "optimal"
    assert min(one.cores for one in program.columns) == 2


def test_hesitation_gives_less_only_after_its_patience_and_then_for_the_highest() -> None:
    habit = Hesitation(patience=3)
    assert [habit.held(load) for load in (9.0, 5.0, 6.0, 4.0, 3.0, 10.0)] == [9.0, 9.0, 9.0, 6.0, 6.0, 10.0]
    assert Hesitation().held(1.0) == 1.0


def test_a_higher_load_ends_the_waiting() -> None:
    habit = Hesitation(patience=2)
    assert [habit.held(load) for load in (5.0, 4.0, 5.0, 4.0, 4.0)] == [5.0, 5.0, 5.0, 5.0, 4.0]


def test_vpa_grows_by_its_margin_and_shrinks_only_after_four_recommendations() -> None:
    usage = Usage(sizes_of(CATALOG, "serve", "small"))
    usage.cores_U.append(4.0)
    usage.at_s_U.append(30.0)
    assert usage.recommended_cores() == pytest.approx(4.6)
    assert usage.next_size(4).cores == 5
    usage.cores_U.clear()
    usage.at_s_U.clear()
    found = []
    for at in range(1, 6):
        usage.cores_U.append(1.0)
        usage.at_s_U.append(30.0 * at)
        found.append(usage.next_size(8).cores)
    assert found == [8, 8, 8, 2, 2]  # never below two cores


def test_vpa_weighs_use_of_a_day_ago_half_as_much() -> None:
    usage = Usage(sizes_of(CATALOG, "serve", "small"))
    for at_s, cores in [(0.0, 8.0)] * 11 + [(86_400.0, 2.0)] * 50:
        usage.at_s_U.append(at_s)
        usage.cores_U.append(cores)
    assert usage.recommended_cores() == pytest.approx(1.15 * 2.0)  # 5.5 of 55.5 weigh less than a tenth


def test_sponge_takes_more_cores_when_the_network_leaves_less() -> None:
    rule = CONTROLLERS["sponge"].rule(Setup(catalog=CATALOG, models={"serve": "large"}))
    cores = []
    for remaining_s in (0.5, 0.2):
        found = rule(3.0, seen([3] * 10, remaining_s=remaining_s, wished=running_of("large")))
        assert found is not None
        cores.append(found[0].cores)
    assert cores[0] < cores[1]
    assert rule(3.0, seen([3] * 10, remaining_s=0.01, wished=running_of("large"))) is None


def test_rim_keeps_its_replicas_and_changes_its_models() -> None:
    rule = CONTROLLERS["rim"].rule(Setup(catalog=CATALOG, replicas={"serve": 3}))
    slow, fast = rule(10.0, seen()), rule(250.0, seen())
    assert slow is not None
    assert fast is not None
    assert (slow[0].replicas, fast[0].replicas) == (3, 3)
    assert (slow[0].model, fast[0].model) == ("large", "small")


def test_fa2_keeps_its_models_and_static_keeps_everything() -> None:
    setup = Setup(catalog=CATALOG, peak_rps=100.0)
    for name, model in (("fa2-low", "small"), ("fa2-high", "large")):
        found = [CONTROLLERS[name].rule(setup)(load, seen()) for load in (5.0, 250.0)]
        assert all(one is not None and one[0].model == model for one in found)
        assert found[0] != found[1]
    static = CONTROLLERS["static"].rule(setup)
    assert static(1.0, seen()) == static(99.0, seen())


def test_ours_plans_for_the_least_that_the_network_left_within_twenty_seconds() -> None:
    network = Network(0.5)
    assert network.left_s(seen(remaining_s=0.5, now_s=1.0)) == 0.5
    assert 0.29 < network.left_s(seen(remaining_s=0.3, now_s=2.0)) <= 0.3
    assert 0.29 < network.left_s(seen(remaining_s=0.45, now_s=20.0)) <= 0.3
    assert 0.43 < network.left_s(seen(remaining_s=0.48, now_s=30.0)) <= 0.45
    assert network.left_s(seen(remaining_s=0.5, now_s=200.0)) == 0.5
    assert network.left_s(seen(remaining_s=-1.0, now_s=201.0)) == pytest.approx(0.05 * 0.5, rel=0.05)


def test_replicas_that_were_asked_for_are_awaited() -> None:
    more = running_of("small", replicas=2)
    assert is_loading(seen(wished=more, running=running_of("small")))
    assert not is_loading(seen(wished=running_of("small"), running=more))
    assert not is_loading(seen(wished=more))


def test_the_grid_is_never_below_when_rounding_upwards() -> None:
    for value in np.geomspace(0.2, 5000, 50):
        assert value <= on_grid(value, upwards=True) <= value * 1.0301
        assert value / 1.0301 <= on_grid(value, upwards=False) <= value


def test_requests_that_come_at_once_are_no_rate_that_goes_on_while_replicas_load() -> None:
    wished = (Setting(model="small", replicas=1),)
    each_quarter = [seen([20], wished=wished, waiting=14, interval_s=0.25, arrived=arrived) for arrived in (20, 0)]
    first, second = (Backlog(CATALOG, 10.0).more_rps(20.0, one) for one in each_quarter)
    assert first == second


def test_a_backlog_asks_for_more_once_and_forgets_it_when_it_is_gone() -> None:
    backlog = Backlog(CATALOG, 2.0)
    wished = running_of("small")
    assert backlog.more_rps(20.0, seen(wished=wished, waiting=2)) == 0.0  # two batches always wait
    # 60 wait, and while others load for 2 s and a decision 100 rps stay unanswered; all in a quarter of the SLO,
    # but not in less than a decision
    crowd = seen(wished=wished, waiting=62)
    first = backlog.more_rps(20.0, crowd)
    assert first == pytest.approx(60.0, rel=0.1)
    more = (*running_of("small", replicas=4),)
    loading = seen(wished=more, running=wished, waiting=90)
    assert backlog.more_rps(20.0, loading) == first
    assert backlog.more_rps(20.0, seen(wished=more, waiting=0)) == 0.0


def test_caution_grows_with_misses_that_no_change_explains_and_fades_when_calm() -> None:
    caution = Caution(tolerated=0.01, settling_s=0.5)
    wished = running_of("small")
    changing = seen(wished=running_of("small", replicas=2), running=wished, answered=100, missed=50, now_s=10.0)
    assert caution.factor_after(changing) == 1.0
    assert caution.factor_after(seen(wished=wished, answered=100, missed=50, now_s=10.5)) == 1.0  # still settling
    assert caution.factor_after(seen(wished=wished, answered=100, missed=50, now_s=20.0)) == pytest.approx(1.65)
    for at_s in range(21, 81):
        caution.factor_after(seen(wished=wished, answered=100, now_s=float(at_s)))
    assert caution.factor == pytest.approx(1.65 / 1.03)


def test_caution_that_faded_too_far_returns_to_what_sufficed_and_is_slower_to_fade_again() -> None:
    caution, wished = Caution(tolerated=0.01, settling_s=0.5), running_of("small")
    for at_s in (10, 11):
        caution.factor_after(seen(wished=wished, answered=100, missed=50, now_s=float(at_s)))
    sufficed = caution.factor
    calm = [caution.factor_after(seen(wished=wished, answered=100, now_s=float(at_s))) for at_s in range(12, 72)]
    assert calm[-1] == pytest.approx(sufficed / 1.03)
    assert caution.factor_after(seen(wished=wished, answered=100, missed=50, now_s=72.0)) == sufficed
    calm = [caution.factor_after(seen(wished=wished, answered=100, now_s=float(at_s))) for at_s in range(73, 193)]
    assert calm[-2:] == pytest.approx([sufficed, sufficed / 1.03])


def test_caution_stays_where_nothing_is_tolerated() -> None:
    caution = Caution(tolerated=0.0, settling_s=0.5, factor=2.0)
    for at_s in range(2, 300):
        caution.factor_after(seen(wished=running_of("small"), answered=100, now_s=float(at_s)))
    assert caution.factor == 2.0


def test_only_what_is_new_has_to_be_loaded() -> None:
    load_s = {("serve", "small"): 2.0, ("serve", "large"): 10.0}
    old, more = running_of("small", replicas=2), running_of("small", replicas=3)
    for in_place in (False, True):
        assert loading_core_s(old, old, load_s, in_place=in_place) == 0.0
        assert loading_core_s(more, old, load_s, in_place=in_place) == 2.0
        assert loading_core_s(running_of("large", cores=4), old, load_s, in_place=in_place) == 40.0
    wider = running_of("small", cores=2, replicas=2)
    assert loading_core_s(wider, old, load_s, in_place=False) == 8.0
    assert loading_core_s(wider, old, load_s, in_place=True) == 0.0


def test_ours_keeps_the_models_that_run_where_others_are_hardly_better() -> None:
    rule = CONTROLLERS["ttamer"].rule(Setup(catalog=CATALOG, load_s=1e4))
    running = running_of("medium", replicas=3)
    found = rule(20.0, seen([20] * 10, wished=running))
    assert found is not None
    assert {one.model for one in found} == {"medium"}
    free = CONTROLLERS["ttamer"].rule(Setup(catalog=CATALOG, load_s=0.0))(20.0, seen([20] * 10, wished=running))
    assert free is not None
    assert {one.model for one in free} == {"large"}


def test_settings_of_one_model_get_names_that_keep_them_apart() -> None:
    two = Setting(model="m", cores=1, share=0.5), Setting(model="m", cores=2, share=0.5)
    first = renamed(two)
    assert [setting.name for setting in first] == [None, "last-exit (2)"]
    swapped = Setting(model="m", cores=2, share=0.6), Setting(model="m", cores=1, share=0.4)
    assert [setting.name for setting in renamed(swapped, first)] == ["last-exit (2)", None]
    wider = Setting(model="m", cores=4, share=0.6), Setting(model="m", cores=1, share=0.4)
    assert [setting.name for setting in renamed(wider, first)] == ["last-exit (2)", None]
    three = *swapped, Setting(model="m", cores=8, share=0.0)
    assert [setting.name for setting in renamed(three, first)] == ["last-exit (2)", None, "last-exit (3)"]


def test_smoothing_is_a_trailing_mean() -> None:
    assert smoothed(np.array([0.0, 2.0, 4.0, 6.0]), 2).tolist() == [1.0, 3.0, 5.0]
    assert smoothed(np.array([1.0]), 3).tolist() == [1.0]


def test_a_controller_sees_the_load_before_the_trace() -> None:
    controller = adapting(CONTROLLERS["ipa"], Setup(catalog=CATALOG), LastValue(), past_rps_T=np.full(20, 7.0))
    assert controller.expected_rps(np.array([], dtype=np.int64)) == 7.0
    assert controller.expected_rps(np.array([30], dtype=np.int64)) == 30.0
    assert controller.expected_rps(np.full(10, 2)) == 2.0


@pytest.mark.parametrize("interval_s", [0.0, -1.0, float("inf")])
def test_an_impossible_interval_is_refused(interval_s: float) -> None:
    with pytest.raises(InputError, match="a decision each"):
        adapting(CONTROLLERS["ipa"], Setup(catalog=CATALOG), LastValue(), interval_s=interval_s)


def test_an_imported_law_has_its_mean_and_its_quantile() -> None:
    seconds = law_s_N(0.10, 0.15, 0.99)
    assert seconds.mean() == pytest.approx(0.10)
    assert np.quantile(seconds, 0.99) == pytest.approx(0.15, rel=0.02)
    assert law_s_N(0.2, 0.1, 0.99).tolist() == [0.2] * 200  # a throughput below its latency: no spread is known


def test_a_book_says_what_was_not_measured() -> None:
    book = ProfileBook(profile=profile_of_three(), policies=CATALOG.policies)
    setting = running_of("small")[0]
    assert book.behavior(setting).load_s == 0.5
    assert book.behavior(setting).accuracy == 0.80
    with pytest.raises(InputError, match="was not measured on 3 cpu cores"):
        book.behavior(Setting(model="small", policy=setting.policy, cores=3))


def test_changes_cost_what_they_load() -> None:
    steady = scene_of([20] * 60, CATALOG)
    slow = Scene(
        catalog=CATALOG, book=steady.book, traffic=steady.traffic, past_rps_T=np.empty(0),
        delays=Delays(load_s=20.0), routing="shared-queue",
    )  # fmt: skip
    setup = Setup(catalog=CATALOG)
    fast_done, slow_done = (trial("ipa", CONTROLLERS["ipa"], one, setup, Choices()) for one in (steady, slow))
    assert fast_done.run.core_seconds <= slow_done.run.core_seconds + 1e-9


def test_nothing_to_begin_with_is_said_to_be_infeasible() -> None:
    catalog = Catalog.of(service_of(slo_s=0.001), profile_of_three())
    with pytest.raises(InfeasibleError, match="nothing serves 20rps within 1ms"):
        trial("ipa", CONTROLLERS["ipa"], scene_of([20] * 20, catalog), Setup(catalog=catalog))
    assert SLO_S == 0.5
