import csv
from pathlib import Path

import numpy as np
import pytest

from ttamer.planning.simulation.network import traffic_through, transfer_s
from ttamer.profiles.errors import InputError
from ttamer.profiles.network_trace import NetworkTrace, read_network_trace


def network(*takes_s: float) -> NetworkTrace:
    """A network that takes so long in each second."""
    return NetworkTrace(np.arange(len(takes_s), dtype=float), np.array(takes_s))


def test_a_request_takes_what_the_network_takes_when_it_is_sent_and_the_trace_begins_anew() -> None:
    assert transfer_s(np.array([0.0, 0.9, 1.0, 2.5]), network(0.1, 0.4)).tolist() == [0.1, 0.1, 0.4, 0.1]


def test_where_nothing_passes_a_request_waits_for_the_next_second_in_which_something_does() -> None:
    never = np.inf
    taken_s = transfer_s(np.array([0.5, 1.25, 2.0, 3.5]), network(0.1, never, 0.2, never))
    assert taken_s == pytest.approx([0.1, 0.75 + 0.2, 0.2, 0.5 + 0.1])
    with pytest.raises(InputError, match="nothing passes"):
        transfer_s(np.array([0.0]), network(never, never))


def test_requests_arrive_in_another_order_than_they_were_sent_in() -> None:
    traffic = traffic_through(np.array([0.9, 1.0]), 2.0, network(1.5, 0.2))
    assert traffic.arrival_s_N == pytest.approx([1.2, 2.4])
    assert traffic.network_s_N == pytest.approx([0.2, 1.5])
    assert traffic.duration_s == pytest.approx(2.4)


@pytest.mark.parametrize("kilobytes", [100, 200, 284, 500])
def test_sponges_remaining_slo_is_reproduced_second_by_second(shared: Path, kilobytes: int) -> None:
    path = shared / "data" / "peers" / "bandwidth_4g_bus0001.csv"
    trace = read_network_trace(path, kilobytes * 1024)
    left_ms = [int(1000 - 1000 * taken_s) for taken_s in transfer_s(trace.t_s_S + 1e-9, trace)]
    with path.open() as file:
        assert left_ms == [int(row[f"remaining_slo_ms_{kilobytes}KB"]) for row in csv.DictReader(file)]
