"""Running a deployment under traffic while a controller changes it.

Axes: N requests in order of arrival, S stages.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, repeat, takewhile

import numpy as np

from ttamer.planning.simulation.adaptive import (
    AdaptiveRun,
    Book,
    Busy,
    Change,
    Configuration,
    Controller,
    Delays,
    Observation,
    Sample,
    Setting,
    Traffic,
)
from ttamer.planning.simulation.clocks import CLOCKS
from ttamer.planning.simulation.discipline import PLAIN, Discipline
from ttamer.planning.simulation.fleet import Split, StageRun, empty_visits, even_split, random_split
from ttamer.planning.simulation.replicas import Crew
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Floats, Ints
from ttamer.profiles.registry import lookup

CHUNK = 100_000  # requests at a time, so that their lists stay small
SHARE_ROUNDING = 1e-6  # of shares that add up to 1

SPLITS: Mapping[str, Split] = {"random": random_split, "round-robin": even_split, "shared-queue": random_split}


def run_adaptive(
    start: Configuration,
    controller: Controller | None,
    book: Book,
    traffic: Traffic,
    *,
    slo_s: float,
    delays: Delays | None = None,
    discipline: Discipline = PLAIN,
    clock: str = "ideal",
    routing: str = "random",
    seed: int = 0,
    sampled_s: Sequence[float] = (),
    on_progress: Callable[[float, float], object] | None = None,
) -> AdaptiveRun:
    """What a deployment that starts as `start`, all of it ready, and is changed by a controller does under traffic.

    Stages follow one another in the order in which `start` names them. routing: within a group, `random` or
    `round-robin` give every replica its own queue, with `shared-queue` they take from one. Without a controller
    nothing changes, and samples are taken at `sampled_s`, which ascends. on_progress
    is told how many seconds of how many are done. The same seed gives the same run.
    Raises InputError on an impossible configuration, traffic, clock or routing, also when a controller asks for one.
    """
    _check_traffic(traffic, slo_s)
    lookup(CLOCKS, clock, "batching clock")
    split = lookup(SPLITS, routing, "routing")
    stages = tuple(dict.fromkeys(setting.stage for setting in start))
    _check_configuration(start, stages)
    delays, rngs = delays or Delays(), iter(np.random.default_rng(seed).spawn(len(stages)))

    def open_stage(stage: str, pay: Callable[[float, int], object]) -> StageRun:
        rng, groups = next(rngs), list[Setting]()
        crew = Crew(stage, book, delays, discipline, clock, routing == "shared-queue", rng.spawn(1)[0], pay, groups)
        N, first = len(traffic.arrival_s_N), traffic.arrival_s_N if stage == stages[0] else None
        return StageRun(crew, split, rng, empty_visits(stage, groups, N, first), np.ones(N), traffic.level_N)

    run, moments = _Run(traffic, slo_s, delays), _moments(controller, sampled_s, traffic.duration_s)
    run.open(start, open_stage)
    decision_s = next(moments)
    while run.now_s < math.inf:
        run.advance(decision_s)
        if run.now_s == decision_s < math.inf:
            decision_s = next(moments)
            if controller:
                run.decide(controller)
            else:
                run.sample()
        if on_progress:
            on_progress(min(run.now_s, traffic.duration_s), traffic.duration_s)
    return run.outcome()


def _moments(controller: Controller | None, sampled_s: Sequence[float], duration_s: float) -> Iterator[float]:
    """When to decide, or where there is no controller to sample; then never."""
    if controller:
        if not controller.interval_s > 0:
            raise InputError(f"decisions every {controller.interval_s} s", remedy="give an interval above 0 s")
        yield from takewhile(lambda at_s: at_s < duration_s, (k * controller.interval_s for k in count(1)))
    else:
        yield from sampled_s
    yield from repeat(math.inf)


def _check_traffic(traffic: Traffic, slo_s: float) -> None:
    arrival_s_N, network_s_N = traffic.arrival_s_N, traffic.network_s_N
    if not 0 < traffic.duration_s < math.inf or not slo_s > 0:
        raise InputError(f"a run of {traffic.duration_s} s under an SLO of {slo_s} s", remedy="both are above zero")
    if len(arrival_s_N) == 0:
        raise InputError("traffic without requests", remedy="give a trace or a rate with at least one request")
    if not np.isfinite(arrival_s_N).all() or arrival_s_N[0] < 0 or (np.diff(arrival_s_N) < 0).any():
        raise InputError("arrival times that are negative, unsorted or not numbers", remedy="sort them, from 0 s on")
    if arrival_s_N[-1] > traffic.duration_s:
        raise InputError(
            f"a request at {arrival_s_N[-1]:g} s in a run of {traffic.duration_s:g} s", remedy="run longer"
        )
    if network_s_N is not None and (len(network_s_N) != len(arrival_s_N) or not (network_s_N >= 0).all()):
        raise InputError("network times that are negative or not one a request", remedy="give one a request, 0 or more")


def _check_configuration(wished: Configuration, stages: Sequence[str]) -> None:
    if not stages:
        raise InputError("a configuration without a group", remedy="name one group a stage at least")
    if len({setting.group for setting in wished}) < len(wished):
        raise InputError("a configuration that names a group twice", remedy="join the two, or give them names")
    for stage in stages:
        served = sum(setting.share for setting in wished if setting.stage == stage)
        if abs(served - 1) > SHARE_ROUNDING:
            raise InputError(f"shares of stage {stage!r} that add up to {served:.6g}", remedy="they add up to 1")
    unknown = {setting.stage for setting in wished} - set(stages)
    if unknown:
        raise InputError(f"a wish for stage {min(unknown)!r}", remedy=f"the stages are {', '.join(stages)}")


class _Run:
    """A run at the moment `now_s`, which is infinite when all is answered."""

    def __init__(self, traffic: Traffic, slo_s: float, delays: Delays) -> None:
        self.traffic, self.slo_s, self.delays = traffic, slo_s, delays
        network_s_N = traffic.network_s_N
        none = np.broadcast_to(np.zeros(1), len(traffic.arrival_s_N))  # one number in memory
        self.network_s_N = none if network_s_N is None else network_s_N
        self.counts_T = np.bincount(traffic.arrival_s_N.astype(np.int64), minlength=math.ceil(traffic.duration_s))
        self.now_s = 0.0
        self.runs: list[StageRun] = []
        self.cores: list[tuple[float, int]] = []
        self.arrived = 0
        self.wished: Configuration = ()
        self.due: list[tuple[float, Configuration]] = []
        self.changes: list[Change] = []
        self.samples: list[Sample] = []
        self.seen = _Seen(0.0, 0, 0, [[]])

    def open(self, start: Configuration, make: Callable[[str, Callable[[float, int], object]], StageRun]) -> None:
        """Let the first configuration serve."""
        self.wished = start
        for stage in dict.fromkeys(setting.stage for setting in start):
            self.runs.append(make(stage, lambda at_s, more: self.cores.append((at_s, more))))
            self.runs[-1].crew.begin(tuple(setting for setting in start if setting.stage == stage), 0.0)
        self.seen = _Seen(0.0, 0, 0, [[] for _ in self.runs])

    def advance(self, decision_s: float) -> None:
        """Run to the next moment at which something may change, and change what is due then."""
        moment_s = self._next_moment_s(decision_s)
        until = int(np.searchsorted(self.traffic.arrival_s_N, moment_s))
        ids = np.arange(self.arrived, until)
        self.arrived = until
        for place, run in enumerate(self.runs):
            run.coming_M = np.concatenate([run.coming_M, ids])
            ids = run.run_until(moment_s, self.now_s, self._deadlines_s)
            self.seen.passed[place].append(ids)
            if place + 1 < len(self.runs):
                self.runs[place + 1].visits.arrival_s_N[ids] = run.visits.answer_s_N[ids]
        self.now_s = moment_s
        if moment_s < math.inf:
            self._apply()

    def _deadlines_s(self, ids: Ints) -> Floats:
        """When the SLO of these requests runs out: so long after they were sent."""
        return np.asarray(self.traffic.arrival_s_N[ids] - self.network_s_N[ids] + self.slo_s)

    def _sojourns_s(self, ids: Ints | slice) -> Floats:
        """Seconds from sending to the last answer; nan where there is none."""
        answer_s = self.runs[-1].visits.answer_s_N[ids]
        return np.asarray(answer_s - self.traffic.arrival_s_N[ids] + self.network_s_N[ids])

    def _next_moment_s(self, decision_s: float) -> float:
        if self.now_s >= self.traffic.duration_s:
            return math.inf
        moments = [self.traffic.duration_s, decision_s, *(at_s for at_s, _ in self.due)]
        moments += [run.crew.next_s(self.now_s) for run in self.runs]
        if self.arrived + CHUNK < len(self.traffic.arrival_s_N):
            moments.append(float(self.traffic.arrival_s_N[self.arrived + CHUNK]))
        return min(at_s for at_s in moments if at_s > self.now_s)

    def _apply(self) -> None:
        while self.due and self.due[0][0] <= self.now_s:
            _, wished = self.due.pop(0)
            for run in self.runs:
                run.crew.wish(tuple(one for one in wished if one.stage == run.crew.stage), self.now_s)
        for run in self.runs:
            run.crew.settle(self.now_s)

    def decide(self, controller: Controller) -> None:
        """Show the controller how things stand, and take up what it wishes."""
        wished = controller.decide(self._observation(self.sample()))
        if wished is not None and wished != self.wished:
            _check_configuration(wished, [run.crew.stage for run in self.runs])
            self.wished = wished
            self.changes.append(Change(at_s=self.now_s, wished=wished))
            self.due.append((self.now_s + self.delays.decision_s, wished))
            self._apply()

    def sample(self) -> Sample:
        """How things stand now; busy shares count from the last sample on."""
        before_s = self.samples[-1].at_s if self.samples else 0.0
        busy = {run.crew.stage: run.utilization(before_s, self.now_s) for run in self.runs}
        sample = Sample(
            at_s=self.now_s,
            utilization={stage: _total(groups.values()).share for stage, groups in busy.items()},
            groups={(stage, number): one for stage, groups in busy.items() for number, one in groups.items()},
            waiting={run.crew.stage: run.waiting() for run in self.runs},
            running=tuple(setting for run in self.runs for setting in run.crew.running(self.now_s)),
        )
        self.samples.append(sample)
        return sample

    def _observation(self, sample: Sample) -> Observation:
        seen = self.seen
        passed = [np.concatenate([np.empty(0, dtype=np.int64), *ids]) for ids in seen.passed]
        sojourn_s_M = self._sojourns_s(passed[-1])
        dropped = sum(run.dropped for run in self.runs)
        observation = Observation(
            now_s=self.now_s,
            interval_s=self.now_s - seen.at_s,
            running=sample.running,
            wished=self.wished,
            arrivals_T=self.counts_T[: int(self.now_s)],
            sojourn_s_N=sojourn_s_M,
            missed=int((sojourn_s_M > self.slo_s).sum()) + dropped - seen.dropped,
            dropped=dropped - seen.dropped,
            remaining_slo_s_N=self.slo_s - self.network_s_N[seen.arrived : self.arrived],
            utilization=sample.utilization,
            waiting=sample.waiting,
            rows=_rows(self.runs, passed),
        )
        self.seen = _Seen(self.now_s, self.arrived, dropped, [[] for _ in self.runs])
        return observation

    def outcome(self) -> AdaptiveRun:
        """What happened."""
        sojourn_s_N = self._sojourns_s(slice(None))
        sojourn_s_N[np.isnan(sojourn_s_N)] = np.inf
        accuracy_N = self.runs[0].accuracy_N
        for run in self.runs[1:]:
            accuracy_N *= run.accuracy_N
        paid = sorted(self.cores)
        return AdaptiveRun(
            arrival_s_N=self.traffic.arrival_s_N,
            network_s_N=self.network_s_N,
            sojourn_s_N=sojourn_s_N,
            accuracy_N=accuracy_N,
            duration_s=self.traffic.duration_s,
            slo_s=self.slo_s,
            changes=tuple(self.changes),
            paid_s_A=np.array([at_s for at_s, _ in paid]),
            paid_cores_A=np.cumsum([more for _, more in paid]),
            visits=tuple(run.visits for run in self.runs),
            samples=tuple(self.samples),
        )


@dataclass(slots=True)
class _Seen:
    """What had happened by the last observation, and who has passed each stage since."""

    at_s: float
    arrived: int
    dropped: int
    passed: list[list[Ints]]


def _total(busy: Iterable[Busy]) -> Busy:
    several = list(busy)
    return Busy(sum(one.worked_s for one in several), sum(one.present_s for one in several))


def _rows(runs: Sequence[StageRun], passed: Sequence[Ints]) -> dict[tuple[str, str], Ints]:
    """The rows of test records that passed each stage, by stage and model."""
    rows: dict[tuple[str, str], Ints] = {}
    for run, ids_M in zip(runs, passed, strict=True):
        for number in np.unique(run.visits.group_N[ids_M]).tolist():
            setting = run.visits.groups[number]
            mine_M = run.visits.row_N[ids_M[run.visits.group_N[ids_M] == number]].astype(np.int64)
            key = (setting.stage, setting.model)
            rows[key] = np.concatenate([rows[key], mine_M]) if key in rows else mine_M
    return rows
