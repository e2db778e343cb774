"""A tile priced: the walk of one network, over arrays.

Counts grow with the batch by a fixed amount an image, and the bytes alive at a step do so, too; a peak is the largest
of its steps. So a tile is walked at a few batches only, its others are computed from these, and whether growth is that
regular is checked at each point and step; where it is not, every batch is walked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cnncost.analysis.dtypes import DTYPES
from cnncost.analysis.memory import inference_steps
from cnncost.analysis.report import UncountableError, countable, figures
from cnncost.analysis.roofline import roofline
from cnncost.analysis.sweep.axes import is_input
from cnncost.analysis.sweep.grid import Grid, Tile
from cnncost.analysis.sweep.source import Source
from cnncost.analysis.training_memory import training_steps
from cnncost.cost import Cost, total
from cnncost.devices import Device
from cnncost.dims import DiffersError, Refusals, at_point, noting_ended, refusing
from cnncost.errors import CnncostError
from cnncost.graph import Graph, Node
from cnncost.spec.expr import AtSomeError

Numbers = npt.NDArray[Any]

COUNTS = ("params", "macs", "flops", "activation_bytes", "weight_bytes", "neurons")
PEAKS = ("peak_bytes", "training_peak_bytes")
SECONDS = "seconds"
QUANTITIES = (*COUNTS, *PEAKS)
DEFAULT = ("params", "macs", "flops", "activation_bytes", "peak_bytes", "training_peak_bytes")
PROBES = 4
"""Batches at which a tile is walked: two tell growth, the others check it."""
IN_CACHE = 2**14
"""Numbers of a block that is worked on over and over."""


class Wanted(NamedTuple):
    """What is asked of every point. devices: least times by the roofline of these."""

    quantities: tuple[str, ...] = DEFAULT
    dtype: str = "fp32"
    devices: tuple[Device, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.quantities, *map(seconds_on, self.devices))


def seconds_on(device: Device) -> str:
    """The column of a device's least times."""
    return f"{SECONDS}_{device.key}"


class Priced(NamedTuple):
    """A tile's points. columns: of each quantity one entry a point, in order. refused: the number of a point's reason,
    -1 where it is possible; columns mean nothing where it is not. reasons: why points are impossible.
    """

    tile: Tile
    columns: dict[str, npt.NDArray[Any]]
    refused: npt.NDArray[np.int32]
    reasons: tuple[str, ...]


class IrregularError(ArithmeticError):
    """Something does not grow with the batch by the same amount an image."""


def priced(grid: Grid, tile: Tile, source: Source, wanted: Wanted) -> Priced:
    """Every point of a tile. Raises UncountableError where int64 does not hold a count."""
    try:
        return _Tile(grid, tile, source, wanted).priced()
    except UncountableError:
        raise
    except DiffersError as e:
        axis, parts = runs(tile, len(grid.batches), e.choice)
    except CnncostError:
        axis, parts = halves(tile, len(grid.batches))
    if not parts:
        return _point(grid, tile, source, wanted)
    return _joined(tile, [priced(grid, part, source, wanted) for part in parts], axis)


class Walk(NamedTuple):
    """A tile at some batches. parts: what a quantity is the largest of, each (points, batches). refused: (points,
    batches).
    """

    parts: dict[str, list[Numbers]]
    refused: npt.NDArray[np.int32]
    reasons: list[CnncostError]


