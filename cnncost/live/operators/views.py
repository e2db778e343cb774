"""Other shapes and parts of the same elements: nothing moves, where PyTorch makes no copy."""

from __future__ import annotations

from functools import partial
from typing import Any

from cnncost.live.operators.base import Call, Layer, rule
from cnncost.ops.base import Op
from cnncost.ops.dropout import Copy
from cnncost.ops.join import Slice, Split
from cnncost.ops.reshape import Flatten, Permute, Reshape
from cnncost.ops.seen import Seen


def copy(x: Any) -> Layer:
    """The elements of x in a storage of their own."""
    return Layer((Copy(), Seen("copy", tuple(x.shape), same=True)), (x,))


def other_shape(call: Call, key: str = "reshape") -> Any:
    """The choices for the same elements in the same order under the output's shape."""
    x, y = call.x, call.y
    known = Seen(key, y, view=True)
    if len(y) < 2 or x[:1] != y[:1]:
        return (known,)
    if len(y) == 2 < len(x):
        return Flatten(), known
    return (lambda: Reshape(y[1:])), known


@rule(
    "view", "reshape", "_reshape_alias", "_unsafe_view", "flatten", "squeeze", "unsqueeze", "view_as", "reshape_as",
    "unflatten",
)  # fmt: skip
def reshape(call: Call) -> Layer:
    x = call.first
    if call.x == call.y:
        return Layer(None, (x,)) if call.aliases() else copy(x)
    if call.name == "view" and call.outs[0].dtype != x.dtype:  # bits read as another type
        return Layer(Seen("view", call.y, view=True), (x,))
    return Layer(other_shape(call), (x if call.aliases() or call.name == "_unsafe_view" else copy(x),))


@rule("permute")
def permute(call: Call) -> Layer:
    return _permute(call, [axis % len(call.x) for axis in call["dims"]])


@rule("transpose", "swapaxes", "swapdims")
def transpose(call: Call) -> Layer:
    names = ("dim0", "dim1") if call.name != "swapaxes" else ("axis0", "axis1")
    order = list(range(len(call.x)))
    if order:
        a, b = (call[name] % len(order) for name in names)
        order[a], order[b] = order[b], order[a]
    return _permute(call, order)


@rule("t", "numpy_T", "mT", "adjoint")
def matrix_transpose(call: Call) -> Layer:
    return Layer(Seen("permute", call.y, view=True), (call.first,))


def _permute(call: Call, order: list[int]) -> Layer:
    if order == sorted(order):
        return Layer(None, (call.first,))
    known = Seen("permute", call.y, view=True)
    return Layer((lambda: Permute(tuple(order)), known) if order[0] == 0 else known, (call.first,))


@rule("slice")
def part(call: Call) -> Layer:
    if call.x == call.y:
        return Layer(None, (call["self"],))
    axis = call["dim"] % len(call.x)
    return _part(call, 0, axis, _start(call), call.y[axis], call["step"])


def _start(call: Call) -> int:
    n, start = call.x[call["dim"] % len(call.x)], int(call["start"] or 0)
    first = start + n if start < 0 else start
    return first if first < n else n


@rule("narrow")
def narrow(call: Call) -> Layer:
    axis, start = call["dim"] % len(call.x), call["start"]
    return _part(call, 0, axis, int(start) % call.x[axis], call["length"])


def _part(call: Call, output: int, axis: int, start: int, count: int, step: int = 1) -> Layer:
    """A slice of the first argument as one of the outputs."""
    stop = min(start + (count - 1) * step + 1, call.x[axis])
    shape = tuple(call.outs[output].shape)
    return Layer(
        ((lambda: Slice((start, stop), axis, step)), Seen("slice", shape, view=True)), (call.first,), output=output
    )


@rule("select")
def select(call: Call) -> Layer:
    """One entry of an axis, which goes."""
    axis, known = call["dim"] % len(call.x), Seen("select", call.y, view=True)
    if axis == 0 or len(call.y) < 2:
        return Layer(known, (call.first,))
    index = int(call["index"]) % call.x[axis]
    return Layer(other_shape(call), (Layer(Slice((index, index + 1), axis), (call.first,)),))


@rule("split", "split_with_sizes", "chunk", "tensor_split", "unsafe_split", "unsafe_chunk", "unsafe_split_with_sizes")
def split(call: Call) -> list[Layer]:
    axis = call["dim"] % len(call.x)
    sizes = [t.shape[axis] for t in call.outs]
    each = len(sizes) if call.name == "chunk" or len(set(sizes)) == 1 else tuple(sizes)
    if len(sizes) == 1:
        return [Layer(None, (call.first,))]

    def part(i: int) -> Op:
        return Split(each, i, axis)

    return [
        Layer((partial(part, i), _known(call, i)), (call.first,), output=i)
        for i in range(len(sizes))
    ]  # fmt: skip


def _known(call: Call, output: int) -> Seen:
    return Seen(call.name, tuple(call.outs[output].shape), view=True)


@rule("unbind")
def unbind(call: Call) -> list[Layer]:
    return [Layer(_known(call, i), (call.first,), output=i) for i in range(len(call.outs))]


@rule("expand", "expand_as", "broadcast_to")
def expand(call: Call) -> Layer:
    if call.x == call.y:
        return Layer(None, (call.first,))
    return Layer(Seen("expand", call.y, view=True), (call.first,))


@rule(
    "as_strided", "diagonal", "unfold", "view_as_real", "view_as_complex", "real", "imag", "movedim", "moveaxis",
    "view_copy", "_conj", "_neg_view", "resolve_conj", "resolve_neg",
)  # fmt: skip
def view(call: Call) -> Layer:
    return Layer(Seen(call.name, call.y, view=True), (call.first,))


@rule("alias", "detach", "lift_fresh", "lift", "_fw_primal")
def renamed(call: Call) -> Layer:
    return Layer(None, (call.first,))


@rule("clone", "contiguous", "_to_copy", "to", "type_as", "lift_fresh_copy", "cpu", "cuda")
def copied(call: Call) -> Layer:
    return Layer(None, (call.first,)) if call.aliases() else copy(call.first)
