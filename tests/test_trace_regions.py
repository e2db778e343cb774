"""Rules: sampling at places that are data, and torchvision's operators."""

from __future__ import annotations

from math import prod
from typing import Any

import pytest
import torch
import torchvision_shim
from applied import Applied, arithmetic

from cnncost import analyze
from cnncost.live.operators.base import RULES
from cnncost.live.recorder import TraceError
from cnncost.live.trace import trace

f = torch.nn.functional
SCHEMAS = (
    "deform_conv2d(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, SymInt stride_h, "
    "SymInt stride_w, SymInt pad_h, SymInt pad_w, SymInt dilation_h, SymInt dilation_w, SymInt groups, "
    "SymInt offset_groups, bool use_mask) -> Tensor",
    "roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width, "
    "int sampling_ratio, bool aligned) -> Tensor",
    "ps_roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width, "
    "int sampling_ratio) -> (Tensor, Tensor)",
    "roi_pool(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width) "
    "-> (Tensor, Tensor)",
)
"""torchvision's, for a wheel whose operators do not load beside this PyTorch."""
DECLARED: Any = torch.library.Library("torchvision", "FRAGMENT")
C, N, OUT, KERNEL, PLACES = 6, 2, 4, (3, 5), (7, 9)


@pytest.fixture(scope="module", autouse=True)
def torchvision_operators() -> None:
    """The operators, with the shapes that torchvision's own fakes give."""
    try:
        torchvision_shim.models()
    except ImportError:
        pytest.skip("torchvision is not installed")
    if hasattr(torch.ops.torchvision, "roi_align"):
        return
    for schema in SCHEMAS:
        DECLARED.define(schema)

    def pooled(x: Any, rois: Any, scale: float, height: int, width: int, *_: Any) -> Any:
        return x.new_empty(rois.shape[0], x.shape[1], height, width)

    def divided(x: Any, rois: Any, scale: float, height: int, width: int, *_: Any) -> Any:
        y = x.new_empty(rois.shape[0], x.shape[1] // (height * width), height, width)
        return y, y.new_empty(y.shape, dtype=torch.int32)

    fakes = {"roi_align": pooled, "ps_roi_align": divided, "roi_pool": lambda *a: (pooled(*a), pooled(*a))}
    for name, fake in fakes.items():
        torch.library.register_fake(f"torchvision::{name}", fake, lib=DECLARED)


def test_rules_are_of_operators_that_there_are() -> None:
    names = [name.partition("::")[2] for name in RULES if name.startswith("torchvision::")]
    assert names
    assert [name for name in names if not hasattr(torch.ops.torchvision, name)] == []


# ---- grids ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "as_upsampling", "axes"),
    [("bilinear", "bilinear", 2), ("bicubic", "bicubic", 2), ("nearest", "nearest", 2), ("bilinear", "trilinear", 3)],
)
def test_sampling_a_grid_costs_what_upsampling_costs(mode: str, as_upsampling: str, axes: int) -> None:
    x, size = (2, 3, *(4, 6, 5)[:axes]), (7, 9, 8)[:axes]
    grid = arithmetic(lambda x, g: f.grid_sample(x, g, mode, align_corners=False), [x, (2, *size, axes)])
    assert grid == arithmetic(lambda x: f.interpolate(x, size=size, mode=as_upsampling), [x])
    assert (sum(grid) > 0) is (mode != "nearest")


def test_pixels_go_back_where_they_came_from() -> None:
    pooled = (2, 3, 4, 4)
    total = arithmetic(lambda x: f.max_unpool2d(*f.max_pool2d(x, 2, return_indices=True), 2), [(2, 3, 8, 8)])
    assert total == arithmetic(lambda x: f.max_pool2d(x, 2), [(2, 3, 8, 8)])
    assert arithmetic(lambda x: f.fractional_max_pool2d(x, (2, 3), (4, 4)), [(2, 3, 8, 12)]) == (
        0, 0, 0, prod(pooled) * (2 * 3 - 1), 0, 0,
    )  # fmt: skip


