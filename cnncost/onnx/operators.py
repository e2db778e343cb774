"""What each ONNX operator is here: the table, and the operators that have weights or windows."""

from __future__ import annotations

from typing import Any

from cnncost.onnx.elementwise import ELEMENTWISE, short
from cnncost.onnx.moves import MOVES
from cnncost.onnx.walk import Call, Rule
from cnncost.ops.conv import Conv, DepthwiseConv, TransposedConv
from cnncost.ops.linear import Linear, MatMul
from cnncost.ops.norm import LRN, BatchNorm, GroupNorm, InstanceNorm, LayerNorm
from cnncost.ops.pool import AvgPool, GlobalAvgPool, GlobalMaxPool, L2Pool, MaxPool


def axes_of(values: Any, rank: int, default: int) -> Any:
    """One number for all axes where they agree, else one an axis."""
    values = tuple(values) if values is not None else (default,) * rank
    return values[0] if len(set(values)) == 1 else values


def padding(call: Call, kernel: Any, strides: Any, dilations: Any) -> Any:
    """A node's padding as the language writes it."""
    auto, rank = call.get("auto_pad", "NOTSET"), len(call.x) - 2
    if auto == "VALID":
        return 0
    if auto == "SAME_UPPER":
        return "same_tf"
    if auto == "SAME_LOWER":
        sides = []
        for n, k, s, d in zip(call.x[2:], kernel, strides, dilations):
            total = max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
            sides.append((total - total // 2, total // 2))
        return tuple(sides)
    pads = call.get("pads", [0] * 2 * rank)
    both = [(before, after) for before, after in zip(pads[:rank], pads[rank:])]
    return axes_of([a if a == b else (a, b) for a, b in both], rank, 0)


def fits(call: Call, wanted: Any, given: Any, what: str = "channels") -> None:
    """Raise UsageError where the weights, whose sizes the file fixes, are for another input than there is."""
    if wanted != given:
        raise call.fault(f"weights for {wanted} {what} on an input of {given}", "the file fixes them; see --input")


def _convolution(call: Call) -> str:
    """Weights are out x in / groups x kernel."""
    weight, rank = call.weight(1), len(call.x) - 2
    if len(weight) != len(call.x):
        raise call.fault(f"weights of {len(weight)} axes on an input of {len(call.x)}")
    groups, kernel = call.get("group", 1), weight[2:]
    strides, dilations = call.get("strides", [1] * rank), call.get("dilations", [1] * rank)
    fits(call, weight[1] * groups, call.x[1])
    options = {
        "kernel": axes_of(kernel, rank, 1),
        "stride": axes_of(strides, rank, 1),
        "padding": padding(call, kernel, strides, dilations),
        "dilation": axes_of(dilations, rank, 1),
        "bias": call.bias(2),
    }
    if 1 < groups == call.x[1]:
        return call.add(DepthwiseConv(multiplier=int(weight[0]) // groups, **options), owner=call.names[1])
    return call.add(Conv(int(weight[0]), groups=groups, **options), owner=call.names[1])


def _transposed(call: Call) -> str:
    """Weights are in x out / groups x kernel."""
    weight, rank, groups = call.weight(1), len(call.x) - 2, call.get("group", 1)
    if call.get("auto_pad", "NOTSET") != "NOTSET" or "output_shape" in call.attributes:
        raise call.fault("with auto_pad or output_shape is not known here", "export it with pads")
    fits(call, weight[0], call.x[1])
    pads = call.get("pads", [0] * 2 * rank)
    extra = list(call.get("output_padding", [0] * rank))
    for i, (before, after) in enumerate(zip(pads[:rank], pads[rank:])):
        extra[i] += before - after  # one row less padding after is one row more of output
    if min(extra) < 0:
        raise call.fault(f"pads {list(pads)}: more after than before is not known here")
    op = TransposedConv(
        int(weight[1]) * groups,
        kernel=axes_of(weight[2:], rank, 1),
        stride=axes_of(call.get("strides"), rank, 1),
        padding=axes_of(pads[:rank], rank, 0),
        output_padding=axes_of(extra, rank, 0),
        dilation=axes_of(call.get("dilations"), rank, 1),
        groups=groups,
        bias=call.bias(2),
    )
    return call.add(op, owner=call.names[1])


def _gemm(call: Call) -> str:
    """A x B + C, of which B and C are weights."""
    weight = call.weight(1)
    if call.get("transA", 0) or len(call.x) != 2:
        raise call.fault("with A transposed is not known here")
    out, features = weight if call.get("transB", 0) else weight[::-1]
    fits(call, features, call.x[-1], "features")
    return call.add(Linear(int(out), bias=call.bias(2)), owner=call.names[1])


def _matmul(call: Call) -> str:
    """Of two layers a product; of a layer and a matrix of weights a linear layer, here with its bias."""
    if len(call.layers) == 2:
        return call.add(MatMul(), *call.layers)
    weight = call.weight(1)
    if len(weight) != 2:
        raise call.fault(f"weights of {len(weight)} axes are not known here")
    fits(call, weight[0], call.x[-1], "features")
    return call.add(Linear(int(weight[1]), bias=call.bias(2)), owner=call.names[1])


def _batch_norm(call: Call) -> str:
    for i in range(1, 5):
        fits(call, call.weight(i)[0], call.x[1])
    momentum = round(1 - call.get("momentum", 0.9), 6)
    return call.add(BatchNorm(short(call.get("epsilon", 1e-5)), momentum, call.affine()), owner=call.names[1])


def _instance_norm(call: Call) -> str:
    fits(call, call.weight(1)[0], call.x[1])
    return call.add(InstanceNorm(eps=short(call.get("epsilon", 1e-5)), affine=call.affine()), owner=call.names[1])


def _group_norm(call: Call) -> str:
    return call.add(GroupNorm(call["num_groups"], short(call.get("epsilon", 1e-5)), call.affine()), owner=call.names[1])


def _layer_norm(call: Call) -> str:
    axis, rank = call.get("axis", -1), len(call.x)
    axes = -axis if axis < 0 else rank - axis
    scale = call.constant(1)
    if scale is not None and scale.shape:
        fits(call, scale.shape[-1], call.x[-1], "features")
    op = LayerNorm(axes, eps=short(call.get("epsilon", 1e-5)), affine=call.affine(), bias=call.bias(2))
    return call.add(op, owner=call.names[1])


def _lrn(call: Call) -> str:
    op = LRN(call["size"], short(call.get("alpha", 1e-4)), short(call.get("beta", 0.75)), short(call.get("bias", 1)))
    return call.add(op)


def _pool(call: Call) -> str:
    kernel, rank = call["kernel_shape"], len(call.x) - 2
    strides, dilations = call.get("strides", [1] * rank), call.get("dilations", [1] * rank)
    options = {
        "stride": axes_of(strides, rank, 1),
        "padding": padding(call, kernel, strides, dilations),
        "ceil_mode": bool(call.get("ceil_mode", 0)),
    }
    window = axes_of(kernel, rank, 1)
    if call.node.op_type == "MaxPool":
        return call.add(MaxPool(window, dilation=axes_of(dilations, rank, 1), **options))
    if any(d != 1 for d in dilations):
        raise call.fault("with dilations is not known here")
    if call.node.op_type == "LpPool":
        return call.add(L2Pool(window, power=call.get("p", 2), **options))
    return call.add(AvgPool(window, count_include_pad=bool(call.get("count_include_pad", 0)), **options))


def _global_avg_pool(call: Call) -> str:
    return call.add(GlobalAvgPool())


def _global_max_pool(call: Call) -> str:
    return call.add(GlobalMaxPool())


RULES: dict[str, Rule] = {
    "Conv": _convolution,
    "ConvTranspose": _transposed,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "BatchNormalization": _batch_norm,
    "InstanceNormalization": _instance_norm,
    "GroupNormalization": _group_norm,
    "LayerNormalization": _layer_norm,
    "LRN": _lrn,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "LpPool": _pool,
    "GlobalAveragePool": _global_avg_pool,
    "GlobalMaxPool": _global_max_pool,
    **ELEMENTWISE,
    **MOVES,
}
"""Rules by operator."""
