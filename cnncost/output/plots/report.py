"""A report as a figure: MACs, parameters and activations side by side, a row a layer or a block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from cnncost.analysis.fold import OTHERS, fold, together
from cnncost.analysis.report import LayerReport, Report
from cnncost.errors import UsageError
from cnncost.output import plots
from cnncost.output.plots import OTHER, OTHER_LOOK, PAGE, Look
from cnncost.output.tables import shortened
from cnncost.output.units import in_unit, plural, printable, readable_bytes, unit_for

ROWS_AT_MOST = 40
KINDS_AT_MOST = 5
END = 13
"""Characters of a name of two."""
ROW = 0.145
"""Inches of a row."""
QUANTITIES = (("macs", "MACs"), ("params", "params"), ("activation_bytes", "activations"))
NOTE = (
    "MACs: multiply-accumulates; taps on padding count. Params: weights, biases, scales and shifts. Activations: "
    "storage of outputs; views and in-place layers take none."
)


class Row(NamedTuple):
    """A bar: its costs together, and those of the layers in it."""

    whole: LayerReport
    layers: tuple[LayerReport, ...]


def report_figure(report: Report, rows: Sequence[LayerReport] | None = None, by: str = "layer", depth: int = 1) -> Any:
    """A matplotlib Figure of a report: bars of MACs, params and activation bytes, by kind of layer.

    rows: as `fold` by `by` and `depth` gives them, perhaps sorted and cut; left out, layers, or blocks where layers
    are too many to be read, of as many parts of the path as leave at most ROWS_AT_MOST. Raises UsageError over arrays,
    where no layer has any of these, and where matplotlib is not installed.
    """
    if report.swept:
        raise UsageError("a figure shows one network", hint="draw a report without arrays of sizes")
    drawn, hidden, told = _rows(report, rows, by, depth)
    if not drawn:
        hint = "dropout, views and what works in place have none"
        raise UsageError(f"no layer of {printable(report.name)} has MACs, params or activations", hint=hint)
    kinds = _kinds(report)
    with plots.style():
        looks = plots.looks(kinds, KINDS_AT_MOST)
        figure = plots.new(PAGE, 1.15 + ROW * len(drawn))
        axes = figure.subplots(1, len(QUANTITIES), sharey=True)
        for ax, (name, header) in zip(axes, QUANTITIES):
            _panel(ax, report, drawn, name, header, looks)
        axes[0].set_yticks(range(len(drawn)), [plots.word(row.whole.name) for row in drawn])
        axes[0].set_ylim(len(drawn) - 0.4, -0.6)
        conditions = plots.sizes(report.inputs, report.batch, report.dtype)
        plots.title(figure, report.name, conditions, *_legend(kinds, looks))
        plots.notes(figure, [NOTE, *told, *([hidden] if hidden else [])])
    return figure


def _rows(report: Report, rows: Sequence[LayerReport] | None, by: str, depth: int) -> tuple[list[Row], str, list[str]]:
    """The bars, what is said of layers that have none, and of how rows are folded."""
    told, in_order = list[str](), rows is None
    if rows is None:
        by, depth = _readable(report, by, depth)
        rows = fold(report, by, depth)
        if by == "block":
            told.append(f"A row a block: {'the first part' if depth == 1 else f'{depth} parts'} of a layer's name.")
    members = _members(report, rows, by, depth)
    found = [Row(row, members[row.name]) for row in rows]
    shown = [row for row in found if any(_value(row.whole, name) for name, _ in QUANTITIES)]
    left = sum(len(row.layers) for row in found) - sum(len(row.layers) for row in shown)
    hidden = f"Not drawn: {plural(left, 'layer')} with none of these." if left else ""
    if len(shown) > ROWS_AT_MOST:
        shown = _runs(shown) if in_order else _cut(shown)
        largest = f"The {ROWS_AT_MOST - 1} largest by their largest share; all others in one row."
        told.append("Each row is several that follow each other." if in_order else largest)
    return shown, hidden, told


def _readable(report: Report, by: str, depth: int) -> tuple[str, int]:
    """How layers are folded so that rows may be read: not at all, or by blocks as small as can be."""
    told = sum(any(_value(layer, name) for name, _ in QUANTITIES) for layer in report.layers)
    if by != "layer" or told <= ROWS_AT_MOST:
        return by, depth
    deepest = max(layer.name.count(".") for layer in report.layers)
    counts = {n: len({_key(layer, "block", n) for layer in report.layers}) for n in range(1, deepest + 1)}
    fitting = [n for n, count in counts.items() if count <= ROWS_AT_MOST]
    if fitting and counts[fitting[-1]] > 1:
        return "block", fitting[-1]
    return ("block", min(counts)) if counts and not fitting else ("layer", 1)


def _key(layer: LayerReport, by: str, depth: int) -> str:
    """The row that a layer is in."""
    return {"layer": layer.name, "op": layer.op}.get(by) or ".".join(layer.name.split(".")[:depth])


def _members(report: Report, rows: Sequence[LayerReport], by: str, depth: int) -> dict[str, tuple[LayerReport, ...]]:
    """The layers of every row; of the row of the others those that no other has."""
    found: dict[str, list[LayerReport]] = {row.name: [] for row in rows}
    for layer in report.layers:
        key = _key(layer, by, depth)
        found[key if key in found else OTHERS].append(layer)
    return {name: tuple(layers) for name, layers in found.items()}


def _runs(rows: list[Row]) -> list[Row]:
    """Rows that follow each other as one, so many that all can be read."""
    many = -(-len(rows) // ROWS_AT_MOST)
    found = []
    for start in range(0, len(rows), many):
        run = rows[start : start + many]
        layers = tuple(layer for row in run for layer in row.layers)
        name = " to ".join(dict.fromkeys(shortened(row.whole.name, END) for row in (run[0], run[-1])))
        found.append(Row(together(name, list(layers), in_order=False), layers))
    return found


def _cut(rows: list[Row]) -> list[Row]:
    """The rows that tell most, in their order, and the others as one."""
    wholes = {name: sum(_value(row.whole, name) for row in rows) for name, _ in QUANTITIES}

    def weight(row: Row) -> float:
        return max(_value(row.whole, name) / whole for name, whole in wholes.items() if whole)

    kept = {id(row) for row in sorted(rows, key=weight, reverse=True)[: ROWS_AT_MOST - 1]}
    rest = [row for row in rows if id(row) not in kept]
    layers = tuple(layer for row in rest for layer in row.layers)
    name = f"({len(rest):,} others)"
    return [row for row in rows if id(row) in kept] + [Row(together(name, list(layers), in_order=False), layers)]


def _value(row: LayerReport, name: str) -> int:
    return int(getattr(row, name))


def _kinds(report: Report) -> list[str]:
    """Ops that have any of the quantities, those with the largest share of one first."""
    shares: dict[str, float] = {}
    for name, _ in QUANTITIES:
        whole = sum(_value(row, name) for row in report.layers)
        own: dict[str, int] = {}
        for row in report.layers:
            own[row.op] = own.get(row.op, 0) + _value(row, name)
        for op, value in own.items():
            if value:
                shares[op] = max(shares.get(op, 0.0), value / whole)
    return sorted(shares, key=lambda op: -shares[op])


def _panel(ax: Any, report: Report, rows: Sequence[Row], name: str, header: str, looks: dict[str, Look]) -> None:
    """The bars of one quantity, kinds behind each other, with each row's share of the network at its end."""
    values = [_value(row.whole, name) for row in rows]
    whole = sum(_value(layer, name) for layer in report.layers)
    bytes_ = name.endswith("bytes")
    unit = unit_for(values, bytes_, "auto")
    start = [0.0] * len(rows)
    for kind in [*looks, OTHER]:
        parts = [_part(row, name, kind, looks) / unit.worth for row in rows]
        look = looks.get(kind, OTHER_LOOK)
        if any(parts):
            ax.barh(range(len(rows)), parts, 0.74, start, color=look.colour, hatch=look.hatch, edgecolor="white", lw=0)
        start = [a + b for a, b in zip(start, parts)]
    most = max(start) or 1
    for place, (value, end) in enumerate(zip(values, start)):
        if value:
            ax.text(
                end + most * 0.015,
                place,
                plots.share(value, whole),
                va="center",
                fontsize=plots.SMALL - 0.5,
                color=plots.GREY,
            )
    ax.set_xlim(0, most * 1.2)
    ax.set_xlabel(f"{header} ({unit.name})" if unit.name else header)
    ax.set_title(f"{header}: {readable_bytes(whole) if bytes_ else in_unit(whole)}", fontsize=plots.SMALL + 0.5)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    ax.locator_params(axis="x", nbins=5)
    if not whole:
        ax.set_xticks([0])


def _part(row: Row, name: str, kind: str, looks: dict[str, Look]) -> int:
    """What layers of a kind have of a row. Parameters and MACs of a row are the sums of its layers'."""
    return sum(_value(layer, name) for layer in row.layers if (layer.op if layer.op in looks else OTHER) == kind)


def _legend(kinds: Sequence[str], looks: dict[str, Look]) -> tuple[list[Any], list[str]]:
    """Patches and names of the kinds."""
    from matplotlib.patches import Patch

    shown = {plots.label(kind): look for kind, look in looks.items()}
    if len(kinds) > len(looks):
        shown[OTHER] = OTHER_LOOK
    handles = [Patch(facecolor=look.colour, hatch=look.hatch, edgecolor="white", lw=0) for look in shown.values()]
    return handles, list(shown)
