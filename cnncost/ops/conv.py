"""Convolutions: plain, depthwise, transposed, locally connected, partly connected. 1-D to 3-D alike."""

from __future__ import annotations

from typing import Any, Literal

from cnncost.cost import Operations
from cnncost.dims import AXES, Shape, Size, Window, larger, numel, require
from cnncost.errors import ShapeError
from cnncost.ops.axes import divides, one_per_axis, spatial_rank
from cnncost.ops.base import Along, Op, Sight, layer
from cnncost.ops.conv_modules import local_module, partial_module
from cnncost.ops.keeping import INDICES, Kept, Temporary
from cnncost.ops.modules import in_order
from cnncost.ops.tape import Call
from cnncost.ops.tapes import local_conv, partial_conv
from cnncost.ops.window import Windowed, require_room, torch_padding
from cnncost.options import Counts, Flag, Maps, Pads, Sizes

PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]


class Convolving(Windowed):
    """Shared by the convolutions whose kernel slides over the input."""

    weighted = True
    together = True
    cast = "low"
    ceil_mode = False
    padding_mode: Any = "zeros"
    bias: Any
    groups: Any

    def channels(self, x: Shape) -> Size:
        """Output channels."""
        return self.out  # type: ignore[attr-defined, no-any-return]

    def grouping(self, x: Shape) -> Size:
        """Number of groups, which must divide input and output channels."""
        return self.groups  # type: ignore[no-any-return]

    def shape(self, x: Shape) -> Shape:
        spatial_rank(self, x)
        divides(self.grouping(x), x[1], "input")
        divides(self.grouping(x), self.channels(x), "output")
        for w, axis in zip(self.windows(x), AXES[len(x) - 2]):
            require_room(self.padding_mode, w.n, w.before, w.after, axis)
        return (x[0], self.channels(x), *self.places(x))

    def fan_in(self, x: Shape) -> Size:
        """Weights of one output: input channels of its group x taps."""
        return x[1] // self.grouping(x) * self.taps(x)

    def weights(self, x: Shape) -> Size:
        return self.channels(x) * self.fan_in(x)

    def biases(self, x: Shape) -> Size:
        return self.channels(x) * self.bias  # type: ignore[no-any-return]

    def other_params(self, x: Shape) -> Size:
        return 0

    def macs(self, y: Shape, x: Shape) -> Size:
        return numel(y) * self.fan_in(x)

    def operations(self, y: Shape, x: Shape) -> Operations:
        return Operations(additions=numel(y) * self.bias)

    def beside(self, x: Shape) -> dict[str, Op]:
        """All channels connected; and a kernel of its own at every place."""
        out, groups = self.channels(x), self.grouping(x)
        window = (self.kernel, self.stride, self.padding, self.dilation)
        whole = {"not grouped": Conv(out, *window, 1, self.bias)} if groups != 1 else {}
        return {**whole, "locally connected": LocalConv(out, *window, groups, self.bias)}

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        if self.padding_mode == "zeros":
            return self.keeps_padded(x)
        copy = Kept("extra", numel(self.padded(x)))  # also where the padding is 0
        return (copy,) if self.padding_mode == "circular" else (Kept("input", numel(x)), copy)

    def temporaries(self, y: Shape, x: Shape) -> tuple[Temporary, ...]:
        return super().temporaries(y, x) if self.padding_mode == "zeros" else (Temporary(numel(self.padded(x))),)

    def module(self, torch: Any, x: Shape) -> Any:
        conv = getattr(torch.nn, f"Conv{len(x) - 2}d")
        padding, before = torch_padding(torch, self, x)
        return in_order(
            torch,
            [
                *before,
                conv(
                    x[1],
                    self.channels(x),
                    self.kernel,
                    self.step,
                    padding,
                    self.dilation,
                    self.grouping(x),
                    self.bias,
                    self.padding_mode if not before else "zeros",
                ),
            ],
        )

    def describe(self, x: Shape) -> str:
        groups = "" if self.groups is None or str(self.groups) == "1" else f" g{self.groups}"
        return f"{self.key} {self.window_text(x)}{groups}"


@layer
class Conv(Convolving):
    """Convolution. (Dumoulin & Visin 2016; torch.nn.Conv1d, Conv2d, Conv3d)

    out: output channels. padding: a number, one an axis, [before, after] an axis, same (PyTorch:
    stride 1), same_tf (TensorFlow) or valid. groups: channels are split into that many
    convolutions side by side.
    """

    key, main = "conv", "out"
    out: Size
    kernel: Sizes = 1
    stride: Sizes = 1
    padding: Pads = 0
    dilation: Sizes = 1
    groups: Size = 1
    bias: Flag = True
    padding_mode: PaddingMode = "zeros"


