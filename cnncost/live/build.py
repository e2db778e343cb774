"""A graph as a torch.nn.Module, layer by layer as the graph runs it."""

from __future__ import annotations

from typing import Any

import torch

from cnncost.errors import UsageError
from cnncost.graph import Graph


class Network(torch.nn.Module):
    """The module of a graph.

    layers: the graph's nodes as modules, in order; `names` are the nodes' names, which torch would
    not take for children. forward takes the graph's inputs in order and returns its output, or a
    dict of outputs by name where there are several.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.inputs = tuple(graph.inputs)
        self.outputs = graph.outputs
        self.names = tuple(node.name for node in graph.nodes)
        self.wires = tuple(node.inputs for node in graph.nodes)
        self.layers = torch.nn.ModuleList()
        shapes = graph.shapes
        for node in graph.nodes:
            self.layers.append(node.op.module(torch, *(shapes[name] for name in node.inputs)))
        self._shared = tuple((node.name, node.shares) for node in graph.nodes if node.shares is not None)
        self.tie()
        last = {name: i for i, wires in enumerate(self.wires) for name in wires}
        self._done = tuple(
            tuple(name for name in set(wires) if last[name] == i and name not in self.outputs)
            for i, wires in enumerate(self.wires)
        )

    def forward(self, *tensors: torch.Tensor) -> Any:
        """Run the layers; an intermediate result is let go after its last use."""
        if len(tensors) != len(self.inputs):
            raise TypeError(f"{len(self.inputs)} inputs wanted ({', '.join(self.inputs)}), got {len(tensors)}")
        alive: dict[str, Any] = dict(zip(self.inputs, tensors))
        for name, wires, module, done in zip(self.names, self.wires, self.layers, self._done):
            alive[name] = module(*(alive[wire] for wire in wires))
            for wire in done:
                del alive[wire]
        outputs = {name: alive[name] for name in self.outputs}
        return outputs if len(outputs) > 1 else next(iter(outputs.values()))

    def tie(self) -> None:
        """Let layers that reuse parameters have those of their owner: torch unties them where it makes new ones."""
        for name, owner in self._shared:
            _tie(self.layer(name), self.layer(owner))

    def layer(self, name: str) -> torch.nn.Module:
        """The module of a node. Raises KeyError."""
        if name not in self.names:
            raise KeyError(name)
        module: torch.nn.Module = self.layers[self.names.index(name)]
        return module


def _tie(module: torch.nn.Module, owner: torch.nn.Module) -> None:
    """Give a module the parameters and buffers of another one of the same make."""
    parts = dict(module.named_modules())
    for path, part in owner.named_modules():
        for name, parameter in part.named_parameters(recurse=False):
            setattr(parts[path], name, parameter)
        for name, buffer in part.named_buffers(recurse=False):
            setattr(parts[path], name, buffer)


def build(graph: Graph, *, device: Any = "cpu", initialise: bool = True) -> Network:
    """The module of a graph, in training mode as torch's own modules begin.

    device: where its parameters are; "meta" allocates nothing. initialise: False leaves the
    parameters as the memory was, which saves most of the time that a large network takes. Raises
    UsageError for a graph over arrays of sizes, which is no one network.
    """
    if any(type(n) is not int for shape in graph.shapes.values() for n in shape):
        raise UsageError("a graph over arrays is no one network", hint="load it at one design point")
    if initialise:
        with torch.device(device):
            return Network(graph)
    with torch.device("meta"):
        network = Network(graph)
    if torch.device(device).type != "meta":
        network.to_empty(device=device)
        network.tie()
    return network
