"""Ops that join several inputs, and those that take a part of one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import Any, ClassVar

from cnncost.cost import Operations
from cnncost.dims import Shape, Size, broadcast, ceil_div, decided, numel, require, shown, smaller
from cnncost.errors import ShapeError
from cnncost.ops.axes import along
from cnncost.ops.base import Along, Free, Sight, Unlearned, all_but, layer, unmoved
from cnncost.ops.keeping import Kept, Temporary
from cnncost.ops.modules import calls
from cnncost.ops.tape import Call, Gives, Saved, Tape, Work, stretched
from cnncost.options import Flag, Index, Parts, Range, spelled


class Join(Unlearned):
    """Shared by the element-wise joins. Shapes have the same axes, their sizes equal or one of them 1."""

    arity: ClassVar[tuple[int, int | None]] = (2, None)
    inplace: Any

    def shape(self, *x: Shape) -> Shape:
        y = reduce(broadcast, x)
        if self.inplace:
            for m, n in zip(y, x[0]):
                require(
                    m == n, "in place, the result {y} must have the first input's shape {x}", y=shown(y), x=shown(x[0])
                )
        return y

    def sight(self, y: Shape, *x: Shape) -> Sight:
        return unmoved(len(y))

    def temporaries(self, y: Shape, *x: Shape) -> tuple[Temporary, ...]:
        """What has been joined so far, for the inputs are joined two by two."""
        if self.inplace or len(x) == 2:
            return ()
        return (Temporary(numel(reduce(broadcast, x[:-1]))),)

    def pairs(self, y: Shape, *x: Shape) -> Iterator[tuple[int, int, Shape, Shape, Shape]]:
        """The steps, for inputs are joined two by two: both numbers of values, their shapes, and that of the result."""
        first, so_far = 0, x[0]
        for i, other in enumerate(x[1:], 1):
            joined = broadcast(so_far, other)
            yield first, i, so_far, other, joined
            first, so_far = len(x) + i - 1, joined

    def keeps_pairs(self, y: Shape, *x: Shape) -> tuple[Kept, ...]:
        """Both inputs of each step, for the inputs are joined two by two; in place, copies of what is overwritten."""
        inputs = [Kept("input", numel(other), i) for i, other in enumerate(x)]
        if self.inplace:
            return (*inputs[1:], Kept("extra", numel(y) * (len(x) - 1)))
        so_far, between = x[0], []
        for other in x[1:-1]:
            so_far = broadcast(so_far, other)
            between.append(Kept("extra", numel(so_far)))
        return (*inputs, *between)


@layer
class Add(Join):
    """Sum of all inputs, element by element."""

    key = "add"
    inplace: Flag = False

    def operations(self, y: Shape, *x: Shape) -> Operations:
        return Operations(additions=numel(y) * (len(x) - 1))

    def keeps(self, y: Shape, *x: Shape) -> tuple[Kept, ...]:
        return ()

    def tape(self, y: Shape, *x: Shape) -> tuple[Call, ...]:
        """The gradient of the sum is that of each input; summed up along the axes on which one is stretched."""
        tape = Tape(len(x))
        for a, b, first, other, joined in self.pairs(y, *x):
            gives: tuple[Gives, ...] = tuple(numel(s) if stretched(s, joined) else "same" for s in (first, other))
            tape.add((a, b), numel(joined), gives, into=a if self.inplace else None)
        return tape.done

    def module(self, torch: Any, *x: Shape) -> Any:
        step = torch.Tensor.add_ if self.inplace else torch.add
        return calls(torch, lambda *t: reduce(step, t))


@layer
class Subtract(Join):
    """First input minus the second, element by element."""

    key, arity = "subtract", (2, 2)
    inplace: Flag = False

    def operations(self, y: Shape, *x: Shape) -> Operations:
        return Operations(additions=numel(y))

    def keeps(self, y: Shape, *x: Shape) -> tuple[Kept, ...]:
        return ()

    def tape(self, y: Shape, a: Shape, b: Shape) -> tuple[Call, ...]:
        first: Gives = numel(a) if stretched(a, y) else "same"
        negative = (Work(numel(y), to=1),) if stretched(b, y) else ()  # before it is summed up
        return (Call((0, 1), numel(y), (first, numel(b)), 0 if self.inplace else None, work=negative),)

    def module(self, torch: Any, *x: Shape) -> Any:
        return calls(torch, torch.Tensor.sub_ if self.inplace else torch.sub)


@layer
class Multiply(Join):
    """Product of all inputs, element by element: gates and squeeze-and-excitation."""

    key = "multiply"
    gates = True
    inplace: Flag = False

    def operations(self, y: Shape, *x: Shape) -> Operations:
        return Operations(multiplications=numel(y) * (len(x) - 1))

    def keeps(self, y: Shape, *x: Shape) -> tuple[Kept, ...]:
        return self.keeps_pairs(y, *x)

    def tape(self, y: Shape, *x: Shape) -> tuple[Call, ...]:
        """Each factor is kept for the gradient of the other, in place as a copy of what is overwritten."""
        tape = Tape(len(x))
        for a, b, first, other, joined in self.pairs(y, *x):
            keeps = Saved(None if self.inplace else a, numel(first), to=1), Saved(b, numel(other), to=0)
            sums = tuple(numel(joined) * stretched(s, joined) for s in (first, other))
            into = a if self.inplace else None
            tape.add((a, b), numel(joined), (numel(first), numel(other)), into=into, keeps=keeps, sums=sums)
        return tape.done

    def module(self, torch: Any, *x: Shape) -> Any:
        step = torch.Tensor.mul_ if self.inplace else torch.mul
        return calls(torch, lambda *t: reduce(step, t))


@layer
class Maximum(Join):
    """The largest of all inputs, element by element."""

    key = "maximum"
    inplace = False

    def operations(self, y: Shape, *x: Shape) -> Operations:
        return Operations(comparisons=numel(y) * (len(x) - 1))

    def keeps(self, y: Shape, *x: Shape) -> tuple[Kept, ...]:
        return self.keeps_pairs(y, *x)

    def tape(self, y: Shape, *x: Shape) -> tuple[Call, ...]:
        """Equal inputs get half of the gradient each: beside gradients there are that half and two masks of bytes."""
        tape = Tape(len(x))
        for a, b, first, other, joined in self.pairs(y, *x):
            n, gives = numel(joined), (numel(first), numel(other))
            keeps = Saved(a, numel(first)), Saved(b, numel(other))
            sums = tuple(n - numel(s) for s in (first, other))
            tape.add((a, b), n, gives, keeps=keeps, work=n, masks=2 * n, sums=sums)
        return tape.done

    def module(self, torch: Any, *x: Shape) -> Any:
        return calls(torch, lambda *t: reduce(torch.maximum, t))


@layer
class Concat(Free):
    """All inputs one after another along an axis, copied. (torch.cat)"""

    key, arity = "concat", (1, None)
    axis: Index = 1

    def shape(self, *x: Shape) -> Shape:
        index = along(self, x[0], self.axis)
        for other in x:
            if len(other) != len(x[0]):
                raise ShapeError(
                    f"concat of {shown(x[0])} and {shown(other)}: the numbers of axes differ",
                    hint="flatten or reshape one of them",
                )
            for a, (m, n) in enumerate(zip(x[0], other)):
                require(
                    a == index or m == n,
                    "concat of {first} and {other}: all sizes but axis {axis} must be equal",
                    first=shown(x[0]),
                    other=shown(other),
                    axis=index,
                    hint="strides and paddings of the branches must give equal sizes",
                )
        joined: Size = sum(t[index] for t in x)
        return (*x[0][:index], joined, *x[0][index + 1 :])

    def sight(self, y: Shape, *x: Shape) -> Sight:
        return all_but(unmoved(len(y)), along(self, y, self.axis))

    def tape(self, y: Shape, *x: Shape) -> tuple[Call, ...]:
        """Each input's gradient is a part of the output's, and no copy."""
        gives: Gives = "view"
        return (Call(tuple(range(len(x))), numel(y), (gives,) * len(x)),)

    def module(self, torch: Any, *x: Shape) -> Any:
        return calls(torch, lambda *t: torch.cat(t, self.axis))


class Part(Free):
    """Shared by the ops whose output is a view of a part of their input along one axis."""

    view = True
    axis: Any

    def span(self, x: Shape) -> tuple[Size, Size, Size]:
        """(first element, number of elements, step) along the axis."""
        raise NotImplementedError

    def shape(self, x: Shape) -> Shape:
        index = along(self, x, self.axis)
        return (*x[:index], self.span(x)[1], *x[index + 1 :])

    def sight(self, y: Shape, x: Shape) -> Sight:
        index = along(self, x, self.axis)
        start, _, step = self.span(x)
        return tuple(Along(a, 1, step, -start) if a == index else s for a, s in enumerate(unmoved(len(y)), 1))

    def tape(self, y: Shape, x: Shape) -> tuple[Call, ...]:
        """The gradient is that of the part among zeros; all of an axis is no part."""
        count, n = self.span(x)[1], x[along(self, x, self.axis)]
        whole = decided(count == n, False)
        return (Call((0,), numel(y), ("view" if whole else numel(x),), into=0),)

    def module(self, torch: Any, x: Shape) -> Any:
        start, count, step = self.span(x)
        part = (slice(None),) * along(self, x, self.axis) + (slice(start, start + count * step, step),)
        return calls(torch, lambda t: t[part])


@layer
class Split(Part):
    """One part of the input along an axis: of equal parts, as torch.chunk, or of given sizes, as torch.split.

    parts: their number, or a list of their sizes. part: which one, from 0. Where the number does
    not divide the axis, parts are ceil(n / parts) long and the last one shorter, as in PyTorch.
    """

    key, main = "split", "parts"
    parts: Parts
    part: Index = 0
    axis: Index = 1

    def span(self, x: Shape) -> tuple[Size, Size, Size]:
        n = x[along(self, x, self.axis)]
        if isinstance(self.parts, tuple):
            return self._of_sizes(n, self.parts)
        each = ceil_div(n, self.parts)
        last = ceil_div(n, each)
        require(
            (self.part >= 0) & (self.part < last),
            "part {part} of {last}: {n} elements in {parts} parts",
            part=self.part,
            last=last,
            n=n,
            parts=self.parts,
            hint="parts count from 0",
        )
        start = each * self.part
        return start, smaller(each, n - start), 1

    def _of_sizes(self, n: Size, sizes: tuple[Size, ...]) -> tuple[Size, Size, Size]:
        total: Size = sum(sizes)
        require(total == n, "parts {sizes} sum to {total}, not {n}", sizes=spelled(sizes), total=total, n=n)
        require(0 <= self.part < len(sizes), "part {part} of {count} parts", part=self.part, count=len(sizes))
        return sum(sizes[: self.part]), sizes[self.part], 1

    def describe(self, x: Shape) -> str:
        return f"{self.key} part {self.part}"


@layer
class Slice(Part):
    """Elements start up to stop of an axis, every step-th; null is the end, negative counts from it."""

    key, main = "slice", "range"
    range: Range
    axis: Index = 1
    step: Size = 1

    def check(self) -> None:
        if len(self.range) != 2:
            raise self.fault("range", f"range must be [start, stop], got {spelled(self.range)}")

    def span(self, x: Shape) -> tuple[Size, Size, Size]:
        n = x[along(self, x, self.axis)]
        start, stop = self.range
        first = 0 if start is None else self._from_end(start, n)
        last = n if stop is None else self._from_end(stop, n)
        require(
            (first >= 0) & (first < last) & (last <= n),
            "slice {range} of an axis of {n} is empty or outside",
            range=spelled(self.range),
            n=n,
        )
        return first, ceil_div(last - first, self.step), self.step

    @staticmethod
    def _from_end(index: Any, n: Size) -> Size:
        """Negative counts from the end; arithmetic, so that arrays of indices work too."""
        return index + n * (index < 0)  # type: ignore[no-any-return]
