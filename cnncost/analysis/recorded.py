"""What autograd records of a forward pass: values, the calls that made them, and gradients on their way back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cnncost.analysis.books import Store
from cnncost.dims import Size
from cnncost.ops.tape import Call

LOW, FULL = 2, 4
"""Bytes of an element that autocast has cast."""
PART = 1000
"""Added to a call's number for the second of the parameters that it casts."""
LEAF = -2
"""The number of what is no call but a parameter that layers take as an input."""


class Value:
    """A tensor of the forward pass. store: None where the model holds it. record: what gets its gradient, or None."""

    __slots__ = ("elements", "itemsize", "record", "store")

    def __init__(self, store: Store | None, elements: Size, itemsize: int, record: Record | None = None) -> None:
        self.store, self.elements, self.itemsize, self.record = store, elements, itemsize, record


class Gradient:
    """A tensor of the backward pass. uses: who holds it. alone: whether it is no view, which holds its base, too."""

    __slots__ = ("alone", "itemsize", "store", "uses")

    def __init__(self, store: Store, itemsize: int, *, alone: bool = True) -> None:
        self.store, self.itemsize, self.alone, self.uses = store, itemsize, alone, 1


class Layer(NamedTuple):
    """A layer that runs. owner: the layer whose parameters it uses. learns: whether these get gradients.

    turned: whether gradients of its weights come with the channels last, and are copied into the order of
    the weights, as where the input was permuted to that.
    """

    name: str
    owner: str
    learns: bool = True
    turned: bool = False


class Record:
    """A call in autograd's graph. number: of its output in the layer. takes: the values that get gradients, or None.

    learns: elements of the parameters' gradients. casts: the records of these parameters' casts. kept:
    what it keeps. gradient: of its output, so far.
    """

    __slots__ = ("call", "casts", "gradient", "itemsize", "kept", "layer", "learns", "number", "takes")

    def __init__(self, layer: Layer, number: int, call: Call, takes: Sequence[Value | None], itemsize: int) -> None:
        self.layer, self.number, self.call, self.takes, self.itemsize = layer, number, call, takes, itemsize
        self.learns: Size = 0
        self.casts: tuple[Record, ...] = ()
        self.kept: list[tuple[Store, Size]] = []
        self.gradient: Gradient | None = None


class StopHereError(Exception):
    """What runs again has made all that is kept."""


class Cast(NamedTuple):
    """Parameters in the low dtype. record: what gets their gradient, None where they do not learn."""

    store: Store
    record: Record | None
