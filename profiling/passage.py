"""A batch on its way through a model, part by part: every part finds what the part before it has just left.

Timed again and again on inputs kept aside, parts find other caches than in a model that runs. On one core of a virtual
AMD EPYC resnet20's stages at batch 8 took 5 % longer so than the whole model, and where each had just run untimed they
let a model that exits expect 5 to 8 % less than it took. In passing they took 1 to 3 % less than the whole.
"""

from typing import Any

from ttamer.profiling.target import Target


class Passage:
    """One batch and how far it has come. It holds one state at a time, as a model that runs does."""

    def __init__(self, target: Target, example: Any) -> None:
        self._target, self._example = target, example
        self._states = {0: example}  # by how many stages they have behind them

    def come_to(self, stages: int) -> None:
        """Hold the state that has so many stages behind it, and no other; stages that were left out are run."""
        behind = max((passed for passed in self._states if passed <= stages), default=0)
        state = self._states.get(behind, self._example)
        for k in range(behind, stages):
            state = self._target.run_stage(k, state)
        self._states = {stages: state}

    def run_stage(self, k: int) -> None:
        """Run stage k on the state that has come to it."""
        self._states[k + 1] = self._target.run_stage(k, self._states[k])

    def ask_head(self, k: int) -> Any:
        """Ask head k about the state that has come through stage k."""
        return self._target.ask_head(k, self._states[k + 1])
