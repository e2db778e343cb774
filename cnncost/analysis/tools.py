"""How other tools count, by their rules.

Found by experiment on one layer at a time and held by tests against the tools themselves. Of a spec
a tool sees the modules that cnncost builds, which are torch.nn's wherever it has one. A model may
call functions instead, and tools that look at modules then count less.
"""

from __future__ import annotations

from cnncost.analysis.tool_rules import (
    Convention,
    Rule,
    adaptive_windows,
    averages,
    batch_statistics,
    bias,
    by_mode,
    by_output_positions,
    filters_by_output_positions,
    grouped_twice,
    inputs,
    l2_pool_parts,
    lrn_parts,
    of_images,
    once_an_image,
    one_bias,
    one_row,
    outputs,
    padded_by_name,
    padded_inputs,
    regions,
    softmax_parts,
    unbroadcast,
    ungrouped_by_stride,
    unseen,
)
from cnncost.dims import numel

CONVOLUTIONS = ("conv", "depthwise_conv", "transposed_conv", "partial_conv")
LAYERS = (*CONVOLUTIONS, "linear")
NORMS = ("group_norm", "layer_norm", "instance_norm")
WINDOWS = ("max_pool", "avg_pool")
ADAPTIVE = ("adaptive_max_pool", "adaptive_avg_pool", "global_avg_pool")
PRODUCTS = (*LAYERS, "local_conv", "matmul")
BATCH_NORM = "2 an element with scale and shift, else 1"
INVISIBLE = "layers that are no module of torch.nn are not seen"
AS_FUNCTIONS = Rule(
    "functions", PRODUCTS, unseen, "convolutions, linear layers and products without a module: not seen"
)

FVCORE = Convention(
    "fvcore",
    "0.1.5.post20221221",
    "flops",
    (
        Rule("batch norm", ("batch_norm",), batch_statistics(inputs(2, 1), inputs(5, 4)), BATCH_NORM),
        Rule("other norms", NORMS, inputs(5, 4), "5 an element with scale and shift, else 4"),
        Rule("pooling", ("adaptive_avg_pool", "global_avg_pool"), of_images(inputs(1)),
             "adaptive and global averages of images: 1 an input element"),
        Rule("upsampling", ("upsample",),
             of_images(by_mode(nearest=outputs(1), bilinear=outputs(4), area=inputs(1))),
             "images: nearest 1 an output, bilinear 4; area 1 an input element"),
        Rule("matrix products", ("matmul",), unbroadcast, "a first factor that is stretched over a batch, once"),
    ),
    "One MAC is one flop, and one flop of a norm or pool is one operation: both in one sum. Biases, activations, sums, "
    "softmax, other pools count nothing; unsupported_ops() lists them.",
    traced=(
        Rule("padding by name", ("conv", "depthwise_conv"), padded_by_name, "padding='same' or 'valid' is not seen"),
    ),
)  # fmt: skip

TORCH = Convention(
    "torch",
    "2.13",
    "flops, which are 2 a MAC",
    (),
    "FlopCounterMode counts convolutions, linear layers, matrix products and attention, and nothing else; "
    "here its number is halved.",
)

TORCHVISION = Convention(
    "torchvision",
    "0.28",
    "GFLOPS, in thousandths of 10^9",
    (),
    "The number in the metadata of torchvision's weights: MACs of convolutions, linear layers and products.",
)

PTFLOPS = Convention(
    "ptflops",
    "0.7.5",
    "MACs",
    (
        Rule("bias", LAYERS, bias, "1 an output"),
        Rule("batch norm", ("batch_norm",), inputs(2, 1), BATCH_NORM),
        Rule("other norms", ("group_norm", "instance_norm"), inputs(2, 1), BATCH_NORM),
        Rule("other norms", ("layer_norm",), inputs(1), "layer norm: 1 an element"),
        Rule("other norms", ("lrn",), lrn_parts, "LRN: 3 an element, 1 an element of the padded channels"),
        Rule("activations", ("relu", "elu", "gelu", "prelu"), outputs(2),
             "ReLU, PReLU, ELU, GELU 2 an element: once as a module, once as the function that it calls"),
        Rule("activations", ("relu6", "leaky_relu", "silu"), outputs(1), "ReLU6, leaky ReLU, SiLU 1 an element"),
        Rule("softmax", ("softmax",), outputs(1), "1 an element"),
        Rule("pooling", WINDOWS, padded_inputs(2), "2 an input element: once as a module, once as a function"),
        Rule("pooling", ADAPTIVE, inputs(2), "2 an input element: once as a module, once as a function"),
        Rule("pooling", ("l2_pool",), l2_pool_parts, "L2 pools: 1 an input element, 2 an output"),
        Rule("pooling", ("roi_pool",), regions, "regions: 1 an element"),
        Rule("upsampling", ("upsample",), lambda op, y, x: numel(y) + numel(y[1:]),
             "1 an output as a function, 1 an output of one image as a module"),
        Rule("matrix products", ("matmul",), unseen, "the operator @ is not seen"),
    ),
    "The backend that counts by module and function, which is the default. Whole batch here; the tool divides what "
    "modules do, and not what functions do, by the batch.",
    (
        Rule("activations", ("relu", "elu", "gelu", "prelu", "relu6", "silu"), outputs(1),
             "ReLU, ReLU6, PReLU, ELU, GELU, SiLU 1 an element as functions"),
        Rule("softmax", ("softmax",), outputs(1), "1 an element"),
        Rule("pooling", (*WINDOWS, *ADAPTIVE), inputs(1), "1 an input element as functions"),
        Rule("upsampling", ("upsample",), outputs(1), "1 an output as a function"),
        Rule("upsampling", ("upsample",), by_mode(area=inputs(1)), "area: 1 an input element more"),
        AS_FUNCTIONS,
    ),
)  # fmt: skip

