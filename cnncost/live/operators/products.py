"""Convolutions, linear layers, matrix products, attention, recurrent layers: all that has MACs."""

from __future__ import annotations

from math import prod
from typing import Any

from cnncost.cost import Operations
from cnncost.dims import Shape
from cnncost.live.operators.base import Call, Layer, rule
from cnncost.ops.conv import Conv, DepthwiseConv, TransposedConv
from cnncost.ops.linear import Linear, MatMul
from cnncost.ops.seen import Seen
from cnncost.ops.softmax import Softmax


def same(values: Any) -> Any:
    """A list an axis as one number where all are equal."""
    if not isinstance(values, (list, tuple)):
        return values
    return values[0] if len(set(values)) == 1 else tuple(values)


def batched(call: Call) -> bool:
    """Whether the input has a batch axis: as many axes as the kernel."""
    return bool(call["input"].dim() == call["weight"].dim())


@rule("conv1d", "conv2d", "conv3d", when=batched)
def conv(call: Call) -> Layer:
    return _conv(call, call["padding"])


@rule("conv_transpose1d", "conv_transpose2d", "conv_transpose3d", when=batched)
def transposed(call: Call) -> Layer:
    return _transposed(call)


@rule("convolution", "_convolution", when=batched)
def convolution(call: Call) -> Layer:
    return _transposed(call) if call["transposed"] else _conv(call, call["padding"])


