"""From measured seconds to the law of a replica's batches, with and without early exits.

Within a batch, rows that stop at an exit are answered and leave; the others run on as a smaller batch. Rows stop
independently, so of m rows that reach an exit a binomial number goes on. Both the busy time of the whole batch and
the time to one row's answer are sums over stages of times that depend on how many rows are left: their generating
functions follow from the last exit backwards, for all sizes and tilts at once.

Axes: T tilts, B batch sizes 0..batch, K exits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ttamer.exits.evaluate import Outcome
from ttamer.planning.queueing import ServiceLaw, service_level
from ttamer.profiles.intervals import quantile_samples_needed
from ttamer.profiles.profile import WHOLE, LatencyPoint, Profile
from ttamer.profiles.records import Floats
from ttamer.profiles.samples import Samples

TILTS = 64  # at which generating functions are evaluated
CHORDS = 8  # tilts between two of those: the cumulants are convex, so their chords lie above them
TILT_RANGE = (1e-3, 60.0)  # times 1/mean seconds: from queues of a thousand services to tails of a service
ATOMS = 128  # samples kept of a longer list, for the generating functions alone
UNLIKELY = 1e-300


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Paths:
    """Where rows leave a staged model, and what is done for them on the way.

    stop_share_K: the share that stops at each exit. heads_K, stages_K: of the rows still under way, the share for
    which each head is evaluated and each stage is run; all stages for all of them if None. A policy that picks its
    heads row by row has shares between 0 and 1; a cascade leaves out what is left of a model it has done with.
    """

    stop_share_K: Floats
    heads_K: tuple[float, ...]
    stages_K: tuple[float, ...] | None = None

    def share(self, part: str, exit: int) -> float:
        """The share of the rows under way for which a stage or a head is evaluated."""
        if part == "head":
            return float(self.heads_K[exit])
        return 1.0 if self.stages_K is None else self.stages_K[exit]

    @property
    def go_on_K(self) -> Floats:
        """Of the rows that reach an exit, the share that goes on to the next; 0 at the last exit in use."""
        reach_K = np.cumsum(self.stop_share_K[::-1])[::-1]
        beyond_K = np.append(reach_K[1:], 0.0)
        return np.asarray(np.clip(beyond_K / np.where(reach_K > 0, reach_K, 1.0), 0.0, 1.0))


def paths_as_seen(outcome: Outcome) -> Paths:
    """What the samples of an outcome did, as it was."""
    heads_K, stages_K = outcome.share_under_way(outcome.asked_share_K), outcome.share_under_way(outcome.run_share_K)
    return Paths(stop_share_K=outcome.stop_share_K, heads_K=heads_K, stages_K=stages_K)


@dataclass(slots=True)
class Timings:
    """Measured parts of one model on one device with one number of cores, with what is computed from them kept.

    quantile: of the sojourn time that laws are asked for. is_cautious: whether points are taken to be as slow as they
    may be for all that is known, as a plan needs it, or as they were measured.
    """

    profile: Profile
    model: str
    device: str
    cores: int
    quantile: float
    is_cautious: bool = True
    tilt_T: Floats = field(init=False)
    _cumulants: dict[tuple[str, int], Floats] = field(init=False, default_factory=dict)
    _planned: dict[tuple[str, int, int], Samples] = field(init=False, default_factory=dict)
    _curves: dict[tuple[str, int, float | None], Floats] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        sizes = self.batches("whole", WHOLE)
        means_s = [self._samples("whole", WHOLE, size).mean_s() for size in sizes]
        low, high = TILT_RANGE
        self.tilt_T = np.geomspace(low / max(means_s), high / min(means_s), TILTS)

    def batches(self, part: str, exit: int) -> list[int]:
        """Measured batch sizes of a part."""
        return self.profile.batches(self.model, part, exit, device=self.device, cores=self.cores)

    def points(self, batch: int, paths: Paths | None) -> list[LatencyPoint]:
        """The measured points that a law for batches of this size rests on."""
        return [
            self._point(part, exit, size)
            for part, exit in _parts(paths)
            for size in self.batches(part, exit)
            if size <= batch
        ]

    def law(self, batch: int, paths: Paths | None = None) -> ServiceLaw:
        """The law of batches of up to `batch` rows of the whole model, or of its stages with rows leaving.

        Raises InputError if a part was not measured up to that batch.
        """
        return self._whole_law(batch) if paths is None else self._staged_law(batch, paths)

    def _whole_law(self, batch: int) -> ServiceLaw:
        cumulant_BT = self._cumulant_BT("whole", WHOLE, batch)
        mean_s_B = self._mean_s_B("whole", WHOLE, batch)
        return self._assemble(mean_s_B, cumulant_BT, cumulant_BT[1:], self._slow_s("whole", WHOLE, batch))

    def _staged_law(self, batch: int, paths: Paths) -> ServiceLaw:
        go_on_K = paths.go_on_K
        busy_BT = np.zeros((batch + 1, TILTS))  # of the exits behind, by rows that reach them
        answer_BT = np.zeros((batch, TILTS))  # of one row, by the other rows that reach the exit with it
        mean_s_B = np.zeros(batch + 1)
        for exit in reversed(range(len(go_on_K))):
            spread_BB = _binomial(batch, float(go_on_K[exit]))
            mean_s_B = self._exit_mean_s_B(exit, batch, paths) + spread_BB @ mean_s_B
            part_BT = self._exit_cumulant_BT(exit, batch, paths)
            busy_BT = part_BT + _log_mean_exp(spread_BB, busy_BT)
            beyond_BT = _log_mean_exp(spread_BB[:-1, :-1], answer_BT)
            answer_BT = part_BT[1:] + _log_mix(float(go_on_K[exit]), beyond_BT)
        return self._assemble(mean_s_B, busy_BT, answer_BT, self._slow_path_s(batch, paths))

    def _assemble(self, mean_s_B: Floats, busy_BT: Floats, answer_BT: Floats, answer_s: float) -> ServiceLaw:
        # E[S e^θS] = M'(θ), and ln M is convex: its forward difference is at least its derivative.
        slope_s_BT = np.diff(busy_BT[1:], axis=1) / np.diff(self.tilt_T)
        tail_BT = busy_BT[1:, :-1] + np.log(slope_s_BT / mean_s_B[1:, None])
        known_T = self.tilt_T[:-1]
        tilt_T = np.geomspace(known_T[0], known_T[-1], CHORDS * len(known_T))
        return ServiceLaw(
            batch=len(mean_s_B) - 1,
            mean_s_B=mean_s_B,
            tilt_T=tilt_T,
            busy_cumulant_T=np.interp(tilt_T, known_T, busy_BT[1:, :-1].max(axis=0)),
            busy_tail_T=np.interp(tilt_T, known_T, tail_BT.max(axis=0)),
            answer_cumulant_T=np.interp(tilt_T, known_T, answer_BT[:, :-1].max(axis=0)),
            answer_s=answer_s,
            quantile=self.quantile,
        )

    def _slow_path_s(self, batch: int, paths: Paths) -> float:
        """Seconds of a full batch that nobody leaves, to the exit that the service level of rows does not pass."""
        stopped_K = np.cumsum(paths.stop_share_K)
        level = min(service_level(self.quantile), float(stopped_K[-1]))
        deepest = int(np.searchsorted(stopped_K, level))
        parts = [(part, exit) for part in ("stage", "head") for exit in range(deepest + 1) if paths.share(part, exit)]
        return sum(self._slow_s(part, exit, batch) for part, exit in parts)

    def _slow_s(self, part: str, exit: int, batch: int) -> float:
        return float(self._curve_s_B(part, exit, batch, service_level(self.quantile)).max())

    def _exit_mean_s_B(self, exit: int, batch: int, paths: Paths) -> Floats:
        mean_s_B = np.zeros(batch + 1)
        for part, share in _done(exit, paths):
            mean_s_B += _binomial(batch, share) @ self._mean_s_B(part, exit, batch)
        return mean_s_B

    def _exit_cumulant_BT(self, exit: int, batch: int, paths: Paths) -> Floats:
        cumulant_BT = np.zeros((batch + 1, TILTS))
        for part, share in _done(exit, paths):
            part_BT = self._cumulant_BT(part, exit, batch)
            cumulant_BT += part_BT if share == 1 else _log_mean_exp(_binomial(batch, share), part_BT)
        return cumulant_BT

    def _mean_s_B(self, part: str, exit: int, batch: int) -> Floats:
        return self._curve_s_B(part, exit, batch, None)

    def _curve_s_B(self, part: str, exit: int, batch: int, quantile: float | None) -> Floats:
        key = (part, exit, quantile)
        sizes = self.profile.batches_up_to(
            self.model, part, exit, device=self.device, cores=self.cores, up_to=batch
        )  # fmt: skip
        if key not in self._curves:
            samples = [self._samples(part, exit, size) for size in sizes]
            seconds = [some.mean_s() if quantile is None else some.bound_s(quantile) for some in samples]
            self._curves[key] = np.interp(np.arange(sizes[-1] + 1), [0, *sizes], [0.0, *seconds])
        return self._curves[key][: batch + 1]

    def _cumulant_BT(self, part: str, exit: int, batch: int) -> Floats:
        """ln E exp(tilt × seconds) by batch size; between measured sizes a line, which Hölder's inequality allows."""
        if (part, exit) not in self._cumulants:
            sizes = self.batches(part, exit)
            known_BT = np.vstack([np.zeros(TILTS), *(self._measured_T(part, exit, size) for size in sizes)])
            self._cumulants[part, exit] = _interpolate(np.arange(sizes[-1] + 1), [0, *sizes], known_BT)
        return self._cumulants[part, exit][: batch + 1]

    def _measured_T(self, part: str, exit: int, size: int) -> Floats:
        seconds = _thinned(np.sort(self._samples(part, exit, size).seconds))
        even = np.full((1, len(seconds)), 1 / len(seconds))
        return np.asarray(_log_mean_exp(even, seconds[:, None] * self.tilt_T)[0])

    def _samples(self, part: str, exit: int, size: int) -> Samples:
        """The samples to go by."""
        if (part, exit, size) not in self._planned:
            samples = self._point(part, exit, size).samples
            self._planned[part, exit, size] = samples.pessimistic() if self.is_cautious else samples
        return self._planned[part, exit, size]

    def _point(self, part: str, exit: int, size: int) -> LatencyPoint:
        return self.profile.point(self.model, part, exit, device=self.device, cores=self.cores, batch=size)


