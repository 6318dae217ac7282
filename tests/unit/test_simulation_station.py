import numpy as np
import pytest

from ttamer.planning.simulation.discipline import Discipline
from ttamer.planning.simulation.replica import Batching, run_replica
from ttamer.planning.simulation.service import Curve, WholeService
from ttamer.planning.simulation.station import DisciplinedQueue, Queue, Server, queue_of
from ttamer.profiles.errors import InputError

EACH_S = np.array([1.0])
CURVE = Curve((1, 8), (EACH_S, EACH_S))


def server() -> Server:
    return Server(WholeService(CURVE, 8, np.random.default_rng(0)), [], 0.0)


def served(queue: Queue, servers: int = 1) -> list[tuple[float, list[int]]]:
    """When each batch started, and of whom it was."""
    batches = []
    for one in queue.servers[:servers]:
        ids = iter(one.ids)
        batches += [
            (start_s, [next(ids) for _ in range(size)]) for start_s, size in zip(one.starts_s, one.sizes, strict=True)
        ]
    return sorted(batches)


def run(
    discipline: Discipline, arrivals_s: list[float], deadlines_s: list[float] | None = None, size: int = 1,
    timeout_s: float = 0.0, servers: int = 1,
) -> Queue:  # fmt: skip
    queue = queue_of(discipline, Batching(size=size, timeout_s=timeout_s))
    queue.servers += [server() for _ in range(servers)]
    count = len(arrivals_s)
    queue.offer(list(range(count)), arrivals_s, [0] * count, deadlines_s or [np.inf] * count)
    queue.advance(np.inf)
    return queue


def test_the_earliest_deadline_goes_first_and_equals_go_by_arrival() -> None:
    queue = run(Discipline(order="edf"), [0.0, 0.1, 0.2, 0.3, 0.4], [9.0, 8.0, 5.0, 7.0, 5.0])
    assert served(queue) == [(0.0, [0]), (1.0, [2]), (2.0, [4]), (3.0, [3]), (4.0, [1])]


def test_a_batch_takes_the_most_urgent_of_those_that_have_come() -> None:
    queue = run(Discipline(order="edf"), [0.0, 0.1, 0.2, 0.3, 1.5], [9.0, 8.0, 5.0, 7.0, 1.6], size=2)
    assert served(queue) == [(0.0, [0]), (1.0, [2, 3]), (2.0, [4, 1])]


def test_the_earliest_deadline_first_misses_fewer_deadlines_than_first_come_first_served() -> None:
    rng = np.random.default_rng(3)
    arrival_s_N = np.cumsum(rng.exponential(1.15, 3000))
    deadline_s_N = arrival_s_N + rng.choice([2.0, 30.0], 3000)
    late = {}
    for order in ("fifo", "edf"):
        queue = queue_of(Discipline(order=order, limit=10_000), Batching(size=1))  # type: ignore[arg-type]
        queue.servers.append(server())
        queue.offer(list(range(3000)), arrival_s_N.tolist(), [0] * 3000, deadline_s_N.tolist())
        queue.advance(np.inf)
        one = queue.servers[0]
        late[order] = (np.array(one.ends_s) > deadline_s_N[np.array(one.ids)]).mean()
    assert late["edf"] < 0.6 * late["fifo"]


def test_who_finds_the_queue_full_is_dropped() -> None:
    queue = run(Discipline(limit=2), [0.0, 0.1, 0.2, 0.3, 0.4, 1.05])
    assert queue.dropped == [3, 4]
    assert served(queue) == [(0.0, [0]), (1.0, [1]), (2.0, [2]), (3.0, [5])]


def test_who_has_waited_too_long_when_a_server_is_free_is_dropped() -> None:
    queue = run(Discipline(patience_s=1.5), [0.0, 0.1, 0.2, 0.9])
    assert served(queue) == [(0.0, [0]), (1.0, [1]), (2.0, [3])]
    assert queue.dropped == [2]


@pytest.mark.parametrize("order", ["fifo", "edf"])
def test_who_is_late_already_is_not_served(order: str) -> None:
    queue = run(Discipline(order=order, drops_late=True), [0.0, 0.1, 0.2, 0.3], [9.0, 9.0, 1.5, 0.9])  # type: ignore[arg-type]
    assert served(queue) == [
        (0.0, [0]),
        (1.0, [1] if order == "fifo" else [2]),
        *([(2.0, [1])] if order == "edf" else []),
    ]
    assert sorted(queue.dropped) == ([2, 3] if order == "fifo" else [3])


def test_several_servers_share_one_queue_and_the_one_that_is_free_first_goes_first() -> None:
    for discipline in (Discipline(), Discipline(limit=100)):
        queue = run(discipline, [0.0, 0.1, 0.2, 0.3], servers=2)
        assert served(queue, 2) == [(0.0, [0]), (0.1, [1]), (1.0, [2]), (1.1, [3])]


@pytest.mark.parametrize("clock", ["ideal", "ray-serve", "triton", "kserve"])
@pytest.mark.parametrize("size", [1, 4])
def test_a_disciplined_queue_without_limits_is_the_plain_one(clock: str, size: int) -> None:
    """The queue that looks at its requests one by one makes the same batches, also when advanced in small steps."""
    arrival_s_N = np.cumsum(np.random.default_rng(7).exponential(0.5 if size > 1 else 1.2, 2000))
    batching = Batching(size=size, timeout_s=0.7, clock=clock)
    expected = run_replica(arrival_s_N, batching, WholeService(CURVE, size, np.random.default_rng(0)))
    queue = DisciplinedQueue(batching, Discipline())
    queue.servers.append(server())
    seen = 0
    for until_s in [*np.arange(0.9, arrival_s_N[-1], 0.9).tolist(), np.inf]:
        end = int(np.searchsorted(arrival_s_N, until_s))
        ids = list(range(seen, end))
        queue.offer(ids, arrival_s_N[seen:end].tolist(), [0] * len(ids), [0.0] * len(ids))
        queue.advance(until_s)
        seen = end
    assert queue.servers[0].starts_s == pytest.approx(expected.start_s_J.tolist())
    assert queue.servers[0].ids == list(range(2000))
    assert queue.length() == 0


@pytest.mark.parametrize("wrong", [{"order": "lifo"}, {"limit": 0}, {"patience_s": 0.0}])
def test_impossible_rules_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        Discipline(**wrong)  # type: ignore[arg-type]


def test_a_limit_below_the_batch_is_refused() -> None:
    with pytest.raises(InputError, match="lets no batch of 8 fill"):
        queue_of(Discipline(limit=4), Batching(size=8))
