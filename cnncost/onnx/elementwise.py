"""ONNX operators element by element, and those that reduce axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnncost.cost import Operations
from cnncost.dims import Shape, numel, shown
from cnncost.onnx.names import snake
from cnncost.onnx.walk import Call, Rule
from cnncost.ops import activation as act
from cnncost.ops.base import Op
from cnncost.ops.dropout import Dropout
from cnncost.ops.join import Add, Maximum, Multiply, Subtract
from cnncost.ops.norm import Scale
from cnncost.ops.pool import GlobalAvgPool, GlobalMaxPool
from cnncost.ops.seen import Seen
from cnncost.ops.softmax import LogSoftmax, Softmax

ACTIVATIONS: dict[str, Callable[[Call], Op]] = {
    "Relu": lambda call: act.ReLU(),
    "LeakyRelu": lambda call: act.LeakyReLU(short(call.get("alpha", 0.01))),
    "Elu": lambda call: act.ELU(short(call.get("alpha", 1.0))),
    "Selu": lambda call: act.SELU(),
    "Celu": lambda call: act.CELU(short(call.get("alpha", 1.0))),
    "Gelu": lambda call: act.GELU(call.get("approximate", "none")),
    "Sigmoid": lambda call: act.Sigmoid(),
    "Tanh": lambda call: act.Tanh(),
    "HardSwish": lambda call: act.HardSwish(),
    "Swish": lambda call: act.SiLU(),
    "Softplus": lambda call: act.Softplus(),
    "Mish": lambda call: act.Mish(),
    "Softsign": lambda call: act.Softsign(),
}
"""Operators that are activations of the language."""

FREE = Operations()
EACH = {
    **dict.fromkeys(["Neg", "Abs", "Sign", "Floor", "Ceil", "Round", "Not", "And", "Or", "Xor", "Where"], FREE),
    **dict.fromkeys(["IsNaN", "IsInf"], FREE),
    **dict.fromkeys(["Exp", "Log", "Sqrt", "Erf", "Sin", "Cos", "Tan", "Sinh", "Cosh"], Operations(exponentials=1)),
    **dict.fromkeys(["Asin", "Acos", "Atan", "Asinh", "Acosh", "Atanh", "Pow"], Operations(exponentials=1)),
    **dict.fromkeys(["Reciprocal", "Mod"], Operations(divisions=1)),
    **dict.fromkeys(["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"], Operations(comparisons=1)),
    "ThresholdedRelu": Operations(comparisons=1),
}
"""Arithmetic an output element of operators that the language has no layer for."""

ARITHMETIC: dict[str, tuple[Callable[[], Op] | None, Operations]] = {
    "Add": (Add, Operations(additions=1)),
    "Sum": (Add, Operations(additions=1)),
    "Sub": (Subtract, Operations(additions=1)),
    "Mul": (Multiply, Operations(multiplications=1)),
    "Max": (Maximum, Operations(comparisons=1)),
    "Min": (None, Operations(comparisons=1)),
    "Div": (None, Operations(divisions=1)),
}
"""The join of layers of equal axes, and what an element of it costs."""


def short(value: float) -> float:
    """A float32 as it was written before: 1e-05, not 9.99999974737875e-06."""
    return float(f"{value:.6g}")


def seen(call: Call, each: Operations, learned: Any = 0) -> str:
    """A layer that does `each` to every element of its output, which has the shape that NumPy would give it."""
    import numpy as np

    y = np.broadcast_shapes(*(call.shape(i) for i in range(len(call.names)) if call.has(i)))
    done = Operations(*(numel(y) * count for count in each))
    op = Seen(snake(call.node.op_type), y, done=done, other_params=learned, same=True)
    return call.add(op, *call.layers)


def _activation(call: Call) -> str:
    return call.add(ACTIVATIONS[call.node.op_type](call))


def _elementwise(call: Call) -> str:
    if call.node.op_type == "Pow" and (call.constant(1) and call.values(1) == [2]):
        return call.add(act.Square())
    return seen(call, EACH[call.node.op_type])


def _hard_sigmoid(call: Call) -> str:
    """max(0, min(1, alpha x + beta)); PyTorch's has alpha 1/6 and beta 1/2."""
    if abs(call.get("alpha", 0.2) - 1 / 6) < 1e-6 and call.get("beta", 0.5) == 0.5:
        return call.add(act.HardSigmoid())
    return seen(call, Operations(multiplications=1, additions=1, comparisons=2))


def _prelu(call: Call) -> str:
    slopes = call.weight(1)
    channels = numel(slopes) == call.x[1]
    if not channels and numel(slopes) != 1:
        raise call.fault(f"slopes of {shown(slopes)} for an input of {shown(call.x)} are not known here")
    return call.add(act.PReLU("channel" if channels else "all"), owner=call.names[1])


