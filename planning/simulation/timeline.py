"""How a run went on, window by window: load, latency, misses, cores and accuracy.

Axes: W windows of equal length, N requests in order of arrival.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from ttamer.planning.simulation.adaptive import AdaptiveRun
from ttamer.planning.simulation.requests import UNKNOWN, RequestTable
from ttamer.profiles.documents import envelope, write_table
from ttamer.profiles.plan import Plan
from ttamer.profiles.provenance import Provenance
from ttamer.profiles.records import Floats

FORMAT, VERSION = "timeline", 1
MOST_WINDOWS = 600
WIDTHS_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timeline:
    """What requests that arrived in each window met; nan where none did.

    rate_rps_W: arrivals; latency_s_W: the quantile of the sojourn time of those that were answered; misses_W and
    drops_W: shares, drops being misses too; cores_W: mean paid for; accuracy_W: of the answers, nan if unknown.
    """

    start_s_W: Floats
    width_s: float
    quantile: float
    slo_s: float
    rate_rps_W: Floats
    latency_s_W: Floats
    misses_W: Floats
    drops_W: Floats
    cores_W: Floats
    accuracy_W: Floats

    def write(self, path: Path, provenance: Provenance) -> None:
        """Write the timeline as Parquet, a row a window, null where there is no number."""
        columns = {
            "start_s": self.start_s_W,
            "rate_rps": self.rate_rps_W,
            "latency_s": self.latency_s_W,
            "misses": self.misses_W,
            "drops": self.drops_W,
            "cores": self.cores_W,
            "accuracy": self.accuracy_W,
        }
        arrays = {name: pa.array(values, pa.float64(), mask=np.isnan(values)) for name, values in columns.items()}
        about = {"width_s": self.width_s, "quantile": self.quantile, "slo_s": self.slo_s}
        write_table(path, pa.table(arrays), envelope(FORMAT, VERSION, provenance) | about)


def width_of(duration_s: float) -> float:
    """A round length of which at most MOST_WINDOWS windows cover so many seconds.

    >>> width_of(600.0), width_of(86_400.0)
    (1.0, 300.0)
    """
    return next((width for width in WIDTHS_S if duration_s / width <= MOST_WINDOWS), duration_s / MOST_WINDOWS)


def timeline_of_run(run: AdaptiveRun, quantile: float, width_s: float | None = None) -> Timeline:
    """The timeline of a deployment that changed; width_s: of a window, by default a round one."""
    width = width_s or width_of(run.duration_s)
    edges_s = np.arange(math.ceil(run.duration_s / width) + 1) * width
    paid_s = np.append(run.paid_s_A, edges_s[-1])
    total = np.concatenate([[0.0], np.cumsum(np.diff(paid_s) * run.paid_cores_A)])
    cores_W = np.diff(np.interp(edges_s, paid_s, total)) / width
    return _timeline(
        run.arrival_s_N, run.sojourn_s_N, run.accuracy_N, cores_W, width, run.duration_s, run.slo_s, quantile
    )


def timeline_of_plan(table: RequestTable, plan: Plan, width_s: float | None = None) -> Timeline:
    """The timeline of a plan's requests, warm-up included; its cores do not change."""
    duration_s = float(table.arrival_s_N[-1])
    accuracy_N = np.ones(table.requests)
    for visits in table.visits:
        accuracy_N *= visits.correct_N
        accuracy_N[visits.correct_N == UNKNOWN] = np.nan
    width = width_s or width_of(duration_s)
    cores_W = np.full(
        max(1, math.ceil(duration_s / width)), float(sum(one.replicas * one.cores for one in plan.groups))
    )
    service = plan.service
    return _timeline(
        table.arrival_s_N, table.sojourn_s_N, accuracy_N, cores_W, width, duration_s, service.serving_s,
        service.quantile,
    )  # fmt: skip


def _timeline(
    arrival_s_N: Floats, sojourn_s_N: Floats, accuracy_N: Floats, cores_W: Floats, width_s: float, duration_s: float,
    slo_s: float, quantile: float,
) -> Timeline:  # fmt: skip
    windows = len(cores_W)
    edges_s = np.arange(windows + 1, dtype=np.float64) * width_s
    cuts = np.searchsorted(arrival_s_N, edges_s)
    cuts[-1] = len(arrival_s_N)
    counts_W = np.diff(cuts)
    lengths_s_W = np.diff(np.minimum(edges_s, duration_s))
    latency_s_W, accuracy_W = np.full(windows, np.nan), np.full(windows, np.nan)
    misses_W, drops_W = np.full(windows, np.nan), np.full(windows, np.nan)
    for window in np.flatnonzero(counts_W).tolist():
        part = slice(cuts[window], cuts[window + 1])
        is_answered = np.isfinite(sojourn_s_N[part])
        answered_s, right = sojourn_s_N[part][is_answered], accuracy_N[part][is_answered]
        misses_W[window], drops_W[window] = (sojourn_s_N[part] > slo_s).mean(), 1 - is_answered.mean()
        if len(answered_s):
            latency_s_W[window] = np.quantile(answered_s, quantile, method="higher")
            accuracy_W[window] = right.mean()
    return Timeline(
        start_s_W=edges_s[:-1],
        width_s=width_s,
        quantile=quantile,
        slo_s=slo_s,
        rate_rps_W=counts_W / np.maximum(lengths_s_W, 1e-12),
        latency_s_W=latency_s_W,
        misses_W=misses_W,
        drops_W=drops_W,
        cores_W=cores_W,
        accuracy_W=accuracy_W,
    )
