"""Apparate's controller: serves batches, learns from their feedback, retunes thresholds and moves ramps.

What the two kinds of controllers share; their signals are in `vision.py` and `language.py`.

Axes: K exits, the last is the full model; R active ramps; N samples of a batch.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ttamer.exits.apparate.feedback import Feedback
from ttamer.exits.apparate.latency import RampLatency, at_batch
from ttamer.exits.apparate.placement import TUNING_BUDGET, spaced, utilities
from ttamer.exits.apparate.tuner import Compat, Tuned, tune
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Floats

ALLOWED_DISAGREEMENT = 0.01  # as released, of every batch
UNLIMITED = float("inf")
WINDOW_BATCHES = 4  # as released: what thresholds are tuned on
HISTORY_BATCHES = 20  # as released: utilities and exit shares
ENOUGH_EXITS = 0.9  # as released: with more leaving at the ramps that stay, none is added


@dataclass(frozen=True, slots=True)
class Served:
    """One batch: the ramps and thresholds it was served with, and what came of it.

    exit_share: share leaving at each ramp and, last, at none. cut_pct: mean latency saved in % of the plain model's.
    """

    samples: int
    ramps: tuple[int, ...]
    thresholds: tuple[float, ...]
    agreement: float
    cut_pct: float
    exit_share: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What one ramp said about recent samples."""

    confidence_N: Floats
    agrees_N: NDArray[np.bool_]

    def then(self, other: "_Seen") -> "_Seen":
        return _Seen(
            np.concatenate([self.confidence_N, other.confidence_N]), np.concatenate([self.agrees_N, other.agrees_N])
        )

    def cut(self, rows: slice) -> "_Seen":
        return _Seen(self.confidence_N[rows], self.agrees_N[rows])

    def __len__(self) -> int:
        return len(self.confidence_N)


