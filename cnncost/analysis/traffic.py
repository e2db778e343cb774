"""What the passes of a layer compute and move: MACs, other operations, bytes read and written, each tensor once."""

from __future__ import annotations

from typing import Any, NamedTuple

from cnncost.analysis.training import gradient_macs, gradients
from cnncost.dims import Shape, Size, is_array, numel, smaller
from cnncost.graph import Graph, Node
from cnncost.ops.base import Op, unmoved
from cnncost.ops.join import Join
from cnncost.ops.tape import NOWHERE, OUTPUT, PARAMETERS, stretched

FORWARD, BACKWARD, TRAIN = PASSES = ("forward", "backward", "train")
"""Inference; the gradients; both, the forward pass as in training."""


class Work(NamedTuple):
    """One pass of a layer over the whole batch.

    macs: multiply-accumulates. operations: arithmetic that is no MAC; of a backward pass it is not
    counted. read, written: bytes that move if every tensor moves once.
    """

    macs: Size = 0
    operations: Size = 0
    read: Size = 0
    written: Size = 0

    @property
    def bytes(self) -> Size:
        return self.read + self.written

    @property
    def flops(self) -> Size:
        """Two a MAC, which is what peak rates count; of a layer without MACs its other operations."""
        return 2 * self.macs + self.operations * (self.macs == 0)


class Task(NamedTuple):
    """A layer, or several that run as one, with the work of each pass.

    name, op, kind: of the first layer, kind also of those behind it. layers: the names of all.
    """

    name: str
    op: str
    kind: str
    layers: tuple[str, ...]
    passes: tuple[Work, ...]


def tasks(graph: Graph, itemsize: int, passes: str = "forward", fuse: bool = False) -> list[Task]:
    """The layers of a graph in their order; itemsize: bytes of an element. fuse: see `fused`."""
    done: list[Task] = []
    swept = any(is_array(n) for shape in graph.shapes.values() for n in shape)
    known: dict[Any, Any] = {}  # equal layers are priced once; arrays have no hash
    for node, x, wanted in gradients(graph):
        key = (id(node.op), id(node) if swept else x, wanted)
        if key not in known:
            work = tuple(_work(one, node.op, node.shape, x, wanted, itemsize) for one in _parts(passes))
            known[key] = node.op.describe(*x), work
        kind, work = known[key]
        done.append(Task(node.name, node.op.key, kind, (node.name,), work))
    return fused(graph, done, itemsize) if fuse else done


def alone(op: Op, y: Shape, x: tuple[Shape, ...], itemsize: int, passes: str = "forward") -> tuple[Work, ...]:
    """The passes of a layer by itself: gradients go to all of its inputs."""
    wanted = (True,) * len(x)
    return tuple(_work(part, op, y, x, wanted, itemsize) for part in _parts(passes))


def _parts(passes: str) -> tuple[str, ...]:
    return ("forward in training", "backward") if passes == "train" else (passes,)


def _work(part: str, op: Op, y: Shape, x: tuple[Shape, ...], wanted: tuple[bool, ...], itemsize: int) -> Work:
    if part != "forward" and not x:
        return Work()  # a tensor that a traced model holds: those that take it read it, and write its gradient
    if part == "backward":
        return _backward(op, y, x, wanted, itemsize)
    cost = op.cost(y, *x)
    work = Work(cost.macs, cost.operations, cost.read * itemsize, cost.written * itemsize)
    if part == "forward":
        return work
    kept = _Kept(op, y, x, wanted)
    if op.view and kept.saved:  # dropout, which is a view at inference alone
        work = work._replace(read=sum(map(numel, x)) * itemsize, written=numel(y) * itemsize)
    return work._replace(written=work.written + kept.bytes(itemsize, new=True))


class _Kept:
    """What autograd does with a layer, by its tape; wanted: whether a gradient goes to each input.

    saved: (elements, bytes of one) of what is kept for gradients that are wanted, by storage. there:
    the storages of inputs and output. learns: elements of the gradients of parameters. computes:
    whether any gradient is more than that of the output, seen anew. passed: inputs that get the
    gradient of the output itself.
    """

    def __init__(self, op: Op, y: Shape, x: tuple[Shape, ...], wanted: tuple[bool, ...]) -> None:
        calls = op.tape(y, *x)
        last, sizes = len(x) + len(calls) - 1, list(map(numel, x))
        stores = list(range(len(x)))  # of each value, by the first one that is in it
        self.saved: dict[Any, tuple[Size, int | None]] = {}
        self.learns: Size = 0
        self.computes = False
        self.passed: set[int] = set()
        live = list(wanted)
        for number, call in enumerate(calls, len(x)):
            learned = _some(call.learns)
            to = [live[value] for value in call.takes]
            live.append(learned or any(to))
            stores.append(number if call.into is None else stores[call.into])
            sizes.append(call.out)
            self.learns += call.learns
            self.computes |= learned or any(goes and not isinstance(g, str) for goes, g in zip(to, call.gives))
            if number == last:
                self.passed = {value for value, give in zip(call.takes, call.gives) if isinstance(give, str)}
            for saved in call.keeps:
                if saved.to == NOWHERE:
                    continue
                itemsize = None if saved.itemsize == PARAMETERS else saved.itemsize  # all are of one dtype here
                needed = live[-1] if saved.to is None else learned if saved.to == PARAMETERS else to[saved.to]
                if not needed:
                    continue
                if saved.value is None:
                    self.saved[number, len(self.saved)] = saved.elements, itemsize
                else:
                    store = stores[number if saved.value == OUTPUT else saved.value]
                    self.saved[store] = smaller(saved.elements, sizes[store]), itemsize
        self.there = {*range(len(x)), stores[last]}

    def bytes(self, itemsize: int, new: bool = False) -> Size:
        """Bytes of what is kept; new: of what is neither an input nor the output."""
        kept = (saved for store, saved in self.saved.items() if not new or store not in self.there)
        return sum(elements * (own or itemsize) for elements, own in kept)


