"""What changed between two profiles: each point's median with the intervals of both, and each exit's accuracy."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from ttamer.profiles.profile import LatencyPoint, PointKey, Profile

Judgement = Literal["worse", "better", "same", "doubtful"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slowing:
    """One point in both profiles. ratio: after / before of the medians; low, high: of the ends of their intervals.

    doubtful: one of the two points is not `ok`, so that nothing follows from it.
    """

    key: PointKey
    before_s: float
    after_s: float
    low: float
    high: float
    judgement: Judgement

    @property
    def ratio(self) -> float:
        """After / before."""
        return self.after_s / self.before_s


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyChange:
    """One measured exit in both profiles, on the same data set and split."""

    model: str
    exit: int
    dataset: str
    split: str
    before: float
    after: float
    judgement: Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """All that two profiles share, and the points that only one of them has."""

    latency: tuple[Slowing, ...]
    accuracy: tuple[AccuracyChange, ...]
    gone: tuple[PointKey, ...]
    new: tuple[PointKey, ...]
    is_same_machine: bool

    def regressions(self) -> list[Slowing | AccuracyChange]:
        """What became worse beyond the intervals."""
        changes: Sequence[Slowing | AccuracyChange] = (*self.latency, *self.accuracy)
        return [change for change in changes if change.judgement == "worse"]


def difference(before: Profile, after: Profile, tolerance: float = 0.0) -> Difference:
    """Compare point by point. A change counts once the intervals are apart by more than `tolerance` (a fraction)."""
    old, new = ({point.key: point for point in profile.latency} for profile in (before, after))
    return Difference(
        latency=tuple(_slowing(old[key], new[key], tolerance) for key in old if key in new),
        accuracy=tuple(_accuracy_changes(before, after)),
        gone=tuple(key for key in old if key not in new),
        new=tuple(key for key in new if key not in old),
        is_same_machine=before.machine.fingerprint == after.machine.fingerprint,
    )


def _slowing(before: LatencyPoint, after: LatencyPoint, tolerance: float) -> Slowing:
    (before_low, before_high), (after_low, after_high) = before.samples.interval_s(0.5), after.samples.interval_s(0.5)
    low, high = after_low / before_high, after_high / before_low
    judgement: Judgement = "same"
    if before.verdict != "ok" or after.verdict != "ok":
        judgement = "doubtful"
    elif low > 1 + tolerance:
        judgement = "worse"
    elif high < 1 / (1 + tolerance):
        judgement = "better"
    return Slowing(
        key=before.key,
        before_s=before.samples.median_s(),
        after_s=after.samples.median_s(),
        low=low,
        high=high,
        judgement=judgement,
    )


def _accuracy_changes(before: Profile, after: Profile) -> Iterator[AccuracyChange]:
    measured = {
        (row.model, row.exit, row.dataset, row.split): row for row in after.accuracy if row.source == "measured"
    }
    for row in before.accuracy:
        now = measured.get((row.model, row.exit, row.dataset, row.split))
        if row.source != "measured" or now is None:
            continue
        judgement: Judgement = "same"
        if None not in (row.low, row.high, now.low, now.high):
            judgement = "worse" if now.high < row.low else "better" if now.low > row.high else "same"  # type: ignore[operator]
        yield AccuracyChange(
            model=row.model,
            exit=row.exit,
            dataset=row.dataset,
            split=row.split,
            before=row.accuracy,
            after=now.accuracy,
            judgement=judgement,
        )
