"""`ttamer profile MODEL --policy P`: run a model that really exits on real samples, beside what a plan expects."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ttamer.cli import render
from ttamer.cli.options import Format
from ttamer.cli.progress import progress
from ttamer.profiles.errors import DocumentError, InputError

if TYPE_CHECKING:
    from ttamer.exits.evaluate import FittedPolicy
    from ttamer.planning.prediction import Predicted
    from ttamer.profiles.profile import Profile
    from ttamer.profiles.records import ExitRecords, Ints
    from ttamer.profiling.trial import Trial, WayTimings

FACTORY = "ttamer.exits.trial:prepare_trial"
MAX_DROP = 0.01  # of accuracy against the last exit, for a policy named by its kind
BATCHES = (1, 8)
SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the user asked for. batches, cores: None for what suits the profile."""

    model: str
    policy: str
    data: str | None
    samples: int
    batches: tuple[int, ...] | None
    cores: tuple[int, ...] | None
    device: str
    quick: bool
    resize: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the trial on one number of cores found.

    level_s: of the reference kernel in the profile; None where none was timed. records: the model's test records,
    seen: the places in them of the samples that were run.
    """

    cores: int
    predicted: "Mapping[tuple[str, int], Predicted]"
    trial: "Trial"
    level_s: float | None
    records: "ExitRecords"
    seen: "Ints"
    fitted: "FittedPolicy"


def run(wish: Wish, folder: Path, format: Format) -> None:
    """Measure the model under the policy and print it beside the prediction."""
    from ttamer.profiles.shelf import find_profile, read_profile

    profile = read_profile(find_profile(str(folder)))
    fitted = _policy(wish, profile)
    found = [_try_out(wish, profile, fitted, cores) for cores in _cores(wish, profile)]
    if format is Format.TABLE:
        for one in found:
            _print(one, wish)
    else:
        policy = fitted.to_spec().model_dump(mode="json")
        render.document({"policy": policy, "rows": [row for one in found for row in _rows(one, wish)]}, format)


def _policy(wish: Wish, profile: "Profile") -> "FittedPolicy":
    """The policy in a plan or a file of its own, or the setting of a kind that a plan would choose."""
    from ttamer.exits.evaluate import FittedPolicy, best_within_drop, fit_candidates
    from ttamer.planning.exit_choice import measured_costs, read_records
    from ttamer.profiles.documents import load_yaml
    from ttamer.profiles.plan import PolicySpec

    path = Path(wish.policy)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        content = load_yaml(path)
        is_plan = isinstance(content, Mapping) and str(content.get("format", "")).startswith("ttamer/")
        spec = _planned(wish.model, path) if is_plan else PolicySpec.parse(content, path)
        fitted = FittedPolicy.from_spec(spec)
        if fitted.model != wish.model:
            raise InputError(f"{path} holds a policy for {fitted.model!r}, not for {wish.model!r}")
        return fitted
    calibration, validation = (read_records(profile, wish.model, split) for split in ("calibration", "validation"))
    costs = measured_costs(profile, wish.model, wish.device)
    candidates = fit_candidates([wish.policy], calibration, costs)
    return best_within_drop(candidates, validation, costs, MAX_DROP).fitted.chosen(validation)


def _planned(model: str, path: Path) -> Any:
    """The policy under which a plan serves most of the model's load."""
    from ttamer.profiles.plan import Plan

    plan = Plan.read(path)
    groups = [group for group in plan.groups if group.model == model]
    if not groups:
        served = ", ".join(sorted({group.model for group in plan.groups}))
        raise InputError(f"{path} does not serve {model!r}", remedy=f"it serves {served}")
    return plan.policies[max(groups, key=lambda group: group.rate_rps).policy]


def _cores(wish: Wish, profile: "Profile") -> Sequence[int]:
    measured = sorted({cores for device, cores, _ in profile.settings_of(wish.model) if device == wish.device})
    if not measured:
        raise InputError(
            f"{wish.model!r} was not measured on {wish.device}", remedy=f"run: ttamer profile {wish.model}"
        )
    return wish.cores or measured[:1]


