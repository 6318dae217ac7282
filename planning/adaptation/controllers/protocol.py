"""What a controller is here: a rule that turns an expected load into what should run, and the habits it goes with.

A rule is made from a `Setup` and is then asked, whenever the controller decides, with the expected load and what was
seen. It answers with the whole configuration, or with None where it finds none and things stay as they are. Looking
back, expecting and hesitating are the same for all (`planning/adaptation/adapting.py`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ttamer.planning.adaptation.catalog import Catalog
from ttamer.planning.simulation.adaptive import Configuration, Observation

Rule = Callable[[float, Observation], Configuration | None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Setup:
    """What a rule starts from.

    models: by stage, for rules that know one model (default: the most accurate). replicas: by stage, for a rule that
    keeps them. peak_rps: the load that is provisioned for once and for all, for a rule that does not adapt.
    load_s: what a replica takes to load, None: as measured. tolerated: the share of requests that may miss the SLO,
    None: as the service's quantile has it. in_place: whether running replicas can be given other cores.
    """

    catalog: Catalog
    models: Mapping[str, str] = field(default_factory=dict)
    replicas: Mapping[str, int] = field(default_factory=dict)
    peak_rps: float | None = None
    load_s: float | None = None
    tolerated: float | None = None
    in_place: bool = False

    def model_of(self, stage: str) -> str:
        """The one model of a stage."""
        return self.models.get(stage) or self.catalog.models(stage)[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Care:
    """How careful a controller is: the level of its forecasts, and for how long load is lower before it gives less."""

    level: float
    patience_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A controller as published: its rule and the habits that go with it.

    predictor: of load, untrained: instead of it where there is no past to learn from. horizon_s: seconds ahead.
    patience: after so many lower loads in a row, fewer resources. in_place: whether it resizes running replicas.
    smooths: whether it averages the load over as many seconds as the SLO has before it predicts. care: level and
    patience where they depend on the service.
    """

    title: str
    rule: Callable[[Setup], Rule]
    interval_s: float
    predictor: str
    untrained: str
    horizon_s: int = 20
    level: float = 0.5
    patience: int = 1
    in_place: bool = False
    smooths: bool = False
    care: Callable[[Setup], Care] | None = None
