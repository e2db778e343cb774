"""How much memory a network takes while it runs: what is alive at every layer, the peak and where it is.

The figures are those of eager PyTorch, in bytes as storages hold them. An allocator may round
each of them up, and kernels may take workspace of their own; neither is in here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from cnncost.analysis.dtypes import DTYPES, dtype_name
from cnncost.analysis.storage import BEFORE, Storage, Storages, storages
from cnncost.dims import Size, is_array, larger, numel
from cnncost.graph import Graph, Node
from cnncost.ops.keeping import INDICES

What = Literal[
    "parameters", "buffers", "input", "activation", "saved", "temporary", "gradient",
    "parameter gradient", "optimizer state", "cast weights", "workspace",
]  # fmt: skip
Phase = Literal["forward", "backward", "update"]
UNUSED = "(not used)"
"""Name of what a traced model holds and no layer uses, as heads that are there for training."""
LASTING = ("parameters", "buffers", "parameter gradient", "optimizer state")
"""What is there between two steps of training, too: no activations."""


class Held(NamedTuple):
    """One tensor that is alive, or the parameters of one layer. name: of the layer, or the input."""

    name: str
    what: What
    bytes: Size


class Step(NamedTuple):
    """One layer as it runs.

    alive: bytes at the highest point within it, all included: parameters, buffers, the caller's
    inputs. left: bytes once it has run and what is no longer needed is gone. temporary: those of
    `alive` that the layer takes for itself while it runs.
    """

    layer: str
    phase: Phase
    alive: Size
    left: Size
    temporary: Size = 0


@dataclass(frozen=True)
class Memory:
    """The memory that a network takes at one batch, input and dtype.

    peak: the most bytes alive at once. at: the step of the peak, the first of several. steps: in the
    order in which they run. held: the tensors alive at the peak, parts: their bytes by what they are.
    activation_peak: the most bytes alive at once when parameters, buffers, their gradients and the
    optimizer's state are left out. Over arrays of sizes peaks are at other steps at every design
    point: `at` is None then, and `held` and `parts` are empty.
    """

    dtype: str
    peak: Size
    activation_peak: Size
    at: Step | None
    steps: tuple[Step, ...]
    held: tuple[Held, ...]
    parts: dict[What, Size]


def summary(
    dtype: str, steps: Sequence[Step], lasting: Sequence[Size], held_at: Callable[[int], tuple[Held, ...]]
) -> Memory:
    """The peak of steps. lasting: bytes of each that are no activations. held_at: what is alive at a step, by index."""
    alive = [step.alive for step in steps]
    peak, activations = highest(alive), highest([step - kept for step, kept in zip(alive, lasting)])
    if is_array(peak) or not steps:
        return Memory(dtype, peak, activations, None, tuple(steps), (), {})
    at = alive.index(peak)
    held = held_at(at)
    parts: dict[What, Size] = {}
    for tensor in held:
        parts[tensor.what] = parts.get(tensor.what, 0) + tensor.bytes
    return Memory(dtype, peak, activations, steps[at], tuple(steps), held, parts)


def highest(values: Sequence[Size]) -> Size:
    """The largest of sizes, entry by entry; 0 of none."""
    peak: Size = 0
    for value in values:
        peak = larger(peak, value)
    return peak


# ---- parameters and buffers -------------------------------------------------------------------


def held_by_layers(graph: Graph, element_bytes: int) -> list[Held]:
    """Parameters and buffers, layer by layer. Layers that share parameters count once.

    Norms that keep running statistics count their batches in an int64 beside them.
    """
    shapes, found = graph.shapes, []
    for node in graph.nodes:
        if node.shares is not None:
            continue
        op, x = node.op, [shapes[i] for i in node.inputs]
        parameters = (op.weights(*x) + op.biases(*x) + op.other_params(*x)) * element_bytes
        buffers = op.buffers(*x) * element_bytes + op.counters(*x) * INDICES
        sizes: tuple[tuple[What, Size], ...] = (("parameters", parameters), ("buffers", buffers))
        found += [Held(node.name, what, size) for what, size in sizes if is_array(size) or size]
    parameters, buffers, others = graph.unused
    rest: tuple[tuple[What, Size], ...] = (
        ("parameters", parameters * element_bytes),
        ("buffers", buffers * element_bytes + others),
    )
    return found + [Held(UNUSED, what, size) for what, size in rest if size]


# ---- inference --------------------------------------------------------------------------------


def inference_memory(graph: Graph, dtype: str = "fp32") -> Memory:
    """The memory that one forward pass takes, without gradients. Raises UsageError for an unknown dtype.

    Liveness in execution order: a layer's output is there before its inputs go, views and what works
    in place share a storage, dropout is nothing, the caller holds the inputs.
    """
    dtype = dtype_name(dtype)
    size = DTYPES[dtype]
    known, layers = storages(graph), held_by_layers(graph, size)
    lasting: Size = sum(held.bytes for held in layers)
    steps = activation_steps(graph, known, size, lasting)

    def held_at(step: int) -> tuple[Held, ...]:
        tensors = [_activation(known.all[i], size) for i in known.alive(step)]
        own = steps[step].temporary
        return (*layers, *tensors, *([Held(steps[step].layer, "temporary", own)] if own else []))

    return summary(dtype, steps, [lasting] * len(steps), held_at)


def inference_steps(graph: Graph, dtype: str) -> list[Step]:
    """The steps of that memory alone, whose highest is the peak."""
    size = DTYPES[dtype]
    lasting: Size = sum(held.bytes for held in held_by_layers(graph, size))
    return activation_steps(graph, storages(graph), size, lasting)


def activation_steps(graph: Graph, known: Storages, size: int, lasting: Size = 0) -> list[Step]:
    """The layers of a forward pass without gradients, with the bytes alive at each. lasting: bytes always there."""
    born: list[Size] = [0] * len(graph.nodes)
    dying: list[Size] = [0] * (len(graph.nodes) + 1)
    alive = lasting
    for storage in known.all:
        taken = storage.bytes(size)
        if storage.born == BEFORE:
            alive = alive + taken
        else:
            born[storage.born] = born[storage.born] + taken
        dying[storage.dies] = dying[storage.dies] + taken
    shapes, steps = graph.shapes, []
    for index, node in enumerate(graph.nodes):
        temporary = temporary_bytes(node, [shapes[i] for i in node.inputs], size)
        for i in known.copied.get(node.name, ()):
            temporary = temporary + numel(shapes[node.inputs[i]]) * size
        alive = alive + born[index]
        left = alive - dying[index]
        steps.append(Step(node.name, "forward", alive + temporary, left, temporary))
        alive = left
    return steps


def temporary_bytes(node: Node, x: Sequence[tuple[Size, ...]], size: int) -> Size:
    """Bytes that a layer takes for itself at its highest point, at inference."""
    taken: Size = 0
    for elements, itemsize in node.op.temporaries(node.shape, *x):
        taken = taken + elements * (itemsize or size)
    return taken


def _activation(storage: Storage, size: int) -> Held:
    return Held(storage.owner, "input" if storage.born == BEFORE else "activation", storage.bytes(size))
