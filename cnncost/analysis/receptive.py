"""Receptive fields: which input pixels an output depends on, from the ops' sights.

Along each image axis output j depends on pixels from lo + j x step to hi + j x step, and on no
others; padding has numbers below 0 or beyond the last. An output of a layer whose window starts
`before` its place, ends `after` it and moves by `stride` then depends on pixels from
lo - before x step + j x stride x step to hi + after x step + j x stride x step. (Araujo et al. 2019)
"""

from __future__ import annotations

from typing import Any, NamedTuple

from cnncost.dims import Shape
from cnncost.graph import Graph, Node


class ReceptiveField(NamedTuple):
    """Per spatial axis of the input: pixels seen by one output, distance between the fields of
    neighbouring outputs, and the middle of the first output's field, in pixels from 0.

    Where all of an axis has been seen, or distances differ, stride and centre are None; where they
    differ, the size is at least that of every output's field.
    """

    size: tuple[int, ...]
    stride: tuple[Any, ...]
    centre: tuple[float | None, ...]


class _Axis(NamedTuple):
    """What a tensor has seen of one image axis of n pixels.

    axis: the tensor's axis that runs along it, None once every output has seen all of it. lo, hi,
    step: the bounds of the module's docstring. uniform: whether fields are exactly `step` apart.
    """

    n: Any
    axis: int | None
    lo: Any = 0
    hi: Any = 0
    step: Any = 1
    uniform: bool = True


_Seen = tuple[_Axis, ...] | None
"""What a tensor has seen of an image, an entry each axis: () where it depends on none, None on several."""


class _Move(NamedTuple):
    """Where a layer takes an axis, and its window there, counted from the place that it stands for."""

    axis: int
    stride: Any
    before: Any
    after: Any


_Moves = dict[int, _Move | None]
"""The axes of an input that do not stay as they are; None for those that end, each output seeing all."""


def receptive_fields(graph: Graph) -> dict[str, ReceptiveField | None]:
    """The receptive field of every layer by name.

    None for layers that depend on no input with spatial axes, or on several of different sizes.
    """
    shapes = graph.shapes
    seen: dict[str, _Seen] = {
        name: tuple([_Axis(n, axis) for axis, n in enumerate(shape[2:], 2)]) for name, shape in graph.inputs.items()
    }
    known: dict[Any, tuple[_Moves, ...]] = {}  # equal layers share an op
    for node in graph.nodes:
        x = tuple([shapes[i] for i in node.inputs])
        key = (id(node.op), x)
        moves = known.get(key)
        if moves is None:
            moves = known[key] = _moves(node, x)
        inputs = [_through(seen[i], m) for i, m in zip(node.inputs, moves)]
        seen[node.name] = inputs[0] if len(inputs) == 1 else _joined(inputs, node.shape)
    distinct = {id(s): s for s in seen.values()}  # most layers have the field of the layer above
    fields = {i: _field(s) for i, s in distinct.items()}
    return {node.name: fields[id(seen[node.name])] for node in graph.nodes}


def _moves(node: Node, x: tuple[Shape, ...]) -> tuple[_Moves, ...]:
    """What a layer does to the axes of each of its inputs."""
    y = node.shape
    sight = node.op.sight(y, *x)
    moves = []
    for shape in x:
        changed: dict[int, _Move | None] = dict.fromkeys(range(1, len(shape)))
        for to, along in enumerate(sight, 1):
            if along is None:
                continue
            axis, reach, stride, before = along
            if shape[axis] == 1 < y[to]:  # all outputs see the one place there is
                continue
            if (to, reach, stride, before) == (axis, 1, 1, 0):
                del changed[axis]
            else:
                changed[axis] = _Move(to, stride, before, reach - 1 - before)
        moves.append(changed)
    return tuple(moves)


def _through(seen: _Seen, moves: _Moves) -> _Seen:
    """What the outputs of a layer see through one of its inputs."""
    if not seen:
        return seen
    for a in seen:
        if a.axis in moves:
            return tuple([_moved(a, moves) for a in seen])
    return seen


def _moved(a: _Axis, moves: _Moves) -> _Axis:
    if a.axis is None or a.axis not in moves:
        return a
    move = moves[a.axis]
    if move is None:
        return _whole(a.n)
    axis, stride, before, after = move
    return _Axis(a.n, axis, a.lo - before * a.step, a.hi + after * a.step, a.step * stride, a.uniform)


def _whole(n: Any) -> _Axis:
    return _Axis(n, None, 0, n - 1, 0, False)


def _joined(inputs: list[_Seen], shape: Shape) -> _Seen:
    """What a layer of several inputs sees: pixels that any of them sees."""
    if None in inputs:
        return None
    images = [seen for seen in inputs if seen]
    if len({tuple([a.n for a in seen]) for seen in images}) > 1:  # the same number is another place in each
        return None
    return tuple([_union(axes, shape) for axes in zip(*images)])


def _union(axes: tuple[_Axis, ...], shape: Shape) -> _Axis:
    n, axis, *_ = axes[0]
    if axis is None or len({a.axis for a in axes}) > 1:  # one has seen it all, or it lies across, as in x + x^T
        return _whole(n)
    # Of different steps the largest is kept: in it the outputs of smaller ones fall behind.
    step, last = max([a.step for a in axes]), shape[axis] - 1
    lo = min([a.lo - last * (step - a.step) for a in axes])
    hi = max([a.hi for a in axes])
    return _Axis(n, axis, lo, hi, step, all(a.uniform and a.step == step for a in axes))


def _field(seen: _Seen) -> ReceptiveField | None:
    if not seen:
        return None
    return ReceptiveField(
        tuple([int(a.hi - a.lo) + 1 for a in seen]),
        tuple([_exact(a.step) if a.uniform else None for a in seen]),
        tuple([float(a.lo + a.hi) / 2 if a.uniform else None for a in seen]),
    )


def _exact(value: Any) -> Any:
    """A whole number as an int, another fraction as a float."""
    return value.numerator if value.denominator == 1 else float(value)
