"""A layer as autograd records it in training: one call for each operator of its module that has a gradient."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any, Literal, NamedTuple, Union

from cnncost.dims import Shape, Size, decided, is_array

Gives = Union[Size, Literal["same", "view"]]
Cast = Literal["low", "full", "mixed"]
PARAMETERS: Literal["parameters"] = "parameters"
NOWHERE: Literal["nowhere"] = "nowhere"
OUTPUT: Literal["output"] = "output"


class Saved(NamedTuple):
    """A tensor that a call keeps for the backward pass.

    value     which one, by its number in the layer; the call's OUTPUT; None for one that nothing else holds
    elements  of its whole storage; 0 where the sizes are such that it is not kept
    itemsize  bytes an element; None is that of what the call computes in, PARAMETERS is theirs
    to        whose gradient is computed from it: an input's, by its place in `takes`, or the PARAMETERS';
              None where any is, and NOWHERE where it is made and not kept
    """

    value: int | Literal["output"] | None
    elements: Size
    itemsize: int | Literal["parameters"] | None = None
    to: int | Literal["parameters", "nowhere"] | None = None


class Work(NamedTuple):
    """Elements that the backward pass takes for a moment. itemsize, to: as of Saved."""

    elements: Size
    itemsize: int | None = None
    to: int | None = None


class Call(NamedTuple):
    """One operator, forward and backward. Values have numbers: the layer's inputs from 0, then the calls' outputs.

    takes   the values that gradients go to
    out     elements of the output
    gives   for each of `takes`, its gradient: the elements of a new tensor, or the gradient of the
            output: the "same" tensor, or a "view" of it or a part of it
    into    the value in whose storage the output is: a view, or in place; None for one of its own
    keeps   what is kept for the backward pass
    learns  elements of the gradients of its parameters
    work    what the backward pass takes at its highest point beside these gradients
    cast    what autocast does: casts inputs and parameters to the "low" dtype, or inputs to "full",
            fp32; "mixed": nothing, and parameters in fp32 make an output in fp32. None: nothing, and
            the output has the dtype of the widest input
    factors elements of its parameters that are needed for the gradients of inputs
    """

    takes: tuple[int, ...]
    out: Size
    gives: tuple[Gives, ...]
    into: int | None = None
    keeps: tuple[Saved, ...] = ()
    learns: Size = 0
    work: tuple[Work, ...] = ()
    cast: Cast | None = None
    factors: Size = 0


class Tape:
    """Grows the calls of a layer of so many inputs, one after another. last: the number of the last output."""

    def __init__(self, inputs: int = 1) -> None:
        self.last = inputs - 1
        self.done: tuple[Call, ...] = ()

    def add(
        self,
        takes: tuple[int, ...],
        out: Size,
        gives: tuple[Gives, ...],
        *,
        into: int | None = None,
        keeps: tuple[Saved, ...] = (),
        learns: Size = 0,
        work: Size = 0,
        masks: Size = 0,
        sums: tuple[Size, ...] = (),
        cast: Cast | None = None,
        factors: Size = 0,
    ) -> Tape:
        """Append a call. work: in elements of its dtype; masks: in bytes; sums: what each gradient is summed up of."""
        parts = Work(work), Work(masks, 1), *(Work(n, None, to) for to, n in enumerate(sums))
        taken = tuple(part for part in parts if type(part.elements) is not int or part.elements)
        return self.put(Call(takes, out, gives, into, keeps, learns, taken, cast, factors))

    def put(self, call: Call) -> Tape:
        """Append a call."""
        self.done = (*self.done, call)
        self.last += 1
        return self

    def then(self, out: Size, gives: Gives, **more: Any) -> Tape:
        """Append a call that takes what there is last. more: as for `add`."""
        return self.add((self.last,), out, (gives,), **more)


def stretched(x: Shape, y: Shape) -> bool:
    """Whether a tensor of shape `x` is repeated along an axis to be joined to `y`.

    Of arrays, whether it is by its structure, at any design point or at some, see `decided`.
    """
    by_structure = any(type(m) is int and m == 1 and not (type(n) is int and n == 1) for m, n in zip(x, y))
    pairs = [(m, n) for m, n in zip(x, y) if m is not n]
    if not any(is_array(size) for pair in pairs for size in pair):
        return by_structure
    return bool(decided(reduce(or_, [(m == 1) & (n != 1) for m, n in pairs]), by_structure))


def one(size: Size) -> bool:
    """Whether a size is 1; of arrays that are not, at any design point or at some, see `decided`."""
    return bool(decided(size == 1, False))
