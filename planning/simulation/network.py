"""The way to the service: requests that are sent through a changing network arrive later, with less of their SLO left.

Axes: S seconds of a network trace, N requests.
"""

import numpy as np

from ttamer.planning.simulation.adaptive import Traffic
from ttamer.profiles.errors import InputError
from ttamer.profiles.network_trace import NetworkTrace
from ttamer.profiles.records import Floats


def transfer_s(sent_s_N: Floats, network: NetworkTrace) -> Floats:
    """Seconds that requests sent at these times are under way; after its end the trace begins anew.

    What the network takes is that of the moment of sending, as Sponge (EuroMLSys 2024) reckons; where nothing passes,
    a request leaves when something does again. Raises InputError if nothing ever passes.
    """
    start_s_S = network.t_s_S - network.t_s_S[0]
    lasts_s = float(start_s_S[-1] + (np.median(np.diff(start_s_S)) if len(start_s_S) > 1 else 1.0))
    works_S = np.flatnonzero(np.isfinite(network.network_s_S))
    if not len(works_S):
        raise InputError("a network that nothing passes", remedy="give a trace with a second in which something does")
    since_s_N = sent_s_N % lasts_s
    row_N = np.searchsorted(start_s_S, since_s_N, side="right") - 1
    place_N = np.searchsorted(works_S, row_N)
    begins_anew_N = place_N == len(works_S)
    next_N = works_S[np.where(begins_anew_N, 0, place_N)]
    wait_s_N = np.maximum(0.0, start_s_S[next_N] + np.where(begins_anew_N, lasts_s, 0.0) - since_s_N)
    return np.asarray(wait_s_N + network.network_s_S[next_N])


def traffic_through(sent_s_N: Floats, duration_s: float, network: NetworkTrace) -> Traffic:
    """Requests sent at these times, in the order in which they arrive; the run lasts until the last has arrived."""
    network_s_N = transfer_s(sent_s_N, network)
    arrival_s_N = sent_s_N + network_s_N
    order = np.argsort(arrival_s_N, kind="stable")
    ends_s = max(duration_s, float(arrival_s_N[order[-1]])) if len(order) else duration_s
    return Traffic(arrival_s_N=arrival_s_N[order], network_s_N=network_s_N[order], duration_s=ends_s)