def _conv(call: Call, padding: Any) -> Layer:
    x, weight, bias = call["input"], call["weight"], call["bias"]
    out, _, *kernel = weight.shape
    stride, dilation, groups = same(call["stride"]), same(call["dilation"]), call["groups"]
    window = {"stride": stride, "padding": same(padding), "dilation": dilation, "bias": bias is not None}
    channels = x.shape[1]
    if groups == channels and channels > 1:
        op: Any = DepthwiseConv(same(kernel), out // channels, **window)
    else:
        op = Conv(out, same(kernel), groups=groups, **window)
    return Layer(op, (x,), (weight, bias))


def _transposed(call: Call) -> Layer:
    x, weight, bias = call["input"], call["weight"], call["bias"]
    _, out, *kernel = weight.shape
    options = {name: same(call[name]) for name in ("stride", "padding", "output_padding", "dilation")}
    groups = call["groups"]
    op = TransposedConv(out * groups, same(kernel), groups=groups, bias=bias is not None, **options)
    return Layer(op, (x,), (weight, bias))


@rule("conv_tbc")
def time_first(call: Call) -> Layer:
    """A convolution over the first axis, of time x batch x channels."""
    weight, bias = call["weight"], call["bias"]
    op = Seen("conv", call.y, macs=call.n * prod(weight.shape[:2]), done=Operations(additions=call.n),
              weights=weight.numel(), biases=bias.numel(), weighted=True)  # fmt: skip
    return Layer(op, (call["self"],), (weight, bias))


@rule("linear", when=lambda call: call["weight"].dim() == 2)
def linear(call: Call) -> Layer:
    return dense(call, call["input"], call["weight"], call["bias"])


def dense(call: Call, x: Any, weight: Any, bias: Any) -> Layer:
    """x by a weight of out x in, and a bias."""
    several = Seen("linear", call.y, macs=call.n * x.shape[-1], weights=weight.numel(), weighted=True,
                   biases=0 if bias is None else bias.numel(),
                   done=Operations(additions=call.n * (bias is not None)))  # fmt: skip
    return Layer((lambda: Linear(weight.shape[0], bias is not None), several), (x,), (weight, bias))


@rule("addmm", when=lambda call: call["beta"] == call["alpha"] == 1)
def addmm(call: Call) -> Layer:
    bias, x, weight = call["self"], call["mat1"], call["mat2"]
    if call.learned(weight) and bias.dim() == 1 and bias.numel() == weight.shape[1]:
        return Layer(Linear(weight.shape[1]), (x,), (weight, bias))
    return Layer(_product("addmm", call, x.shape, added=call.n), (bias, x, weight))


@rule("addmm", "baddbmm", "addbmm")
def scaled_product(call: Call) -> Layer:
    names = [name for name in ("mat1", "mat2", "batch1", "batch2") if name in call.names]
    x, w = call[names[0]], call[names[1]]
    return Layer(_product(call.name, call, x.shape, added=call.n), (call["self"], x, w))


@rule("mm", "bmm", "matmul", "dot", "vdot", "mv")
def matmul(call: Call) -> Layer:
    a, b = (t for t in call.tensors[:2])
    if call.name in ("mm", "matmul") and b.dim() == 2 and a.dim() >= 2 and call.learned(b):
        return Layer(Linear(b.shape[1], False), (a,), (b,))
    return Layer((MatMul, _product("matmul", call, a.shape)), (a, b))


@rule("addmv", "addr")
def added_product(call: Call) -> Layer:
    inner = call["mat"].shape if call.name == "addmv" else (1,)
    return Layer(_product(call.name, call, tuple(inner), added=call.n), call.tensors)


def _product(key: str, call: Call, a: Any, added: int = 0) -> Seen:
    """A product whose first factor has the shape a: a MAC an output and element of its last axis."""
    return Seen(key, call.y, macs=call.n * a[-1], done=Operations(additions=added))


@rule("bilinear", when=lambda call: True)
def bilinear(call: Call) -> Layer:
    """sum over i, j of a_i w_oij b_j: rows of a by the weight first, then by b."""
    a, b, weight, bias = (call[name] for name in ("input1", "input2", "weight", "bias"))
    out, m, n = weight.shape
    op = Seen("bilinear", call.y, macs=call.n * m * n, weights=weight.numel(), weighted=True,
              biases=0 if bias is None else out, done=Operations(additions=call.n * (bias is not None)))  # fmt: skip
    return Layer(op, (a, b), (weight, bias))


@rule("scaled_dot_product_attention")
def attention(call: Call) -> Layer:
    return _attention(call, call["attn_mask"])


@rule(
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention",
    "_scaled_dot_product_fused_attention_overrideable",
)
def fused_attention(call: Call) -> Layer:
    return _attention(call, call.get("attn_mask", call.get("attn_bias")))


def _attention(call: Call, mask: Any) -> Layer:
    """Scaled queries by keys, a mask added, softmax, by values; the matrix of weights is never whole in memory."""
    query, key, value = call["query"], call["key"], call["value"]
    *rows, width = query.shape
    matrix: Shape = (*rows, key.shape[-2])
    pairs = prod(matrix)
    soft = Softmax(-1).operations(matrix, matrix)
    done = soft._replace(
        additions=soft.additions + pairs * (mask is not None and mask.is_floating_point()),
        multiplications=soft.multiplications + query.numel(),
    )
    heads = f" {query.shape[1]} heads" if query.dim() == 4 else ""
    op = Seen("attention", call.y, text=f"attention{heads}", macs=pairs * (width + value.shape[-1]), done=done)
    return Layer(op, (query, key, value, *(() if mask is None else (mask,))))


CELLS = {
    "lstm": Operations(additions=12, multiplications=5, divisions=5, exponentials=5),
    "gru": Operations(additions=9, multiplications=4, divisions=3, exponentials=3),
    "rnn_tanh": Operations(additions=3, multiplications=1, divisions=1, exponentials=1),
    "rnn_relu": Operations(additions=1, comparisons=1),
}
"""What a cell does for each of its states, beside products and biases: gates, and adding both products up."""


@rule(*CELLS, when=lambda call: "batch_sizes" not in call.names)
def recurrent(call: Call) -> Layer:
    """Every step multiplies its input and its state by all matrices, in every layer and direction."""
    x, params, states = call["input"], call["params"], call["hx"]
    states = states if isinstance(states, (list, tuple)) else (states,)
    last = states[-1]
    elements = prod(x.shape[:-1])
    steps = elements // (last.shape[1] if last.dim() == 3 else 1)
    weights = sum(p.numel() for p in params if p.dim() == 2)
    biases = sum(p.numel() for p in params if p.dim() == 1)
    done = Operations(*(steps * last.numel() * n for n in CELLS[call.name]))
    done = done._replace(additions=done.additions + elements * biases)
    op = Seen(
        call.name, call.y, macs=elements * weights, weights=weights, biases=biases, done=done, weighted=True
    )  # fmt: skip
    return Layer(op, (x, *states), params)
