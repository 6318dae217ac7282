"""Visits: what one measuring process found of one point, and the point that several of them make.

Every sample has the reference kernel's time beside it. Dividing by it and multiplying by the kernel's level, one
number for all points of a profile, brings samples of fast and slow minutes, processes and days to one speed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ttamer.profiles.errors import InputError
from ttamer.profiles.profile import LatencyPoint, PointKey
from ttamer.profiles.samples import Samples
from ttamer.profiling.budgets import Budget
from ttamer.profiling.verdicts import evidence_of_samples, is_contended, judge

Floats = NDArray[np.float64]
LOWEST = ("clean_share", "running_share", "cpu_share", "main_share", "gpu_clock_mhz", "budget_s")  # less is worse
SUMMED = ("rounds", "throttled_periods")


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What one process measured of one point. reference_s: the kernel's time beside each sample.

    loops, peak_memory_bytes, load_time_s, spec_digest: as in a LatencyPoint. evidence: of disturbance; budget_s and
    protocol say how it was measured.
    """

    key: PointKey
    seconds: tuple[float, ...]
    reference_s: tuple[float, ...]
    loops: int
    peak_memory_bytes: int
    load_time_s: float
    spec_digest: str
    evidence: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.seconds or len(self.seconds) != len(self.reference_s):
            raise InputError(
                f"{len(self.seconds)} samples and {len(self.reference_s)} references do not belong together",
                remedy="measure the point again",
            )

    @property
    def is_contended(self) -> bool:
        """Whether others had the cores."""
        return is_contended(self.evidence)

    def to_row(self) -> dict[str, Any]:
        """The visit as one flat row of plain data."""
        row = asdict(self)
        return {**row.pop("key"), **row}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """The visit in a row. Raises InputError on a missing field or an impossible value."""
        try:
            names = [name for name in cls.__dataclass_fields__ if name != "key"]
            fields = {name: row[name] for name in names}
            fields |= {name: tuple(map(float, row[name])) for name in ("seconds", "reference_s")}
            Samples(fields["seconds"] + fields["reference_s"])  # each finite and above zero
            return cls(key=PointKey(**{name: row[name] for name in PointKey.__dataclass_fields__}), **fields)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"a visit is damaged: {error}", remedy="measure the point again") from None


def counting(visits: Sequence[Visit], processes: int) -> Sequence[Visit]:
    """The visits that make the point: the undisturbed ones if they are enough, otherwise all."""
    quiet = [visit for visit in visits if not visit.is_contended]
    return quiet if len(quiet) >= processes else visits


def needs_visit(visits: Sequence[Visit], processes: int, retries: int) -> bool:
    """Whether another process should measure the point: too few did undisturbed, and not too many were tried."""
    quiet = sum(not visit.is_contended for visit in visits)
    return quiet < processes and len(visits) < processes + retries


def reference_level_s(visits: Sequence[Visit]) -> float:
    """The median of the reference kernel beside all samples, every visit counted alike."""
    return float(np.median([np.median(visit.reference_s) for visit in visits]))


def point_from_visits(visits: Sequence[Visit], level_s: float, budget: Budget) -> LatencyPoint:
    """The point that several processes' visits make. level_s: of the reference kernel, to which times are brought."""
    chosen = counting(visits, budget.processes)
    raw_s = np.concatenate([visit.seconds for visit in chosen])
    reference_s = np.concatenate([visit.reference_s for visit in chosen])
    samples = Samples(
        np.asarray(raw_s * level_s / reference_s).tolist(),
        loops=min(visit.loops for visit in chosen),
        raw_seconds=raw_s.tolist(),
        counts=[len(visit.seconds) for visit in chosen],
    )
    evidence = _worst([visit.evidence for visit in chosen])
    evidence |= evidence_of_samples(samples, reference_s.tolist(), budget.quantile)
    evidence |= {"error_allowed": budget.error, "level_s": level_s, "visits": float(len(visits))}
    return LatencyPoint(
        key=chosen[0].key,
        samples=samples,
        peak_memory_bytes=max(visit.peak_memory_bytes for visit in chosen),
        load_time_s=float(np.median([visit.load_time_s for visit in chosen])),
        verdict=judge(evidence),
        evidence=evidence,
        spec_digest=chosen[0].spec_digest,
    )


def _worst(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of every kind of evidence what speaks most against the point."""
    worst: dict[str, float] = {}
    for name in dict.fromkeys(name for one in found for name in one):
        values = [one[name] for one in found if name in one]
        worst[name] = sum(values) if name in SUMMED else min(values) if name in LOWEST else max(values)
    return worst
