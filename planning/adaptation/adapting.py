"""A controller at work: it looks back at the arrivals, expects a load, hesitates to give less, and asks its rule.

Axes: T whole seconds since the start.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from ttamer.planning.adaptation.controllers.protocol import Kind, Rule, Setup
from ttamer.planning.adaptation.predictors.protocol import Predictor, forecast_rps
from ttamer.planning.conflict import duration, rate
from ttamer.planning.simulation.adaptive import Configuration, Observation, Setting
from ttamer.profiles.errors import InfeasibleError, InputError
from ttamer.profiles.records import Floats, Ints

LONGEST_LOOK_S = 3600  # back: no predictor's window is longer


@dataclass(slots=True, kw_only=True)
class Hesitation:
    """Fewer resources only after `patience` lower loads in a row, and then for the highest of them.

    Source: InfAdapter's published code, where the patience is 4 decisions of 30 s.

    >>> habit = Hesitation(patience=2)
    >>> [habit.held(load) for load in (5.0, 3.0, 4.0, 2.0, 6.0)]
    [5.0, 5.0, 4.0, 4.0, 6.0]
    """

    patience: int = 1
    held_rps: float = 0.0
    lower: list[float] = field(default_factory=list)

    def held(self, load_rps: float) -> float:
        """The load to be ready for."""
        if load_rps >= self.held_rps:
            self.held_rps, self.lower = load_rps, []
            return self.held_rps
        self.lower.append(load_rps)
        if len(self.lower) >= self.patience:
            self.held_rps, self.lower = max(self.lower), []
        return self.held_rps


@dataclass(slots=True, kw_only=True)
class Adapting:
    """A controller for `planning.simulation.adaptive`. past_rps_T: load before the start, seen by the predictor too.

    smooth_s: seconds over which load is averaged before it is predicted; shorter peaks are left to the queue.
    expected: what was predicted at each decision, for the record.
    """

    rule: Rule
    predictor: Predictor
    interval_s: float
    hesitation: Hesitation
    past_rps_T: Floats
    smooth_s: int = 1
    expected: list[tuple[float, float]] = field(default_factory=list)

    def decide(self, seen: Observation) -> Configuration | None:
        """What should run now."""
        load_rps = self.expected_rps(seen.arrivals_T)
        self.expected.append((seen.now_s, load_rps))
        wish = self.rule(self.hesitation.held(load_rps), seen)
        return None if wish is None else renamed(wish, seen.wished)

    def expected_rps(self, arrivals_T: Ints) -> float:
        """The load that the predictor expects after these arrivals and what came before them."""
        look_s = self.predictor.window_s + self.smooth_s
        recent_T = np.concatenate([self.past_rps_T[-look_s:], arrivals_T[-look_s:]])[-look_s:]
        return forecast_rps(self.predictor, smoothed(recent_T, self.smooth_s))


def adapting(
    kind: Kind,
    setup: Setup,
    predictor: Predictor,
    *,
    past_rps_T: Floats | None = None,
    interval_s: float | None = None,
    patience: int | None = None,
    smooth_s: int = 1,
) -> Adapting:
    """The controller of a kind with this predictor; interval and patience are the kind's by default.

    Raises InputError on an interval of 0 or less.
    """
    every_s = kind.interval_s if interval_s is None else interval_s
    if not 0 < every_s < float("inf"):
        raise InputError(f"a decision each {every_s:g} s", remedy="give an interval above zero")
    past_T = np.empty(0) if past_rps_T is None else np.asarray(past_rps_T[-LONGEST_LOOK_S:], dtype=np.float64)
    return Adapting(
        rule=kind.rule(setup),
        predictor=predictor,
        interval_s=every_s,
        hesitation=Hesitation(patience=kind.patience if patience is None else patience),
        past_rps_T=past_T,
        smooth_s=smooth_s,
    )


def first_configuration(controller: Adapting, load_rps: float, slo_s: float) -> Configuration:
    """What the controller has running when a trace begins with this load.

    Raises InfeasibleError if its rule finds nothing that serves it.
    """
    controller.hesitation.held(load_rps)
    found = controller.rule(load_rps, nothing_seen(controller.interval_s))
    if not found:
        raise InfeasibleError(
            f"nothing serves {rate(load_rps)} within {duration(slo_s)} to begin with",
            remedy="raise the SLO, allow more cores or replicas, or scale the trace down",
        )
    return renamed(found)


def nothing_seen(interval_s: float) -> Observation:
    """What there is to see before anything has come."""
    none = np.empty(0)
    return Observation(
        now_s=0.0, interval_s=interval_s, running=(), wished=(), arrivals_T=np.empty(0, dtype=np.int64),
        sojourn_s_N=none, missed=0, dropped=0, remaining_slo_s_N=none,
    )  # fmt: skip


def smoothed(load_rps_T: Floats | Ints, seconds: int) -> Floats:
    """The mean load of the last so many seconds at each second, as many values fewer as it takes to begin.

    >>> smoothed(np.array([1.0, 3.0, 5.0]), 2).tolist()
    [2.0, 4.0]
    """
    load_T = np.asarray(load_rps_T, dtype=np.float64)
    if seconds <= 1 or len(load_T) < seconds:
        return load_T
    sum_T = np.cumsum(np.concatenate([[0.0], load_T]))
    return np.asarray((sum_T[seconds:] - sum_T[:-seconds]) / seconds)


def renamed(configuration: Configuration, before: Configuration = ()) -> Configuration:
    """The configuration with names for settings that would else be taken for the same group.

    Several settings of a model differ in cores or batch. One that ran before, with as many cores or else at all, keeps
    its name, so that it goes on running; the first of all needs none.
    """
    found: list[Setting | None] = [None] * len(configuration)
    free: dict[tuple[str, ...], list[Setting]] = {}
    for one in before:
        free.setdefault(_kind(one), []).append(one)
    for is_alike in (_same_size, _same_kind):
        for place, setting in enumerate(configuration):
            match = next((one for one in free.get(_kind(setting), []) if is_alike(one, setting)), None)
            if found[place] is None and match is not None:
                free[_kind(setting)].remove(match)
                found[place] = replace(setting, name=match.name)
    taken = {setting.group for setting in found if setting is not None}
    for place, setting in enumerate(configuration):
        named, number = found[place] or setting, 1
        while found[place] is None and named.group in taken:
            number += 1
            named = replace(setting, name=f"{setting.policy} ({number})")
        taken.add(named.group)
        found[place] = named
    return tuple(setting for setting in found if setting is not None)


def _kind(setting: Setting) -> tuple[str, ...]:
    return setting.stage, setting.model, setting.policy, setting.device


def _same_size(one: Setting, other: Setting) -> bool:
    return one.cores == other.cores


def _same_kind(_one: Setting, _other: Setting) -> bool:
    return True
