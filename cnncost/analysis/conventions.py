"""How other tools count: what each adds to the MACs, or leaves out of them, by kind of layer.

Found by experiment on one layer at a time and held by tests against the tools themselves. Of a spec
a tool sees the modules that cnncost builds, which are torch.nn's wherever it has one. A model may
call functions instead, and tools that look at modules then count less.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import prod
from typing import Any, NamedTuple

from cnncost.analysis.report import Report
from cnncost.dims import Shape, is_array, numel
from cnncost.errors import UsageError, did_you_mean
from cnncost.graph import Called, Graph
from cnncost.ops.base import Op
from cnncost.ops.seen import Fed, Seen

Amount = Callable[..., Any]
"""Of an op, its output shape and its input shapes: what a tool counts beyond the MACs; below 0 where it counts less."""


class Rule(NamedTuple):
    """What a tool does with some ops. cause: the kind of layer, for tables. text: the amount in words."""

    cause: str
    ops: tuple[str, ...]
    amount: Amount
    text: str


class Convention(NamedTuple):
    """How a tool counts. version: of the tool that the rules were found with. calls: what it calls its number.

    functions: the rules for layers that are run without a module of torch.nn of their own, where they are
    others. any_module: modules of other makers, if they have no parts, are seen as torch.nn's are. traced:
    more rules, for layers of traced models.
    """

    name: str
    version: str
    calls: str
    rules: tuple[Rule, ...]
    note: str
    functions: tuple[Rule, ...] | None = None
    any_module: bool = False
    traced: tuple[Rule, ...] = ()

    def of(self, op: Op, called: Called | None) -> Iterator[Rule]:
        """The rules for a layer. called: what ran it, in a traced model."""
        key = called.operator if called and called.operator in REDUCTIONS else op.key
        rules = self.rules if self._sees_module(op, called) else self.functions or ()
        return (rule for rule in (*rules, *(self.traced if called else ())) if key in rule.ops)

    @property
    def all_rules(self) -> tuple[Rule, ...]:
        return (*self.rules, *(self.functions or ()), *self.traced)

    def _sees_module(self, op: Op, called: Called | None) -> bool:
        """Whether the tool sees a layer as the module that it is, if it looks at modules at all."""
        if self.functions is None:
            return True
        if called is None:
            return op.key not in BUILT_OF_FUNCTIONS
        if called.by == "module":
            return self.any_module
        return MODULES.get(op.key) == re.sub("[123]d$", "Nd", called.by.removeprefix("torch.nn."))


class Counted(NamedTuple):
    """A graph as a tool counts it: MACs + what the rules add = total.

    layers: the tool's count of each, by name. added: by cause, in the order of the rules. texts: what
    was added, in words. unruled: kinds of layer that the tool was never tried on, here by their MACs.
    """

    convention: Convention
    macs: int
    layers: dict[str, int]
    added: dict[str, int]
    texts: dict[str, tuple[str, ...]]
    unruled: tuple[str, ...]

    @property
    def total(self) -> int:
        return self.macs + sum(self.added.values())


def counted(graph: Graph, name: str) -> Counted:
    """A graph by the rules of a tool. Raises UsageError for an unknown one, and for a graph over arrays."""
    convention = CONVENTIONS.get(name)
    if convention is None:
        raise UsageError(f"unknown convention {name}", hint=did_you_mean(name, CONVENTIONS))
    shapes = graph.shapes
    if any(is_array(n) for shape in shapes.values() for n in shape):
        raise UsageError("a convention needs one design point", hint="load the network at one")
    sums = dict.fromkeys((rule.cause for rule in convention.all_rules), 0)
    texts: dict[str, dict[str, bool]] = {}
    layers: dict[str, int] = {}
    unruled: dict[str, bool] = {}
    total = 0
    for node in graph:
        x = tuple(shapes[name] for name in node.inputs)
        macs: Any = node.op.macs(node.shape, *x)
        total += macs
        layers[node.name] = macs
        if isinstance(node.op, (Seen, Fed)):
            if macs or any(node.op.operations(node.shape, *x)):
                unruled[node.op.key] = True
            continue
        for rule in convention.of(node.op, graph.called.get(node.name)):
            if amount := rule.amount(node.op, node.shape, *x):
                sums[rule.cause] += amount
                layers[node.name] += amount
                texts.setdefault(rule.cause, {})[rule.text] = True
    added = {cause: sums[cause] for cause in sums if cause in texts}
    return Counted(convention, total, layers, added, {c: tuple(texts[c]) for c in added}, tuple(unruled))


def with_counts(report: Report, counts: Counted) -> Report:
    """A report whose layers carry what a tool counts, for a column of its own."""
    layers = tuple(layer._replace(counted=counts.layers[layer.name]) for layer in report.layers)
    return replace(report, layers=layers)


# ---- amounts --------------------------------------------------------------------------------------


def bias(op: Any, y: Shape, *x: Shape) -> Any:
    """One an output, where there is a bias."""
    return numel(y) * bool(op.biases(*x))


def inputs(times: int, else_times: int | None = None) -> Amount:
    """So many an element of the input; else_times where nothing is learned."""
    less = times if else_times is None else else_times

    def amount(op: Any, y: Shape, x: Shape) -> Any:
        return numel(x) * (times if op.other_params(x) else less)

    return amount


def outputs(times: int) -> Amount:
    """So many an element of the output."""
    return lambda op, y, *x: times * numel(y)


def unseen(op: Any, y: Shape, *x: Shape) -> Any:
    """None of the MACs."""
    return -op.macs(y, *x)


def unbroadcast(op: Any, y: Shape, a: Shape, b: Shape) -> Any:
    """Of a product: a first factor that is stretched over the batch, as if it were not."""
    return numel(a) * b[-1] - op.macs(y, a, b)


def padded_by_name(op: Any, y: Shape, *x: Shape) -> Any:
    """None of the MACs of a convolution whose padding is a word."""
    return unseen(op, y, *x) if isinstance(op.padding, str) else 0


def once_an_image(op: Any, y: Shape, *x: Shape) -> Any:
    """Every learned number once an image, whatever it is multiplied with."""
    return y[0] * op.other_params(*x)


def batch_statistics(tracked: Amount, otherwise: Amount) -> Amount:
    """Of a batch norm, that may normalise by running statistics or by the batch's."""
    return lambda op, y, x: (tracked if op.track_running_stats else otherwise)(op, y, x)


