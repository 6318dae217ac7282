"""The exit policies by kind. A new one is a file in this folder and a line here.

POLICIES can be served. OFFERED and OFFERED_TO_CASCADES are those that a plan tries for a single model and for several
unless its service names others. ORACLES look at what no server knows; they are bounds.
"""

from ttamer.exits.policies.apparate import Apparate
from ttamer.exits.policies.budgeted_batch import BudgetedBatch
from ttamer.exits.policies.cascade_index import CascadeIndex
from ttamer.exits.policies.dynamic_index import DynamicIndex
from ttamer.exits.policies.entropy import EntropyThreshold
from ttamer.exits.policies.first_agreeing import FirstAgreeing
from ttamer.exits.policies.first_correct import FirstCorrect
from ttamer.exits.policies.first_stable import FirstStable
from ttamer.exits.policies.fixed_exit import FixedExit
from ttamer.exits.policies.last_exit import LastExit
from ttamer.exits.policies.most_confident import MostConfident
from ttamer.exits.policies.no_recall import NoRecall
from ttamer.exits.policies.patience import Patience
from ttamer.exits.policies.per_exit_thresholds import PerExitThresholds
from ttamer.exits.policies.protocol import Policy
from ttamer.exits.policies.record_recall import RecordRecall
from ttamer.exits.policies.skippable_index import SkippableIndex
from ttamer.exits.policies.threshold import ConfidenceThreshold

POLICIES: dict[str, type[Policy]] = {
    "last-exit": LastExit,
    "fixed-exit": FixedExit,
    "confidence-threshold": ConfidenceThreshold,
    "dynamic-index": DynamicIndex,
    "no-recall": NoRecall,
    "record-recall": RecordRecall,
    "per-exit-thresholds": PerExitThresholds,
    "entropy": EntropyThreshold,
    "patience": Patience,
    "most-confident": MostConfident,
    "budgeted-batch": BudgetedBatch,
    "skippable-index": SkippableIndex,
    "cascade-index": CascadeIndex,
    "apparate": Apparate,
}

OFFERED = tuple(kind for kind in POLICIES if kind != CascadeIndex.kind)  # on one line that is the dynamic index
# What skipping costs is a single model's: it takes for granted that all stages before a head are run.
OFFERED_TO_CASCADES = tuple(kind for kind in POLICIES if kind != SkippableIndex.kind)

ORACLES: dict[str, type[Policy]] = {
    "oracle-first-correct": FirstCorrect,
    "oracle-first-agreeing": FirstAgreeing,
    "oracle-first-stable": FirstStable,
}
