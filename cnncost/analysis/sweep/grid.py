"""The space that axes span, and how it is cut: structural axes one value at a time, the others in tiles.

Points are numbered as their rows come: structural axes vary slowest, then the others in the order given, and the batch
fastest, so that every tile is walked once for all its batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import NamedTuple

from cnncost.analysis.sweep.axes import BATCH, Axis, Value

TILE = 4096
"""Points of a tile, its batches not counted: arrays of so many stay in the caches."""
ROWS = 2**17
"""Points of a tile with its batches: as many are in memory at once."""


class Tile(NamedTuple):
    """A box of the space. number: of its first point. fixed: values of the structural axes. spans: of each open axis
    the indices, from and to.
    """

    number: int
    fixed: tuple[Value, ...]
    spans: tuple[tuple[int, int], ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(stop - start for start, stop in self.spans)


@dataclass(frozen=True)
class Grid:
    """Axes in the order of rows. structural: varied one walk a value. open: arrays. batches: of every point."""

    structural: tuple[Axis, ...]
    open: tuple[Axis, ...]
    batches: tuple[int, ...]
    given: tuple[Axis, ...]

    @classmethod
    def of(cls, axes: Sequence[Axis], structural: Sequence[str], batch: int) -> Grid:
        """A grid. structural: names of axes that differ in structure. batch: where that is no axis."""
        own = next((axis for axis in axes if axis.name == BATCH), None)
        rest = [axis for axis in axes if axis is not own]
        return cls(
            tuple(axis for axis in rest if axis.name in structural),
            tuple(axis for axis in rest if axis.name not in structural),
            own.values if own else (batch,),
            tuple(axes),
        )

    @property
    def axes(self) -> tuple[Axis, ...]:
        """As rows go, the slowest first; the batch is the last, if it is one."""
        last = [axis for axis in self.given if axis.name == BATCH]
        return (*self.structural, *self.open, *last)

    @property
    def size(self) -> int:
        return prod(len(axis.values) for axis in self.given)

    def tiles(self, tile: int = TILE, rows: int = ROWS) -> Iterator[Tile]:
        """All boxes, in order, of at most so many points, and rows where one point has no more."""
        number, box = 0, self._box(max(1, min(tile, rows // len(self.batches))))
        for fixed in product(*(axis.values for axis in self.structural)):
            ranges = [
                [(start, min(start + length, len(axis.values))) for start in range(0, len(axis.values), length)]
                for axis, length in zip(self.open, box)
            ]
            for spans in product(*ranges):
                yield Tile(number, fixed, spans)
                number += prod(stop - start for start, stop in spans) * len(self.batches)

    def _box(self, tile: int) -> list[int]:
        """Lengths of a tile along the open axes: whole from the last one on, as far as there is room."""
        lengths: list[int] = []
        for axis in reversed(self.open):
            length = max(1, min(len(axis.values), tile))
            lengths.append(length)
            tile //= length
        return lengths[::-1]
