"""Rules of other tools: what a tool adds to the MACs of a layer, or leaves out of them; the amounts by which it does.

Amounts are of an op, its output shape and its input shapes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from math import prod
from typing import Any, NamedTuple

from cnncost.dims import Shape, numel
from cnncost.graph import Called
from cnncost.ops.base import Op

Amount = Callable[..., Any]
"""What a tool counts beyond the MACs; below 0 where it counts less."""

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
    return op.before_powers(x)[1] + 2 * numel(y)


def regions(op: Any, y: Shape, x: Shape) -> Any:
    """The elements of all regions."""
    return numel(op.regions(x))


def averages(op: Any, y: Shape, x: Shape) -> Any:
    """One an output, where the pool is a module: with padding that it cannot tell from the input it is two calls."""
    two = bool(op.uneven(x)) and not op.count_include_pad and op.divisor_override is None
    return 0 if two else numel(y)
