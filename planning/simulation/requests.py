"""The request table: what happened to every simulated request at every stage.

Axes: N requests in order of arrival.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ttamer.profiles.documents import envelope, write_tables
from ttamer.profiles.provenance import Provenance
from ttamer.profiles.records import Floats, Ints

FORMAT, VERSION = "requests", 2
UNKNOWN = -1  # of correct_N, where no records say whether the answer is right
EVERYBODY = slice(None)
ROWS = 65_536  # written at a time, so that a large table is not in memory twice


def signed(highest: int) -> np.dtype[Any]:
    """The smallest type that holds numbers up to this one, and UNKNOWN."""
    return np.min_scalar_type(UNKNOWN - int(highest))  # a negative number has a signed type


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Visits:
    """What every request met at one stage, in few bytes each, as there may be many requests.

    group_N is the position among the plan's groups. wait until the batch started, service from there to the answer:
    seconds as float32, so exact to 7 digits; nan where the request was dropped, there or before. batch_N is the size of
    its batch at the start; correct_N is 1, 0 or UNKNOWN.
    """

    group_N: Ints
    wait_s_N: NDArray[np.float32]
    service_s_N: NDArray[np.float32]
    batch_N: Ints
    stop_exit_N: Ints
    correct_N: Ints

    def sojourn_s(self, some: slice = EVERYBODY) -> Floats:
        """Seconds of some requests from arrival at the stage to the answer."""
        return np.add(self.wait_s_N[some], self.service_s_N[some], dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RequestTable:
    """Every request, the first `warm_up` of which are not judged, and its visits to the stages.

    arrival_s_N: at the first stage. sojourn_s_N: from sending to the last answer, inf if dropped; in full precision,
    as promises are held against it. network_s_N: seconds that each request was under way before the first stage, None
    if none was.
    """

    warm_up: int
    arrival_s_N: Floats
    sojourn_s_N: Floats
    visits: tuple[Visits, ...]
    network_s_N: Floats | None = None

    @property
    def requests(self) -> int:
        """How many requests there were."""
        return len(self.arrival_s_N)

    def arrival_s(self, stage: int, some: slice = EVERYBODY) -> Floats:
        """When some requests arrived at a stage, nan where they were dropped before; to 7 digits of their sojourn."""
        arrival_s_N = self.arrival_s_N[some]
        for before in self.visits[:stage]:
            arrival_s_N = arrival_s_N + before.sojourn_s(some)
        return arrival_s_N

    def end_to_end_s(self) -> Floats:
        """Seconds of each measured request from sending to the last answer, in order of arrival; inf if dropped."""
        return self.sojourn_s_N[self.warm_up :]

    def write(self, path: Path, provenance: Provenance) -> None:
        """Write the table as Parquet: a row a request and stage, ordered by stage and then by request."""
        tables = (
            self._rows(stage, slice(begun, min(begun + ROWS, self.requests)))
            for stage in range(len(self.visits))
            for begun in range(0, self.requests, ROWS)
        )
        write_tables(path, tables, envelope(FORMAT, VERSION, provenance))

    def _rows(self, stage: int, some: slice) -> pa.Table:
        """Some requests' visits to a stage."""
        visits, request_N = self.visits[stage], np.arange(some.start, some.stop)
        service_s_N, correct_N = visits.service_s_N[some], visits.correct_N[some]
        columns = {
            "request": pa.array(request_N, pa.int64()),
            "warm_up": pa.array(request_N < self.warm_up, pa.bool_()),
            "arrival_s": _numbers(self.arrival_s(stage, some)),
            "group": _integers(visits.group_N[some]),
            "wait_s": _numbers(visits.wait_s_N[some]),
            "service_s": _numbers(service_s_N),
            "sojourn_s": _numbers(visits.sojourn_s(some)),
            "batch": _integers(visits.batch_N[some]),
            "stop_exit": _integers(visits.stop_exit_N[some]),
            "correct": pa.array(correct_N == 1, pa.bool_(), mask=correct_N == UNKNOWN),
            "dropped": pa.array(np.isnan(service_s_N), pa.bool_()),
        }
        if self.network_s_N is not None:
            columns["network_s"] = pa.array(self.network_s_N[some], pa.float64())
        return pa.table(columns)


def _numbers(values_N: NDArray[np.floating]) -> pa.Array:
    """Numbers, null where there is none."""
    return pa.array(values_N.astype(np.float64), pa.float64(), mask=np.isnan(values_N))


def _integers(values_N: Ints) -> pa.Array:
    return pa.array(values_N.astype(np.int32), pa.int32())
