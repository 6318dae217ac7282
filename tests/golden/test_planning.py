"""Known optima of IPA, InfAdapter and Sponge, recorded decisions and base allocations, through the public programs."""

import json
from math import ceil
from pathlib import Path
from typing import Any

import pytest

from ttamer.planning.problem import Problem, Solution
from ttamer.planning.programs import base_allocation, infadapter, ipa, sponge
from ttamer.planning.solve import solve
from ttamer.planning.surface import Coefficients

EXACT = ("highs", "cbc", "labels")
exact = pytest.mark.parametrize("solver", EXACT)
Case = dict[str, Any]


def cases(golden: Path, name: str) -> list[Case]:
    rows = [json.loads(line) for line in (golden / f"{name}.jsonl").read_text().splitlines() if line.strip()]
    assert rows, f"{name}.jsonl holds no case"
    return rows


def same(value: float, truth: float) -> bool:
    return abs(value - truth) <= 1e-6 * max(1.0, abs(truth))


def is_as_known(case: Case, solution: Solution, truth: Case) -> bool:
    if not truth["feasible"]:
        return solution.status == "infeasible"
    return solution.status == "optimal" and same(solution.objective, truth["objective"])


def ipa_problem(case: Case) -> Problem:
    stages = [
        ipa.Stage(name=f"{number} {stage['name']}", variants=tuple(map(ipa_variant, stage["variants"])))
        for number, stage in enumerate(case["stages"])
    ]
    fixed = case["baseline"] or {}
    return ipa.problem(
        stages,
        rate_rps=case["arrival_rate_rps"],
        slo_s=case["sla_s"],
        aggregation=case["accuracy_aggregation"],
        weights=ipa.Weights(**case["weights"]),
        most_replicas=case["max_replicas"],
        batches=case["batch_sizes"],
        variants=fixed.get("variants"),
        replicas=fixed.get("replicas"),
    )


def ipa_variant(variant: Case) -> ipa.Variant:
    return ipa.Variant(
        name=variant["name"],
        accuracy=variant["accuracy"],
        cores=variant["cores_per_replica"],
        points=tuple(ipa.Point(**point) for point in variant["profile"]),
    )


def ipa_objective(case: Case, problem: Problem, solution: Solution) -> float:
    """The objective of the choice by the instance's own numbers; fails if it breaks a constraint."""
    rate, latency_s, accuracies, cores, batches = case["arrival_rate_rps"], 0.0, [], 0, 0
    for number, stage in enumerate(case["stages"]):
        (j,) = [j for j in problem.in_stage(problem.stages[number]) if solution.replicas_J[j]]
        column, replicas = problem.columns[j], solution.replicas_J[j]
        (variant,) = [one for one in stage["variants"] if one["name"] == column.name]
        (point,) = [one for one in variant["profile"] if one["batch"] == column.batch]
        assert column.batch in case["batch_sizes"]
        assert 1 <= replicas <= case["max_replicas"]
        assert replicas * point["throughput_rps"] >= rate * (1 - 1e-12)
        latency_s += point["latency_s"] + ((column.batch - 1) / rate if rate else 0.0)
        accuracies.append(variant["accuracy"])
        cores += replicas * variant["cores_per_replica"]
        batches += column.batch
        fixed = case["baseline"] or {}
        assert fixed.get("variants", {number: column.name})[number] == column.name
        assert fixed.get("replicas", {number: replicas})[number] == replicas
    assert latency_s <= case["sla_s"] * (1 + 1e-9)
    weights, accuracy = case["weights"], sum(accuracies)
    if case["accuracy_aggregation"] == "mean":
        accuracy /= len(accuracies)
    if case["accuracy_aggregation"] == "product":
        accuracy = 1.0
        for one in accuracies:
            accuracy *= one
    return float(weights["alpha"] * accuracy - weights["beta"] * cores - weights["delta"] * batches)


