"""Pooling."""

from __future__ import annotations

from math import prod
from typing import Any

from cnncost.cost import Operations
from cnncost.live.operators.base import Call, Layer, rule
from cnncost.live.operators.products import same
from cnncost.ops.pool import AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, GlobalAvgPool, MaxPool
from cnncost.ops.seen import Seen

MAX = [f"max_pool{d}d{rest}" for d in (1, 2, 3) for rest in ("", "_with_indices")]
AVG = [f"avg_pool{d}d" for d in (1, 2, 3)]
ADAPTIVE_AVG = [*(f"adaptive_avg_pool{d}d" for d in (1, 2, 3)), "_adaptive_avg_pool2d", "_adaptive_avg_pool3d"]
ADAPTIVE_MAX = [f"adaptive_max_pool{d}d" for d in (1, 2, 3)]


def batched(call: Call) -> bool:
    """Whether the input has a batch axis: two more than the axes pooled."""
    return len(call.x) == 2 + int(next(c for c in call.name if c in "123"))


@rule(*MAX, when=batched)
def max_pool(call: Call) -> Layer:
    stride = call["stride"]
    op = MaxPool(
        same(call["kernel_size"]),
        same(stride) if stride else None,
        same(call["padding"]),
        same(call["dilation"]),
        call["ceil_mode"],
    )
    return Layer(op, (call["self"],))


@rule(*AVG, when=batched)
def avg_pool(call: Call) -> Layer:
    stride = call["stride"]
    op = AvgPool(
        same(call["kernel_size"]),
        same(stride) if stride else None,
        same(call["padding"]),
        call["ceil_mode"],
        call["count_include_pad"],
        call.get("divisor_override"),
    )
    return Layer(op, (call["self"],))


@rule(*ADAPTIVE_AVG, when=batched)
def adaptive_avg_pool(call: Call) -> Layer:
    size = same(call["output_size"])
    return Layer(GlobalAvgPool() if size == 1 else AdaptiveAvgPool(size), (call["self"],))


@rule(*ADAPTIVE_MAX, when=batched)
def adaptive_max_pool(call: Call) -> Layer:
    return Layer(AdaptiveMaxPool(same(call["output_size"])), (call["self"],))


@rule("fractional_max_pool2d", "fractional_max_pool3d")
def fractional_max_pool(call: Call) -> Layer:
    """Windows of one size at places that are drawn. (Graham 2014)"""
    done = Operations(comparisons=call.n * (prod(call["kernel_size"]) - 1))
    return Layer(Seen("max_pool", call.y, text="fractional max_pool", done=done), (call["self"],))


@rule(*MAX, *AVG, *ADAPTIVE_AVG, *ADAPTIVE_MAX)
def of_one_image(call: Call) -> Any:
    """The same without a batch."""
    kernel = call.get("kernel_size")
    taps = 1
    if kernel is not None:
        kernel = kernel if len(kernel) > 1 else [kernel[0]] * int(next(c for c in call.name if c in "123"))
        for k in kernel:
            taps *= k
    else:
        taps = max(1, call.first.numel() // call.n)
    mean = "avg" in call.name
    work = call.n * (taps - 1)
    done = Operations(additions=work, divisions=call.n) if mean else Operations(comparisons=work)
    return Layer(Seen(call.name.lstrip("_").split("pool")[0] + "pool", call.y, done=done), (call["self"],))
