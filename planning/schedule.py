"""The schedule of a service whose network takes more or less of the SLO: cores and batch size, second by second.

Sponge's program (`ttamer.planning.programs.sponge`) for one model, scaled in place. A batch takes what a surface fitted
to the profile says, widened by its largest error on points it had not seen; nothing beyond the measured grid is used.

Axes: S seconds, G settings.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike

from ttamer.planning.model_choice import choose_models
from ttamer.planning.programs import sponge
from ttamer.profiles.documents import envelope, write_table
from ttamer.profiles.errors import InfeasibleError, InputError
from ttamer.profiles.network_trace import NetworkTrace
from ttamer.profiles.profile import WHOLE, Profile
from ttamer.profiles.provenance import Provenance
from ttamer.profiles.records import Floats
from ttamer.profiles.service import Service
from ttamer.profiles.surface import Surface, fit_surface

FORMAT, VERSION = "schedule", 1
DELTA = 1e-3  # of a core, for one more request in a batch, as in Sponge; less where batches are large enough to count
DISTURBED = ("contended", "throttled")  # timings of these verdicts give way to others


@dataclass(frozen=True, slots=True, eq=False)
class WidenedCurve:
    """A surface times its bound factor, in milliseconds."""

    surface: Surface

    def latency(self, batch: ArrayLike, cores: ArrayLike) -> Floats:
        """Milliseconds that a batch takes at most."""
        return np.asarray(1e3 * self.surface.bound_factor * self.surface.latencies_s(batch, cores))


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledSecond:
    """One second: what the network takes and leaves, and the setting that serves it, if one does.

    network_s: None where nothing passes, remaining_slo_s then too. latency_s: of a batch; done_s: until the last of the
    second's requests is answered; slack_s: what is then left of the SLO, less the headroom.
    """

    t_s: float
    network_s: float | None
    remaining_slo_s: float | None
    is_served: bool
    cores: int | None = None
    batch: int | None = None
    latency_s: float | None = None
    done_s: float | None = None
    slack_s: float | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Schedule:
    """The decisions of all seconds of a trace."""

    service: Service
    model: str
    surface: Surface
    limits: sponge.Limits
    trace: NetworkTrace
    decisions: sponge.Decisions

    def seconds(self) -> list[ScheduledSecond]:
        """The seconds, one by one."""
        return [ScheduledSecond(**row) for row in self.rows()]

    def rows(self) -> list[dict[str, Any]]:
        """The seconds as plain data."""
        made, settings = self.decisions, self.decisions.settings
        reserve_s = (1 - self.limits.headroom) * self.service.slo_s
        rows: list[dict[str, Any]] = []
        passed = zip(self.trace.t_s_S.tolist(), self.trace.network_s_S.tolist(), made.chosen_S.tolist(), strict=True)
        for t_s, network_s, g in passed:
            is_finite = network_s != float("inf")
            remaining_s = self.service.slo_s - network_s
            row = {
                "t_s": t_s, "network_s": network_s if is_finite else None,
                "remaining_slo_s": remaining_s if is_finite else None, "is_served": g >= 0,
            }  # fmt: skip
            if g >= 0:
                done_s = float(settings.needs_ms_G[g]) / 1e3
                row |= {
                    "cores": int(settings.cores_G[g]), "batch": int(settings.batch_G[g]),
                    "latency_s": float(settings.latency_ms_G[g]) / 1e3, "done_s": done_s,
                    "slack_s": remaining_s - reserve_s - done_s,
                }  # fmt: skip
            rows.append(row)
        return rows

    def summary(self) -> dict[str, Any]:
        """What the schedule comes to, in numbers. cores_static: what would serve every second that can be served."""
        chosen_S = self.decisions.chosen_S
        served_S = chosen_S >= 0
        cores_S = self.decisions.settings.cores_G[chosen_S[served_S]]
        slack_s = [row["slack_s"] for row in self.rows() if row["is_served"]]
        return {
            "seconds": len(chosen_S),
            "served": int(served_S.sum()),
            "cores_least": int(cores_S.min()),
            "cores_mean": float(cores_S.mean()),
            "cores_static": int(cores_S.max()),
            "changes": int((np.diff(chosen_S[served_S]) != 0).sum()),
            "slack_least_s": min(slack_s),
            "fastest_s": float(self.decisions.settings.least_needs_ms_G[-1]) / 1e3,
            "settings": len(self.decisions.settings.cores_G),
        }

    def to_content(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {
            "model": self.model, "summary": self.summary(), "surface": asdict(self.surface), "seconds": self.rows(),
        }  # fmt: skip


def make_schedule(service: Service, profile: Profile, trace: NetworkTrace) -> Schedule:
    """The best setting of every second, verified.

    Raises InputError if the service is not of one model on one device, or its profile makes no surface;
    InfeasibleError if no second can be served.
    """
    model = _only_model(service, profile)
    surface = fit_surface(*_points(service, profile, model))
    limits = _limits(service, surface)
    remaining_ms_S = 1e3 * (service.slo_s - trace.network_s_S)
    curve = WidenedCurve(surface)
    decisions = sponge.schedule(
        curve, rate_rps=service.rate_rps, slo_ms=1e3 * service.slo_s, remaining_slo_ms_S=remaining_ms_S, limits=limits
    )
    made = Schedule(
        service=service, model=model, surface=surface, limits=limits, trace=trace, decisions=decisions
    )  # fmt: skip
    if not (decisions.chosen_S >= 0).any():
        raise _infeasible(made)
    broken = verify_schedule(made)
    assert not broken, f"the schedule breaks its own promises: {broken}"
    return made


def verify_schedule(made: Schedule) -> list[str]:
    """Everything in which the schedule breaks a constraint or takes more than it must; empty for a sound one.

    From the surface alone: every setting of the grid is held against every decision, not only the one chosen.
    """
    service, limits, settings = made.service, made.limits, made.decisions.settings
    cores_CB, batch_CB = np.meshgrid(
        np.arange(limits.least_cores, limits.cores + 1), np.arange(limits.least_batch, limits.batch + 1), indexing="ij"
    )
    latency_ms_CB = WidenedCurve(made.surface).latency(batch_CB, cores_CB)
    is_able_CB = (latency_ms_CB > 0) & (1e3 * batch_CB * (1 + 1e-9) >= service.rate_rps * latency_ms_CB)
    needs_ms_CB = np.where(is_able_CB, np.maximum(1.0, np.ceil(service.rate_rps / batch_CB)) * latency_ms_CB, np.inf)
    objective_CB = cores_CB + limits.delta * batch_CB
    room_ms_S = 1e3 * (service.slo_s * limits.headroom - made.trace.network_s_S)
    broken = []
    for g in np.unique(made.decisions.chosen_S).tolist():
        rooms_ms = room_ms_S[made.decisions.chosen_S == g]
        better_CB = np.ones_like(is_able_CB)
        if g >= 0:
            cores, batch = int(settings.cores_G[g]), int(settings.batch_G[g])
            place = (cores - limits.least_cores, batch - limits.least_batch)
            if needs_ms_CB[place] > rooms_ms.min() * (1 + 1e-8):
                broken.append(
                    f"{cores} cores at batch {batch} need {needs_ms_CB[place]:.6g} ms of {rooms_ms.min():.6g}"
                )
            better_CB = objective_CB < objective_CB[place] - 1e-9
        if better_CB.any() and needs_ms_CB[better_CB].min() <= rooms_ms.max() * (1 - 1e-8):
            broken.append(f"a smaller setting serves a second of {rooms_ms.max():.6g} ms")
    return broken


def _only_model(service: Service, profile: Profile) -> str:
    """The model of the service. Raises InputError if it has several, or stages, or pools."""
    if len(service.stages) > 1 or service.pools:
        what = f"{len(service.stages)} stages" if len(service.stages) > 1 else "pools"
        raise InputError(
            f"a schedule scales one model in place, and the service has {what}",
            remedy="leave the trace out, or plan one",
        )
    (choice,) = choose_models(profile, service)
    if len(choice.models) > 1:
        raise InputError(
            f"a schedule is made for one model, and {len(choice.models)} may serve: {', '.join(choice.models)}",
            remedy=f"name it: --models {choice.models[0]}",
        )
    return choice.models[0]


def _points(service: Service, profile: Profile, model: str) -> tuple[list[int], list[int], list[float]]:
    """Batches, cores and seconds of the whole model at the service's quantile."""
    if profile.is_imported(model):
        points = profile.imported_points(model, service.device)
        weaker = [one.quantile for one in points if one.quantile < service.quantile]
        if weaker:
            raise InputError(
                f"latencies of {model!r} are imported at p{100 * weaker[0]:g} and bound no p{100 * service.quantile:g}",
                remedy=f"plan with quantile {100 * weaker[0]:g}% or import the latencies of a higher quantile",
            )
        return [one.batch for one in points], [one.cores for one in points], [one.latency_s for one in points]
    settings = [(cores, batch) for at, cores, batch in profile.settings_of(model) if at == service.device]
    measured = [
        profile.point(model, "whole", WHOLE, device=service.device, cores=cores, batch=batch)
        for cores, batch in settings
    ]
    calm = [point for point in measured if point.verdict not in DISTURBED]
    used = calm if len(calm) == len(measured) or len({p.key.cores for p in calm}) > 1 else measured
    return (
        [point.key.batch for point in used],
        [point.key.cores for point in used],
        [point.samples.quantile_s(service.quantile) for point in used],
    )


