"""The replica groups of one stage while they are loaded, resized and drained; what cores they are paid for.

A replica is loading until `ready_s`, serves, and drains once it takes no more requests.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from ttamer.planning.simulation.adaptive import Behavior, Book, Configuration, Delays, Setting
from ttamer.planning.simulation.discipline import Discipline
from ttamer.planning.simulation.replica import Batching
from ttamer.planning.simulation.service import BatchService, Curve, StagedService, WholeService
from ttamer.planning.simulation.station import Queue, Server, queue_of


@dataclass(slots=True, eq=False)
class Replica:
    """One replica: its cores, when it is ready, how it waits to be resized and whether it drains."""

    number: int
    cores: int
    ready_s: float
    queue: Queue
    server: Server
    resized_s: float | None = None
    next_cores: int = 0
    drained_s: float | None = None
    reported_s: float = 0.0  # of its work

    def is_ready(self, now_s: float) -> bool:
        """Whether it takes requests."""
        return self.ready_s <= now_s and self.drained_s is None

    def is_gone(self) -> bool:
        """Whether it drains and has nothing left to do but what it does."""
        return self.drained_s is not None and not (self.server in self.queue.servers and self.queue.length())

    def gone_s(self) -> float:
        """When it was gone: after its last batch; one that drained before it was ready, at once."""
        drained_s = self.drained_s or 0.0
        return drained_s if self.ready_s > drained_s else max(drained_s, self.server.free_s)

    def paid_cores(self) -> int:
        """The larger of what it has and what it is resized to."""
        return max(self.cores, self.next_cores)


@dataclass(slots=True, eq=False)
class ReplicaGroup:
    """Replicas of one model under one policy at one stage. number: in the order in which groups came to be."""

    number: int
    setting: Setting
    behavior: Behavior
    shared: Queue | None
    replicas: list[Replica] = field(default_factory=list)
    leaves: bool = False

    def ready(self, now_s: float) -> list[Replica]:
        """The replicas that take requests, oldest first."""
        return [one for one in self.replicas if one.is_ready(now_s)]

    def staying(self) -> list[Replica]:
        """The replicas that are not on their way out, oldest first."""
        return [one for one in self.replicas if one.drained_s is None]

    def weight(self, now_s: float) -> float:
        """How much of its stage's load it takes beside the others: its share, by how many of its replicas are ready."""
        return self.setting.share * min(1.0, len(self.ready(now_s)) / self.setting.replicas)


