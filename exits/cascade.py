"""A cascade that runs: several staged models that read the same inputs, with their exits numbered through.

Axes: B batch, K exits of all members, V classes.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from ttamer.exits.heads import State
from ttamer.exits.inference import inferring
from ttamer.exits.staged import StagedModel
from ttamer.profiles.cascade import SEPARATOR, Numbering, join_specs
from ttamer.profiles.profile import ModelSpec


class CascadeModel(nn.Module):
    """Staged models in the order in which they are asked. The first stage of each reads the inputs.

    Raises InputError if they tell other classes apart or read inputs of other shapes.
    """

    def __init__(self, members: Sequence[StagedModel]) -> None:
        super().__init__()
        name = SEPARATOR.join(member.spec.name for member in members)
        self.spec: ModelSpec = join_specs(name, [member.spec for member in members])
        self.members, self.device = nn.ModuleList(members), members[0].device
        numbering = Numbering(tuple(member.exits for member in members))
        self.starts, self.exits = numbering.starts, sum(numbering.sizes)
        self._owners = [(members[place], own) for place, own in map(numbering.place, range(self.exits))]
        self._last = members[-1]

    @inferring
    def example(self, batch: int) -> State:
        """A random valid input."""
        return self._last.example(batch)

    def run_stage(self, k: int, state: State) -> State:
        """The state after stage k: from the inputs if it is a model's first stage, else from the state before it."""
        member, own = self._owners[k]
        return member.run_stage(own, state)

    def run_head(self, k: int, state: State) -> Tensor:
        """Calibrated logits (B, V) of exit k, from the state after stage k."""
        member, own = self._owners[k]
        return member.run_head(own, state)

    def run_whole(self, state: State) -> Tensor:
        """The last model's own logits (B, V)."""
        return self._last.run_whole(state)
