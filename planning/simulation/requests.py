"""The request table: what happened to every simulated request, a row a request and stage.

Axes: N rows, ordered by stage and then by request.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ttamer.profiles.documents import envelope, write_table
from ttamer.profiles.provenance import Provenance
from ttamer.profiles.records import Floats, Ints

FORMAT, VERSION = "requests", 2
UNKNOWN = -1  # of correct_N, where no records say whether the answer is right


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RequestTable:
    """Every visit of a request to a stage: N = stages x requests rows, the requests in order of arrival.

    The first `warm_up` requests are not judged. group_N is the position among the plan's groups. arrival_s_N is at the
    stage; wait until the batch started, service from there to the answer, sojourn both; nan where the request was
    dropped, there or before. batch_N is the size of its batch at the start; correct_N is 1, 0 or UNKNOWN. network_s_R:
    seconds that each request was under way before the first stage, None if none was.
    """

    stages: int
    warm_up: int
    arrival_s_N: Floats
    group_N: Ints
    wait_s_N: Floats
    service_s_N: Floats
    batch_N: Ints
    stop_exit_N: Ints
    correct_N: Ints
    network_s_R: Floats | None = None

    @property
    def requests(self) -> int:
        """How many requests there were."""
        return len(self.arrival_s_N) // self.stages

    @property
    def request_N(self) -> Ints:
        """The number of each row's request."""
        return np.tile(np.arange(self.requests), self.stages)

    @property
    def warm_up_N(self) -> NDArray[np.bool_]:
        """Whether each row's request is one of those that are not judged."""
        return self.request_N < self.warm_up

    @property
    def sojourn_s_N(self) -> Floats:
        """Seconds from arrival at the stage to the answer."""
        return self.wait_s_N + self.service_s_N

    def end_to_end_s(self) -> Floats:
        """Seconds of each measured request from sending to the last answer, in order of arrival; inf if dropped."""
        total_s_R = np.asarray(self.network_s_R if self.network_s_R is not None else np.zeros(self.requests))
        for stage in range(self.stages):
            rows = slice(stage * self.requests, (stage + 1) * self.requests)
            total_s_R = total_s_R + self.wait_s_N[rows] + self.service_s_N[rows]
        total_s_R[np.isnan(total_s_R)] = np.inf
        return total_s_R[self.warm_up :]

    def write(self, path: Path, provenance: Provenance) -> None:
        """Write the table as Parquet."""
        columns = {
            "request": pa.array(self.request_N, pa.int64()),
            "warm_up": pa.array(self.warm_up_N, pa.bool_()),
            "arrival_s": _numbers(self.arrival_s_N),
            "group": pa.array(self.group_N, pa.int32()),
            "wait_s": _numbers(self.wait_s_N),
            "service_s": _numbers(self.service_s_N),
            "sojourn_s": _numbers(self.sojourn_s_N),
            "batch": pa.array(self.batch_N, pa.int32()),
            "stop_exit": pa.array(self.stop_exit_N, pa.int32()),
            "correct": pa.array(self.correct_N == 1, pa.bool_(), mask=self.correct_N == UNKNOWN),
            "dropped": pa.array(np.isnan(self.service_s_N), pa.bool_()),
        }
        if self.network_s_R is not None:
            columns["network_s"] = pa.array(np.tile(self.network_s_R, self.stages), pa.float64())
        write_table(path, pa.table(columns), envelope(FORMAT, VERSION, provenance))


def _numbers(values_N: Floats) -> pa.Array:
    """Numbers, null where there is none."""
    return pa.array(values_N, pa.float64(), mask=np.isnan(values_N))
