"""Tuning exits while they serve: policies change at once, resources do not."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from tests.builders_adaptation import seen
from tests.builders_simulation import MODEL, profile_of, records_of
from ttamer.planning.adaptation.behaviors import ProfileBook
from ttamer.planning.adaptation.ramps import RampAdapting
from ttamer.planning.simulation.adaptive import Setting, Traffic
from ttamer.planning.simulation.running import run_adaptive
from ttamer.profiles.errors import InputError
from ttamer.profiles.plan import PolicySpec
from ttamer.profiles.records import Ints

PLAIN = (Setting(model=MODEL, policy="whole"),)
WHOLE = {"whole": PolicySpec(kind="last-exit", model=MODEL)}


@dataclass
class Scripted:
    """Switches its one ramp on once it has seen so many rows."""

    after: int
    ramps: tuple[int, ...] = (0,)
    thresholds: tuple[float, ...] = (0.0,)
    rows: list[int] = field(default_factory=list)

    def learn(self, row_M: Ints) -> None:
        self.rows += row_M.tolist()
        if len(self.rows) >= self.after:
            self.thresholds = (0.1,)


def controller_of(tuner: Scripted, *, recorded: bool = True) -> RampAdapting:
    records = {MODEL: records_of([True] * 50)} if recorded else {}
    book = ProfileBook(profile=profile_of(), policies=dict(WHOLE), records=records, releases=True)
    return RampAdapting(interval_s=1.0, tuners={("serve", MODEL): tuner}, exits={MODEL: 2}, book=book)


def test_requests_leave_early_from_the_moment_a_ramp_is_switched_on_and_no_replica_is_loaded() -> None:
    tuner = Scripted(after=100)
    controller = controller_of(tuner)
    arrival_s_N = np.arange(400) / 20.0
    traffic = Traffic(arrival_s_N=arrival_s_N, duration_s=20.0, level_N=(np.arange(400) % 50 + 0.5) / 50)
    run = run_adaptive(controller.begin(PLAIN), controller, controller.book, traffic, slo_s=0.2)
    assert [change.thresholds for change in controller.changes] == [(0.0,), (0.1,)]
    switched_s = controller.changes[1].at_s
    assert 5.0 <= switched_s <= 6.0
    early_N = arrival_s_N > switched_s + 0.1
    # a ramp that nobody leaves at costs its second on the way: 4 + 1 + 6 + 1 ms; leaving there takes 4 + 1
    assert run.sojourn_s_N[arrival_s_N < switched_s - 0.1] == pytest.approx(0.012)
    assert run.sojourn_s_N[early_N] == pytest.approx(0.005)
    assert set(run.paid_cores_A.tolist()) == {1}
    assert tuner.rows[:50] == list(range(50))  # fed back in the order of the stream


def test_nothing_is_asked_for_while_the_ramps_stay() -> None:
    controller = controller_of(Scripted(after=10))
    wished = controller.begin(PLAIN)
    assert controller.decide(seen(wished=wished)) is None  # nothing was answered
    assert len(controller.changes) == 1


def test_a_model_without_records_cannot_be_tuned() -> None:
    with pytest.raises(InputError, match="no test records"):
        controller_of(Scripted(after=1), recorded=False).begin(PLAIN)
