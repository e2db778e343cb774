"""Points drawn at random from a space that is too large to list: priced in one dimension, a point an entry."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cnncost.analysis.report import UncountableError
from cnncost.analysis.sweep.axes import Value, is_input
from cnncost.analysis.sweep.grid import Grid
from cnncost.analysis.sweep.source import Source
from cnncost.analysis.sweep.walk import Wanted, text_of, walk
from cnncost.dims import DiffersError
from cnncost.errors import CnncostError, UsageError

Ints = npt.NDArray[np.int64]
AT_ONCE = 2**14
"""Points that are walked together."""
SPACE_AT_MOST = 2**63 - 1


class Draw(NamedTuple):
    """Points of one structure. fixed: values of the structural axes. numbers: of the points. places: for every open
    axis, and last the batch, which of its values each point has.
    """

    fixed: tuple[Value, ...]
    numbers: Ints
    places: tuple[Ints, ...]

    def part(self, start: int, stop: int) -> Draw:
        """Some of the points."""
        return Draw(self.fixed, self.numbers[start:stop], tuple(place[start:stop] for place in self.places))


class Drawn(NamedTuple):
    """Points that were drawn, priced, as walk.Priced has it."""

    columns: dict[str, npt.NDArray[Any]]
    refused: npt.NDArray[np.int32]
    reasons: tuple[str, ...]


def draws(grid: Grid, count: int, seed: int) -> Iterator[Draw]:
    """So many points, each once and all as likely, in the order of their numbers. Raises UsageError."""
    if grid.size > SPACE_AT_MOST:
        raise UsageError(f"{grid.size:,} design points", hint="points are numbered up to 2^63: take fewer values")
    numbers = np.random.default_rng(seed).choice(grid.size, min(count, grid.size), replace=False, shuffle=False)
    numbers.sort()
    axes = (*grid.structural, *grid.open)
    lengths = [*(len(axis.values) for axis in axes), len(grid.batches)]
    rest, places = numbers.astype(np.int64), []
    for length in reversed(lengths):
        rest, place = np.divmod(rest, length)
        places.append(place)
    places.reverse()
    depth = len(grid.structural)
    # Rows are in the order of their numbers, so points of one structure stand together.
    changes = np.any([np.diff(place) != 0 for place in places[:depth]], axis=0) if depth else np.zeros(0, np.bool_)
    edges = [0, *(np.flatnonzero(changes) + 1).tolist(), len(numbers)]
    for start, stop in pairwise(edges):
        fixed = tuple(axis.values[places[i][start]] for i, axis in enumerate(grid.structural))
        whole = Draw(fixed, numbers[start:stop], tuple(place[start:stop] for place in places[depth:]))
        for begin in range(0, len(whole.numbers), AT_ONCE):
            yield whole.part(begin, begin + AT_ONCE)


def priced_draw(grid: Grid, draw: Draw, source: Source, wanted: Wanted) -> Drawn:
    """Every point of a draw. Raises UncountableError where int64 does not hold a count."""
    try:
        return _together(grid, draw, source, wanted)
    except UncountableError:
        raise
    except DiffersError as e:
        choice = np.broadcast_to(e.choice, (len(draw.numbers),))
        groups = [np.flatnonzero(choice == value) for value in np.unique(choice)]
        found = [priced_draw(grid, _chosen(draw, which), source, wanted) for which in groups]
        return _reordered(_joined(found), np.argsort(np.concatenate(groups), kind="stable"))
    except CnncostError as e:
        count = len(draw.numbers)
        if count == 1:
            return Drawn({name: np.zeros(1, np.int64) for name in wanted.columns}, np.zeros(1, np.int32), (text_of(e),))
        halves = (draw.part(0, count // 2), draw.part(count // 2, count))
        return _joined([priced_draw(grid, half, source, wanted) for half in halves])


def _together(grid: Grid, draw: Draw, source: Source, wanted: Wanted) -> Drawn:
    """A draw in one walk. Raises CnncostError where its points differ in structure."""
    count = len(draw.numbers)
    batches = np.array(grid.batches, np.int64)[draw.places[-1]]
    values: dict[str, Any] = {axis.name: value for axis, value in zip(grid.structural, draw.fixed)}
    for axis, place in zip(grid.open, draw.places):
        if isinstance(axis.values[0], tuple):
            values[axis.name] = tuple(np.array(sizes)[place] for sizes in zip(*axis.values))
        else:
            values[axis.name] = np.array(axis.values)[place]
    given = {name: value for name, value in values.items() if not is_input(name)}
    batch: Any = batches
    if count == 1:  # a single point is the walk of one network
        batch = int(batches[0])
        given = {name: _plain(value) for name, value in given.items()}
        values = {name: _plain(value) for name, value in values.items()}
    # The first dimension is the batch's in a walk; here it is the points'.
    found = walk(source, (count,), {"batch": batch, "input": source.input(values), "set": given}, wanted)
    columns = {}
    for name in wanted.columns:
        column: Any = np.zeros(count, np.int64)
        for number, part in enumerate(found.parts.get(name, ())):
            column = part[0] if number == 0 else np.maximum(column, part[0])
        columns[name] = column
    return Drawn(columns, found.refused[0].astype(np.int32), tuple(map(text_of, found.reasons)))


def _plain(value: Any) -> Any:
    """An array of one entry as that entry."""
    if isinstance(value, tuple):
        return tuple(_plain(each) for each in value)
    return value.item() if hasattr(value, "item") else value


def _chosen(draw: Draw, which: Ints) -> Draw:
    return Draw(draw.fixed, draw.numbers[which], tuple(place[which] for place in draw.places))


def _joined(parts: list[Drawn]) -> Drawn:
    """One after the other."""
    refused: list[Any] = []
    reasons: list[str] = []
    for part in parts:
        refused.append(np.where(part.refused >= 0, part.refused + len(reasons), -1))
        reasons += part.reasons
    columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns}
    return Drawn(columns, np.concatenate(refused).astype(np.int32), tuple(reasons))


def _reordered(drawn: Drawn, order: Ints) -> Drawn:
    columns = {name: column[order] for name, column in drawn.columns.items()}
    return Drawn(columns, drawn.refused[order], drawn.reasons)
