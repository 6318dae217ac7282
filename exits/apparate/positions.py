"""Where ramps can lie: the operations through which everything between input and output passes.

A ramp sees one value; behind an operation that another path bypasses, as inside a residual block, that value does not
hold all that the rest of the model needs.
"""

from collections.abc import Iterable

from ttamer.profiles.errors import InputError

Edge = tuple[int, int]


def feasible_positions(operations: int, edges: Iterable[Edge]) -> list[int]:
    """The operations that lie on every path from the first to the last, both left out.

    Operations are numbered in an order in which each comes after all whose results it takes; an edge leads from one to
    one that takes its result. What leads nowhere or comes from nowhere, as a constant, may be left out of the edges.
    Such an operation is one that no edge leads past: time O(operations + edges).
    Raises InputError for an edge that leads backwards or out of range.

    >>> feasible_positions(5, [(0, 1), (1, 2), (1, 3), (2, 3), (3, 4)])
    [1, 3]
    """
    furthest, wanted = [0] * operations, list(edges)
    for tail, head in wanted:
        if not 0 <= tail < head < operations:
            raise InputError(f"an edge from operation {tail} to {head} of {operations}", remedy="number in order")
    useful = _on_a_path(operations, wanted)
    for tail, head in wanted:
        if tail in useful and head in useful:
            furthest[tail] = max(furthest[tail], head)
    reach, found = 0, []
    for operation in range(operations - 1):
        if operation and operation in useful and reach <= operation:
            found.append(operation)
        reach = max(reach, furthest[operation])
    return found


def _on_a_path(operations: int, edges: list[Edge]) -> set[int]:
    """The operations between the first and the last."""
    before, behind = {0}, {operations - 1}
    for tail, head in sorted(edges):
        if tail in before:
            before.add(head)
    for tail, head in sorted(edges, key=lambda edge: -edge[1]):
        if head in behind:
            behind.add(tail)
    return before & behind
