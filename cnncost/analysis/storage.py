"""Who owns which storage: views and what works in place share one, and each lives from a first layer to a last.

Nothing here depends on sizes: order, sharing and last use are structure, so that one walk serves one
network and arrays of design points alike.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from cnncost.analysis.layout import copying
from cnncost.dims import Size, numel
from cnncost.graph import Graph, Node
from cnncost.ops.base import Op
from cnncost.ops.seen import Seen

BEFORE = -1
"""The step at which the inputs of the network are there: before the first layer."""


class Storage(NamedTuple):
    """The memory of one tensor, and of all that share it.

    owner: the input or the layer whose output it first was. elements: of the whole storage. born:
    index of the layer that makes it, BEFORE for an input. dies: index of the last layer that needs
    it; one more than the last layer's for what the caller holds, inputs and outputs of the network.
    itemsize: bytes of an element; None is the network's dtype.
    """

    owner: str
    elements: Size
    born: int
    dies: int
    itemsize: int | None = None

    def bytes(self, element_bytes: int) -> Size:
        """Its bytes. element_bytes: of the network's dtype."""
        return self.elements * (self.itemsize or element_bytes)


class Storages(NamedTuple):
    """All storages of a network in the order in which they appear, and which one an input or layer is in.

    of: index by name; None for tensors that the model itself holds, as parameters that are inputs.
    copied: layers that copy some of their inputs while they run, for these lie as they cannot take them.
    """

    all: tuple[Storage, ...]
    of: dict[str, int | None]
    copied: dict[str, tuple[int, ...]]

    def alive(self, step: int) -> tuple[int, ...]:
        """Indices of the storages that are there while a layer runs, its inputs and its output among them."""
        return tuple(i for i, storage in enumerate(self.all) if storage.born <= step <= storage.dies)


def storages(graph: Graph, training: bool = False) -> Storages:
    """The storages of a graph's activations. training: as in training, where dropout makes a tensor of its own.

    As eager PyTorch does it: a tensor goes when the last layer that takes it has run, which is after
    that layer's output came; of a traced model, when the model let go of it. The caller holds the
    network's inputs.
    """
    of: dict[str, int | None] = {}
    owners: list[tuple[str, Size, int]] = []
    dies: list[int] = []
    end, copies = len(graph.nodes), copying(graph)

    def appear(name: str, elements: Size, step: int) -> None:
        of[name] = len(owners)
        owners.append((name, elements, step))
        dies.append(step)

    for name, shape in graph.inputs.items():
        appear(name, numel(shape), BEFORE)
        dies[-1] = end
    for step, node in enumerate(graph.nodes):
        if _held_by_model(node):
            of[node.name] = None
            continue
        shares = node.op.shares_in_training if training else node.op.shares_storage
        if shares and copies.pop(node.name, None) is None:
            of[node.name] = of[node.inputs[0]]
        else:
            appear(node.name, numel(node.shape), step)
        for name in (*node.inputs, node.name):
            index = of[name]
            if index is not None and dies[index] < step:
                dies[index] = step
    for name, last in _held_longer(graph):
        index = of[name]
        if index is not None and dies[index] < last:
            dies[index] = last
    sizes = graph.itemsizes
    return Storages(tuple(Storage(*o, last, sizes.get(o[0])) for o, last in zip(owners, dies)), of, copies)


def _held_longer(graph: Graph) -> list[tuple[str, int]]:
    """Layers whose outputs may be held beyond the last layer that takes them, and up to which layer."""
    end = len(graph.nodes)
    if graph.held is None:
        return [(name, end) for name in graph.outputs]
    at = {node.name: step for step, node in enumerate(graph.nodes)}
    return [(name, end if last is None else at[last]) for name, last in graph.held.items()]


def out_of_place(graph: Graph) -> Graph:
    """The same network, but no layer works in place: each has an output of its own."""
    nodes = tuple(
        Node(n.name, _out_of_place(n.op), n.inputs, n.shape, where=n.where, shares=n.shares)
        if getattr(n.op, "inplace", False)
        else n
        for n in graph.nodes
    )
    return replace(graph, nodes=nodes)


def _out_of_place(op: Op) -> Op:
    copy = object.__new__(type(op))
    copy.__dict__.update(op.__dict__, inplace=False)  # some hold what is no option
    return copy


def _held_by_model(node: Node) -> bool:
    """Whether a node of a traced model is no layer but a tensor of the model: a parameter, a buffer."""
    return isinstance(node.op, Seen) and node.op.source
