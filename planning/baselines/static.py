"""Static: provisioned once for a peak load with the plan that is best there, and never changed.

Source: the static configurations that Sponge (EuroMLSys 2024) and IPA (JSys 2024) compare themselves with.
"""

from dataclasses import replace

from ttamer.planning.problem import Problem, Solution
from ttamer.planning.restriction import chosen
from ttamer.planning.solve import solve

PEAK = 2.0  # times the load: the bursts of the published traces are about twice their mean


def static(problem: Problem, *, peak_rps: float | None = None) -> Solution:
    """The best unmixed plan for the peak, kept at this load. Without a plan for the peak, the largest possible one."""
    peak = problem.rate_rps * PEAK if peak_rps is None else peak_rps
    for rate_rps in (peak, problem.rate_rps):
        answer = solve(replace(problem, rate_rps=max(rate_rps, problem.rate_rps), mix=False), "labels")
        if answer.status != "infeasible":
            return chosen(problem, {j: count for j, count in enumerate(answer.replicas_J) if count})
    return Solution(status="infeasible")
