"""A design space to be priced: what varies, what is asked, which points count, and the rows of its tiles."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import cnncost
from cnncost.analysis.choice import POINT
from cnncost.analysis.conditions import Condition
from cnncost.analysis.sweep.axes import BATCH, Axis, Value, shown_value
from cnncost.analysis.sweep.grid import Grid, Tile
from cnncost.analysis.sweep.sample import Draw, Drawn, draws, priced_draw
from cnncost.analysis.sweep.source import Source
from cnncost.analysis.sweep.walk import SECONDS, Priced, Wanted, priced
from cnncost.spec.marks import plain

Column = npt.NDArray[Any]
SHORT = {"activations": "activation_bytes", "peak": "peak_bytes", "training_peak": "training_peak_bytes",
         "weights": "weight_bytes"}  # fmt: skip
"""What columns are called in conditions, beside their own names."""
NO_REASON = -1


class Rows(NamedTuple):
    """Points of a tile that are asked for. columns: the point's number, its axes, its quantities. refused: of each the
    number of its reason, -1 where it is possible.
    """

    columns: dict[str, Column]
    refused: npt.NDArray[np.int32]
    reasons: tuple[str, ...]


@dataclass
class Summary:
    """What has been seen of a space. points: priced. kept: of them, those that are possible and meet the condition.
    impossible: by reason. ranges: least and most of a quantity among the kept.
    """

    points: int = 0
    kept: int = 0
    impossible: dict[str, int] = field(default_factory=dict)
    ranges: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    def merge(self, other: Summary) -> None:
        """Take what has been seen elsewhere."""
        self.points += other.points
        self.kept += other.kept
        for reason, count in other.impossible.items():
            self.impossible[reason] = self.impossible.get(reason, 0) + count
        for name, (least, most) in other.ranges.items():
            known = self.ranges.get(name)
            self.ranges[name] = (least, most) if known is None else (min(known[0], least), max(known[1], most))

    def record(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "points": self.points,
            "kept": self.kept,
            "impossible": self.impossible,
            "ranges": {name: list(pair) for name, pair in self.ranges.items()},
        }

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Summary:
        """From plain data."""
        ranges = {name: (least, most) for name, (least, most) in record["ranges"].items()}
        return cls(record["points"], record["kept"], dict(record["impossible"]), ranges)


@dataclass(frozen=True)
class Space:
    """Everything that says what a sweep gives. where: the condition that points have to meet. sample: how many points
    are drawn, and the seed; None for all of them.
    """

    source: Source
    grid: Grid
    wanted: Wanted
    where: Condition | None = None
    sample: tuple[int, int] | None = None

    @classmethod
    def of(cls, source: Source, axes: Sequence[Axis], wanted: Wanted) -> Space:
        """The space that axes span."""
        return cls(source, Grid.of(axes, source.structural(tuple(axes)), source.batch), wanted)

    @property
    def axes(self) -> tuple[Axis, ...]:
        return self.grid.axes

    @property
    def columns(self) -> tuple[str, ...]:
        """Of every row, after the number of the point."""
        return (*(axis.name for axis in self.axes), *self.wanted.columns)

    @property
    def size(self) -> int:
        """Points that are priced."""
        return self.grid.size if self.sample is None else min(self.sample[0], self.grid.size)

    def tiles(self) -> Iterator[Tile | Draw]:
        """What is priced together, in the order of rows."""
        return self.grid.tiles() if self.sample is None else draws(self.grid, *self.sample)

    @property
    def names(self) -> dict[str, str]:
        """What conditions and choices may call a column."""
        found = {name: name for name in self.columns}
        found |= {short: name for short, name in SHORT.items() if name in found and short not in found}
        if self.wanted.devices and "time" not in found:
            found["time"] = f"{SECONDS}_{self.wanted.devices[0].key}"
        return found

    @property
    def measures(self) -> dict[str, str]:
        """What columns are numbers of, where that is known: of parameters it is not."""
        from cnncost.analysis import conditions

        def of(name: str) -> str:
            if name.startswith(f"{SECONDS}_"):
                return conditions.SECONDS
            return conditions.BYTES if name.endswith("_bytes") else conditions.COUNT

        return {name: of(name) for name in self.wanted.columns}

    @cached_property
    def digest(self) -> str:
        """Tells sweeps apart: a file that another one has begun is not gone on with."""
        source, wanted = self.source, self.wanted
        asked = (source.fixed, self.axes, wanted.columns, wanted.dtype, self.where and repr(self.where), self.sample)
        told = (cnncost.__version__, source.name, source.inputs, _written(source), wanted.devices, asked)
        return hashlib.sha256(repr(told).encode()).hexdigest()[:16]

    def rows(self, tile: Tile | Draw) -> tuple[Rows, Summary]:
        """A tile's rows: all of them, impossible ones marked; where there is a condition, those that meet it."""
        found: Priced | Drawn
        if isinstance(tile, Draw):
            found = priced_draw(self.grid, tile, self.source, self.wanted)
            columns = {POINT: tile.numbers} | self._places(tile)
        else:
            found = priced(self.grid, tile, self.source, self.wanted)
            columns = {POINT: np.arange(tile.number, tile.number + len(found.refused), dtype=np.int64)}
            columns |= self._axes(tile, found)
        columns |= found.columns
        possible = found.refused < 0
        kept = possible & self.where(columns) if self.where is not None else possible
        shown = kept if self.where is not None else np.ones(len(kept), np.bool_)
        if not shown.all():
            columns = {name: column[shown] for name, column in columns.items()}
        return Rows(columns, found.refused[shown], found.reasons), self._summary(found, columns, kept, kept[shown])

    @cached_property
    def _values(self) -> dict[str, Column]:
        """The values of each axis, all of one type, so that a tile's rows look like another's."""
        return {axis.name: column_of(axis.values) for axis in self.axes} | {BATCH: column_of(self.grid.batches)}

    def _fixed(self, values: Iterable[Value], count: int) -> dict[str, Column]:
        """The values of the structural axes, at so many points."""
        columns: dict[str, Column] = {}
        for axis, value in zip(self.grid.structural, values):
            every = self._values[axis.name]
            columns[axis.name] = np.full(count, every[axis.values.index(value)], every.dtype)
        return columns

    def _axes(self, tile: Tile, found: Priced) -> dict[str, Column]:
        """The values of the axes at every point of a tile."""
        spans = [*tile.spans, (0, len(self.grid.batches))]
        names = [*(axis.name for axis in self.grid.open), BATCH]
        lengths = [stop - start for start, stop in spans]
        columns = self._fixed(tile.fixed, len(found.refused))
        for number, (name, (start, stop)) in enumerate(zip(names, spans)):
            shape = tuple(-1 if n == number else 1 for n in range(len(lengths)))
            columns[name] = np.broadcast_to(self._values[name][start:stop].reshape(shape), lengths).reshape(-1)
        return {axis.name: columns[axis.name] for axis in self.axes}

    def _places(self, draw: Draw) -> dict[str, Column]:
        """The values of the axes at every point that was drawn."""
        names = [*(axis.name for axis in self.grid.open), BATCH]
        columns = self._fixed(draw.fixed, len(draw.numbers))
        columns |= {name: self._values[name][place] for name, place in zip(names, draw.places)}
        return {axis.name: columns[axis.name] for axis in self.axes}

    def _summary(self, found: Priced | Drawn, columns: Mapping[str, Column], kept: Column, here: Column) -> Summary:
        counts = np.bincount(found.refused[found.refused >= 0], minlength=len(found.reasons))
        impossible: dict[str, int] = {}
        for reason, count in zip(found.reasons, counts.tolist()):
            impossible[reason] = impossible.get(reason, 0) + count
        ranges: dict[str, tuple[Any, Any]] = {}
        if here.any():
            for name in self.wanted.columns:
                own = columns[name] if here.all() else columns[name][here]
                ranges[name] = (own.min().item(), own.max().item())
        return Summary(len(found.refused), int(kept.sum()), {r: n for r, n in impossible.items() if n}, ranges)


def _written(source: Source) -> Any:
    """What the spec says, for networks that are alike where nothing varies may differ elsewhere."""
    document = source.document
    parts = (document.parameters, document.blocks, document.layers)
    return [{name: plain(item) for name, item in part.items()} for part in parts]


def column_of(values: Iterable[Value]) -> Column:
    """Values of an axis as a column: numbers as such, all else as text."""
    values = list(values)
    if all(type(value) in (int, float) for value in values):
        return np.array(values)
    return np.array([shown_value(value) for value in values])
