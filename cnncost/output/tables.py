"""Reports as tables for people, on a terminal or in a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cnncost.analysis.columns import Column
from cnncost.analysis.report import CONVENTIONS, LayerReport, Report
from cnncost.output.units import Unit, bar, percent, plural, readable_bytes, shape, unit_for

BAR_AT_MOST = 16
UNLIMITED = 100_000
GAP = 2
NAME_AT_LEAST, KIND_AT_LEAST = 14, 10
STYLES = {"name": "cyan", "share": "green"}
NAMED_AT_MOST = 4
"""Layers that a note names before it says how many more there are."""


class Paper:
    """What a table is printed on: width in characters (None: as wide as it gets), colour, block character."""

    def __init__(self, width: int | None = None, colour: bool = False, unicode: bool = True) -> None:
        self.width, self.colour, self.unicode = width, colour, unicode

    def print(self, *parts: Any) -> str:
        """Renderables as one text, without blanks at the ends of lines."""
        console = Console(
            file=StringIO(),
            width=self.width or UNLIMITED,
            force_terminal=self.colour,
            color_system="standard" if self.colour else None,
            legacy_windows=False,
            highlight=False,
            markup=False,
            emoji=False,
        )
        with console.capture() as capture:
            for part in parts:
                console.print(part, crop=False)
        text = capture.get()
        return text if self.colour else "".join(line.rstrip() + "\n" for line in text.splitlines())


def report_table(
    report: Report,
    rows: Sequence[LayerReport],
    columns: Sequence[Column],
    units: str = "exact",
    paper: Paper | None = None,
) -> str:
    """The whole report: what was read, a row a layer, totals, notes, conventions."""
    paper = paper or Paper()
    return paper.print(
        heading(report),
        "",
        _table(report, rows, columns, units, paper),
        "",
        *_totals(report),
        "",
        *notes(report),
        *footer(),
    )


def heading(report: Report) -> Text:
    """Name, variant and year; input, batch, dtype and source."""
    about = report.about
    year = f" ({about['year']})" if about.get("year") else ""
    first = Text(f"{report.name}{year}", style="bold")
    if about.get("about"):
        first.append(f": {about['about']}", style="not bold")
    inputs = ", ".join(
        shape(s[1:]) if len(report.inputs) == 1 else f"{name} {shape(s[1:])}" for name, s in report.inputs.items()
    )
    source = f"{report.source}{' (bundled)' if about.get('bundled') else ''}"
    second = f"input {inputs}, batch {report.batch}, {report.dtype}; from {source}"
    return Text("\n").join([first, Text(second, style="dim")])


def cell(value: Any, column: Column, unit: Unit | None) -> str:
    """One value as text; a dash where there is none."""
    if value is None or value == "":
        return "-"
    if unit is not None:
        return unit.show(value)
    return f"{value:,.2f}" if column.kind == "number" else str(value)


def _table(report: Report, rows: Sequence[LayerReport], columns: Sequence[Column], units: str, paper: Paper) -> Table:
    drawn = [_draw(report, rows, column, units) for column in columns]
    _fit(drawn, [column.value(row) for column in columns if column.kind == "share" for row in rows], paper)
    table = Table(box=None, pad_edge=False, show_footer=True, header_style="bold", footer_style="bold")
    wide = sum(column.width + GAP for column in drawn) - GAP
    if paper.width and wide > paper.width:
        table.width = wide  # the terminal breaks the lines: better than to cut numbers
    texts: list[Text] = []
    for column in drawn:
        right = column.about.kind not in ("text", "share")
        table.add_column(column.header, column.foot, justify="right" if right else "left", no_wrap=True)
        text = Text("\n".join(column.lines), style=STYLES.get(column.about.name, ""))
        if paper.colour and right:
            text.highlight_regex(r"(?m)^(0|-)$", "dim")
        texts.append(text)
    # All rows are one row of many lines: rich renders a column at once, several times faster.
    table.add_row(*texts)
    return table


class _Drawn:
    """A column as text, and how wide that is."""

    def __init__(self, about: Column, header: str, lines: list[str], foot: str) -> None:
        self.about, self.header, self.lines, self.foot = about, header, lines, foot

    @property
    def width(self) -> int:
        return max(map(len, (self.header, self.foot, *self.lines)))


def _draw(report: Report, rows: Sequence[LayerReport], column: Column, units: str) -> _Drawn:
    values = [column.value(row) for row in rows]
    if column.kind == "share":
        return _Drawn(column, column.header, [f"{percent(v, report.total.macs):>6}" if v else "" for v in values], "")
    whole = _whole(report, column)
    unit = unit_for([*values, whole], column.kind == "bytes", units) if column.kind in ("count", "bytes") else None
    name = f" ({unit.name})" if unit and unit.name else ""
    foot = "total" if column.name == "name" else "" if whole is None else cell(whole, column, unit)
    return _Drawn(column, column.header + name, [cell(value, column, unit) for value in values], foot)


def _fit(drawn: list[_Drawn], shares: list[Any], paper: Paper) -> None:
    """Give the bar what room there is; where there is none, leave out the shares, then shorten names.

    Numbers are never cut.
    """
    room = UNLIMITED if paper.width is None else paper.width - sum(c.width + GAP for c in drawn) + GAP
    largest = max(shares, default=0)
    for column in [c for c in drawn if c.about.kind == "share"]:
        if room < 0:
            room += column.width + GAP
            drawn.remove(column)
        elif room > 1:
            bars = (bar(v, largest, min(room - 1, BAR_AT_MOST), "█" if paper.unicode else "#") for v in shares)
            column.lines = [f"{line} {drawn_bar}".rstrip() for line, drawn_bar in zip(column.lines, bars)]
    for name, least in (("name", NAME_AT_LEAST), ("kind", KIND_AT_LEAST)):
        for column in drawn:
            if room < 0 and column.about.name == name and column.width > least:
                width = max(least, column.width + room)
                room += column.width - width
                column.lines = [shortened(line, width, paper.unicode) for line in column.lines]


def shortened(text: str, width: int, unicode: bool = True) -> str:
    """A text with its middle left out where it is longer: paths differ at both ends."""
    if len(text) <= width:
        return text
    dots = "…" if unicode else "..."
    head = (width - len(dots)) // 2
    return text[:head] + dots + text[len(text) - (width - len(dots) - head) :]


def _whole(report: Report, column: Column) -> Any:
    """What a column adds up to, for those that add up."""
    if column.kind not in ("count", "bytes") or not report.layers:
        return None
    everything = report.layers[-1]._replace(cost=report.total)
    return column.value(everything)


def _totals(report: Report) -> list[Any]:
    """Totals with their parts, an image and the batch beside each other where they differ."""
    t, batch = report.totals, report.batch
    dtype = report.dtype
    grid = Table(box=None, pad_edge=False, show_header=batch > 1, header_style="bold")
    grid.add_column("", no_wrap=True)
    grid.add_column("an image", justify="right", no_wrap=True)
    if batch > 1:
        grid.add_column(f"batch of {batch:,}", justify="right", no_wrap=True)
    grid.add_column("", style="dim")

    def line(label: str, value: int, note: str, once: bool = False) -> None:
        figures = [f"{value if once else value // batch:,}"] + ([f"{value:,}"] if batch > 1 else [])
        grid.add_row(label, *figures, note)

    other = f" + {t['other_params']:,} other" if t["other_params"] else ""
    line("params", t["params"], f"{t['weights']:,} weights + {t['biases']:,} biases{other}", once=True)
    line("MACs", t["macs"], "multiply-accumulates")
    line("FLOPs", t["flops"], f"2 x MACs + {report.total.operations // batch:,} other operations an image")
    line("neurons", t["neurons"], f"outputs of layers with weights, {plural(report.depth, 'layer')} deep")
    line("parameter bytes", t["weight_bytes"], f"{readable_bytes(t['weight_bytes'])}, {dtype}", once=True)
    line(
        "activation bytes",
        t["activation_bytes"],
        f"{readable_bytes(t['activation_bytes'])}{' a batch' if batch > 1 else ''}, {dtype}, all layers together",
    )
    return [grid]


def notes(report: Report) -> list[Any]:
    """What a reader should know about this network: dropped borders, reuse, several outputs."""
    lines = []
    dropped = [f"{layer.name} ({_border(layer)})" for layer in report.layers if any(layer.dropped)]
    if dropped:
        lines.append(f"Strides drop border pixels in {_named(dropped)}. --strict makes it an error.")
    shared = [f"{layer.name} (of {layer.shares})" for layer in report.layers if layer.shares]
    if shared:
        lines.append(f"Parameters are reused, and counted once, in {_named(shared)}.")
    if len(report.outputs) > 1:
        lines.append(f"There are {len(report.outputs)} outputs: {_named(list(report.outputs))}.")
    if report.total.buffers:
        lines.append(f"Besides the params there are {report.total.buffers:,} running statistics, not learned.")
    return [*(Text(line) for line in lines), ""] if lines else []


def _border(layer: LayerReport) -> str:
    """What of the input goes unseen: 1 row, 2 columns."""
    counts: tuple[Any, ...] = layer.dropped
    nouns = {1: ("element",), 2: ("row", "column"), 3: ("slice", "row", "column")}[len(layer.dropped)]
    return ", ".join(plural(n, noun) for n, noun in zip(counts, nouns) if n)


def _named(names: list[str]) -> str:
    more = len(names) - NAMED_AT_MOST
    return ", ".join(names[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")


def footer() -> list[Any]:
    """The conventions, as every output names them."""
    return [Text(line, style="dim") for line in CONVENTIONS]
