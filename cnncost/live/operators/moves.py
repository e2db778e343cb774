"""What moves elements into a new tensor: joining, padding, gathering, resizing."""

from __future__ import annotations

from math import prod
from typing import Any

from cnncost.cost import Operations
from cnncost.live.operators.base import Call, Layer, rule
from cnncost.live.operators.products import same
from cnncost.ops.dropout import Copy
from cnncost.ops.join import Concat
from cnncost.ops.reshape import ChannelShuffle, DepthToSpace, Pad, SpaceToDepth, Upsample
from cnncost.ops.seen import Seen


@rule("cat", "concat", "concatenate")
def concat(call: Call) -> Layer:
    tensors = [t for t in call.first if t.shape != (0,)]
    return Layer((lambda: Concat(call["dim"]), Seen("concat", call.y)), tensors)


@rule("stack", "hstack", "vstack", "dstack")
def stack(call: Call) -> Layer:
    return Layer(Seen("stack", call.y), call.tensors)


PADS = {"reflection": "reflect", "replication": "replicate"}


@rule("pad", "constant_pad_nd", *(f"{mode}_pad{d}d" for mode in PADS for d in (1, 2, 3)))
def pad(call: Call) -> Layer:
    amounts = call.get("pad", call.get("padding"))
    mode: Any = call.get("mode") or PADS.get(call.name.partition("_")[0], "constant")
    value = call.get("value") or 0.0
    sides = [(before, after) for before, after in zip(amounts[::2], amounts[1::2])][::-1]
    rank, known = len(call.x) - 2, Seen("pad", call.y)
    if not any(amounts):
        return Layer((Copy(), Seen("copy", call.y, same=True)), (call.first,))
    if len(sides) > rank + 1 or rank < 1 or (len(sides) > rank and mode != "constant"):
        return Layer(known, (call.first,))
    sides = [(0, 0)] * (rank + 1 - len(sides)) + sides
    channels, spatial = sides[0], tuple(same(side) for side in sides[1:])
    return Layer((lambda: Pad(same(spatial), mode, value, same(channels)), known), (call.first,))


@rule("index", "index_select", "gather", "take", "take_along_dim", "_unsafe_index", "index_put", "_unsafe_index_put",
      "masked_scatter", "scatter", "index_copy", "slice_scatter", "select_scatter", "index_fill", "put",
      "max_unpool2d", "max_unpool3d")  # fmt: skip
def gather(call: Call) -> Layer:
    return Layer(Seen(call.name.removeprefix("_unsafe_"), call.y, inplace=call.inplace), call.tensors)


@rule("scatter_add", "index_add", "scatter_reduce")
def scatter_add(call: Call) -> Layer:
    added = prod(call.tensors[-1].shape)
    return Layer(Seen(call.name, call.y, done=Operations(additions=added), inplace=call.inplace), call.tensors)


@rule("embedding")
def embedding(call: Call) -> Layer:
    weight = call["weight"]
    return Layer(Seen("embedding", call.y, other_params=weight.numel()), (call["indices"],), (weight,))


BAGS = SUMS, MEANS, MAXIMA = range(3)
"""How PyTorch numbers what becomes of the vectors of a bag."""


@rule("_embedding_bag", "_embedding_bag_forward_only")
def embedding_bag(call: Call) -> Layer:
    """The sum, mean or maximum of each bag's vectors; as many as there are indices, wherever the bags end."""
    weight, indices, scales = call["weight"], call["indices"], call["per_sample_weights"]
    picked = indices.numel() * weight.shape[1]
    joined = max(picked - call.n, 0)
    done = Operations(
        additions=joined * (call["mode"] != MAXIMA),
        comparisons=joined * (call["mode"] == MAXIMA),
        multiplications=picked * (scales is not None),
        divisions=call.n * (call["mode"] == MEANS),
    )
    inputs = [t for t in (indices, call["offsets"], scales) if t is not None]
    return Layer(Seen("embedding_bag", call.y, other_params=weight.numel(), done=done), inputs, (weight,))


@rule("roll", "flip", "repeat", "tile", "repeat_interleave", "rot90", "tril", "triu", "diag_embed", "im2col",
      "one_hot", "bucketize", "searchsorted", "block_diag")  # fmt: skip
def moved(call: Call) -> Layer:
    return Layer(Seen({"im2col": "unfold"}.get(call.name, call.name), call.y), call.tensors)


@rule("col2im", "unfold_backward")
def fold(call: Call) -> Layer:
    """Overlapping windows are added up."""
    return Layer(Seen("fold", call.y, done=Operations(additions=prod(call.x))), (call.first,))


@rule("copy")
def copy_into(call: Call) -> Layer:
    return Layer(Seen("copy", call.y, inplace=True, same=True), call.tensors[1:] or call.tensors)


@rule("pixel_shuffle")
def pixel_shuffle(call: Call) -> Layer:
    return Layer((lambda: DepthToSpace(call["upscale_factor"]), Seen("depth_to_space", call.y)), (call["self"],))


@rule("pixel_unshuffle")
def pixel_unshuffle(call: Call) -> Layer:
    return Layer((lambda: SpaceToDepth(call["downscale_factor"]), Seen("space_to_depth", call.y)), (call["self"],))


@rule("channel_shuffle", "native_channel_shuffle")
def channel_shuffle(call: Call) -> Layer:
    return Layer(ChannelShuffle(call["groups"]), (call["self"],))


RESIZES = {
    **{f"upsample_nearest{d}d": "nearest" for d in (1, 2, 3)},
    **{f"_upsample_nearest_exact{d}d": "nearest-exact" for d in (1, 2, 3)},
    "upsample_linear1d": "linear",
    "upsample_bilinear2d": "bilinear",
    "upsample_bicubic2d": "bicubic",
    "upsample_trilinear3d": "trilinear",
    "_upsample_bilinear2d_aa": "bilinear",
    "_upsample_bicubic2d_aa": "bicubic",
}


@rule(*RESIZES)
def upsample(call: Call) -> Layer:
    mode: Any = RESIZES[call.name]
    op = Upsample(size=call.y[2:], mode=mode, align_corners=bool(call.get("align_corners", False)))
    return Layer(op, (call.first,))
