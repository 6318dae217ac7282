"""The mixed-integer linear program that chooses one option of every stage, as arrays.

Variables: y[s,o] whether stage s takes option o, L the loading time, and where accuracies multiply z[s,o], the product
of the accuracies before stage s if it takes option o, else 0. Mixtures of columns are options like any other, so a
product of mixed accuracies is linear too.

Axes: S stages, O options, D resources, V variables, C constraints, X non-zero coefficients.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ttamer.planning.linear import LinearProgram
from ttamer.planning.options import StageOptions
from ttamer.profiles.records import Floats

Terms = list[tuple[int, float]]


def option_program(stages: Sequence[StageOptions], weight: float, loading_weight: float) -> LinearProgram:
    """The program of stages of which none is without options. weight: of the product of accuracies, 0 without."""
    sizes = [len(options.picks) for options in stages]
    first = np.concatenate([[0], np.cumsum(sizes)]).tolist()
    count = first[-1]
    has_load = loading_weight > 0 and any(options.load_s_O.any() for options in stages)
    names = [f"y[{s},{o}]" for s, size in enumerate(sizes) for o in range(size)]
    rows = _Rows()
    for s, options in enumerate(stages):
        rows.add([(first[s] + o, 1.0) for o in range(sizes[s])], 1.0, 1.0)
        if has_load:
            rows.add([*((first[s] + o, load_s) for o, load_s in enumerate(options.load_s_O.tolist())), (count, -1.0)])
    for d in range(stages[0].use_OD.shape[1]):
        rows.add(
            [(first[s] + o, use) for s, one in enumerate(stages) for o, use in enumerate(one.use_OD[:, d].tolist())],
            upper=1.0,
        )
    gain_V = -np.concatenate([options.penalty_O for options in stages])
    if has_load:
        names.append("L")
        gain_V = np.append(gain_V, -loading_weight)
    if weight > 0:
        start = len(names)
        names += [f"z[{s},{o}]" for s, size in enumerate(sizes) for o in range(size)]
        for terms, lower, upper in _products(stages, first, start):
            rows.add(terms, lower, upper)
        gain_V = np.concatenate([gain_V, np.zeros(count - sizes[-1]), weight * stages[-1].factor_O])
    is_whole_V = np.arange(len(names)) < count
    return LinearProgram(
        names_V=tuple(names), gain_V=gain_V, most_V=np.where(is_whole_V, 1.0, np.inf), is_whole_V=is_whole_V,
        start_C=np.array(rows.start, dtype=np.int64), variable_X=np.array(rows.variable, dtype=np.int64),
        value_X=np.array(rows.value), lower_C=np.array(rows.lower), upper_C=np.array(rows.upper),
    )  # fmt: skip


def chosen_options(stages: Sequence[StageOptions], value_V: Floats) -> list[int]:
    """The option of each stage in the answer of a solver."""
    ends = np.cumsum([len(options.picks) for options in stages])
    return [int(np.argmax(part)) for part in np.split(value_V[: ends[-1]], ends[:-1])]


def _products(
    stages: Sequence[StageOptions], first: Sequence[int], start: int
) -> Iterator[tuple[Terms, float, float]]:  # fmt: skip
    """Σ_o z_{s,o} = Σ_o factor_o z_{s−1,o}, which is 1 before the first stage, and z_{s,o} ≤ most_{s−1} y_{s,o}."""
    most, before = 1.0, Terms()
    for s, options in enumerate(stages):
        here = [(start + first[s] + o, 1.0) for o in range(len(options.picks))]
        known = 0.0 if s else 1.0
        yield here + before, known, known
        for o, (number, _) in enumerate(here):
            yield [(number, 1.0), (first[s] + o, -most)], -np.inf, 0.0
        before = [(number, -factor) for (number, _), factor in zip(here, options.factor_O.tolist(), strict=True)]
        most *= float(options.factor_O.max())


@dataclass(slots=True)
class _Rows:
    """Constraints by row, as they come."""

    start: list[int] = field(default_factory=lambda: [0])
    variable: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    lower: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)

    def add(self, terms: Terms, lower: float = -np.inf, upper: float = 0.0) -> None:
        """One more."""
        for variable, value in terms:
            if value:
                self.variable.append(variable)
                self.value.append(value)
        self.start.append(len(self.variable))
        self.lower.append(lower)
        self.upper.append(upper)
