"""Distances between vectors, and losses: what compares two tensors."""

from __future__ import annotations

from math import prod
from typing import Any

from cnncost.cost import Operations
from cnncost.live.operators.base import Call, Layer, rule
from cnncost.live.operators.reductions import norm_of
from cnncost.ops.seen import Seen


@rule("_cdist_forward", "_pdist_forward")
def distances(call: Call) -> Layer:
    """For each pair the difference and its norm."""
    elements = call.n * call.x[-1]
    done = norm_of(call["p"], elements, call.n)
    done = done._replace(additions=done.additions + elements)
    return Layer(Seen("distance", call.y, done=done), call.tensors)


@rule("_euclidean_dist")
def euclidean_distances(call: Call) -> Layer:
    """|a|^2 - 2 a b + |b|^2 as one matrix product, to which the squares add two columns; clamped, its root."""
    a, b = call["x1"], call["x2"]
    squared, width = a.numel() + b.numel(), a.shape[-1]
    rows = squared // width
    done = Operations(
        additions=squared - rows, multiplications=squared + a.numel(), comparisons=call.n, exponentials=call.n
    )
    return Layer(Seen("distance", call.y, macs=call.n * (width + 2), done=done), (a, b))


@rule("dist")
def distance(call: Call) -> Layer:
    elements = max(prod(t.shape) for t in call.tensors)
    done = norm_of(call["p"], elements, 1)
    return Layer(Seen("distance", call.y, done=done._replace(additions=done.additions + elements)), call.tensors)


LOSSES = {
    "mse_loss": Operations(additions=1, multiplications=1),
    "smooth_l1_loss": Operations(additions=2, multiplications=2, comparisons=1, divisions=1),
    "huber_loss": Operations(additions=2, multiplications=3, comparisons=1),
    "binary_cross_entropy": Operations(additions=3, multiplications=2, comparisons=2, exponentials=2),
    "binary_cross_entropy_with_logits": Operations(additions=3, multiplications=1, exponentials=2),
    "soft_margin_loss": Operations(additions=1, multiplications=1, exponentials=2),
}
"""What an element takes. smooth_l1 and huber: both branches; binary_cross_entropy: logarithms are at least -100."""
MEAN, SUM = 1, 2
"""How PyTorch numbers reductions; 0 is none."""


@rule(*LOSSES)
def loss(call: Call) -> Layer:
    """weight: a product more an element; pos_weight: (pos_weight - 1) target + 1 scales the logarithm."""
    elements = max(call["self"].numel(), call["target"].numel())
    each = LOSSES[call.name]
    if call.get("weight") is not None:
        each = each._replace(multiplications=each.multiplications + 1)
    if call.get("pos_weight") is not None:
        each = each._replace(multiplications=each.multiplications + 2, additions=each.additions + 2)
    return _reduced(call, elements, each)


@rule("nll_loss_forward", "nll_loss2d_forward")
def likelihood(call: Call) -> Layer:
    """What the targets pick is weighted and added up."""
    weighted = call["weight"] is not None
    return _reduced(call, call["target"].numel(), Operations(multiplications=int(weighted)), weighted)


def _reduced(call: Call, elements: int, each: Operations, weighted: bool = False) -> Layer:
    """`each` for every element, then their mean or sum; weighted: the mean is over the weights, which are added too."""
    reduction: Any = call["reduction"]
    done = Operations(*(elements * n for n in each))
    sums = (elements - 1) * (1 + (weighted and reduction == MEAN))
    if reduction in (MEAN, SUM):
        done = done._replace(additions=done.additions + sums, divisions=done.divisions + (reduction == MEAN))
    return Layer(Seen(call.name.removesuffix("_forward"), call.y, done=done), call.tensors)