class Controller(ABC):
    """Active ramps, their thresholds and the recent feedback; `serve` takes a batch and adapts.

    latencies: by batch size; a batch takes the next larger one. Thresholds start at 0: nothing leaves early.
    tail_budget: most that passing all ramps may add, strictly, as a fraction of the plain model; where the first ramps
    add more, moves may not add to that. The released code moves ramps without looking at it.
    Raises InputError without ramps.
    """

    interval: ClassVar[int]  # batches between ramp adjustments
    most_ramps: ClassVar[int]  # of the initial placement
    first_threshold: ClassVar[float]  # of an added ramp
    worthwhile_pct: ClassVar[float]  # latency that retuning must win for negative ramps to stay

    def __init__(
        self,
        latencies: Mapping[int, RampLatency],
        ramps: Sequence[int],
        *,
        compat: Compat = Compat.FIXED,
        tail_budget: float = UNLIMITED,
    ) -> None:
        if not ramps or not latencies:
            raise InputError(f"a controller of {len(ramps)} ramps", remedy="activate at least one ramp")
        self.latencies = dict(latencies)
        self.compat = compat
        self.tail_budget = tail_budget
        self.ramps = list(ramps)
        self.thresholds = [0.0] * len(self.ramps)
        self.batches = 0
        self._quota = 0  # ramps given up that may come back
        self._violations = 0  # since the last adjustment
        self._sizes: deque[int] = deque()
        self._seen: dict[int, _Seen] = {}
        self._utility: dict[int, deque[float]] = {}
        self._shares: deque[tuple[Floats, int]] = deque(maxlen=HISTORY_BATCHES)

    def serve(self, batch: Feedback, known: Feedback | None = None) -> Served:
        """Answer one batch with the present thresholds, then learn from it and adapt.

        known: the part of it whose final answers come to be known, None for all of it. From nothing, nothing is learnt.
        """
        self.batches += 1
        latency = at_batch(self.latencies, batch.samples)
        served, agreement_R = self._answered(batch, latency)
        if known is None:
            known, seen = batch, served
        elif known.samples:
            seen, agreement_R = self._answered(known, latency)
        else:
            return served
        self._learn(known, seen, latency)
        self._violations += self._violates(seen.agreement)
        self._adapt(seen, agreement_R, latency)
        return served

    def _answered(self, batch: Feedback, latency: RampLatency) -> tuple[Served, list[float | None]]:
        """What comes of a batch, and the agreement of each ramp among those that leave there, None where none do."""
        leaving_N = batch.leaving_N(self.ramps, self.thresholds)
        columns = np.array([*self.ramps, batch.agrees_NK.shape[1] - 1])
        agrees_N = batch.agrees_NK[np.arange(batch.samples), columns[leaving_N]] | (leaving_N == len(self.ramps))
        counts_R = np.bincount(leaving_N, minlength=len(self.ramps) + 1)
        share = tuple((counts_R / batch.samples).tolist())
        served = Served(
            samples=batch.samples,
            ramps=tuple(self.ramps),
            thresholds=tuple(self.thresholds),
            agreement=int(np.count_nonzero(agrees_N)) / batch.samples,
            cut_pct=latency.cut_pct(share, latency.answer_s(self.ramps)),
            exit_share=share,
        )
        return served, [float(agrees_N[leaving_N == j].mean()) if counts_R[j] else None for j in range(len(self.ramps))]

    @abstractmethod
    def _adapt(self, served: Served, agreement_R: Sequence[float | None], latency: RampLatency) -> None: ...

    @staticmethod
    def _violates(agreement: float) -> bool:
        return agreement < 1 - ALLOWED_DISAGREEMENT

    def _learn(self, batch: Feedback, served: Served, latency: RampLatency) -> None:
        self._sizes.append(batch.samples)
        oldest = self._sizes.popleft() if len(self._sizes) > WINDOW_BATCHES else 0
        for ramp in self.ramps:
            new = _Seen(batch.confidence_NK[:, ramp], batch.agrees_NK[:, ramp])
            seen = self._seen[ramp].then(new) if ramp in self._seen else new
            self._seen[ramp] = self._trimmed(seen, oldest)
        self._shares.append((np.array(served.exit_share), batch.samples))
        for ramp, utility in zip(self.ramps, utilities(self.ramps, served.exit_share, latency), strict=True):
            self._utility.setdefault(ramp, deque(maxlen=HISTORY_BATCHES)).append(utility)

    def _trimmed(self, seen: _Seen, oldest: int) -> _Seen:
        if self.compat is Compat.FIXED:
            return seen.cut(slice(-sum(self._sizes), None))
        # released: once forgotten, a window loses a batch for every one it gains and never fills again
        return seen.cut(slice(oldest, None)) if oldest and len(seen) > oldest else seen

    def _window(self) -> Feedback:
        """The recent feedback of the active ramps; other columns are empty."""
        seen = [self._seen[ramp] for ramp in self.ramps]
        if self.compat is Compat.RELEASED:  # windows of unequal length are read from their starts
            rows = slice(0, min(len(seen[0]), *map(len, seen)))
        else:
            rows = slice(-min(map(len, seen)), None)
        exits = next(iter(self.latencies.values())).exits
        samples = len(seen[0].cut(rows))
        confidence_NK, agrees_NK = np.zeros((samples, exits)), np.ones((samples, exits), dtype=np.bool_)
        for ramp, one in zip(self.ramps, seen, strict=True):
            confidence_NK[:, ramp], agrees_NK[:, ramp] = one.confidence_N[rows], one.agrees_N[rows]
        return Feedback(confidence_NK, agrees_NK)

    def _retuned(self, latency: RampLatency, held: Mapping[int, float] | None = None) -> Tuned:
        return tune(self._window(), latency, self.ramps, TUNING_BUDGET, compat=self.compat, held=held)

    def _retune(self, latency: RampLatency, held: Mapping[int, float] | None = None) -> None:
        self.thresholds = list(self._retuned(latency, held).thresholds)

    def _forget(self, ramps: Sequence[int]) -> None:
        for ramp in ramps:
            self._seen.pop(ramp, None)
            self._utility.pop(ramp, None)

    def _keep(self, places: Sequence[int]) -> None:
        self.ramps = [self.ramps[j] for j in places]
        self.thresholds = [self.thresholds[j] for j in places]

    def _replace_negatives(self, negative: Sequence[int], latest: int) -> bool:
        """Give up ramps of negative utility and try one deeper; False where a lone last ramp has nowhere to go.

        negative: places of the ramps, ascending, at least one.
        """
        given_up = [self.ramps[j] for j in negative]
        if max(given_up) >= latest and len(given_up) == len(self.ramps):
            self._quota += len(given_up) - 1
            self._forget(given_up[:-1])
            self._keep(negative[-1:])
            return len(given_up) > 1
        self._forget(given_up)
        self._quota += len(given_up)
        stay = [j for j in range(len(self.ramps)) if j not in negative]
        leaving = sum(self._mean_share()[j] for j in stay)
        first = self.ramps[-1] + 1
        deeper = spaced(first, latest, 1)[0] if first <= latest else None
        affordable = deeper is not None and self._affords([*(self.ramps[j] for j in stay), deeper])
        self._keep(stay)
        if leaving <= ENOUGH_EXITS and deeper is not None and affordable:
            self.ramps.append(deeper)
            self.thresholds.append(self.first_threshold)
            self._quota -= 1
            self._forget(self.ramps)
        return True

    def _mean_share(self) -> Floats:
        samples = sum(size for _, size in self._shares)
        return np.asarray(sum(share_R * size for share_R, size in self._shares) / samples)

    def _affords(self, ramps: Sequence[int]) -> bool:
        """Whether passing these ramps keeps the tail budget at every batch size, or adds no more than the present.

        One ramp there always is.
        """
        return len(ramps) == 1 or all(
            latency.tail_overhead(ramps) < self.tail_budget
            or latency.tail_overhead(ramps) <= latency.tail_overhead(self.ramps)
            for latency in self.latencies.values()
        )

    def _move_earlier(self) -> bool:
        """Add a ramp before the first if one was given up, else exchange one for it; False where there is no room."""
        place = (self.ramps[0] - 1) // 2
        if self.ramps[0] < 2:
            return False
        if self._quota > 0 and self._affords([place, *self.ramps]):
            self._quota -= 1
        else:
            mean_utility = [float(np.mean(self._utility[ramp])) for ramp in self.ramps]
            order = sorted(range(len(self.ramps)), key=mean_utility.__getitem__)
            # released: the ramp of highest utility goes, where the lowest was meant
            goes = order[-1] if self.compat is Compat.RELEASED else order[0]
            stay = [j for j in range(len(self.ramps)) if j != goes]
            if not self._affords([place, *(self.ramps[j] for j in stay)]):
                return False
            self._forget(self.ramps)
            self._keep(stay)
        self.ramps.insert(0, place)
        self.thresholds.insert(0, self.first_threshold)
        self._forget(self.ramps)
        return True
