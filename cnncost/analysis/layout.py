"""Where the elements of a tensor lie in memory, and so which layers must copy them.

As in PyTorch: a permutation moves nothing but strides, what works element by element keeps the order
that it finds, most other layers write their output row by row. A reshape copies what no strides
show in the new shape; products copy what does not lie as rows of one matrix each. Who copies is
structure: over arrays of sizes the first design point decides, in a sweep all have to agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cmp_to_key
from math import prod
from typing import Any, Optional

from cnncost.dims import Shape, choosing, decided, is_array
from cnncost.graph import Graph
from cnncost.ops.activation import Activation
from cnncost.ops.base import Op
from cnncost.ops.join import Join, Part
from cnncost.ops.linear import Linear, MatMul
from cnncost.ops.norm import Scale
from cnncost.ops.reshape import Permute, View

Strides = Optional[tuple[int, ...]]
"""Elements between neighbours along each axis; None for row by row, without gaps."""
Sizes = tuple[int, ...]


def copying(graph: Graph) -> dict[str, tuple[int, ...]]:
    """The layers that copy inputs, and which of them: for the time that they run, or reshapes for good.

    Of a traced model that was seen, and where a reshape copied there is a layer for it.
    """
    if graph.held is not None:
        return dict(graph.copied)
    if not any(isinstance(node.op, (Permute, Part)) for node in graph.nodes):
        return {}
    sizes = {name: _sizes(shape) for name, shape in graph.shapes.items()}
    strides: dict[str, Strides] = {}
    copied = {}
    for node in graph.nodes:
        x, known = [sizes[i] for i in node.inputs], [strides.get(i) for i in node.inputs]
        strides[node.name] = laid(node.op, sizes[node.name], x[0], known[0])
        found = tuple(
            i for i, (s, lies) in enumerate(zip(x, known)) if lies and copies(node.op, sizes[node.name], s, lies)
        )
        if found:
            copied[node.name] = found
    return copied


def copies(op: Op, y: Sizes, x: Sizes, strides: Sizes) -> bool:
    """Whether an op must copy an input that lies so."""
    if isinstance(op, View):
        return not isinstance(op, Permute) and viewed(x, strides, y) is None
    if isinstance(op, Linear):
        return viewed(x, strides, (prod(x[:-1]), x[-1])) is None
    if isinstance(op, MatMul) and len(x) > 3:
        return viewed(x, strides, (prod(x[:-2]), *x[-2:])) is None
    return False


def _sizes(shape: Shape) -> Sizes:
    return tuple(_size(n) for n in shape)


def _size(n: Any) -> int:
    """A size; an array where `decided` sees that all design points agree."""
    found: int = int(n.flat[0]) if is_array(n) and not choosing() else n
    return found


def laid(op: Op, y: Sizes, x: Sizes, strides: Strides) -> Strides:
    """How an op's output lies. strides: how its first input does."""
    known = strides or by_rows(x)
    if isinstance(op, Permute):
        return tuple(known[axis] for axis in op.order)
    if isinstance(op, Part):
        index, (_, _, step) = op.axis % len(x), op.span(x)
        return tuple(s * _size(step) if axis == index else s for axis, s in enumerate(known))
    if isinstance(op, View):
        return viewed(x, known, y)
    if op.shares_storage:
        return strides
    if strides is None:
        return None
    alike = isinstance(op, (Activation, Join, Scale)) and len(x) == len(y)
    return dense(x, strides) if alike and all(decided(m == n) for m, n in zip(x, y)) else None


def by_rows(shape: Sequence[int]) -> Sizes:
    """Strides of a tensor that lies row by row."""
    found, step = [], 1
    for n in reversed(shape):
        found.append(step)
        step = step * n
    return tuple(reversed(found))


def dense(shape: Sizes, strides: Sizes) -> Sizes:
    """Strides in the same order, without gaps."""

    def larger_first(a: int, b: int) -> int:
        return bool(decided(strides[a] < strides[b])) - bool(decided(strides[a] > strides[b]))

    order = sorted(range(len(shape)), key=cmp_to_key(larger_first))
    rows = by_rows([shape[axis] for axis in order])
    return tuple(rows[order.index(axis)] for axis in range(len(shape)))


def viewed(x: Sizes, strides: Sizes, y: Sizes) -> Strides:
    """Strides of a tensor in another shape; None where no strides do, and its elements must be copied.

    Axes that lie one in the other are a run; a run becomes whole axes of the new shape. (ATen's computeStride)
    """
    found: list[int] = []
    taken, run, step = 1, 1, strides[-1]
    rest = list(y)
    for axis in reversed(range(len(x))):
        run = run * x[axis]
        if axis and (decided(x[axis - 1] == 1) or decided(strides[axis - 1] == run * step)):
            continue
        while rest and (decided(taken < run) or decided(rest[-1] == 1)):
            found.append(taken * step)
            taken = taken * rest.pop()
        if decided(taken != run):
            return None
        if axis:
            taken, run, step = 1, 1, strides[axis - 1]
    return tuple(reversed(found))
