"""Pooling: max, average and L2 over sliding windows, over adaptive ones, and over everything."""

from __future__ import annotations

from typing import Any

from cnncost.cost import Operations
from cnncost.dims import AXES, Shape, Size, common_divisor, decided, larger, numel, require
from cnncost.errors import ShapeError
from cnncost.ops.axes import by_axis, one_per_axis, spatial_rank
from cnncost.ops.base import Along, Sight, Unlearned, layer
from cnncost.ops.keeping import INDICES, Kept, Temporary
from cnncost.ops.modules import calls, in_order, pad_module
from cnncost.ops.tape import Call, Saved
from cnncost.ops.tapes import l2_pool, largest, roi_pool
from cnncost.ops.window import Windowed, torch_padding
from cnncost.options import Flag, OptionalSize, OptionalSizes, Pads, Real, Sizes, SizesOrNone


class Pool(Windowed, Unlearned):
    """Shared by the pools with a sliding window: N x C x spatial -> N x C x places."""

    dilation: Any

    @property
    def step(self) -> Any:
        return self.kernel if self.stride is None else self.stride

    def shape(self, x: Shape) -> Shape:
        for w in self.windows(x):
            require(
                isinstance(self.padding, str) | (w.before * 2 <= w.kernel) & (w.after * 2 <= w.kernel),
                "padding {before} + {after} is more than half of the kernel of {kernel}",
                before=w.before,
                after=w.after,
                kernel=w.kernel,
                hint="pad by at most half of the kernel a side, or use a pad layer before",
            )
        return (*x[:2], *self.places(x))

    def sight(self, y: Shape, x: Shape) -> Sight:
        return (Along(1), *super().sight(y, x)[1:])

    def describe(self, x: Shape) -> str:
        return f"{self.key} {self.window_text(x)}{' ceil' if self.ceil_mode else ''}"


@layer
class MaxPool(Pool):
    """The largest element under each window: one comparison fewer than taps. (torch.nn.MaxPool1d, 2d, 3d)

    stride: the kernel's size where not given. ceil_mode: a last, cut window counts too.
    """

    key, main = "max_pool", "kernel"
    kernel: Sizes
    stride: SizesOrNone = None
    padding: Pads = 0
    dilation: Sizes = 1
    ceil_mode: Flag = False

    def operations(self, y: Shape, x: Shape) -> Operations:
        return Operations(comparisons=numel(y) * (self.taps(x) - 1))

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        return (*self.keeps_padded(x), Kept("extra", numel(y), itemsize=INDICES))

    def temporaries(self, y: Shape, x: Shape) -> tuple[Temporary, ...]:
        return (*super().temporaries(y, x), Temporary(numel(y), INDICES))  # PyTorch finds them though none asks

    def module(self, torch: Any, x: Shape) -> Any:
        pool = getattr(torch.nn, f"MaxPool{len(x) - 2}d")
        padding, before = torch_padding(torch, self, x, float("-inf"))
        own = pool(self.kernel, self.stride, padding, self.dilation, ceil_mode=self.ceil_mode)
        return in_order(torch, [*before, own])


