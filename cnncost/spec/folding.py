"""What repeats in a graph: groups of layers that are alike become blocks, equal ones in a chain repeats.

Groups are alike where they have the same ops on the same wires and differ in numbers only. The
numbers of a group stand in `values`, in the same order for all that are alike, so that a block is
columns of a table: one that never changes is written out, any other is a parameter.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator
from itertools import accumulate
from typing import Any, NamedTuple

from cnncost.spec.outline import Path, Unit, is_number, settings

SECTION = 12
"""Lines of a group that is a block even if it comes once, for shorter names in it, unless it is most of the network."""

Address = tuple[int, ...]
"""A line of a body: its number, behind those of the groups that are written out around it."""


class Column(NamedTuple):
    """A number of a body: the line that has it, what it sets there, its place in `values`.

    sets: an option of an op, or a parameter of a block. kind: the option in either case, channels
    being one kind: numbers of a kind that are always equal are one parameter.
    """

    line: Address
    sets: str
    place: int
    kind: str


class Body:
    """What is written as one list of layers: a block, or the network itself.

    units: all that are alike, the first being the one whose names are taken. lines: by address.
    paths: names of the lines, part by part; a group that is one repeat gives it its own.
    """

    def __init__(self, units: list[Unit], blocks: Collection[int]) -> None:
        self.units, self.unit = units, units[0]
        self.lines: dict[Address, tuple[Unit, ...]] = {}
        self.paths: dict[Address, Path] = {}
        self._write_out(self.unit, (), blocks)

    def _write_out(self, unit: Unit, around: Address, blocks: Collection[int]) -> None:
        """Note the lines of a unit; those of groups that are no blocks stand in their place."""
        for i, run in enumerate(unit.lines):
            line = (*around, i)
            if run[0].parts and run[0].key not in blocks:
                self._write_out(run[0], line, blocks)
            else:
                self.lines[line] = run
                path = unit.path if around and len(unit.lines) == 1 else run[0].path
                self.paths[line] = path[len(self.unit.path) :] or path[-1:]

    def first_value(self, line: Address) -> int:
        """Where the values of a line begin among those of the body; its count is behind them."""
        unit, place = self.unit, 0
        for i in line:
            place += unit.places[i]
            unit = unit.lines[i][0]
        return place

    def repeated(self, line: Address) -> bool:
        """Whether the line is a repeat in any of the units."""
        return any(len(run_at(unit, line)) > 1 for unit in self.units)


def run_at(unit: Unit, line: Address) -> tuple[Unit, ...]:
    """The units of a line."""
    for i in line[:-1]:
        unit = unit.lines[i][0]
    return unit.lines[line[-1]]


class Folding:
    """Keys of all units, and which of them are blocks."""

    def __init__(self, root: Unit) -> None:
        self.root = root
        self.numbers: dict[Any, int] = {}
        self.key_units(root)
        self.alike: dict[int, list[Unit]] = {}
        for unit in root.inside():
            if unit.parts:
                self.alike.setdefault(unit.key, []).append(unit)
        self.blocks = self.chosen()
        self.bodies = {key: Body(self.alike[key], self.blocks) for key in [*self.blocks, root.key]}

    # ---- which units are alike ----------------------------------------------------------------

    def key_units(self, unit: Unit) -> None:
        """Give a unit and all in it their keys, values and lines."""
        for part in unit.parts:
            self.key_units(part)
        if unit.node is not None:
            unit.key, unit.values = self.number(self.leaf_key(unit)), leaf_values(unit)
            return
        unit.lines = list(_runs(unit.parts))
        unit.values = tuple(v for run in unit.lines for v in (*run[0].values, len(run)))
        unit.places = [0, *accumulate(len(run[0].values) + 1 for run in unit.lines)]
        unit.key = self.number(("open", unit.start) if unit.open else self.group_key(unit))

    def number(self, key: Any) -> int:
        return self.numbers.setdefault(key, len(self.numbers))

    @staticmethod
    def leaf_key(unit: Unit) -> Any:
        """The op and what of its options is no number."""
        assert unit.node is not None
        if unit.owner is not None:
            return "reuse"
        fixed = tuple((name, "number" if is_number(v) else v) for name, v in settings(unit.node).items())
        return unit.node.op.key, fixed

    def group_key(self, unit: Unit) -> Any:
        """Keys and wires of the lines, the wires by where they come from."""
        return tuple(
            (
                run[0].key,
                tuple(_wire(unit, i) for i in run[0].inputs),
                _wire(unit, run[0].owner) if run[0].owner is not None else None,
            )
            for run in unit.lines
        )

    # ---- which of them are blocks -------------------------------------------------------------

    def chosen(self) -> list[int]:
        """Keys of the groups that are blocks: those that repeat, and those that save lines.

        Groups around others come first: where one is written out, what is in it is called from there.
        """
        heights: dict[int, int] = {}
        self.heights(self.root, heights)
        calls = dict.fromkeys(self.alike, 0)
        calls[self.root.key] = 1
        blocks = []
        repeated = {run[0].key for units in self.alike.values() for u in units for run in u.lines if len(run) > 1}
        for key in sorted(self.alike, key=lambda key: (-heights[key], self.alike[key][0].start)):
            unit, n = self.alike[key][0], calls[key]
            # As a block: its name, parameters, layers, their lines, and a line for each call.
            lines, layers = len(unit.lines), unit.end - unit.start
            section = n == 1 and lines >= SECTION and 2 * layers < self.root.end
            if key in repeated or section or n * lines > lines + 3 + n:
                blocks.append(key)
                n = 1
            for run in unit.lines:
                if run[0].parts:
                    calls[run[0].key] += n
        return sorted(set(blocks) - {self.root.key}, key=lambda key: (heights[key], self.alike[key][0].start))

    def heights(self, unit: Unit, known: dict[int, int]) -> int:
        """How deep groups are nested, by key."""
        if unit.node is not None:
            return 0
        height = 1 + max(self.heights(part, known) for part in unit.parts)
        known[unit.key] = max(height, known.get(unit.key, 0))
        return height


def leaf_values(unit: Unit) -> tuple[Any, ...]:
    """The numbers among a layer's options."""
    assert unit.node is not None
    return () if unit.owner is not None else tuple(v for v in settings(unit.node).values() if is_number(v))


