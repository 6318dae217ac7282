"""InfAdapter: several variants of a model share a load, each on some cores, within a core budget.

maximise  Σ_m (q_m/λ) accuracy_m − α · Σ_m n_m / B − β · LC / max_m load_time_m
subject to  n_m in {0} ∪ {fewest..B},  Σ n_m ≤ B,  q_m ≤ capacity_m(n_m),  Σ q_m = λ.

A variant's cores are one column each, in a group of which one is active at most. LC: the longest load time of the
variants whose cores differ from the running plan's. The SLO is in the capacities, as measured.
Source: Salmani et al., Reconciling High Accuracy, Cost-Efficiency, and Low Latency of Inference Serving Systems,
EuroMLSys 2023.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ttamer.planning.problem import Column, Problem, Solution
from ttamer.profiles.errors import InputError

STAGE = "serve"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One model. capacity_rps: by number of cores from 0 on, the load it takes within the SLO."""

    name: str
    accuracy: float
    load_time_s: float
    capacity_rps: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What the whole core budget and the longest load time count for. Source: the defaults of InfAdapter's runs."""

    resource: float = 0.05
    loading: float = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """Cores and load of each active variant. weights: shares in percent, for a weighted router."""

    cores: Mapping[str, int]
    quota_rps: Mapping[str, float]
    weights: Mapping[str, float]


def problem(
    variants: Sequence[Variant],
    *,
    rate_rps: float,
    budget_cores: int,
    fewest_cores: int = 2,
    weights: Weights | None = None,
    running: Mapping[str, int] | None = None,
) -> Problem:
    """The program of one model's variants. fewest_cores: of an active variant. running: cores of each now.

    Raises InputError if the budget is below one core.
    """
    if budget_cores < 1:
        raise InputError(f"a budget of {budget_cores} cores", remedy="allow at least one core")
    chosen, now = weights or Weights(), running or {}
    longest_s = max((variant.load_time_s for variant in variants), default=0.0)
    columns = [
        _column(variant, cores, now.get(variant.name, 0) == cores)
        for variant in variants
        for cores in range(fewest_cores, min(budget_cores, len(variant.capacity_rps) - 1) + 1)
        if variant.capacity_rps[cores] > 0
    ]
    return Problem(
        columns=tuple(columns),
        stages=(STAGE,),
        rate_rps=rate_rps,
        most_cores=budget_cores,
        most_replicas=None,
        mix=True,
        accuracy_weight=1.0,
        cost_weight=chosen.resource / budget_cores,
        batch_weight=0.0,
        loading_weight=chosen.loading / longest_s if longest_s else 0.0,
    )


def allocation(program: Problem, solution: Solution) -> Allocation:
    """What a solution gives each variant. Raises InputError if there is none."""
    if solution.status == "infeasible":
        raise InputError("there is no allocation", remedy="raise the core budget or lower the rate")
    active = [(program.columns[j], share) for j, share in enumerate(solution.share_J) if solution.replicas_J[j]]
    return Allocation(
        cores={column.name: column.cores for column, _ in active},
        quota_rps={column.name: share * program.rate_rps for column, share in active},
        weights={column.name: 100 * share for column, share in active},
    )


def _column(variant: Variant, cores: int, is_running: bool) -> Column:
    return Column(
        stage=STAGE,
        name=variant.name,
        group=variant.name,
        cores=cores,
        batch=1,
        capacity_rps=variant.capacity_rps[cores],
        accuracy=variant.accuracy,
        load_time_s=variant.load_time_s,
        running=int(is_running),
        replicas=1,
    )
