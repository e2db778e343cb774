"""Element by element: activations, arithmetic of tensors and numbers, comparisons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from cnncost.cost import Operations
from cnncost.live.operators.base import Call, Layer, or_seen, rule
from cnncost.ops import activation as act
from cnncost.ops.base import Op
from cnncost.ops.dropout import Dropout
from cnncost.ops.join import Add, Maximum, Multiply, Subtract
from cnncost.ops.norm import Scale
from cnncost.ops.seen import Seen
from cnncost.ops.softmax import GLU

ACTIVATIONS: dict[str, Callable[[Call], Op]] = {
    "relu": lambda call: act.ReLU(call.inplace),
    "relu6": lambda call: act.ReLU6(call.inplace),
    "leaky_relu": lambda call: act.LeakyReLU(call["negative_slope"], call.inplace),
    "celu": lambda call: act.CELU(call["alpha"], call.inplace),
    "selu": lambda call: act.SELU(call.inplace),
    "gelu": lambda call: act.GELU(call["approximate"]),
    "sigmoid": lambda call: act.Sigmoid(call.inplace),
    "log_sigmoid": lambda call: act.LogSigmoid(),
    "log_sigmoid_forward": lambda call: act.LogSigmoid(),
    "hardsigmoid": lambda call: act.HardSigmoid(call.inplace),
    "tanh": lambda call: act.Tanh(call.inplace),
    "hardtanh": lambda call: _between(call["min_val"], call["max_val"], call.inplace),
    "silu": lambda call: act.SiLU(call.inplace),
    "hardswish": lambda call: act.HardSwish(call.inplace),
    "softplus": lambda call: act.Softplus(call["beta"], call["threshold"]),
    "mish": lambda call: act.Mish(call.inplace),
}
"""Operators that are activations of the language."""

FREE = Operations()
ADD, MULTIPLY, DIVIDE = Operations(additions=1), Operations(multiplications=1), Operations(divisions=1)
COMPARE, EXPONENTIAL = Operations(comparisons=1), Operations(exponentials=1)

EACH = {
    **dict.fromkeys(["neg", "abs", "sign", "sgn", "floor", "ceil", "round", "trunc", "frac", "conj", "angle"], FREE),
    **dict.fromkeys(["logical_not", "logical_and", "logical_or", "logical_xor", "isnan", "isinf", "isfinite"], FREE),
    **dict.fromkeys(["bitwise_not", "bitwise_and", "bitwise_or", "bitwise_xor", "nan_to_num", "signbit"], FREE),
    **dict.fromkeys(["copysign", "nextafter", "frexp"], FREE),
    **dict.fromkeys(["__and__", "__or__", "__xor__", "__lshift__", "__rshift__", "positive"], FREE),
    **dict.fromkeys(["bitwise_left_shift", "bitwise_right_shift"], FREE),
    **dict.fromkeys(["exp", "log", "log2", "log10", "sqrt", "erf", "erfc", "erfinv", "exp2", "digamma"], EXPONENTIAL),
    **dict.fromkeys(["sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "lgamma"], EXPONENTIAL),
    **dict.fromkeys(["asinh", "acosh", "atanh", "atan2", "special_erf", "special_expit"], EXPONENTIAL),
    **dict.fromkeys(["i0", "special_i0e", "special_i1", "special_i1e", "special_bessel_j0"], EXPONENTIAL),
    **dict.fromkeys(["special_bessel_j1", "special_erfcx", "special_ndtri", "special_log_ndtr"], EXPONENTIAL),
    **dict.fromkeys(["special_zeta", "polygamma"], EXPONENTIAL),
    **dict.fromkeys(["xlogy", "special_entr", "ldexp"], EXPONENTIAL._replace(multiplications=1)),
    "special_xlog1py": Operations(exponentials=1, multiplications=1, additions=1),
    **dict.fromkeys(["deg2rad", "rad2deg"], MULTIPLY),
    **dict.fromkeys(["expm1", "log1p"], EXPONENTIAL._replace(additions=1)),
    **dict.fromkeys(["eq", "ne", "lt", "le", "gt", "ge", "minimum", "fmin", "fmax", "heaviside"], COMPARE),
    **dict.fromkeys(["clamp_min", "clamp_max", "threshold"], COMPARE),
    **dict.fromkeys(["remainder", "fmod", "floor_divide", "reciprocal"], DIVIDE),
    "rsqrt": Operations(exponentials=1, divisions=1),
    "sinc": Operations(exponentials=1, divisions=1, multiplications=1),
    "logit": Operations(exponentials=1, divisions=1, additions=1),
    "hypot": Operations(exponentials=1, multiplications=2, additions=1),
    "hardshrink": COMPARE,
    "softshrink": Operations(comparisons=2, additions=1),
    "lerp": Operations(additions=2, multiplications=1),
    **dict.fromkeys(["logaddexp", "logaddexp2"], Operations(exponentials=3, additions=2, comparisons=1)),
    "linalg_cross": Operations(multiplications=2, additions=1),
    **dict.fromkeys(
        [f"fake_quantize_per_{part}_affine_cachemask" for part in ("tensor", "channel")],
        Operations(multiplications=2, additions=2, comparisons=2),
    ),
    "masked_fill": FREE,
    "where": FREE,
    "complex": FREE,
    "polar": Operations(exponentials=2, multiplications=2),
}
"""Arithmetic an output element of the other operators: signs, roundings and selections are free."""


def pointwise(call: Call, key: str, each: Operations, text: str | None = None) -> Layer:
    """A layer that does `each` to every element of the output."""
    each = of_complex(each) if on_complex(call) else each
    done = Operations(*(call.n * count for count in each))
    return Layer(Seen(key, call.y, text=text, done=done, inplace=call.inplace, same=True), call.tensors)


def on_complex(call: Call) -> bool:
    """Whether a call works on complex numbers; PyTorch makes all of its arguments so then."""
    return any(t.is_complex() for t in call.tensors)


def of_complex(each: Operations) -> Operations:
    """Arithmetic of complex numbers as that of real ones. e^(a + bi) is e^a, and sine and cosine of b."""
    return Operations(
        additions=2 * each.additions + 2 * each.multiplications + 3 * each.divisions,
        multiplications=4 * each.multiplications + 6 * each.divisions + 2 * each.exponentials,
        comparisons=each.comparisons,
        divisions=2 * each.divisions,
        exponentials=3 * each.exponentials,
    )


@rule(*ACTIVATIONS)
def activation(call: Call) -> Layer:
    return Layer(or_seen(ACTIVATIONS[call.name](call), call), (call.first,))


@rule("elu", when=lambda call: call["scale"] == call["input_scale"] == 1)
def elu(call: Call) -> Layer:
    return Layer(act.ELU(call["alpha"], call.inplace), (call["self"],))


@rule("elu")
def scaled_elu(call: Call) -> Layer:
    return pointwise(call, "elu", act.SELU.each)


@rule("prelu", "_prelu_kernel")
def prelu(call: Call) -> Layer:
    x, weight = call["self"], call["weight"]
    op = act.PReLU("all" if weight.numel() == 1 else "channel")
    return Layer(or_seen(op, call, (weight,)), (x,), (weight,))


@rule("rrelu_with_noise")
def random_leaky_relu(call: Call) -> Layer:
    """A leaky ReLU whose slopes are drawn in training."""
    done = Operations(comparisons=call.n, multiplications=call.n)
    return Layer(Seen("rrelu", call.y, done=done, inplace=call.inplace, same=True), (call["self"],))


@rule("glu")
def glu(call: Call) -> Layer:
    return Layer(or_seen(GLU(call["dim"]), call), (call["self"],))


@rule("abs", "angle", when=on_complex)
def polar_part(call: Call) -> Layer:
    """The length of a complex number, or its angle."""
    each = Operations(multiplications=2, additions=1, exponentials=1) if call.name == "abs" else EXPONENTIAL
    done = Operations(*(call.n * count for count in each))
    return Layer(Seen(call.name, call.y, done=done, same=True), (call["self"],))


@rule(*EACH)
def elementwise(call: Call) -> Layer:
    return pointwise(call, call.name, EACH[call.name])


@rule("addcmul", "addcdiv")
def add_product(call: Call) -> Layer:
    """a + value b c, or a + value b / c."""
    each = (
        Operations(additions=1, multiplications=1) if call.name == "addcmul" else Operations(additions=1, divisions=1)
    )
    return pointwise(call, call.name, each._replace(multiplications=each.multiplications + (call["value"] != 1)))


@rule("clamp", "clip")
def clamp(call: Call) -> Layer:
    low, high = call["min"], call["max"]
    bounds = (low is not None) + (high is not None)
    known = Seen("clamp", call.y, done=Operations(comparisons=bounds * call.n), inplace=call.inplace, same=True)
    if all(isinstance(bound, (int, float)) for bound in (low, high)):
        return Layer((lambda: _between(low, high, call.inplace), known), (call["self"],))
    return Layer(known, call.tensors)


def _between(low: float, high: float, inplace: bool) -> Op:
    return act.ReLU6(inplace) if (low, high) == (0, 6) else act.HardTanh(low, high, inplace)


@rule("add")
def add(call: Call) -> Layer:
    return _sum(call, Add, "add")


@rule("sub")
def subtract(call: Call) -> Layer:
    return _sum(call, Subtract, "subtract")


@rule("rsub")
def from_number(call: Call) -> Layer:
    if call["other"] == 1 and call["alpha"] == 1 and call["self"].dim() and not on_complex(call):
        return Layer(act.Complement(), (call["self"],))
    return pointwise(call, "subtract", ADD)


def _sum(call: Call, kind: Any, key: str) -> Layer:
    """a + alpha b: a product more where alpha is not 1."""
    a, b, scaled = call["self"], call["other"], call["alpha"] != 1
    each = Operations(additions=1, multiplications=int(scaled))
    if not isinstance(a, torch.Tensor) or not isinstance(b, torch.Tensor):
        text = f"{key} {b:g}" if isinstance(b, (int, float)) else None
        return pointwise(call, key, each, text=text)
    known = pointwise(call, key, each).choices
    return Layer(known if scaled or on_complex(call) else (lambda: kind(call.inplace), *known), (a, b))


@rule("mul")
def multiply(call: Call) -> Layer:
    a, b = call["self"], call["other"]
    known = pointwise(call, "multiply", MULTIPLY).choices
    if on_complex(call):
        return Layer(known, call.tensors)
    if not isinstance(b, torch.Tensor):
        scale = (lambda: Scale(b, False),) if not call.inplace and isinstance(b, (int, float)) else ()
        return Layer((*scale, *known), (a,))
    for x, factor in ((a, b), (b, a)):
        if isinstance(x, torch.Tensor) and call.learned(factor) and not call.learned(x) and not call.inplace:
            axis = stretched_along(factor.shape, x.shape)
            if axis:
                return Layer(Scale(1.0, True, False, axis), (x,), (factor,))
    if not isinstance(a, torch.Tensor):
        return Layer(known, (b,))
    return Layer((lambda: Multiply(call.inplace), *known), (a, b))


def stretched_along(factor: Any, x: Any) -> int | None:
    """The one axis along which a factor of this shape differs, broadcast over x; None where there are more or none."""
    lead = len(x) - len(factor)
    axes = [lead + i for i, n in enumerate(factor) if n != 1]
    return axes[0] if lead >= 0 and len(axes) == 1 and factor[axes[0] - lead] == x[axes[0]] else None


@rule("div", "divide", "true_divide")
def divide(call: Call) -> Layer:
    other = call["other"]
    return pointwise(call, "divide", DIVIDE, text=f"divide {other:g}" if isinstance(other, (int, float)) else None)


@rule("maximum")
def maximum(call: Call) -> Layer:
    return Layer((Maximum, *pointwise(call, "maximum", COMPARE).choices), call.tensors)


@rule("square")
def square(call: Call) -> Layer:
    known = pointwise(call, "square", MULTIPLY)
    return known if call.inplace else Layer((act.Square, *known.choices), (call["self"],))


@rule("pow", "float_power")
def power(call: Call) -> Layer:
    exponent = call["exponent"]
    if isinstance(exponent, (int, float)) and exponent == 2:
        return square(call)
    return pointwise(call, "power", EXPONENTIAL)


@rule("dropout", "alpha_dropout", "feature_dropout", "feature_alpha_dropout", "native_dropout")
def dropout(call: Call) -> Layer:
    if not call["train"] or not call["p"]:
        return Layer(None, (call.first,))
    op = Dropout(call["p"], call.name.startswith("feature"), call.inplace)
    return Layer(or_seen(op, call), (call.first,))
