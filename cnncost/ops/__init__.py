"""The menu: every op of the language by its key, written out. A family is imported when first used."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module

from cnncost.errors import SpecError, did_you_mean
from cnncost.ops.base import Op
from cnncost.options import spelled

MENU = {
    "conv": ("conv", "Conv"),
    "depthwise_conv": ("conv", "DepthwiseConv"),
    "transposed_conv": ("conv", "TransposedConv"),
    "local_conv": ("conv", "LocalConv"),
    "partial_conv": ("conv", "PartialConv"),
    "linear": ("linear", "Linear"),
    "matmul": ("linear", "MatMul"),
    "max_pool": ("pool", "MaxPool"),
    "avg_pool": ("pool", "AvgPool"),
    "l2_pool": ("pool", "L2Pool"),
    "adaptive_max_pool": ("pool", "AdaptiveMaxPool"),
    "adaptive_avg_pool": ("pool", "AdaptiveAvgPool"),
    "global_max_pool": ("pool", "GlobalMaxPool"),
    "global_avg_pool": ("pool", "GlobalAvgPool"),
    "roi_pool": ("pool", "RoIPool"),
    "lrn": ("norm", "LRN"),
    "batch_norm": ("norm", "BatchNorm"),
    "group_norm": ("norm", "GroupNorm"),
    "instance_norm": ("norm", "InstanceNorm"),
    "layer_norm": ("norm", "LayerNorm"),
    "l2_norm": ("l2_norm", "L2Norm"),
    "scale": ("norm", "Scale"),
    "relu": ("activation", "ReLU"),
    "relu6": ("activation", "ReLU6"),
    "leaky_relu": ("activation", "LeakyReLU"),
    "prelu": ("activation", "PReLU"),
    "elu": ("activation", "ELU"),
    "selu": ("activation", "SELU"),
    "celu": ("activation", "CELU"),
    "gelu": ("activation", "GELU"),
    "sigmoid": ("activation", "Sigmoid"),
    "log_sigmoid": ("activation", "LogSigmoid"),
    "hard_sigmoid": ("activation", "HardSigmoid"),
    "tanh": ("activation", "Tanh"),
    "scaled_tanh": ("activation", "ScaledTanh"),
    "hard_tanh": ("activation", "HardTanh"),
    "silu": ("activation", "SiLU"),
    "hard_swish": ("activation", "HardSwish"),
    "softplus": ("activation", "Softplus"),
    "mish": ("activation", "Mish"),
    "softsign": ("activation", "Softsign"),
    "square": ("activation", "Square"),
    "complement": ("activation", "Complement"),
    "softmax": ("softmax", "Softmax"),
    "log_softmax": ("softmax", "LogSoftmax"),
    "maxout": ("softmax", "Maxout"),
    "glu": ("softmax", "GLU"),
    "identity": ("dropout", "Identity"),
    "copy": ("dropout", "Copy"),
    "dropout": ("dropout", "Dropout"),
    "stochastic_depth": ("dropout", "StochasticDepth"),
    "add": ("join", "Add"),
    "subtract": ("join", "Subtract"),
    "multiply": ("join", "Multiply"),
    "maximum": ("join", "Maximum"),
    "concat": ("join", "Concat"),
    "split": ("join", "Split"),
    "slice": ("join", "Slice"),
    "flatten": ("reshape", "Flatten"),
    "reshape": ("reshape", "Reshape"),
    "permute": ("reshape", "Permute"),
    "pad": ("reshape", "Pad"),
    "upsample": ("reshape", "Upsample"),
    "channel_shuffle": ("reshape", "ChannelShuffle"),
    "space_to_depth": ("reshape", "SpaceToDepth"),
    "depth_to_space": ("reshape", "DepthToSpace"),
}
"""Key -> (module of this package, class)."""

SYNONYMS = {
    "conv1d": "conv",
    "conv2d": "conv",
    "conv3d": "conv",
    "convolution": "conv",
    "deconv": "transposed_conv",
    "conv_transpose": "transposed_conv",
    "convtranspose2d": "transposed_conv",
    "depthwise": "depthwise_conv",
    "dwconv": "depthwise_conv",
    "locally_connected": "local_conv",
    "fc": "linear",
    "dense": "linear",
    "fully_connected": "linear",
    "maxpool": "max_pool",
    "maxpool2d": "max_pool",
    "pool": "max_pool",
    "avgpool": "avg_pool",
    "avgpool2d": "avg_pool",
    "average_pool": "avg_pool",
    "lp_pool": "l2_pool",
    "gap": "global_avg_pool",
    "bn": "batch_norm",
    "batchnorm": "batch_norm",
    "batchnorm2d": "batch_norm",
    "gn": "group_norm",
    "ln": "layer_norm",
    "local_response_norm": "lrn",
    "swish": "silu",
    "hardswish": "hard_swish",
    "hardsigmoid": "hard_sigmoid",
    "lrelu": "leaky_relu",
    "clone": "copy",
    "contiguous": "copy",
    "drop": "dropout",
    "drop_path": "stochastic_depth",
    "cat": "concat",
    "concatenate": "concat",
    "sum": "add",
    "plus": "add",
    "sub": "subtract",
    "minus": "subtract",
    "mul": "multiply",
    "mult": "multiply",
    "chunk": "split",
    "crop": "slice",
    "view": "reshape",
    "transpose": "permute",
    "zero_pad": "pad",
    "interpolate": "upsample",
    "resize": "upsample",
    "shuffle": "channel_shuffle",
    "pixel_shuffle": "depth_to_space",
    "pixel_unshuffle": "space_to_depth",
    "reorg": "space_to_depth",
    "mm": "matmul",
}
"""What other frameworks call these ops: for hints only, never accepted in their place."""


COMPOSED = {
    "attention": "attention is linear, matmul, softmax and matmul again",
    "self_attention": "attention is linear, matmul, softmax and matmul again",
    "multihead_attention": "attention is linear, matmul, softmax and matmul again",
    "multiheadattention": "attention is linear, matmul, softmax and matmul again",
    "separable_conv": "a separable convolution is a depthwise_conv and a conv of kernel 1",
    "separableconv2d": "a separable convolution is a depthwise_conv and a conv of kernel 1",
    "global_pool": "did you mean global_avg_pool or global_max_pool?",
    "squeeze_excitation": "squeeze-and-excitation is global_avg_pool, two convs, a sigmoid and multiply",
    "se": "squeeze-and-excitation is global_avg_pool, two convs, a sigmoid and multiply",
}
"""What is no single op here, and how to write it."""


def unknown_op_hint(word: str, blocks: Iterable[str] = ()) -> str:
    """A hint for a word that is neither an op nor one of the blocks."""
    if word.lower() in COMPOSED:
        return COMPOSED[word.lower()]
    blocks = list(blocks)
    hint = did_you_mean(word, [*blocks, *MENU], SYNONYMS)
    if hint.startswith("did"):
        return hint
    return "cnncost ops lists them" + (f"; blocks here: {spelled(', '.join(blocks))}" if blocks else "")


@cache
def find(key: str) -> type[Op]:
    """The op class of a key of the language. Raises SpecError for an unknown key."""
    if key not in MENU:
        raise SpecError(f"unknown op {spelled(key) or repr('')}", hint=unknown_op_hint(key))
    module, name = MENU[key]
    op: type[Op] = getattr(import_module(f"cnncost.ops.{module}"), name)
    return op


__all__ = ["MENU", "SYNONYMS", "Op", "find", "unknown_op_hint"]
