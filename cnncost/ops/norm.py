"""Normalisation and learned scales. Counts are those of inference."""

from __future__ import annotations

from typing import Any

from cnncost.cost import Operations
from cnncost.dims import Shape, Size, larger, numel, require
from cnncost.ops.axes import along, channels_of, divides, spatial_rank
from cnncost.ops.base import Along, Elementwise, Op, Sight, layer, unmoved
from cnncost.ops.keeping import Kept, Temporary
from cnncost.ops.tape import NOWHERE, PARAMETERS, Call, Saved, Tape, Work
from cnncost.ops.tapes import lrn, scaled
from cnncost.options import Flag, Index, OptionalReal, Rank, Real


class Norm(Elementwise):
    """Shared by the norms: no MACs; a scale and a shift, where affine, are other parameters."""

    def weights(self, x: Shape) -> Size:
        return 0

    def biases(self, x: Shape) -> Size:
        return 0

    def macs(self, y: Shape, x: Shape) -> Size:
        return 0

    def tape(self, y: Shape, x: Shape) -> tuple[Call, ...]:
        """Its statistics have the dtype of its parameters and running statistics, if there are any."""
        (call,) = super().tape(y, x)
        if not (getattr(self, "affine", False) or getattr(self, "track_running_stats", False)):
            return (call,)
        own = (kept if kept.value is not None else kept._replace(itemsize=PARAMETERS) for kept in call.keeps)
        return (call._replace(keeps=tuple(own)),)

    def parameter_sizes(self, x: Shape) -> tuple[Size, ...]:
        """Scale and shift, as large as each other, or a scale."""
        affine, shift = getattr(self, "affine", False), getattr(self, "bias", True)
        return (self.other_params(x) // (1 + shift),) * (1 + shift) if affine else ()


@layer
class LRN(Norm):
    """Local response normalisation across `size` channels. (Krizhevsky et al. 2012, section 3.3)

    x / (k + alpha / size * sum of x^2 over the window)^beta: an element is squared once, for all
    windows it is in; an output takes size - 1 additions, alpha / size, k, a power and a division.
    Windows that reach beyond the first or last channel count whole, as padded taps do.
    """

    key, main = "lrn", "size"
    size: Size = 5
    alpha: Real = 1e-4
    beta: Real = 0.75
    k: Real = 1

    def other_params(self, x: Shape) -> Size:
        return 0

    def shape(self, x: Shape) -> Shape:
        spatial_rank(self, x)
        return x

    def operations(self, y: Shape, x: Shape) -> Operations:
        n = numel(y)
        return Operations(additions=n * self.size, multiplications=2 * n, divisions=n, exponentials=n)

    def sight(self, y: Shape, x: Shape) -> Sight:
        return (Along(1, self.size, 1, self.size // 2), *unmoved(len(y))[1:])

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        """The input, its squares padded by channels, and the denominator before and after the power."""
        return Kept("input", numel(x)), Kept("extra", self.squares(x) + 2 * numel(x))

    def squares(self, x: Shape) -> Size:
        """Elements of the squares, padded by channels."""
        return numel((x[0], x[1] + self.size - 1, *x[2:]))

    def temporaries(self, y: Shape, x: Shape) -> tuple[Temporary, ...]:
        """The squares, padded; or their mean, and that scaled, beside the sum with k."""
        return (Temporary(larger(self.squares(x), 2 * numel(x))),)

    def tape(self, y: Shape, x: Shape) -> tuple[Call, ...]:
        return lrn(self, x)

    def module(self, torch: Any, x: Shape) -> Any:
        return torch.nn.LocalResponseNorm(self.size, self.alpha, self.beta, self.k)


@layer
class BatchNorm(Norm):
    """Batch normalisation with running statistics. (Ioffe & Szegedy 2015; torch.nn.BatchNorm1d, 2d, 3d)

    At inference statistics, scale and shift fold into one multiplication and one addition an
    element. eps, momentum (null: a plain average): as in PyTorch; they change no count. track_running_stats: false
    normalises by the batch itself, also at inference.
    """

    key, main = "batch_norm", None
    eps: Real = 1e-5
    momentum: OptionalReal = 0.1
    affine: Flag = True
    track_running_stats: Flag = True

    def shape(self, x: Shape) -> Shape:
        if len(x) != 2:
            spatial_rank(self, x)
        if not self.track_running_stats:
            require_several(self, x[0] * numel(x[2:]))
        return x

    def other_params(self, x: Shape) -> Size:
        return 2 * x[1] * self.affine

    def buffers(self, x: Shape) -> Size:
        return 2 * x[1] * self.track_running_stats

    def operations(self, y: Shape, x: Shape) -> Operations:
        if self.track_running_stats:
            return Operations(additions=numel(y), multiplications=numel(y))
        return standardised(y, x[1], self.affine)

    def sight(self, y: Shape, x: Shape) -> Sight:
        return unmoved(len(y)) if self.track_running_stats else over_all(y)

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        return Kept("input", numel(x)), Kept("extra", 2 * x[1])  # mean and 1 / deviation of the batch

    def counters(self, x: Shape) -> Size:
        return 1 if self.track_running_stats else 0

    def temporaries(self, y: Shape, x: Shape) -> tuple[Temporary, ...]:
        return () if self.track_running_stats else (Temporary(2 * x[1]),)  # mean and 1 / deviation

    def module(self, torch: Any, x: Shape) -> Any:
        norm = getattr(torch.nn, f"BatchNorm{len(x) - 2 or 1}d")
        return norm(x[1], self.eps, self.momentum, self.affine, self.track_running_stats)


def require_several(op: Op, elements: Size) -> None:
    """Raise ShapeError where statistics would be of a single element, as PyTorch does."""
    require(
        elements > 1,
        "{key} normalises by the mean of one element, which leaves nothing but 0",
        key=op.key,
        hint="use a larger input or batch, or leave the layer out",
    )


def standardised(y: Shape, groups: Size, affine: bool) -> Operations:
    """Arithmetic of (x - mean) / deviation over `groups` sets of elements, with or without scale and shift.

    An element: centred, squared, scaled by 1 / deviation. A group: two means (one addition fewer
    than elements and a division each), eps, one root, one reciprocal.
    """
    n = numel(y)
    return Operations(
        additions=n * (3 + affine) - groups,
        multiplications=n * (2 + affine),
        divisions=3 * groups,
        exponentials=groups,
    )


def over_all(y: Shape) -> Sight:
    """The sight of a statistic over the whole image: every output depends on every input."""
    return (None,) * (len(y) - 1)


@layer
class GroupNorm(Norm):
    """Normalisation over groups of channels of one image. (Wu & He 2018; torch.nn.GroupNorm)"""

    key, main = "group_norm", "groups"
    groups: Size
    eps: Real = 1e-5
    affine: Flag = True

    def shape(self, x: Shape) -> Shape:
        divides(self.groups, channels_of(self, x), "input")
        require_several(self, numel(x) // self.groups)
        return x

    def other_params(self, x: Shape) -> Size:
        return 2 * x[1] * self.affine

    def operations(self, y: Shape, x: Shape) -> Operations:
        return standardised(y, x[0] * self.groups, self.affine)

    def sight(self, y: Shape, x: Shape) -> Sight:
        return over_all(y)

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        return Kept("input", numel(x)), Kept("extra", 2 * x[0] * self.groups)

    def temporaries(self, y: Shape, x: Shape) -> tuple[Temporary, ...]:
        return (Temporary(2 * x[0] * self.groups),)  # mean and 1 / deviation

    def module(self, torch: Any, x: Shape) -> Any:
        return torch.nn.GroupNorm(self.groups, x[1], self.eps, self.affine)


@layer
class InstanceNorm(Norm):
    """Normalisation of each channel of one image. (Ulyanov et al. 2016; torch.nn.InstanceNorm1d, 2d, 3d)

    track_running_stats: true normalises by running statistics at inference, as batch norm does.
    """

    key, main = "instance_norm", None
    eps: Real = 1e-5
    momentum: OptionalReal = 0.1
    affine: Flag = False
    track_running_stats: Flag = False

    def shape(self, x: Shape) -> Shape:
        spatial_rank(self, x)
        if not self.track_running_stats:
            require_several(self, numel(x[2:]))
        return x

    def other_params(self, x: Shape) -> Size:
        return 2 * x[1] * self.affine

    def buffers(self, x: Shape) -> Size:
        return 2 * x[1] * self.track_running_stats

    def operations(self, y: Shape, x: Shape) -> Operations:
        if self.track_running_stats:
            return Operations(additions=numel(y), multiplications=numel(y))
        return standardised(y, x[0] * x[1], self.affine)

    def sight(self, y: Shape, x: Shape) -> Sight:
        return unmoved(len(y)) if self.track_running_stats else (Along(1), *over_all(y)[1:])

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        """The input, statistics; and the scale and the running statistics, repeated for every image."""
        copies = 2 + self.affine + 2 * self.track_running_stats
        return Kept("input", numel(x)), Kept("extra", numel(x[:2]) * copies)

    def counters(self, x: Shape) -> Size:
        return 1 if self.track_running_stats else 0

    def temporaries(self, y: Shape, x: Shape) -> tuple[Temporary, ...]:
        """Two statistics, the image's or running ones repeated for every image; scale and shift so, too."""
        return (Temporary(numel(x[:2]) * 2 * (1 + self.affine)),)

    def tape(self, y: Shape, x: Shape) -> tuple[Call, ...]:
        """Scale and shift are repeated for every image, and so are their gradients; means of running statistics."""
        (call,) = super().tape(y, x)
        c, repeated = x[1], numel(x[:2])
        made = Saved(None, repeated * self.affine + c * self.track_running_stats, PARAMETERS, NOWHERE)
        work = (Work(2 * (repeated - c)),) if self.affine else ()
        return (call._replace(keeps=(*call.keeps, made), work=work),)

    def module(self, torch: Any, x: Shape) -> Any:
        norm = getattr(torch.nn, f"InstanceNorm{len(x) - 2}d")
        return norm(x[1], self.eps, self.momentum, self.affine, self.track_running_stats)


@layer
class LayerNorm(Norm):
    """Normalisation over the last `axes` axes. (Ba et al. 2016; torch.nn.LayerNorm)"""

    key, main = "layer_norm", "axes"
    axes: Rank = 1
    eps: Real = 1e-5
    affine: Flag = True
    bias: Flag = True

    def shape(self, x: Shape) -> Shape:
        require(
            self.axes < len(x),
            "layer_norm over {axes} axes and its input has {rank} after the batch",
            axes=self.axes,
            rank=len(x) - 1,
        )
        return x

    def other_params(self, x: Shape) -> Size:
        return numel(x[-self.axes :]) * self.affine * (1 + self.bias)

    def fitted_to(self, x: Shape) -> tuple[Any, ...]:
        return (*super().fitted_to(x), *x[-self.axes :])

    def operations(self, y: Shape, x: Shape) -> Operations:
        both = standardised(y, numel(x[: -self.axes]), self.affine)
        without_shift = self.affine and not self.bias
        return both._replace(additions=both.additions - numel(y) * without_shift)

    def sight(self, y: Shape, x: Shape) -> Sight:
        return (*unmoved(len(y) - self.axes), *(None,) * self.axes)

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        return Kept("input", numel(x)), Kept("extra", 2 * numel(x[: -self.axes]))

    def temporaries(self, y: Shape, x: Shape) -> tuple[Temporary, ...]:
        return (Temporary(2 * numel(x[: -self.axes])),)  # mean and 1 / deviation

    def module(self, torch: Any, x: Shape) -> Any:
        return torch.nn.LayerNorm(x[-self.axes :], self.eps, self.affine, self.bias)


@layer
class Scale(Op):
    """Multiplication by a learned number a channel, or by a constant. (Touvron et al. 2021's LayerScale; Caffe's Scale)

    value: what it starts from, or the constant. bias: a learned shift a channel is added too.
    axis: where the channels are.
    """

    key, main = "scale", "value"
    value: Real = 1.0
    learned: Flag = True
    bias: Flag = False
    axis: Index = 1

    def shape(self, x: Shape) -> Shape:
        along(self, x, self.axis)
        return x

    def weights(self, x: Shape) -> Size:
        return 0

    def biases(self, x: Shape) -> Size:
        return 0

    def other_params(self, x: Shape) -> Size:
        return x[self.axis] * (self.learned + self.bias)

    def parameter_sizes(self, x: Shape) -> tuple[Size, ...]:
        return (x[self.axis],) * (self.learned + self.bias)

    def macs(self, y: Shape, x: Shape) -> Size:
        return 0

    def operations(self, y: Shape, x: Shape) -> Operations:
        return Operations(additions=numel(y) * self.bias, multiplications=numel(y))

    def sight(self, y: Shape, x: Shape) -> Sight:
        return unmoved(len(y))

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        return (Kept("input", numel(x)),) if self.learned else ()

    def temporaries(self, y: Shape, x: Shape) -> tuple[Temporary, ...]:
        return (Temporary(numel(x) * self.bias),)  # the product, before the shift

    def tape(self, y: Shape, x: Shape) -> tuple[Call, ...]:
        n, c = numel(x), x[self.axis]
        tape = scaled(Tape(), n, c) if self.learned else Tape().then(n, n)
        return tape.then(n, "same", learns=c, cast="mixed").done if self.bias else tape.done

    def module(self, torch: Any, x: Shape) -> Any:
        op, channels = self, x[self.axis]
        spread = (-1, *(1,) * (len(x) - 1 - along(self, x, self.axis)))

        class Scaling(torch.nn.Module):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.weight = torch.nn.Parameter(torch.full((channels,), float(op.value))) if op.learned else None
                self.bias = torch.nn.Parameter(torch.zeros(channels)) if op.bias else None

            def forward(self, t: Any) -> Any:
                t = t * (op.value if self.weight is None else self.weight.view(spread))
                return t if self.bias is None else t + self.bias.view(spread)

        return Scaling()
