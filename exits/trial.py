"""Real samples through a model that exits, beside the whole model: what a trial of the runtime answers.

Axes: N samples, B batch, T tokens.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ttamer.exits.cascade import CascadeModel
from ttamer.exits.datasets import open_source
from ttamer.exits.evaluate import FittedPolicy
from ttamer.exits.heads import State
from ttamer.exits.loading import load
from ttamer.exits.preparation import Preparation, prepare, sized
from ttamer.exits.runtime import ExitingModel
from ttamer.exits.source import DataSource
from ttamer.exits.staged import StagedModel
from ttamer.profiles.errors import InputError
from ttamer.profiles.plan import PolicySpec
from ttamer.profiles.records import ExitRecords, Ints

EXITING, WHOLE = "exiting", "whole"


class ExitTrial:
    """Samples ready on the device, answered with exits or by the whole model.

    number_N: the samples' numbers. inputs: the input state of all of them.
    """

    ways: Sequence[str] = (EXITING, WHOLE)

    def __init__(self, model: ExitingModel, number_N: Ints, inputs: State) -> None:
        self._model, self._number_N, self._inputs = model, number_N, inputs

    def batches(self, batch: int) -> int:
        """How many full batches of that size there are."""
        return len(self._number_N) // batch

    def run(self, way: str, batch: int, index: int) -> Any:
        """The answers to one batch, or the whole model's logits."""
        rows = slice(index * batch, (index + 1) * batch)
        state = tuple(part[rows] for part in self._inputs)
        if way == WHOLE:
            return self._model.staged.run_whole(state)
        return self._model(*state, numbers=self._number_N[rows])

    def report(self) -> Mapping[str, Any]:
        """Stop, answering exit and prediction of every sample, each answered by itself."""
        answers = [self.run(EXITING, 1, index) for index in range(len(self._number_N))]
        return {
            "stop": [one.stop_B[0] for one in answers],
            "answer": [one.answer_B[0] for one in answers],
            "prediction": [int(one.prediction_B[0]) for one in answers],
        }


def prepare_trial(
    *,
    models: Sequence[Mapping[str, Any]],
    policy: Mapping[str, Any],
    data: str,
    samples: Sequence[int],
    resize: bool,
    device: str,
) -> ExitTrial:
    """The trial of a model, or of several as a cascade, under a policy as it stands in a plan.

    models: the arguments of `load` for each. samples: numbers of the samples in the data source. Texts are padded to
    the length the model was measured at. Raises InputError if the source cannot feed the models, or not all alike.
    """
    members = [load(**model, device=device) for model in models]
    fitted = FittedPolicy.from_spec(PolicySpec.parse(policy, "the policy"))
    source, number_N = open_source(data), np.asarray(samples, dtype=np.int64)
    preparations = [prepare(member, source, resize=resize) for member in members]
    shape = members[0].spec.input_shape
    inputs, *others = [_inputs(preparation, source, number_N, shape) for preparation in preparations]
    for member, other in zip(members[1:], others, strict=True):
        _require_alike(members[0], inputs, member, other)
    staged = members[0] if len(members) == 1 else CascadeModel(members)
    return ExitTrial(ExitingModel(staged, fitted.policy), number_N, tuple(part.to(device) for part in inputs))


def _require_alike(first: StagedModel, inputs: State, other: StagedModel, its_inputs: State) -> None:
    if any(one.shape != two.shape or not torch.equal(one, two) for one, two in zip(inputs, its_inputs, strict=True)):
        raise InputError(
            f"{first.spec.name!r} and {other.spec.name!r} read the same samples differently",
            remedy="join models with the same tokenizer, or the same image size and normalisation",
        )


def _inputs(preparation: Preparation, source: DataSource, number_N: Ints, shape: tuple[int, ...]) -> State:
    states = [preparation.state(source, rows) for rows in sized(number_N, preparation.batch)]
    if len(shape) == 1:
        states = [tuple(_padded(part, shape[0]) for part in state) for state in states]
    return tuple(torch.cat(parts) for parts in zip(*states, strict=True))


def _padded(part_BT: Tensor, tokens: int) -> Tensor:
    return functional.pad(part_BT, (0, tokens - part_BT.shape[1]))


def recorded_samples(source: DataSource, records: ExitRecords, count: int, *, seed: int) -> Ints:
    """The places in the records of that many samples, drawn at random; all of them if there are no more.

    Raises InputError if the records were not made from this source.
    """
    message = f"{source.name!r} is not the data that the {records.split} records of {records.model!r} were made from"
    remedy = f"give the data of the fit ({records.dataset}), or fit again"
    if records.sample_N.max() >= len(source.label_N):
        raise InputError(message, remedy=remedy)
    # A model may number named classes in another order than the source does: one label each is all there is to ask.
    pairs = set(zip(source.label_N[records.sample_N].tolist(), records.label_N.tolist(), strict=True))
    if len(pairs) != len({ours for ours, _ in pairs}) or len(pairs) != len({theirs for _, theirs in pairs}):
        raise InputError(message, remedy=remedy)
    return np.random.default_rng(seed).permutation(records.samples)[:count]
