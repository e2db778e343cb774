"""The cost of a layer or a network: plain counts that add up. No bytes, no seconds, no dtype."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from cnncost.dims import Size


class Operations(NamedTuple):
    """Arithmetic other than MACs, by kind; each counts as one FLOP.

    exponentials are all of exp, log, erf, powers and roots.
    """

    additions: Size = 0
    multiplications: Size = 0
    comparisons: Size = 0
    divisions: Size = 0
    exponentials: Size = 0


class Cost(NamedTuple):
    """What a layer costs, in elements and operations, for the whole batch.

    params      weights + biases + other_params, learned numbers
    weights     multiply inputs inside a MAC
    biases      are added to such a sum
    other_params  scales and shifts of norms, slopes, ...
    buffers     kept but not learned: running statistics
    macs        multiply-accumulates
    additions ... exponentials   see Operations
    read, written   elements that move if each tensor moves once
    activations     elements of new storage that the output takes; views and in-place take none
    neurons     outputs of layers with weights
    """

    weights: Size
    biases: Size
    other_params: Size
    buffers: Size
    macs: Size
    additions: Size
    multiplications: Size
    comparisons: Size
    divisions: Size
    exponentials: Size
    read: Size
    written: Size
    activations: Size
    neurons: Size

    @property
    def params(self) -> Size:
        return self.weights + self.biases + self.other_params

    @property
    def operations(self) -> Size:
        """All arithmetic that is not a MAC."""
        return self.additions + self.multiplications + self.comparisons + self.divisions + self.exponentials

    @property
    def flops(self) -> Size:
        """2 x MACs + every other operation."""
        return 2 * self.macs + self.operations

    def __add__(self, other: Cost) -> Cost:  # type: ignore[override]  # a sum, not a concatenation
        return Cost(*(a + b for a, b in zip(self, other)))


NOTHING = Cost(*(0,) * len(Cost._fields))
"""The cost of no layer at all: the neutral element of +."""


def total(costs: Iterable[Cost]) -> Cost:
    """The sum of costs, kind by kind."""
    columns = list(zip(*costs))
    return Cost(*map(sum, columns)) if columns else NOTHING
