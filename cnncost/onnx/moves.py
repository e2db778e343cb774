"""ONNX operators that move, select and rename elements."""

from __future__ import annotations

from typing import Any

from cnncost.dims import Shape, numel
from cnncost.onnx.walk import Call, Rule
from cnncost.ops.base import Op
from cnncost.ops.dropout import Identity
from cnncost.ops.join import Concat, Slice, Split
from cnncost.ops.reshape import DepthToSpace, Flatten, Pad, Permute, Reshape, SpaceToDepth, Upsample
from cnncost.ops.seen import Seen

FAR = 2**31 - 1
"""Ends of slices from here on mean the end of the axis."""


def viewed(x: Shape, y: Shape) -> Op:
    """The elements of x under the shape y, which is a layer of the language where the batch stays."""
    if x == y:
        return Identity()
    if x[:1] == y[:1] and len(y) > 1:
        return Flatten() if len(y) == 2 < len(x) else Reshape(y[1:])
    return Seen("reshape", y, view=True)


def _reshape(call: Call) -> str:
    """0 keeps a size, -1 is what remains."""
    x, to = call.x, call.values(1, "shape")
    if to is None:
        raise call.fault("without a shape")
    y = [n if n or call.get("allowzero", 0) else x[i] for i, n in enumerate(to)]
    if -1 in y:
        y[y.index(-1)] = numel(x) // -numel(tuple(y))
    return call.add(viewed(x, tuple(y)))


def _squeeze(call: Call) -> str:
    x, axes = call.x, call.values(1, "axes")
    gone = {axis % len(x) for axis in axes} if axes else {axis for axis, n in enumerate(x) if n == 1}
    return call.add(viewed(x, tuple(n for axis, n in enumerate(x) if axis not in gone)))


def _unsqueeze(call: Call) -> str:
    x, axes = call.x, call.values(1, "axes")
    if axes is None:
        raise call.fault("without axes")
    rank, rest = len(x) + len(axes), iter(x)
    new = {axis % rank for axis in axes}
    return call.add(viewed(x, tuple(1 if axis in new else next(rest) for axis in range(rank))))


def _flatten(call: Call) -> str:
    axis = call.get("axis", 1) % (len(call.x) + 1)
    if axis == len(call.x) - 1 == 1:
        return call.layers[0]  # flat already
    return call.add(Flatten() if axis == 1 else viewed(call.x, call.y))


def _transpose(call: Call) -> str:
    order = tuple(call.get("perm", range(len(call.x))[::-1]))
    if order == tuple(range(len(order))):
        return call.layers[0]
    return call.add(Permute(order) if order[0] == 0 else Seen("permute", call.y, view=True))


def _concat(call: Call) -> str:
    if len(call.layers) < len(call.names):
        raise call.fault("of layers and constants is not known here")
    if len(call.layers) == 1:
        return call.layers[0]
    return call.add(Concat(call["axis"]), *call.layers)


