"""Ops that rearrange elements: no arithmetic, except upsampling that interpolates."""

from __future__ import annotations

from operator import eq
from typing import TYPE_CHECKING, Any, Literal

from cnncost.cost import Operations
from cnncost.dims import AXES, Shape, Size, is_array, numel, require, scaled, shown
from cnncost.errors import ShapeError
from cnncost.ops.axes import along, channels_of, divides, one_per_axis, spatial_rank
from cnncost.ops.base import Along, Free, Sight, Unlearned, layer, unmoved
from cnncost.ops.keeping import Kept
from cnncost.ops.modules import calls, pad_module
from cnncost.ops.window import require_room
from cnncost.options import Amounts, Axes, Factor, Flag, Index, OptionalSizes, Real, Sides, Target, spelled

if TYPE_CHECKING:
    from cnncost.ops.pool import AdaptiveAvgPool

UpsampleMode = Literal["nearest", "linear", "bilinear", "bicubic", "trilinear", "area", "nearest-exact"]
PadMode = Literal["constant", "reflect", "replicate", "circular"]
INTERPOLATING = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}
"""Modes that weigh neighbours, and the spatial axes that each is for."""


class View(Free):
    """States that nothing moves: the output is the input's storage under another shape."""

    view = True


@layer
class Flatten(View):
    """Axes start to end become one; by default all but the batch. (torch.nn.Flatten)"""

    key, main = "flatten", "start"
    start: Index = 1
    end: Index = -1

    def span(self, x: Shape) -> tuple[int, int]:
        """First and last axis, counted from 0."""
        if len(x) == 1:
            raise ShapeError("flatten has nothing after the batch to work on")
        first, last = along(self, x, self.start), along(self, x, self.end)
        require(first <= last, "flatten from axis {a} to {b} goes backwards", a=self.start, b=self.end)
        return first, last

    def shape(self, x: Shape) -> Shape:
        first, last = self.span(x)
        return (*x[:first], numel(x[first : last + 1]), *x[last + 1 :])

    def sight(self, y: Shape, x: Shape) -> Sight:
        first, last = self.span(x)
        if first == last:
            return unmoved(len(y))
        after = (Along(axis) for axis in range(last + 1, len(x)))
        return (*unmoved(first), None, *after)

    def module(self, torch: Any, x: Shape) -> Any:
        return torch.nn.Flatten(self.start, self.end)


