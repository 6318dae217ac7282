"""Static: the best plan for the peak, made once and kept.

Source: the static configurations that Sponge (EuroMLSys 2024) and IPA (JSys 2024) compare themselves with.
"""

from ttamer.planning.adaptation.controllers.ipa import HORIZON_S, INTERVAL_S
from ttamer.planning.adaptation.controllers.protocol import Kind, Rule, Setup
from ttamer.planning.adaptation.pipeline import problem_at, settings_of, stages_of
from ttamer.planning.baselines.static import static
from ttamer.planning.simulation.adaptive import Configuration, Observation


def rule(setup: Setup) -> Rule:
    """The plan for the setup's peak, or for twice the service's load where no peak is known."""
    catalog, rate_rps = setup.catalog, setup.catalog.service.rate_rps
    program = problem_at(catalog, stages_of(catalog), rate_rps)
    kept = settings_of(catalog, program, static(program, peak_rps=setup.peak_rps))

    def choose(_rate_rps: float, _seen: Observation) -> Configuration | None:
        return kept

    return choose


STATIC = Kind(
    title="static", rule=rule, interval_s=INTERVAL_S, predictor="maximum", untrained="maximum", horizon_s=HORIZON_S
)  # fmt: skip