def _split(call: Call) -> list[str]:
    x, outputs, axis = call.x, len(call.node.output), call.get("axis", 0)
    sizes = call.values(1, "split")
    if sizes is None:
        each = -(-x[axis] // outputs)
        sizes = [min(each, x[axis] - each * i) for i in range(outputs)]
    parts = outputs if len(set(sizes)) == 1 else tuple(int(n) for n in sizes)
    return [call.add(Split(parts, part, axis)) for part in range(outputs)]


def _slices(call: Call) -> str:
    """One layer an axis that is cut."""
    x = call.x
    starts, ends = call.values(1, "starts"), call.values(2, "ends")
    if starts is None or ends is None:
        raise call.fault("without starts and ends")
    axes = call.values(3, "axes") or list(range(len(starts)))
    steps = call.values(4, "steps") or [1] * len(starts)
    layer = call.layers[0]
    for start, end, axis, step in zip(starts, ends, axes, steps):
        first, stop, by = slice(start, None if end >= FAR else end, step).indices(x[axis])
        if by < 0 or axis % len(x) == 0:
            return call.add(Seen("slice", call.y, view=by > 0))
        if (first, stop, by) != (0, x[axis], 1):
            layer = call.add(Slice((first, None if stop == x[axis] else stop), int(axis) % len(x), by), layer)
    return layer


def _gather(call: Call) -> str:
    """Of one place a slice without its axis."""
    x, axis = call.x, call.get("axis", 0) % len(call.x)
    if not call.has(0) or call.names[0] not in call.walk.tensors:
        raise call.fault("of a table of weights (an embedding) is not known here")
    constant = call.constant(1)
    if constant is not None and constant.value is not None and constant.shape in ((), (1,)) and axis > 0:
        place = int(constant.value.reshape(-1)[0]) % x[axis]
        layer = call.add(Slice((place, place + 1), axis))
        return layer if constant.shape else call.add(viewed((*x[:axis], 1, *x[axis + 1 :]), call.y), layer)
    return call.add(Seen("gather", call.y), *call.layers)


def _pad(call: Call) -> str:
    x, pads = call.x, call.values(1, "pads")
    modes: dict[str, Any] = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}
    if pads is None:
        raise call.fault("without pads")
    if call.has(3):  # of some axes only
        axes = [int(axis) % len(x) for axis in call.values(3) or ()]
        whole = [0] * 2 * len(x)
        for i, axis in enumerate(axes):
            whole[axis], whole[len(x) + axis] = pads[i], pads[len(axes) + i]
        pads = whole
    if not any(pads):
        return call.layers[0]
    sides = [(int(before), int(after)) for before, after in zip(pads[: len(x)], pads[len(x) :])]
    if sides[0] != (0, 0) or len(x) < 3:
        return call.add(Seen("pad", call.y))
    values = call.values(2, "value") or [0.0]
    channels, spatial = sides[1], tuple(sides[2:])
    ends = channels if any(channels) else 0
    return call.add(Pad(spatial, modes[call.get("mode", "constant")], float(values[0]), ends))


MODES: dict[str, dict[int, Any]] = {
    "nearest": dict.fromkeys((1, 2, 3), "nearest"),
    "linear": {1: "linear", 2: "bilinear", 3: "trilinear"},
    "cubic": {2: "bicubic"},
}
"""What the language calls Resize's modes, by the number of spatial axes."""


def _resize(call: Call) -> str:
    x, y = call.x, call.y
    mode = MODES.get(call.get("mode", "nearest"), {}).get(len(x) - 2)
    if mode is None or x[:2] != y[:2]:
        raise call.fault(f"of mode {call.get('mode', 'nearest')} over {len(x)} axes is not known here")
    corners = call.get("coordinate_transformation_mode") == "align_corners" and mode != "nearest"
    scales = None if call.has(3) else (call.values(2) if call.node.op_type == "Resize" else call.values(1, "scales"))
    if scales and not corners:
        factors = tuple(int(s) if float(s).is_integer() else float(s) for s in scales[2:])
        return call.add(Upsample(factors[0] if len(set(factors)) == 1 else factors, mode=mode))
    return call.add(Upsample(size=y[2:], mode=mode, align_corners=corners))


def _depth_to_space(call: Call) -> str:
    return call.add(DepthToSpace(call["blocksize"]))


def _space_to_depth(call: Call) -> str:
    return call.add(SpaceToDepth(call["blocksize"]))


def _expand(call: Call) -> str:
    """A view of the same elements many times, unless nothing changes."""
    return call.layers[0] if call.x == call.y else call.add(Seen("expand", call.y, view=True))


MOVES: dict[str, Rule] = {
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Flatten": _flatten,
    "Transpose": _transpose,
    "Concat": _concat,
    "Split": _split,
    "Slice": _slices,
    "Gather": _gather,
    "Pad": _pad,
    "Resize": _resize,
    "Upsample": _resize,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
    "Expand": _expand,
}
