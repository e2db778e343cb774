"""The roofline for people, and as JSON (a public format), CSV and Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from cnncost.analysis.columns import Column
from cnncost.analysis.fold import OTHERS
from cnncost.analysis.roofline import ROOFLINE_COLUMNS, ROOFLINE_DEFAULT, Roof, Roofline
from cnncost.devices import Peak
from cnncost.errors import UsageError
from cnncost.output.formats import csv_text, json_text
from cnncost.output.grid import Drawn, cell
from cnncost.output.records import pipe_table
from cnncost.output.roofline_chart import chart
from cnncost.output.tables import NAME_AT_MOST, Paper, fit_names, fitting_groups, one_table, room_beside
from cnncost.output.units import (
    alike,
    bar,
    duration,
    in_unit,
    percent,
    plural,
    printable,
    rate,
    shape,
    time_unit,
    unit_for,
)

SCHEMA_VERSION = 1
"""Of the JSON of roofline; grows when a key changes its meaning or goes."""
BAR_AT_MOST = 12
CONVENTIONS = (
    "FLOPs: 2 a MAC, under the peak for the dtype; of layers without MACs their other operations, under that of cores.",
    "bytes: inputs, parameters and outputs, each moved once, from and to memory; nothing stays in a cache.",
    "time: the larger of FLOPs / peak and bytes / bandwidth, each layer alone: a bound on it, and no prediction. "
    "(Williams, Waterman & Patterson 2009)",
)
FUSED = "fused: element-wise layers are computed where their input is made, if nothing else takes that."
TRAINING = "Gradients: MACs alone are FLOPs; what is kept for them is written and read. The optimizer's step is extra."
IN_WORDS = {"forward": "forward", "backward": "backward", "train": "forward and backward"}


def explained(roofline: Roofline) -> list[str]:
    """What the numbers mean, in the words of every output."""
    more = [FUSED] if roofline.fused else [] if roofline.passes == "forward" else [TRAINING]
    return [*CONVENTIONS, *more]


# ---- for people -----------------------------------------------------------------------------------


def roofline_table(
    roofline: Roofline,
    rows: Sequence[Roof],
    columns: Sequence[Column] | None = None,
    units: str = "auto",
    paper: Paper | None = None,
    drawn: bool = True,
) -> str:
    """A row a layer, totals, and, as `drawn`, the roofline itself. Raises UsageError over arrays."""
    paper = paper or Paper()
    title, below = heading(roofline)
    picture = chart(roofline, paper.width, paper.unicode) if drawn else []
    legend = [Text(line, style="dim") for line in explained(roofline)] if paper.legend else []
    if legend and paper.width is not None:
        legend.append(Text("--no-legend leaves these lines out.", style="dim"))
    text = paper.print(
        Text(title, style="bold"),
        Text(below, style="dim"),
        "",
        *_tables(roofline, rows, columns, units, paper),
        _totals(roofline),
        "",
        *(Text(line) for line in most(roofline)),
        "",
        *picture,
        *([""] if picture else []),
        *(Text(printable(note), style="yellow") for note in roofline.notes),
        *legend,
    )
    return text if paper.unicode else text.replace("µs", "us")


def heading(roofline: Roofline) -> tuple[str, str]:
    """Network and device; input, batch, dtype, pass and source."""
    one_point(roofline)
    about, roofs = roofline.about, roofline.ceilings
    year = f" ({about['year']})" if about.get("year") else ""
    inputs = ", ".join(
        shape(s[1:]) if len(roofline.inputs) == 1 else f"{name} {shape(s[1:])}" for name, s in roofline.inputs.items()
    )
    source = f"{printable(str(roofline.source))}{' (bundled)' if about.get('bundled') else ''}"
    passes = IN_WORDS[roofline.passes] + (", fused" if roofline.fused else "")
    return (
        f"{printable(roofline.name, NAME_AT_MOST)}{year} on {printable(roofs.device.name)}",
        f"input {inputs}, batch {roofline.batch:,}, {roofs.dtype}, {passes}; from {source}",
    )


def one_point(roofline: Roofline) -> None:
    """Raise UsageError for a roofline over arrays of sizes."""
    if roofline.swept:
        hint = "take its figures, as in roofline.total.seconds, or load one design point"
        raise UsageError("a roofline over arrays cannot be shown as one table", hint=hint)


def _tables(
    roofline: Roofline, rows: Sequence[Roof], columns: Sequence[Column] | None, units: str, paper: Paper
) -> list[Any]:
    """The rows as one table, or several under each other where the columns are too wide.

    Of the usual columns the kind goes first: names mostly tell it.
    """
    columns = columns or usual()
    drawn = draw(roofline, rows, columns, units)
    if tuple(column.name for column in columns) == ROOFLINE_DEFAULT and room_beside(drawn, paper) < 0:
        drawn = [column for column in drawn if column.about.name != "kind"]
    room = room_beside(drawn, paper)
    if room < 0:
        fit_names(drawn, paper)
    largest = max((row.seconds for row in rows if row.name != OTHERS), default=0)
    for column in drawn:
        if column.about.name == "share" and room > 1:
            width, block = min(room - 1, BAR_AT_MOST), "█" if paper.unicode else "#"
            bars = ("" if row.name == OTHERS else bar(row.seconds, largest, width, block) for row in rows)
            column.lines = [f"{line:>6} {drawn_bar}".rstrip() for line, drawn_bar in zip(column.lines, bars)]
    return [part for group in fitting_groups(drawn, paper) for part in (one_table(group, paper), "")]


def usual() -> list[Column]:
    """The columns that are shown if none are asked for."""
    return [ROOFLINE_COLUMNS[name] for name in ROOFLINE_DEFAULT]


def draw(roofline: Roofline, rows: Sequence[Roof], columns: Sequence[Column], units: str) -> list[Drawn]:
    """All columns as text."""
    total = roofline.total
    return [_column(roofline, total, rows, column, units) for column in columns]


def _column(roofline: Roofline, total: Roof, rows: Sequence[Roof], column: Column, units: str) -> Drawn:
    values, whole = [column.value(row) for row in rows], column.value(total)
    if column.kind in ("count", "bytes"):
        unit = unit_for([*values, whole], column.kind == "bytes", units)
        return Drawn(column, _header(column, unit.name), [unit.show(v) for v in values], unit.show(whole))
    number = column._replace(kind="number")
    if column.kind == "time":
        name, worth = time_unit([*values, whole])
        header = name if column.name == "seconds" else f"{column.header} ({name})"
        *lines, foot = alike([*values, whole], worth)
        return Drawn(number, header, lines, foot)
    if column.kind == "rate":
        unit = unit_for([v for v in (*values, whole) if v], False, "auto")
        header = rate(unit.worth, roofline.ceilings.macs.dtype).lstrip("1 ")
        *lines, foot = alike([*values, whole], unit.worth)
        return Drawn(number, header, lines, foot)
    if column.kind == "share":
        return Drawn(column, column.header, [percent(v, total.seconds) if v else "" for v in values], "")
    if column.kind == "percent":
        texts = ["-" if v is None else percent(v, 1) for v in (*values, whole)]
        return Drawn(number, column.header, texts[:-1], texts[-1])
    foot = {"name": "total", "bound": whole, "intensity": cell(whole, column)}.get(column.name) or ""
    return Drawn(column, column.header, [cell(v, column) for v in values], foot)


def _header(column: Column, unit: str) -> str:
    """The usual columns are called by their units, for the table to fit a terminal: GFLOP, MiB."""
    if column.name == "flops" and unit:
        return f"{unit}FLOP"
    if column.name == "moved" and unit != "B":
        return unit
    return f"{column.header} ({unit})" if unit else column.header


def _totals(roofline: Roofline) -> Table:
    """What the layers come to, and the ceilings."""
    t, roofs = roofline.total, roofline.ceilings
    timed = [row for row in roofline.layers if row.seconds]
    by_memory = sum(2 * row.memory_bound >= row.seconds for row in timed)
    grid = Table(box=None, pad_edge=False, show_header=False)
    grid.add_column("", no_wrap=True)
    grid.add_column("", justify="right", no_wrap=True)
    grid.add_column("", style="dim")
    images = f"; {in_unit(roofline.batch / t.seconds)} images a second" if t.seconds else ""
    grid.add_row("least time", duration(t.seconds), f"the sum of the layers{images}")
    part = f"of it, in {by_memory:,} of {plural(len(timed), 'layer')} that take time"
    grid.add_row("bound by memory", percent(t.memory_bound, t.seconds), part)
    if t.rate:
        peak = percent(t.rate, roofs.macs.rate)
        grid.add_row("attainable", rate(t.rate, roofs.macs.dtype), f"over the whole network, {peak} of the peak")
    if t.measured is not None:
        some = sum(row.measured is not None for row in roofline.layers)
        part = f"{percent(t.attained, 1)} of it attained, in {some:,} of {plural(len(roofline.layers), 'layer')}"
        grid.add_row("measured", duration(t.measured), part)
    grid.add_row("peak", rate(roofs.macs.rate, roofs.macs.dtype), f"{_on(roofs.macs)}: MACs")
    if roofs.others != roofs.macs:
        grid.add_row("", rate(roofs.others.rate, roofs.others.dtype), f"{_on(roofs.others)}: layers without MACs")
    grid.add_row("bandwidth", f"{in_unit(roofs.bandwidth)}B/s", f"the ridge is at {roofs.ridge:,.4g} FLOP/B")
    return grid


def _on(peak: Peak) -> str:
    sums = f", sums in {peak.accumulate}" if peak.accumulate else ""
    return printable(f"{peak.dtype} on {peak.unit}{sums}")


def most(roofline: Roofline) -> list[str]:
    """The layers that take most of the time, in words."""
    whole = roofline.total.seconds
    each = [f"{printable(row.name)} ({percent(row.seconds, whole)}, {row.bound})" for row in roofline.take_most]
    return [f"Most of the time: {', '.join(each)}."] if each else []


def roofline_markdown(
    roofline: Roofline,
    rows: Sequence[Roof],
    columns: Sequence[Column] | None = None,
    units: str = "auto",
    drawn: bool = True,
    legend: bool = True,
) -> str:
    """The same for documents."""
    title, below = heading(roofline)
    picture = [str(line) for line in chart(roofline, None)] if drawn else []
    t = roofline.total
    end = f"At least {duration(t.seconds)}, {percent(t.memory_bound, t.seconds)} of it bound by memory."
    table = pipe_table(draw(roofline, rows, columns or usual(), units))
    lines = [f"**{title}**", "", below, "", *table, "", " ".join([end, *most(roofline)]), ""]
    lines += ["```text", *picture, "```", ""] if picture else []
    notes = (*roofline.notes, *(explained(roofline) if legend else ()))
    return "\n".join([*lines, *(f"- {line}" for line in notes), ""])


# ---- for programs ---------------------------------------------------------------------------------


def roof_record(row: Roof) -> dict[str, Any]:
    """One row of the JSON."""
    return {
        "name": row.name,
        "op": row.op,
        "kind": row.kind,
        "layers": list(row.layers),
        "macs": row.macs,
        "flops": row.flops,
        "bytes_read": row.read,
        "bytes_written": row.written,
        "intensity": row.intensity,
        "bound": row.bound,
        "arithmetic_seconds": row.arithmetic_seconds,
        "memory_seconds": row.memory_seconds,
        "seconds": row.seconds,
        "memory_bound_seconds": row.memory_bound,
        "flops_per_second": row.rate,
        "measured_seconds": row.measured,
        "attained": row.attained,
    }


def roofline_record(roofline: Roofline, rows: Sequence[Roof]) -> dict[str, Any]:
    """The JSON of `cnncost roofline` as Python values."""
    from cnncost import __version__

    one_point(roofline)
    roofs = roofline.ceilings

    def peak(p: Peak) -> dict[str, Any]:
        return {"dtype": p.dtype, "unit": p.unit, "accumulate": p.accumulate, "flops_per_second": p.rate}

    return {
        "schema": SCHEMA_VERSION,
        "cnncost": __version__,
        "name": roofline.name,
        "source": roofline.source,
        "inputs": {name: list(sizes) for name, sizes in roofline.inputs.items()},
        "batch": roofline.batch,
        "dtype": roofs.dtype,
        "pass": roofline.passes,
        "fused": roofline.fused,
        "device": roofs.device.key,
        "peak": peak(roofs.macs),
        "other_peak": peak(roofs.others),
        "bandwidth": roofs.bandwidth,
        "ridge": roofs.ridge,
        "conventions": explained(roofline),
        "notes": list(roofline.notes),
        "total": roof_record(roofline.total),
        "layers": [roof_record(row) for row in rows],
    }


def roofline_json(roofline: Roofline, rows: Sequence[Roof]) -> str:
    """The JSON of `cnncost roofline`."""
    return json_text(roofline_record(roofline, rows))


def roofline_csv(rows: Sequence[Roof], columns: Sequence[Column] | None = None) -> str:
    """Plain numbers under the columns' names: bytes, seconds, FLOP/s; no totals, so that columns can be summed."""
    kept = [column for column in (columns or ROOFLINE_COLUMNS.values()) if column.kind != "share"]
    lines = ([_plain(column, row) for column in kept] for row in rows)
    return csv_text([[column.name for column in kept], *lines])


