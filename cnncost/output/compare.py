"""Networks side by side as text: a table, JSON (a public format, see compare_schema), CSV, Markdown, HTML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from cnncost.analysis.columns import Column
from cnncost.analysis.compare import NETWORK_COLUMNS, NETWORK_DEFAULT, VALIDATION, Comparison, NetworkRow
from cnncost.analysis.report import CONVENTIONS
from cnncost.output.formats import csv_text, json_text
from cnncost.output.grid import Drawn, cell
from cnncost.output.records import pipe_table, plain
from cnncost.output.tables import NAME_AT_LEAST, Paper, fitting_groups, footer, named, one_table, room_beside, shortened
from cnncost.output.units import plural, printable, shape, unit_for

SCHEMA_VERSION = 1
"""Grows when a key changes its meaning or goes; new keys do not change it."""
ERRORS = ("top5_error", "top1_error")
NEEDED = ("name", "params", "macs")
WANTED = ("layers", "top1_error", "year", "activation_bytes", "input", "flops", "weight_bytes")
"""What a narrow terminal shows: the columns that are needed; an error and how it was measured; these in order, and the
rest, as long as they fit."""
UNITS = "auto"
LONG = 30
"""Rows above which the headers stand below the table too."""


def comparison_table(
    comparison: Comparison,
    rows: Sequence[NetworkRow] | None = None,
    columns: Sequence[Column] | None = None,
    units: str = UNITS,
    paper: Paper | None = None,
) -> str:
    """The whole comparison: what was compared, a row a network, notes, conventions.

    rows: those that are shown, all if left out. columns: in place of the usual ones; of those, a
    narrow terminal shows what fits.
    """
    paper = paper or Paper()
    rows = comparison.networks if rows is None else rows
    drawn = draw(comparison, rows, columns, units)
    kept = drawn if columns is not None or not paper.cut else _fitting(drawn, paper)
    names, room = kept[0], room_beside(kept, paper)
    if room < 0 and paper.cut and names.about.name == "name":
        width = max(NAME_AT_LEAST, names.width + room)
        names.lines = [shortened(line, width, paper.unicode) for line in names.lines]
    if len(rows) > LONG:
        for column in kept:
            column.foot = column.header
    tables = [part for group in fitting_groups(kept, paper) for part in (one_table(group, paper), "")]
    lines = [Text(line) for line in _notes(comparison, drawn, kept, paper)]
    return paper.print(heading(comparison, len(rows)), "", *tables, *lines, *([""] if lines else []), *footer(paper))


def draw(
    comparison: Comparison, rows: Sequence[NetworkRow], columns: Sequence[Column] | None, units: str
) -> list[Drawn]:
    """The columns as text: those asked for, or the usual ones in which any network has a value."""
    if columns is not None:
        return [_column(comparison, rows, column, units) for column in columns]
    usual = [NETWORK_COLUMNS[name] for name in NETWORK_DEFAULT]
    told = [column for column in usual if any(column.value(row) is not None for row in rows)]
    return [_column(comparison, rows, column, units) for column in told]


def heading(comparison: Comparison, shown: int) -> Text:
    """How many networks, at which sizes, and what ratios are to."""
    total = plural(len(comparison), "network")
    first = Text(total if shown == len(comparison) else f"{shown:,} of {total}", style="bold")
    if comparison.base is not None:
        first.append(f", relative to {printable(comparison.base.name)}", style="not bold")
    inputs = {tuple(row.inputs.values()) for row in comparison}
    same = (
        f"input {', '.join(shape(s[1:]) for s in next(iter(inputs)))}" if len(inputs) == 1 else "each at its own input"
    )
    second = f"{same}, batch {comparison.batch:,}, {comparison.dtype}"
    return Text("\n").join([first, Text(second, style="dim")])


def _column(comparison: Comparison, rows: Sequence[NetworkRow], column: Column, units: str) -> Drawn:
    values = [column.value(row) for row in rows]
    if column.kind == "percent":
        return _percents(column, [cell(value, column) for value in values])
    if not column.adds_up:
        return Drawn(column, column.header, [cell(value, column) for value in values], "")
    unit = unit_for([_middle(values)] if units == "auto" else values, column.kind == "bytes", units)
    header = f"{column.header} ({unit.name})" if unit.name else column.header
    lines = ["-" if value is None else unit.show(value) for value in values]
    if comparison.base is not None:
        ratios = [times(comparison.ratio(row, column)) for row in rows]
        width = max(map(len, ratios), default=0)
        lines = [f"{line} {ratio:>{width}}" for line, ratio in zip(lines, ratios)]
    return Drawn(column, header, lines, "")


def _middle(values: Sequence[Any]) -> Any:
    """The median, of two the larger: one giant among many leaves the others readable."""
    some = sorted(value for value in values if value)
    return some[len(some) // 2] if some else 0


def _percents(column: Column, lines: list[str]) -> Drawn:
    """Figures as printed, with their points below each other."""
    decimals = max((len(line.partition(".")[2]) for line in lines), default=0)
    header = f"{column.header} (%)"
    places = [decimals - len(line.partition(".")[2]) + (1 if decimals and "." not in line else 0) for line in lines]
    padded = [line + " " * n for line, n in zip(lines, places)]
    width = max(map(len, (header, *padded)))
    return Drawn(column, header.rjust(width), [line.rjust(width) for line in padded], "")


def times(ratio: float | None) -> str:
    """A ratio: x0.42, x5.64, x1,235; a dash where there is none."""
    if ratio is None:
        return "-"
    if 0 < ratio < 0.005:
        return "<x0.01"
    return f"x{ratio:,.0f}" if ratio >= 100 else f"x{ratio:,.2f}"


def _fitting(drawn: list[Drawn], paper: Paper) -> list[Drawn]:
    """The columns that fit the width, the most wanted ones first, in their order."""
    columns = {column.about.name: column for column in drawn}
    kept = {name: columns[name] for name in NEEDED if name in columns}
    error = next((name for name in ERRORS if name in columns), "tested")
    for names in ((error, "tested"), *((name,) for name in (*WANTED, *columns) if name != "tested")):
        if names[-1] in ERRORS and "tested" not in kept:
            continue  # an error alone would be taken for what it may not be
        more = {name: columns[name] for name in names if name in columns and name not in kept}
        if room_beside([*kept.values(), *more.values()], paper) >= 0:
            kept |= more
    return [column for column in drawn if column.about.name in kept]


def _notes(comparison: Comparison, drawn: list[Drawn], kept: list[Drawn], paper: Paper) -> list[str]:
    """What a reader should know about these columns."""
    names = {column.about.name for column in kept}
    lines = []
    if names & set(ERRORS) and "tested" in names:
        lines.append(f"top-1, top-5: published errors on {VALIDATION}, unless `tested` names other images.")
    elif names & set(ERRORS):
        lines.append("top-1, top-5: published errors, measured in several ways: the column `tested` tells them apart.")
    if comparison.base is not None:
        lines.append(f"x: times the figure of {printable(comparison.base.name)}.")
    lines += [f"{printable(row.name)}: {note}" for row in comparison for note in row.notes]
    lines += left_out(comparison)
    out = [column.about.name for column in drawn if column not in kept]
    if out:
        lines.append(f"Not shown in {paper.width} columns: {', '.join(out)}; --columns chooses.")
    return lines


def left_out(comparison: Comparison) -> list[str]:
    """Which networks are not among the rows, by the reason."""
    reasons: dict[str, list[str]] = {}
    for network in comparison.left_out:
        reasons.setdefault(network.reason, []).append(network.name)
    return [f"Left out: {named(names)}: {printable(reason)}." for reason, names in reasons.items()]


# ---- for programs ------------------------------------------------------------------------------


def network_record(comparison: Comparison, row: NetworkRow) -> dict[str, Any]:
    """One network of the JSON comparison."""
    error = row.error_rate
    ratios = {c.name: comparison.ratio(row, c) for c in NETWORK_COLUMNS.values() if c.adds_up}
    return {
        "name": row.name,
        "network": row.network,
        "source": row.source,
        "about": {key: value for key, value in row.about.items() if value is not None},
        "input": list(next(iter(row.inputs.values()))),
        "inputs": {name: list(sizes) for name, sizes in row.inputs.items()},
        "nodes": row.nodes,
        "totals": {**row.totals, "training_peak_bytes": row.training_peak_bytes},
        "error": error._asdict() if error else None,
        "facts": list(row.facts),
        "notes": list(row.notes),
        "ratios": ratios if comparison.base is not None else None,
    }


def record(comparison: Comparison, rows: Sequence[NetworkRow] | None = None) -> dict[str, Any]:
    """The JSON comparison as Python values; `rows` where they are sorted or cut."""
    from cnncost import __version__

    return {
        "schema": SCHEMA_VERSION,
        "cnncost": __version__,
        "batch": comparison.batch,
        "dtype": comparison.dtype,
        "relative_to": comparison.base.name if comparison.base is not None else None,
        "conventions": list(CONVENTIONS),
        "networks": [network_record(comparison, row) for row in (comparison.networks if rows is None else rows)],
        "left_out": [network._asdict() for network in comparison.left_out],
    }


def to_json(comparison: Comparison, rows: Sequence[NetworkRow] | None = None) -> str:
    """The JSON comparison as text."""
    return json_text(record(comparison, rows))


def to_csv(comparison: Comparison, rows: Sequence[NetworkRow], columns: Sequence[Column] | None) -> str:
    """Whole numbers under the columns' names, and behind them all ratios where there is a base."""
    columns = [NETWORK_COLUMNS[name] for name in NETWORK_DEFAULT] if columns is None else columns
    ratios = [column for column in columns if comparison.base is not None and column.adds_up]
    head = [*(column.name for column in columns), *(f"{column.name}_ratio" for column in ratios)]
    lines = (
        [*(plain(column, row) for column in columns), *(comparison.ratio(row, column) for column in ratios)]
        for row in rows
    )
    return csv_text([head, *lines])


