"""The frontier of a model's exit policies: those that no mixture of others beats in accuracy and mean time.

Found on validation records, reported on test records too. Between two neighbours lies what their mixtures reach.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from ttamer.exits.choosing import hull
from ttamer.exits.evaluate import Evaluated, FittedPolicy, Outcome, evaluate_all, fit_candidates, refuse_overlap
from ttamer.exits.policies.last_exit import LastExit
from ttamer.exits.policies.protocol import ExitCosts
from ttamer.profiles.documents import envelope, write_table
from ttamer.profiles.plan import PolicySpec
from ttamer.profiles.provenance import Provenance
from ttamer.profiles.records import ExitRecords
from ttamer.profiles.schema import Document

FORMAT, VERSION = "policy-frontier", 1


class OnRecords(Document):
    """What a policy did on one split: accuracy with its 95 % interval, share of the last exit's answers, mean seconds.

    recalled: share answered by an exit before the one that stopped. drop: accuracy lost against the last exit.
    """

    accuracy: float
    accuracy_low: float
    accuracy_high: float
    agreement: float
    recalled: float
    drop: float
    mean_s: float


class Vertex(Document):
    """A policy on the frontier. saved: mean time saved on validation records, a share of the last exit's."""

    policy: PolicySpec
    saved: float
    validation: OnRecords
    test: OnRecords


class Frontier(Document):
    """The frontier of one model, fastest first, and the last exit beside it.

    settings: how many candidates of how many kinds there were.
    """

    model: str
    dataset: str
    kinds: tuple[str, ...]
    settings: int
    calibration_samples: int
    validation_samples: int
    test_samples: int
    last_exit: Vertex
    vertices: tuple[Vertex, ...]


def frontier(
    kinds: Sequence[str], calibration: ExitRecords, validation: ExitRecords, test: ExitRecords, costs: ExitCosts
) -> Frontier:
    """The frontier of policies of these kinds, fitted on calibration records.

    Raises InputError on an unknown kind and on records that share samples or do not fit the costs.
    """
    refuse_overlap(calibration, validation, test)
    last = FittedPolicy(LastExit(), calibration.model)
    candidates = [last, *(one for one in fit_candidates(kinds, calibration, costs) if one.kind != LastExit.kind)]
    evaluated = evaluate_all(candidates, validation, costs)
    kept = hull(evaluated)
    shown = [evaluated[0], *kept]
    tested = evaluate_all([one.fitted for one in shown], test, costs)
    vertices = [
        _vertex(one, on_test, shown[0], tested[0], validation) for one, on_test in zip(shown, tested, strict=True)
    ]
    return Frontier(
        model=calibration.model,
        dataset=validation.dataset,
        kinds=tuple(kinds),
        settings=len(candidates),
        calibration_samples=calibration.samples,
        validation_samples=validation.samples,
        test_samples=test.samples,
        last_exit=vertices[0],
        vertices=tuple(vertices[1:]),
    )


def _vertex(
    one: Evaluated, on_test: Evaluated, last: Evaluated, last_on_test: Evaluated, validation: ExitRecords
) -> Vertex:
    assert one.outcome.mean_s is not None
    assert last.outcome.mean_s is not None
    return Vertex(
        policy=one.fitted.chosen(validation).to_spec(),
        saved=1 - one.outcome.mean_s / last.outcome.mean_s,
        validation=_on(one.outcome, last.outcome),
        test=_on(on_test.outcome, last_on_test.outcome),
    )


def _on(outcome: Outcome, last: Outcome) -> OnRecords:
    return OnRecords(
        accuracy=outcome.accuracy,
        accuracy_low=outcome.low,
        accuracy_high=outcome.high,
        agreement=outcome.agreement,
        recalled=outcome.recall_share,
        drop=last.accuracy - outcome.accuracy,
        mean_s=outcome.mean_s or 0.0,
    )


def write_vertices(path: Path, found: Frontier, provenance: Provenance) -> None:
    """Write the vertices as Parquet, a row each; policies as JSON, which `ttamer profile --policy` reads."""
    rows = [
        {"kind": one.policy.kind, "saved": one.saved, "policy": json.dumps(one.policy.model_dump(mode="json"))}
        | {f"validation_{name}": value for name, value in one.validation.model_dump().items()}
        | {f"test_{name}": value for name, value in one.test.model_dump().items()}
        for one in found.vertices
    ]
    header = envelope(FORMAT, VERSION, provenance) | found.model_dump(mode="json", exclude={"vertices", "last_exit"})
    write_table(path, pa.Table.from_pylist(rows), header)