@layer
class AvgPool(Pool):
    """The mean under each window: additions and one division an output. (torch.nn.AvgPool1d, 2d, 3d)

    count_include_pad, divisor_override: what the sum is divided by; they change no count.
    """

    key, main = "avg_pool", "kernel"
    kernel: Sizes
    stride: SizesOrNone = None
    padding: Pads = 0
    ceil_mode: Flag = False
    count_include_pad: Flag = True
    divisor_override: OptionalSize = None
    dilation = 1

    def shape(self, x: Shape) -> Shape:
        if len(x) == 3 and self.divisor_override is not None:
            raise ShapeError("divisor_override is for 2 or 3 spatial axes, as in PyTorch")
        return super().shape(x)

    def operations(self, y: Shape, x: Shape) -> Operations:
        return Operations(additions=numel(y) * (self.taps(x) - 1), divisions=numel(y))

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        """The input, padded if unevenly so; where that padding is not counted, also what each window holds."""
        if self.count_include_pad or self.divisor_override is not None:
            return self.keeps_padded(x)
        return (*self.keeps_padded(x), Kept("extra", numel(y) * self.uneven(x)))

    def temporaries(self, y: Shape, x: Shape) -> tuple[Temporary, ...]:
        """The padded input; or, for what each window holds, the sums, ones and these padded."""
        counted = self.count_include_pad or self.divisor_override is not None
        ones = 0 if counted else (numel(x) + numel(y)) * self.uneven(x)
        return (*super().temporaries(y, x), Temporary(ones))

    def tape(self, y: Shape, x: Shape) -> tuple[Call, ...]:
        """Where padding is not counted and comes before, the mean is divided by that of ones, padded alike."""
        calls = super().tape(y, x)
        if len(calls) == 1 or self.count_include_pad or self.divisor_override is not None:
            return calls
        n, m, padded = numel(x), numel(y), numel(self.padded(x))
        ones = Call((), n, ()), Call((3,), padded, (n,)), Call((4, 3), m, (padded, n))  # there until the mean is
        return *calls, *ones, Call((2, 5), m, (m, m), None, (Saved(5, m),))

    def module(self, torch: Any, x: Shape) -> Any:
        pool = getattr(torch.nn, f"AvgPool{len(x) - 2}d")
        padding, before = torch_padding(torch, self, x)
        options = {} if self.divisor_override is None else {"divisor_override": self.divisor_override}
        own = pool(self.kernel, self.stride, padding, self.ceil_mode, self.count_include_pad, **options)
        mean = in_order(torch, [*before, own])
        if not before or self.count_include_pad or options:
            return mean
        return calls(torch, lambda t: mean(t) / mean(torch.ones_like(t)))  # PyTorch cannot tell a pad layer's zeros


@layer
class L2Pool(Pool):
    """The p-th root of the sum of p-th powers under each window. (torch.nn.LPPool1d, 2d, 3d)

    power: p; 2 takes squares (one multiplication a tap), 1 sums, others one power a tap.
    """

    key, main = "l2_pool", "kernel"
    kernel: Sizes
    stride: SizesOrNone = None
    padding: Pads = 0
    ceil_mode: Flag = False
    power: Real = 2
    dilation = 1

    def operations(self, y: Shape, x: Shape) -> Operations:
        taps = numel(y) * self.taps(x)
        squares, powers = taps * (self.power == 2), taps * (self.power not in (1, 2))
        roots = numel(y) * (self.power != 1)
        return Operations(additions=taps - numel(y), multiplications=squares, exponentials=powers + roots)

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        """The input (or its padded copy), its powers; their mean, its sign, its absolute value, and that scaled."""
        bare, powers = self.before_powers(x)
        return Kept("input", numel(x) * bare), Kept("extra", powers * (2 - bare) + 4 * numel(y))

    def before_powers(self, x: Shape) -> tuple[Size, Size]:
        """(1 where the input is not padded, else 0; elements that are raised to the power)."""
        bare: Size = 1
        for w in self.windows(x):
            bare = bare * (w.before + w.after == 0)
        uneven, around = self.uneven(x), tuple(w.n + w.before + w.after for w in self.windows(x))
        return bare, numel((*x[:2], *around)) * (1 - uneven) + numel(self.padded(x)) * uneven

    def temporaries(self, y: Shape, x: Shape) -> tuple[Temporary, ...]:
        """The padded input; and the powers, or their mean, its sign, its absolute value and that without its sign."""
        bare, powers = self.before_powers(x)
        return (Temporary(powers * (1 - bare) + larger(powers, 3 * numel(y))),)

    def tape(self, y: Shape, x: Shape) -> tuple[Call, ...]:
        return l2_pool(self, y, x)

    def module(self, torch: Any, x: Shape) -> Any:
        pool = getattr(torch.nn, f"LPPool{len(x) - 2}d")
        kernel, stride = self.kernel, self.step
        if len(x) == 3:  # LPPool1d takes no lists
            (kernel,), (stride,) = one_per_axis(kernel, 1, "kernel"), one_per_axis(stride, 1, "stride")
        own = pool(float(self.power), kernel, stride, self.ceil_mode)
        padding, before = torch_padding(torch, self, x)
        if not before and any(padding):
            before = [pad_module(torch, [(p, p) for p in padding], "constant", 0.0)]
        return in_order(torch, [*before, own])


