"""Receptive fields: which input pixels an output depends on, from the ops' sights.

For each image axis, the field of output 0 is the interval lo ... hi of pixel numbers (padding has
numbers below 0 or beyond the last), and that of output j is the same interval moved by j x stride.
A layer with window `reach`, step s and padding p before maps (lo, hi, stride) to
(lo - p x stride, hi + (reach - 1 - p) x stride, s x stride). (Araujo et al. 2019)
"""

from __future__ import annotations

from typing import Any, NamedTuple

from cnncost.dims import Shape
from cnncost.graph import Graph


class ReceptiveField(NamedTuple):
    """Per spatial axis of the input: pixels seen by one output, distance between the fields of
    neighbouring outputs (None where there is one output, or distances differ), and the middle of
    the first output's field, in pixels from 0 (None likewise)."""

    size: tuple[int, ...]
    stride: tuple[Any, ...]
    centre: tuple[float | None, ...]


class _Axis(NamedTuple):
    """What a tensor knows about one image axis of n pixels; axis is None once all of it is seen."""

    n: Any
    axis: int | None
    lo: Any
    hi: Any
    stride: Any


def receptive_fields(graph: Graph) -> dict[str, ReceptiveField | None]:
    """The receptive field of every layer by name; None for inputs without spatial axes."""
    states: dict[str, tuple[_Axis, ...]] = {}
    shapes = dict(graph.inputs)
    for name, shape in graph.inputs.items():
        states[name] = tuple(_Axis(n, axis, 0, 0, 1) for axis, n in enumerate(shape[2:], 2))
    fields: dict[str, ReceptiveField | None] = {}
    for node in graph.nodes:
        x = [shapes[i] for i in node.inputs]
        y = shapes[node.name] = node.shape
        # Where sizes are 1 an input is broadcast: each output sees the one element there is.
        places = {along.axis: (axis, along) for axis, along in enumerate(node.op.sight(y, *x), 1) if along}
        seen = [
            tuple(_through(state, places, shape, len(y) if len(x) > 1 else 0) for state in states[i])
            for i, shape in zip(node.inputs, x)
        ]
        states[node.name] = seen[0] if len(seen) == 1 else _joined(seen)
        fields[node.name] = _field(states[node.name])
    return fields


def _through(state: _Axis, places: dict[int, Any], x: Shape, rank: int) -> _Axis:
    """An image axis seen through a layer; `rank` is that of a join's output, 0 for other layers."""
    if state.axis is None:
        return state
    here = state.axis + rank - len(x) if len(x) < rank else state.axis  # broadcast aligns trailing axes
    axis, along = places.get(here, (None, None))
    if along is None:
        n = x[state.axis]
        return _Axis(state.n, None, state.lo, state.hi + (n - 1) * (state.stride or 0), None)
    step = state.stride
    if step is None:
        return state._replace(axis=axis)
    lo, hi = state.lo - along.before * step, state.hi + (along.reach - 1 - along.before) * step
    return _Axis(state.n, axis, lo, hi, step * along.stride if x[state.axis] > 1 else 0)


def _joined(seen: list[tuple[_Axis, ...]]) -> tuple[_Axis, ...]:
    """The union of what several inputs see. Constant inputs (stride 0 or None) have no say in the stride."""
    ranks = {len(s) for s in seen if s}
    if len(ranks) != 1:
        return ()
    joined = []
    for axes in zip(*(s for s in seen if s)):
        placed = [a for a in axes if a.axis is not None]
        strides = {a.stride for a in placed if a.stride}
        stride = strides.pop() if len(strides) == 1 else None if strides else 0
        joined.append(
            _Axis(
                axes[0].n, placed[0].axis if placed else None, min(a.lo for a in axes), max(a.hi for a in axes), stride
            )
        )
    return tuple(joined)


def _field(state: tuple[_Axis, ...]) -> ReceptiveField | None:
    if not state:
        return None
    sizes: list[int] = []
    strides: list[Any] = []
    centres: list[float | None] = []
    for a in state:
        if a.axis is None:  # it has seen every position: no more than the image is there
            lo, hi = max(a.lo, 0), min(a.hi, a.n - 1)
            strides.append(None)
            centres.append(None)
        else:
            lo, hi = a.lo, a.hi
            strides.append(_exact(a.stride) if a.stride else None)
            centres.append(float(lo + hi) / 2 if a.stride else None)
        sizes.append(int(hi - lo) + 1)
    return ReceptiveField(tuple(sizes), tuple(strides), tuple(centres))


def _exact(value: Any) -> Any:
    """A whole number as an int, another fraction as a float."""
    return value.numerator if value.denominator == 1 else float(value)
