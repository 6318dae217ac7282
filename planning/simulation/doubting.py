"""A plan, doubted: simulated, and where it breaks its promise planned again with more allowance for queueing.

The planner's bounds hold for Poisson arrivals and the ideal clock. Bursts need free capacity, and servers that start
their batch timeout late need shorter timeouts: the first is allowed for by headroom, the second by planning for a
smaller SLO. Which of the two helps is found out by trying both.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ttamer.planning.simulation.conditions import Conditions, size_of
from ttamer.planning.simulation.simulate import read_records, simulate
from ttamer.planning.valuation import cost_of
from ttamer.profiles.errors import InfeasibleError
from ttamer.profiles.plan import Plan, Promise
from ttamer.profiles.profile import Profile
from ttamer.profiles.service import Service
from ttamer.profiles.simulation import Check, SimulationReport

STEP = 0.75  # of the capacity used and of the SLO planned for, from one try to the next
MOST_TIGHTENED = 12  # steps: a plan at 3 % of its capacity needs something else than headroom
HELPS = 0.9  # of the misses before, or fewer: a step that leaves more has hardly helped
MOST_EASED = 3  # tries to give back what was not needed; each halves the last step
CONFIRMED = 1  # added to the seed: a plan that was chosen on some chance is confirmed on other chance

PlanFor = Callable[[Service], Plan]


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What is kept for queueing: the share of capacity that is used at most, and the share of the SLO planned for."""

    used: float = 1.0
    slo: float = 1.0

    def applied(self, service: Service) -> Service:
        """The service to plan for."""
        slo_s = service.network_s + service.serving_s * self.slo
        return service.model_copy(update={"headroom": 1 - (1 - service.headroom) * self.used, "slo_s": slo_s})

    def tighter(self) -> tuple["Allowance", "Allowance"]:
        """A step in either direction."""
        return Allowance(used=self.used * STEP, slo=self.slo), Allowance(used=self.used, slo=self.slo * STEP)

    def between(self, other: "Allowance") -> "Allowance":
        """Halfway."""
        return Allowance(used=(self.used + other.used) / 2, slo=(self.slo + other.slo) / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One plan that was tried, with the allowance that it was made for and what became of it."""

    allowance: Allowance
    plan: Plan
    report: SimulationReport

    @property
    def holds(self) -> bool:
        """Whether the SLO is met, and nothing else that the plan promises is broken."""
        checks = {check.name: check for check in self.report.checks}
        others = (check for name, check in checks.items() if not name.startswith(("latency", "utilization")))
        return (
            checks["SLO misses"].verdict == "kept"
            and all(check.verdict != "broken" for check in others)
            and not any(note.startswith("overload") for note in self.report.notes)
        )

    @property
    def rank(self) -> tuple[bool, float]:
        """Less is better: what holds by its cost, what does not by its misses."""
        return (not self.holds, cost_of(self.plan.service, self.plan.groups) if self.holds else self.report.slo_misses)


@dataclass(frozen=True, slots=True)
class Doubted:
    """A plan that holds, its simulation, and all that was tried on the way, the first plan first."""

    plan: Plan
    report: SimulationReport
    attempts: tuple[Attempt, ...]


def plan_that_holds(
    service: Service,
    profile: Profile,
    plan_for: PlanFor,
    conditions: Conditions | None = None,
    *,
    seed: int = 0,
    on_attempt: Callable[[Attempt], object] | None = None,
) -> Doubted:
    """The cheapest plan found that keeps the SLO in simulation, on the seed it was found with and on another.

    plan_for plans a service. Its promise is changed to what was observed where that is more than what it promised.
    Raises InfeasibleError if plan_for does for the service as it is, or if no allowance gives a plan that holds.
    """
    judge = _Judge(service, profile, plan_for, conditions or Conditions(), seed, on_attempt)
    judge.judged(Allowance())
    for found in judge.search():
        confirmed = judge.simulated(found.allowance, found.plan, seed + CONFIRMED)
        if confirmed.holds:
            return Doubted(_promising(confirmed), confirmed.report, tuple(judge.attempts))
    best = min(judge.attempts, key=lambda attempt: attempt.report.slo_misses)
    raise InfeasibleError(
        f"no plan was found that holds in simulation: the best of {len(judge.attempts)} misses the SLO of"
        f" {service.slo_s:g} s in {100 * best.report.slo_misses:.3g} % of requests",
        remedy="raise the SLO or the limits, or simulate milder conditions",
    )


class _Judge:
    """Plans and simulates, each allowance once."""

    def __init__(
        self, service: Service, profile: Profile, plan_for: PlanFor, conditions: Conditions, seed: int,
        on_attempt: Callable[[Attempt], object] | None,
    ) -> None:  # fmt: skip
        self.service, self.profile, self.plan_for = service, profile, plan_for
        self.conditions, self.seed, self.on_attempt = conditions, seed, on_attempt
        self.attempts: list[Attempt] = []

    def search(self) -> Iterator[Attempt]:
        """Plans that hold on the first seed: the first, if it does; then ever tighter ones, eased as far as goes."""
        current = self.attempts[0]
        if current.holds:
            yield current
        for _ in range(MOST_TIGHTENED):
            best = self._better(current)
            if best is None:
                return
            if best.holds:
                eased = self._eased(current.allowance, best)
                yield eased
                if eased.plan.groups != best.plan.groups:
                    yield best
            current = best

    def _better(self, current: Attempt) -> Attempt | None:
        """A step tighter: with more headroom; by a smaller SLO if that helps little. None if no plan meets either."""
        with_headroom, with_smaller_slo = current.allowance.tighter()
        first = self._tried(with_headroom)
        if first and (first.holds or first.report.slo_misses < HELPS * current.report.slo_misses):
            return first
        tries = [attempt for attempt in (first, self._tried(with_smaller_slo)) if attempt]
        return min(tries, key=lambda attempt: attempt.rank, default=None)

    def _eased(self, failing: Allowance, holding: Attempt) -> Attempt:
        """The cheapest plan found that holds, between an allowance that does not and one that does."""
        best, tight = holding, holding.allowance
        for _ in range(MOST_EASED):
            middle = failing.between(tight)
            attempt = self._tried(middle)
            if attempt is None or not attempt.holds:
                failing = middle
            else:
                tight = middle
                best = min(best, attempt, key=lambda one: one.rank)
        return best

    def _tried(self, allowance: Allowance) -> Attempt | None:
        """What becomes of an allowance; None if no plan meets it."""
        try:
            return self.judged(allowance)
        except InfeasibleError:
            return None

    def judged(self, allowance: Allowance) -> Attempt:
        """What becomes of an allowance. Raises InfeasibleError if no plan meets it."""
        plan = self.plan_for(allowance.applied(self.service))
        same = next((one for one in self.attempts if one.plan.groups == plan.groups), None)
        if same is not None:
            return Attempt(allowance=allowance, plan=same.plan, report=same.report)
        attempt = self.simulated(allowance, plan, self.seed)
        self.attempts.append(attempt)
        if self.on_attempt:
            self.on_attempt(attempt)
        return attempt

    def simulated(self, allowance: Allowance, plan: Plan, seed: int) -> Attempt:
        """A plan under the service that was asked for."""
        asked = plan.model_copy(update={"service": self.service})
        size = size_of(self.conditions, self.service.quantile, None, None)
        report, _ = simulate(
            asked, self.profile, read_records(asked, self.profile), size=size, seed=seed, conditions=self.conditions
        )
        return Attempt(allowance=allowance, plan=asked, report=report)


def _promising(attempt: Attempt) -> Plan:
    """The plan with a latency promised that it was seen to keep, and a word on how that is known."""
    plan, report = attempt.plan, attempt.report
    seen: Check = report.checks[0]
    known_s = seen.high if seen.high is not None else plan.service.serving_s
    latency_s = min(plan.service.serving_s, max(plan.promise.latency_s, known_s))
    busy = max(plan.promise.utilization, *(group.utilization for group in report.groups))
    promise: Promise = plan.promise.model_copy(update={"latency_s": latency_s, "utilization": min(1.0, busy)})
    kept = attempt.allowance
    note = (
        f"held in simulation: {report.requests:,} {report.arrivals} requests on the {report.clock} clock,"
        f" {100 * report.slo_misses:.3g} % of them missed the SLO; {100 * (1 - kept.used):.0f} % of capacity and"
        f" {100 * (1 - kept.slo):.0f} % of the SLO were kept for queueing"
    )
    return plan.model_copy(update={"promise": promise, "notes": (*plan.notes, note)})
