"""A deployment that changes while it runs: what a controller sees, what it may ask for, and what then happened.

    run = run_adaptive(start, controller, book, traffic, slo_s=0.5)  # in running.py

Time starts at 0. At `interval_s`, 2 `interval_s`, ... the controller is shown an `Observation` and returns the whole
`Configuration` that it wants, or None to leave things as they are. How a wish becomes true:

- Groups are told apart by `Setting.group`: stage, model, policy (or a name) and device. A group that is only in the
  wish is loaded and serves when its first replica is ready; one that is no longer wished for serves until everything
  that the wish adds to its stage is ready, then drains: it takes no more requests, answers those it has, and is gone.
- More replicas: each new one loads for the model's load time, then takes its part. Fewer: those still loading are
  given up at once; of the others the newest drain, once everything that the wish adds to the stage is ready.
- Other cores, `Delays.in_place`: every replica goes on at its old speed for `resize_s` and then has the new cores;
  fewer cores it is given once everything that the wish adds to the stage is ready. Otherwise new replicas are loaded
  beside the old ones, which drain when as many new ones are ready.
- Batch, timeout and share change at once, for the batches that start from then on. While groups load, the load is
  split by share x ready replicas / wished replicas, and groups to be replaced still count with their old share.
- Cores are paid for from the moment a replica starts loading (or a resize upwards begins) until it is gone (or a
  resize downwards is done).
- A wish replaces the one before it, also while that is still being brought about.

Axes: N requests in order of arrival, T whole seconds since the start.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ttamer.planning.simulation.deployment import Answers
from ttamer.planning.simulation.service import Curve, ExitCurves
from ttamer.profiles.errors import InputError
from ttamer.profiles.plan import Plan
from ttamer.profiles.records import Floats, Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Replicas of one model in one setting, and their share of the stage's load. cores: of each replica.

    name: where it is given, another policy under the same name is taken up at once by the replicas that run, as when
    thresholds are tuned; otherwise another policy is another group.
    """

    stage: str = "serve"
    model: str
    policy: str = "last-exit"
    device: str = "cpu"
    cores: int = 1
    batch: int = 1
    batch_timeout_s: float = 0.0
    replicas: int = 1
    share: float = 1.0
    name: str | None = None

    def __post_init__(self) -> None:
        if min(self.cores, self.batch, self.replicas) < 1:
            raise InputError(
                f"{self.replicas} replicas of {self.model!r} with {self.cores} cores and batches of {self.batch}",
                remedy="each is 1 or more; leave a group out to end it",
            )
        if not 0 <= self.batch_timeout_s < float("inf") or not 0 <= self.share <= 1:
            raise InputError(
                f"{self.model!r} with a batch timeout of {self.batch_timeout_s} s and a share of {self.share}",
                remedy="a timeout is 0 or more, a share lies between 0 and 1",
            )

    @property
    def group(self) -> tuple[str, str, str, str]:
        """What makes it the same group after a change: stage, model, name or else policy, and device."""
        return self.stage, self.model, self.name or self.policy, self.device


Configuration = tuple[Setting, ...]


