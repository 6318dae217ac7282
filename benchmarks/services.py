"""Random services planned at p99: how many break in simulation, and what they cost above the cheapest that holds.

The cheapest plan is searched for stage by stage, among all cores, batches, replicas and three batch timeouts of the
planned model and exit policy, by simulation on the same seed; where a stage gets cheaper the search begins anew.

Run from the repository root: python -m benchmarks.services [SERVICES]
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from tests.random_services import planned, random_profiles
from ttamer.planning.simulation.conditions import Conditions, Size, size_of
from ttamer.planning.simulation.simulate import read_records, simulate
from ttamer.profiles.errors import InputError
from ttamer.profiles.plan import Group, Plan
from ttamer.profiles.profile import Profile

CORES, BATCHES, TIMEOUTS = (1, 2, 4), (1, 2, 4, 8), (1.0, 0.3, 0.0)  # of the wait for a full batch
SEARCHED = Size(requests=6000, replications=3)


def misses(plan: Plan, profile: Profile, size: Size, seed: int) -> float:
    """Share of requests that miss the SLO; all of them under overload."""
    report, _ = simulate(plan, profile, read_records(plan, profile), size=size, seed=seed)
    return 1.0 if any(note.startswith("overload") for note in report.notes) else report.slo_misses


def cores_of(plan: Plan) -> int:
    """Cores in all."""
    return sum(group.cores * group.replicas for group in plan.groups)


def settings(group: Group, total: int) -> Iterator[Group]:
    """Every setting of the group that has so many cores in all."""
    for cores in CORES:
        if total < cores or total % cores:
            continue
        replicas = total // cores
        for batch in BATCHES:
            for share in TIMEOUTS if batch > 1 else (0.0,):
                wait_s = share * (batch - 1) * replicas / group.rate_rps
                changes = {"cores": cores, "replicas": replicas, "batch": batch, "batch_timeout_s": wait_s}
                yield group.model_copy(update=changes)


def cheaper(plan: Plan, profile: Profile, seed: int) -> Plan | None:
    """A plan with a core less in one of its stages that holds, if there is one."""
    for place, group in enumerate(plan.groups):
        for other in settings(group, group.cores * group.replicas - 1):
            groups = (*plan.groups[:place], other, *plan.groups[place + 1 :])
            tried = plan.model_copy(update={"groups": groups})
            try:
                if misses(tried, profile, SEARCHED, seed) <= 1 - plan.service.quantile:
                    return tried
            except InputError:  # a batch or a number of cores that was not measured
                continue
    return None


def cheapest(plan: Plan, profile: Profile, seed: int) -> Plan:
    """The cheapest plan found that holds, which is the plan itself if none is cheaper."""
    while (better := cheaper(plan, profile, seed)) is not None:
        plan = better
    return plan


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    more, broken, start_s = [], 0, time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        services = planned(np.random.default_rng(0), random_profiles(Path(folder)))
        for number, (service, profile, plan) in enumerate(islice(services, count)):
            size = size_of(Conditions(), service.quantile, 50_000, None)
            broken += misses(plan, profile, size, seed=1000 + number) > 1 - service.quantile
            least = cores_of(cheapest(plan, profile, seed=1000 + number))
            more.append(cores_of(plan) / least - 1)
    print(f"{count} services in {time.process_time() - start_s:.0f} CPU s: {broken} break their SLO")
    quartiles = statistics.quantiles(more, n=4)
    print(
        f"cores above the cheapest plan found that holds: median {statistics.median(more):.1%}, mean"
        f" {statistics.mean(more):.1%}, quartiles {quartiles[0]:.1%} and {quartiles[2]:.1%}, most {max(more):.1%};"
        f" {sum(one == 0 for one in more)} have none to spare"
    )


if __name__ == "__main__":
    main()
