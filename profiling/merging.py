"""Extending a profile by what a sweep has written down."""

from dataclasses import asdict, replace
from typing import Any

from ttamer.profiles.profile import Machine, PointKey, Profile
from ttamer.profiles.provenance import capture
from ttamer.profiling.budgets import PROTOCOL
from ttamer.profiling.journal import JournalContents
from ttamer.profiling.request import SweepRequest

_PART_ORDER = {"whole": 0, "stage": 1, "head": 2}


def merge(request: SweepRequest, machine: Machine, profile: Profile | None, journal: JournalContents) -> Profile:
    """The profile extended by a journal.

    Of two points with the same key the newer stays. Points of a model that the journal's process built
    otherwise than theirs leave; accuracy rows stay.
    """
    old = {point.key: point for point in profile.latency} if profile else {}
    points = old | {point.key: point for point in journal.points}
    identities = {name: model.identity for name, model in journal.models.items()}
    kept = [p for p in points.values() if p.spec_digest == identities.get(p.key.model, p.spec_digest)]
    libraries = {name: value for model in journal.models.values() for name, value in model.facts.items()}
    return Profile(
        name=request.name,
        machine=replace(machine, facts={**machine.facts, **(libraries or _library_facts(profile, machine))}),
        models={**(profile.models if profile else {}), **{name: m.spec for name, m in journal.models.items()}},
        latency=tuple(sorted(kept, key=lambda point: _order(point.key))),
        accuracy=profile.accuracy if profile else (),
        settings={**(profile.settings if profile else {}), **_settings(request)},
        provenance=capture(),
    )


def _library_facts(profile: Profile | None, machine: Machine) -> dict[str, Any]:
    known = profile.machine.facts if profile else {}
    return {name: value for name, value in known.items() if name not in machine.facts}


def _settings(request: SweepRequest) -> dict[str, Any]:
    return {"protocol": PROTOCOL, "budget": asdict(request.budget), "device": request.device}


def _order(key: PointKey) -> tuple[str, str, int, int, int, int]:
    return key.model, key.device, key.cores, key.batch, _PART_ORDER[key.part], key.exit
