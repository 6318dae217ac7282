"""The best policy under a constraint on a mean, two of them mixed where one alone would waste what is allowed.

Among all ways of drawing a candidate for each request, the best mixes two neighbours on the convex hull of what the
candidates do on validation records: linear programming with one constraint has such an optimum.
"""

from collections.abc import Sequence

import numpy as np

from ttamer.exits.evaluate import ROUNDING, Evaluated, FittedPolicy, evaluate_all
from ttamer.exits.mixture import Mixture, drawn_N
from ttamer.exits.policies.protocol import ExitCosts
from ttamer.profiles.errors import InfeasibleError
from ttamer.profiles.records import ExitRecords, Floats


def hull(evaluated: Sequence[Evaluated]) -> list[Evaluated]:
    """The candidates that no mixture of others beats in accuracy and mean seconds, fastest first."""
    kept: list[Evaluated] = []
    for one in sorted(evaluated, key=lambda one: (_mean_s(one), -one.outcome.accuracy)):
        if kept and one.outcome.accuracy <= kept[-1].outcome.accuracy:
            continue
        while len(kept) > 1 and _slope(kept[-2], one) >= _slope(kept[-2], kept[-1]):
            kept.pop()
        kept.append(one)
    return kept


def fastest_within_drop(
    candidates: Sequence[FittedPolicy], validation: ExitRecords, costs: ExitCosts, max_drop: float
) -> Evaluated:
    """The fastest policy, mixtures included, whose validation accuracy is at least the last exit's less max_drop.

    max_drop: a fraction. Raises InfeasibleError if no candidate is accurate enough; see `evaluate` for the others.
    """
    return fastest_of(evaluate_all(candidates, validation, costs), validation, costs, max_drop)


def fastest_of(evaluated: Sequence[Evaluated], validation: ExitRecords, costs: ExitCosts, max_drop: float) -> Evaluated:
    """The same of candidates that were evaluated on the validation records already."""
    vertices = hull(evaluated)
    floor = float(validation.accuracy_K()[-1]) - max_drop - ROUNDING
    place = next((i for i, one in enumerate(vertices) if one.outcome.accuracy >= floor), None)
    if place is None:
        best = max((one.outcome.accuracy for one in vertices), default=0.0)
        raise InfeasibleError(
            f"no candidate reaches the accuracy {floor:.4f} on {validation.split}; the best reaches {best:.4f}",
            remedy="allow a larger drop or add the kind last-exit",
        )
    safe = vertices[place]
    if place == 0:
        return safe
    fast = vertices[place - 1]
    share = (safe.outcome.accuracy - floor) / (safe.outcome.accuracy - fast.outcome.accuracy)
    right_N, fast_right_N = (_right(one, validation) for one in (safe, fast))
    value_N, limit = fast_right_N - right_N, floor * validation.samples - right_N.sum()
    mixed = _mixed(fast, safe, share, value_N, limit, validation, costs)
    alone = [one for one in evaluated if one.outcome.accuracy >= floor]
    return min([*alone, mixed], key=_mean_s)  # on a finite set the hash is not quite even


def most_accurate_within(
    candidates: Sequence[FittedPolicy], validation: ExitRecords, costs: ExitCosts, mean_s: float
) -> Evaluated:
    """The most accurate policy, mixtures included, whose mean time on validation records is at most mean_s.

    Raises InfeasibleError if no candidate is fast enough; see `evaluate` for the others.
    """
    return most_accurate_of(evaluate_all(candidates, validation, costs), validation, costs, mean_s)


