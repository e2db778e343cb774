"""What a layer holds in memory: what it takes while it runs, and what training keeps for the backward pass."""

from __future__ import annotations

from typing import Literal, NamedTuple

from cnncost.dims import Size


class Kept(NamedTuple):
    """Elements that autograd holds on to after a forward pass.

    what      "input" or "output": that tensor's own storage, so that a walk over a network can
              count once what several layers keep; "extra": storage that nothing else holds
    elements  of the whole storage; 0 where the sizes are such that it is not kept
    index     which of the inputs
    itemsize  bytes an element; None is the network's dtype
    """

    what: Literal["input", "output", "extra"]
    elements: Size
    index: int = 0  # type: ignore[assignment]  # hides tuple.index
    itemsize: int | None = None


class Temporary(NamedTuple):
    """Elements that a layer takes for itself while it runs. itemsize: bytes an element; None is the network's dtype."""

    elements: Size
    itemsize: int | None = None


INDICES = 8
"""Bytes of an index, int64."""
