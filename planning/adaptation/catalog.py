"""What controllers may choose from: every measured or imported way to run a model of a stage, in plain numbers.

The published controllers know whole models only; ours plans on the candidates themselves, exits included.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ttamer.planning.candidates import Server
from ttamer.planning.model_choice import choose_models
from ttamer.planning.planner import list_servers
from ttamer.planning.published import PublishedLaw, most_rps
from ttamer.planning.simulation.adaptive import Setting
from ttamer.planning.valuation import Levels, counted_accuracy, levels_of
from ttamer.profiles.errors import InputError
from ttamer.profiles.plan import PolicySpec
from ttamer.profiles.profile import Profile
from ttamer.profiles.service import Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One replica of a whole model.

    latency_s: of a full batch, at the service's quantile. throughput_rps: with full batches, one after the other.
    sustained_rps: the load that it takes within its stage's even part of the SLO; 0 if none. accuracy: as counted.
    """

    stage: str
    model: str
    policy: str
    device: str
    cores: int
    batch: int
    latency_s: float
    throughput_rps: float
    sustained_rps: float
    accuracy: float
    load_s: float

    def setting(self, *, replicas: int = 1, share: float = 1.0, timeout_s: float = 0.0) -> Setting:
        """So many replicas of it with this share of the stage's load."""
        return Setting(
            stage=self.stage, model=self.model, policy=self.policy, device=self.device, cores=self.cores,
            batch=self.batch, batch_timeout_s=timeout_s, replicas=replicas, share=share,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Catalog:
    """A service with everything that could serve it. Raises InputError if no whole model could serve a stage."""

    service: Service
    servers: Sequence[Server]
    levels: Levels

    def __post_init__(self) -> None:
        for stage in self.stages:
            if not self.of_stage(stage):
                raise InputError(f"no whole model was measured for stage {stage!r}", remedy="profile one")

    @classmethod
    def of(cls, service: Service, profile: Profile) -> "Catalog":
        """The catalog of a service on a profiled machine. Raises InputError as planning the service would."""
        choices = choose_models(profile, service)
        return cls(service=service, servers=list_servers(service, profile, choices), levels=levels_of(profile, choices))

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the stages, in their order."""
        return tuple(stage.name for stage in self.service.stages)

    @property
    def stage_slo_s(self) -> float:
        """The even part of the SLO that each stage gets where a rule does not divide it better."""
        return self.service.slo_s / len(self.service.stages)

    @cached_property
    def offers(self) -> tuple[Offer, ...]:
        """All replicas of whole models."""
        return tuple(self._offer(server) for server in self.servers if server.point.paths is None)

    @cached_property
    def policies(self) -> dict[str, PolicySpec]:
        """Every exit policy by its name in settings."""
        return {server.point.name: server.point.spec for server in self.servers}

    def of_stage(self, stage: str, model: str | None = None, *, batch: int | None = None) -> list[Offer]:
        """The stage's offers, those of one model and of one batch size if asked for."""
        return [
            offer
            for offer in self.offers
            if offer.stage == stage
            and (model is None or offer.model == model)
            and (batch is None or offer.batch == batch)
        ]

    def models(self, stage: str) -> list[str]:
        """The stage's models, the least accurate first; of equals the one with the most throughput a core."""
        offers = self.of_stage(stage)
        merit = {
            model: (
                min(offer.accuracy for offer in offers if offer.model == model),
                -max(offer.throughput_rps / offer.cores for offer in offers if offer.model == model),
            )
            for model in dict.fromkeys(offer.model for offer in offers)
        }
        return sorted(merit, key=lambda model: merit[model])

    def _offer(self, server: Server) -> Offer:
        law, service = server.law, self.service
        latency_s = law.answer_s
        fills_rps = service.rate_rps
        return Offer(
            stage=server.stage,
            model=server.point.spec.model,
            policy=server.point.name,
            device=server.device,
            cores=server.cores,
            batch=server.batch,
            latency_s=latency_s,
            throughput_rps=law.throughput_rps if isinstance(law, PublishedLaw) else law.batch / law.mean_s,
            sustained_rps=most_rps(law, self.stage_slo_s, fills_rps),
            accuracy=counted_accuracy(service, self.levels, server.stage, server.point.accuracy),
            load_s=server.load_time_s,
        )