def _runs(parts: tuple[Unit, ...]) -> Iterator[tuple[Unit, ...]]:
    """Parts, groups that are equal and each on the output of the one before together."""
    run: list[Unit] = []
    for part in parts:
        if run and not (part.parts and not part.open and _continues(run, part)):
            yield tuple(run)
            run = []
        run.append(part)
    yield tuple(run)


def _continues(run: list[Unit], part: Unit) -> bool:
    first, last = run[0], run[-1]
    same = (part.key, part.values, part.inputs[1:]) == (first.key, first.values, first.inputs[1:])
    return same and part.inputs[0] == last.output and last.output not in first.inputs[1:]


def _wire(unit: Unit, i: int) -> Any:
    """Where in a unit, or from which of its inputs, layer i comes: the same for units that are alike."""
    if not unit.start <= i < unit.end:
        return "input", unit.inputs.index(i)
    return way(unit, i)


def way(unit: Unit, i: int) -> tuple[tuple[int, int], ...]:
    """Line and repeat of layer i, group by group; repeat -1 is the last one's output."""
    steps: list[tuple[int, int]] = []
    while unit.node is None:
        line, k = found(unit, i)
        run = unit.lines[line]
        if i == run[-1].output:
            return (*steps, (line, -1))
        steps.append((line, k))
        unit = run[k]
        if i == unit.output:
            break
    return tuple(steps)


def found(unit: Unit, i: int) -> tuple[int, int]:
    """The line of a group that layer i belongs to, and which of its repeats."""
    line = bisect_right(unit.lines, i, key=lambda run: run[0].start) - 1
    return line, bisect_right(unit.lines[line], i, key=lambda u: u.start) - 1
