"""The report of a drift replay: what each way to serve comes to, over time too, and every batch as a table."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa

from ttamer.exits.apparate.controller import Served
from ttamer.exits.apparate.latency import RampLatency
from ttamer.exits.apparate.placement import utilities
from ttamer.exits.apparate.servings import Ground, Rules, Serving, feasible_ramps, means_over
from ttamer.profiles.documents import envelope, write_table
from ttamer.profiles.provenance import Provenance
from ttamer.profiles.schema import Document

FORMAT, VERSION = "drift", 1
WINDOWS = 10


class RampChange(Document):
    """Ramps that are active from this batch on, counted from 1."""

    first_batch: int
    ramps: tuple[int, ...]


class Window(Document):
    """Some batches in a row: means over samples, and the ramps and thresholds of the last of them."""

    first_batch: int
    last_batch: int
    agreement: float
    cut_pct: float
    ramps: tuple[int, ...]
    thresholds: tuple[float, ...]


class Way(Document):
    """A way to serve the stream.

    semantics: `release` or `stop`. agreement: share of the full model's answers. breaches: share of batches in which
    more than 1 % are not. cut_pct: mean latency saved in %, busy_cut_pct: computing time; expected_cut_pct: latency
    saved on the records it was placed on. changes: of ramps, the first ones included; empty where heads are asked by
    sample.
    """

    name: str
    semantics: str
    agreement: float
    breaches: float
    cut_pct: float
    busy_cut_pct: float
    expected_cut_pct: float | None
    changes: tuple[RampChange, ...]
    windows: tuple[Window, ...]


class DriftReport(Document):
    """A stream served in several ways. feasible_ramps: exits that can be ramps; exits: names of all, by number."""

    model: str
    dataset: str
    stream: str
    arrivals: int
    batch: int
    seed: int
    controller: str
    compat: str
    tail_budget: float
    most_ramps: int
    max_disagreement: float
    audit: float
    exits: tuple[str, ...]
    feasible_ramps: tuple[int, ...]
    least_tail_overhead: float
    ways: tuple[Way, ...]


def report_on(
    servings: Sequence[Serving], ground: Ground, rules: Rules, *, exits: Sequence[str], stream: str, seed: int
) -> DriftReport:
    """The report. exits: their names; stream: how samples arrived."""
    latency = ground.latency()
    return DriftReport(
        model=ground.stream.model,
        dataset=ground.stream.dataset,
        stream=stream,
        arrivals=len(ground.order_M),
        batch=ground.batch,
        seed=seed,
        controller=rules.controller,
        compat=rules.compat.value,
        tail_budget=rules.tail,
        most_ramps=rules.ramps,
        max_disagreement=rules.max_disagreement,
        audit=rules.audit,
        exits=tuple(exits),
        feasible_ramps=tuple(feasible_ramps(latency, rules.tail)),
        least_tail_overhead=min(latency.tail_overhead([ramp]) for ramp in range(latency.exits - 1)),
        ways=tuple(_way(one) for one in servings),
    )


def _way(serving: Serving) -> Way:
    replay = serving.replay
    has_ramps = bool(replay.batches[0].ramps)
    changes = [RampChange(first_batch=one.first_batch, ramps=one.ramps) for one in replay.ramp_sets]
    return Way(
        name=serving.name,
        semantics=serving.semantics.value,
        agreement=replay.agreement,
        breaches=replay.breaches,
        cut_pct=replay.cut_pct,
        busy_cut_pct=replay.busy_cut_pct,
        expected_cut_pct=serving.expected_cut_pct,
        changes=tuple(changes) if has_ramps else (),
        windows=tuple(_windows(replay.batches)),
    )


def _windows(batches: Sequence[Served]) -> Iterator[Window]:
    count = min(WINDOWS, len(batches))
    for first, last in pairwise(round(len(batches) * place / count) for place in range(count + 1)):
        some = batches[first:last]
        samples = [one.samples for one in some]
        yield Window(
            first_batch=first + 1,
            last_batch=last,
            agreement=means_over([one.agreement for one in some], samples),
            cut_pct=means_over([one.cut_pct for one in some], samples),
            ramps=some[-1].ramps,
            thresholds=some[-1].thresholds,
        )


def write_batches(
    path: Path, servings: Sequence[Serving], report: DriftReport, latency: RampLatency, provenance: Provenance
) -> None:
    """Write every batch of every way to serve as Parquet, a row a batch, the report's settings in the header.

    utility_s: of each ramp, what it saves against the next less what it costs who passes, a mean per sample.
    """
    rows: list[dict[str, Any]] = [
        {
            "way": one.name, "semantics": one.semantics.value, "batch": number, "samples": served.samples,
            "ramps": list(served.ramps), "thresholds": list(served.thresholds), "agreement": served.agreement,
            "cut_pct": served.cut_pct, "exit_share": list(served.exit_share),
            "utility_s": utilities(served.ramps, served.exit_share, latency),
        }
        for one in servings
        for number, served in enumerate(one.replay.batches, 1)
    ]  # fmt: skip
    header = envelope(FORMAT, VERSION, provenance) | report.model_dump(mode="json", exclude={"ways"})
    write_table(path, pa.Table.from_pylist(rows, schema=SCHEMA), header)


SCHEMA = pa.schema({
    "way": pa.string(), "semantics": pa.string(), "batch": pa.int32(), "samples": pa.int32(),
    "ramps": pa.list_(pa.int16()), "thresholds": pa.list_(pa.float64()), "agreement": pa.float64(),
    "cut_pct": pa.float64(), "exit_share": pa.list_(pa.float64()), "utility_s": pa.list_(pa.float64()),
})  # fmt: skip
