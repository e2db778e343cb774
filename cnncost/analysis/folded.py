"""A network as a graph, folded by block: what is drawn of it, as plain data.

A layer's name is a path (conv2_x.0.conv1.conv), and every beginning of it is a block. A block is open, and a
group of what is in it, or folded into one node with the costs of its layers together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from cnncost.analysis.fold import together
from cnncost.analysis.report import LayerReport, Report
from cnncost.dims import Shape
from cnncost.errors import UsageError, did_you_mean
from cnncost.options import spelled

Path = tuple[str, ...]
"""A block by the parts of its name; () is the network."""
NAMED_AT_MOST = 12
SPELLED_AT_MOST = 3
"""Layers of a block that are named in it by their kinds."""


class Item(NamedTuple):
    """A node: an input, a layer, a folded block, or an output.

    role: input, layer, block or output. name: whole; of an output that of its layer. group: the open block it
    is in. row: of layers and blocks, the costs. layers: those in it. shape: of its (last) output, without the
    batch.
    """

    role: str
    name: str
    group: Path
    row: LayerReport | None
    layers: tuple[LayerReport, ...]
    shape: Shape

    @property
    def label(self) -> str:
        """The name within its group."""
        return self.name.removeprefix("".join(f"{part}." for part in self.group))

    @property
    def kind(self) -> str:
        """The op and its telling options; of a block of few layers those of each, else how many there are."""
        if len(self.layers) > SPELLED_AT_MOST:
            return f"{len(self.layers):,} layers"
        return " + ".join(layer.kind for layer in self.layers)


class Edge(NamedTuple):
    """A tensor from one node to another, both by number; its shape, without the batch."""

    source: int
    target: int
    shape: Shape


class Group(NamedTuple):
    """An open block: its path, and what is in it, nodes by number and groups, in execution order."""

    path: Path
    inside: tuple[int | Group, ...]

    def groups(self) -> Iterator[Group]:
        """Itself and all groups in it."""
        yield self
        for part in self.inside:
            if isinstance(part, Group):
                yield from part.groups()


@dataclass(frozen=True)
class Folded:
    """A report as a graph of nodes, edges and nested groups.

    items: inputs, then layers and blocks in execution order, then outputs. top: the network as a group, the
    inputs and outputs in it. edges: each pair of nodes once for every shape that goes between them.
    """

    report: Report
    items: tuple[Item, ...]
    edges: tuple[Edge, ...]
    top: Group


def folded(report: Report, depth: int = 1, opened: Sequence[str] = (), whole: bool = False) -> Folded:
    """A report as a graph, each layer in exactly one of its nodes.

    depth: parts of the path that count, as in a report by block. opened: blocks (globs) that are open besides,
    with those around them. whole: every block is open. Raises UsageError for one of `opened` that is no block.
    """
    open_ = _open(report, depth, opened, whole)
    rows: dict[tuple[Path, str], list[LayerReport]] = {}
    for layer in report.layers:
        group, name = _place(layer.name, open_)
        rows.setdefault((group, name), []).append(layer)
    items = [Item("input", name, (), None, (), shape[1:]) for name, shape in report.inputs.items()]
    at = {item.name: i for i, item in enumerate(items)}  # the node of every input and layer
    shapes = {item.name: item.shape for item in items} | {layer.name: layer.output for layer in report.layers}
    for (group, name), inside in rows.items():
        row = inside[0]._replace(name=name) if len(inside) == 1 else together(name, inside, in_order=True)
        at.update((layer.name, len(items)) for layer in inside)
        role = "layer" if len(inside) == 1 else "block"
        items.append(Item(role, name, group, row, tuple(inside), row.output))
    wires = [(at[i], at[layer.name], shapes[i]) for layer in report.layers for i in layer.inputs]
    for name in report.outputs:
        wires.append((at[name], len(items), shapes[name]))
        items.append(Item("output", name, (), None, (), shapes[name]))
    edges = tuple(Edge(*wire) for wire in dict.fromkeys(wires) if wire[0] != wire[1])
    return Folded(report, tuple(items), edges, _nested(items))


def blocks(report: Report) -> list[str]:
    """Names of all blocks, each in front of those in it."""
    return list(dict.fromkeys(".".join(path) for layer in report.layers for path in _around(layer.name)))


def _around(name: str) -> list[Path]:
    """The blocks that a layer is in, outermost first."""
    parts = tuple(name.split("."))
    return [parts[:n] for n in range(1, len(parts))]


def _open(report: Report, depth: int, opened: Sequence[str], whole: bool) -> Collection[Path]:
    """Paths of the blocks that are open."""
    known = blocks(report)
    if whole:
        return {tuple(name.split(".")) for name in known}
    open_ = {path for name in known if len(path := tuple(name.split("."))) < depth}
    for wanted in opened:
        fitting = [name for name in known if name == wanted] or [name for name in known if fnmatchcase(name, wanted)]
        if not fitting:
            raise _no_block(report, wanted, known)
        for name in fitting:
            path = tuple(name.split("."))
            open_.update(path[:n] for n in range(1, len(path) + 1))
    return open_


def _no_block(report: Report, wanted: str, known: list[str]) -> UsageError:
    """What to say of a name that is no block's."""
    if not known:
        return UsageError(f"no block {spelled(wanted)} in {report.name}", hint="its layers are in no blocks")
    if any(layer.name == wanted for layer in report.layers):
        return UsageError(f"{spelled(wanted)} is a layer of {report.name}, and has nothing in it to open")
    near = did_you_mean(wanted, known)
    outer = [name for name in known if "." not in name]
    more = len(outer) - NAMED_AT_MOST
    listed = "blocks: " + ", ".join(outer[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")
    return UsageError(f"no block {spelled(wanted)} in {report.name}", hint=near if near[:3] == "did" else listed)


def _place(name: str, open_: Collection[Path]) -> tuple[Path, str]:
    """The open block that a layer is shown in, and the name of the node there: the first of its blocks not open."""
    group: Path = ()
    for path in _around(name):
        if path not in open_:
            return group, ".".join(path)
        group = path
    return group, name


def _nested(items: Sequence[Item]) -> Group:
    """Groups in each other, in the order in which they begin."""
    inside: dict[Path, list[Any]] = {(): []}

    def opened(path: Path) -> list[Any]:
        if path not in inside:
            inside[path] = []
            opened(path[:-1]).append(path)
        return inside[path]

    def closed(path: Path) -> Group:
        return Group(path, tuple(closed(part) if isinstance(part, tuple) else part for part in inside[path]))

    for i, item in enumerate(items):
        opened(item.group).append(i)
    return closed(())
