"""Where counters of MACs are known to go wrong, quietly: each with its true value, spelled as arithmetic.

The faults are those of tools that look at a module's attributes, at its output only, or at a list
of names; a test says which quantity they took for which.
"""

from __future__ import annotations

import math
from typing import Any

import oracle
import pytest
from cases import CASES, Case, case

from cnncost.cost import Cost

MAP = (1, 16, 32, 32)
SMALL = (1, 16, 8, 8)


def cost(one: Case) -> Cost:
    op = one.op()
    return op.cost(op.shape(*one.shapes), *one.shapes)


def macs(key: str, *shapes: tuple[int, ...], **options: Any) -> int:
    """MACs of a layer, which are PyTorch's too."""
    one = case(key, *shapes, **options)
    found = cost(one).macs
    assert found == oracle.facts(one).macs
    return found


# ---- convolutions -----------------------------------------------------------------------------


def test_conv() -> None:
    assert macs("conv", MAP, out=32, kernel=3, stride=2, padding=1, bias=False) == 16 * 16 * 32 * (16 * 3 * 3)


def test_a_bias_adds_flops_but_no_macs() -> None:
    plain = cost(case("conv", MAP, out=32, kernel=3, stride=2, padding=1, bias=False))
    biased = cost(case("conv", MAP, out=32, kernel=3, stride=2, padding=1))
    assert biased.macs == plain.macs
    assert biased.flops == plain.flops + 16 * 16 * 32
    assert (biased.biases, biased.weights) == (32, plain.weights)


def test_conv_of_a_batch() -> None:
    assert macs("conv", (4, 16, 32, 32), out=32, kernel=3, stride=2, padding=1) == 4 * 16 * 16 * 32 * (16 * 3 * 3)


def test_conv_padding_same() -> None:
    assert macs("conv", MAP, out=32, kernel=3, padding="same") == 32 * 32 * 32 * (16 * 3 * 3)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_conv_in_any_dimension(rank: int) -> None:
    n = (7, 6, 5)[:rank]
    assert macs("conv", (2, 4, *n), out=6, kernel=3, padding=1) == 2 * math.prod(n) * 6 * (4 * 3**rank)
    assert macs("conv", (2, 4, *n), out=6, kernel=3) == 2 * math.prod(m - 2 for m in n) * 6 * (4 * 3**rank)


def test_padded_taps_count() -> None:
    """Two 2 x 2 kernels with padding same on 4 x 4: all 4 taps at all 16 places, though some are on padding."""
    one = cost(case("conv", (1, 1, 4, 4), out=2, kernel=2, padding="same", bias=False))
    assert one.flops == 2 * (2 * 16 * 4)


# ---- transposed convolutions ------------------------------------------------------------------


def test_transposed_conv_follows_its_input() -> None:
    """Each of 8 x 8 input positions is multiplied with the whole kernel; the output is stride^2 times larger."""
    found = macs("transposed_conv", SMALL, out=32, kernel=4, stride=2, padding=1)
    assert found == 8 * 8 * 16 * (32 * 4 * 4)
    by_output = (16 * 16) * 16 * (32 * 4 * 4)
    assert by_output == found * 2**2


def test_transposed_conv_in_groups() -> None:
    assert macs("transposed_conv", SMALL, out=32, kernel=4, stride=2, padding=1, groups=4) == 8 * 8 * 16 * (
        32 // 4 * 4 * 4
    )


def test_depthwise_transposed_conv() -> None:
    assert macs("transposed_conv", SMALL, out=16, kernel=4, stride=2, padding=1, groups=16) == 8 * 8 * 16 * (4 * 4)


def test_transposed_conv_with_as_many_channels_out_as_in_is_no_conv() -> None:
    transposed = macs("transposed_conv", SMALL, out=16, kernel=3, stride=2)
    conv = macs("conv", SMALL, out=16, kernel=3, stride=2)
    assert (transposed, conv) == (8 * 8 * 16 * (16 * 3 * 3), 3 * 3 * 16 * (16 * 3 * 3))


