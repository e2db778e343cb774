"""The hierarchy in a graph's names: layer1.0.conv1 is a layer of layer1.0, which is a part of layer1."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from cnncost.graph import Graph, Node

ONE_FOR_ALL = ("Sizes", "Counts", "SizesOrNone", "OptionalSizes", "Pads", "Amounts", "Factor")
"""Kinds of option where one number serves all axes."""

Path = tuple[str, ...]


class Unit:
    """One layer, or the layers under one name, which ran one after another.

    path: its name, part by part. start, end: the range of its layers in the graph. inputs: what it
    takes from outside, by place in the graph, inputs of the graph counting down from -1. node: of
    one layer. lines: of several, each a unit or a chain of equal ones (see folding.py), which are
    repeats. owner: for a layer that reuses parameters, the place of the layer that has them.
    key: equal for units of one structure. values: the numbers in which these may differ; places:
    where those of each line begin.
    """

    __slots__ = (
        "end", "first_owner", "inputs", "key", "lines", "node", "owner", "parts", "path", "places", "start", "values",
    )  # fmt: skip

    def __init__(self, path: Path, start: int, node: Node | None = None, parts: tuple[Unit, ...] = ()) -> None:
        self.path, self.start, self.node, self.parts = path, start, node, parts
        self.end: int = parts[-1].end if parts else start + 1
        self.inputs: tuple[int, ...] = ()
        self.owner: int | None = None
        self.first_owner = start
        self.key = -1
        self.values: tuple[Any, ...] = ()
        self.lines: list[tuple[Unit, ...]] = []
        self.places: list[int] = []

    @property
    def open(self) -> bool:
        """True where a layer takes its parameters from outside, which no block can."""
        return self.first_owner < self.start

    @property
    def output(self) -> int:
        """The last layer."""
        return self.end - 1

    def inside(self) -> Iterator[Unit]:
        """All units in this one, itself the last."""
        for part in self.parts:
            yield from part.inside()
        yield self


def outline(graph: Graph) -> Unit:
    """The whole graph as one unit."""
    places = {name: -1 - i for i, name in enumerate(graph.inputs)}
    places |= {node.name: i for i, node in enumerate(graph)}
    leaves = [_leaf(i, node, places) for i, node in enumerate(graph)]
    return _linked(Unit((), 0, parts=tuple(_units((), leaves))))


def _leaf(i: int, node: Node, places: dict[str, int]) -> Unit:
    leaf = Unit(tuple(node.name.split(".")), i, node)
    leaf.inputs = tuple(places[name] for name in node.inputs)
    if node.shares is not None:
        leaf.owner = leaf.first_owner = places[node.shares]
    return leaf


def _units(prefix: Path, leaves: list[Unit]) -> Iterator[Unit]:
    """The units below a prefix, in order; a name that comes back later is another unit.

    A join that a group of layers begins with is put before it, so that groups take one input and
    are alike whatever is joined: DenseNet's layers. It goes one level up, no further.
    """
    depth = len(prefix)
    for leaf in leaves:
        if len(leaf.path) == depth:  # a layer that has the name of a group
            assert leaf.node is not None
            leaf.path = (*leaf.path, leaf.node.op.key)
    for name, together in groupby(leaves, lambda leaf: leaf.path[depth]):
        path = (*prefix, name)
        group = list(together)
        parts = list(_units(path, group)) if len(group) > 1 else group
        while len(parts) > 1 and _joins(parts[0]) and len(parts[0].path) == len(path) + 1:
            yield parts.pop(0)
        if len(parts) == 1:
            parts[0].path = path
            yield parts[0]
        else:
            yield Unit(path, parts[0].start, parts=tuple(parts))


def _joins(unit: Unit) -> bool:
    return unit.node is not None and unit.node.op.arity != (1, 1)


def _linked(unit: Unit) -> Unit:
    """Give groups the inputs of their parts."""
    for part in unit.parts:
        if part.parts:
            _linked(part)
    taken = dict.fromkeys(i for part in unit.parts for i in part.inputs)
    unit.inputs = tuple(i for i in taken if not unit.start <= i < unit.end)
    unit.first_owner = min(part.first_owner for part in unit.parts)
    return unit


def settings(node: Node) -> dict[str, Any]:
    """A layer's options: sizes that are the same along all axes as one number, a pool's own stride as none."""
    values = {}
    for name, field in node.op.options.items():
        value = getattr(node.op, name)
        values[name] = _one(value) if field.type in ONE_FOR_ALL else value
    if "kernel" in values and values.get("stride") == values["kernel"] and node.op.options["stride"].default is None:
        values["stride"] = None
    return values


def _one(value: Any) -> Any:
    if not isinstance(value, tuple):
        return value
    sides = tuple(side[0] if isinstance(side, tuple) and side[0] == side[1] else side for side in value)
    alike = not isinstance(sides[0], tuple) and sides[0] is not None and len(set(sides)) == 1
    return sides[0] if alike else sides


def is_number(value: Any) -> bool:
    """Whether a value is a number, or a list of nothing else: units may differ in it and be alike."""
    if isinstance(value, tuple):
        return bool(value) and all(map(is_number, value))
    return isinstance(value, (int, float)) and not isinstance(value, bool)