def configuration_of(plan: Plan) -> Configuration:
    """The groups of a plan as settings to start from; groups that differ in size alone are given names."""
    kinds = [(group.stage, group.model, group.policy, group.device) for group in plan.groups]
    return tuple(
        Setting(
            stage=group.stage,
            model=group.model,
            policy=group.policy,
            device=group.device,
            cores=group.cores,
            batch=group.batch,
            batch_timeout_s=group.batch_timeout_s,
            replicas=group.replicas,
            share=group.share,
            name=None if kinds.count(kind) == 1 else f"{group.policy} ({kinds[: number + 1].count(kind)})",
        )
        for number, (kind, group) in enumerate(zip(kinds, plan.groups, strict=True))
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Observation:
    """What a controller sees at one moment; nothing of it lies in the future.

    now_s: since the start. running: what serves now, with the replicas that are ready; wished: what was last asked for.
    arrivals_T: requests that reached the service in each whole second so far. The rest is about the time since the
    last observation: sojourn_s_N of the requests that were answered (network time included), missed and dropped
    requests, remaining_slo_s_N of those that arrived (what the network left of the SLO, s), and by stage: busy share of
    the ready replicas and requests waiting now. rows: by stage and model, the rows of its test records that were
    answered, where there are records.
    """

    now_s: float
    interval_s: float
    running: Configuration
    wished: Configuration
    arrivals_T: Ints
    sojourn_s_N: Floats
    missed: int
    dropped: int
    remaining_slo_s_N: Floats
    utilization: Mapping[str, float] = field(default_factory=dict)
    waiting: Mapping[str, int] = field(default_factory=dict)
    rows: Mapping[tuple[str, str], Ints] = field(default_factory=dict)

    @property
    def rate_rps(self) -> float:
        """Mean arrival rate since the last observation, but over a second at least: a moment's requests are no rate."""
        if self.interval_s < 1 and len(self.arrivals_T):
            return float(self.arrivals_T[-1])
        return len(self.remaining_slo_s_N) / self.interval_s


class Controller(Protocol):
    """Decides every `interval_s` seconds what should run."""

    @property
    def interval_s(self) -> float:
        """Seconds from one decision to the next."""
        ...

    def decide(self, seen: Observation) -> Configuration | None:
        """All that should run from now on, or None for what was last asked for."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Delays:
    """What changes take: decision_s from an observation until its wish is acted upon, load_s until a new replica is
    ready (None: as the behavior says), resize_s until other cores are felt. in_place: whether cores can change at all
    without a new replica.
    """

    decision_s: float = 0.0
    load_s: float | None = None
    resize_s: float = 0.0
    in_place: bool = True


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Behavior:
    """How replicas of one setting behave: seconds of batches, where rows stop and who is right, seconds to load.

    accuracy: expected, or None if unknown. releases: exits answer early but compute on (release), or else they stop.
    """

    curve: Curve | ExitCurves
    answers: Answers
    accuracy: float | None = None
    load_s: float = 0.0
    releases: bool = False


class Book(Protocol):
    """Where behaviors are looked up: by stage, model, policy, device and cores of a setting; the rest is ignored."""

    def behavior(self, setting: Setting) -> Behavior:
        """How replicas of a setting behave. Raises InputError if that was not measured."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Traffic:
    """Requests in the order in which they reach the service: arrival_s_N ascends. network_s_N: seconds that each had
    been under way before (None: none), which count against its SLO. duration_s: how long requests come, are paid for
    and are decided about; what waits then is still answered. level_N: where each stands among the test records, from 0
    to below 1 (None: drawn anew at every stage); ascending levels stream the records in their order.
    """

    arrival_s_N: Floats
    duration_s: float
    network_s_N: Floats | None = None
    level_N: Floats | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A wish that differed from the one before it, at the moment of its observation."""

    at_s: float
    wished: Configuration


@dataclass(frozen=True, slots=True)
class Busy:
    """Seconds that replicas worked, of the seconds that they were there."""

    worked_s: float
    present_s: float

    @property
    def share(self) -> float:
        """The busy share; 0 if nobody was there."""
        return min(1.0, self.worked_s / self.present_s) if self.present_s > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """How things stood at one moment: what was done since the last one, requests waiting, and what served.

    utilization: by stage; groups: by stage and the number of the group; waiting: by stage.
    """

    at_s: float
    utilization: Mapping[str, float]
    groups: Mapping[tuple[str, int], Busy]
    waiting: Mapping[str, int]
    running: Configuration


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StageVisits:
    """What each request met at one stage; nan and -1 where it was dropped there or before.

    group_N counts `groups`, in the order in which they came to be; row_N is the row of the model's test records.
    """

    stage: str
    groups: Sequence[Setting]
    arrival_s_N: Floats
    start_s_N: Floats
    answer_s_N: Floats
    group_N: Ints
    batch_N: Ints
    row_N: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AdaptiveRun:
    """What happened to every request, and what ran when.

    sojourn_s_N: seconds from sending (network time included) to the answer, inf if dropped. accuracy_N: of the answer,
    expected (or seen, where the traffic streams records), the product over stages; nan if unknown. paid_s_A and
    paid_cores_A: from each of these moments on so many cores were paid for. samples: what was seen at every decision.
    """

    arrival_s_N: Floats
    network_s_N: Floats
    sojourn_s_N: Floats
    accuracy_N: Floats
    duration_s: float
    slo_s: float
    changes: Sequence[Change]
    paid_s_A: Floats
    paid_cores_A: Ints
    visits: Sequence[StageVisits]
    samples: Sequence[Sample]

    @property
    def core_seconds(self) -> float:
        """Cores paid for, integrated over the run."""
        ends_s = np.append(self.paid_s_A[1:], self.duration_s)
        return float((np.maximum(ends_s - self.paid_s_A, 0) * self.paid_cores_A).sum())

    @property
    def misses(self) -> float:
        """Share of requests that were late or dropped."""
        return float((self.sojourn_s_N > self.slo_s).mean())

    @property
    def drops(self) -> float:
        """Share of requests that were dropped."""
        return float(np.isinf(self.sojourn_s_N).mean())

    @property
    def accuracy(self) -> float | None:
        """Mean expected accuracy of the answered requests, None if unknown."""
        answered_N = np.isfinite(self.sojourn_s_N)
        mean = float(self.accuracy_N[answered_N].mean()) if answered_N.any() else float("nan")
        return None if np.isnan(mean) else mean

    def latency_s(self, quantile: float) -> float:
        """The quantile of the sojourn time of the answered requests."""
        answered_s = self.sojourn_s_N[np.isfinite(self.sojourn_s_N)]
        return float(np.quantile(answered_s, quantile, method="higher")) if len(answered_s) else float("nan")