def samples_short(points: list[LatencyPoint], quantile: float) -> tuple[int, int]:
    """The fewest samples of any point, and how many bound this quantile."""
    return min(len(point.samples) for point in points), quantile_samples_needed(quantile)


def worst_verdict(points: list[LatencyPoint], order: Mapping[str, int]) -> str:
    """The verdict that ranks last among the points."""
    return max((point.verdict for point in points), key=lambda verdict: order.get(verdict, len(order)))


def _parts(paths: Paths | None) -> list[tuple[str, int]]:
    if paths is None:
        return [("whole", WHOLE)]
    used = [exit for exit, reach in enumerate(np.cumsum(paths.stop_share_K[::-1])[::-1]) if reach > 0]
    return [(part, exit) for part in ("stage", "head") for exit in used if paths.share(part, exit)]


def _done(exit: int, paths: Paths) -> list[tuple[str, float]]:
    """What is done at an exit, and for which share of the rows under way; who is asked is drawn row by row."""
    parts = [(part, paths.share(part, exit)) for part in ("stage", "head")]
    return [(part, share) for part, share in parts if share]


def _thinned(ascending: Floats) -> Floats:
    """At most ATOMS values: the mean of each run of equally many, and the largest of the last."""
    if len(ascending) <= ATOMS:
        return ascending
    first = np.linspace(0, len(ascending), ATOMS + 1).astype(np.int64)
    atoms = np.add.reduceat(ascending, first[:-1]) / np.diff(first)
    atoms[-1] = ascending[-1]
    return np.asarray(atoms)


