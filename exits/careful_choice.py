"""The fastest policy that may lose a little accuracy, chosen so that it loses no more on records nobody has seen.

The fastest of hundreds of settings within a drop on a few hundred validation samples is often there by luck: on new
samples it loses two or three times as much. So a setting is held to the drop on two splits, those it was fitted on and
those that choose, and on each by the upper end of a one-sided 95 % interval of its loss, by the normal law.

A stricter kin of the one-standard-error rule: Breiman, Friedman, Olshen and Stone, Classification and Regression Trees
(1984), sec. 3.4.3.
Axes: N samples, J candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ttamer.exits.evaluate import ROUNDING, Evaluated, FittedPolicy, evaluate
from ttamer.exits.mixture import Mixture, drawn_N
from ttamer.exits.policies.protocol import ExitCosts, Policy
from ttamer.exits.replay import Replay, replay
from ttamer.profiles.errors import InfeasibleError
from ttamer.profiles.records import ExitRecords, Floats

CAUTION = 1.645  # standard errors: 95 % of a normal law lie below
TRIES = 40  # halvings of a mixture's share


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A candidate, the most it may be taken to lose against the last exit, and its mean seconds on validation."""

    fitted: FittedPolicy
    loss: float
    mean_s: float


def judge(
    candidates: Sequence[FittedPolicy],
    calibration: ExitRecords,
    validation: ExitRecords,
    costs: ExitCosts,
    *,
    caution: float = CAUTION,
) -> list[Judged]:
    """Candidates with the larger of their losses on both splits, each raised by `caution` standard errors.

    Fastest first; those left out lose no less than a faster one. Raises InputError for a candidate that has seen the
    validation records or is for another model.
    """
    _check(candidates, validation)
    validated = [Judged(fitted, *_validated(fitted.policy, validation, costs, caution)) for fitted in candidates]
    kept: list[Judged] = []
    for one in sorted(validated, key=lambda one: (one.mean_s, one.loss)):
        if kept and one.loss >= kept[-1].loss:
            continue  # on calibration it can only lose more
        loss = max(one.loss, _loss(_lost(replay(one.fitted.policy, calibration, costs), calibration), caution))
        if not kept or loss < kept[-1].loss:
            kept.append(Judged(one.fitted, loss, one.mean_s))
    return kept


def fastest_of(judged: Sequence[Judged], max_drop: float) -> Judged | None:
    """The fastest that may lose no more than max_drop; None if all lose more."""
    return min((one for one in judged if one.loss <= max_drop + ROUNDING), key=_mean_s, default=None)


def choose_carefully(
    candidates: Sequence[FittedPolicy],
    calibration: ExitRecords,
    validation: ExitRecords,
    costs: ExitCosts,
    max_drop: float,
    *,
    caution: float = CAUTION,
) -> Evaluated:
    """The fastest policy, mixtures of two included, that may lose no more than max_drop, evaluated on validation.

    max_drop: a fraction. caution: standard errors added to every loss. Raises InfeasibleError if all may lose more,
    InputError for a candidate that has seen the validation records.
    """
    judged = judge(candidates, calibration, validation, costs, caution=caution)
    best = fastest_mixed(judged, calibration, validation, costs, max_drop, caution=caution)
    if best is None:
        least = min((one.loss for one in judged), default=1.0)
        raise InfeasibleError(
            f"no candidate is sure to lose at most {max_drop:.4f} on {validation.split}; the safest may lose "
            f"{least:.4f}",
            remedy="allow a larger drop or add the kind last-exit",
        )
    return Evaluated(best.fitted, evaluate(best.fitted, validation, costs))


