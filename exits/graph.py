"""Where a torch module can be cut: its operations in order, traced without running it."""

import torch.fx
from torch import nn

from ttamer.exits.apparate.positions import feasible_positions
from ttamer.profiles.errors import InputError


def traced_positions(model: nn.Module) -> list[str]:
    """The operations behind which a head can see all that the rest of the model goes by, by their names in the trace.

    Names are those of torch.fx: `layer1_0_relu_1` is the second use of `layer1.0.relu`.
    Raises InputError for a module whose course depends on the values it computes, which cannot be traced.
    """
    try:
        nodes = list(torch.fx.symbolic_trace(model).graph.nodes)
    except (torch.fx.proxy.TraceError, TypeError) as error:
        raise InputError(
            f"{type(model).__name__} cannot be traced: {error}", remedy="cut it into stages by hand (exits/families)"
        ) from None
    inputs = [node for node in nodes if node.op == "placeholder"]
    number = {node: place for place, node in enumerate(nodes, 1)}  # 0 stands before all inputs
    edges = [(0, number[node]) for node in inputs]
    edges += [(number[tail], number[node]) for node in nodes for tail in node.all_input_nodes]
    found = feasible_positions(len(nodes) + 1, edges)
    return [nodes[place - 1].name for place in found if nodes[place - 1] not in inputs]
