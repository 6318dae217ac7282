"""Which exit policies are worth being columns of the program: a handful of operating points of every model.

Policies are fitted on calibration records and chosen on validation records, as the service's terms for them say.

Axes: K exits.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ttamer.exits.evaluate import (
    Evaluated,
    FittedPolicy,
    Outcome,
    evaluate,
    evaluate_all,
    fit_candidates,
    refuse_overlap,
)
from ttamer.exits.policies import OFFERED, OFFERED_TO_CASCADES, POLICIES
from ttamer.exits.policies.last_exit import LastExit
from ttamer.exits.policies.protocol import ExitCosts
from ttamer.planning.exit_terms import ExitTerms, whole_alone_s
from ttamer.planning.model_choice import ModelChoice, has_records, last_exit_row
from ttamer.planning.service_times import Paths, paths_as_seen
from ttamer.profiles.cascade import join_records
from ttamer.profiles.errors import DocumentError, InputError
from ttamer.profiles.intervals import wilson_interval
from ttamer.profiles.plan import PolicySpec
from ttamer.profiles.profile import Profile
from ttamer.profiles.records import ExitRecords, Floats, refuse_one_class
from ttamer.profiles.registry import unknown_name
from ttamer.profiles.service import Stage
from ttamer.profiles.shelf import records_path

Z_95_UPPER = 1.6448536269514722  # one-sided 95 %, normal
ROUNDING = 1e-9  # far below one sample of any split


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OperatingPoint:
    """A model with an exit policy, and what that is worth.

    paths: where rows leave; None for the whole model. source: `measured` or `published`, None without accuracy.
    drop: accuracy lost against the model's own last exit on validation records. mean_s: of a request alone, where it
    was asked for.
    """

    name: str
    spec: PolicySpec
    paths: Paths | None
    accuracy: float | None = None
    accuracy_low: float | None = None
    source: str | None = None
    drop: float = 0.0
    mean_s: float | None = None


def operating_points(
    profile: Profile, model: str, stage: Stage, choice: ModelChoice, device: str, terms: ExitTerms
) -> list[OperatingPoint]:
    """The operating points of one model that keep the terms: exit policies if it has records, and the last exit.

    Raises InputError on an unknown policy kind, on records that do not fit the model or overlap, InfeasibleError if
    they are too few for the guarantee asked for.
    """
    kinds = allowed_kinds(stage, profile.members(model))
    if not has_records(profile, model) or not _heads_are_measured(profile, model, device):
        return _unrecorded(profile, model, choice, device, terms)
    calibration, validation = (read_records(profile, model, split) for split in ("calibration", "validation"))
    if choice.dataset not in (None, validation.dataset):
        return _unrecorded(profile, model, choice, device, terms)
    refuse_overlap(calibration, validation)
    for records in (calibration, validation):
        refuse_one_class(records.label_N, f"the {records.split} records of {model!r}")
    costs = measured_costs(profile, model, device)
    fitted = fit_candidates(kinds, calibration, costs)
    evaluated = terms.admitted(fitted, calibration, validation, costs)
    last = evaluate_all([FittedPolicy(LastExit(), model)], validation, costs)[0]
    is_sound = not terms.doubts_last_exit or any(one.fitted.kind == LastExit.kind for one in evaluated)
    chosen = [last] if is_sound and terms.in_time(last.outcome.mean_s) else []
    chosen += terms.chosen(evaluated, last, calibration, validation, costs)
    points = [_point(one, last.outcome, number, validation) for number, one in _numbered(chosen)]
    return [_vouched(point, one, terms, validation, len(fitted)) for point, one in zip(points, chosen, strict=True)]


def _vouched(
    point: OperatingPoint, one: Evaluated, terms: ExitTerms, validation: ExitRecords, settings: int
) -> OperatingPoint:
    """The point with what vouches for it and the number of settings it was chosen among."""
    assurance = terms.assurance(one.fitted.policy, validation)
    spec = point.spec.model_copy(update={"settings": settings, "assurance": assurance})
    return replace(point, spec=spec, mean_s=one.outcome.mean_s)


def _unrecorded(
    profile: Profile, model: str, choice: ModelChoice, device: str, terms: ExitTerms
) -> list[OperatingPoint]:
    """The last exit of a model without records, if it keeps the terms."""
    if terms.doubts_last_exit:
        return []
    point = unrecorded_point(profile, model, choice.dataset)
    if terms.mean_s is not None:
        point = replace(point, mean_s=whole_alone_s(profile, model, device))
    return [point] if terms.in_time(point.mean_s) else []


def allowed_kinds(stage: Stage, members: Sequence[str]) -> tuple[str, ...]:
    """The policy kinds a stage allows, the offered ones if it names none. Raises InputError on an unknown one.

    members: the models of a cascade, one of a single model.
    """
    for kind in stage.policies:
        if kind not in POLICIES:
            raise unknown_name("exit policy", kind, POLICIES)
    return tuple(stage.policies) or (OFFERED if len(members) == 1 else OFFERED_TO_CASCADES)


def measured_costs(profile: Profile, model: str, device: str) -> ExitCosts:
    """Mean seconds of every stage and head at batch 1, on the most cores that were measured."""
    cores = max(setting[1] for setting in profile.settings_of(model) if setting[0] == device)
    exits = range(len(profile.spec(model).exits))

    def seconds_K(part: str) -> Floats:
        means_s = [
            float(profile.curve_s(model, part, exit, device=device, cores=cores, up_to=1)[1]) for exit in exits
        ]  # fmt: skip
        return np.array(means_s)

    return ExitCosts(seconds_K("stage"), seconds_K("head"), profile.numbering(model).starts)


def read_records(profile: Profile, model: str, split: str) -> ExitRecords:
    """The records of one split, of a cascade those of its members joined.

    Raises DocumentError if they are missing, InputError if they are of another model or do not fit each other.
    """
    members = profile.members(model)
    if len(members) > 1:
        return join_records([read_records(profile, member, split) for member in members])
    path = records_path(profile.require_folder(), model, split)
    records = ExitRecords.read(path)
    exits = len(profile.spec(model).exits)
    if records.model != model or records.split != split or records.exits != exits:
        raise InputError(
            f"{path} holds {records.split} records of {records.model!r} with {records.exits} exits, "
            f"expected {split} records of {model!r} with {exits}",
            remedy=f"record them again: ttamer fit {model}",
        )
    return records


def unrecorded_point(profile: Profile, model: str, dataset: str | None) -> OperatingPoint:
    """The last exit of a model without records, its accuracy as measured or published."""
    row = last_exit_row(profile, model, dataset) if dataset is not None else None
    return OperatingPoint(
        name=f"{model}/{LastExit.kind}",
        spec=PolicySpec(kind=LastExit.kind, model=model),
        paths=None,
        accuracy=row.accuracy if row else None,
        accuracy_low=row.low if row else None,
        source=row.source if row else None,
    )


def restored_point(profile: Profile, name: str, spec: PolicySpec, dataset: str | None) -> OperatingPoint:
    """The operating point behind a policy in a plan, evaluated anew on the validation records it was chosen on.

    Raises DocumentError if the records have changed since, InputError if the policy is impossible.
    """
    fitted = FittedPolicy.from_spec(spec)
    if not spec.chosen_on:
        return replace(unrecorded_point(profile, spec.model, dataset), name=name, spec=spec)
    for split, seen in {**spec.fitted_on, **spec.chosen_on}.items():
        if read_records(profile, spec.model, split).digest() != seen:
            raise DocumentError(
                f"the {split} records of {spec.model!r} have changed since the policy {name!r} was chosen",
                remedy="plan anew",
            )
    validation = read_records(profile, spec.model, "validation")
    outcome = evaluate(fitted, validation)
    return OperatingPoint(
        name=name,
        spec=spec,
        paths=paths_of(spec.kind, outcome),
        accuracy=outcome.accuracy,
        accuracy_low=outcome.low,
        source="measured",
        drop=float(validation.accuracy_K()[-1]) - outcome.accuracy,
    )


def paths_of(kind: str, outcome: Outcome) -> Paths | None:
    """Where rows are planned to leave under a policy; None for the last exit, which needs no staged model.

    Records are a sample: other data may run deeper, and a replica planned to be nearly always busy would then be
    overloaded. So every exit's reach is planned at its 95 % upper bound; what nothing reached stays unreached.
    """
    if kind == LastExit.kind:
        return None
    upper_K = [_upper_bound(float(reach), outcome.samples) for reach in outcome.reach_share_K]
    reach_K = np.minimum.accumulate([1.0, *upper_K[1:], 0.0])
    return replace(paths_as_seen(outcome), stop_share_K=-np.diff(reach_K))


def _upper_bound(share: float, samples: int) -> float:
    return wilson_interval(round(share * samples), samples, Z_95_UPPER)[1] if share > 0 else 0.0


def _heads_are_measured(profile: Profile, model: str, device: str) -> bool:
    """Whether every head was measured wherever the whole model was."""
    settings = [(cores, batch) for at, cores, batch in profile.settings_of(model) if at == device]
    heads = [
        (profile.batches(model, "head", exit, device=device, cores=cores), batch)
        for exit in range(len(profile.spec(model).exits))
        for cores, batch in settings
    ]
    return all(sizes and sizes[0] == 1 and sizes[-1] >= batch for sizes, batch in heads)


def _numbered(chosen: Sequence[Evaluated]) -> list[tuple[int, Evaluated]]:
    """Each with its number among those of its kind, 0 for the only one."""
    kinds = [one.fitted.kind for one in chosen]
    return [
        (kinds[:place].count(one.fitted.kind) + 1 if kinds.count(one.fitted.kind) > 1 else 0, one)
        for place, one in enumerate(chosen)
    ]


def _point(one: Evaluated, last: Outcome, number: int, validation: ExitRecords) -> OperatingPoint:
    kind, model = one.fitted.kind, one.fitted.model
    return OperatingPoint(
        name=f"{model}/{kind}" + (f"-{number}" if number else ""),
        spec=one.fitted.chosen(validation).to_spec(),
        paths=paths_of(kind, one.outcome),
        accuracy=one.outcome.accuracy,
        accuracy_low=one.outcome.low,
        source="measured",
        drop=last.accuracy - one.outcome.accuracy,
    )