@layer
class DepthwiseConv(Convolving):
    """Convolution of every channel by itself; `multiplier` outputs a channel. (Sifre 2014; Howard et al. 2017)"""

    key, main = "depthwise_conv", "kernel"
    kernel: Sizes
    multiplier: Size = 1
    stride: Sizes = 1
    padding: Pads = 0
    dilation: Sizes = 1
    bias: Flag = True
    padding_mode: PaddingMode = "zeros"
    groups = None

    def channels(self, x: Shape) -> Size:
        return x[1] * self.multiplier

    def grouping(self, x: Shape) -> Size:
        return x[1]


@layer
class TransposedConv(Convolving):
    """Transposed ("de-") convolution: the gradient of a convolution. (Dumoulin & Visin 2016, relationship 14)

    Every input element is spread by the kernel, so the MACs follow the input's positions, not the
    output's; products that the padding then cuts away count, as in PyTorch's own counter.
    """

    key, main = "transposed_conv", "out"
    out: Size
    kernel: Sizes = 1
    stride: Sizes = 1
    padding: Counts = 0
    output_padding: Counts = 0
    dilation: Sizes = 1
    groups: Size = 1
    bias: Flag = True

    def windows(self, x: Shape) -> tuple[Window, ...]:
        return ()  # it slides over its output: nothing of the input is dropped

    def places(self, x: Shape) -> Shape:
        rank = len(x) - 2
        options = (
            one_per_axis(getattr(self, name), rank, name)
            for name in ("kernel", "stride", "padding", "output_padding", "dilation")
        )
        sizes = []
        for axis, n, k, s, p, extra, d in zip(AXES[rank], x[2:], *options):
            require(
                (extra < s) | (extra < d),
                "output_padding {extra} must be smaller than stride {s} or dilation {d} ({axis})",
                extra=extra,
                s=s,
                d=d,
                axis=axis,
                hint="output_padding only chooses among the sizes that one stride maps to the same input",
            )
            size = (n - 1) * s - 2 * p + d * (k - 1) + extra + 1
            require(
                size >= 1,
                "padding {p} leaves nothing of the output ({axis})",
                p=p,
                axis=axis,
                hint="padding cuts that much off both ends of the output: make it smaller",
            )
            sizes.append(size)
        return tuple(sizes)

    def weights(self, x: Shape) -> Size:
        return x[1] * self.fan_out(x)

    def fan_out(self, x: Shape) -> Size:
        """Products that one input element enters: output channels of its group x taps."""
        return self.out // self.groups * self.taps(x)

    def macs(self, y: Shape, x: Shape) -> Size:
        return numel(x) * self.fan_out(x)

    def beside(self, x: Shape) -> dict[str, Op]:
        return {"not grouped": TransposedConv(**{**self.__dict__, "groups": 1})} if self.groups != 1 else {}

    def sight(self, y: Shape, x: Shape) -> Sight:
        from fractions import Fraction

        rank = len(x) - 2
        options = (one_per_axis(getattr(self, o), rank, o) for o in ("kernel", "stride", "padding", "dilation"))
        # Output o is fed by inputs i with i * stride = o + padding - dilation * tap, tap 0 to kernel - 1.
        moves = (
            Along(axis, Fraction(d * (k - 1), s) + 1, Fraction(1, s), Fraction(d * (k - 1) - p, s))
            for axis, (k, s, p, d) in enumerate(zip(*options), 2)
        )
        return (None, *moves)

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        return (Kept("input", numel(x)),)

    def module(self, torch: Any, x: Shape) -> Any:
        conv = getattr(torch.nn, f"ConvTranspose{len(x) - 2}d")
        return conv(
            x[1],
            self.out,
            self.kernel,
            self.stride,
            self.padding,
            self.output_padding,
            self.groups,
            self.bias,
            self.dilation,
        )