def of_images(amount: Amount) -> Amount:
    """Only with two spatial axes."""
    return lambda op, y, x: amount(op, y, x) if len(x) == 4 else 0


def by_mode(**amounts: Amount) -> Amount:
    """Of upsampling, by its mode."""
    return lambda op, y, x: amounts[op.mode](op, y, x) if op.mode in amounts else 0


def padded_inputs(times: int) -> Amount:
    """So many an element of the input, with the padding that is a layer of its own."""

    def amount(op: Any, y: Shape, x: Shape) -> Any:
        return times * numel(op.padded(x) if op.uneven(x) else x)

    return amount


def by_output_positions(op: Any, y: Shape, x: Shape) -> Any:
    """Of a transposed convolution: every output position by the whole kernel, as if it were a convolution."""
    return numel(y) * (x[1] // op.groups) * op.taps(x) - op.macs(y, x)


def filters_by_output_positions(op: Any, y: Shape, x: Shape) -> Any:
    """The same by the weights of the transposed convolution."""
    return y[0] * numel(y[2:]) * op.weights(x) - op.macs(y, x)


def ungrouped_by_stride(op: Any, y: Shape, x: Shape) -> Any:
    """Output positions by kernel / stride an axis, groups left out."""
    from cnncost.ops.axes import one_per_axis

    strides = one_per_axis(op.stride, len(x) - 2, "stride")
    return numel(y) * x[1] * op.taps(x) // prod(strides) - op.macs(y, x)


def grouped_twice(op: Any, y: Shape, x: Shape) -> Any:
    """Output channels of a group divided by the groups once more."""
    places = x[0] * numel(x[2:])
    return places * op.taps(x) * x[1] * (op.out // op.groups // op.groups) - op.macs(y, x)


def one_row(op: Any, y: Shape, x: Shape) -> Any:
    """Of a linear layer: the weights once an image, however many rows it has."""
    return y[0] * op.weights(x) - op.macs(y, x)


def one_bias(op: Any, y: Shape, x: Shape) -> Any:
    """Of a linear layer: the biases once an image."""
    return y[0] * op.biases(x)


def adaptive_windows(op: Any, y: Shape, x: Shape) -> Any:
    """Inputs + outputs, by windows of the average size; the tool's floating point, cut to a whole number."""
    window = prod(n / m for n, m in zip(x[2:], y[2:] or (1,) * (len(x) - 2)))
    return int((window + 1) * numel(y))


def softmax_parts(op: Any, y: Shape, x: Shape) -> Any:
    """Exponentials, additions, divisions."""
    return 3 * numel(x) - op.rows(x)


def lrn_parts(op: Any, y: Shape, x: Shape) -> Any:
    """Square, scale, shift: 3 an element; and an average pool over the channels with their padding."""
    return 3 * numel(x) + x[0] * (x[1] + op.size - 1) * numel(x[2:])


def l2_pool_parts(op: Any, y: Shape, x: Shape) -> Any:
    """An average pool, then a ReLU and a product for each output."""
    around = tuple(w.n + w.before + w.after for w in op.windows(x))
    return numel(op.padded(x) if op.uneven(x) else (*x[:2], *around)) + 2 * numel(y)


def regions(op: Any, y: Shape, x: Shape) -> Any:
    """The elements of all regions."""
    return numel(op.regions(x))


def averages(op: Any, y: Shape, x: Shape) -> Any:
    """One an output, where the pool is a module: with padding that it cannot tell from the input it is two calls."""
    two = bool(op.uneven(x)) and not op.count_include_pad and op.divisor_override is None
    return 0 if two else numel(y)


# ---- the tools ------------------------------------------------------------------------------------

CONVOLUTIONS = ("conv", "depthwise_conv", "transposed_conv", "partial_conv")
LAYERS = (*CONVOLUTIONS, "linear")
NORMS = ("group_norm", "layer_norm", "instance_norm")
WINDOWS = ("max_pool", "avg_pool")
ADAPTIVE = ("adaptive_max_pool", "adaptive_avg_pool", "global_avg_pool")
PRODUCTS = (*LAYERS, "local_conv", "matmul")
REDUCTIONS = ("mean", "amax")
"""PyTorch's operators that a model may use for a global pool; no tool takes them for one."""
BUILT_OF_FUNCTIONS = ("upsample",)
"""Layers that torch.nn has a module for, and that cnncost builds of functions all the same."""
MODULES = {
    "conv": "ConvNd", "depthwise_conv": "ConvNd", "transposed_conv": "ConvTransposeNd", "linear": "Linear",
    "batch_norm": "BatchNormNd", "group_norm": "GroupNorm", "instance_norm": "InstanceNormNd",
    "layer_norm": "LayerNorm", "relu": "ReLU", "relu6": "ReLU6", "leaky_relu": "LeakyReLU", "elu": "ELU",
    "gelu": "GELU", "silu": "SiLU", "prelu": "PReLU", "softmax": "Softmax", "max_pool": "MaxPoolNd",
    "avg_pool": "AvgPoolNd", "adaptive_max_pool": "AdaptiveMaxPoolNd", "adaptive_avg_pool": "AdaptiveAvgPoolNd",
    "global_avg_pool": "AdaptiveAvgPoolNd", "global_max_pool": "AdaptiveMaxPoolNd", "upsample": "Upsample",
}  # fmt: skip
"""The modules of torch.nn that tools know, by op."""
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