def _clip(call: Call) -> str:
    low, high = (call.values(i, name) for i, name in ((1, "min"), (2, "max")))
    if low == [0] and high == [6]:
        return call.add(act.ReLU6())
    if low == [0] and high is None:
        return call.add(act.ReLU())
    if low is not None and high is not None and low[0] < high[0]:
        return call.add(act.HardTanh(float(low[0]), float(high[0])))
    return seen(call, Operations(comparisons=(low is not None) + (high is not None)))


def _dropout(call: Call) -> str:
    p = call.values(1, "ratio")
    return call.add(Dropout(short(p[0]) if p else 0.5))


def _softmax(call: Call) -> str:
    axis = call.get("axis", -1 if call.walk.opset >= 13 else 1)
    if call.walk.opset < 13 and axis not in (-1, len(call.x) - 1) and numel(call.x[axis + 1 :]) != 1:
        raise call.fault(f"over several axes, as before opset 13, is not known here (axis {axis})")
    return call.add((Softmax if call.node.op_type == "Softmax" else LogSoftmax)(axis))


def _arithmetic(call: Call) -> str:
    """Of layers a join; of a layer and a constant a scale, or what it costs."""
    join, each = ARITHMETIC[call.node.op_type]
    constants = [call.walk.constants[name] for name in call.names if name in call.walk.constants]
    layers = call.layers
    if not constants:
        shapes = [call.walk.builder.shapes[layer] for layer in layers]
        if len(layers) == 1:
            return layers[0]
        if join is not None and len({len(shape) for shape in shapes}) == 1 and len(shapes[0]) > 1:
            return call.add(join(), *layers)
        times = len(layers) - 1
        return seen(call, Operations(*(times * count for count in each)))
    if len(constants) > 1 or len(layers) > 1:
        raise call.fault("of several layers and constants at once is not known here")
    shape = constants[0].shape
    if numel(shape) == 1:
        value = constants[0].value
        if call.node.op_type == "Mul" and value is not None:
            return call.add(Scale(float(value.reshape(-1)[0]), learned=False))
        return seen(call, each)
    axis = scaled_axis(shape, call.x)
    if call.node.op_type == "Mul" and axis is not None:
        return call.add(Scale(axis=axis), owner=next(n for n in call.names if n in call.walk.constants))
    return seen(call, each, learned=numel(shape))


def scaled_axis(shape: Shape, x: Shape) -> int | None:
    """The axis of x along which a constant of this shape has its numbers; None where that is none or several."""
    spread = (1,) * (len(x) - len(shape)) + shape
    axes = [axis for axis, n in enumerate(spread) if n != 1]
    fits = len(spread) == len(x) and len(axes) == 1 and axes[0] >= 1 and spread[axes[0]] == x[axes[0]]
    return axes[0] if fits else None


REDUCED: dict[str, Callable[[Any, Any], dict[str, Any]]] = {
    "ReduceMean": lambda n, m: {"additions": n - m, "divisions": m},
    "ReduceSum": lambda n, m: {"additions": n - m},
    "ReduceMax": lambda n, m: {"comparisons": n - m},
    "ReduceMin": lambda n, m: {"comparisons": n - m},
    "ReduceProd": lambda n, m: {"multiplications": n - m},
    "ReduceL1": lambda n, m: {"additions": n - m},
    "ReduceL2": lambda n, m: {"multiplications": n, "additions": n - m, "exponentials": m},
    "ReduceSumSquare": lambda n, m: {"multiplications": n, "additions": n - m},
}
"""Arithmetic of a reduction from n elements to m."""


def _reduction(call: Call) -> str:
    """Over the spatial axes a global pool; else what it costs."""
    x, given = call.x, call.values(1, "axes")
    if not given and call.get("noop_with_empty_axes", 0):
        return call.layers[0]
    axes = sorted(axis % len(x) for axis in given) if given else list(range(len(x)))
    keep, kind = bool(call.get("keepdims", 1)), call.node.op_type
    pools: dict[str, Any] = {"ReduceMean": GlobalAvgPool, "ReduceMax": GlobalMaxPool}
    if len(x) > 2 and axes == list(range(2, len(x))) and kind in pools:
        return call.add(pools[kind](keep=keep))
    y = tuple(1 if axis in axes else n for axis, n in enumerate(x) if keep or axis not in axes)
    return call.add(Seen(snake(kind), y, done=Operations(**REDUCED[kind](numel(x), numel(y)))))


ELEMENTWISE: dict[str, Rule] = {
    **dict.fromkeys(ACTIVATIONS, _activation),
    **dict.fromkeys(EACH, _elementwise),
    **dict.fromkeys(ARITHMETIC, _arithmetic),
    **dict.fromkeys(REDUCED, _reduction),
    "HardSigmoid": _hard_sigmoid,
    "PRelu": _prelu,
    "Clip": _clip,
    "Dropout": _dropout,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
}