# ---- deformable convolution -------------------------------------------------------------------------


class Deformed(torch.nn.Module):
    """torchvision.ops.DeformConv2d, whose function asks for operators that are compiled."""

    def __init__(self, bias: bool, masked: bool, groups: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.empty(OUT, C // groups, *KERNEL))
        self.bias = torch.nn.Parameter(torch.empty(OUT)) if bias else None
        self.masked, self.groups = masked, groups

    def forward(self, x: Any, offset: Any, mask: Any) -> Any:
        bias = torch.zeros(OUT) if self.bias is None else self.bias
        return torch.ops.torchvision.deform_conv2d(
            x, self.weight, offset, mask, bias, 1, 1, 0, 0, 1, 1, self.groups, 2, self.masked
        )


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize(("bias", "groups"), [(True, 1), (False, 1), (True, 2)])
def test_a_deformable_convolution_is_a_convolution_of_samples(bias: bool, masked: bool, groups: int) -> None:
    height, width = PLACES
    x, taps = (N, C, height + 2, width + 4), prod(KERNEL)
    offset, mask = (N, 2 * 2 * taps, *PLACES), (N, 2 * taps, *PLACES)
    total = analyze(trace(Deformed(bias, masked, groups), [x, offset, mask])).total
    plain = analyze(trace(torch.nn.Conv2d(C, OUT, KERNEL, groups=groups, bias=bias), [x])).total
    assert (total.macs, total.weights, total.biases) == (plain.macs, plain.weights, plain.biases)
    samples = N * C * taps * height * width
    assert total.multiplications == samples * (4 + masked)
    assert total.additions == plain.additions + samples * 3 + prod(offset)


# ---- regions of interest ----------------------------------------------------------------------------

BOXES, MAP, SIZE = (10, 5), (2, 8, 20, 30), (2, 4)


def test_aligned_regions_are_means_of_samples() -> None:
    ops = torch.ops.torchvision
    outputs, places = 10 * 8 * 2 * 4, 3 * 3
    counts = (outputs * (places * 3 + places - 1), outputs * places * 4, 0, outputs, 0)
    assert arithmetic(lambda x, r: ops.roi_align(x, r, 0.5, *SIZE, 3, True), [MAP, BOXES]) == (0, *counts)
    divided = arithmetic(lambda x, r: ops.ps_roi_align(x, r, 0.5, *SIZE, 3)[0], [MAP, BOXES])
    assert divided == (0, *(n // prod(SIZE) for n in counts))


def test_how_often_regions_are_sampled_must_be_known() -> None:
    model = Applied(lambda x, r: torch.ops.torchvision.roi_align(x, r, 0.5, *SIZE, -1, True))
    with pytest.raises(TraceError) as e:
        trace(model, [MAP, BOXES])
    assert str(e.value) == (
        "torchvision::roi_align called on 2x8x20x30 and 10x5: how often a region is sampled depends on its size; "
        "sampling_ratio fixes it (in the model, Applied of 2x8x20x30 and 10x5)\n"
        "hint: --allow-unknown counts it as nothing and says so"
    )
    (layer,) = analyze(trace(model, [MAP, BOXES], allow_unknown=True)).layers
    assert layer.op == "opaque"


def test_pooled_regions_are_as_large_as_the_map() -> None:
    comparisons = 10 * 8 * (20 * 30 // 1)
    total = arithmetic(lambda x, r: torch.ops.torchvision.roi_pool(x, r, 0.5, 1, 1)[0], [MAP, BOXES])
    assert total == (0, 0, 0, comparisons - 10 * 8, 0, 0)


@pytest.mark.filterwarnings("ignore:.*create_unbacked_symint.*:FutureWarning")
def test_boxes_that_survive_are_data() -> None:
    keep = Applied(lambda boxes, scores: torch.ops.torchvision.nms(boxes, scores, 0.5))
    with pytest.raises(TraceError) as e:
        trace(keep, [(10, 4), (10,)])
    assert e.value.message.startswith("torchvision.nms depends on the data, and nothing is computed")