def _limits(service: Service, surface: Surface) -> sponge.Limits:
    """The measured grid, cut where the service's limits are narrower. Raises InputError if nothing of it is left."""
    most_cores = min(service.limits.cores or surface.cores[-1], surface.cores[-1])
    most_batch = min(service.limits.batch or surface.batches[-1], surface.batches[-1])
    for what, most, least in (("cores", most_cores, surface.cores[0]), ("batches", most_batch, surface.batches[0])):
        if most < least:
            raise InputError(
                f"{what} of at most {most} are allowed, the fewest measured are {least}", remedy="measure fewer"
            )
    return sponge.Limits(
        cores=most_cores, batch=most_batch, least_cores=surface.cores[0], least_batch=surface.batches[0],
        headroom=1 - service.headroom, delta=min(DELTA, 0.5 / most_batch),
    )  # fmt: skip


def _infeasible(made: Schedule) -> InfeasibleError:
    service, settings, limits = made.service, made.decisions.settings, made.limits
    most_s = service.slo_s * limits.headroom - float(made.trace.network_s_S.min())
    if not len(settings.cores_G):
        return InfeasibleError(
            f"no setting of {made.model} up to {limits.cores} cores and batch {limits.batch} keeps up with "
            f"{service.rate_rps:g} rps",
            remedy="lower the rate, allow more cores or larger batches, or measure more of them",
        )
    least_s = float(settings.least_needs_ms_G[-1]) / 1e3
    return InfeasibleError(
        f"no second can be served: the network leaves {max(0.0, most_s):.3g} s at best, and the fastest setting of "
        f"{made.model} answers {service.rate_rps:g} requests in {least_s:.3g} s",
        remedy=f"raise the SLO by {least_s - most_s:.3g} s, lower the rate or allow more cores",
    )


def write_schedule(path: Path, made: Schedule, provenance: Provenance) -> Path:
    """Write the schedule as a Parquet table, a row a second; returns the path."""
    table = pa.Table.from_pylist(made.rows(), schema=SCHEDULE_SCHEMA)
    service = made.service
    header = envelope(FORMAT, VERSION, provenance) | {
        "model": made.model, "slo_s": service.slo_s, "quantile": service.quantile, "rate_rps": service.rate_rps,
        "headroom": service.headroom, "surface": asdict(made.surface), "limits": asdict(made.limits),
    }  # fmt: skip
    write_table(path, table, header)
    return path


SCHEDULE_SCHEMA = pa.schema({
    "t_s": pa.float64(), "network_s": pa.float64(), "remaining_slo_s": pa.float64(), "is_served": pa.bool_(),
    "cores": pa.int32(), "batch": pa.int32(), "latency_s": pa.float64(), "done_s": pa.float64(),
    "slack_s": pa.float64(),
})  # fmt: skip
