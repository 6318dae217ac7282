"""The planners that others measured themselves against, by their published rules, on the same problem as ours.

A baseline is a function of a `Problem` that returns a `Solution` over the same columns:

    baseline = lookup(BASELINES, "fa2-low", "baseline")
    solution = baseline(problem)
    marks = score(problem, solution.replicas_J, solution.share_J)      # ttamer.planning.choice

`status` is `infeasible` if the rule finds nothing, else `feasible` (the rule was followed, nothing is proven about the
problem). A rule may break limits of the problem it does not know of: `score(...).broken` says which. Columns are told
apart by `name`, the variant; what a rule needs beyond the problem has a default and can be given by keyword.
"""

from collections.abc import Callable

from ttamer.planning.baselines.fa2_high import fa2_high
from ttamer.planning.baselines.fa2_low import fa2_low
from ttamer.planning.baselines.ms_plus import ms_plus
from ttamer.planning.baselines.rim import rim
from ttamer.planning.baselines.static import static
from ttamer.planning.baselines.vpa_plus import vpa_plus
from ttamer.planning.problem import Problem, Solution

Baseline = Callable[[Problem], Solution]

BASELINES: dict[str, Baseline] = {
    "fa2-low": fa2_low,
    "fa2-high": fa2_high,
    "rim": rim,
    "ms-plus": ms_plus,
    "vpa-plus": vpa_plus,
    "static": static,
}
