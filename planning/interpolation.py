"""Servers between the measured points: other batches and cores, timed by a fitted surface and its error bound.

Offered only if the service allows it. On measured cores a batch between two measured ones needs no surface: the
measured seconds of its neighbours bound it. On other cores the law of the next fewer measured cores is stretched so
that its mean at every batch is the surface's bound.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from ttamer.planning.candidates import Server, make_published, make_server
from ttamer.planning.exit_choice import OperatingPoint
from ttamer.planning.published import PublishedLaw
from ttamer.planning.queueing import ServiceLaw
from ttamer.planning.service_times import Timings
from ttamer.profiles.errors import InputError
from ttamer.profiles.profile import WHOLE, Profile
from ttamer.profiles.surface import FEWEST_POINTS, Surface, fit_surface

MOST_STEPS = 64  # cores between the fewest and the most measured that are offered one by one; else powers of two


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A number of cores and a batch that nobody measured."""

    cores: int
    batch: int


def settings_between(profile: Profile, model: str, device: str) -> list[Setting]:
    """Cores and batches that the model could use between its measured ones; none if they make no surface."""
    known = [(cores, batch) for at, cores, batch in profile.settings_of(model) if at == device]
    cores_known, batches_known = (sorted(set(values)) for values in zip(*known, strict=True))
    if len(known) < FEWEST_POINTS or len(cores_known) < 2 or len(batches_known) < 2:
        return []
    offered = [
        Setting(cores=cores, batch=batch)
        for cores in _steps(cores_known)
        for batch in sorted({*batches_known, *_powers_of_two(batches_known[0], batches_known[-1])})
    ]
    return [one for one in offered if (one.cores, one.batch) not in known and _base(profile, model, device, one)]


def server_between(
    profile: Profile, stage: str, point: OperatingPoint, device: str, quantile: float, setting: Setting
) -> Server:
    """The server of a whole model at a setting between the measured ones.

    Raises InputError if the setting lies outside them, or if an early exit is asked for.
    """
    model = point.spec.model
    base = _base(profile, model, device, setting)
    if base is None or point.paths is not None:
        raise InputError(
            f"{model!r} at batch {setting.batch} on {setting.cores} {device} cores lies between no measured points",
            remedy=f"measure it: ttamer profile {model}",
        )
    if profile.is_imported(model):
        return _published_between(profile, stage, point, device, setting)
    timings = Timings(profile, model, device, base.cores, quantile)
    made = make_server(timings, stage, point, base.batch)
    law = timings.law(setting.batch)
    if setting.cores != base.cores:
        law = _stretched(law, timings, _measured_surface(profile, model, device), setting)
    return replace(made, law=law, cores=setting.cores, batch=setting.batch, is_interpolated=True)


def _base(profile: Profile, model: str, device: str, setting: Setting) -> Setting | None:
    """The next fewer measured cores and, there, the next larger measured batch; None if the setting lies outside."""
    known = [(cores, batch) for at, cores, batch in profile.settings_of(model) if at == device]
    fewer = [cores for cores, _ in known if cores <= setting.cores]
    if not fewer or setting.cores > max(cores for cores, _ in known):
        return None
    batches = [batch for cores, batch in known if cores == max(fewer)]
    larger = [batch for batch in batches if batch >= setting.batch]
    if not larger or setting.batch < min(batches):
        return None
    return Setting(cores=max(fewer), batch=min(larger))


def _stretched(law: ServiceLaw, timings: Timings, surface: Surface, setting: Setting) -> ServiceLaw:
    """The law of S' = factor · S: what it says of tilt θ holds for θ / factor.

    Seconds are linear in the batch between measured sizes on either side, so the largest ratio lies at one of them.
    """
    sizes = [size for size in timings.batches("whole", WHOLE) if size < setting.batch]
    factor = max(
        surface.bound_s(size, setting.cores) / float(law.mean_s_B[size]) for size in (*sizes, setting.batch)
    )  # fmt: skip
    return replace(
        law, mean_s_B=factor * law.mean_s_B, tilt_T=law.tilt_T / factor, answer_s=factor * law.answer_s
    )  # fmt: skip


def _measured_surface(profile: Profile, model: str, device: str) -> Surface:
    """The surface of mean seconds over every whole point of the model on the device."""
    return _fitted(
        tuple(
            (point.key.batch, point.key.cores, point.samples.mean_s())
            for point in profile.latency
            if (point.key.model, point.key.part, point.key.device) == (model, "whole", device)
        )
    )


def _published_between(
    profile: Profile, stage: str, point: OperatingPoint, device: str, setting: Setting
) -> Server:  # fmt: skip
    """Latency and seconds per batch (batch / throughput) each on a surface of its own."""
    points = profile.imported_points(point.spec.model, device)
    latency = _fitted(tuple((one.batch, one.cores, one.latency_s) for one in points))
    busy = _fitted(tuple((one.batch, one.cores, one.batch / one.throughput_rps) for one in points))
    nearest = max((one for one in points if one.cores <= setting.cores), key=lambda one: (one.cores, one.batch))
    law = PublishedLaw(
        batch=setting.batch,
        latency_s=latency.bound_s(setting.batch, setting.cores),
        throughput_rps=setting.batch / busy.bound_s(setting.batch, setting.cores),
        quantile=nearest.quantile,
    )
    made = make_published(nearest, stage, point)
    return replace(made, law=law, cores=setting.cores, batch=setting.batch, is_interpolated=True)


@lru_cache(maxsize=256)
def _fitted(points: tuple[tuple[int, int, float], ...]) -> Surface:
    """The surface through (batch, cores, seconds), fitted once for all settings between the points."""
    return fit_surface(*(list(column) for column in zip(*points, strict=True)))


def _steps(known: Sequence[int]) -> list[int]:
    if known[-1] - known[0] <= MOST_STEPS:
        return list(range(known[0], known[-1] + 1))
    return sorted({*known, *_powers_of_two(known[0], known[-1])})


def _powers_of_two(low: int, high: int) -> list[int]:
    return [1 << power for power in range(high.bit_length()) if low <= 1 << power <= high]
