"""A sweep that measures a part of its grid: where the surface through what it has measured is least certain.

The points are taken in waves, because every wave costs the start of fresh processes. Within a wave the surface stands
in for what is not measured yet.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ttamer.profiles.errors import InputError
from ttamer.profiles.profile import Profile
from ttamer.profiles.surface import FEWEST_POINTS, fit_surface
from ttamer.profiling.design import Setting, next_setting
from ttamer.profiling.request import SweepRequest

SHARE = 0.5  # of the grid's points: enough to predict the others as well as all points would, within a point of percent
WAVES = 2  # after the first, which measures what a surface needs at least
RunSweep = Callable[[SweepRequest], Profile]


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """What of a grid is measured: how many points, and those chosen so far."""

    grid: tuple[Setting, ...]
    count: int

    def wave(self, measured_s: Mapping[Setting, float]) -> list[Setting]:
        """The next settings to measure: first what a surface needs, then the rest in WAVES parts."""
        size = max(1, -(-(self.count - FEWEST_POINTS) // WAVES)) if measured_s else FEWEST_POINTS
        known, chosen = dict(measured_s), list[Setting]()
        while len(chosen) < size and len(known) < self.count:
            setting = next_setting(self.grid, known)
            if setting is None:
                break
            known[setting] = _predicted_s(measured_s, setting)
            chosen.append(setting)
        return chosen


def design_of(request: SweepRequest) -> Design:
    """Half the grid of a sweep. Raises InputError if that makes no surface."""
    grid = tuple((batch, cores) for cores in request.cores for batch in request.batches)
    count = max(FEWEST_POINTS, round(SHARE * len(grid)))
    if len(grid) <= FEWEST_POINTS or len(request.batches) < 2 or len(request.cores) < 2:
        raise InputError(
            f"an adaptive sweep of {len(request.batches)} batches on {len(request.cores)} core counts saves nothing",
            remedy=f"give a grid of more than {FEWEST_POINTS} points: --batches 1,2,4,8,16 --cores 1,2",
        )
    return Design(grid=grid, count=count)


def run_adaptive_sweep(request: SweepRequest, run: RunSweep) -> Profile:
    """Sweep each model of the request over half of its grid, wave by wave; points measured before count.

    run: runs a sweep to its end, as `run_sweep` does. Raises InputError as `design_of` does.
    """
    design = design_of(request)
    profile: Profile | None = None
    for model in request.models:
        one = replace(request, models=(model,))
        settings: frozenset[Setting] = frozenset()
        measured_s: dict[Setting, float] = {}
        while wave := design.wave(measured_s):
            settings |= frozenset(wave)
            profile = run(replace(one, settings=settings))
            measured_s = _medians_s(profile, one, design)
            missing = settings - set(measured_s)
            if missing:
                break  # the sweep has told why
    assert profile is not None
    return profile


def _medians_s(profile: Profile, request: SweepRequest, design: Design) -> dict[Setting, float]:
    (model,) = request.models
    return {
        (point.key.batch, point.key.cores): point.samples.median_s()
        for point in profile.latency
        if (point.key.model, point.key.part, point.key.device) == (model.name, "whole", request.device)
        and (point.key.batch, point.key.cores) in design.grid
    }


def _predicted_s(measured_s: Mapping[Setting, float], setting: Setting) -> float:
    """What the surface says; where too few points are known for one, any number does, as only distances count."""
    if len(measured_s) < FEWEST_POINTS:
        return 1.0
    batches, cores = zip(*measured_s, strict=True)
    return float(fit_surface(batches, cores, list(measured_s.values())).latencies_s(*setting))