def _batches(wish: Wish, profile: "Profile", cores: int) -> tuple[int, ...]:
    sizes = [size for *setting, size in profile.settings_of(wish.model) if setting == [wish.device, cores]]
    return wish.batches or tuple(sorted({min(batch, max(sizes, default=batch)) for batch in BATCHES}))


def _try_out(wish: Wish, profile: "Profile", fitted: "FittedPolicy", cores: int) -> Found:
    from ttamer.exits.datasets import open_source
    from ttamer.exits.trial import recorded_samples
    from ttamer.planning.exit_choice import read_records
    from ttamer.profiling.levels import level_name
    from ttamer.profiling.trial import run_trial

    records = read_records(profile, wish.model, "test")
    fitted.check_unseen(records)
    batches = _batches(wish, profile, cores)
    predicted = _predictions(wish, profile, fitted, records, cores, batches)
    if wish.data is None:
        raise InputError("a policy is tried out on real samples", remedy=f"name the data: --data {records.dataset}")
    seen = recorded_samples(open_source(wish.data), records, wish.samples, seed=SEED)
    seen = seen[: len(seen) // max(batches) * max(batches)]
    if not len(seen):
        raise InputError(f"{wish.samples} samples make no batch of {max(batches)}", remedy="give more --samples")
    with progress("running") as advance:
        trial = run_trial(
            _request(wish, profile, fitted, cores, batches, records.sample_N[seen]),
            on_batch=lambda batch: advance(batches.index(batch), len(batches), f"{wish.model}, batch {batch}"),
        )
    level_s = profile.settings.get("reference_s", {}).get(level_name(wish.device, cores))
    return Found(
        cores=cores, predicted=predicted, trial=trial, level_s=level_s, records=records, seen=seen, fitted=fitted
    )  # fmt: skip


def _request(
    wish: Wish, profile: "Profile", fitted: "FittedPolicy", cores: int, batches: tuple[int, ...], number_N: "Ints"
) -> Any:
    from ttamer.profiling.budgets import BUDGETS
    from ttamer.profiling.target import TargetSource
    from ttamer.profiling.trial import TrialRequest

    arguments = {
        "models": [_arguments(member, profile, fitted) for member in profile.members(wish.model)],
        "policy": fitted.to_spec().model_dump(mode="json"),
        "data": wish.data,
        "samples": number_N.tolist(),
        "resize": wish.resize,
    }
    return TrialRequest(
        model=wish.model,
        source=TargetSource(factory=FACTORY, arguments=arguments),
        batches=batches,
        cores=cores,
        device=wish.device,
        budget=BUDGETS["quick" if wish.quick else "default"],
    )


def _arguments(member: str, profile: "Profile", fitted: "FittedPolicy") -> dict[str, Any]:
    """What builds a model with the heads that the policy was fitted on. Raises DocumentError if these are gone."""
    from ttamer.cli.models import choose_model
    from ttamer.profiles.shelf import heads_path

    arguments = dict(choose_model(member, profile).arguments)
    asks_heads = len(profile.spec(member).exits) > 1 and fitted.kind != "last-exit"
    if asks_heads and "heads_file" not in arguments:
        raise DocumentError(
            f"{heads_path(profile.require_folder(), member)} does not exist, and the policy was fitted on these heads",
            remedy=f"restore it, or fit and plan anew: ttamer fit {member}",
        )
    return arguments


def _predictions(
    wish: Wish, profile: "Profile", fitted: "FittedPolicy", records: "ExitRecords", cores: int, batches: Sequence[int]
) -> "dict[tuple[str, int], Predicted]":
    import numpy as np

    from ttamer.exits.trial import EXITING, WHOLE
    from ttamer.planning.prediction import Setting, predict_exiting, predict_whole

    rng = np.random.default_rng(SEED)
    predicted = {}
    for batch in batches:
        setting = Setting(model=wish.model, device=wish.device, cores=cores, batch=batch)
        predicted[EXITING, batch] = predict_exiting(profile, setting, fitted.policy, records, rng)
        predicted[WHOLE, batch] = predict_whole(profile, setting, rng)
    return predicted


def _rows(found: Found, wish: Wish) -> list[dict[str, Any]]:
    return [
        {
            "model": wish.model, "way": way, "device": wish.device, "cores": found.cores, "batch": batch,
            **{f"predicted_{name}": value for name, value in asdict(predicted).items()},
            **_measured(found.trial.of(way, batch), found.level_s),
            **(_accuracies(found) if way == "exiting" else {}),
        }
        for (way, batch), predicted in found.predicted.items()
    ]  # fmt: skip


def _measured(timed: "WayTimings", level_s: float | None) -> dict[str, Any]:
    """Measured seconds at the profile's speed of the machine, and the mean as the clock gave it."""
    scaled = timed.at_speed(level_s) if level_s else timed
    return {
        "measured_mean_s": scaled.mean_s(),
        "measured_p50_s": scaled.quantile_s(0.5),
        "measured_p99_s": scaled.quantile_s(0.99),
        "raw_mean_s": timed.mean_s(),
        "verdict": timed.verdict,
    }


def _accuracies(found: Found) -> dict[str, Any]:
    """What was answered, beside what the records say of the same samples and of all of them."""
    import numpy as np

    from ttamer.profiles.intervals import wilson_interval

    records, seen, report = found.records, found.seen, found.trial.report
    decision = found.fitted.policy.decide(records)
    recorded_N = records.prediction_NK[np.arange(records.samples), decision.answer_N]
    right = int((np.array(report["prediction"]) == records.label_N[seen]).sum())
    low, high = wilson_interval(right, len(seen))
    return {
        "samples": len(seen),
        "accuracy": right / len(seen),
        "accuracy_low": low,
        "accuracy_high": high,
        "recorded_accuracy": float((recorded_N == records.label_N).mean()),
        "recorded_samples": records.samples,
        "answers_as_recorded": int((np.array(report["prediction"]) == recorded_N[seen]).sum()),
        "stops_as_recorded": int((np.array(report["stop"]) == decision.stop_N[seen]).sum()),
        "mean_stop": float(np.mean(report["stop"])),
        "recorded_mean_stop": float(decision.stop_N.mean()),
    }


def _print(found: Found, wish: Wish) -> None:
    rows = _rows(found, wish)
    lines = [
        (
            "with exits" if row["way"] == "exiting" else "whole model", str(row["batch"]),
            render.seconds(row["predicted_mean_s"]), render.seconds(row["measured_mean_s"]),
            f"{100 * (row['measured_mean_s'] / row['predicted_mean_s'] - 1):+.1f} %",
            render.seconds(row["predicted_p50_s"]), render.seconds(row["measured_p50_s"]),
            render.seconds(row["predicted_p99_s"]), render.seconds(row["measured_p99_s"]), row["verdict"],
        )
        for row in rows
    ]  # fmt: skip
    columns = ("run", "batch", "predicted mean", "measured mean", "difference", "predicted p50", "measured p50",
               "predicted p99", "measured p99", "verdict")  # fmt: skip
    where = f"{render.count(found.cores, 'core')}" if wish.device == "cpu" else wish.device
    title = f"{wish.model} under {found.fitted.kind} on {where}, per batch of test samples of {found.records.dataset}"
    render.table(columns, lines, title=title, spare=("predicted p50", "measured p50"))
    if found.level_s:
        slower = sum(row["raw_mean_s"] for row in rows) / sum(row["measured_mean_s"] for row in rows) - 1
        print(
            "Measured times are stated at the profile's speed of the machine,"
            f" which ran {100 * abs(slower):.1f} % {'slower' if slower > 0 else 'faster'} during this run"
        )
    seen = rows[0]
    print(
        f"Accuracy: {render.percent(seen['accuracy'])} measured on {seen['samples']:,} samples"
        f" ({render.percent_between(seen['accuracy_low'], seen['accuracy_high'])}),"
        f" {render.percent(seen['recorded_accuracy'])} predicted from {seen['recorded_samples']:,} records"
    )
    print(
        f"Answers as recorded: {seen['answers_as_recorded']:,} of {seen['samples']:,};"
        f" stops as recorded: {seen['stops_as_recorded']:,}; mean exit {seen['mean_stop']:.2f}"
        f" (records: {seen['recorded_mean_stop']:.2f})"
    )
