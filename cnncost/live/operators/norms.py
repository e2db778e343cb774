"""Normalisation."""

from __future__ import annotations

from math import prod
from typing import Any

from cnncost.cost import Operations
from cnncost.live.operators.base import Call, Layer, or_seen, rule
from cnncost.ops.norm import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, standardised
from cnncost.ops.seen import Seen


@rule(
    "batch_norm",
    "native_batch_norm",
    "_native_batch_norm_legit",
    "_native_batch_norm_legit_no_training",
    "cudnn_batch_norm",
)
def batch_norm(call: Call) -> Layer:
    x, weight, bias = call["input"], call["weight"], call["bias"]
    tracked = call.get("running_mean") is not None
    op = BatchNorm(call["eps"], call["momentum"], weight is not None, tracked)
    return Layer(or_seen(op, call, (weight, bias)), (x,), (weight, bias))


@rule("instance_norm")
def instance_norm(call: Call) -> Layer:
    x, weight, bias = call["input"], call["weight"], call["bias"]
    tracked = call["running_mean"] is not None and not call["use_input_stats"]
    op = InstanceNorm(call["eps"], call["momentum"], weight is not None, tracked)
    return Layer(or_seen(op, call, (weight, bias)), (x,), (weight, bias))


@rule("group_norm")
def group_norm(call: Call) -> Layer:
    return _group_norm(call, call["num_groups"])


@rule("native_group_norm")
def native_group_norm(call: Call) -> Layer:
    return _group_norm(call, call["group"])


def _group_norm(call: Call, groups: int) -> Layer:
    weight, bias = call["weight"], call["bias"]
    op = GroupNorm(groups, call["eps"], weight is not None)
    return Layer(or_seen(op, call, (weight, bias)), (call["input"],), (weight, bias))


@rule("layer_norm", "native_layer_norm")
def layer_norm(call: Call) -> Layer:
    weight, bias, axes = call["weight"], call["bias"], len(call["normalized_shape"])
    op = LayerNorm(axes, call["eps"], weight is not None, bias is not None or weight is None)
    return Layer((op, _whole(call, axes, weight, bias)), (call["input"],), (weight, bias))


@rule("rms_norm", "_fused_rms_norm")
def rms_norm(call: Call) -> Layer:
    """x / root of the mean square, scaled."""
    weight, x = call["weight"], call["input"]
    groups, n = prod(x.shape[: -len(call["normalized_shape"])]), call.n
    done = standardised(call.y, groups, False)
    done = done._replace(
        additions=n, multiplications=n * (2 + (weight is not None)), divisions=2 * groups, exponentials=groups
    )
    learned = 0 if weight is None else weight.numel()
    return Layer(Seen("rms_norm", call.y, other_params=learned, done=done), (x,), (weight,))


@rule("_weight_norm_interface", "_weight_norm")
def weight_norm(call: Call) -> Layer:
    """v g / |v|: a length for each of g."""
    v, g = call["v"], call["g"]
    n, m = v.numel(), g.numel()
    done = Operations(additions=n - m, multiplications=2 * n, divisions=m, exponentials=m)
    return Layer(Seen("weight_norm", call.y, done=done), (v, g))


def _whole(call: Call, axes: int, weight: Any, bias: Any) -> Seen:
    """A layer norm over all axes, the first one too."""
    params = sum(p.numel() for p in (weight, bias) if p is not None)
    done = standardised(call.y, prod(call.y[:-axes]), weight is not None)
    return Seen("layer_norm", call.y, other_params=params, done=done)
