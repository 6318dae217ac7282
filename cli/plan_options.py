"""The choices of `ttamer plan`, and the panels in which its help shows its options."""

from enum import StrEnum


class RiskOf(StrEnum):
    """What a guarantee rules out."""

    DISAGREEMENT = "disagreement"
    HARM = "harm"
    ERROR = "error"


class Objective(StrEnum):
    """What a plan is made for."""

    WEIGHTED = "weighted"
    ACCURACY = "accuracy"
    COST = "cost"
    LATENCY = "latency"


PANELS = {
    "Accuracy and exits": "accuracy_floor max_drop mean_latency risk confidence risk_of policies",
    "What it may use": "objective device cores devices price budget memory mix base_allocation cost_weight headroom "
    "interpolate current",
    "Network": "network network_trace request_size",
    "Solving and checking": "solver time_limit gap pareto verify_by_simulation verify_arrivals verify_clock",
}
