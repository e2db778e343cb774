"""The network as its page has it: nodes in a tree of blocks, each with its amounts in numbers and in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from cnncost.analysis.columns import COLUMNS, Column
from cnncost.analysis.fold import together
from cnncost.analysis.folded import Group, Item, folded
from cnncost.analysis.report import LayerReport, Report
from cnncost.output.graph_labels import amount
from cnncost.output.grid import cell
from cnncost.output.units import duration, plural, printable, shape

QUANTITIES = ("macs", "params", "activation_bytes", "peak_bytes", "flops", "moved_bytes")
"""Columns that nodes may be coloured by; at first the first."""
NAMES = {"params": "parameters", "peak_bytes": "memory alive", "moved_bytes": "bytes moved"}
"""Their names, where a table's heading is too short."""
MEASURED = "measured"
MORE = ("receptive_field", "rf_stride", "intensity", "dropped", "shares", "where")
"""Further columns that are told of a chosen layer."""
NAME_AT_MOST = 60


class Block(NamedTuple):
    """Several layers of one beginning of a name. within: the block around it by number, None for the network."""

    name: str
    label: str
    within: int | None
    layers: tuple[LayerReport, ...]


class Tree:
    """Nodes by number, inputs first, and the blocks that they are in. A block with a single part is that part.

    numbers: of inputs and layers, by name. labels: names within the block, by number. within: the
    innermost block by number, None for the network.
    """

    def __init__(self, report: Report) -> None:
        graph = folded(report, whole=True)
        self.items = graph.items
        self.numbers = {item.name: i for i, item in enumerate(graph.items) if item.role != "output"}
        self.labels = [item.label for item in graph.items]
        self.within: list[int | None] = [None] * len(graph.items)
        self.blocks: list[Block] = []
        self._read(graph.top, None, "")

    def _read(self, group: Group, within: int | None, prefix: str) -> None:
        for part in group.inside:
            if isinstance(part, int):
                self.labels[part] = prefix + self.items[part].label
                self.within[part] = within
                continue
            label = f"{prefix}{part.path[-1]}"
            if len(part.inside) == 1:
                self._read(part, within, f"{label}.")
                continue
            layers = tuple(layer for i in _numbers(part) for layer in self.items[i].layers)
            self.blocks.append(Block(".".join(part.path), label, within, layers))
            self._read(part, len(self.blocks) - 1, "")

    @property
    def layers(self) -> Iterator[tuple[int, LayerReport]]:
        """The layers with their numbers."""
        return ((i, item.row) for i, item in enumerate(self.items) if item.row is not None)


def _numbers(group: Group) -> Iterator[int]:
    for part in group.inside:
        if isinstance(part, int):
            yield part
        else:
            yield from _numbers(part)


def quantities(measured: bool) -> list[dict[str, Any]]:
    """What nodes may be coloured by. word: what its counts are of; bytes and times have units, and need none.
    adds: whether amounts add up, so that there are shares.
    """
    columns = [COLUMNS[name] for name in QUANTITIES]
    known = [
        {"key": column.name, "name": NAMES.get(column.name, column.header), "adds": column.adds_up,
         "word": column.header if column.kind == "count" else ""}
        for column in columns
    ]  # fmt: skip
    return [*known, *([{"key": MEASURED, "name": "measured time", "adds": True, "word": ""}] if measured else [])]


def nodes(tree: Tree, measured: Mapping[str, float], file: str | None = None) -> list[dict[str, Any]]:
    """Inputs, layers and outputs for the script. measured: seconds by layer. file: whose lines are shown."""
    roles = [item.role for item in tree.items]
    several = {role for role in ("input", "output") if roles.count(role) > 1}
    return [
        _layer(tree, number, item, item.row, measured, file) if item.row else _end(tree, item, item.role in several)
        for number, item in enumerate(tree.items)
    ]


def _end(tree: Tree, item: Item, named: bool) -> dict[str, Any]:
    """An input or an output."""
    sizes = shape(item.shape) or "1"
    label = f"{item.role} {printable(item.name, NAME_AT_MOST)}" if named else item.role
    inputs = [tree.numbers[item.name]] if item.role == "output" else []
    return {"role": item.role, "name": label, "label": label, "kind": sizes, "shape": sizes, "inputs": inputs,
            "within": None}  # fmt: skip


def _layer(
    tree: Tree, number: int, item: Item, row: LayerReport, measured: Mapping[str, float], file: str | None
) -> dict[str, Any]:
    more = [(COLUMNS[name].header, cell(COLUMNS[name].value(row), COLUMNS[name])) for name in MORE]
    return {
        "role": "layer",
        "name": printable(row.name),
        "label": printable(tree.labels[number], NAME_AT_MOST),
        "kind": printable(item.kind, NAME_AT_MOST),
        "shape": shape(item.shape) or "1",
        "inputs": list(dict.fromkeys(tree.numbers[name] for name in row.inputs)),
        "within": tree.within[number],
        "line": row.where.line if row.where and row.where.file == file else None,
        "more": [(name, text) for name, text in more if text != "-"],
        **_amounts(row, [row.name], measured),
    }


def blocks(tree: Tree, measured: Mapping[str, float]) -> list[dict[str, Any]]:
    """Blocks for the script, with what their layers come to."""
    return [
        {
            "name": printable(block.name),
            "label": printable(block.label, NAME_AT_MOST),
            "kind": plural(len(block.layers), "layer"),
            "within": block.within,
            **_amounts(
                together(block.name, list(block.layers), in_order=True), [row.name for row in block.layers], measured
            ),
        }
        for block in tree.blocks
    ]


def _amounts(row: LayerReport, layers: Sequence[str], measured: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    """Amounts of a layer, or of several together, by quantity; zeros have no text."""
    columns: list[Column] = [COLUMNS[name] for name in QUANTITIES]
    values = {column.name: column.value(row) for column in columns}
    texts = {column.name: amount(column, values[column.name], name=False) for column in columns}
    times = [measured[name] for name in layers if name in measured]
    if times:
        values[MEASURED], texts[MEASURED] = sum(times), duration(sum(times))
    return {"values": values, "texts": {name: text for name, text in texts.items() if values[name]}}
