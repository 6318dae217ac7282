"""Extending a profile by what a sweep has written down."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ttamer.profiles.profile import LatencyPoint, Machine, PointKey, Profile
from ttamer.profiles.provenance import capture
from ttamer.profiling.budgets import PROTOCOL
from ttamer.profiling.journal import JournalContents
from ttamer.profiling.levels import Chosen, choose_levels
from ttamer.profiling.request import SweepRequest
from ttamer.profiling.visits import Visit, point_from_visits

_PART_ORDER = {"whole": 0, "stage": 1, "head": 2}


def merge(
    request: SweepRequest, machine: Machine, profile: Profile | None, journal: JournalContents, folder: Path
) -> Profile:
    """The profile extended by a journal.

    Of two points with the same key the newer stays. Points of a model that the journal's process built
    otherwise than theirs leave; accuracy rows stay. folder: of the profile.
    """
    identities = {name: model.identity for name, model in journal.models.items()}
    libraries = {name: value for model in journal.models.values() for name, value in model.facts.items()}
    torch = (libraries or _library_facts(profile, machine)).get("torch")
    levels = choose_levels(journal.visits, profile, folder, machine, torch)
    old = {point.key: point for point in profile.latency} if profile else {}
    points = old | {point.key: point for point in points_of(request, journal, levels)}
    kept = [p for p in points.values() if p.spec_digest == identities.get(p.key.model, p.spec_digest)]
    return Profile(
        name=request.name,
        machine=replace(machine, facts={**machine.facts, **(libraries or _library_facts(profile, machine))}),
        models={**(profile.models if profile else {}), **{name: m.spec for name, m in journal.models.items()}},
        latency=tuple(sorted(kept, key=lambda point: _order(point.key))),
        accuracy=profile.accuracy if profile else (),
        imported=profile.imported if profile else (),
        settings={**(profile.settings if profile else {}), **_settings(request, journal, levels.lasting)},
        provenance=capture(),
    )


def points_of(request: SweepRequest, journal: JournalContents, levels: Chosen) -> Iterator[LatencyPoint]:
    """The points that the journal's visits make, each at its level.

    Of visits to the same point, those of a model built as the last one and of the best budget count.
    """
    visits: dict[PointKey, list[Visit]] = defaultdict(list)
    for visit in journal.visits:
        visits[visit.key].append(visit)
    for key, some in visits.items():
        identity = some[-1].spec_digest
        best_s = max(visit.evidence["budget_s"] for visit in some if visit.spec_digest == identity)
        same = [v for v in some if v.spec_digest == identity and v.evidence["budget_s"] == best_s]
        yield point_from_visits(same, levels.of(key), request.budget)


def _library_facts(profile: Profile | None, machine: Machine) -> dict[str, Any]:
    known = profile.machine.facts if profile else {}
    return {name: value for name, value in known.items() if name not in machine.facts}


def _settings(request: SweepRequest, journal: JournalContents, levels: Mapping[str, float]) -> dict[str, Any]:
    """reference_s: the level by device and cores. spent_s, failed: of the latest sweep."""
    measured = {(visit.key.model, visit.key.cores, visit.key.batch) for visit in journal.visits}
    failed = [asdict(one) for one in journal.failed if (one.model, one.cores, one.batch) not in measured]
    return {
        "protocol": PROTOCOL,
        "budget": asdict(request.budget),
        "device": request.device,
        "reference_s": dict(levels),
        "spent_s": {name: round(seconds, 3) for name, seconds in journal.spent_s.items()},
        "failed": failed,
    }


def _order(key: PointKey) -> tuple[str, str, int, int, int, int]:
    return key.model, key.device, key.cores, key.batch, _PART_ORDER[key.part], key.exit