@layer
class LocalConv(Convolving):
    """Locally connected layer: a convolution whose kernel is another at every place. (LeCun 1989; Taigman et al. 2014)

    MACs are the convolution's; weights are the convolution's times the places.
    """

    key, main = "local_conv", "out"
    out: Size
    kernel: Sizes = 1
    stride: Sizes = 1
    padding: Pads = 0
    dilation: Sizes = 1
    groups: Size = 1
    bias: Flag = True

    def weights(self, x: Shape) -> Size:
        return self.out * self.fan_in(x) * numel(self.places(x))

    def biases(self, x: Shape) -> Size:
        return self.out * numel(self.places(x)) * self.bias

    def fitted_to(self, x: Shape) -> tuple[Any, ...]:
        return (*super().fitted_to(x), *self.places(x))

    def beside(self, x: Shape) -> dict[str, Op]:
        """One kernel for all places."""
        window = (self.kernel, self.stride, self.padding, self.dilation)
        return {"convolution": Conv(self.out, *window, self.groups, self.bias)}

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        return (Kept("extra", self.unfolded(x)),)

    def unfolded(self, x: Shape) -> Size:
        """Elements of all windows side by side."""
        return numel(x[:2]) * self.taps(x) * numel(self.places(x))

    def temporaries(self, y: Shape, x: Shape) -> tuple[Temporary, ...]:
        """The padded input and the windows; or the windows; or the product, before it is reordered or the bias added.

        Groups are put side by side by a copy, unless there is one image.
        """
        windows = self.unfolded(x)
        copied: Size = (self.groups != 1) * (x[0] != 1)
        twice: Size = 1 - (1 - copied) * (not self.bias)
        return (Temporary(larger(larger(numel(self.padded(x)) + windows - numel(y), windows), numel(y) * twice)),)

    def tape(self, y: Shape, x: Shape) -> tuple[Call, ...]:
        return local_conv(self, y, x)

    def module(self, torch: Any, x: Shape) -> Any:
        return local_module(torch, self, x)


@layer
class PartialConv(Convolving):
    """Convolution in which each output channel sees only some input channels. (LeCun et al. 1998, table 1: C3)

    maps: for each output channel, the list of its input channels, counted from 0.
    """

    key, main = "partial_conv", "maps"
    maps: Maps
    kernel: Sizes = 1
    stride: Sizes = 1
    padding: Pads = 0
    dilation: Sizes = 1
    bias: Flag = True
    groups = 1

    def channels(self, x: Shape) -> Size:
        return len(self.maps)

    def shape(self, x: Shape) -> Shape:
        spatial_rank(self, x)
        for out, row in enumerate(self.maps):
            if len(set(row)) < len(row):
                raise ShapeError(f"output channel {out} lists an input channel twice: {list(row)}")
            require(
                max(row) < x[1],
                "output channel {out} takes input channel {n} and the input has {c}",
                out=out,
                n=max(row),
                c=x[1],
                hint="channels count from 0",
            )
        return super().shape(x)

    def connections(self) -> int:
        """Pairs of an input and an output channel that are connected."""
        return sum(map(len, self.maps))

    def weights(self, x: Shape) -> Size:
        return self.connections() * self.taps(x)

    def parameter_sizes(self, x: Shape) -> tuple[Size, ...]:
        sizes = ((len(row) * self.taps(x), 1) for row in self.maps)
        return tuple(size for pair in sizes for size in pair[: 1 + self.bias])

    def macs(self, y: Shape, x: Shape) -> Size:
        return y[0] * numel(y[2:]) * self.weights(x)

    def beside(self, x: Shape) -> dict[str, Op]:
        """All channels connected."""
        window = (self.kernel, self.stride, self.padding, self.dilation)
        return {"all channels": Conv(self.channels(x), *window, 1, self.bias)}

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        """Each output channel's selection of the input, and the indices that select it."""
        chosen = self.connections()
        uneven = self.uneven(x)
        places = numel(x[2:]) * (1 - uneven) + numel(self.padded(x)[2:]) * uneven
        return Kept("extra", x[0] * chosen * places), Kept("extra", chosen, itemsize=INDICES)

    def temporaries(self, y: Shape, x: Shape) -> tuple[Temporary, ...]:
        """The padded input; and the outputs so far, with the next selection of channels or once more, joined."""
        copy, each = self.padded_copy(x), y[0] * numel(y[2:])
        image = numel(x[2:]) * (1 - self.uneven(x)) + numel(self.padded(x)[2:]) * self.uneven(x)
        highest: Size = 2 * len(self.maps) * each
        for done, row in enumerate(self.maps):
            indices = 2 * len(row)  # int64, for elements of float32; gone before the convolution
            selected: Size = x[0] * len(row) * image
            highest = larger(highest, done * each + selected + larger(each, indices))
        return (Temporary(copy + highest - numel(y)),)

    def tape(self, y: Shape, x: Shape) -> tuple[Call, ...]:
        return partial_conv(self, y, x)

    def module(self, torch: Any, x: Shape) -> Any:
        return partial_module(torch, self, x)
