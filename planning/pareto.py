"""What more latency or more cores would buy: the plans that no other plan beats in both.

Every point is a plan that was solved to the optimum and verified. Only where neighbours differ is the space between
them looked into, and never more often than MOST_PLANS times.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa

from ttamer.planning.conflict import with_limits
from ttamer.planning.naming import in_short
from ttamer.planning.two_digits import first_that, step_above, step_below, two_digits
from ttamer.planning.what_if import WhatIf
from ttamer.profiles.documents import envelope, write_table
from ttamer.profiles.plan import Plan
from ttamer.profiles.provenance import Provenance
from ttamer.profiles.service import Service, Weights

FORMAT, VERSION = "pareto", 1
Axis = Literal["slo", "cost"]
AXES: tuple[Axis, ...] = ("slo", "cost")

MOST_PLANS = 24  # a terminal shows about as many points
FINEST = 0.02  # of the whole difference: smaller steps are not looked into
RANGE = 8  # times the SLO asked for, to either side
SAME = 1e-9  # of an objective: rounding of sums
CENT = 1e-4  # money an hour, below which no budget is looked into
ACCURACY_FIRST = Weights(accuracy=1.0, cost=1e-6, batch=1e-9)
COST_FIRST = Weights(accuracy=1e-6, cost=1.0, batch=1e-9)


def frontier(service: Service, what_if: WhatIf, axis: Axis) -> list[Plan]:
    """The undominated plans along an axis, the tightest first; none if the service cannot be had anywhere on it.

    `slo`: promised latency against the service's own objective. `cost`: cores, or money where there are pools, against
    accuracy, under its SLO.
    """
    if axis == "slo":
        return _undominated(_along_slo(service, what_if), lambda plan: (plan.promise.latency_s, -plan.solve.objective))
    return _undominated(
        _along_cost(service, what_if), lambda plan: (cost_of(plan), -_accuracy(plan), plan.promise.latency_s)
    )


def _along_slo(service: Service, what_if: WhatIf) -> list[Plan]:
    """Plans for SLOs of two digits, and for the SLO asked for, around it as far as RANGE allows."""

    def under(step: int) -> Service:
        return service.model_copy(update={"slo_s": two_digits(step)})

    feasibility = what_if.feasibility(service)
    last = step_above(RANGE * service.slo_s)
    first = first_that(
        lambda step: feasibility.is_feasible(under(step)), step_below(service.slo_s / RANGE), last
    )  # fmt: skip
    if first is None:
        return []
    search = Search(lambda step: what_if.plan(under(step)), lambda plan: plan.solve.objective)
    asked = what_if.plan(service)
    return [*search.between(first, last), *([asked] if asked else [])]


def _along_cost(service: Service, what_if: WhatIf) -> list[Plan]:
    """Plans of the most accuracy for every budget that buys more, from the least that does to the budget."""

    def with_cores(cores: int) -> Plan | None:
        return what_if.plan(aimed(with_limits(service, cores=cores), ACCURACY_FIRST))

    def with_money(step: int) -> Plan | None:
        money = min(two_digits(step), service.limits.cost_per_hour or two_digits(step))
        return what_if.plan(aimed(with_limits(service, cost_per_hour=money), ACCURACY_FIRST))

    cheapest = what_if.plan(aimed(service, COST_FIRST))
    dearest = what_if.plan(aimed(service, ACCURACY_FIRST))
    if cheapest is None or dearest is None:
        return []
    least, most = cost_of(cheapest), cost_of(dearest)
    if not service.pools:
        return Search(with_cores, _accuracy).between(round(least), round(most))
    first, last = (step_above(max(money, CENT)) for money in (least, most))
    return [cheapest, *Search(with_money, _accuracy).between(first, last), dearest]


def aimed(service: Service, weights: Weights) -> Service:
    """The service with these weights in place of its own aim."""
    return service.model_copy(update={"weights": weights, "objective": "weighted"})


@dataclass(frozen=True, slots=True)
class Search:
    """Plans at whole numbers, and the value that tells whether two of them differ."""

    plan_at: Callable[[int], Plan | None]
    value: Callable[[Plan], float]

    def between(self, first: int, last: int) -> list[Plan]:
        """Plans from `first` to `last`: the widest difference is looked into first."""
        found = {step: plan for step in dict.fromkeys((first, last)) if (plan := self.plan_at(step)) is not None}
        if len(found) < 2:
            return list(found.values())
        gaps: list[tuple[float, int, int]] = []
        finest = max(SAME, FINEST * abs(self.value(found[last]) - self.value(found[first])))
        self._note_gap(gaps, found, first, last, finest)
        while gaps and len(found) < MOST_PLANS:
            _, low, high = heapq.heappop(gaps)
            middle = (low + high) // 2
            plan = self.plan_at(middle)
            if plan is None:
                continue
            found[middle] = plan
            self._note_gap(gaps, found, low, middle, finest)
            self._note_gap(gaps, found, middle, high, finest)
        return [found[step] for step in sorted(found)]

    def _note_gap(
        self, gaps: list[tuple[float, int, int]], found: dict[int, Plan], low: int, high: int, finest: float
    ) -> None:
        gap = abs(self.value(found[high]) - self.value(found[low]))
        if high - low > 1 and gap > finest:
            heapq.heappush(gaps, (-gap, low, high))


def _undominated(plans: Sequence[Plan], merits: Callable[[Plan], tuple[float, ...]]) -> list[Plan]:
    """The plans that no other reaches in the first two merits, of which less is better, nor in what is promised."""
    kept: list[Plan] = []
    for plan in sorted(plans, key=merits):
        if not kept or merits(plan)[1] < merits(kept[-1])[1] - SAME:
            kept.append(plan)
    return [plan for plan in kept if not any(is_beaten(plan, other) for other in kept)]


def is_beaten(plan: Plan, other: Plan) -> bool:
    """Whether the other plan is no worse in latency, accuracy and cost and better in one of them."""
    mine, others = ((one.promise.latency_s, -_accuracy(one), cost_of(one)) for one in (plan, other))
    return others != mine and all(that <= this for this, that in zip(mine, others, strict=True))


def cost_of(plan: Plan) -> float:
    """What the plan takes: money an hour where there are pools, else cores (on a GPU: devices)."""
    promise = plan.promise
    return promise.cost_per_hour or 0.0 if plan.service.pools else float(promise.cores + promise.devices)


def _accuracy(plan: Plan) -> float:
    return plan.promise.accuracy or 0.0


def write_frontier(path: Path, plans: Sequence[Plan], axis: Axis, provenance: Provenance) -> Path:
    """Write the frontier as a Parquet table, a row a plan; returns the path."""
    rows = [
        {
            "slo_s": plan.service.slo_s,
            "most_cores": plan.service.limits.cores,
            "latency_s": plan.promise.latency_s,
            "quantile": plan.promise.quantile,
            "rate_rps": plan.service.rate_rps,
            "accuracy": plan.promise.accuracy,
            "accuracy_low": plan.promise.accuracy_low,
            "cores": plan.promise.cores,
            "devices": plan.promise.devices,
            "cost_per_hour": plan.promise.cost_per_hour,
            "utilization": plan.promise.utilization,
            "objective": plan.solve.objective,
            "status": plan.solve.status,
            "groups": [in_short(group) for group in plan.groups],
        }
        for plan in plans
    ]
    table = pa.Table.from_pylist(rows, schema=FRONTIER_SCHEMA)
    write_table(path, table, envelope(FORMAT, VERSION, provenance) | {"axis": axis})
    return path


FRONTIER_SCHEMA = pa.schema({
    "slo_s": pa.float64(), "most_cores": pa.int32(), "latency_s": pa.float64(), "quantile": pa.float64(),
    "rate_rps": pa.float64(), "accuracy": pa.float64(), "accuracy_low": pa.float64(), "cores": pa.int32(),
    "devices": pa.int32(), "cost_per_hour": pa.float64(), "utilization": pa.float64(), "objective": pa.float64(),
    "status": pa.string(), "groups": pa.list_(pa.string()),
})  # fmt: skip
