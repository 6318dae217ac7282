"""The exit policies by kind. A new one is a file in this folder and a line here."""

from ttamer.exits.policies.dynamic_index import DynamicIndex
from ttamer.exits.policies.fixed_exit import FixedExit
from ttamer.exits.policies.last_exit import LastExit
from ttamer.exits.policies.no_recall import NoRecall
from ttamer.exits.policies.protocol import Policy
from ttamer.exits.policies.record_recall import RecordRecall
from ttamer.exits.policies.threshold import ConfidenceThreshold

POLICIES: dict[str, type[Policy]] = {
    "last-exit": LastExit,
    "fixed-exit": FixedExit,
    "confidence-threshold": ConfidenceThreshold,
    "dynamic-index": DynamicIndex,
    "no-recall": NoRecall,
    "record-recall": RecordRecall,
}
