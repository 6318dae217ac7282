"""Exits that are tuned while they serve: ramps and thresholds follow the feedback of what was just answered.

The resources stay as they are; what changes is the exit policy, which running replicas take up at once. Who tunes is
given from outside: `exits/apparate/` does it by Apparate's rules.

Axes: M rows of test records, in the order in which they were answered.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from ttamer.exits.evaluate import FittedPolicy
from ttamer.exits.policies.apparate import Apparate
from ttamer.planning.adaptation.behaviors import ProfileBook
from ttamer.planning.simulation.adaptive import Configuration, Observation, Setting
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Ints

NAME = "apparate"
Place = tuple[str, str]  # stage and model


class RampTuner(Protocol):
    """Decides which ramps are active and how sure they must be."""

    @property
    def ramps(self) -> Sequence[int]:
        """Active ramps, ascending."""
        ...

    @property
    def thresholds(self) -> Sequence[float]:
        """Of each ramp, the doubt below which a request leaves there; 0 is off."""
        ...

    def learn(self, row_M: Ints) -> None:
        """Take note of rows that were answered with these ramps and thresholds, and adapt."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RampChange:
    """Ramps and thresholds from a moment on."""

    at_s: float
    stage: str
    model: str
    ramps: tuple[int, ...]
    thresholds: tuple[float, ...]


@dataclass(slots=True, kw_only=True)
class RampAdapting:
    """A controller for `planning.simulation.adaptive` that changes exit policies alone.

    exits: of each model, the last one included. Policies are added to the book under new names.
    """

    interval_s: float
    tuners: Mapping[Place, RampTuner]
    exits: Mapping[str, int]
    book: ProfileBook
    changes: list[RampChange] = field(default_factory=list)
    names: dict[Place, str] = field(default_factory=dict)

    def begin(self, plain: Configuration) -> Configuration:
        """The configuration with every tuned model under its first ramps."""
        for place in self.tuners:
            self._name(place, 0.0)
        return tuple(self._tuned(setting) for setting in plain)

    def decide(self, seen: Observation) -> Configuration | None:
        """What was last asked for, under the ramps that the feedback since then has led to; None if they are the same.

        Raises InputError if a model has no test records to be fed back.
        """
        changed = False
        for place, tuner in self.tuners.items():
            row_M = seen.rows.get(place)
            if row_M is None or not len(row_M):
                continue
            before = (tuple(tuner.ramps), tuple(tuner.thresholds))
            tuner.learn(row_M)
            if (tuple(tuner.ramps), tuple(tuner.thresholds)) != before:
                self._name(place, seen.now_s)
                changed = True
        return tuple(self._tuned(setting) for setting in seen.wished) if changed else None

    def _tuned(self, setting: Setting) -> Setting:
        name = self.names.get((setting.stage, setting.model))
        return setting if name is None else replace(setting, policy=name, name=f"{setting.stage}/{setting.model}")

    def _name(self, place: Place, at_s: float) -> None:
        stage, model = place
        tuner = self.tuners[place]
        if model not in self.book.records:
            raise InputError(f"there are no test records of {model!r} to tune exits on", remedy=f"ttamer fit {model}")
        last = self.exits[model] - 1
        policy = Apparate(heads=(*tuner.ramps, last), thresholds=tuple(tuner.thresholds))
        name = f"{model}/{NAME} {len(self.changes)}"
        self.book.policies[name] = FittedPolicy(policy=policy, model=model).to_spec()
        self.names[place] = name
        self.changes.append(
            RampChange(
                at_s=at_s, stage=stage, model=model, ramps=tuple(tuner.ramps), thresholds=tuple(tuner.thresholds)
            )
        )
