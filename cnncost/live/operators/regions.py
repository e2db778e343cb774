"""Sampling at places that are data: grids, deformable convolution, regions of interest.

Interpolation counts as the language's upsampling does: 2 taps an axis (bicubic 4), each a
multiplication, one addition fewer.
"""

from __future__ import annotations

from math import prod

from cnncost.cost import Operations
from cnncost.live.operators.base import Call, Layer, UnknownCostError, output, rule
from cnncost.ops.pool import RoIPool
from cnncost.ops.seen import Seen

TAPS = (2, 1, 4)
"""Taps an axis of bilinear, nearest and bicubic interpolation, in PyTorch's numbering."""


def sampled(elements: int, taps: int) -> Operations:
    """Elements that are each interpolated from that many taps."""
    return Operations(additions=elements * (taps - 1), multiplications=elements * taps if taps > 1 else 0)


@rule("grid_sampler", "grid_sampler_2d", "grid_sampler_3d")
def grid_sampler(call: Call) -> Layer:
    taps = TAPS[call["interpolation_mode"]] ** (len(call.x) - 2)
    return Layer(Seen("grid_sample", call.y, done=sampled(call.n, taps)), call.tensors)


@rule("affine_grid_generator")
def affine_grid(call: Call) -> Layer:
    """Every place, as coordinates and a 1, by the transposed matrix: a batched product."""
    return Layer(Seen("affine_grid", call.y, macs=call.n * (call.y[-1] + 1)), call.tensors)


@output("torchvision::deform_conv2d")
def deformed(call: Call) -> tuple[int, ...]:
    """The shape of a convolution's output, which that of the offsets tells."""
    return (call.x[0], call["weight"].shape[0], *call["offset"].shape[2:])


@rule("torchvision::deform_conv2d")
def deformable(call: Call) -> Layer:
    """A convolution whose taps are moved by offsets, between pixels, and may be scaled by a mask. (Dai et al. 2017)"""
    x, weight, offset, mask, bias = (call[name] for name in ("input", "weight", "offset", "mask", "bias"))
    taps, places = prod(weight.shape[2:]), prod(call.y[2:])
    own, masked = call.learned(bias), call["use_mask"]  # without a bias torchvision adds zeros
    done = sampled(prod(call.x[:2]) * taps * places, 4)
    done = done._replace(
        additions=done.additions + offset.numel() + call.n * own,
        multiplications=done.multiplications + prod(call.x[:2]) * taps * places * masked,
    )
    op = Seen("deform_conv", call.y, text=f"deform_conv {'x'.join(map(str, weight.shape[2:]))}",
              macs=call.n * prod(weight.shape[1:]), done=done, weights=weight.numel(),
              biases=bias.numel() * own, weighted=True)  # fmt: skip
    return Layer(op, (x, offset, *([mask] if masked else [])), (weight, *([bias] if own else [])))


@rule("torchvision::roi_align", "torchvision::ps_roi_align")
def roi_align(call: Call) -> Layer:
    """The mean of sampling_ratio^2 places in each part of a region. (He et al. 2017)"""
    places = call["sampling_ratio"] ** 2
    if call["sampling_ratio"] < 1:
        raise UnknownCostError("how often a region is sampled depends on its size; sampling_ratio fixes it")
    done = sampled(call.n * places, 4)
    done = done._replace(additions=done.additions + call.n * (places - 1), divisions=call.n)
    return Layer(Seen(call.name.partition("::")[2], call.y, done=done), call.tensors[:2])


@rule("torchvision::roi_pool")
def roi_pool(call: Call) -> Layer:
    """Regions of the whole map stand for the data's, as in the language's roi_pool."""
    size = call["pooled_height"], call["pooled_width"]
    whole = RoIPool(size, rois=1).operations((1, *call.y[1:]), (1, *call.x[1:]))
    done = Operations(*(call.y[0] * n for n in whole))
    return Layer(Seen("roi_pool", call.y, done=done), call.tensors[:2])