class _Tile:
    """A tile while it is priced; what is found stands in arrays of (points, batches)."""

    def __init__(self, grid: Grid, tile: Tile, source: Source, wanted: Wanted) -> None:
        self.grid, self.tile, self.source, self.wanted = grid, tile, source, wanted
        self.batches = np.array(grid.batches, np.int64)
        self.shape = (_points(tile), len(self.batches))
        self.columns: dict[str, Numbers] = {}
        self.refused = np.full(self.shape, -1, np.int32)
        self.reasons: list[str] = []

    def priced(self) -> Priced:
        """All points. Raises CnncostError where they differ in structure."""
        every = np.arange(len(self.batches))
        self.each(self.left_of(every), self.wanted.quantities, ())
        if self.wanted.devices:
            self.each(every, (), self.wanted.devices)
        columns = {name: self.columns.get(name, np.zeros(self.shape, np.int64)) for name in self.wanted.columns}
        flat = {name: column.reshape(-1) for name, column in columns.items()}
        return Priced(self.tile, flat, self.refused.reshape(-1), tuple(self.reasons))

    def left_of(self, every: Numbers) -> Numbers:
        """Price batches by their growth, as far as that goes; those that are left."""
        alone = self.batches == 1  # where some layers do without a copy
        for which in (every, every[~alone]):
            if len(which) > PROBES:
                try:
                    self.grown(which)
                except IrregularError:
                    continue
                return np.setdiff1d(every, which)
        return every

    def grown(self, which: Numbers) -> None:
        """Price many batches from a few. Raises IrregularError where that would be wrong."""
        least, most = int(self.batches[which].min()), int(self.batches[which].max())
        probes = np.array([least, least + 1, (least + most + 1) // 2, most], np.int64)
        try:
            walk = self.walk(probes, self.wanted.quantities, ())
        except DiffersError as e:
            if _varies(e.choice, 0):
                raise IrregularError from None
            raise
        if (walk.refused != walk.refused[:, :1]).any():
            raise IrregularError
        possible = walk.refused[:, 0] < 0
        for name, parts in walk.parts.items():
            lines = [Line.through(part[possible], probes) for part in parts]
            column = np.zeros((self.shape[0], len(which)), np.int64)
            column[possible] = highest_of(outermost(lines), self.batches[which] - probes[0])
            self.put(name, which, column)
        self.note(which, walk.refused[:, :1], walk.reasons)

    def each(self, which: Numbers, quantities: tuple[str, ...], devices: tuple[Device, ...]) -> None:
        """Price batches by walking at each of them."""
        if not (quantities or devices):
            return
        alone, others = which[self.batches[which] == 1], which[self.batches[which] != 1]
        groups = [*([alone] if len(alone) else []), *(others[n : n + PROBES] for n in range(0, len(others), PROBES))]
        while groups:
            some = groups.pop(0)
            try:
                walk = self.walk(self.batches[some], quantities, devices)
            except DiffersError as e:
                if not _varies(e.choice, 0):
                    raise
                groups = [*some.reshape(-1, 1), *groups]
                continue
            if quantities:
                self.note(some, walk.refused, walk.reasons)
            for name, parts in walk.parts.items():
                column = parts[0]
                for part in parts[1:]:
                    column = np.maximum(column, part)
                self.put(name, some, column)

    def note(self, which: Numbers, refused: Any, reasons: Sequence[CnncostError]) -> None:
        """Points that are refused, at some batches."""
        self.refused[:, which] = np.where(refused >= 0, refused + len(self.reasons), -1)
        self.reasons += map(text_of, reasons)

    def put(self, name: str, which: Numbers, column: Numbers) -> None:
        if len(which) == self.shape[1]:
            self.columns[name] = column
            return
        if name not in self.columns:
            self.columns[name] = np.zeros(self.shape, column.dtype)
        self.columns[name][:, which] = column

    def walk(self, batches: Numbers, quantities: tuple[str, ...], devices: tuple[Device, ...]) -> Walk:
        """The walk over arrays of (batches, *tile)."""
        asked = self.wanted._replace(quantities=quantities, devices=devices)
        return walk(
            self.source, (len(batches), *self.tile.shape), self.arguments(batches), asked, int(batches.argmax())
        )

    def arguments(self, batches: Numbers) -> dict[str, Any]:
        """What the spec is expanded with: every open axis as an array along an axis of its own."""
        depth = 1 + len(self.tile.spans)
        values: dict[str, Any] = {axis.name: value for axis, value in zip(self.grid.structural, self.tile.fixed)}
        for number, (axis, (start, stop)) in enumerate(zip(self.grid.open, self.tile.spans), 1):
            place = tuple(-1 if n == number else 1 for n in range(depth))
            chosen = axis.values[start:stop]
            if len(chosen) == 1:  # a plain number: a point of these is the walk of one network
                values[axis.name] = chosen[0]
            elif isinstance(chosen[0], tuple):
                values[axis.name] = tuple(np.array(sizes).reshape(place) for sizes in zip(*chosen))
            else:
                values[axis.name] = np.array(chosen).reshape(place)
        batch = int(batches[0]) if len(batches) == 1 else batches.reshape((-1, *[1] * (depth - 1)))
        given = {name: value for name, value in values.items() if not is_input(name)}
        return {"batch": batch, "input": self.source.input(values), "set": given}


def walk(
    source: Source, space: tuple[int, ...], arguments: Mapping[str, Any], wanted: Wanted, largest: int | None = None
) -> Walk:
    """The walk of one network over arrays. space: what they span, the batch first. arguments: of the spec.

    largest: where the largest batch stands, if batches have an axis of their own; it is looked at whether int64 holds
    its counts. Raises CnncostError where points differ in structure.
    """
    with refusing(Refusals(space)) as found, np.errstate(all="ignore"):
        try:
            graph = source.graph(**arguments)
        except CnncostError as e:
            if not _everywhere(e, source, found, arguments):
                raise
            found.note(np.zeros((), bool), e)
            return Walk({}, _flat(found.first, space), found.reasons)
        possible = found.first < 0
        parts = {}
        if possible.any():
            countable(graph, possible, largest)
            parts = dict(_parts(graph, wanted.dtype, wanted.quantities, wanted.devices))
    flat = {name: [_flat(part, space) for part in own] for name, own in parts.items()}
    return Walk(flat, _flat(found.first, space), found.reasons)


def _everywhere(error: CnncostError, source: Source, found: Refusals, arguments: Mapping[str, Any]) -> bool:
    """Whether an error is that of all design points which are left, and not because they are arrays.

    Then it says nothing of arrays, and the first and the last point alone have it, too.
    """
    left = np.argwhere(found.first < 0)
    if isinstance(error, (DiffersError, AtSomeError)) or len(left) < 2:
        return False
    for index in (left[0], left[-1]):
        try:
            with noting_ended():
                source.graph(**at_point(dict(arguments), tuple(index), found.first.shape))
        except CnncostError as alone:
            if (text_of(alone), alone.where) != (text_of(error), error.where):
                return False
        else:
            return False
    return True


def _parts(
    graph: Graph, dtype: str, quantities: Collection[str], devices: Iterable[Device]
) -> Iterator[tuple[str, list[Any]]]:
    """Of every quantity the arrays whose largest it is: one of a count, one a step of a peak."""
    if any(name in COUNTS for name in quantities):
        shapes = graph.shapes
        costs = [_own(node, node.op.cost(node.shape, *(shapes[i] for i in node.inputs))) for node in graph.nodes]
        found = figures(total(costs), DTYPES[dtype])
        yield from ((name, [found[name]]) for name in COUNTS if name in quantities)
    if "peak_bytes" in quantities:
        yield "peak_bytes", [step.alive for step in inference_steps(graph, dtype)]
    if "training_peak_bytes" in quantities:
        yield "training_peak_bytes", [step.alive for step in training_steps(graph, precision=dtype)]
    for device in devices:
        yield seconds_on(device), [roofline(graph, device, dtype).total.seconds]


def _own(node: Node, cost: Cost) -> Cost:
    """A layer's cost, without the parameters of another layer that it uses."""
    return cost._replace(weights=0, biases=0, other_params=0, buffers=0) if node.shares else cost


def _flat(array: Any, space: tuple[int, ...]) -> Numbers:
    """An array over (batches, *tile) as (points, batches)."""
    flat: Numbers = np.broadcast_to(array, space).reshape(space[0], -1).T
    return flat


# ---- growth with the batch ----------------------------------------------------------------------


class Line(NamedTuple):
    """Something that grows with the batch by a fixed amount an image, at every point. start: at the first batch."""

    start: Numbers
    slope: Numbers
    end: Numbers

    @classmethod
    def through(cls, values: Numbers, batches: Numbers) -> Line:
        """The line through values at several batches, (points, batches), of which the second is one image more than
        the first. Raises IrregularError where there is none.
        """
        start, slope = values[:, 0], values[:, 1] - values[:, 0]
        for number in range(2, len(batches)):
            if (values[:, number] != start + slope * (batches[number] - batches[0])).any():
                raise IrregularError
        return cls(start, slope, values[:, -1])

    def covers(self, other: Line) -> bool:
        """Whether this is nowhere lower: lines that are not at both ends are not in between."""
        return bool((self.end >= other.end).all() and (self.start >= other.start).all())


def outermost(lines: Sequence[Line]) -> list[Line]:
    """The lines without which the highest of them would not be the same."""
    kept: list[Line] = []
    for line in sorted(lines, key=lambda line: (-float(line.end.sum(dtype=np.float64)), -int(line.start[0]))):
        if not any(other.covers(line) for other in kept):
            kept.append(line)
    return kept


def highest_of(lines: Sequence[Line], steps: Numbers) -> Numbers:
    """The highest of lines, (points, batches). steps: batches less the first of the lines'."""
    found = np.empty((len(lines[0].start), len(steps)), np.int64)
    block = max(1, IN_CACHE // len(steps))
    values = np.empty((block, len(steps)), np.int64)
    for begin in range(0, len(found), block):
        here = found[begin : begin + block]
        for number, line in enumerate(lines):
            into = values[: len(here)] if number else here
            np.multiply(line.slope[begin : begin + block, None], steps, out=into)
            into += line.start[begin : begin + block, None]
            if number:
                np.maximum(here, into, out=here)
    return found


# ---- where a tile cannot be walked in one ---------------------------------------------------------


def halves(tile: Tile, batches: int) -> tuple[int, list[Tile]]:
    """A tile cut in two along its slowest axis that is longer than 1, and which that is; nothing of a single point."""
    for axis, length in enumerate(tile.shape):
        if length > 1:
            return axis, _cut(tile, batches, axis, [length // 2])
    return 0, []


def runs(tile: Tile, batches: int, choice: Any) -> tuple[int, list[Tile]]:
    """A tile cut along an axis wherever a choice changes along it, and which that is. choice: over (batch, *tile)."""
    axis = next(axis for axis in range(len(tile.spans)) if _varies(choice, axis + 1))
    rows = np.moveaxis(choice, axis + 1, 0).reshape(choice.shape[axis + 1], -1)
    return axis, _cut(tile, batches, axis, [int(n) + 1 for n in np.flatnonzero((rows[1:] != rows[:-1]).any(axis=1))])


def _varies(choice: Any, axis: int) -> bool:
    """Whether an array is not the same all along an axis."""
    return bool((choice != choice.take([0], axis)).any())


def _cut(tile: Tile, batches: int, axis: int, at: Sequence[int]) -> list[Tile]:
    """A tile in parts along an axis. at: where they begin, but for the first."""
    (start, stop), inner = tile.spans[axis], batches * int(np.prod(tile.shape[axis + 1 :], dtype=np.int64))
    edges = [0, *at, stop - start]
    return [
        Tile(
            tile.number + first * inner,
            tile.fixed,
            (*tile.spans[:axis], (start + first, start + last), *tile.spans[axis + 1 :]),
        )
        for first, last in pairwise(edges)
    ]


def _joined(tile: Tile, parts: Sequence[Priced], axis: int) -> Priced:
    """The parts of a tile along an axis as one; -1 is the batch."""

    def whole(arrays: Sequence[Numbers]) -> Numbers:
        pairs = zip(parts, arrays)
        boxes = [array.reshape(*part.tile.shape, len(array) // _points(part.tile)) for part, array in pairs]
        return np.concatenate(boxes, axis).reshape(-1)

    columns = {name: whole([part.columns[name] for part in parts]) for name in parts[0].columns}
    refused: list[Numbers] = []
    reasons: list[str] = []
    for part in parts:
        refused.append(np.where(part.refused >= 0, part.refused + len(reasons), -1).astype(np.int32))
        reasons += part.reasons
    return Priced(tile, columns, whole(refused), tuple(reasons))


def _points(tile: Tile) -> int:
    return int(np.prod(tile.shape, dtype=np.int64))


def _point(grid: Grid, tile: Tile, source: Source, wanted: Wanted) -> Priced:
    """A single point, walked at each batch by itself: over plain numbers, where what is wrong is said exactly."""
    parts = []
    for batch in grid.batches:
        alone = replace(grid, batches=(batch,))
        try:
            parts.append(_Tile(alone, tile, source, wanted).priced())
        except UncountableError:
            raise
        except CnncostError as e:
            parts.append(_impossible(alone, tile, wanted, e))
    return _joined(tile, parts, -1)


def _impossible(grid: Grid, tile: Tile, wanted: Wanted, error: CnncostError) -> Priced:
    """A point that cannot be, at any batch."""
    rows = len(grid.batches)
    columns = {name: np.zeros(rows, np.int64) for name in wanted.columns}
    return Priced(tile, columns, np.zeros(rows, np.int32), (text_of(error),))


def text_of(error: CnncostError) -> str:
    """Why a point is impossible: the layer, and what is wrong with it."""
    layer = getattr(error, "layer", None)
    return f"layer {layer}: {error.message}" if layer else error.message