def to_markdown(
    comparison: Comparison,
    rows: Sequence[NetworkRow] | None = None,
    columns: Sequence[Column] | None = None,
    units: str = UNITS,
    legend: bool = True,
) -> str:
    """A table for documents, with a heading, notes and, as `legend`, conventions."""
    rows = comparison.networks if rows is None else rows
    title, sizes = str(heading(comparison, len(rows))).split("\n")
    drawn = draw(comparison, rows, columns, units)
    notes = [*_notes(comparison, drawn, drawn, Paper()), *(CONVENTIONS if legend else ())]
    return "\n".join([f"**{title}**", "", sizes, "", *pipe_table(drawn), "", *(f"- {line}" for line in notes), ""])


def html_table(comparison: Comparison) -> str:
    """The usual columns for a notebook."""
    from cnncost.output.notebook import html_page

    drawn = draw(comparison, comparison.networks, None, UNITS)
    notes = [*_notes(comparison, drawn, drawn, Paper()), *CONVENTIONS]
    return html_page(str(heading(comparison, len(comparison))), drawn, notes)


def compare_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of what `cnncost compare --format json` writes."""
    from cnncost.output.schema import NAMES, SHAPE, document, object_, report_parts

    parts = report_parts()
    number = {"type": ["number", "null"]}
    text = {"type": ["string", "null"]}
    error = {
        "top1": {**number, "description": "top-1 error in percent; where classes are few, the error"},
        "top5": {**number, "description": "top-5 error in percent"},
        "dataset": {**text, "description": "what it was tested on"},
        "models": {"type": "integer", "minimum": 1, "description": "networks that were averaged"},
        "crops": {"type": "integer", "minimum": 1, "description": "crops of an image that were averaged"},
        "source": {"type": "string"},
        "place": {**text, "description": "where in the source"},
        "crop_size": {"type": ["integer", "null"], "description": "pixels of a crop's side"},
    }
    ratios = {c.name: number for c in NETWORK_COLUMNS.values() if c.adds_up}
    network = {
        "name": {"type": "string", "description": "what it is called here: a bundled name, or the file's"},
        "network": {"type": "string", "description": "the name for people"},
        "source": text,
        "about": {"type": "object"},
        "input": {**SHAPE, "description": "shape of the (first) input, batch first"},
        "inputs": {"type": "object", "additionalProperties": SHAPE},
        "nodes": {"type": "integer", "minimum": 1, "description": "layers of any kind"},
        "totals": parts["totals"],
        "error": {"anyOf": [object_(error), {"type": "null"}], "description": "the published error that is shown"},
        "facts": {"type": "array", "items": {"type": "object"}, "description": "all measured facts of the spec"},
        "notes": {**NAMES, "description": "what a reader of these numbers must know"},
        "ratios": {"anyOf": [object_(ratios), {"type": "null"}], "description": "figures over those of relative_to"},
    }
    return document(
        "cnncost compare",
        {
            **{key: parts[key] for key in ("schema", "cnncost", "batch", "dtype")},
            "schema": {**parts["schema"], "const": SCHEMA_VERSION},
            "relative_to": {**text, "description": "name of the network that ratios are to"},
            "conventions": {**NAMES, "description": "what the numbers mean"},
            "networks": {"type": "array", "items": object_(network)},
            "left_out": {
                "type": "array",
                "items": object_({"name": {"type": "string"}, "reason": {"type": "string"}}),
                "description": "networks of a pattern that cannot take the sizes or parameters given",
            },
        },
    )
