"""Which models compete for a stage: only those whose accuracies mean the same thing, being of one data set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ttamer.profiles.errors import InputError
from ttamer.profiles.profile import AccuracyRow, Profile
from ttamer.profiles.registry import unknown_name
from ttamer.profiles.service import Service, Stage
from ttamer.profiles.shelf import SHELF, profile_option, records_path

SPLITS_BY_TRUST = ("validation", "test", "calibration", "fit")  # a published split by any other name comes last


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """The models of one stage. dataset: what their accuracies were measured on, None if no accuracy is known."""

    stage: str
    models: tuple[str, ...]
    dataset: str | None
    notes: tuple[str, ...] = ()


def choose_models(profile: Profile, service: Service) -> list[ModelChoice]:
    """The competing models of every stage.

    Raises InputError if models given by name are unknown, unmeasured on the device or of different data sets,
    and if none is left.
    """
    return [_choose_for_stage(profile, stage, service.devices()) for stage in service.stages]


def last_exit_row(profile: Profile, model: str, dataset: str | None) -> AccuracyRow | None:
    """The accuracy of the model's last exit, measured before published, the more trusted split first."""
    last = len(profile.spec(model).exits) - 1
    rows = [row for row in profile.accuracy_of(model, dataset) if row.exit == last]
    return min(rows, key=_distrust, default=None)


def has_records(profile: Profile, model: str) -> bool:
    """Whether the profile's folder holds the records on which exit policies are fitted and chosen."""
    folder = profile.folder
    return folder is not None and all(
        records_path(folder, member, split).is_file()
        for member in profile.members(model)
        for split in ("calibration", "validation")
    )


def _choose_for_stage(profile: Profile, stage: Stage, devices: Sequence[str]) -> ModelChoice:
    if stage.models:
        return _explicit(profile, stage, devices)
    offered = _offered(profile, stage)
    measured = [model for model in offered if is_measured(profile, model, *devices)]
    if not measured:
        raise InputError(
            f"profile {profile.name!r} holds no finished model on {' or '.join(devices)}",
            remedy=f"run: {profiling(profile, sorted(profile.models), devices[0])}",
        )
    known = _models_by_dataset(profile, measured)
    if not known:
        note = "no accuracy is known: the plan weighs cost alone (measure it: ttamer fit)"
        return ModelChoice(stage=stage.name, models=tuple(measured), dataset=None, notes=(note,))
    dataset = max(sorted(known), key=lambda name: (len(known[name]), _measured_count(profile, known[name], name)))
    left_out = [model for model in offered if model not in known[dataset]]
    return ModelChoice(
        stage=stage.name, models=known[dataset], dataset=dataset, notes=_notes_on(left_out, dataset, known)
    )  # fmt: skip


def _offered(profile: Profile, stage: Stage) -> list[str]:
    """The models for a stage that names none: those imported for it, or all of a profile that knows no stages."""
    tasks = profile.tasks()
    if tasks and stage.name not in tasks:
        raise unknown_name(f"stage in profile {profile.name!r}", stage.name, tasks, also=", or name the stage's models")
    return [model for model, spec in profile.models.items() if not tasks or spec.task == stage.name]


def _explicit(profile: Profile, stage: Stage, devices: Sequence[str]) -> ModelChoice:
    for model in stage.models:
        profile.spec(model)
        if not is_measured(profile, model, *devices):
            raise InputError(
                f"{model!r} was not measured on {' or '.join(devices)} with all its stages",
                remedy=f"run: {profiling(profile, [model], devices[0])}",
            )
    known = _models_by_dataset(profile, stage.models)
    if not known:
        return ModelChoice(stage=stage.name, models=stage.models, dataset=None)
    shared = [dataset for dataset in sorted(known) if len(known[dataset]) == len(set(stage.models))]
    if not shared:
        described = ", ".join(f"{model} ({_datasets_of(known, model)})" for model in stage.models)
        raise InputError(
            f"the models of stage {stage.name!r} cannot share a load, their accuracies are of different data sets: "
            f"{described}",
            remedy="plan the models of one data set at a time with --models",
        )
    dataset = max(shared, key=lambda name: _measured_count(profile, known[name], name))
    return ModelChoice(stage=stage.name, models=tuple(dict.fromkeys(stage.models)), dataset=dataset)


def profiling(profile: Profile, models: Sequence[str], device: str) -> str:
    """The command that measures these models into the profile."""
    where = profile_option(profile.folder or SHELF / profile.name)
    members = dict.fromkeys(member for model in models for member in profile.members(model))
    return " ".join(["ttamer profile", *members]) + ("" if device == "cpu" else f" --device {device}") + where


def is_measured(profile: Profile, model: str, *devices: str) -> bool:
    """Whether the whole model and all its stages were measured, or imported, on one of the devices."""
    return any(setting[0] in devices for setting in profile.settings_of(model))


def _models_by_dataset(profile: Profile, models: Sequence[str]) -> dict[str, tuple[str, ...]]:
    known: dict[str, list[str]] = {}
    for model in dict.fromkeys(models):
        last = len(profile.spec(model).exits) - 1
        for dataset in {row.dataset for row in profile.accuracy_of(model) if row.exit == last}:
            known.setdefault(dataset, []).append(model)
    return {dataset: tuple(names) for dataset, names in known.items()}


def _measured_count(profile: Profile, models: Sequence[str], dataset: str) -> int:
    rows = [last_exit_row(profile, model, dataset) for model in models]
    return sum(row is not None and row.source == "measured" for row in rows)


def _datasets_of(known: Mapping[str, Sequence[str]], model: str) -> str:
    return " and ".join(sorted(name for name, models in known.items() if model in models)) or "unknown"


def _notes_on(left_out: Sequence[str], dataset: str, known: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    if not left_out:
        return ()
    described = ", ".join(f"{model} ({_datasets_of(known, model)})" for model in left_out)
    return (
        f"compared on {dataset}; left out, for accuracy on another data set or on none: {described} "
        f"(plan them by name: --models {','.join(left_out)})",
    )


def _distrust(row: AccuracyRow) -> tuple[bool, int]:
    known = SPLITS_BY_TRUST.index(row.split) if row.split in SPLITS_BY_TRUST else len(SPLITS_BY_TRUST)
    return row.source != "measured", known
