"""Every point of a space, those that do not count too, for pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cnncost.analysis.choice import POINT
from cnncost.analysis.sweep.run import Job, run
from cnncost.analysis.sweep.space import Rows, Space

Array = npt.NDArray[Any]


class Points(NamedTuple):
    """Points in the order of their numbers. places: of each axis, which of its values. columns: quantities, of which
    those of impossible points mean nothing. reason: why a point is impossible, as a number of `reasons`; -1 where it
    is not. kept: possible, and meets the condition.
    """

    numbers: Array
    places: tuple[Array, ...]
    columns: dict[str, Array]
    reason: Array
    reasons: tuple[str, ...]
    kept: Array


def every_point(space: Space, workers: int = 1, watch: Callable[[int, int], None] | None = None) -> Points:
    """All points of a space, also those that the condition leaves out. watch: called with points done and of all."""
    plain = replace(space, where=None)
    parts: dict[str, list[Array]] = {name: [] for name in (POINT, *space.wanted.columns)}
    reason, kept, reasons, done = list[Array](), list[Array](), dict[str, int](), 0
    for tile in run(Job(plain, encode=_rows), workers):
        rows: Rows = tile.written
        for name, part in parts.items():
            part.append(rows.columns[name])
        numbers = np.array([*(reasons.setdefault(text, len(reasons)) for text in rows.reasons), -1], np.int64)
        reason.append(numbers[rows.refused])
        kept.append((rows.refused < 0) & (True if space.where is None else space.where(rows.columns)))
        done += tile.rows
        if watch is not None:
            watch(done, space.size)
    columns = {name: np.concatenate(part) for name, part in parts.items()}
    numbers = columns.pop(POINT)
    order = np.argsort(numbers, kind="stable")
    places = np.unravel_index(numbers[order], [len(axis.values) for axis in space.axes])
    columns = {name: column[order] for name, column in columns.items()}
    joined = np.concatenate(reason)[order], np.concatenate(kept)[order]
    return Points(numbers[order], places, columns, joined[0], tuple(reasons), joined[1])


def _rows(rows: Rows) -> Rows:
    return rows