def _some(size: Size) -> bool:
    """Whether there are any, by structure: an array counts as some."""
    return is_array(size) or bool(size)


def _backward(op: Op, y: Shape, x: tuple[Shape, ...], wanted: tuple[bool, ...], itemsize: int) -> Work:
    """The gradients of a layer at once.

    Read are the gradient of the output, what was kept and, where a gradient goes to an input, the
    weights and scales; written the gradients of inputs and parameters.
    """
    kept = _Kept(op, y, x, wanted)
    if not kept.computes:
        return Work()
    read, written = numel(y), kept.learns
    if any(wanted):
        read = read + op.weights(*x) + op.other_params(*x)
    for i, shape in enumerate(x):
        if wanted[i] and i not in kept.passed:
            written = written + numel(shape)
    macs = sum(gradient_macs(op, y, x, wanted))
    return Work(macs, 0, read * itemsize + kept.bytes(itemsize), written * itemsize)


# ---- fusion ----------------------------------------------------------------------------------------


def fused(graph: Graph, layers: list[Task], itemsize: int) -> list[Task]:
    """Layers at inference, with element-wise ones computed where their input is made.

    An element-wise layer joins the one that makes its input if nothing else takes that, and if that
    has MACs or is element-wise itself: conv + batch_norm + relu are one. Their tensors in between
    do not move; the parameters and further inputs of those that join do. A sum joins the last of
    those that make its inputs; one that is stretched over the output is read.
    """
    shapes, index = graph.shapes, {node.name: i for i, node in enumerate(graph.nodes)}
    readers: dict[str, int] = {}
    for node in graph.nodes:
        for name in node.inputs:
            readers[name] = readers.get(name, 0) + 1
    heads: dict[str, str] = {}  # by the layer that ends a task: the layer that begins it
    done = {task.name: task for task in layers}
    for node in graph.nodes:
        x = tuple(shapes[name] for name in node.inputs)
        task = done[node.name]
        each = elementwise(node.op, node.shape, x)
        into = _maker(node, x, index, heads, readers) if each else None
        if into is not None:
            head = heads[into]
            done[head] = _joined(done[head], done.pop(node.name), numel(shapes[into]) * itemsize, node.op.view)
            heads[node.name] = head
        elif (each and not node.op.view) or _some(task.passes[0].macs):
            heads[node.name] = node.name
    return list(done.values())


def _maker(
    node: Node, x: tuple[Shape, ...], index: dict[str, int], heads: dict[str, str], readers: dict[str, int]
) -> str | None:
    """The input that an element-wise layer is computed with; None where it must be read."""
    whole = (name for name, shape in zip(node.inputs, x) if not stretched(shape, node.shape))
    return max((n for n in whole if n in heads and readers[n] == 1), key=index.__getitem__, default=None)


def _joined(first: Task, then: Task, between: Size, view: bool) -> Task:
    """Two tasks as one, without the tensor in between. A view moves nothing anyway."""
    (a,), (b,) = first.passes, then.passes
    if not view:
        a = Work(a.macs, a.operations + b.operations, a.read + b.read - between, a.written + b.written - between)
    kind = first.kind if view else f"{first.kind} + {then.kind}"
    return first._replace(kind=kind, layers=first.layers + then.layers, passes=(a,))


def elementwise(op: Op, y: Shape, x: tuple[Shape, ...]) -> bool:
    """Whether an output element depends on the input elements at its place alone."""
    if not x or any(len(shape) != len(y) for shape in x):
        return False
    if not isinstance(op, Join) and not all(_same(shape, y) for shape in x):
        return False
    return op.sight(y, *x) == unmoved(len(y))


def _same(a: Shape, b: Shape) -> bool:
    """Whether two shapes are one by their structure: equal numbers, or the very same arrays."""
    return all(m is n or (not is_array(m) and not is_array(n) and m == n) for m, n in zip(a, b))
