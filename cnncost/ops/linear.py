"""Dense layers and matrix products."""

from __future__ import annotations

from typing import Any

from cnncost.cost import Operations
from cnncost.dims import Shape, Size, broadcast, decided, numel, require, shown
from cnncost.errors import ShapeError
from cnncost.ops.base import Op, Sight, Unlearned, layer, unmoved
from cnncost.ops.keeping import Kept, Temporary
from cnncost.ops.modules import calls
from cnncost.ops.tape import Call, Saved, Tape, stretched
from cnncost.options import Flag


@layer
class Linear(Op):
    """Dense layer over the last axis: N x ... x in -> N x ... x out. (torch.nn.Linear)"""

    key, main = "linear", "out"
    weighted = True
    cast = "low"
    axes_named = ((-1, "features"),)
    out: Size
    bias: Flag = True

    def shape(self, x: Shape) -> Shape:
        if len(x) < 2:
            raise ShapeError(f"linear works on the last axis and its input {shown(x)} has only the batch")
        return (*x[:-1], self.out)

    def weights(self, x: Shape) -> Size:
        return x[-1] * self.out

    def biases(self, x: Shape) -> Size:
        return self.out * self.bias

    def other_params(self, x: Shape) -> Size:
        return 0

    def macs(self, y: Shape, x: Shape) -> Size:
        return numel(y) * x[-1]

    def operations(self, y: Shape, x: Shape) -> Operations:
        return Operations(additions=numel(y) * self.bias)

    def sight(self, y: Shape, x: Shape) -> Sight:
        return (*unmoved(len(y) - 1), None)

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        return (Kept("input", numel(x)),)

    def module(self, torch: Any, x: Shape) -> Any:
        return torch.nn.Linear(x[-1], self.out, self.bias)


@layer
class MatMul(Unlearned):
    """Matrix product of two inputs, N x ... x m x k by N x ... x k x n. (torch.matmul)

    Attention is two of them: queries by keys, and the softmax of that by values.
    """

    key, main, arity = "matmul", None, (2, 2)
    cast = "low"
    axes_named = ((-2, "rows"), (-1, "columns"))

    def shape(self, a: Shape, b: Shape) -> Shape:
        if len(a) != len(b) or len(a) < 3:
            raise ShapeError(
                f"matmul takes two inputs of equal axes, batch x rows x columns or more, got {shown(a)} by {shown(b)}",
                hint="reshape one of them",
            )
        require(
            a[-1] == b[-2],
            "matmul of {a} by {b}: {k} columns meet {rows} rows",
            a=shown(a),
            b=shown(b),
            k=a[-1],
            rows=b[-2],
            hint="swap the last two axes of one input with permute",
        )
        return (*broadcast(a[:-2], b[:-2]), a[-2], b[-1])

    def macs(self, y: Shape, a: Shape, b: Shape) -> Size:
        return numel(y) * a[-1]

    def operations(self, y: Shape, a: Shape, b: Shape) -> Operations:
        return Operations()

    def sight(self, y: Shape, a: Shape, b: Shape) -> Sight:
        return (None,) * (len(y) - 1)  # every row meets every column: each output may depend on all

    def keeps(self, y: Shape, a: Shape, b: Shape) -> tuple[Kept, ...]:
        """Both inputs; of one that PyTorch must copy to make its leading axes one, the copy.

        It copies where some leading axes are broadcast and some are not; and, where the batch is the
        only one of them, the second input if one matrix meets many of several rows and columns.
        """
        copied_a, copied_b = self.copied(y, a, b)
        if len(a) == 3:
            copied_b = (numel(a[:-2]) == 1) * (numel(b[:-2]) != 1) * (b[-2] != 1) * (b[-1] != 1)
        return (
            Kept("input", numel(a) * (1 - copied_a), 0),
            Kept("input", numel(b) * (1 - copied_b), 1),
            Kept("extra", numel(y[:-2]) * (numel(a[-2:]) * copied_a + numel(b[-2:]) * copied_b)),
        )

    @staticmethod
    def copied(y: Shape, a: Shape, b: Shape) -> tuple[Size, Size]:
        """1 for each input of which some leading axes are broadcast and some are not, else 0."""
        all_a, all_b, leading = numel(a[:-2]), numel(b[:-2]), numel(y[:-2])
        copied_a: Size = (all_a != 1) * (all_a != leading)
        copied_b: Size = (all_b != 1) * (all_b != leading)
        return copied_a, copied_b

    def temporaries(self, y: Shape, a: Shape, b: Shape) -> tuple[Temporary, ...]:
        copied_a, copied_b = self.copied(y, a, b)
        return (Temporary(numel(y[:-2]) * (numel(a[-2:]) * copied_a + numel(b[-2:]) * copied_b)),)

    def tape(self, y: Shape, a: Shape, b: Shape) -> tuple[Call, ...]:
        """Inputs of which leading axes are repeated are that first, as views or copies; each is kept for the other."""
        tape, values, sizes = Tape(2), [0, 1], [numel(a), numel(b)]
        for i, (x, copy) in enumerate(zip((a, b), self.copied(y, a, b))):
            if len(a) > 3 and stretched(x[:-2], y):
                whole = numel(y[:-2]) * numel(x[-2:])
                into = i if decided(copy == 0, False) else None
                tape.add((i,), whole, (sizes[i],), into=into, cast=self.cast)
                values[i], sizes[i] = tape.last, whole
        keeps = tuple(Saved(value, size, to=1 - i) for i, (value, size) in enumerate(zip(values, sizes)))
        return tape.add(tuple(values), numel(y), tuple(sizes), keeps=keeps, cast=self.cast).done

    def module(self, torch: Any, a: Shape, b: Shape) -> Any:
        return calls(torch, torch.matmul)
