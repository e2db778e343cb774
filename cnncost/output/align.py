"""Two networks layer by layer as text: a table of what differs, JSON (see layers_schema), CSV, Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from cnncost.analysis.align import CHANGED, EQUAL, ONLY_A, ONLY_B, Alignment, Pair
from cnncost.analysis.columns import Column
from cnncost.analysis.report import CONVENTIONS, LayerReport, Report
from cnncost.output.formats import csv_text, json_text
from cnncost.output.grid import Drawn
from cnncost.output.tables import Paper, fit_names, fitting_groups, footer, one_table, room_beside
from cnncost.output.units import Unit, plural, printable, shape, signed, unit_for

SCHEMA_VERSION = 1
"""Grows when a key changes its meaning or goes; new keys do not change it."""
MARKS = {EQUAL: "", CHANGED: "~", ONLY_A: "-", ONLY_B: "+"}
ALL_FIGURES = ("params", "macs", "flops")
"""Figures whose differences programs get."""
SHOWN = ("kind", "output", "params", "macs")
"""Differences that a row of the table shows; of a row without them, the others are named."""
LABELS = {"activations": "activation bytes"}
"""What they are called there, where their own name would be taken for another thing."""
FIGURES = ("params", "macs")
"""Figures of the table."""
COLUMNS = tuple(
    Column(name, header, kind, "", lambda row: None)
    for name, header, kind in (
        ("mark", "", "text"),
        ("name", "layer", "text"),
        ("kind", "kind", "text"),
        ("output", "output", "text"),
        ("params", "params", "count"),
        ("macs", "MACs", "count"),
    )
)


def alignment_table(
    alignment: Alignment, everything: bool = False, units: str = "exact", paper: Paper | None = None
) -> str:
    """What differs, a row a layer, and the totals of both. everything: equal layers too, each in its row."""
    paper = paper or Paper()
    drawn = draw(alignment, everything, units, paper.unicode)
    if paper.cut and room_beside(drawn, paper) < 0:
        drawn = draw(alignment, everything, units, paper.unicode, stacked=True)
        fit_names(drawn, paper)
    tables = [part for group in fitting_groups(drawn, paper) for part in (one_table(group, paper), "")]
    lines = [Text(line) for line in counted(alignment)]
    return paper.print(*heading(alignment), "", *tables, *lines, *footer(paper))


def heading(alignment: Alignment) -> list[Text]:
    """Both networks, each with its mark."""
    lines = []
    for mark, name, report in zip("-+", alignment.names, (alignment.a, alignment.b)):
        line = Text(f"{mark} {printable(name)}", style="bold")
        line.append(f": {printable(str(report.about.get('about') or report.name))}", style="not bold")
        lines.append(line)
    sizes = [", ".join(shape(sizes[1:]) for sizes in report.inputs.values()) for report in (alignment.a, alignment.b)]
    inputs = " and ".join(dict.fromkeys(sizes))
    lines.append(Text(f"input {inputs}, batch {alignment.a.batch:,}, {alignment.a.dtype}", style="dim"))
    return lines


def draw(
    alignment: Alignment, everything: bool, units: str, unicode: bool = True, stacked: bool = False
) -> list[Drawn]:
    """The columns as text: runs of equal layers are one row; the totals of both come last, their difference below.

    stacked: what a layer is in the second network stands under what it is in the first, not beside it.
    """
    totals = [alignment.a.total, alignment.b.total]
    # One equal layer takes no more room than the news that there is one.
    rows = [row[0] if isinstance(row, list) and len(row) == 1 else row for row in _folded(alignment.pairs, everything)]
    pairs = [row for row in rows if isinstance(row, Pair)]
    shown = {}
    for figure in FIGURES:
        values = [getattr(cost, figure) for cost in totals] + [abs(pair.difference(figure)) for pair in pairs]
        shown[figure] = unit_for(values, False, units)
    lines = [line for row in rows for line in _lines(row, shown, "→" if unicode else "->", unicode, stacked)]
    for mark, cost in zip("-+", totals):
        lines.append([mark, "total", "", "", *(unit.show(getattr(cost, figure)) for figure, unit in shown.items())])
    wholes = [getattr(totals[1], figure) - getattr(totals[0], figure) for figure in FIGURES]
    feet = ["", "difference", "", "", *map(signed, wholes, shown.values())]
    named = ["", "", "", "", *(unit.name for unit in shown.values())]
    headers = [f"{column.header} ({unit})" if unit else column.header for column, unit in zip(COLUMNS, named)]
    cells = map(list, zip(*lines))
    return [Drawn(*parts) for parts in zip(COLUMNS, headers, cells, feet)]


def _folded(pairs: Sequence[Pair], everything: bool) -> list[Pair | list[Pair]]:
    """The pairs, each run of equal ones as a list."""
    rows: list[Pair | list[Pair]] = []
    for pair in pairs:
        if everything or pair.change != EQUAL:
            rows.append(pair)
        elif rows and isinstance(rows[-1], list):
            rows[-1].append(pair)
        else:
            rows.append([pair])
    return rows


def _lines(row: Pair | list[Pair], units: dict[str, Unit], arrow: str, unicode: bool, stacked: bool) -> list[list[str]]:
    """A row of the table, or the two lines of one; of equal layers how many there are."""
    if isinstance(row, list):
        renamed = sum(pair.renamed for pair in row)
        count = plural(len(row), "equal layer") + (f", {renamed:,} renamed" if renamed else "")
        return [["", f"{'…' if unicode else '...'} {count}", "", "", *("" for _ in units)]]
    layers = [layer for layer in (row.a, row.b) if layer is not None]
    names = list(dict.fromkeys(printable(layer.name) for layer in layers))
    kinds = list(dict.fromkeys(layer.kind for layer in layers))
    outputs = list(dict.fromkeys(shape(layer.output) for layer in layers))
    if not set(row.differs) & set(SHOWN) and row.differs:
        others = (LABELS.get(name, name.replace("_", " ")) for name in row.differs)
        kinds[-1] += f" (other {', '.join(others)})"
    figures = [signed(row.difference(figure), unit) for figure, unit in units.items()]
    if not stacked:
        return [[MARKS[row.change], *(f" {arrow} ".join(cells) for cells in (names, kinds, outputs)), *figures]]
    lines = [[MARKS[row.change], names[0], kinds[0], outputs[0], *figures]]
    below = [f"{arrow} {cells[1]}" if len(cells) > 1 else "" for cells in (names, kinds, outputs)]
    return [*lines, ["", *below, *("" for _ in units)]] if any(below) else lines


def counted(alignment: Alignment) -> list[str]:
    """Notes of both networks, and how many layers differ in which way."""
    counts = {change: sum(pair.change == change for pair in alignment.pairs) for change in MARKS}
    a, b = map(printable, alignment.names)
    return [
        *(f"{a}: {note}" for note in alignment.a.notes),
        *(f"{b}: {note}" for note in alignment.b.notes),
        f"~ changed: {counts[CHANGED]:,}; - only in {a}: {counts[ONLY_A]:,}; + only in {b}: {counts[ONLY_B]:,}; "
        f"equal: {counts[EQUAL]:,}. Figures of rows are {b}'s less {a}'s.",
        "",
    ]


# ---- for programs ------------------------------------------------------------------------------


def flat(pair: Pair) -> dict[str, Any]:
    """A pair as one flat dict."""
    sides = {"a": pair.a, "b": pair.b}

    def both(key: str, value: Any) -> dict[str, Any]:
        return {f"{key}_{side}": None if layer is None else value(layer) for side, layer in sides.items()}

    return {
        "change": pair.change,
        **both("name", lambda layer: layer.name),
        **both("kind", lambda layer: layer.kind),
        **both("output", lambda layer: shape(layer.output)),
        **{
            key: value
            for figure in ALL_FIGURES
            for key, value in (
                *both(figure, lambda layer, figure=figure: getattr(layer.cost, figure)).items(),
                (f"{figure}_difference", pair.difference(figure)),
            )
        },
    }


def _side(report: Report) -> dict[str, Any]:
    return {
        "name": report.name,
        "source": report.source,
        "inputs": {name: list(sizes) for name, sizes in report.inputs.items()},
        "totals": report.totals,
    }


def to_json(alignment: Alignment) -> str:
    """The JSON alignment as text: all pairs, equal ones too."""
    from cnncost import __version__
    from cnncost.output.records import layer_record

    def layer(report: LayerReport | None) -> dict[str, Any] | None:
        return None if report is None else layer_record(report)

    value = {
        "schema": SCHEMA_VERSION,
        "cnncost": __version__,
        "batch": alignment.a.batch,
        "dtype": alignment.a.dtype,
        "conventions": list(CONVENTIONS),
        "a": _side(alignment.a),
        "b": _side(alignment.b),
        "difference": {key: value - alignment.a.totals[key] for key, value in alignment.b.totals.items()},
        "pairs": [
            {
                "change": pair.change,
                "differs": list(pair.differs),
                "difference": {figure: pair.difference(figure) for figure in ALL_FIGURES},
                "a": layer(pair.a),
                "b": layer(pair.b),
            }
            for pair in alignment.pairs
        ],
    }
    return json_text(value)


def to_csv(alignment: Alignment) -> str:
    """A line a pair, equal ones too."""
    rows = [flat(pair) for pair in alignment.pairs]
    return csv_text([list(rows[0]), *(list(row.values()) for row in rows)])


def to_markdown(alignment: Alignment, everything: bool = False, units: str = "exact", legend: bool = True) -> str:
    """What differs as a table for documents; legend: with the conventions."""
    from cnncost.output.records import pipe_table

    *networks, sizes = map(str, heading(alignment))
    title = [*(f"`{line[0]}`{line[1:]}  " for line in networks), sizes]
    notes = [*filter(None, counted(alignment)), *(CONVENTIONS if legend else ())]
    table = pipe_table(draw(alignment, everything, units))
    return "\n".join([*title, "", *table, "", *(f"- {line}" for line in notes), ""])


def layers_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of what `cnncost compare --layers A B --format json` writes."""
    from cnncost.output.schema import COUNTS, NAMES, SHAPE, document, object_, report_parts

    parts = report_parts()
    layer = {"anyOf": [parts["layers"]["items"], {"type": "null"}]}
    integer, totals = {"type": "integer"}, parts["totals"]["properties"]
    side = object_(
        {
            "name": {"type": "string"},
            "source": parts["source"],
            "inputs": {"type": "object", "additionalProperties": SHAPE},
            "totals": object_({name: one for name, one in totals.items() if name != "training_peak_bytes"}),
        }
    )
    pair = {
        "change": {"enum": list(MARKS), "description": "equal, changed, or in one network only"},
        "differs": {**NAMES, "description": "what differs, by the names of columns"},
        "difference": object_({figure: {**integer, "description": "b's less a's"} for figure in ALL_FIGURES}),
        "a": layer,
        "b": layer,
    }
    return document(
        "cnncost compare --layers",
        {
            "schema": {**parts["schema"], "const": SCHEMA_VERSION},
            **{key: parts[key] for key in ("cnncost", "batch", "dtype", "conventions")},
            "a": side,
            "b": side,
            "difference": {**object_(dict.fromkeys((*COUNTS, "layers"), integer)), "description": "b's less a's"},
            "pairs": {"type": "array", "items": object_(pair)},
        },
    )
