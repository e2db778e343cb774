"""What a graph of a network says: the lines of its nodes, their colours, what stands around them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from cnncost.analysis.columns import COLUMNS, SYNONYMS, Column
from cnncost.analysis.folded import Folded, Group, Item
from cnncost.analysis.report import CONVENTIONS
from cnncost.errors import UsageError, did_you_mean
from cnncost.options import spelled
from cnncost.output.grid import one_point
from cnncost.output.units import in_unit, printable, readable_bytes, shape

SHOWABLE = {name: column for name, column in COLUMNS.items() if column.adds_up or column.kind == "peak"}
SHORT = {**SYNONYMS, "peak": "peak_bytes", "activations": "activation_bytes", "bytes": "activation_bytes"}
"""Columns by shorter names."""
DEFAULT = "macs,params"
NAME_AT_MOST, KIND_AT_MOST = 48, 60
FILLS = ("#ffffff", "#eff3ff", "#d6e4f2", "#bdd7e7", "#9ac4df", "#77b0d6")
"""White for nothing, then light to dark by fifths of the largest; black text is legible on all, in print too.

After the sequential blues of Cynthia Brewer's colorbrewer2.org.
"""
LINE, EDGE, TEXT, GROUP = "#3b4a5a", "#5b6b7b", "#111111", "#9aa7b4"


class Label(NamedTuple):
    """Lines of a node, the first its name; and its colour, by number in FILLS."""

    lines: tuple[str, ...]
    level: int


class Words(NamedTuple):
    """All text of a graph. labels: by item. edges: by edge, "" where the node above says it already.

    title, about, key: what network, at which sizes and with which totals, what the colours mean.
    conventions: sentences that say what the numbers count.
    """

    labels: tuple[Label, ...]
    edges: tuple[str, ...]
    title: str
    about: str
    key: str
    conventions: tuple[str, ...]


def chosen_quantities(names: str) -> list[Column]:
    """Columns by a comma-separated list. Raises UsageError for one that is no amount."""
    wanted = [SHORT.get(name.strip(), name.strip()) for name in names.split(",")]
    for name in wanted:
        if name in COLUMNS and name not in SHOWABLE:
            raise UsageError(f"--show {name}: no amount", hint=f"amounts are {', '.join(SHOWABLE)}")
        if name not in SHOWABLE:
            message = f"unknown quantity {spelled(name)}" if name else "a quantity without a name"
            raise UsageError(f"--show: {message}", hint=did_you_mean(name, SHOWABLE))
    return [SHOWABLE[name] for name in dict.fromkeys(wanted)]


def words(graph: Folded, shown: Sequence[Column]) -> Words:
    """The text of a graph; nodes are coloured by the first column. Raises UsageError for a report over arrays."""
    report = graph.report
    one_point(report)
    values = [shown[0].value(item.row) if item.row else 0 for item in graph.items]
    largest = max(values, default=0)
    several = Counter(item.role for item in graph.items)
    year = f" ({report.about['year']})" if report.about.get("year") else ""
    inputs = ", ".join(shape(sizes[1:]) or "1" for sizes in report.inputs.values())
    totals = [amount(column, _whole(graph, column)) for column in shown]
    return Words(
        tuple(
            Label(_lines(item, shown, several[item.role] > 1), _level(value, largest))
            for item, value in zip(graph.items, values)
        ),
        tuple("" if edge.shape == graph.items[edge.source].shape else shape(edge.shape) or "1" for edge in graph.edges),
        f"{printable(report.name, NAME_AT_MOST)}{year}",
        f"input {inputs}, batch {report.batch:,}, {report.dtype}: {', '.join(totals)}",
        _key(shown[0], largest),
        tuple(line for line in CONVENTIONS if any(line.startswith(start) for start in _starts(shown))),
    )


def _key(column: Column, largest: int) -> str:
    """What the colours mean."""
    if not largest:
        return f"colour: none, for there are no {column.header}"
    return f"colour: {column.header}, white for none, darkest for {amount(column, largest, name=False)}"


def amount(column: Column, value: int, name: bool = True) -> str:
    """A number in the unit that suits it, and of what: 118 M MACs."""
    number = in_unit(value) if column.kind == "count" else readable_bytes(value)
    return f"{number} {column.header}" if name else number


def group_name(group: Group) -> str:
    """What stands over an open block: its name in the one around it."""
    return printable(group.path[-1], NAME_AT_MOST) or "-"


def _lines(item: Item, shown: Sequence[Column], named: bool) -> tuple[str, ...]:
    """Name; kind and shape; amounts, without those that are zero. named: inputs and outputs have their names."""
    sizes = shape(item.shape) or "1"
    if item.row is None:
        return f"{item.role} {printable(item.name, NAME_AT_MOST)}" if named else item.role, sizes
    row = item.row
    first = (printable(item.label, NAME_AT_MOST), f"{printable(item.kind, KIND_AT_MOST)} → {sizes}")
    amounts = ", ".join(amount(column, value) for column in shown if (value := column.value(row)))
    return (*first, amounts) if amounts else first


def _level(value: int, largest: int) -> int:
    """By fifths of the largest; 0 for nothing."""
    return -(-(len(FILLS) - 1) * value // largest) if largest else 0


def _whole(graph: Folded, column: Column) -> int:
    """The network's total, or its peak."""
    if not column.adds_up:
        return int(graph.report.peak_bytes)
    return sum(int(column.value(layer)) for layer in graph.report.layers)


def _starts(shown: Sequence[Column]) -> list[str]:
    """How the conventions of these columns begin."""
    begins = {"macs": "MACs:", "flops": "FLOPs:", "params": "params:", "neurons": "layers:", "peak_bytes": "peak:"}
    return [begins.get(column.name, "bytes:" if column.kind == "bytes" else "FLOPs:") for column in shown]
