"""Every exit policy on the same records: fitted on calibration, chosen on validation, reported on test.

Of each kind stands the fastest setting that is sure to lose no more accuracy than allowed; `chosen` is the fastest of
all settings of all kinds, mixtures of two included. Oracles, which know what no server knows, are bounds.

Axes: N samples, K exits, P policies, R resamples, C quantities.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from ttamer.exits.bootstrap import Bootstrap, Resampled, interval
from ttamer.exits.careful_choice import CAUTION, Judged, fastest_mixed, fastest_of, judge
from ttamer.exits.comparison_document import Expected, Found, Measure, RecordComparison, Role, Row
from ttamer.exits.evaluate import FittedPolicy, fit_candidates
from ttamer.exits.mixture import Mixture
from ttamer.exits.policies import ORACLES, POLICIES
from ttamer.exits.policies.last_exit import LastExit
from ttamer.exits.policies.protocol import ExitCosts, Policy
from ttamer.exits.record_checks import refuse_unusable
from ttamer.exits.replay import Replay, replay
from ttamer.exits.table_policy import SweptPolicy
from ttamer.profiles.records import ExitRecords, Floats

CHOSEN = "chosen"
QUANTILES = (0.5, 0.99)
WIDTH = 4  # quantities of each policy: seconds, right, agreeing, recalled


def compare_policies(
    splits: Mapping[str, ExitRecords],
    costs: ExitCosts,
    *,
    max_drop: float,
    seed: int = 0,
    caution: float = CAUTION,
    kinds: Sequence[str] = tuple(POLICIES),
) -> RecordComparison:
    """All policies of these kinds on records of the splits calibration, validation and test.

    max_drop: accuracy that may be lost against the last exit, a fraction. seed: of the resampling. Raises InputError
    on records that cannot be compared on: one exit, one class, samples in two splits, costs of another model.
    """
    calibration, validation, test = (splits[name] for name in ("calibration", "validation", "test"))
    refuse_unusable(calibration, validation, test)
    chosen = _chosen(calibration, validation, costs, max_drop, caution, kinds)
    policies = {name: one.fitted for name, one in chosen.items() if one is not None}
    bounds = {name: FittedPolicy(oracle(), test.model) for name, oracle in ORACLES.items()}
    found = _found(policies | bounds, test, costs, seed)
    rows = []
    for name in (*chosen, *bounds):
        fitted = policies.get(name)
        expected = None if fitted is None else _expected(fitted.policy, calibration, validation, costs)
        spec = None if fitted is None else fitted.chosen(validation).to_spec()
        rows.append(Row(policy=name, role=_role(name), spec=spec, found=found.get(name), expected=expected))
    return RecordComparison(
        model=test.model,
        dataset=test.dataset,
        exits=test.exits,
        samples={name: records.samples for name, records in splits.items()},
        max_drop=max_drop,
        caution=caution,
        seed=seed,
        rows=tuple(rows),
    )


def _chosen(
    calibration: ExitRecords,
    validation: ExitRecords,
    costs: ExitCosts,
    max_drop: float,
    caution: float,
    kinds: Sequence[str],
) -> dict[str, Judged | None]:
    """Of each kind the fastest setting within the drop, and the choice among all of them."""
    judged = {
        kind: judge(fit_candidates([kind], calibration, costs), calibration, validation, costs, caution=caution)
        for kind in kinds
    }
    everything = [one for of_kind in judged.values() for one in of_kind]
    best = fastest_mixed(everything, calibration, validation, costs, max_drop, caution=caution)
    return {kind: fastest_of(of_kind, max_drop) for kind, of_kind in judged.items()} | {CHOSEN: best}


def _role(name: str) -> Role:
    return "bound" if name in ORACLES else "chosen" if name == CHOSEN else "policy"


def _found(policies: Mapping[str, FittedPolicy], test: ExitRecords, costs: ExitCosts, seed: int) -> dict[str, Found]:
    """What each policy does, with intervals; the last exit is resampled along with all of them."""
    for fitted in policies.values():
        fitted.check_unseen(test)
    replays = [replay(policy, test, costs) for policy in (LastExit(), *(one.policy for one in policies.values()))]
    values_NC = np.concatenate([_quantities(one) for one in replays], axis=1)
    resampled = Bootstrap.of(values_NC, seed).resampled(range(0, values_NC.shape[1], WIDTH), QUANTILES)
    chosen = [*policies].index(CHOSEN) + 1 if CHOSEN in policies else None
    return {
        name: _found_of(replays, place, chosen, resampled, test.exits) for place, name in enumerate(policies, start=1)
    }


def _quantities(one: Replay) -> Floats:
    return np.stack([one.seconds_N, one.right_N, one.agrees_N, one.recalled_N], axis=1).astype(np.float64)


def _found_of(replays: Sequence[Replay], place: int, chosen: int | None, resampled: Resampled, exits: int) -> Found:
    """The numbers of the policy at a place; the last exit stands at place 0. chosen: where the choice stands."""
    last, one = replays[0], replays[place]
    seconds_R, right_R, agrees_R, recalled_R = resampled.means_RC[:, WIDTH * place : WIDTH * (place + 1)].T
    last_s_R, last_right_R = resampled.means_RC[:, :2].T
    mean_s, last_s = float(one.seconds_N.mean()), float(last.seconds_N.mean())
    accuracy = float(one.right_N.mean())
    p50_s, p99_s = np.quantile(one.seconds_N, QUANTILES, method="inverted_cdf").tolist()
    behind = None
    if chosen is not None:
        more_R = (seconds_R - resampled.means_RC[:, WIDTH * chosen]) / last_s_R
        behind = _measure((mean_s - float(replays[chosen].seconds_N.mean())) / last_s, more_R)
    return Found(
        accuracy=_measure(accuracy, right_R),
        drop=_measure(float(last.right_N.mean()) - accuracy, last_right_R - right_R),
        agreement=_measure(float(one.agrees_N.mean()), agrees_R),
        mean_s=_measure(mean_s, seconds_R),
        p50_s=_measure(p50_s, resampled.quantiles_RCQ[:, place, 0]),
        p99_s=_measure(p99_s, resampled.quantiles_RCQ[:, place, 1]),
        saved=_measure(1 - mean_s / last_s, 1 - seconds_R / last_s_R),
        throughput=_measure(last_s / mean_s - 1, last_s_R / seconds_R - 1),
        recalled=_measure(float(one.recalled_N.mean()), recalled_R),
        behind=behind,
        stop_share=tuple((np.bincount(one.stop_N, minlength=exits) / len(one.stop_N)).tolist()),
    )


def _measure(value: float, resampled_R: Floats) -> Measure:
    low, high = interval(resampled_R)
    return Measure(value=value, low=low, high=high)


def _expected(policy: Policy, calibration: ExitRecords, validation: ExitRecords, costs: ExitCosts) -> Expected:
    seen = replay(policy, validation, costs)
    accuracy, mean_s = _modelled(policy, calibration, costs) or (None, None)
    return Expected(
        accuracy=float(seen.right_N.mean()),
        mean_s=float(seen.seconds_N.mean()),
        modelled_accuracy=accuracy,
        modelled_mean_s=mean_s,
    )


def _modelled(policy: Policy, calibration: ExitRecords, costs: ExitCosts) -> tuple[float, float] | None:
    """Accuracy and mean seconds by the policy's own model of the calibration records; None where it has none."""
    if isinstance(policy, Mixture):
        one, other = (_modelled(part, calibration, costs) for part in (policy.first, policy.second))
        if one is None or other is None:
            return None
        share = policy.share
        return share * one[0] + (1 - share) * other[0], share * one[1] + (1 - share) * other[1]
    if not isinstance(policy, SweptPolicy):
        return None
    corner = policy.promise(calibration, costs, policy.heads)(policy.price)
    order_K = np.arange(calibration.exits)
    return 1 - corner.loss, corner.time * float(costs.path_s_K(order_K == order_K[-1])[-1])
