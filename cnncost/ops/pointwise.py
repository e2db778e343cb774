"""Activations and other element-wise ops, and dropout.

Arithmetic is that of the formula as its docstring writes it, each step one operation; where it has
two branches, both count. A change of sign is free; erf, exp, log and powers are exponentials.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from cnncost.cost import Operations
from cnncost.dims import Shape, Size, numel, require
from cnncost.ops.base import (
    Elementwise,
    Free,
    Sight,
    Unlearned,
    all_but,
    calls,
    channels_of,
    layer,
    spatial_rank,
    unmoved,
)
from cnncost.ops.keeping import Kept
from cnncost.options import Flag, Index, Real

Approximate = Literal["none", "tanh"]
Shared = Literal["channel", "all"]
DropMode = Literal["batch", "row"]


class Activation(Elementwise, Unlearned):
    """An activation that does `each` to every element, and whose gradient is computed from one tensor.

    grad_from: which that is. In place the input is overwritten, and PyTorch keeps a copy of it;
    "either" needs none then.
    """

    each: ClassVar[Operations]
    grad_from: ClassVar[Literal["input", "output", "either"]]

    def operations(self, y: Shape, x: Shape) -> Operations:
        n = numel(y)
        return Operations(*(n * count for count in self.each))

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        inplace = self.shares_storage
        if self.grad_from == "output" or (inplace and self.grad_from == "either"):
            return (Kept("output", numel(y)),)
        return (Kept("extra" if inplace else "input", numel(x)),)


@layer
class InPlace(Activation):
    """Shared by the activations that PyTorch can do in place."""

    inplace: Flag = False


@layer
class ReLU(InPlace):
    """max(0, x). (torch.nn.ReLU)"""

    key = "relu"
    each = Operations(comparisons=1)
    grad_from = "output"

    def module(self, torch: Any, x: Shape) -> Any:
        return torch.nn.ReLU(self.inplace)


@layer
class ReLU6(InPlace):
    """min(6, max(0, x)). (torch.nn.ReLU6)"""

    key = "relu6"
    each = Operations(comparisons=2)
    grad_from = "input"

    def module(self, torch: Any, x: Shape) -> Any:
        return torch.nn.ReLU6(self.inplace)


@layer
class LeakyReLU(Activation):
    """x, or slope * x below 0. (Maas et al. 2013; torch.nn.LeakyReLU)"""

    key, main = "leaky_relu", "slope"
    slope: Real = 0.01
    inplace: Flag = False
    each = Operations(comparisons=1, multiplications=1)
    grad_from = "either"

    def module(self, torch: Any, x: Shape) -> Any:
        return torch.nn.LeakyReLU(self.slope, self.inplace)


@layer
class PReLU(Activation):
    """x, or a learned slope * x below 0; one slope a channel, or one for all. (He et al. 2015; torch.nn.PReLU)"""

    key, main = "prelu", "slopes"
    slopes: Shared = "channel"
    each = Operations(comparisons=1, multiplications=1)
    grad_from = "input"

    def shape(self, x: Shape) -> Shape:
        channels_of(self, x)
        return x

    def other_params(self, x: Shape) -> Size:
        return x[1] if self.slopes == "channel" else 1

    def module(self, torch: Any, x: Shape) -> Any:
        return torch.nn.PReLU(self.other_params(x))


@layer
class ELU(Activation):
    """x, or alpha * (exp(x) - 1) below 0. (Clevert et al. 2016; torch.nn.ELU)"""

    key, main = "elu", "alpha"
    alpha: Real = 1.0
    inplace: Flag = False
    each = Operations(comparisons=1, exponentials=1, additions=1, multiplications=1)
    grad_from = "either"

    def module(self, torch: Any, x: Shape) -> Any:
        return torch.nn.ELU(self.alpha, self.inplace)


@layer
class SELU(InPlace):
    """scale * ELU(x, alpha) with fixed constants. (Klambauer et al. 2017; torch.nn.SELU)"""

    key = "selu"
    each = Operations(comparisons=1, exponentials=1, additions=1, multiplications=2)
    grad_from = "either"

    def module(self, torch: Any, x: Shape) -> Any:
        return torch.nn.SELU(self.inplace)


@layer
class CELU(Activation):
    """x, or alpha * (exp(x / alpha) - 1) below 0. (Barron 2017; torch.nn.CELU)"""

    key, main = "celu", "alpha"
    alpha: Real = 1.0
    inplace: Flag = False
    each = Operations(comparisons=1, exponentials=1, additions=1, multiplications=1, divisions=1)
    grad_from = "either"

    def module(self, torch: Any, x: Shape) -> Any:
        return torch.nn.CELU(self.alpha, self.inplace)


@layer
class GELU(Activation):
    """0.5 x (1 + erf(sqrt(0.5) x)), or its tanh form. (Hendrycks & Gimpel 2016; torch.nn.GELU)

    tanh: 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x x x))).
    """

    key, main = "gelu", "approximate"
    approximate: Approximate = "none"
    grad_from = "input"

    def operations(self, y: Shape, x: Shape) -> Operations:
        n = numel(y)
        if self.approximate == "none":
            return Operations(exponentials=n, additions=n, multiplications=3 * n)
        inner = Tanh.each
        each = inner._replace(additions=inner.additions + 2, multiplications=inner.multiplications + 6)
        return Operations(*(n * count for count in each))

    def module(self, torch: Any, x: Shape) -> Any:
        return torch.nn.GELU(self.approximate)


@layer
class Sigmoid(InPlace):
    """1 / (1 + exp(-x)). (torch.nn.Sigmoid)"""

    key = "sigmoid"
    each = Operations(exponentials=1, additions=1, divisions=1)
    grad_from = "output"

    def module(self, torch: Any, x: Shape) -> Any:
        return calls(torch, torch.sigmoid_) if self.inplace else torch.nn.Sigmoid()


@layer
class LogSigmoid(Activation):
    """-log(1 + exp(-x)). (torch.nn.LogSigmoid)"""

    key = "log_sigmoid"
    each = Operations(exponentials=2, additions=1)

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        return Kept("input", numel(x)), Kept("extra", numel(x))  # a buffer of exp(-|x|), on the CPU alone

    def module(self, torch: Any, x: Shape) -> Any:
        return torch.nn.LogSigmoid()


@layer
class HardSigmoid(InPlace):
    """min(6, max(0, x + 3)) / 6. (Howard et al. 2019; torch.nn.Hardsigmoid)"""

    key = "hard_sigmoid"
    each = Operations(additions=1, comparisons=2, divisions=1)
    grad_from = "input"

    def module(self, torch: Any, x: Shape) -> Any:
        return torch.nn.Hardsigmoid(self.inplace)


@layer
class Tanh(InPlace):
    """(exp(2x) - 1) / (exp(2x) + 1). (torch.nn.Tanh)"""

    key = "tanh"
    each = Operations(multiplications=1, exponentials=1, additions=2, divisions=1)
    grad_from = "output"

    def module(self, torch: Any, x: Shape) -> Any:
        return calls(torch, torch.tanh_) if self.inplace else torch.nn.Tanh()


@layer
class ScaledTanh(Activation):
    """amplitude * tanh(slope * x). (LeCun et al. 1998, appendix A)"""

    key = "scaled_tanh"
    amplitude: Real = 1.7159
    slope: Real = 2 / 3
    each = Operations(multiplications=3, exponentials=1, additions=2, divisions=1)

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        return (Kept("extra", numel(x)),)  # the tanh

    def module(self, torch: Any, x: Shape) -> Any:
        return calls(torch, lambda t: self.amplitude * torch.tanh(self.slope * t))


@layer
class HardTanh(Activation):
    """min(high, max(low, x)). (torch.nn.Hardtanh)"""

    key = "hard_tanh"
    low: Real = -1.0
    high: Real = 1.0
    inplace: Flag = False
    each = Operations(comparisons=2)
    grad_from = "input"

    def module(self, torch: Any, x: Shape) -> Any:
        return torch.nn.Hardtanh(self.low, self.high, self.inplace)


@layer
class SiLU(InPlace):
    """x * sigmoid(x), also called swish. (Ramachandran et al. 2017; torch.nn.SiLU)"""

    key = "silu"
    each = Operations(exponentials=1, additions=1, divisions=1, multiplications=1)
    grad_from = "input"

    def module(self, torch: Any, x: Shape) -> Any:
        return torch.nn.SiLU(self.inplace)


@layer
class HardSwish(InPlace):
    """x * hard_sigmoid(x). (Howard et al. 2019; torch.nn.Hardswish)"""

    key = "hard_swish"
    each = Operations(additions=1, comparisons=2, divisions=1, multiplications=1)
    grad_from = "input"

    def module(self, torch: Any, x: Shape) -> Any:
        return torch.nn.Hardswish(self.inplace)


@layer
class Softplus(Activation):
    """log(1 + exp(beta x)) / beta, or x where beta x is above threshold. (torch.nn.Softplus)"""

    key = "softplus"
    beta: Real = 1.0
    threshold: Real = 20.0
    each = Operations(multiplications=1, comparisons=1, exponentials=2, additions=1, divisions=1)
    grad_from = "input"

    def module(self, torch: Any, x: Shape) -> Any:
        return torch.nn.Softplus(self.beta, self.threshold)


@layer
class Mish(InPlace):
    """x * tanh(log(1 + exp(x))). (Misra 2020; torch.nn.Mish)"""

    key = "mish"
    each = Operations(exponentials=3, additions=3, multiplications=2, divisions=1)
    grad_from = "input"

    def module(self, torch: Any, x: Shape) -> Any:
        return torch.nn.Mish(self.inplace)


@layer
class Softsign(Activation):
    """x / (1 + |x|). (torch.nn.Softsign)"""

    key = "softsign"
    each = Operations(additions=1, divisions=1)

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        return Kept("input", numel(x)), Kept("extra", numel(x))  # 1 + |x|

    def module(self, torch: Any, x: Shape) -> Any:
        return torch.nn.Softsign()


@layer
class Square(Activation):
    """x * x. (torch.square)"""

    key = "square"
    each = Operations(multiplications=1)
    grad_from = "input"

    def module(self, torch: Any, x: Shape) -> Any:
        return calls(torch, torch.square)


@layer
class Complement(Activation):
    """1 - x, the carry gate of a highway network. (Srivastava et al. 2015)"""

    key = "complement"
    each = Operations(additions=1)

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        return ()

    def module(self, torch: Any, x: Shape) -> Any:
        return calls(torch, lambda t: 1 - t)


def along(op: Any, x: Shape, axis: int) -> int:
    """An axis number counted from 0, from the end where negative; raises ShapeError for the batch or none."""
    index = axis + len(x) if axis < 0 else axis
    require(
        1 <= index < len(x),
        "{key} along axis {axis} and the input has axes 1 to {last}",
        key=op.key,
        axis=axis,
        last=len(x) - 1,
        hint="axis 0 is the batch; negative axes count from the end",
    )
    return index


class OverAxis(Unlearned):
    """Shared by softmax and its logarithm: sums along one axis."""

    axis: Any

    def shape(self, x: Shape) -> Shape:
        along(self, x, self.axis)
        return x

    def rows(self, x: Shape) -> Size:
        """Number of sums."""
        index = along(self, x, self.axis)
        return numel(x[:index]) * numel(x[index + 1 :])

    def sight(self, y: Shape, x: Shape) -> Sight:
        return all_but(unmoved(len(y)), along(self, x, self.axis))


@layer
class Softmax(OverAxis):
    """exp(x - max) / sum of exp(x - max), along an axis. (torch.nn.Softmax)"""

    key, main = "softmax", "axis"
    axis: Index = 1

    def operations(self, y: Shape, x: Shape) -> Operations:
        n, rows = numel(x), self.rows(x)
        return Operations(comparisons=n - rows, additions=2 * n - rows, exponentials=n, divisions=n)

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        return (Kept("output", numel(y)),)

    def module(self, torch: Any, x: Shape) -> Any:
        return torch.nn.Softmax(self.axis)


@layer
class LogSoftmax(OverAxis):
    """x - max - log of the sum of exp(x - max), along an axis. (torch.nn.LogSoftmax)"""

    key, main = "log_softmax", "axis"
    axis: Index = 1

    def operations(self, y: Shape, x: Shape) -> Operations:
        n, rows = numel(x), self.rows(x)
        return Operations(comparisons=n - rows, additions=3 * n - rows, exponentials=n + rows)

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        return (Kept("output", numel(y)),)

    def module(self, torch: Any, x: Shape) -> Any:
        return torch.nn.LogSoftmax(self.axis)


@layer
class Maxout(Unlearned):
    """The largest of each `pieces` neighbouring channels. (Goodfellow et al. 2013)"""

    key, main = "maxout", "pieces"
    pieces: Size

    def shape(self, x: Shape) -> Shape:
        require(
            channels_of(self, x) % self.pieces == 0,
            "{pieces} pieces do not divide {c} channels",
            pieces=self.pieces,
            c=x[1],
            hint="the layer before needs a multiple of the pieces as outputs",
        )
        return (x[0], x[1] // self.pieces, *x[2:])

    def operations(self, y: Shape, x: Shape) -> Operations:
        return Operations(comparisons=numel(y) * (self.pieces - 1))

    def sight(self, y: Shape, x: Shape) -> Sight:
        return all_but(unmoved(len(y)), 1)

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        return Kept("input", numel(x)), Kept("output", numel(y))

    def module(self, torch: Any, x: Shape) -> Any:
        return calls(torch, lambda t: t.unflatten(1, (-1, self.pieces)).amax(2))


@layer
class GLU(Unlearned):
    """First half of an axis times the sigmoid of the second half. (Dauphin et al. 2017; torch.nn.GLU)"""

    key, main = "glu", "axis"
    axis: Index = 1

    def shape(self, x: Shape) -> Shape:
        index = along(self, x, self.axis)
        require(x[index] % 2 == 0, "glu halves axis {axis} and it has {n} entries", axis=self.axis, n=x[index])
        return (*x[:index], x[index] // 2, *x[index + 1 :])

    def operations(self, y: Shape, x: Shape) -> Operations:
        n = numel(y)
        return Operations(exponentials=n, additions=n, divisions=n, multiplications=n)

    def sight(self, y: Shape, x: Shape) -> Sight:
        return all_but(unmoved(len(y)), along(self, x, self.axis))

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        return (Kept("input", numel(x)),)

    def module(self, torch: Any, x: Shape) -> Any:
        return torch.nn.GLU(self.axis)


@layer
class Identity(Elementwise, Free):
    """The input, under another name. (torch.nn.Identity)"""

    key = "identity"
    view = True

    def module(self, torch: Any, x: Shape) -> Any:
        return torch.nn.Identity()


@layer
class Dropout(Elementwise, Free):
    """Zeroes a part p of the elements in training; nothing at inference. (Srivastava et al. 2014)

    channels: whole channels at once, as torch.nn.Dropout1d, 2d, 3d.
    """

    key, main = "dropout", "p"
    view = True
    p: Real = 0.5
    channels: Flag = False
    inplace: Flag = False

    def check(self) -> None:
        probability(self)

    def shape(self, x: Shape) -> Shape:
        if self.channels:
            spatial_rank(self, x)
        return x

    @property
    def shares_in_training(self) -> bool:
        return self.inplace or self.p == 0

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        """The factor of every element, or channel, 0 or 1 / (1 - p); for a p of 1 a single 0.

        A GPU keeps a byte an element instead.
        """
        noise = numel(x[:2]) if self.channels else numel(x)
        return (Kept("extra", noise * (0 < self.p < 1) + (self.p == 1)),)

    def module(self, torch: Any, x: Shape) -> Any:
        name = f"Dropout{len(x) - 2}d" if self.channels else "Dropout"
        return getattr(torch.nn, name)(self.p, self.inplace)


@layer
class StochasticDepth(Elementwise, Free):
    """Drops a whole branch with probability p in training; nothing at inference. (Huang et al. 2016)

    mode: for the whole batch at once, or row by row (torchvision.ops.StochasticDepth).
    """

    key, main = "stochastic_depth", "p"
    view = True
    p: Real
    mode: DropMode = "row"

    def check(self) -> None:
        probability(self)

    @property
    def shares_in_training(self) -> bool:
        return self.p == 0

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        """The factor of every row, or the one of all."""
        rows = x[0] if self.mode == "row" else 1
        return (Kept("extra", rows * (self.p > 0)),)

    def module(self, torch: Any, x: Shape) -> Any:
        p, mode = self.p, self.mode

        class Drop(torch.nn.Module):  # type: ignore[misc]
            def forward(self, t: Any) -> Any:
                if not self.training or p == 0:
                    return t
                rows = t.shape[0] if mode == "row" else 1
                keep = torch.empty(rows, *(1,) * (t.dim() - 1), dtype=t.dtype, device=t.device)
                return t * keep.bernoulli_(1 - p).div_(1 - p)

        return Drop()


def probability(op: Any) -> None:
    """Refuse a p that is no probability."""
    if not 0 <= op.p <= 1:
        raise op.fault("p", f"p is a probability, from 0 to 1, got {op.p}")
