"""`ttamer plan --verify-by-simulation`: a plan that was simulated, and planned again until it held."""

from typing import TYPE_CHECKING

from ttamer.cli import render
from ttamer.cli.progress import progress

if TYPE_CHECKING:
    from ttamer.planning.simulation.doubting import Attempt
    from ttamer.profiles.plan import Plan
    from ttamer.profiles.profile import Profile
    from ttamer.profiles.service import Service


def plan_held(asked: "Service", measured: "Profile", solver: str | None, arrivals: str, clock: str) -> "Plan":
    """The plan that holds under these arrivals on this server's clock; says on the way what was tried.

    Raises InfeasibleError if no plan meets the service, or if none that was found holds.
    """
    from ttamer.cli.simulate import arrivals_of
    from ttamer.planning.planner import plan_service
    from ttamer.planning.simulation.conditions import Conditions
    from ttamer.planning.simulation.doubting import plan_that_holds

    conditions = Conditions(arrivals=arrivals_of(arrivals, None), clock=clock)
    with progress("planning") as advance:
        tried = 0

        def tell(attempt: "Attempt") -> None:
            nonlocal tried
            tried += 1
            advance(tried, tried, "and simulating")
            render.say(_told(attempt))

        return plan_that_holds(
            asked,
            measured,
            lambda service: plan_service(service, measured, solver=solver),
            conditions,
            on_attempt=tell,
        ).plan


def _told(attempt: "Attempt") -> str:
    """One try in a line."""
    kept, report = attempt.allowance, attempt.report
    cores = render.count(attempt.plan.promise.cores + attempt.plan.promise.devices, "core")
    verdict = "holds" if attempt.holds else "breaks"
    return (
        f"tried {render.percent(1 - kept.used, 0)} headroom, planned for"
        f" {render.seconds(kept.slo * attempt.plan.service.slo_s)}: {cores},"
        f" {render.percent(report.slo_misses, 2)} miss the SLO, {verdict}"
    )
