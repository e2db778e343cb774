"""Sums, means, extremes, softmax: what joins elements along axes."""

from __future__ import annotations

from math import prod
from typing import Any

from cnncost.cost import Operations
from cnncost.live.operators.base import Call, Layer, rule
from cnncost.ops.pool import GlobalAvgPool, GlobalMaxPool
from cnncost.ops.seen import Seen
from cnncost.ops.softmax import LogSoftmax, Softmax


def reduced(call: Call, key: str, done: Operations) -> Seen:
    return Seen(key, call.y, done=done)


def over_image(call: Call) -> bool:
    """Whether the axes are those after channels, all of them."""
    axes, rank = call.get("dim"), len(call.x)
    if axes is None or isinstance(axes, int) or rank < 3:
        axes = [axes] if isinstance(axes, int) else []
    return rank >= 3 and sorted(a % rank for a in axes) == list(range(2, rank))


@rule("mean")
def mean(call: Call) -> Layer:
    n, m = prod(call.x), call.n
    known = reduced(call, "mean", Operations(additions=n - m, divisions=m))
    pool = (lambda: GlobalAvgPool(call["keepdim"]),) if over_image(call) else ()
    return Layer((*pool, known), (call["self"],))


@rule("sum", "nansum")
def sums(call: Call) -> Layer:
    return Layer(reduced(call, "sum", Operations(additions=prod(call.x) - call.n)), (call["self"],))


@rule("trace")
def trace(call: Call) -> Layer:
    return Layer(reduced(call, "trace", Operations(additions=max(min(call.x) - 1, 0))), (call["self"],))


@rule("prod")
def product(call: Call) -> Layer:
    return Layer(reduced(call, "product", Operations(multiplications=prod(call.x) - call.n)), (call["self"],))


@rule("amax")
def amax(call: Call) -> Layer:
    known = reduced(call, "max", Operations(comparisons=prod(call.x) - call.n))
    pool = (lambda: GlobalMaxPool(call["keepdim"]),) if over_image(call) else ()
    return Layer((*pool, known), (call["self"],))


@rule("amin", "max", "min", "argmax", "argmin", "aminmax", "median", "nanmedian", "kthvalue", "mode")
def extreme(call: Call) -> Layer:
    done = Operations(comparisons=max(prod(call.x) - call.n, 0))
    if len(call.tensors) > 1:  # max of two tensors, element by element
        done = Operations(comparisons=call.n)
    return Layer(reduced(call, call.name, done), call.tensors)


@rule("any", "all", "count_nonzero")
def counted(call: Call) -> Layer:
    return Layer(reduced(call, call.name, Operations()), (call["self"],))


@rule("var", "std", "var_mean", "std_mean")
def variance(call: Call) -> Layer:
    """Mean, centred, squared, mean of that; a root for the deviation."""
    n, m = prod(call.x), call.n
    roots = m if call.name.startswith("std") else 0
    done = Operations(additions=3 * n - 2 * m, multiplications=n, divisions=2 * m, exponentials=roots)
    return Layer(reduced(call, call.name, done), (call["self"],))


@rule("linalg_vector_norm", "norm", "frobenius_norm")
def length(call: Call) -> Layer:
    """Squares, their sum, its root; other powers are one exponential an element."""
    order = call.get("ord", call.get("p", 2))
    return Layer(reduced(call, "norm", norm_of(order, prod(call.x), call.n)), (call.first,))


def norm_of(order: float | None, n: int, m: int) -> Operations:
    """m norms over n elements together."""
    if order is None or order == 2:
        return Operations(additions=n - m, multiplications=n, exponentials=m)
    if order in (0, 1):  # how many are not 0, or the sum of absolute values
        return Operations(additions=n - m)
    if order in (float("inf"), float("-inf")):
        return Operations(comparisons=n - m)
    return Operations(additions=n - m, exponentials=n + m)


@rule("softmax", "_softmax", "_safe_softmax")
def softmax(call: Call) -> Layer:
    return _over_axis(call, Softmax, call["dim"])


@rule("log_softmax", "_log_softmax")
def log_softmax(call: Call) -> Layer:
    return _over_axis(call, LogSoftmax, call["dim"])


def _over_axis(call: Call, kind: Any, axis: int) -> Layer:
    shape = (1, *call.x)  # along the batch too
    axis = axis % max(len(call.x), 1)
    done = kind(axis + 1).operations(shape, shape)
    return Layer((lambda: kind(axis), Seen(kind.key, call.y, done=done)), (call.first,))


@rule("logsumexp")
def logsumexp(call: Call) -> Layer:
    n, m = prod(call.x), call.n
    done = Operations(comparisons=n - m, additions=2 * n, exponentials=n + m)
    return Layer(reduced(call, "logsumexp", done), (call["self"],))


@rule("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp")
def cumulated(call: Call) -> Layer:
    n = call.n
    done = {
        "cumsum": Operations(additions=n),
        "cumprod": Operations(multiplications=n),
        "logcumsumexp": Operations(additions=n, exponentials=n),
    }.get(call.name, Operations(comparisons=n))
    return Layer(reduced(call, call.name, done), (call["self"],))


@rule("sort", "argsort", "topk")
def ordered(call: Call) -> Layer:
    """n log2 n comparisons a row."""
    x = call.x
    row = x[call["dim"]] if x else 1
    return Layer(reduced(call, call.name, Operations(comparisons=prod(x) * (row - 1).bit_length())), (call["self"],))