def fastest_mixed(
    judged: Sequence[Judged],
    calibration: ExitRecords,
    validation: ExitRecords,
    costs: ExitCosts,
    max_drop: float,
    *,
    caution: float = CAUTION,
) -> Judged | None:
    """The fastest of the judged candidates and of mixtures of two neighbours on their hull; None if all lose more."""
    alone = fastest_of(judged, max_drop)
    vertices = _hull(judged)
    place = next((i for i, one in enumerate(vertices) if one.loss <= max_drop + ROUNDING), None)
    if alone is None or not place:
        return alone
    fast, safe = vertices[place - 1], vertices[place]
    share = (max_drop - safe.loss) / (fast.loss - safe.loss)
    return min([alone, _mixed(fast, safe, share, calibration, validation, costs, max_drop, caution)], key=_mean_s)


def _check(candidates: Sequence[FittedPolicy], validation: ExitRecords) -> None:
    seen: set[tuple[str, str]] = set()  # many candidates were fitted on the same records: hashing them once is enough
    for fitted in candidates:
        key = (fitted.model, repr(sorted(fitted.fitted_on.items())))
        if key not in seen:
            fitted.check_unseen(validation)
            seen.add(key)


def _validated(policy: Policy, validation: ExitRecords, costs: ExitCosts, caution: float) -> tuple[float, float]:
    """Loss and mean seconds on validation."""
    replayed = replay(policy, validation, costs)
    return _loss(_lost(replayed, validation), caution), float(replayed.seconds_N.mean())


def _lost(one: Replay, records: ExitRecords) -> Floats:
    """1 for a sample that only the last exit answers right, -1 for one that only the policy does."""
    last_N = records.prediction_NK[:, -1] == records.label_N
    return np.asarray(last_N.astype(np.float64) - one.right_N)


def _loss(lost_N: Floats, caution: float) -> float:
    return float(lost_N.mean() + caution * lost_N.std() / np.sqrt(len(lost_N)))


def _hull(judged: Sequence[Judged]) -> list[Judged]:
    """The candidates that no mixture of others beats in loss and time, fastest first."""
    kept: list[Judged] = []
    for one in sorted(judged, key=lambda one: (one.mean_s, one.loss)):
        if kept and one.loss >= kept[-1].loss:
            continue
        while len(kept) > 1 and _slope(kept[-2], one) >= _slope(kept[-2], kept[-1]):
            kept.pop()
        kept.append(one)
    return kept


def _slope(fast: Judged, slow: Judged) -> float:
    waited_s = slow.mean_s - fast.mean_s
    return (fast.loss - slow.loss) / waited_s if waited_s > 0 else float("inf")


def _mixed(
    fast: Judged,
    safe: Judged,
    share: float,
    calibration: ExitRecords,
    validation: ExitRecords,
    costs: ExitCosts,
    max_drop: float,
    caution: float,
) -> Judged:
    """The mixture with the largest share of the fast one, up to `share`, that is itself within the drop.

    Which samples take which policy is a hash's choice, so that the mixture's own loss is not quite the mean of both.
    """
    parts = []
    for records in (calibration, validation):
        one, other = (replay(judged.fitted.policy, records, costs) for judged in (fast, safe))
        parts.append((drawn_N(records.sample_N), _lost(one, records), _lost(other, records)))

    def is_within(tried: float) -> bool:
        losses = (_loss(np.where(drawn_N < tried, fast_N, safe_N), caution) for drawn_N, fast_N, safe_N in parts)
        return max(losses) <= max_drop + ROUNDING

    low, high = 0.0, share
    for _ in range(TRIES if not is_within(share) else 0):
        middle = (low + high) / 2
        low, high = (middle, high) if is_within(middle) else (low, middle)
    held = share if is_within(share) else low
    policy = Mixture(first=fast.fitted.policy, second=safe.fitted.policy, share=held)
    seen = {**fast.fitted.fitted_on, **safe.fitted.fitted_on}
    (judged,) = judge([FittedPolicy(policy, safe.fitted.model, seen)], calibration, validation, costs, caution=caution)
    return judged


def _mean_s(one: Judged) -> float:
    return one.mean_s