def test_transposed_conv_has_one_bias_an_output_channel() -> None:
    one = cost(case("transposed_conv", SMALL, out=32, kernel=4, stride=2, padding=1, groups=4))
    assert (one.weights, one.biases) == (16 * (32 // 4) * 4 * 4, 32)
    assert one.additions == 16 * 16 * 32


# ---- products ---------------------------------------------------------------------------------


def test_linear_on_more_than_two_dimensions() -> None:
    assert macs("linear", (2, 5, 64), out=32) == 2 * 5 * 64 * 32
    assert macs("linear", (2, 5, 3, 64), out=32) == 2 * 5 * 3 * 64 * 32


def test_matmul() -> None:
    assert macs("matmul", (1, 8, 64), (1, 64, 32)) == 8 * 64 * 32


def test_attention_is_two_products() -> None:
    heads, tokens, size = 4, 32, 16
    scores = macs("matmul", (1, heads, tokens, size), (1, heads, size, tokens))
    mixed = macs("matmul", (1, heads, tokens, tokens), (1, heads, tokens, size))
    assert scores + mixed == 2 * heads * tokens**2 * size
    width = heads * size
    projections = 4 * macs("linear", (1, tokens, width), out=width)
    assert scores + mixed + projections == 4 * tokens * width**2 + 2 * tokens**2 * width


def test_attention_grows_with_the_square_of_the_tokens() -> None:
    one, two = (macs("matmul", (1, t, 16), (1, 16, t)) for t in (32, 64))
    assert two == 4 * one


# ---- pools ------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["max_pool", "avg_pool", "l2_pool"])
def test_pooling_depends_on_channels_and_on_the_window(key: str) -> None:
    few, many = (cost(case(key, (1, c, 12, 12), kernel=2)).operations for c in (3, 6))
    assert many == 2 * few
    small, large = (cost(case(key, (1, 3, 12, 12), kernel=k, stride=4)).operations for k in (2, 4))
    assert large > 2 * small


def test_average_pool_adds_and_divides() -> None:
    one = cost(case("avg_pool", SMALL, kernel=2))
    assert (one.additions, one.divisions) == (4 * 4 * 16 * (2 * 2 - 1), 4 * 4 * 16)


def test_adaptive_pool_whose_windows_overlap() -> None:
    """10 elements in 4 windows: 0-2, 2-4, 5-7, 7-9 are 12, not 10: n + m - gcd(n, m)."""
    windows = [range(i * 10 // 4, -(-(i + 1) * 10 // 4)) for i in range(4)]
    assert sum(map(len, windows)) == 10 + 4 - math.gcd(10, 4) == 12
    one = cost(case("adaptive_avg_pool", (1, 1, 10), size=4))
    assert (one.additions, one.divisions) == (12 - 4, 4)


def test_adaptive_pool_of_one_axis_only() -> None:
    one = cost(case("adaptive_avg_pool", (1, 2, 5, 7), size=(None, 1)))
    assert (one.additions, one.divisions) == (2 * 5 * (7 - 1), 2 * 5)


def test_conv_rounds_down_and_a_pool_in_ceil_mode_up() -> None:
    x = (1, 1, 64, 64)
    assert case("conv", x, out=1, kernel=3, stride=2, padding=1).op().shape(x)[2:] == (32, 32)
    assert case("max_pool", x, kernel=3, stride=2, padding=1, ceil_mode=True).op().shape(x)[2:] == (33, 33)


def test_a_last_window_that_would_start_in_the_padding_is_dropped() -> None:
    x = (1, 1, 5)
    assert case("max_pool", x, kernel=2, stride=3, padding=1, ceil_mode=True).op().shape(x) == (1, 1, 2)


# ---- the rest ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic", "area"])
def test_upsampling_by_a_factor_and_to_that_size_is_the_same(mode: str) -> None:
    by_factor = cost(case("upsample", (2, 3, 8, 8), factor=2, mode=mode))
    to_size = cost(case("upsample", (2, 3, 8, 8), size=16, mode=mode))
    assert by_factor == to_size
    assert by_factor.written == 2 * 3 * (2 * 8) * (2 * 8)


def test_upsampling_counts_images_and_channels() -> None:
    one, many = (cost(case("upsample", (n, c, 8, 8), size=16, mode="bilinear")).operations for n, c in ((1, 1), (2, 3)))
    assert many == 2 * 3 * one
    assert one == 16 * 16 * (4 + 3)


def test_an_activation_counts_once() -> None:
    one = cost(case("relu", (1, 16, 8, 8)))
    assert (one.comparisons, one.operations, one.macs) == (16 * 8 * 8, 16 * 8 * 8, 0)


def test_norms_and_pools_do_no_macs() -> None:
    for one in CASES:
        products = {"linear", "matmul"} | {k for k in (one.key,) if k == "conv" or k.endswith("_conv")}
        assert (cost(one).macs > 0) == (one.key in products)


def test_a_batch_costs_what_its_images_do() -> None:
    """Parameters stay; everything that is done, written or kept is as often as there are images."""
    for one in CASES:
        if any(x[0] != one.shapes[0][0] for x in one.shapes):
            continue  # an input is broadcast over the batch
        if one.key == "batch_norm" and one.options.get("track_running_stats") is False:
            continue  # its statistics are of the batch
        single, triple = (cost(Case(one.key, tuple((n, *x[1:]) for x in one.shapes), one.options)) for n in (2, 6))
        for field in ("weights", "biases", "other_params", "buffers"):
            assert getattr(triple, field) == getattr(single, field)
        for field in ("macs", "operations", "flops", "written", "activations", "neurons"):
            assert getattr(triple, field) == 3 * getattr(single, field), f"{one}: {field}"
        if not one.op().view:
            kept = single.params + single.buffers
            assert triple.read - kept == 3 * (single.read - kept)