@exact
def test_every_pipeline_gets_its_known_optimum(golden: Path, solver: str) -> None:
    wrong = []
    for case in cases(golden, "ipa"):
        problem = ipa_problem(case)
        solution = solve(problem, solver)
        if not is_as_known(case, solution, case["answer"]):
            wrong.append((case["id"], solution.status, solution.objective, case["answer"].get("objective")))
        elif solution.status == "optimal":
            assert same(ipa_objective(case, problem, solution), case["answer"]["objective"]), case["id"]
    assert not wrong


def infadapter_problem(case: Case) -> Problem:
    variants = [
        infadapter.Variant(
            name=variant["name"],
            accuracy=variant["accuracy"],
            load_time_s=variant["load_time_s"],
            capacity_rps=tuple(variant["capacity_rps_by_cores"]),
        )
        for variant in case["variants"]
    ]
    weights = case["weights"]
    return infadapter.problem(
        variants,
        rate_rps=case["arrival_rate_rps"],
        budget_cores=case["budget_cores"],
        fewest_cores=case["min_cores_per_variant"],
        weights=infadapter.Weights(resource=weights["alpha_resource"], loading=weights["beta_loading"]),
        running=case["previous_cores"],
    )


def infadapter_objective(case: Case, found: infadapter.Allocation) -> float:
    """The objective of the allocation by the instance's own numbers; fails if it breaks a constraint."""
    rate, budget, weights = case["arrival_rate_rps"], case["budget_cores"], case["weights"]
    known = {variant["name"]: variant for variant in case["variants"]}
    assert sum(found.quota_rps.values()) == pytest.approx(rate, rel=1e-9)
    assert sum(found.cores.values()) <= budget
    for name, cores in found.cores.items():
        assert cores >= case["min_cores_per_variant"]
        assert found.quota_rps[name] <= known[name]["capacity_rps_by_cores"][cores] * (1 + 1e-9)
    changed = [name for name, cores in found.cores.items() if case["previous_cores"].get(name, 0) != cores]
    loading = max((known[name]["load_time_s"] for name in changed), default=0.0)
    accuracy = sum(quota / rate * known[name]["accuracy"] for name, quota in found.quota_rps.items())
    cost = weights["alpha_resource"] * sum(found.cores.values()) / budget
    longest = max(variant["load_time_s"] for variant in case["variants"])
    return float(accuracy - cost - weights["beta_loading"] * loading / longest)


@exact
def test_every_set_of_variants_gets_its_known_optimum(golden: Path, solver: str) -> None:
    wrong = []
    for case in cases(golden, "infadapter"):
        problem = infadapter_problem(case)
        solution = solve(problem, solver)
        if not is_as_known(case, solution, case["answer"]):
            wrong.append((case["id"], solution.status, solution.objective, case["answer"].get("objective")))
        elif solution.status == "optimal":
            found = infadapter.allocation(problem, solution)
            assert same(infadapter_objective(case, found), case["answer"]["objective"]), case["id"]
    assert not wrong


def second_of(case: Case) -> sponge.Second:
    return sponge.Second(
        rate_rps=case["arrival_rate_rps"], slo_ms=case["slo_ms"], remaining_slo_ms=case["remaining_slo_ms"]
    )  # fmt: skip


def sponge_limits(case: Case, needs_throughput: bool = True) -> sponge.Limits:
    return sponge.Limits(
        cores=case.get("max_cores", 1),
        batch=case["max_batch"],
        headroom=case["headroom_multiplier"],
        delta=case.get("delta", 1e-3),
        needs_throughput=needs_throughput,
    )


def fitted(case: Case) -> Coefficients:
    return Coefficients(**{name: case["fit"][name] for name in "gdeh"})


def test_least_squares_gives_the_known_coefficients(golden: Path) -> None:
    for case in cases(golden, "sponge"):
        points = case["measured_points"]
        columns = [[point[key] for point in points] for key in ("batch", "cores", "latency_ms")]
        found = sponge.fit(*columns)
        for name in "gdeh":
            assert getattr(found, name) == pytest.approx(case["fit"][name], rel=1e-6), (case["id"], name)