def most_accurate_of(
    evaluated: Sequence[Evaluated], validation: ExitRecords, costs: ExitCosts, mean_s: float
) -> Evaluated:
    """The same of candidates that were evaluated on the validation records already."""
    vertices = hull(evaluated)
    fast_enough = [one for one in vertices if _mean_s(one) <= mean_s]
    if not fast_enough:
        least_s = min((_mean_s(one) for one in vertices), default=float("inf"))
        raise InfeasibleError(
            f"no candidate takes at most {mean_s:.4g} s on {validation.split}; the fastest takes {least_s:.4g} s",
            remedy="allow more time or add a shorter model",
        )
    fast = fast_enough[-1]
    if len(fast_enough) == len(vertices):
        return fast
    slow = vertices[len(fast_enough)]
    share = (_mean_s(slow) - mean_s) / (_mean_s(slow) - _mean_s(fast))
    slow_s_N, fast_s_N = (_seconds(one, validation, costs) for one in (slow, fast))
    value_N, limit = slow_s_N - fast_s_N, slow_s_N.sum() - mean_s * validation.samples
    mixed = _mixed_at_least(fast, slow, share, value_N, limit, validation, costs)
    return max([fast, mixed], key=lambda one: one.outcome.accuracy)


def _mixed(
    fast: Evaluated,
    safe: Evaluated,
    share: float,
    value_N: Floats,
    limit: float,
    records: ExitRecords,
    costs: ExitCosts,
) -> Evaluated:
    """The mixture with the largest share of the fast one, up to `share`, whose summed value stays at the limit."""
    order_N = np.argsort(drawn_N(records.sample_N), kind="stable")
    summed = np.concatenate([[0.0], np.cumsum(value_N[order_N])])  # after the first m samples took the fast one
    most = int(share * records.samples)
    allowed = np.flatnonzero(summed[: most + 1] >= limit - ROUNDING)
    return _mixture(fast, safe, int(allowed[-1]), records, costs)


def _mixed_at_least(
    fast: Evaluated,
    slow: Evaluated,
    share: float,
    value_N: Floats,
    limit: float,
    records: ExitRecords,
    costs: ExitCosts,
) -> Evaluated:
    """The mixture with the least share of the fast one, from `share` on, whose summed value reaches the limit."""
    order_N = np.argsort(drawn_N(records.sample_N), kind="stable")
    summed = np.concatenate([[0.0], np.cumsum(value_N[order_N])])
    least = min(int(np.ceil(share * records.samples)), records.samples)
    enough = np.flatnonzero(summed[least:] >= limit * (1 - ROUNDING))
    return _mixture(fast, slow, least + int(enough[0]) if len(enough) else records.samples, records, costs)


def _mixture(fast: Evaluated, other: Evaluated, count: int, records: ExitRecords, costs: ExitCosts) -> Evaluated:
    """The mixture in which that many of the samples take the fast policy; a policy alone where that is all or none."""
    if count in (0, records.samples):
        return other if count == 0 else fast
    drawn = np.sort(drawn_N(records.sample_N))
    policy = Mixture(
        first=fast.fitted.policy, second=other.fitted.policy, share=float((drawn[count - 1] + drawn[count]) / 2)
    )
    fitted = FittedPolicy(policy, other.fitted.model, {**fast.fitted.fitted_on, **other.fitted.fitted_on})
    return evaluate_all([fitted], records, costs)[0]


def _right(one: Evaluated, records: ExitRecords) -> Floats:
    answer_N = one.fitted.policy.decide(records).answer_N
    return np.asarray(records.correct_NK()[np.arange(records.samples), answer_N], dtype=np.float64)


def _seconds(one: Evaluated, records: ExitRecords, costs: ExitCosts) -> Floats:
    policy = one.fitted.policy
    return costs.seconds_N(policy.decide(records), policy.heads_K(records.exits))


def _mean_s(one: Evaluated) -> float:
    assert one.outcome.mean_s is not None
    return one.outcome.mean_s


def _slope(one: Evaluated, other: Evaluated) -> float:
    """Accuracy won for each second from one to a slower other."""
    gained_s = _mean_s(other) - _mean_s(one)
    return (other.outcome.accuracy - one.outcome.accuracy) / gained_s if gained_s > 0 else float("inf")