def _plain(column: Column, row: Roof) -> Any:
    value = column.value(row)
    return printable(value or "") if column.kind == "text" else value


def roofline_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of what `cnncost roofline --format json` writes."""
    from cnncost.analysis.dtypes import DTYPES
    from cnncost.analysis.traffic import PASSES
    from cnncost.output.schema import COUNT, NAMES, SHAPE, document, object_, version_parts

    text, some_text, some = {"type": "string"}, {"type": ["string", "null"]}, {"type": ["number", "null"]}
    number = {"type": "number", "minimum": 0}
    peak = object_({"dtype": {"enum": list(DTYPES)}, "unit": text, "accumulate": some_text, "flops_per_second": number})
    row = {
        "name": text,
        "op": {**text, "description": "of the first layer; block or mixed where layers are folded"},
        "kind": {**text, "description": "the op and its telling options, of several that run as one all of them"},
        "layers": {**NAMES, "description": "the layers of the row"},
        "macs": COUNT,
        "flops": {**COUNT, "description": "2 x macs; of layers without MACs their other operations"},
        "bytes_read": {**COUNT, "description": "each tensor once"},
        "bytes_written": COUNT,
        "intensity": {**some, "description": "flops a byte; null where there are none"},
        "bound": {**some_text, "description": "memory, arithmetic, or the share of the time that is memory's"},
        "arithmetic_seconds": {**number, "description": "flops over the peak"},
        "memory_seconds": {**number, "description": "bytes over the bandwidth"},
        "seconds": {**number, "description": "the larger of the two, in each pass of each layer, added up"},
        "memory_bound_seconds": {**number, "description": "the part of seconds in which memory bounds"},
        "flops_per_second": {**some, "description": "attainable: flops over seconds"},
        "measured_seconds": {**some, "description": "null where nothing was measured"},
        "attained": {**some, "description": "least time over the measured one"},
    }
    parts = {
        **version_parts(SCHEMA_VERSION),
        "name": text,
        "source": some_text,
        "inputs": {"type": "object", "additionalProperties": SHAPE},
        "batch": {"type": "integer", "minimum": 1},
        "dtype": {"enum": list(DTYPES)},
        "pass": {"enum": list(PASSES)},
        "fused": {
            "type": "boolean",
            "description": "whether element-wise layers are computed where their input is made",
        },
        "device": {**text, "description": "key of the device's sheet"},
        "peak": {**peak, "description": "the ceiling of MACs"},
        "other_peak": {**peak, "description": "the ceiling of layers without MACs"},
        "bandwidth": {**number, "description": "bytes a second"},
        "ridge": {**number, "description": "flops a byte from which on arithmetic bounds MACs"},
        "conventions": {**NAMES, "description": "what the numbers mean"},
        "notes": {**NAMES, "description": "what a reader of these numbers must know"},
        "total": object_(row),
        "layers": {"type": "array", "items": object_(row)},
    }
    return document("cnncost roofline", parts)