@dataclass(slots=True, eq=False)
class Crew:
    """All replica groups of one stage. on_cores is told when so many more cores are paid for; founded
    lists the settings of all groups that ever were, by their number."""

    stage: str
    book: Book
    delays: Delays
    discipline: Discipline
    clock: str
    shares_queue: bool
    rng: np.random.Generator
    on_cores: Callable[[float, int], object]
    founded: list[Setting]
    groups: list[ReplicaGroup] = field(default_factory=list)
    wished: Configuration = ()
    must_reduce: bool = False
    _replicas: int = 0

    def begin(self, wished: Configuration, now_s: float) -> None:
        """Let these settings run from this moment on, all of them ready."""
        self.wished = wished
        for setting in wished:
            group = self._founded(setting)
            for _ in range(setting.replicas):
                self._add(group, now_s, now_s)

    def serving(self, now_s: float) -> list[ReplicaGroup]:
        """The groups that are given requests: the wished ones that are ready, and those that they will replace."""
        able = [group for group in self.groups if group.ready(now_s)]
        return [group for group in able if not group.leaves or self.must_reduce]

    def wish(self, wished: Configuration, now_s: float) -> None:
        """Begin to make these settings true."""
        self.wished, self.must_reduce = wished, True
        current = {group.setting.group: group for group in self.groups if group.staying() and not group.leaves}
        for setting in wished:
            group = current.pop(setting.group, None) or self._revived(setting) or self._founded(setting)
            self._change(group, setting, now_s)
        for group in current.values():
            group.leaves = True
        self.settle(now_s)

    def settle(self, now_s: float) -> None:
        """Bring about what has become due: new cores, and reductions once every addition is ready."""
        self._give_cores(now_s)
        self._replace_outdated(now_s)
        if self.must_reduce and not self._is_growing(now_s):
            self.must_reduce = False
            for group in self.groups:
                self._reduce(group, now_s)
            self._give_cores(now_s)
        self.bury()

    def bury(self) -> None:
        """Forget replicas that have drained, and pay for them no longer from then on."""
        for group in self.groups:
            for one in [one for one in group.replicas if one.is_gone()]:
                group.replicas.remove(one)
                if one.server in one.queue.servers:
                    one.queue.servers.remove(one.server)
                self.on_cores(one.gone_s(), -one.paid_cores())
        self.groups = [group for group in self.groups if group.replicas]

    def next_s(self, now_s: float) -> float:
        """The next moment after this one at which something becomes due by itself."""
        due = [one.ready_s for _, one in self._staying()]
        due += [one.resized_s for _, one in self._staying() if one.resized_s is not None]
        return min((at_s for at_s in due if at_s > now_s), default=float("inf"))

    def running(self, now_s: float) -> Configuration:
        """What serves now: ready replicas with the cores that they have, and shares of the load as they are."""
        serving = self.serving(now_s)
        total = sum(group.weight(now_s) for group in serving) or 1.0
        return tuple(
            Setting(
                stage=self.stage,
                model=group.setting.model,
                policy=group.setting.policy,
                device=group.setting.device,
                cores=max(one.cores for one in group.ready(now_s)),
                batch=group.setting.batch,
                batch_timeout_s=group.setting.batch_timeout_s,
                replicas=len(group.ready(now_s)),
                share=group.weight(now_s) / total,
            )
            for group in serving
        )

    def _staying(self) -> Iterable[tuple[ReplicaGroup, Replica]]:
        return ((group, one) for group in self.groups for one in group.staying())

    def _founded(self, setting: Setting) -> ReplicaGroup:
        batching = self._batching(setting)
        self.discipline.check_batch(setting.batch)
        shared = queue_of(self.discipline, batching) if self.shares_queue else None
        group = ReplicaGroup(len(self.founded), setting, self.book.behavior(setting), shared)
        self.founded.append(setting)
        self.groups.append(group)
        return group

    def _revived(self, setting: Setting) -> ReplicaGroup | None:
        """The same group, if it was to leave but does not drain yet."""
        for group in self.groups:
            if group.leaves and group.setting.group == setting.group and group.staying():
                group.leaves = False
                return group
        return None

    def _batching(self, setting: Setting) -> Batching:
        return Batching(size=setting.batch, timeout_s=setting.batch_timeout_s, clock=self.clock)

    def _change(self, group: ReplicaGroup, setting: Setting, now_s: float) -> None:
        anew = setting.batch != group.setting.batch or setting.policy != group.setting.policy
        group.setting, group.behavior = setting, self.book.behavior(setting)
        batching = self._batching(setting)
        self.discipline.check_batch(setting.batch)
        for one in group.replicas:
            one.queue.batching = batching
            if anew:
                self._equip(group, one, one.cores)
        if self.delays.in_place:
            for one in group.staying():
                self._resize(one, max(one.cores, setting.cores), now_s)  # fewer once every addition is ready
            missing = setting.replicas - len(group.staying())
        else:
            missing = setting.replicas - sum(one.cores == setting.cores for one in group.staying())
        for _ in range(missing):
            self._load(group, now_s)
        loading = [one for one in group.staying() if one.ready_s > now_s]
        surplus = max(0, len(group.staying()) - setting.replicas)
        for one in loading[len(loading) - min(surplus, len(loading)) :] if missing < 0 else []:
            self._drain(one, now_s)

    def _load(self, group: ReplicaGroup, now_s: float) -> None:
        load_s = self.delays.load_s if self.delays.load_s is not None else group.behavior.load_s
        self._add(group, now_s, now_s + load_s)

    def _add(self, group: ReplicaGroup, now_s: float, ready_s: float) -> None:
        queue = group.shared or queue_of(self.discipline, self._batching(group.setting))
        service, stops = self._service(group, group.setting.cores)
        replica = Replica(self._replicas, group.setting.cores, ready_s, queue, Server(service, stops, ready_s))
        self._replicas += 1
        group.replicas.append(replica)
        queue.servers.append(replica.server)
        self.on_cores(now_s, replica.cores)

    def _service(self, group: ReplicaGroup, cores: int) -> tuple[BatchService, list[int]]:
        stops, rng = list[int](), self.rng.spawn(1)[0]
        behavior = self.book.behavior(replace(group.setting, cores=cores))
        if isinstance(behavior.curve, Curve):
            return WholeService(behavior.curve, group.setting.batch, rng), stops
        releases = behavior.releases
        return StagedService(behavior.curve, stops, group.setting.batch, rng, releases=releases), stops

    def _equip(self, group: ReplicaGroup, one: Replica, cores: int) -> None:
        """Give a replica the speed of these cores and room for its group's batches."""
        one.server.service, one.server.stops = self._service(group, cores)
        one.cores = cores

    def _resize(self, one: Replica, cores: int, now_s: float) -> None:
        if cores == (one.next_cores if one.resized_s is not None else one.cores):
            return
        paid = one.paid_cores()
        one.next_cores, one.resized_s = cores, now_s + self.delays.resize_s
        if cores == one.cores:
            one.next_cores, one.resized_s = 0, None
        self.on_cores(now_s, one.paid_cores() - paid)

    def _give_cores(self, now_s: float) -> None:
        """Bring about the resizes that have become due."""
        for group, one in self._staying():
            if one.resized_s is not None and one.resized_s <= now_s:
                self._resized(group, one, now_s)

    def _resized(self, group: ReplicaGroup, one: Replica, now_s: float) -> None:
        paid = one.paid_cores()
        self._equip(group, one, one.next_cores)
        one.next_cores, one.resized_s = 0, None
        self.on_cores(now_s, one.cores - paid)

    def _replace_outdated(self, now_s: float) -> None:
        """Where cores cannot change in place: drain an old replica for every new one that is ready."""
        for group in [] if self.delays.in_place else self.groups:
            current = group.setting.cores
            renewed = sum(one.cores == current and one.is_ready(now_s) for one in group.replicas)
            outdated = [one for one in group.staying() if one.cores != current and one.resized_s is None]
            for one in outdated[: max(0, renewed + len(outdated) - group.setting.replicas)]:
                self._drain(one, now_s)

    def _is_growing(self, now_s: float) -> bool:
        """Whether a wished replica is still loading or waiting for more cores."""
        return any(
            one.ready_s > now_s or (one.resized_s is not None and one.next_cores > one.cores)
            for group, one in self._staying()
            if not group.leaves
        )

    def _reduce(self, group: ReplicaGroup, now_s: float) -> None:
        staying = group.staying()
        surplus = len(staying) if group.leaves else len(staying) - group.setting.replicas
        newest_first = sorted(staying, key=lambda one: (one.ready_s > now_s, one.number), reverse=True)
        for one in newest_first[: max(0, surplus)]:
            self._drain(one, now_s, leaves=group.leaves)
        for one in group.staying() if self.delays.in_place and not group.leaves else []:
            self._resize(one, group.setting.cores, now_s)

    def _drain(self, one: Replica, now_s: float, *, leaves: bool = False) -> None:
        """Take a replica out; of a shared queue it takes no more unless all leave, as its own must be emptied by it."""
        one.drained_s = now_s
        if self.shares_queue and not leaves:
            one.queue.servers.remove(one.server)
