"""What speaks for the exit policies of a plan: the records that chose them, those that did not, and any guarantee.

A policy was fitted on calibration and chosen on validation records, by which it looks better than it is. Test records
took no part: what it does on them is reported and decides nothing.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ttamer.exits.evaluate import FittedPolicy, Outcome, evaluate
from ttamer.exits.guarantee import Risk, is_refuted
from ttamer.exits.policies.last_exit import LastExit
from ttamer.exits.policies.protocol import ExitCosts, Policy
from ttamer.planning.exit_choice import measured_costs, read_records
from ttamer.planning.exit_terms import assurance_of, whole_alone_s
from ttamer.profiles.intervals import paired_difference_interval
from ttamer.profiles.plan import Evidence, Plan, PolicySpec, Seen
from ttamer.profiles.profile import Profile
from ttamer.profiles.records import ExitRecords
from ttamer.profiles.shelf import records_path

TOLERANCE = 1e-6  # relative: far above the rounding of sums


def with_evidence(plan: Plan, profile: Profile) -> Plan:
    """The plan with what its policies did on validation and test records, of those of models that have records."""
    found = {group.policy: evidence_of(plan.policies[group.policy], profile, group.device) for group in plan.groups}
    return plan.model_copy(update={"evidence": {name: one for name, one in found.items() if one is not None}})


def evidence_of(spec: PolicySpec, profile: Profile, device: str) -> Evidence | None:
    """What speaks for a policy; None if it was chosen without records.

    Raises InputError if records are of another model, DocumentError if they are missing.
    """
    if not spec.chosen_on:
        return None
    costs = measured_costs(profile, spec.model, device)
    policy = FittedPolicy.from_spec(spec).policy
    folder = profile.require_folder()
    has_test = all(records_path(folder, member, "test").is_file() for member in profile.members(spec.model))
    test = read_records(profile, spec.model, "test") if has_test else None
    return Evidence(
        fitted_samples=read_records(profile, spec.model, "calibration").samples if spec.fitted_on else 0,
        validation=_seen(policy, read_records(profile, spec.model, "validation"), costs),
        test=None if test is None else _seen(policy, test, costs),
        last_exit_s=float(costs.path_s_K(LastExit().heads_K(len(costs.stage_s_K)))[-1]),
    )


def _seen(policy: Policy, records: ExitRecords, costs: ExitCosts) -> Seen:
    outcome: Outcome = evaluate(policy, records, costs)
    rows_N = np.arange(records.samples)
    right_NK = records.correct_NK()
    right_N, whole_N = right_NK[rows_N, policy.decide(records).answer_N], right_NK[:, -1]
    lost, won = int(np.count_nonzero(whole_N & ~right_N)), int(np.count_nonzero(right_N & ~whole_N))
    low, high = paired_difference_interval(lost, won, records.samples)
    assert outcome.mean_s is not None
    return Seen(
        digest=records.digest(),
        samples=records.samples,
        accuracy=outcome.accuracy,
        accuracy_low=outcome.low,
        accuracy_high=outcome.high,
        agreement=outcome.agreement,
        drop=(lost - won) / records.samples,
        drop_low=low,
        drop_high=high,
        mean_s=outcome.mean_s,
    )


def doubts(plan: Plan, profile: Profile) -> Iterator[tuple[str, str]]:
    """Where and in what a plan breaks its terms for exit policies, or states other evidence than the records give."""
    vouched: dict[tuple[str, ...], float] = {}
    bounded = plan.service.mean_latency_s is not None or plan.service.risk is not None
    for group in plan.groups if bounded else ():
        spec = plan.policies[group.policy]
        validation = read_records(profile, spec.model, "validation") if spec.chosen_on else None
        broken = [*_mean_doubts(plan, spec, profile, group.device, validation), *_risk_doubts(plan, spec, validation)]
        yield from ((group.policy, what) for what in broken)
        if spec.assurance is not None:
            left_open = 1 - spec.assurance.confidence
            key = (group.stage, group.model, group.device)
            vouched[key] = max(vouched.get(key, 0.0), left_open)
    if sum(vouched.values()) > (1 - plan.service.confidence) * (1 + TOLERANCE):
        sure = 1 - sum(vouched.values())
        yield "guarantee", f"together they hold at {sure:.6g}, {plan.service.confidence:.6g} is asked for"
    yield from _evidence_doubts(plan, profile)


def _mean_doubts(
    plan: Plan, spec: PolicySpec, profile: Profile, device: str, validation: ExitRecords | None
) -> Iterator[str]:
    most_s = plan.service.mean_latency_s
    if most_s is None:
        return
    if validation is None:
        mean_s = whole_alone_s(profile, spec.model, device)
    else:
        outcome = evaluate(FittedPolicy.from_spec(spec).policy, validation, measured_costs(profile, spec.model, device))
        mean_s = outcome.mean_s or 0.0
    if mean_s > most_s * (1 + TOLERANCE):
        yield f"takes {mean_s:.6g} s alone in the mean, {most_s:.6g} s allowed"


def _risk_doubts(plan: Plan, spec: PolicySpec, validation: ExitRecords | None) -> Iterator[str]:
    service = plan.service
    if service.risk is None or (spec.kind == LastExit.kind and Risk(service.risk_of) is not Risk.ERROR):
        return  # the last exit never answers otherwise than itself
    asked, stated = f"{service.risk_of} of at most {service.risk:g}", spec.assurance
    if stated is None or validation is None:
        yield f"has no guarantee, a {asked} is asked for"
        return
    expected = assurance_of(
        FittedPolicy.from_spec(spec).policy, validation, Risk(service.risk_of), stated.confidence
    )  # fmt: skip
    if not _alike(stated.model_dump(), expected.model_dump()):
        yield f"its guarantee is stated as {stated}, the records say {expected}"
    elif not is_refuted(expected.failures, expected.samples, service.risk, stated.confidence):
        yield f"fails {expected.failures} of {expected.samples} samples, too many for a {asked}"


def _evidence_doubts(plan: Plan, profile: Profile) -> Iterator[tuple[str, str]]:
    devices = {group.policy: group.device for group in plan.groups}
    for name, stated in plan.evidence.items():
        if name not in devices:
            yield f"evidence of {name}", "no group uses this policy"
            continue
        expected = evidence_of(plan.policies[name], profile, devices[name])
        if expected is None or not _alike(stated.model_dump(), expected.model_dump()):
            yield f"evidence of {name}", f"stated as {stated}, the records say {expected}"


def _alike(one: Any, other: Any) -> bool:
    """Whether plain data is the same up to the rounding of sums."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=1e-12)
    return bool(one == other)
