"""The network as its page has it: nodes in a tree of blocks, each with its amounts in numbers and in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Union

from cnncost.analysis.columns import COLUMNS, Column
from cnncost.analysis.fold import together
from cnncost.analysis.folded import Group, Item, folded
from cnncost.analysis.memory import What
from cnncost.analysis.report import LayerReport, Report
from cnncost.output.graph_labels import amount
from cnncost.output.grid import cell
from cnncost.output.units import duration, plural, printable, readable_bytes, shape

QUANTITIES = ("macs", "params", "activation_bytes", "peak_bytes", "flops", "moved_bytes")
"""Columns that nodes may be coloured by; at first the first."""
NAMES = {"peak_bytes": "memory alive", "moved_bytes": "bytes moved"}
"""Their names, where a table's heading is too short."""
MEASURED, TIME = "measured", "time"
PARTS_AT_MOST, RUN = 200, 50
"""Parts of one block from which on runs of them are blocks: nobody reads, or lays out, thousands in a row."""
MORE = ("receptive_field", "rf_stride", "intensity", "dropped", "shares", "where")
"""Further columns that are told of a chosen layer."""
MORE_NAMES = {"shares": "parameters of"}
NAME_AT_MOST = 60
ALWAYS: tuple[What, ...] = ("parameters", "buffers")
"""What is alive at every step."""


class Block(NamedTuple):
    """Several layers of one beginning of a name. within: the block around it by number, None for the network."""

    name: str
    label: str
    within: int | None
    layers: tuple[LayerReport, ...]


Parts = tuple[Union[int, Group], ...]
"""What is in a block: nodes by number, and groups."""


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
        self._read(graph.top.inside, None, "")

    def _read(self, parts: Parts, within: int | None, prefix: str) -> None:
        if len(parts) > PARTS_AT_MOST:
            self._runs(parts, within, prefix)
            return
        for part in parts:
            if isinstance(part, int):
                self.labels[part] = prefix + self.items[part].label
                self.within[part] = within
                continue
            label = f"{prefix}{part.path[-1]}"
            if len(part.inside) == 1:
                self._read(part.inside, within, f"{label}.")
                continue
            self._block(".".join(part.path), label, within, part.inside)

    def _block(self, name: str, label: str, within: int | None, parts: Parts, prefix: str = "") -> None:
        layers = tuple(layer for i in _numbers(parts) for layer in self.items[i].layers)
        self.blocks.append(Block(name, label, within, layers))
        self._read(parts, len(self.blocks) - 1, prefix)

    def _runs(self, parts: Parts, within: int | None, prefix: str) -> None:
        """Runs of parts as blocks, by the numbers of their layers; inputs and outputs stay outside."""
        ends = tuple(part for part in parts if isinstance(part, int) and self.items[part].row is None)
        parts = tuple(part for part in parts if part not in ends)
        self._read(ends, within, prefix)
        order = {number: place for place, (number, _) in enumerate(self.layers, 1)}
        length = max(RUN, -(-len(parts) // PARTS_AT_MOST))
        for start in range(0, len(parts), length):
            run = parts[start : start + length]
            places = [order[i] for i in _numbers(run)]
            name = f"layers {min(places):,} to {max(places):,}"
            self._block(name, name, within, run, prefix)

    @property
    def layers(self) -> Iterator[tuple[int, LayerReport]]:
        """The layers with their numbers."""
        return ((i, item.row) for i, item in enumerate(self.items) if item.row is not None)


def _numbers(parts: Parts) -> Iterator[int]:
    for part in parts:
        if isinstance(part, int):
            yield part
        else:
            yield from _numbers(part.inside)


def quantities(report: Report, timed: bool, measured_on: str | None) -> list[dict[str, Any]]:
    """What nodes may be coloured by. timed: there are least times. measured_on: the device of measured ones.

    word: what its counts are of; bytes and times have units, and need none. adds: whether amounts add up, so that
    there are shares. base: what colours begin at, where that is not nothing.
    """
    columns = [COLUMNS[name] for name in QUANTITIES]
    found: list[dict[str, Any]] = [
        {"key": column.name, "name": NAMES.get(column.name, column.header), "adds": column.adds_up,
         "word": column.header if column.kind == "count" else ""}
        for column in columns
    ]  # fmt: skip
    lasting = always(report)
    for one in found:
        if one["key"] == "peak_bytes":
            one["base"] = {"value": lasting, "text": readable_bytes(lasting)}
    times = [(TIME, "least time")] if timed else []
    times += [(MEASURED, f"measured time, {measured_on}")] if measured_on else []
    return [*found, *({"key": key, "name": name, "adds": True, "word": ""} for key, name in times)]


def always(report: Report) -> int:
    """Bytes of parameters and buffers, which are alive at every step."""
    return int(sum(report.memory.parts.get(what, 0) for what in ALWAYS))


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
    columns = [COLUMNS[name] for name in MORE]
    more = [(MORE_NAMES.get(c.name, c.header), cell(c.value(row), c)) for c in columns]
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
