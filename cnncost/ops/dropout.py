"""Ops that leave every element as it is: always, or at inference, as dropout and its kin."""

from __future__ import annotations

from typing import Any, Literal

from cnncost.dims import Shape, numel
from cnncost.ops.axes import spatial_rank
from cnncost.ops.base import Elementwise, Free, layer
from cnncost.ops.keeping import Kept
from cnncost.ops.modules import calls
from cnncost.ops.tape import Call, Saved
from cnncost.options import Flag, Real

DropMode = Literal["batch", "row"]


@layer
class Identity(Elementwise, Free):
    """The input, under another name. (torch.nn.Identity)"""

    key = "identity"
    view = True

    def tape(self, y: Shape, x: Shape) -> tuple[Call, ...]:
        return ()

    def module(self, torch: Any, x: Shape) -> Any:
        return torch.nn.Identity()


@layer
class Copy(Elementwise, Free):
    """The elements once more, in a storage of their own. (torch.clone; torch.Tensor.contiguous)"""

    key = "copy"

    def tape(self, y: Shape, x: Shape) -> tuple[Call, ...]:
        return (Call((0,), numel(y), ("same",)),)

    def module(self, torch: Any, x: Shape) -> Any:
        return calls(torch, lambda t: t.clone(memory_format=torch.contiguous_format))


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

    def tape(self, y: Shape, x: Shape) -> tuple[Call, ...]:
        return multiplied(self, y, x)

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

    def tape(self, y: Shape, x: Shape) -> tuple[Call, ...]:
        return multiplied(self, y, x)

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


def multiplied(op: Dropout | StochasticDepth, y: Shape, x: Shape) -> tuple[Call, ...]:
    """Multiplication by what the op keeps; nothing where that is never 0."""
    if op.p == 0:
        return ()
    keeps = tuple(Saved(None, kept.elements) for kept in op.keeps(y, x))
    return (Call((0,), numel(y), (numel(x),), 0 if op.shares_in_training else None, keeps),)


def probability(op: Any) -> None:
    """Refuse a p that is no probability."""
    if not 0 <= op.p <= 1:
        raise op.fault("p", f"p is a probability, from 0 to 1, got {op.p}", "0.2 drops a fifth")