@layer
class Reshape(View):
    """Another shape for the same elements, batch left out; one size may be -1: what remains. (torch.reshape)"""

    key, main = "reshape", "to"
    to: Target

    def shape(self, x: Shape) -> Shape:
        elements = numel(x[1:])
        unknown = [i for i, n in enumerate(self.to) if type(n) is int and n == -1]
        known = numel(tuple(n for i, n in enumerate(self.to) if i not in unknown))
        for i, n in enumerate(self.to):
            require(i in unknown or n >= 1, "reshape to {to}: sizes are at least 1, or -1", to=spelled(self.to))
        if len(unknown) > 1:
            raise ShapeError(f"reshape to {spelled(self.to)} has more than one -1")
        if not unknown:
            require(
                known == elements,
                "reshape of {x} to {to}: {elements} elements do not become {known}",
                x=shown(x[1:]),
                to=spelled(self.to),
                elements=elements,
                known=known,
            )
            return (x[0], *self.to)
        require(
            elements % known == 0,
            "reshape of {x} to {to}: {known} does not divide {elements} elements",
            x=shown(x[1:]),
            to=spelled(self.to),
            elements=elements,
            known=known,
        )
        return (x[0], *(elements // known if i in unknown else n for i, n in enumerate(self.to)))

    def sight(self, y: Shape, x: Shape) -> Sight:
        # Elements keep their order, so leading and trailing axes that keep their sizes keep their places.
        first = [*map(eq, x, y), False].index(False)
        last = [*map(eq, x[first:][::-1], y[first:][::-1]), False].index(False)
        after = (Along(axis) for axis in range(len(x) - last, len(x)))
        return (*unmoved(first), *(None,) * (len(y) - first - last), *after)

    def module(self, torch: Any, x: Shape) -> Any:
        sizes = self.shape(x)[1:]
        return calls(torch, lambda t: t.reshape(t.shape[0], *sizes))


@layer
class Permute(View):
    """Axes in another order; order names all axes, the batch first. (torch.permute)"""

    key, main = "permute", "order"
    order: Axes

    def shape(self, x: Shape) -> Shape:
        if sorted(self.order) != list(range(len(x))) or self.order[0] != 0:
            raise ShapeError(
                f"permute to {spelled(self.order)} and the input {shown(x)} has axes 0 to {len(x) - 1}",
                hint="name every axis once, and the batch, 0, first: [0, 2, 3, 1]",
            )
        return tuple(x[axis] for axis in self.order)

    def sight(self, y: Shape, x: Shape) -> Sight:
        return tuple(Along(axis) for axis in self.order[1:])

    def module(self, torch: Any, x: Shape) -> Any:
        return calls(torch, lambda t: t.permute(self.order))


@layer
class Pad(Free):
    """Elements added around the spatial axes, or channels. (torch.nn.functional.pad)

    amount: a number, one an axis, or [before, after] an axis; negative numbers cut off. mode: what
    is added; value: the constant. channels: a number for both ends, or [before, after], of the
    constant: the shortcut without weights (option A) of He et al. 2016.
    """

    key, main = "pad", "amount"
    amount: Amounts
    mode: PadMode = "constant"
    value: Real = 0.0
    channels: Sides = 0

    def check(self) -> None:
        if isinstance(self.channels, tuple) and len(self.channels) != 2:
            raise self.fault("channels", f"channels must be a number or [before, after], got {spelled(self.channels)}")
        added = is_array(self.channels) or self.channels != 0
        if added and self.mode != "constant":
            raise self.fault("channels", f"channels are padded with a constant only, not with mode {self.mode}")

    @property
    def ends(self) -> tuple[Size, Size]:
        """Channels added (before, after) those that there are."""
        return self.channels if isinstance(self.channels, tuple) else (self.channels, self.channels)  # type: ignore[return-value]

    def both(self, x: Shape) -> list[tuple[Size, Size]]:
        """(before, after) of each spatial axis."""
        sides = one_per_axis(self.amount, spatial_rank(self, x), "amount")
        return [s if isinstance(s, tuple) else (s, s) for s in sides]

    def shape(self, x: Shape) -> Shape:
        both, channels = self.both(x), x[1] + sum(self.ends)
        require(channels >= 1, "pad by {ends} leaves none of {c} channels", ends=spelled(self.ends), c=x[1])
        sizes = tuple(n + before + after for n, (before, after) in zip(x[2:], both))
        for n, size, sides, axis in zip(x[2:], sizes, both, AXES[len(both)]):
            require(size >= 1, "pad by {sides} leaves nothing of {n} ({axis})", sides=spelled(sides), n=n, axis=axis)
            require_room(self.mode, n, *sides, axis)
        return (x[0], channels, *sizes)

    def sight(self, y: Shape, x: Shape) -> Sight:
        return (
            Along(1, 1, 1, self.ends[0]),
            *(Along(a, 1, 1, before) for a, (before, _) in enumerate(self.both(x), 2)),
        )

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        return (Kept("input", numel(x)),) if self.mode in ("reflect", "replicate") else ()

    def module(self, torch: Any, x: Shape) -> Any:
        both = self.both(x) if self.mode != "constant" else [self.ends, *self.both(x)]
        return pad_module(torch, both, self.mode, self.value)


@layer
class Upsample(Unlearned):
    """The image at another size, by a factor or to a size. (torch.nn.Upsample)

    Interpolation takes 2 taps an axis (bicubic 4): an output is as many multiplications and one
    addition fewer; nearest is a copy, area an adaptive average.
    """

    key, main = "upsample", "factor"
    factor: Factor = None
    size: OptionalSizes = None
    mode: UpsampleMode = "nearest"
    align_corners: Flag = False

    def check(self) -> None:
        if (self.factor is None) == (self.size is None):
            raise self.fault("factor", "upsample takes either a factor or a size", "write upsample: 2, or size: [h, w]")
        if self.align_corners and self.mode not in INTERPOLATING:
            raise self.fault(
                "align_corners", f"mode {self.mode} has no corners to align", "it is for linear to bicubic"
            )

    def shape(self, x: Shape) -> Shape:
        rank = spatial_rank(self, x)
        only = INTERPOLATING.get(self.mode, rank)
        require(
            only == rank, "mode {mode} is for {only} spatial axes, not {rank}", mode=self.mode, only=only, rank=rank
        )
        if self.size is not None:
            sizes = one_per_axis(self.size, rank, "size")
            return (*x[:2], *(n if m is None else m for m, n in zip(sizes, x[2:])))
        factors = one_per_axis(self.factor, rank, "factor")
        sizes = tuple(scaled(n, f) for n, f in zip(x[2:], factors))
        for n, f, size in zip(x[2:], factors, sizes):
            require(size >= 1, "factor {f} leaves nothing of {n}", f=f, n=n)
        return (*x[:2], *sizes)

    def area(self, y: Shape) -> AdaptiveAvgPool:
        """The pool that mode area is."""
        from cnncost.ops.pool import AdaptiveAvgPool

        return AdaptiveAvgPool(y[2:])

    def operations(self, y: Shape, x: Shape) -> Operations:
        n = numel(y)
        if self.mode in ("nearest", "nearest-exact"):
            return Operations()
        if self.mode == "area":
            return self.area(y).operations(y, x)
        taps = (4 if self.mode == "bicubic" else 2) ** (len(x) - 2)
        return Operations(additions=n * (taps - 1), multiplications=n * taps)

    def sight(self, y: tuple[int, ...], x: tuple[int, ...]) -> Sight:
        if self.mode == "area":
            return self.area(y).sight(y, x)
        return (Along(1), *(self._along(axis, n, m) for axis, (n, m) in enumerate(zip(x[2:], y[2:]), 2)))

    def _along(self, axis: int, n: int, m: int) -> Along:
        """The neighbours of the point c + o x stride that output o stands for.

        The points are multiples of `grain`; a neighbour at the full distance has weight 0.
        """
        from fractions import Fraction
        from math import lcm

        stride, c = Fraction(n, m), Fraction(n - m, 2 * m)
        if self.align_corners:
            stride, c = Fraction(n - 1, m - 1) if m > 1 else Fraction(0), Fraction(0)
        elif self.mode in ("nearest", "nearest-exact"):  # floor(o x stride), floor((o + 1/2) x stride)
            c = Fraction(0) if self.mode == "nearest" else stride / 2
        grain = Fraction(1, lcm(stride.denominator, c.denominator))
        if self.mode in ("nearest", "nearest-exact"):
            return Along(axis, 2 - grain, stride, 1 - grain - c)
        radius = (2 if self.mode == "bicubic" else 1) - grain
        return Along(axis, 2 * radius + 1, stride, radius - c)

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        if self.mode == "area":
            return self.area(y).keeps(y, x)
        return ()

    def module(self, torch: Any, x: Shape) -> Any:
        corners = self.align_corners if self.mode in INTERPOLATING else None
        size = self.shape(x)[2:]
        return calls(torch, lambda t: torch.nn.functional.interpolate(t, size, mode=self.mode, align_corners=corners))


@layer
class ChannelShuffle(Free):
    """Channels of all groups interleaved, copied. (Zhang et al. 2018; torch.nn.ChannelShuffle)"""

    key, main = "channel_shuffle", "groups"
    groups: Size

    def shape(self, x: Shape) -> Shape:
        divides(self.groups, channels_of(self, x), "input")
        require(len(x) > 2, "channel_shuffle is for images, and its input has channels only")
        return x

    def sight(self, y: Shape, x: Shape) -> Sight:
        return (None, *unmoved(len(y))[1:])

    def module(self, torch: Any, x: Shape) -> Any:
        return torch.nn.ChannelShuffle(self.groups)


@layer
class SpaceToDepth(Free):
    """Each block x block square becomes channels, copied: YOLOv2's reorg. (torch.nn.PixelUnshuffle)"""

    key, main = "space_to_depth", "block"
    block: Size

    def shape(self, x: Shape) -> Shape:
        rank = spatial_rank(self, x)
        for n, axis in zip(x[2:], AXES[rank]):
            require(n % self.block == 0, "block {b} does not divide {n} ({axis})", b=self.block, n=n, axis=axis)
        return (x[0], x[1] * self.block**rank, *(n // self.block for n in x[2:]))

    def sight(self, y: Shape, x: Shape) -> Sight:
        return (None, *(Along(axis, self.block, self.block) for axis in range(2, len(y))))

    def module(self, torch: Any, x: Shape) -> Any:
        rank, block = len(x) - 2, self.block
        # N x C x (n1 b) x (n2 b) ... -> N x C x b x b ... x n1 x n2 ...
        order = (0, 1, *range(3, 3 + 2 * rank, 2), *range(2, 2 + 2 * rank, 2))
        blocks = [m for n in self.shape(x)[2:] for m in (n, block)]
        return calls(torch, lambda t: t.reshape(*x[:2], *blocks).permute(order).reshape(self.shape(x)))


@layer
class DepthToSpace(Free):
    """Channels become block x block squares, copied: sub-pixel convolution. (Shi et al. 2016; torch.nn.PixelShuffle)"""

    key, main = "depth_to_space", "block"
    block: Size

    def shape(self, x: Shape) -> Shape:
        rank = spatial_rank(self, x)
        divides(self.block**rank, x[1], "input")
        return (x[0], x[1] // self.block**rank, *(n * self.block for n in x[2:]))

    def sight(self, y: Shape, x: Shape) -> Sight:
        from fractions import Fraction

        block: Any = self.block
        part = Fraction(1, block)
        return (None, *(Along(axis, 2 - part, part, 1 - part) for axis in range(2, len(y))))

    def module(self, torch: Any, x: Shape) -> Any:
        rank, block = len(x) - 2, self.block
        # N x C x b x b ... x n1 x n2 ... -> N x C x (n1 b) x (n2 b) ...
        order = (0, 1, *(axis for i in range(rank) for axis in (2 + rank + i, 2 + i)))
        blocks = (x[0], self.shape(x)[1], *(block,) * rank, *x[2:])
        return calls(torch, lambda t: t.reshape(blocks).permute(order).reshape(self.shape(x)))