def _interpolate(at: np.ndarray, known: list[int], values_BT: Floats) -> Floats:
    right = np.clip(np.searchsorted(known, at), 1, len(known) - 1)
    below, above = np.array(known)[right - 1], np.array(known)[right]
    weight = ((at - below) / (above - below))[:, None]
    return np.asarray((1 - weight) * values_BT[right - 1] + weight * values_BT[right])


def _binomial(batch: int, share: float) -> Floats:
    """P(j of m rows go on) in row m, column j, for m and j in 0..batch."""
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, batch + 1)))])
    m, j = np.arange(batch + 1)[:, None], np.arange(batch + 1)[None, :]
    if share in (0.0, 1.0):
        return np.asarray((j == m * share).astype(float))
    stay = np.maximum(m - j, 0)
    log_pmf = log_factorial[m] - log_factorial[j] - log_factorial[stay] + j * np.log(share) + stay * np.log1p(-share)
    return np.where(j <= m, np.exp(np.minimum(log_pmf, 0.0)), 0.0)


def _log_mean_exp(weight_AB: Floats, exponent_BT: Floats) -> Floats:
    """ln of the weighted means of exp, a row for each row of weights."""
    peak_T = exponent_BT.max(axis=0)
    return np.asarray(np.log(np.maximum(weight_AB @ np.exp(exponent_BT - peak_T), UNLIKELY)) + peak_T)


def _log_mix(share: float, exponent_BT: Floats) -> Floats:
    """ln(1 − share + share × exp(exponent))."""
    if share == 0.0:
        return np.zeros_like(exponent_BT)
    return np.asarray(np.logaddexp(np.log1p(-share) if share < 1 else -np.inf, np.log(share) + exponent_BT))
