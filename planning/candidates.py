"""Candidates: every way to serve a stage with one replica, and what one replica of it can take.

An early-exit policy is decided before the program, so a model with exits is just more candidates.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ttamer.planning import fronts
from ttamer.planning.exit_choice import OperatingPoint
from ttamer.planning.published import Law, PublishedLaw, group_timeout_s, most_rps
from ttamer.planning.service_times import Timings, samples_short, worst_verdict
from ttamer.profiles.errors import UntrustworthyError
from ttamer.profiles.profile import GIVEN, VERDICTS, ImportedPoint, Profile
from ttamer.profiles.shelf import remeasuring

DOUBTFUL = ("contended", "throttled")  # such timings describe the disturbance rather than the model
PARTS_OF_SLO = 8  # with several stages, each gets a whole number of these parts


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """One column of the program: a model with an exit policy, a batch size and a number of cores in a pool.

    service_s: mean busy seconds of a full batch. capacity_rps: the most one replica may be given so that its
    latency stays within slo_s, the stage's part of the SLO. batch_timeout_s: at that rate.
    memory_bytes: peak. verdict: the worst of the measured points it rests on;
    samples: the fewest of them, samples_needed: how many the quantile asks for.
    """

    stage: str
    point: OperatingPoint
    device: str
    cores: int
    batch: int
    law: Law
    slo_s: float
    capacity_rps: float
    memory_bytes: int
    load_time_s: float
    verdict: str
    samples: int
    samples_needed: int
    pool: str = ""
    is_interpolated: bool = False

    @property
    def model(self) -> str:
        """The model's name."""
        return self.point.spec.model

    @property
    def policy(self) -> str:
        """The name of the exit policy in the plan."""
        return self.point.name

    @property
    def accuracy(self) -> float | None:
        """Accuracy of the answers, None if unknown."""
        return self.point.accuracy

    @property
    def service_s(self) -> float:
        """Mean busy seconds of a full batch."""
        return self.law.mean_s

    @property
    def batch_timeout_s(self) -> float:
        """The batch timeout at full capacity."""
        return group_timeout_s(self.law, self.capacity_rps, 1, self.slo_s)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Server:
    """A candidate before an SLO is set: what would run, and the law of its batches."""

    stage: str
    point: OperatingPoint
    device: str
    cores: int
    batch: int
    law: Law
    memory_bytes: int
    load_time_s: float
    verdict: str
    samples: int
    samples_needed: int
    pool: str = ""
    is_interpolated: bool = False

    def is_offered(self, *, mix: bool) -> bool:
        """Whether it can serve where loads may be shared (mix): a published batch waits for its whole stage's load."""
        return not (mix and isinstance(self.law, PublishedLaw) and self.batch > 1)

    def under(self, slo_s: float, rate_rps: float) -> Candidate:
        """The candidate under an SLO; its capacity is 0 if even an idle replica misses it.

        rate_rps: of the stage, at which batches of published servers fill. What is published needs its own latency
        of the SLO, whatever is allowed.
        """
        law = self.law
        needed_s = law.latency_s + law.wait_s(rate_rps) if isinstance(law, PublishedLaw) else slo_s
        return Candidate(
            stage=self.stage,
            point=self.point,
            device=self.device,
            cores=self.cores,
            batch=self.batch,
            law=law,
            slo_s=needed_s,
            capacity_rps=most_rps(law, slo_s, rate_rps),
            memory_bytes=self.memory_bytes,
            load_time_s=self.load_time_s,
            verdict=self.verdict,
            samples=self.samples,
            samples_needed=self.samples_needed,
            pool=self.pool,
            is_interpolated=self.is_interpolated,
        )


def stage_quantile(quantile: float, stages: int) -> float:
    """The quantile each stage must keep: their late shares add up to at most 1 − quantile (union bound)."""
    return 1 - (1 - quantile) / stages


def enumerate_servers(
    profile: Profile,
    stage: str,
    points: Sequence[OperatingPoint],
    *,
    device: str,
    quantile: float,
    most_batch: int | None,
) -> list[Server]:
    """Every operating point at every measured or imported number of cores and batch size on the device."""
    timings: dict[tuple[str, int], Timings] = {}
    servers = []
    for point in points:
        model = point.spec.model
        if profile.is_imported(model):
            imported = profile.imported_points(model, device)
            small = [one for one in imported if most_batch is None or one.batch <= most_batch]
            servers += [make_published(one, stage, point) for one in small]
            continue
        for at, cores, batch in profile.settings_of(model):
            if at != device or (most_batch is not None and batch > most_batch):
                continue
            if (model, cores) not in timings:
                timings[model, cores] = Timings(profile, model, device, cores, quantile)
            servers.append(make_server(timings[model, cores], stage, point, batch))
    return servers


def make_server(timings: Timings, stage: str, point: OperatingPoint, batch: int) -> Server:
    """One operating point at one batch size. Raises InputError if a part was not measured up to it."""
    measured = timings.points(batch, point.paths)
    samples, needed = samples_short(measured, timings.quantile)
    models = {one.key.model for one in measured}  # several of a cascade, of which each was measured by itself
    by_model = [[one for one in measured if one.key.model == model] for model in sorted(models)]
    return Server(
        stage=stage,
        point=point,
        device=timings.device,
        cores=timings.cores,
        batch=batch,
        law=timings.law(batch, point.paths),
        memory_bytes=sum(max(one.peak_memory_bytes for one in own) for own in by_model),
        load_time_s=sum(max(one.load_time_s for one in own) for own in by_model),
        verdict=worst_verdict(measured, {verdict: rank for rank, verdict in enumerate(VERDICTS)}),
        samples=samples,
        samples_needed=needed,
    )


