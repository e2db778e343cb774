"""Operators of a traced model that the language has no layer for: their shapes and counts were seen, not derived."""

from __future__ import annotations

from typing import Any

from cnncost.cost import Operations
from cnncost.dims import Shape, Size, Window, numel
from cnncost.errors import UsageError
from cnncost.ops.base import Op, Sight, unmoved
from cnncost.ops.keeping import Kept, Temporary

OPAQUE = "opaque"
"""The key of operators of which nothing is known but their shapes; their cost counts as nothing."""


class Seen(Op):
    """An operator at the one size at which it was seen.

    key: what it is; an op of the language that its inputs do not suit has that op's key. to: the
    output shape. text: key and telling options, for tables. done: arithmetic that is no MAC. same:
    an output element depends on the input elements at its place, and on no others.
    """

    arity = (0, None)
    to: Shape
    text: str
    same: bool
    inplace: bool
    known_macs: Size
    done: Operations
    params: tuple[Size, Size, Size]
    kept: Size

    def __init__(
        self,
        key: str,
        to: Shape,
        *,
        text: str | None = None,
        macs: Size = 0,
        done: Operations | None = None,
        weights: Size = 0,
        biases: Size = 0,
        other_params: Size = 0,
        buffers: Size = 0,
        view: bool = False,
        inplace: bool = False,
        same: bool = False,
        weighted: bool = False,
    ) -> None:
        self.__dict__.update(
            key=key,
            to=tuple(to),
            text=text or key,
            view=view,
            inplace=inplace,
            same=same,
            weighted=weighted,
            known_macs=macs,
            done=done or Operations(),
            params=(weights, biases, other_params),
            kept=buffers,
        )

    def __repr__(self) -> str:
        return f"Seen({self.key!r}, {self.to!r})"

    def shape(self, *x: Shape) -> Shape:
        return self.to

    def weights(self, *x: Shape) -> Size:
        return self.params[0]

    def biases(self, *x: Shape) -> Size:
        return self.params[1]

    def other_params(self, *x: Shape) -> Size:
        return self.params[2]

    def buffers(self, *x: Shape) -> Size:
        return self.kept

    def macs(self, y: Shape, *x: Shape) -> Size:
        return self.known_macs

    def operations(self, y: Shape, *x: Shape) -> Operations:
        return self.done

    def read(self, y: Shape, *x: Shape) -> Size:
        return 0 if not x else super().read(y, *x)  # a parameter is read by the layers that take it

    def written(self, y: Shape, *x: Shape) -> Size:
        return 0 if not x else super().written(y, *x)

    @property
    def shares_storage(self) -> bool:
        return super().shares_storage or self.source

    @property
    def source(self) -> bool:
        """Whether this is no operator but a tensor that the model holds: a parameter, a buffer."""
        return self.key in ("parameter", "buffer", "constant")

    def sight(self, y: Shape, *x: Shape) -> Sight:
        if self.same and all(len(s) == len(y) for s in x):
            return unmoved(len(y))
        return (None,) * (len(y) - 1)

    def keeps(self, y: Shape, *x: Shape) -> tuple[Kept, ...]:
        """An upper bound: all inputs of what computes anything, nothing of what only moves elements."""
        if not any(self.done) and not self.known_macs:
            return ()
        return tuple(Kept("input", numel(s), i) for i, s in enumerate(x))

    def module(self, torch: Any, *x: Shape) -> Any:
        raise UsageError(f"{self.key} was traced and has no module of its own", hint="run the model itself")

    def describe(self, *x: Shape) -> str:
        return self.text


def in_place(op: Op, y: Shape, *x: Shape) -> Seen:
    """What an op does, done in its first input's storage, for ops that have no such option."""
    return Seen(
        op.key,
        y,
        text=op.describe(*x),
        macs=op.macs(y, *x),
        done=op.operations(y, *x),
        weights=op.weights(*x),
        biases=op.biases(*x),
        other_params=op.other_params(*x),
        buffers=op.buffers(*x),
        weighted=op.weighted,
        inplace=True,
    )


class Fed(Op):
    """A layer whose parameters are computed, or held elsewhere: after its own inputs it takes them as further ones.

    of: the layer. own: how many inputs are its own. Standardised weights are an example, another
    are blurring kernels, which are no parameters.
    """

    arity = (1, None)
    together = True
    of: Op
    own: int

    def __init__(self, of: Op, own: int) -> None:
        self.__dict__.update(
            of=of, own=own, key=of.key, view=of.view, weighted=of.weighted, gates=of.gates, cast=of.cast
        )

    def __repr__(self) -> str:
        return f"Fed({self.of!r})"

    def _own(self, x: tuple[Shape, ...]) -> tuple[Shape, ...]:
        return x[: self.own]

    def shape(self, *x: Shape) -> Shape:
        return self.of.shape(*self._own(x))

    def weights(self, *x: Shape) -> Size:
        return 0

    def biases(self, *x: Shape) -> Size:
        return 0

    def other_params(self, *x: Shape) -> Size:
        return 0

    def buffers(self, *x: Shape) -> Size:
        return self.of.buffers(*self._own(x))

    def counters(self, *x: Shape) -> Size:
        return self.of.counters(*self._own(x))

    def temporaries(self, y: Shape, *x: Shape) -> tuple[Temporary, ...]:
        return self.of.temporaries(y, *self._own(x))

    def macs(self, y: Shape, *x: Shape) -> Size:
        return self.of.macs(y, *self._own(x))

    def operations(self, y: Shape, *x: Shape) -> Operations:
        return self.of.operations(y, *self._own(x))

    @property
    def shares_storage(self) -> bool:
        return self.of.shares_storage

    def sight(self, y: Shape, *x: Shape) -> Sight:
        if any(len(s) < len(y) for s in x):  # parameters have places of their own
            return (None,) * (len(y) - 1)
        return self.of.sight(y, *self._own(x))

    def windows(self, *x: Shape) -> tuple[Window, ...]:
        return self.of.windows(*self._own(x))

    def keeps(self, y: Shape, *x: Shape) -> tuple[Kept, ...]:
        own = len(self._own(x))
        computed = tuple(Kept("input", numel(s), i) for i, s in enumerate(x[own:], own))
        return (*self.of.keeps(y, *self._own(x)), *computed)

    def module(self, torch: Any, *x: Shape) -> Any:
        raise UsageError(f"{self.key} of computed parameters has no module of its own", hint="run the model itself")

    def describe(self, *x: Shape) -> str:
        return self.of.describe(*self._own(x))
