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

FORMAT, VERSION = "requests", 1
UNKNOWN = -1  # of correct_N, where no records say whether the answer is right


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTable:
    """Every visit of a request to a stage.

    request_N counts requests in order of arrival; group_N is the position among the plan's groups.
    arrival_s_N is at the stage; wait until the batch started, service from there to the answer, sojourn both.
    batch_N is the size of its batch at the start; correct_N is 1, 0 or UNKNOWN. The first requests warm up.
    """

    request_N: Ints
    warm_up_N: NDArray[np.bool_]
    arrival_s_N: Floats
    group_N: Ints
    wait_s_N: Floats
    service_s_N: Floats
    batch_N: Ints
    stop_exit_N: Ints
    correct_N: Ints

    @property
    def sojourn_s_N(self) -> Floats:
        """Seconds from arrival at the stage to the answer."""
        return self.wait_s_N + self.service_s_N

    def end_to_end_s(self) -> Floats:
        """Seconds of each measured request over all its stages, in order of arrival."""
        total_s = np.bincount(self.request_N, weights=self.sojourn_s_N)
        return np.asarray(total_s[int(self.warm_up_N.sum() / self.stages) :], dtype=np.float64)

    @property
    def stages(self) -> int:
        """How many stages every request passes."""
        return len(self.request_N) // (int(self.request_N.max()) + 1)

    def write(self, path: Path, provenance: Provenance) -> None:
        """Write the table as Parquet."""
        columns = {
            "request": pa.array(self.request_N, pa.int64()),
            "warm_up": pa.array(self.warm_up_N, pa.bool_()),
            "arrival_s": pa.array(self.arrival_s_N, pa.float64()),
            "group": pa.array(self.group_N, pa.int32()),
            "wait_s": pa.array(self.wait_s_N, pa.float64()),
            "service_s": pa.array(self.service_s_N, pa.float64()),
            "sojourn_s": pa.array(self.sojourn_s_N, pa.float64()),
            "batch": pa.array(self.batch_N, pa.int32()),
            "stop_exit": pa.array(self.stop_exit_N, pa.int32()),
            "correct": pa.array(self.correct_N == 1, pa.bool_(), mask=self.correct_N == UNKNOWN),
        }
        write_table(path, pa.table(columns), envelope(FORMAT, VERSION, provenance))
