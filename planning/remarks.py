"""What a plan says of itself in words: the constraints that bind, and what to know before believing its numbers."""

from collections.abc import Iterator, Mapping, Sequence

from ttamer.planning.base_cores import base_cores, in_words
from ttamer.planning.candidates import Candidate, Server, doubts
from ttamer.planning.exit_choice import OperatingPoint
from ttamer.planning.model_choice import ModelChoice, is_measured
from ttamer.planning.naming import counted, name_of
from ttamer.planning.published import PublishedLaw
from ttamer.planning.valuation import Levels, accuracy_of, cores_of, cost_of, memory_of
from ttamer.profiles.errors import InputError
from ttamer.profiles.plan import Group
from ttamer.profiles.profile import Profile
from ttamer.profiles.service import Service
from ttamer.profiles.shelf import SHELF

SLACKLESS = 1e-9  # relative slack below which a constraint binds


def binding_constraints(
    service: Service, levels: Levels, groups: Sequence[Group], points: Mapping[str, OperatingPoint]
) -> Iterator[str]:
    """In words, the constraints without slack: what would have to give for a better plan."""
    limits = service.limits
    cores = sum(group.replicas * group.cores for group in groups)
    replicas = sum(group.replicas for group in groups)
    memory = sum(group.replicas * group.memory_bytes for group in groups)
    if cores == limits.cores:
        yield f"core budget: all {cores} are used"
    for pool in service.pools:
        if cores_of(groups, pool.name) == pool.cores:
            yield f"pool {pool.name}: all in use, {counted(pool.cores, pool.device)}"
        if memory_of(groups, pool.name) == pool.memory_bytes:
            yield f"memory of pool {pool.name}: all {pool.memory_bytes} bytes are used"
    if limits.cost_per_hour is not None and cost_of(service, groups) >= limits.cost_per_hour * (1 - SLACKLESS):
        yield f"budget: all {limits.cost_per_hour:g} an hour is used"
    if replicas == limits.replicas:
        yield f"replica limit: all {replicas} are used"
    if memory == limits.memory_bytes:
        yield f"memory limit: all {memory} bytes are used"
    floor = service.accuracy_floor
    if floor is not None and accuracy_of(service, levels, groups) <= floor * (1 + SLACKLESS):
        yield "accuracy floor: nothing more can be given up"
    for group in groups:
        if group.rate_rps / group.replicas >= group.capacity_rps * (1 - service.headroom) * (1 - SLACKLESS):
            yield f"SLO: each replica of {name_of(group, groups)} takes all it can take in time"
        if points[group.policy].paths is not None and points[group.policy].drop >= service.max_drop - SLACKLESS:
            yield f"accuracy drop: {group.policy} loses all that is allowed"
    if all(_is_needed(group, groups, service) for group in groups):
        yield "load: no replica can be spared"


def _is_needed(group: Group, groups: Sequence[Group], service: Service) -> bool:
    together_rps = sum(one.replicas * one.capacity_rps for one in groups if one.stage == group.stage)
    return (together_rps - group.capacity_rps) * (1 - service.headroom) < service.rate_rps


def notes_on(
    service: Service, profile: Profile, choices: Sequence[ModelChoice], active: Sequence[Candidate]
) -> list[str]:
    """What to know before believing the numbers of a plan with these active candidates."""
    notes = [note for choice in choices for note in choice.notes]
    notes += _of_fleet(service, profile, choices)
    measured = [candidate for candidate in active if not isinstance(candidate.law, PublishedLaw)]
    notes += doubts(measured, service.quantile, profile.folder or SHELF / profile.name)
    notes += _of_published(service, profile, active)
    notes += _of_interpolated(active)
    if len(service.stages) > 1 and measured:
        notes.append("later stages are promised for Poisson arrivals, though they get what earlier ones finish")
    return list(dict.fromkeys(notes))


def _of_fleet(service: Service, profile: Profile, choices: Sequence[ModelChoice]) -> Iterator[str]:
    """Pools that nothing can run in, what the network takes, and what base allocations come to."""
    models = [model for choice in choices for model in choice.models]
    for pool in service.pools:
        if not any(is_measured(profile, model, pool.device) for model in models):
            yield f"pool {pool.name} stays empty: nothing was measured on {pool.device}"
    if service.network_s:
        yield f"of the SLO, {1e3 * service.network_s:g} ms pass on the network; the promised latency is without them"
    for stage, choice in zip(service.stages, choices, strict=True):
        for device in service.devices():
            cores = base_cores(profile, service, stage, choice, device)
            if cores is not None:
                yield in_words(stage.name, cores)


def _of_published(service: Service, profile: Profile, active: Sequence[Candidate]) -> Iterator[str]:
    published = [candidate for candidate in active if isinstance(candidate.law, PublishedLaw)]
    if not published:
        return
    models = ", ".join(dict.fromkeys(candidate.model for candidate in published))
    quantiles = " and ".join(f"p{100 * quantile:g}" for quantile in sorted({one.law.quantile for one in published}))
    yield (
        f"latencies of {models} are imported {quantiles} summaries, not samples: the promise adds the wait for a full "
        "batch to them and bounds no queue behind busy replicas (leave headroom, or measure with ttamer profile)"
    )
    stages = len({candidate.stage for candidate in published})
    if stages > 1:
        sure = max(0.0, 1 - stages * (1 - min(one.law.quantile for one in published)))
        yield f"summaries of {stages} stages are added up: together they are sure at p{100 * sure:g} alone"
    if any(candidate.batch > 1 for candidate in published):
        yield "imported batches form in one queue for all replicas of a stage, over the wait stated as batch timeout"
    elif service.mix and any(point.batch > 1 for point in profile.imported):
        yield "imported models that may share a load are planned without batches: set mix: false to batch them"


def _of_interpolated(active: Sequence[Candidate]) -> Iterator[str]:
    for candidate in active:
        if candidate.is_interpolated:
            yield (
                f"{candidate.model} at batch {candidate.batch} on {candidate.cores} cores was not measured: its times "
                "lie on a surface between measured points, widened by its largest error on points it had not seen"
            )


def refuse_weaker_quantiles(service: Service, servers: Sequence[Server]) -> None:
    """Raise InputError if a summary of a lower quantile than the service's would have to keep its promise."""
    for server in servers:
        law = server.law
        if isinstance(law, PublishedLaw) and law.quantile < service.quantile:
            raise InputError(
                f"latencies of {server.point.spec.model!r} were imported at p{100 * law.quantile:g} and bound no "
                f"p{100 * service.quantile:g}",
                remedy=f"plan with quantile {100 * law.quantile:g}% or import the latencies of a higher quantile",
            )