@pytest.mark.parametrize(("answer", "needs"), [("answer_ip", True), ("answer_ip_without_throughput", False)])
@pytest.mark.parametrize("solver", ["grid", *EXACT])
def test_every_second_gets_its_known_optimum(golden: Path, solver: str, answer: str, needs: bool) -> None:
    wrong = []
    for case in cases(golden, "sponge"):
        curve, second, limits = fitted(case), second_of(case), sponge_limits(case, needs)
        if solver == "grid":
            decision = sponge.decide(curve, second, limits)
            picked = None if decision is None else (decision.cores, decision.batch)
        else:
            problem = sponge.problem(curve, second, limits)
            solution = solve(problem, solver)
            used = [column for column, count in zip(problem.columns, solution.replicas_J, strict=False) if count]
            picked = (used[0].cores, used[0].batch) if used else None
        truth = case[answer]
        objective = None if picked is None else picked[0] + case["delta"] * picked[1]
        if (objective is not None) != truth["feasible"]:
            wrong.append((case["id"], picked, truth))
        elif picked is not None and objective is not None:
            latency_ms = float(curve.latency(picked[1], picked[0]))
            room_ms = case["remaining_slo_ms"] - (1 - case["headroom_multiplier"]) * case["slo_ms"]
            assert 0 < ceil(case["arrival_rate_rps"] / picked[1]) * latency_ms <= room_ms * (1 + 1e-9)
            assert not needs or 1e3 * picked[1] / latency_ms >= case["arrival_rate_rps"] * (1 - 1e-9)
            if not same(objective, truth["objective"]):
                wrong.append((case["id"], picked, truth))
    assert not wrong


def test_the_published_rule_of_sponge_decides_as_known(golden: Path) -> None:
    for case in cases(golden, "sponge"):
        found = sponge.decide_as_published(fitted(case), second_of(case), sponge_limits(case))
        truth = case["answer_lexicographic"]
        assert (found is not None) == truth["feasible"], case["id"]
        if found is not None:
            answer = (truth["cores"], truth["batch"], truth["latency_ms_truncated"])
            assert (found.cores, found.batch, found.latency_ms) == answer, case["id"]


def test_recorded_decisions_of_fa2_are_reproduced(golden: Path) -> None:
    decided = 0
    for case in cases(golden, "sponge_fa2_recorded"):
        limits, instances = sponge_limits(case), case["max_instances"]
        found = sponge.decide_fa2_as_published(fitted(case), second_of(case), limits, most_instances=instances)
        if found is None:  # the running system kept what it had
            assert case["remaining_slo_ms"] in (297, 434), case["id"]
            continue
        decided += 1
        recorded = (case["recorded"]["instances"], case["recorded"]["batch"])
        assert (found.instances, found.batch) == recorded, case["id"]
    assert decided


def test_base_allocations_are_as_known(golden: Path) -> None:
    for case in cases(golden, "ipa_base_allocation"):
        variants = [
            base_allocation.Variant(
                name=variant["name"],
                accuracy=variant["accuracy"],
                points=tuple(base_allocation.Point(**point) for point in variant["profile"]),
            )
            for variant in case["variants"]
        ]
        demand = base_allocation.Demand(
            threshold_rps=case["threshold_rps"], slo_s=case["stage_sla_s"], throughput_margin=margin_left(case)
        )
        assert base_allocation.stage_slo_s(variants, case["sla_factor_total"]) == pytest.approx(demand.slo_s, abs=1e-6)
        assert base_allocation.fewest_cores(variants, demand) == case["smallest_sufficient"], case["id"]
        assert base_allocation.cores_as_published(variants, demand) == case["ipa_code"], case["id"]


def margin_left(case: Case) -> float:
    """The margin, if the throughputs are still as measured: then single requests are served one after the other."""
    margin = 1 + case["throughput_margin_pct"] / 100
    first = min(case["variants"][0]["profile"], key=lambda point: (point["batch"], point["cores"]))
    served = first["throughput_rps"] * first["latency_s"]
    return margin if abs(served - 1) <= abs(served - margin) else 1.0
