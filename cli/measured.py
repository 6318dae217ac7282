"""What was measured of whole models, as tables and as data."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from ttamer.cli import render

if TYPE_CHECKING:
    from ttamer.profiles.profile import LatencyPoint, Profile
    from ttamer.profiles.samples import Samples


QUANTILES = (0.5, 0.9, 0.95, 0.99)


def _quantile(samples: "Samples", q: float) -> Mapping[str, float | None]:
    """The quantile with its 95 % interval, whose ends are None where the samples do not bound them."""
    from ttamer.profiles.intervals import quantile_bound

    low_s, high_s = samples.interval_s(q)
    return {
        "seconds": samples.quantile_s(q),
        "low_s": low_s if math.isfinite(low_s) else None,
        "high_s": high_s if math.isfinite(high_s) else None,
        "bound_s": bound_s if math.isfinite(bound_s := quantile_bound(samples.seconds, q)) else None,
    }


def _whole_points(profile: "Profile", models: list[str]) -> "list[LatencyPoint]":
    points = [point for point in profile.latency if point.key.part == "whole" and point.key.model in models]
    return sorted(points, key=lambda p: (models.index(p.key.model), p.key.device, p.key.cores, p.key.batch))


def rows_of(profile: "Profile", models: list[str]) -> list[Mapping[str, object]]:
    """The whole-model points as data."""
    return [
        {
            **asdict(point.key),
            "median_s": point.samples.median_s(),
            "raw_median_s": point.samples.raw_median_s(),
            "quantiles": {f"p{100 * q:g}": _quantile(point.samples, q) for q in QUANTILES},
            "processes": point.samples.process_medians_s(),
            "evidence": dict(point.evidence),
            "slowest_s": max(point.samples.seconds),
            "samples": len(point.samples),
            "peak_memory_bytes": point.peak_memory_bytes,
            "load_time_s": point.load_time_s,
            "verdict": point.verdict,
        }
        for point in _whole_points(profile, models)
    ]


def print_measured(profile: "Profile", models: list[str]) -> None:
    """Print the whole-model points as a table, and the accuracies that others published."""
    rows = []
    for point in _whole_points(profile, models):
        median_s, (low_s, high_s) = point.samples.median_s(), point.samples.interval_s(0.5)
        rows.append((
            point.key.model, str(point.key.cores), str(point.key.batch), render.seconds(median_s),
            render.seconds_between(low_s, high_s), render.seconds(max(point.samples.seconds)),
            str(len(point.samples)), render.rate(point.key.batch / median_s),
            render.mebibytes(point.peak_memory_bytes), point.verdict,
        ))  # fmt: skip
    columns = ("model", "cores", "batch", "median", "95 % interval", "slowest", "n", "throughput", "memory", "verdict")
    spare = ("slowest", "n", "memory", "95 % interval", "throughput")
    cpu = profile.machine.facts.get("cpu") or "this machine"
    render.table(columns, rows, title=f"Profile {profile.name!r} on {cpu}", spare=spare)
    for row in profile.accuracy:
        if row.model in models and row.source == "published":
            print(f"{row.model}: {render.percent(row.accuracy, 2)} on {row.dataset} ({row.source})")


def say_doubts(profile: "Profile", models: list[str]) -> None:
    """On stderr, how many points were disturbed, and how to measure just those again."""
    from ttamer.profiles.shelf import remeasuring

    points = [point for point in profile.latency if point.key.model in models]
    for verdict, cause in (("contended", "other programs used the cores"), ("throttled", "the quota held it back")):
        doubted = [point for point in points if point.verdict == verdict]
        if doubted:
            again = remeasuring({point.key.model for point in doubted}, verdict, profile.require_folder())
            share = f"{len(doubted):,} of {render.count(len(points), 'point')}"
            render.say(f"{share} {verdict}: {cause}; when the machine is quiet: {again}")
