"""Points of a sweep that are worth a row: the first by a column, those that no other beats, the nearest to targets.

Each choice is fed with chunks of columns, keeps only what it needs of them, and can be merged with
another of its kind. The rows it ends with are the same however the points were split into chunks,
in whatever order they came and were merged. A chunk maps names to arrays of one length, one entry a
point; one of them, `POINT`, numbers the points of the whole sweep, and no number comes twice.
Points where a column that decides is NaN or missing are never chosen. Ints are compared exactly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from cnncost.analysis.column_arithmetic import Array, entering, kind
from cnncost.analysis.conditions import number_with_unit
from cnncost.errors import UsageError, did_you_mean
from cnncost.options import spelled

POINT = "point"
"""The column of point numbers, int64."""
DISTANCE = "distance"
"""The column that `Nearest` adds."""
WAITING_AT_MOST = 2**16
"""Rows that a `Top` keeps beside its own before it looks at them."""
PAIRS = 2**20
"""Points times points that are compared at once."""
BLOCK = 256

Rows = dict[str, Array]
Keys = tuple[Array, ...]
"""Of points: what is minimised, a column each, and last their numbers."""


def _at(rows: Rows, which: Array) -> Rows:
    """Some rows, by number or by a mask; always a copy."""
    return {name: column[which] for name, column in rows.items()}


def _joined(parts: Sequence[Rows]) -> Rows:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}


def _numbers(column: Array, name: str) -> Array:
    """A column as int64 or float64. Raises UsageError for text."""
    values = entering(column)
    if kind(values) == "text":
        raise UsageError(f"{spelled(name)} is text, which has no size", hint="choose by a column of numbers")
    return values.astype(np.float64 if values.dtype.kind in "fO" else np.int64, copy=False)


def _ascending(values: Array, largest: bool) -> Array:
    """Numbers of which the best is the least; ~n is -n - 1, and has no overflow."""
    if not largest:
        return values
    return -values if values.dtype.kind == "f" else ~values


def _known(values: Array) -> Array:
    """Where a column has a number."""
    return ~np.isnan(values) if values.dtype.kind == "f" else np.ones(len(values), np.bool_)


# ---- the first by a column --------------------------------------------------------------------------


class Top:
    """The `count` points with the smallest values of a column, or with `reverse` the largest; ties by number.

    Text goes by the alphabet. Memory is that of `count` rows, or of WAITING_AT_MOST and a chunk if
    that is more. Raises UsageError for a count below 1.
    """

    def __init__(self, key: str, count: int, reverse: bool = False) -> None:
        if count < 1:
            raise UsageError(f"{count} rows asked for", hint="ask for 1 at least")
        self.key, self.count, self.reverse = key, count, reverse
        self._parts: list[Rows] = []
        self._worst: Any = None
        """What a value must not pass to be among the first so far; None where there is still room, and for text."""

    def add(self, chunk: Mapping[str, Any]) -> None:
        """Take part of a chunk, which may be changed afterwards."""
        self._take({name: np.asarray(column) for name, column in chunk.items()})

    def merge(self, other: Top) -> None:
        """Take what another one with the same key and count has found."""
        for part in other._parts:
            self._take(part)

    def rows(self) -> Rows:
        """The points found, the first first."""
        self._settle()
        return dict(self._parts[0]) if self._parts else {}

    def _take(self, rows: Rows) -> None:
        text = kind(entering(rows[self.key])) == "text"
        if text:
            kept = np.ones(len(rows[self.key]), np.bool_)
        else:
            values = _numbers(rows[self.key], self.key)
            worst = self._worst
            kept = _known(values) if worst is None else _ascending(values, self.reverse) <= worst
        self._parts.append(_at(rows, kept))
        if sum(len(part[POINT]) for part in self._parts) > max(WAITING_AT_MOST, 2 * self.count):
            self._settle()

    def __getstate__(self) -> dict[str, Any]:
        self._settle()  # no more than is needed goes from one process to another
        return self.__dict__

    def _settle(self) -> None:
        """Leave the first `count` of all that were taken."""
        rows = _joined(self._parts)
        if not rows:
            return
        values = entering(rows[self.key])
        text = kind(values) == "text"
        places = np.unique(values, return_inverse=True)[1] if text else _numbers(values, self.key)
        places = _ascending(places, self.reverse)
        order = np.lexsort((rows[POINT], places))[: self.count]
        if len(order) == self.count and not text:
            self._worst = places[order[-1]]
        self._parts = [_at(rows, order)]


class Nearest(Top):
    """The `count` points nearest to targets, the nearest first; ties by number. Rows have a column `distance` more.

    The distance is the root mean square, over the targets, of ln(value / target): 0 where all are
    met; a value twice the target is as far from it as half of it is, and units do not matter. A zero
    is infinitely far from every target but zero, and so are numbers of different signs; such points
    come last. Raises UsageError for a count below 1.
    """

    def __init__(self, targets: Mapping[str, float], count: int) -> None:
        super().__init__(DISTANCE, count)
        self.targets = {name: float(target) for name, target in targets.items()}

    def add(self, chunk: Mapping[str, Any]) -> None:
        rows = {name: np.asarray(column) for name, column in chunk.items()}
        squares = [self._off(_numbers(rows[name], name), target) ** 2 for name, target in self.targets.items()]
        self._take({**rows, DISTANCE: np.sqrt(sum(squares) / len(squares))})

    @staticmethod
    def _off(values: Array, target: float) -> Array:
        """ln(value / target). The same for a value wherever it stands: math on parts of arrays may differ."""
        values = np.ascontiguousarray(values, np.float64)
        if target == 0:
            return np.where(np.isnan(values), np.nan, np.where(values == 0, 0.0, np.inf))
        with np.errstate(all="ignore"):
            ratios = values / target
            return np.where(ratios < 0, np.inf, np.log(np.abs(ratios)))


# ---- what no other point beats ----------------------------------------------------------------------


class Aim(NamedTuple):
    """A column that should be small, or as large as can be."""

    column: str
    largest: bool = False


class Pareto:
    """The points that no other beats: none is at least as good in all columns and better in one.

    Of points that are equal in all these columns the one with the lowest number is kept. With two
    columns the work is that of sorting; with more, every point is compared with those of the front
    until one beats it. Memory is that of twice the front, or of WAITING_AT_MOST rows and a chunk if
    that is more.
    """

    def __init__(self, aims: Sequence[Aim]) -> None:
        self.aims = tuple(aims)
        self._rows: Rows = {}
        """A front, in the order of front_of."""
        self._waiting: list[Rows] = []
        """Points that this front does not beat."""

    def add(self, chunk: Mapping[str, Any]) -> None:
        """Take part of a chunk, which may be changed afterwards. Raises UsageError for a column of text."""
        rows = {name: np.asarray(column) for name, column in chunk.items()}
        keys = self._keys(rows)
        kept = np.flatnonzero(np.logical_and.reduce([_known(key) for key in keys]))
        if self._rows:
            kept = kept[~beaten(_of(keys, kept), self._keys(self._rows))]
        self._waiting.append(_at(rows, kept[front_of(_of(keys, kept))]))
        waiting = sum(len(part[POINT]) for part in self._waiting)
        if not self._rows or waiting > max(WAITING_AT_MOST, len(self._rows[POINT])):
            self._settle()

    def merge(self, other: Pareto) -> None:
        """Take what another one with the same aims has found."""
        for part in (other._rows, *other._waiting):
            if part:
                self.add(part)

    def rows(self) -> Rows:
        """The points found, by the first column, the best first; then by the others."""
        self._settle()
        return dict(self._rows)

    def __getstate__(self) -> dict[str, Any]:
        self._settle()  # no more than is needed goes from one process to another
        return self.__dict__

    def _settle(self) -> None:
        """Make one front of the front and what waits."""
        if not self._waiting:
            return
        new = _joined(self._waiting)
        new = _at(new, front_of(self._keys(new)))
        if self._rows:
            front = self._keys(self._rows)
            new = _joined([_at(self._rows, ~beaten(front, self._keys(new))), new])
        self._rows, self._waiting = _at(new, np.lexsort(self._keys(new)[::-1])), []

    def _keys(self, rows: Rows) -> Keys:
        keys = [_ascending(_numbers(rows[aim.column], aim.column), aim.largest) for aim in self.aims]
        return (*keys, np.asarray(rows[POINT], np.int64))


def _of(keys: Keys, which: Array) -> Keys:
    return tuple(key[which] for key in keys)


def beaten(points: Keys, front: Keys) -> Array:
    """Which points a front beats: one of it is as good in all columns, and better in one or lower in number.

    No point of the front beats another of it, so a point equal to one of it is beaten by that one or by
    none. It stands in the order of front_of.
    """
    found = np.zeros(len(points[-1]), np.bool_)
    if not len(front[-1]) or not len(found):
        return found
    if len(points) == 3:
        # From each point of the front to the next the first column rises and the second falls.
        at = np.searchsorted(front[0], points[0], side="right") - 1
        left = np.flatnonzero((at >= 0) & (front[1][at] <= points[1]))
        found[left[_after(_of(points, left), _of(front, at[left]))]] = True
        return found
    left, front, start = np.arange(len(found)), _of(front, _strongest_first(points, front)), 0
    while start < len(front[-1]) and len(left):
        block = _of(front, slice(start, start + max(8, PAIRS // len(left))))
        start += len(block[-1])
        here = _of(points, left)
        as_good = _as_good(block, here)
        hit = np.flatnonzero(as_good.any(axis=0))
        by = as_good[:, hit].argmax(axis=0)
        found[left[hit[_after(_of(here, hit), _of(block, by))]]] = True
        rest = np.ones(len(left), np.bool_)
        rest[hit] = False
        left = left[rest]
    return found


def _after(points: Keys, better: Keys) -> Array:
    """Which points are not equal to one that is as good, or have a higher number than it."""
    equal = np.logical_and.reduce([a == b for a, b in zip(points[:-1], better[:-1])])
    return ~equal | (points[-1] > better[-1])


def _as_good(these: Keys, those: Keys) -> Array:
    """Which of these (rows) are as good as which of those (columns) in everything."""
    found = np.ones((len(these[-1]), len(those[-1])), np.bool_)
    for a, b in zip(these[:-1], those[:-1]):
        found &= a[:, None] <= b[None, :]
    return found


def _strongest_first(points: Keys, front: Keys) -> Array:
    """A front in the order of how many of a few points each beats; only speed depends on it."""
    sample = _of(points, slice(None, None, 1 + len(points[-1]) // BLOCK))
    strength = np.concatenate(
        [
            _as_good(_of(front, slice(start, start + BLOCK)), sample).sum(axis=1)
            for start in range(0, len(front[-1]), BLOCK)
        ]
    )
    return np.argsort(-strength, kind="stable")


def front_of(points: Keys) -> Array:
    """The indices of the points that none of them beats; of equal ones that with the lowest number."""
    order = np.lexsort(points[::-1])
    if not len(order):
        return order
    # In this order whatever beats a point stands before it, and what stands before it and is as good beats it.
    columns = _of(points, order)[:-1]
    if len(columns) == 1:
        return order[:1]
    if len(columns) == 2:
        least = np.minimum.accumulate(columns[1])
        return order[np.concatenate(([True], columns[1][1:] < least[:-1]))]
    new = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    order = order[np.concatenate(([True], new))]
    front = order[:0]
    for start in range(0, len(order), BLOCK):
        block = order[start : start + BLOCK]
        block = block[~beaten(_of(points, block), _of(points, front))]
        here = _of(points, block)
        block = block[~np.triu(_as_good(here, here), 1).any(axis=0)]
        front = np.concatenate((front, block))
    return front


# ---- from the command line --------------------------------------------------------------------------


def parse_pareto(text: str, names: Mapping[str, str]) -> tuple[Aim, ...]:
    """macs,peak,-batch or max:batch. names: what columns are called, and the columns. Raises UsageError."""
    aims: list[Aim] = []
    for item in map(str.strip, text.split(",")):
        largest = item.startswith(("-", "max:"))
        name = re.sub(r"^(-|max:|min:)\s*", "", item)
        column = _column(name, text, names, "macs,peak or macs,-batch")
        if any(aim.column == column for aim in aims):
            raise UsageError(f"{spelled(name)} twice in {spelled(text)}", hint="name every column once")
        aims.append(Aim(column, largest))
    return tuple(aims)


def parse_nearest(
    text: str, names: Mapping[str, str], measures: Mapping[str, str] = MappingProxyType({})
) -> dict[str, float]:
    """macs=600M,params=5M: targets by column, above 0. measures: as in conditions. Raises UsageError."""
    targets: dict[str, float] = {}
    for item in re.split(r",(?=[^,]*=)|,\s*$", text):
        name, equals, number = map(str.strip, item.partition("="))
        column = _column(name, text, names, "macs=600M,params=5M")
        if not equals or not number:
            raise UsageError(f"no target for {spelled(name)} in {spelled(text)}", hint=f"write {spelled(name)}=600M")
        if column in targets:
            raise UsageError(f"{spelled(name)} twice in {spelled(text)}", hint="give every column one target")
        target = 0 if re.fullmatch(r"-\s*\d.*", number) else number_with_unit(number, measures.get(column))
        if target <= 0:
            raise UsageError(f"target {spelled(item)} is not above 0", hint="distances are ratios: give what there is")
        targets[column] = target
    return targets


def _column(name: str, text: str, names: Mapping[str, str], example: str) -> str:
    """The column of a name."""
    if name in names:
        return names[name]
    if not name:
        raise UsageError(f"a name is missing in {spelled(text) or repr('')}", hint=f"write {example}")
    raise UsageError(f"unknown name {spelled(name)} in {spelled(text)}", hint=did_you_mean(name, names))
