"""Activations: element by element.

Arithmetic is that of the formula as its docstring writes it, each step one operation; where it has
two branches, both count. A change of sign is free; erf, exp, log and powers are exponentials.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from cnncost.cost import Operations
from cnncost.dims import Shape, Size, numel
from cnncost.ops.axes import channels_of
from cnncost.ops.base import Elementwise, Unlearned, layer
from cnncost.ops.keeping import Kept, Temporary
from cnncost.ops.modules import calls
from cnncost.ops.tape import OUTPUT, Call, Saved, Tape
from cnncost.ops.tapes import power, quotient
from cnncost.options import Flag, Real

Approximate = Literal["none", "tanh"]
Shared = Literal["channel", "all"]


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

    def tape(self, y: Shape, x: Shape) -> tuple[Call, ...]:
        n, c = numel(x), self.other_params(x)
        return Tape().add((0,), n, (n,), keeps=(Saved(0, n),), learns=c, work=n, cast="low", factors=c).done

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

    def temporaries(self, y: Shape, x: Shape) -> tuple[Temporary, ...]:
        return (Temporary(numel(x)),)

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

    def temporaries(self, y: Shape, x: Shape) -> tuple[Temporary, ...]:
        return (Temporary(numel(x)),)

    def tape(self, y: Shape, x: Shape) -> tuple[Call, ...]:
        n = numel(x)
        return Tape().then(n, n).then(n, n, keeps=(Saved(OUTPUT, n),)).then(n, n).done

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

    def temporaries(self, y: Shape, x: Shape) -> tuple[Temporary, ...]:
        return (Temporary(numel(x)),)

    def tape(self, y: Shape, x: Shape) -> tuple[Call, ...]:
        n = numel(x)
        tape = Tape().add((0,), n, (n,), keeps=(Saved(0, n),), work=n).add((1,), n, ("same",))
        return quotient(tape, n).done

    def module(self, torch: Any, x: Shape) -> Any:
        return torch.nn.Softsign()


@layer
class Square(Activation):
    """x * x. (torch.square)"""

    key = "square"
    each = Operations(multiplications=1)
    grad_from = "input"

    def tape(self, y: Shape, x: Shape) -> tuple[Call, ...]:
        return power(Tape(), numel(x)).done

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