THOP = Convention(
    "thop",
    "0.1.1.post2209072238",
    "MACs",
    (
        Rule("batch norm", ("batch_norm",), inputs(4, 2), "4 an element with scale and shift, else 2"),
        Rule("other norms", ("layer_norm", "instance_norm"), inputs(4, 2), "4 an element with scale and shift, else 2"),
        Rule("activations", ("prelu",), outputs(1), "PReLU 1 an element"),
        Rule("softmax", ("softmax",), softmax_parts, "3 an element, 1 fewer a row"),
        Rule("pooling", ("avg_pool",), averages, "average pools: 1 an output, whatever the window"),
        Rule("pooling", ("adaptive_avg_pool", "global_avg_pool"), adaptive_windows,
             "adaptive and global averages: 1 an input element, 1 an output"),
        Rule("upsampling", ("upsample",), by_mode(nearest=outputs(1), linear=outputs(5), bilinear=outputs(11),
             bicubic=outputs(259)), "an output: nearest 1, linear 5, bilinear 11, bicubic 259"),
        Rule("transposed conv", ("transposed_conv",), by_output_positions,
             "by output positions instead of input positions: stride x stride times too many"),
        Rule("matrix products", ("matmul", "local_conv"), unseen, INVISIBLE),
    ),
    "It counts modules of torch.nn, and nothing that a model calls as a function.",
    (AS_FUNCTIONS,),
)  # fmt: skip

TORCHINFO = Convention(
    "torchinfo",
    "1.8.0",
    "mult-adds",
    (
        Rule("bias", CONVOLUTIONS, bias, "convolutions: 1 an output"),
        Rule("bias", ("linear",), one_bias, "linear layers: 1 an output channel and image"),
        Rule("linear layers", ("linear",), one_row, "the weights once an image, however many rows there are"),
        Rule("batch norm", ("batch_norm",), once_an_image, "each learned number once an image"),
        Rule("other norms", NORMS, once_an_image, "each learned number once an image"),
        Rule("slopes and scales", ("prelu", "scale"), once_an_image, "each learned number once an image"),
        Rule("transposed conv", ("transposed_conv",), filters_by_output_positions,
             "by output positions instead of input positions: stride x stride times too many"),
        Rule("matrix products", ("matmul", "local_conv"), unseen, INVISIBLE),
    ),
    "It counts a module's own parameters, in convolutions once a position and elsewhere once an image.",
    (AS_FUNCTIONS,),
    any_module=True,
)  # fmt: skip

CALFLOPS = Convention(
    "calflops",
    "0.3.2",
    "MACs",
    (
        Rule("transposed conv", ("transposed_conv",), grouped_twice, "grouped: divided by the groups twice"),
        Rule("matrix products", ("matmul",), unseen, "the operator @ is not seen"),
    ),
    "Its FLOPs have biases, norms, activations and pools besides.",
)

NETSCOPE = Convention(
    "netscope",
    "dgschwend/netscope, src/analyzer.coffee",
    "macc",
    (
        Rule("batch norm", ("batch_norm",), inputs(1, 0), "1 an element: Caffe's Scale layer behind it"),
        Rule("slopes and scales", ("scale",), inputs(1), "1 an element"),
        Rule("other norms", ("lrn",), lambda op, y, x: numel(x) * op.size, "LRN: its window an element"),
        Rule("other norms", ("l2_norm",), inputs(1), "L2 norms: 1 an element, as LRN of one channel"),
        Rule("pooling", ("roi_pool",), lambda op, y, x: y[0], "regions: 1 each"),
        Rule("transposed conv", ("transposed_conv",), ungrouped_by_stride,
             "output positions x kernel / stride, groups left out"),
    ),
    "Comparisons, additions, divisions and exponentials are columns of their own there. Shapes here are the spec's: "
    "netscope rounds the size of pools up. Layers that Caffe has not, which it refuses, are here by their MACs.",
)  # fmt: skip

CONVENTIONS = {c.name: c for c in (FVCORE, TORCH, PTFLOPS, THOP, TORCHINFO, CALFLOPS, NETSCOPE, TORCHVISION)}
"""By the name that the command line takes."""
