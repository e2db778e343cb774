"""Activations over an axis: softmax, maxout, gated linear units."""

from __future__ import annotations

from typing import Any

from cnncost.cost import Operations
from cnncost.dims import Shape, Size, numel, require
from cnncost.ops.axes import along, channels_of
from cnncost.ops.base import Sight, Unlearned, all_but, layer, unmoved
from cnncost.ops.keeping import Kept
from cnncost.ops.modules import calls
from cnncost.ops.tape import Call
from cnncost.ops.tapes import largest
from cnncost.options import Index


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

    def tape(self, y: Shape, x: Shape) -> tuple[Call, ...]:
        return largest(numel(x), numel(y))

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
