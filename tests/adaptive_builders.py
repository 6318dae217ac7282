"""A book of behaviors whose seconds can be worked out by hand, and controllers that follow a script."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ttamer.planning.simulation.adaptive import Behavior, Configuration, Observation, Setting
from ttamer.planning.simulation.deployment import Answers
from ttamer.planning.simulation.service import Curve


@dataclass(frozen=True)
class HandBook:
    """A batch of any size takes seconds[model] / cores; loading takes load_s."""

    seconds: Mapping[str, float] = field(default_factory=lambda: {"slow": 1.0, "fast": 0.1})
    accuracy: Mapping[str, float] = field(default_factory=lambda: {"slow": 0.9, "fast": 0.7})
    load_s: float = 5.0
    up_to: int = 64

    def behavior(self, setting: Setting) -> Behavior:
        each_s = np.array([self.seconds[setting.model] / setting.cores])
        nobody = Answers(np.array([0]), np.array([-1]))
        curve = Curve((1, self.up_to), (each_s, each_s))
        return Behavior(curve=curve, answers=nobody, accuracy=self.accuracy[setting.model], load_s=self.load_s)


@dataclass
class Script:
    """A controller that wishes what its script says from a moment on, and keeps what it saw."""

    wishes: Mapping[float, Configuration]
    interval_s: float = 1.0
    seen: list[Observation] = field(default_factory=list)

    def decide(self, seen: Observation) -> Configuration | None:
        self.seen.append(seen)
        return self.wishes.get(seen.now_s)