class AdaptivePool(Unlearned):
    """Shared by the pools that are told their output size and choose windows to suit.

    Output i of m covers input floor(i n / m) up to ceil((i + 1) n / m); windows overlap where m
    does not divide n, and the elements under all of them are n + m - gcd(n, m) along an axis.
    """

    size: Any

    def targets(self, x: Shape) -> Shape:
        """Output sizes along the spatial axes; null keeps an axis as it is."""
        sizes = one_per_axis(self.size, spatial_rank(self, x), "size")
        return tuple(n if m is None else m for m, n in zip(sizes, x[2:]))

    def shape(self, x: Shape) -> Shape:
        return (*x[:2], *self.targets(x))

    def covered(self, y: Shape, x: Shape) -> Size:
        """Elements under all windows together."""
        along = (n + m - common_divisor(n, m) for n, m in zip(x[2:], y[2:]))
        return numel(x[:2]) * numel(tuple(along))

    def sight(self, y: tuple[int, ...], x: tuple[int, ...]) -> Sight:
        from fractions import Fraction

        moves: list[Along | None] = [Along(1)]
        for axis, (n, m) in enumerate(zip(x[2:], y[2:]), 2):
            stride = Fraction(n, m)
            # Borders i n / m are multiples of this; floor and ceil move them by at most 1 - grain.
            grain = Fraction(1, stride.denominator)
            moves.append(None if m == 1 else Along(axis, stride + 2 - 2 * grain, stride, 1 - grain))
        return tuple(moves)

    def describe(self, x: Shape) -> str:
        return f"{self.key} {by_axis(self.targets(x))}"


@layer
class AdaptiveMaxPool(AdaptivePool):
    """Max pooling to a given size. (torch.nn.AdaptiveMaxPool1d, 2d, 3d)"""

    key, main = "adaptive_max_pool", "size"
    size: OptionalSizes

    def operations(self, y: Shape, x: Shape) -> Operations:
        return Operations(comparisons=self.covered(y, x) - numel(y))

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        return Kept("input", numel(x)), Kept("extra", numel(y), itemsize=INDICES)

    def temporaries(self, y: Shape, x: Shape) -> tuple[Temporary, ...]:
        return (Temporary(numel(y), INDICES),)

    def module(self, torch: Any, x: Shape) -> Any:
        return getattr(torch.nn, f"AdaptiveMaxPool{len(x) - 2}d")(self.targets(x))


@layer
class AdaptiveAvgPool(AdaptivePool):
    """Average pooling to a given size. (torch.nn.AdaptiveAvgPool1d, 2d, 3d)"""

    key, main = "adaptive_avg_pool", "size"
    size: OptionalSizes

    def operations(self, y: Shape, x: Shape) -> Operations:
        return Operations(additions=self.covered(y, x) - numel(y), divisions=numel(y))

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        return (Kept("input", numel(x) * (numel(y[2:]) != 1)),)  # to one place it is a mean, which keeps nothing

    def module(self, torch: Any, x: Shape) -> Any:
        return getattr(torch.nn, f"AdaptiveAvgPool{len(x) - 2}d")(self.targets(x))


def whole_channel(y: Shape) -> Sight:
    """The sight of a pool that sees all places of a channel."""
    return (Along(1), *(None,) * (len(y) - 2))


class GlobalPool(Unlearned):
    """Shared by the pools over all of the image. keep: leave axes of size 1, or drop them."""

    keep: Any

    def shape(self, x: Shape) -> Shape:
        rank = spatial_rank(self, x)
        return (*x[:2], *((1,) * rank if self.keep else ()))

    def sight(self, y: Shape, x: Shape) -> Sight:
        return whole_channel(y)


