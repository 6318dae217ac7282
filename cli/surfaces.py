"""Measured latencies beside what a fitted surface makes of them, as tables and as a plot."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ttamer.cli import render
from ttamer.cli.plot import Series, scatter

if TYPE_CHECKING:
    from ttamer.profiles.profile import LatencyPoint, Profile

MARKERS = "ox+*#@%&"
FEWEST_PLOTTED = 4  # points that a plot says more of than a table
TRUSTED = ("ok", "noisy")


def fitted(profile: "Profile", models: Sequence[str]) -> list[dict[str, Any]]:
    """The surface of each model and device with its errors and every point beside it, or why there is none.

    Points that others disturbed are shown beside the surface, but it is fitted without them.
    """
    from ttamer.profiles.errors import InputError
    from ttamer.profiles.surface import fit_surface

    found = []
    for (model, device), points in _curves(profile, models).items():
        batches, cores = [p.key.batch for p in points], [p.key.cores for p in points]
        medians_s = [p.samples.median_s() for p in points]
        trusted = [p for p in points if p.verdict in TRUSTED]
        fit: dict[str, Any] = {"model": model, "device": device, "form": None}
        try:
            surface = fit_surface(
                [p.key.batch for p in trusted], [p.key.cores for p in trusted], [p.samples.median_s() for p in trusted]
            )
        except InputError as error:
            found.append(fit | {"why_not": f"{error.message}; {error.remedy}"})
            continue
        predicted_s = surface.latencies_s(batches, cores)
        found.append(fit | {
            "form": surface.form, "coefficients": list(surface.coefficients),
            "mean_error": surface.mean_error, "unseen_error": surface.unseen_error,
            "points": [
                {"cores": c, "batch": b, "measured_s": m, "predicted_s": float(p), "verdict": point.verdict}
                for c, b, m, p, point in zip(cores, batches, medians_s, predicted_s, points, strict=True)
            ],
        })  # fmt: skip
    return found


def print_fits(fits: Sequence[dict[str, Any]]) -> None:
    """One line a model: its form and its errors."""
    rows = [
        (fit["model"], fit["device"], fit["form"], render.percent(fit["mean_error"]),
         render.percent(fit["unseen_error"]), str(len(fit["points"])))
        for fit in fits if fit["form"]
    ]  # fmt: skip
    if rows:
        columns = ("model", "device", "form", "error", "error of unseen points", "points")
        render.table(columns, rows, title="Fitted surfaces of the medians", spare=("device",))
    for fit in fits:
        if not fit["form"]:
            render.say(f"{fit['model']}: no surface: {fit['why_not']}")


def print_predictions(fits: Sequence[dict[str, Any]]) -> None:
    """Measured beside predicted, a line a point."""
    rows = [
        (
            fit["model"], str(point["cores"]), str(point["batch"]), render.seconds(point["measured_s"]),
            render.seconds(point["predicted_s"]), f"{100 * (point['predicted_s'] / point['measured_s'] - 1):+.1f} %",
            point["verdict"],
        )
        for fit in fits if fit["form"] for point in fit["points"]
    ]  # fmt: skip
    if rows:
        columns = ("model", "cores", "batch", "measured", "predicted", "off", "verdict")
        render.table(columns, rows, title="Medians measured and predicted")


def plot(profile: "Profile", models: Sequence[str]) -> str:
    """Latency against throughput, a marker for each model and core count; empty for a handful of points."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for (model, _), points in _curves(profile, models).items():
        for point in points:
            median_s = point.samples.median_s()
            label = f"{model} on {render.count(point.key.cores, 'core')}"
            curves.setdefault(label, []).append((1000 * median_s, point.key.batch / median_s))
    if sum(map(len, curves.values())) < FEWEST_PLOTTED:
        return ""
    series = [Series(label, marker, points) for (label, points), marker in zip(curves.items(), MARKERS, strict=False)]
    text = scatter(series, x_label="ms a batch (logarithmic)", y_label="requests per second", is_log=True)
    hidden = len(curves) - len(series)
    return text + (f"\n({hidden} more not shown: name fewer models)" if hidden else "")


def _curves(profile: "Profile", models: Sequence[str]) -> "dict[tuple[str, str], list[LatencyPoint]]":
    """The whole-model points of each model and device, by cores and batch."""
    curves: dict[tuple[str, str], list[LatencyPoint]] = {}
    for point in sorted(profile.latency, key=lambda p: (p.key.cores, p.key.batch)):
        if point.key.part == "whole" and point.key.model in models:
            curves.setdefault((point.key.model, point.key.device), []).append(point)
    return dict(sorted(curves.items(), key=lambda item: models.index(item[0][0])))
