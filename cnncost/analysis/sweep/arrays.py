"""A whole space as labelled arrays, for Python."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cnncost.analysis.sweep.run import Job, run
from cnncost.analysis.sweep.space import Rows, Space, Summary, column_of
from cnncost.errors import UsageError

Array = npt.NDArray[Any]
POINTS_AT_MOST = 50_000_000
"""Arrays hold all points at once; `cnncost sweep -o` does not."""


@dataclass(frozen=True, repr=False)
class Swept:
    """The points of a space. axes: names and values, in the order given. arrays: of each quantity one, an axis a
    dimension; 0 where a point is impossible. possible: where it is not. kept: where it is possible and meets the
    condition. reason: why it is not possible, as a number of `reasons`; -1 where it is.
    """

    name: str
    axes: dict[str, tuple[Any, ...]]
    arrays: dict[str, Array]
    kept: Array
    reason: Array
    reasons: tuple[str, ...]
    summary: Summary

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(values) for values in self.axes.values())

    @property
    def possible(self) -> Array:
        found: Array = self.reason < 0
        return found

    def __getitem__(self, quantity: str) -> Array:
        """A quantity's array. Raises KeyError."""
        return self.arrays[quantity]

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __repr__(self) -> str:
        axes = ", ".join(f"{name}={len(values)}" for name, values in self.axes.items())
        return f"<Swept of {self.name}: {self.summary.points:,} points ({axes}); {', '.join(self.arrays)}>"

    def to_pandas(self) -> Any:
        """A frame with a row for every point that counts. Needs pandas."""
        import pandas

        grids = np.meshgrid(*(column_of(values) for values in self.axes.values()), indexing="ij")
        columns = {name: grid[self.kept] for name, grid in zip(self.axes, grids)}
        return pandas.DataFrame(columns | {name: array[self.kept] for name, array in self.arrays.items()})

    def to_xarray(self) -> Any:
        """A dataset with the axes as coordinates, and `possible` and `kept` beside the quantities. Needs xarray."""
        import xarray

        names = list(self.axes)
        data = {**self.arrays, "possible": self.possible, "kept": self.kept}
        coordinates = {name: column_of(values) for name, values in self.axes.items()}
        return xarray.Dataset({name: (names, array) for name, array in data.items()}, coordinates)


def gathered(space: Space) -> Swept:
    """All points of a space. Raises UsageError for more than memory holds."""
    if space.grid.size > POINTS_AT_MOST:
        hint = "cnncost sweep -o FILE writes as many points as there are room for"
        raise UsageError(f"{space.grid.size:,} design points are too many for arrays", hint=hint)
    shape = tuple(len(axis.values) for axis in space.axes)
    arrays: dict[str, Array] = {}
    kept, reason = np.zeros(space.grid.size, np.bool_), np.full(space.grid.size, -1, np.int32)
    reasons: dict[str, int] = {}
    summary = Summary()
    plain = Space(space.source, space.grid, space.wanted)  # points that do not count are there, too
    for done in run(Job(plain, encode=_rows)):
        rows: Rows = done.written
        number = rows.columns["point"]
        here = slice(int(number[0]), int(number[-1]) + 1)
        for name in space.wanted.columns:
            if name not in arrays:
                arrays[name] = np.zeros(space.grid.size, rows.columns[name].dtype)
            arrays[name][here] = np.where(rows.refused < 0, rows.columns[name], 0)
        numbers = np.array([*(reasons.setdefault(text, len(reasons)) for text in rows.reasons), -1], np.int32)
        reason[here] = numbers[rows.refused]
        kept[here] = (rows.refused < 0) & (True if space.where is None else space.where(rows.columns))
        summary.merge(done.summary)
    summary.kept = int(kept.sum())
    given = [axis.name for axis in space.grid.given]
    order = [[axis.name for axis in space.axes].index(name) for name in given]

    def turned(array: Array) -> Array:
        """As the axes were given, and not as rows go."""
        return np.ascontiguousarray(array.reshape(shape).transpose(order))

    return Swept(
        space.source.name,
        {axis.name: axis.values for axis in space.grid.given},
        {name: turned(array) for name, array in arrays.items()},
        turned(kept),
        turned(reason),
        tuple(reasons),
        summary,
    )


def _rows(rows: Rows) -> Rows:
    return rows
