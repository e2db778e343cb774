"""A graph as a torch.nn.Module, layer by layer as the graph runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from cnncost.dims import is_array
from cnncost.errors import UsageError, did_you_mean
from cnncost.graph import Graph


class Network(torch.nn.Module):
    """The module of a graph.

    layers: the graph's nodes as modules, in order; `names` are the nodes' names, which torch would
    not take for children. forward takes the graph's inputs in order and returns its output, or a
    dict of outputs by name where there are several. Layers that reuse parameters have those of their
    owner, also after to() and to_empty().
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
        self._places = {name: i for i, name in enumerate(self.names)}
        self._shared = tuple((node.name, node.shares) for node in graph.nodes if node.shares is not None)
        self._tie()
        last = {name: i for i, wires in enumerate(self.wires) for name in wires}
        self._done = tuple(
            tuple(name for name in set(wires) if last[name] == i and name not in self.outputs)
            for i, wires in enumerate(self.wires)
        )

    def forward(self, *tensors: torch.Tensor) -> Any:
        """Run the layers; an intermediate result is let go after its last use."""
        return self.run(tensors)

    def run(self, tensors: Sequence[torch.Tensor], each: Callable[[], object] | None = None) -> Any:
        """The same. each: called after every layer, when what it was the last to use is let go."""
        if len(tensors) != len(self.inputs):
            raise TypeError(f"{len(self.inputs)} inputs wanted ({', '.join(self.inputs)}), got {len(tensors)}")
        alive: dict[str, Any] = dict(zip(self.inputs, tensors))
        for name, wires, module, done in zip(self.names, self.wires, self.layers, self._done):
            alive[name] = module(*(alive[wire] for wire in wires))
            for wire in done:
                del alive[wire]
            if each is not None:
                each()
        outputs = {name: alive[name] for name in self.outputs}
        return outputs if len(outputs) > 1 else next(iter(outputs.values()))

    def layer(self, name: str) -> torch.nn.Module:
        """The module of a node. Raises KeyError with the nearest name."""
        if name not in self._places:
            raise KeyError(f"no layer {name}: {did_you_mean(name, self.names)}")
        module: torch.nn.Module = self.layers[self._places[name]]
        return module

    def _apply(self, *args: Any, **kwargs: Any) -> Any:
        """What to(), to_empty(), half() and the like do; torch unties parameters where it makes new ones."""
        super()._apply(*args, **kwargs)  # type: ignore[no-untyped-call]
        self._tie()
        return self

    def _tie(self) -> None:
        for name, owner in self._shared:
            for (part, key), (other, same) in zip(_held(self.layer(name)), _held(self.layer(owner)), strict=True):
                setattr(part, key, getattr(other, same))


def _held(module: torch.nn.Module) -> list[tuple[torch.nn.Module, str]]:
    """The parameters and buffers of a module, in order: for each the part that holds it, and its name there.

    Two layers that share them may be of different parts, where their inputs need different padding.
    """
    return [
        (part, name)
        for part in module.modules()
        for held in (part.named_parameters(recurse=False), part.named_buffers(recurse=False))
        for name, _ in held
    ]


def build(graph: Graph, *, device: Any = "cpu", initialise: bool = True) -> Network:
    """The module of a graph, in training mode as torch's own modules begin.

    device: where its parameters are; "meta" allocates nothing. initialise: False leaves parameters
    and statistics as the memory was, which saves most of the time that a large network takes. Raises
    UsageError for a graph over arrays of sizes, which is no one network, and for a graph without
    layers or with traced operators that the language has no layer for.
    """
    if not graph.nodes:
        raise UsageError(f"{graph.name} has no layers to build")
    if _swept(graph):
        raise UsageError("a graph over arrays is no one network", hint="load it at one design point")
    if initialise:
        with torch.device(device):
            return Network(graph)
    with torch.device("meta"):
        network = Network(graph)
    return network if torch.device(device).type == "meta" else network.to_empty(device=device)


def _swept(graph: Graph) -> bool:
    """Whether any size or option is an array: an entry for each design point."""
    sizes = (n for shape in graph.shapes.values() for n in shape)
    options = (value for op in {id(node.op): node.op for node in graph}.values() for value in vars(op).values())
    return any(map(is_array, sizes)) or any(map(_holds_array, options))


def _holds_array(value: Any) -> bool:
    return any(map(_holds_array, value)) if isinstance(value, tuple) else is_array(value)