def make_published(imported: ImportedPoint, stage: str, point: OperatingPoint) -> Server:
    """One imported point: numbers without samples, verdict or stages. Memory is 0 where it is unknown."""
    law = PublishedLaw(
        batch=imported.batch,
        latency_s=imported.latency_s,
        throughput_rps=imported.throughput_rps,
        quantile=imported.quantile,
    )
    return Server(
        stage=stage,
        point=point,
        device=imported.device,
        cores=imported.cores,
        batch=imported.batch,
        law=law,
        memory_bytes=imported.memory_bytes or 0,
        load_time_s=imported.load_time_s,
        verdict="ok",
        samples=0,
        samples_needed=0,
    )


def trusted(servers: Sequence[Server], *, allow_contended: bool, folder: Path) -> list[Server]:
    """The servers whose timings were not disturbed; if allowed, those of a stage that has no others, too.

    folder: of the profile. Raises UntrustworthyError if a stage has none left.
    """
    clean = [server for server in servers if server.verdict not in DOUBTFUL]
    served = {server.stage for server in clean}
    others = [server for server in servers if server.stage not in served]
    if others and not allow_contended:
        verdict = max((server.verdict for server in others), key=VERDICTS.index)
        models = {server.point.spec.model for server in others}
        raise UntrustworthyError(
            f"all timings of {', '.join(sorted(models))} were disturbed ({verdict}): they say more of this machine's "
            "other work than of the models",
            remedy=f"when it is quiet: {remeasuring(models, verdict, folder)}; or plan on them with --allow-contended",
        )
    return clean + others


def candidates_under(
    servers: Sequence[Server], slo_s: float, stages: int, *, rate_rps: float, mix: bool = False
) -> list[Candidate]:
    """Every server that can take any load under the SLO, or with several stages under each part of it.

    rate_rps: of every stage. mix: whether models may share a stage's load.
    """
    parts = parts_of(slo_s, stages)
    made: list[Candidate] = []
    for server in servers:
        if not server.is_offered(mix=mix):
            continue
        own_parts = [slo_s] if isinstance(server.law, PublishedLaw) else parts
        own = [server.under(part_s, rate_rps) for part_s in own_parts]
        made += [candidate for candidate in own if candidate.capacity_rps > 0]
    return made


def parts_of(slo_s: float, stages: int) -> list[float]:
    """What a measured stage may get of the SLO: all of it, or with several stages a whole number of parts."""
    return [slo_s] if stages == 1 else [slo_s * part / PARTS_OF_SLO for part in range(1, PARTS_OF_SLO)]


def undominated(
    candidates: Sequence[Candidate], *, resources: Sequence[str] = (), by_model: Sequence[str] = ()
) -> list[Candidate]:
    """The candidates that no other of their stage and pool beats in cores, capacity, accuracy, batch and SLO part.

    Replacing each replica of a beaten candidate by one of the better keeps every constraint and never lowers
    the objective. Of equals the first stays. resources: what counts besides, names of fields of which less is better.
    by_model: stages in which a model cannot stand in for another, as each has a fixed number of replicas.
    """
    rivals: dict[tuple[str, ...], list[int]] = {}
    for place, candidate in enumerate(candidates):
        model = candidate.model if candidate.stage in by_model else ""
        rivals.setdefault((candidate.stage, candidate.pool, model), []).append(place)
    merits = np.array([_merit(candidate, resources) for candidate in candidates])
    kept = [places[best] for places in rivals.values() for best in fronts.undominated(merits[places]).tolist()]
    return [candidates[place] for place in sorted(kept)]


def _merit(candidate: Candidate, resources: Sequence[str]) -> tuple[float, ...]:
    further = (float(getattr(candidate, resource)) for resource in resources)
    accuracy = candidate.accuracy or 0.0
    return (candidate.cores, -candidate.capacity_rps, -accuracy, candidate.batch, candidate.slo_s, *further)


def doubts(candidates: Sequence[Candidate], quantile: float, folder: Path) -> Iterator[str]:
    """What a reader should know about the timings behind these candidates; folder: of their profile."""
    for verdict in sorted({candidate.verdict for candidate in candidates} - {"ok"}, key=VERDICTS.index):
        models = sorted({candidate.model for candidate in candidates if candidate.verdict == verdict})
        if verdict == GIVEN:
            yield f"times of {', '.join(models)} were given, not measured: constants, of which nobody knows the tail"
            continue
        yield (
            f"timings of {', '.join(models)} are {verdict}, and the promised latency is as good as they are; "
            f"measure again when the machine is quiet: {remeasuring(models, verdict, folder)}"
        )
    measured = [candidate for candidate in candidates if candidate.verdict != GIVEN]
    short = [candidate for candidate in measured if candidate.samples < candidate.samples_needed]
    if short:
        fewest = min(candidate.samples for candidate in short)
        needed = max(candidate.samples_needed for candidate in short)
        names = ", ".join(sorted({candidate.model for candidate in short}))
        yield (
            f"{names}: {fewest} samples a point bound no tail at p{100 * quantile:g} ({needed} would); "
            "the largest sample stands in"
        )