@layer
class GlobalAvgPool(GlobalPool):
    """The mean of each channel. (Lin et al. 2014; torch.nn.AdaptiveAvgPool1d, 2d, 3d to one place)"""

    key, main = "global_avg_pool", None
    keep: Flag = True

    def operations(self, y: Shape, x: Shape) -> Operations:
        return Operations(additions=numel(x) - numel(y), divisions=numel(y))

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        return ()

    def module(self, torch: Any, x: Shape) -> Any:
        pool = getattr(torch.nn, f"AdaptiveAvgPool{len(x) - 2}d")(1)
        return pool if self.keep else in_order(torch, [pool, torch.nn.Flatten()])


@layer
class GlobalMaxPool(GlobalPool):
    """The largest element of each channel. (torch.amax over the spatial axes)"""

    key, main = "global_max_pool", None
    keep: Flag = True

    def operations(self, y: Shape, x: Shape) -> Operations:
        return Operations(comparisons=numel(x) - numel(y))

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        return Kept("input", numel(x)), Kept("output", numel(y))

    def tape(self, y: Shape, x: Shape) -> tuple[Call, ...]:
        return largest(numel(x), numel(y))

    def module(self, torch: Any, x: Shape) -> Any:
        return calls(torch, lambda t: t.amax(tuple(range(2, len(x))), self.keep))


@layer
class RoIPool(AdaptivePool):
    """Max pooling of regions of interest to one size: N x C x map -> N rois x C x size. (Girshick 2015, section 2.1)

    rois: regions an image. region: their size on the map, null being all of it. In truth sizes and
    places are data; counted is as if all regions had this size, which by default is the most they can
    have. An output may depend on every place. torchvision.ops.roi_pool is the same pool.
    """

    key, main = "roi_pool", "size"
    size: Sizes
    rois: Size = 300
    region: OptionalSizes = None

    def regions(self, x: Shape) -> Shape:
        """The regions cut out of the map, one after another."""
        sizes = one_per_axis(self.region, spatial_rank(self, x), "region")
        return (x[0] * self.rois, x[1], *(n if m is None else m for m, n in zip(sizes, x[2:])))

    def shape(self, x: Shape) -> Shape:
        cut = self.regions(x)
        for n, m, axis in zip(x[2:], cut[2:], AXES[len(x) - 2]):
            require(m <= n, "a region of {m} is larger than its map of {n} ({axis})", m=m, n=n, axis=axis)
        return (*cut[:2], *self.targets(x))

    def operations(self, y: Shape, x: Shape) -> Operations:
        return Operations(comparisons=self.covered(y, self.regions(x)) - numel(y))

    def sight(self, y: Shape, x: Shape) -> Sight:
        return whole_channel(y)

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        return Kept("input", numel(x)), Kept("extra", numel(y), itemsize=INDICES)

    def temporaries(self, y: Shape, x: Shape) -> tuple[Temporary, ...]:
        """The pooled regions, until they are joined; of a single one its indices take more."""
        one: Size = 1 * (self.rois == 1)
        return Temporary(numel(y) * (1 - one)), Temporary(numel(y) * one, INDICES)

    def tape(self, y: Shape, x: Shape) -> tuple[Call, ...]:
        """Region by region; where their number is an array, as one call."""
        rois = decided(self.rois)
        return super().tape(y, x) if rois is None else roi_pool(self, y, x, rois)

    def module(self, torch: Any, x: Shape) -> Any:
        """Regions in even steps from the first corner of the map to the last."""
        sizes, rois = self.regions(x)[2:], self.rois
        pool = getattr(torch.nn, f"AdaptiveMaxPool{len(x) - 2}d")(self.targets(x))

        def region(t: Any, number: int) -> Any:
            for axis, size in enumerate(sizes, 2):
                t = t.narrow(axis, (t.shape[axis] - size) * number // max(rois - 1, 1), size)
            return pool(t)

        return calls(torch, lambda t: torch.stack([region(t, i) for i in range(rois)], 1).flatten(0, 1))

    def describe(self, x: Shape) -> str:
        return f"{super().describe(x)} x {self.rois} rois"
