"""Reports as tables for people, on a terminal or in a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cnncost.analysis.columns import Column
from cnncost.analysis.fold import OTHERS
from cnncost.analysis.report import CONVENTIONS, LayerReport, Report
from cnncost.output.grid import Drawn, draw, one_point
from cnncost.output.units import an_image, bar, plural, printable, readable_bytes, shape

BAR_AT_MOST = 16
UNLIMITED = 100_000
GAP = 2
NAME_AT_LEAST, KIND_AT_LEAST, NAME_AT_MOST = 14, 10, 80
STYLES = {"name": "cyan", "share": "green"}
MARKS = {r"(?m)^-$": "red", r"(?m)^\+$": "green", r"(?m)^~$": "yellow"}
MARKS |= {r"(?m)^(over|grew)$": "bold red", r"(?m)^ok$": "green"}
"""Styles of what is removed, added and changed; of what is within a limit or not."""
AT_MOST = 20
"""Characters of the name of a layer beside totals."""
NAMED_AT_MOST = 4
"""Layers that a note names before it says how many more there are."""


class Paper:
    """What a table is printed on: width in characters (None: as wide as it gets), colour, block character.

    cut: whether names may be shortened and bars left out to fit the width. legend: whether the
    conventions stand below.
    """

    def __init__(
        self,
        width: int | None = None,
        colour: bool = False,
        unicode: bool = True,
        cut: bool = True,
        legend: bool = True,
    ) -> None:
        self.width, self.colour, self.unicode, self.cut, self.legend = width, colour, unicode, cut, legend

    def print(self, *parts: Any) -> str:
        """Renderables as one text, without blanks at the ends of lines, or blank lines at its end."""
        while parts and isinstance(parts[-1], (str, Text)) and not str(parts[-1]):
            parts = parts[:-1]
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
    more: Sequence[Any] = (),
) -> str:
    """The whole report: what was read, a row a layer, totals, `more`, notes, conventions."""
    paper = paper or Paper()
    tables = [part for table in _tables(report, rows, columns, units, paper) for part in (table, "")]
    totals = _totals(report, paper.unicode)
    return paper.print(heading(report), "", *tables, *totals, "", *more, *notes(report), *footer(paper))


def heading(report: Report) -> Text:
    """Name, variant and year; input, batch, dtype and source."""
    one_point(report)
    about = report.about
    year = f" ({about['year']})" if about.get("year") else ""
    first = Text(f"{printable(report.name, NAME_AT_MOST)}{year}", style="bold")
    if about.get("about"):
        first.append(f": {printable(str(about['about']))}", style="not bold")
    inputs = ", ".join(
        shape(s[1:]) if len(report.inputs) == 1 else f"{name} {shape(s[1:])}" for name, s in report.inputs.items()
    )
    source = f"{printable(str(report.source))}{' (bundled)' if about.get('bundled') else ''}"
    second = f"input {inputs}, batch {report.batch:,}, {report.dtype}; from {source}"
    return Text("\n").join([first, Text(second, style="dim")])


def _tables(
    report: Report, rows: Sequence[LayerReport], columns: Sequence[Column], units: str, paper: Paper
) -> list[Table]:
    """The rows as one table; as several under each other, with the names again, where the columns are too wide."""
    drawn = draw(report, rows, columns, units)
    shares = [0 if row.name == OTHERS else row.macs for row in rows]
    largest = max(shares, default=0)
    room = room_beside(drawn, paper)
    if room < 0 and paper.cut:
        drawn = [column for column in drawn if column.about.kind != "share"]
        fit_names(drawn, paper)
    for column in drawn:
        if column.about.kind == "share" and room > 1:
            bars = (bar(v, largest, min(room - 1, BAR_AT_MOST), "█" if paper.unicode else "#") for v in shares)
            column.lines = [f"{line:>6} {drawn_bar}".rstrip() for line, drawn_bar in zip(column.lines, bars)]
    return [one_table(group, paper) for group in fitting_groups(drawn, paper)]


def room_beside(drawn: list[Drawn], paper: Paper) -> int:
    """Characters left beside the columns; below 0 where they are too wide."""
    if paper.width is None:
        return UNLIMITED
    return paper.width - sum(column.width + GAP for column in drawn) + GAP


def fit_names(drawn: list[Drawn], paper: Paper) -> None:
    """Shorten names and kinds where that makes the columns fit; numbers are never cut."""
    if not paper.cut:
        return
    room = room_beside(drawn, paper)
    least = {"name": NAME_AT_LEAST, "kind": KIND_AT_LEAST}
    spare = {c.about.name: max(0, c.width - least[c.about.name]) for c in drawn if c.about.name in least}
    if room >= 0 or sum(spare.values()) < -room:
        return
    for column in drawn:
        if column.about.name in spare and room < 0:
            width = column.width - min(spare[column.about.name], -room)
            room += column.width - width
            column.lines = [shortened(line, width, paper.unicode) for line in column.lines]


def fitting_groups(drawn: list[Drawn], paper: Paper, keys: int = 1) -> list[list[Drawn]]:
    """Columns in groups that fit the width, each beginning with the first columns, so many as `keys`."""
    if room_beside(drawn, paper) >= 0 or not paper.cut or len(drawn) < keys + 2:
        return [drawn]
    first, groups = drawn[:keys], [drawn[:keys]]
    for column in drawn[keys:]:
        if len(groups[-1]) > keys and room_beside([*groups[-1], column], paper) < 0:
            groups.append(first.copy())
        groups[-1].append(column)
    return groups


def one_table(drawn: list[Drawn], paper: Paper) -> Table:
    """Columns as a table, with a line of feet where there are any."""
    feet = any(column.foot for column in drawn)
    table = Table(box=None, pad_edge=False, show_footer=feet, header_style="bold", footer_style="bold")
    if room_beside(drawn, paper) < 0:
        table.width = sum(column.width + GAP for column in drawn) - GAP
    texts: list[Text] = []
    for column in drawn:
        justify: Literal["left", "right"] = "right" if column.right else "left"
        table.add_column(column.header, column.foot, justify=justify, no_wrap=True)
        text = Text("\n".join(column.lines), style=STYLES.get(column.about.name, ""))
        if paper.colour and column.right:
            text.highlight_regex(r"(?m)^(0|-)$", "dim")
        if paper.colour and column.about.name == "mark":
            for regex, style in MARKS.items():
                text.highlight_regex(regex, style)
        texts.append(text)
    # All rows are one row of many lines: rich renders a column at once, several times faster.
    table.add_row(*texts)
    return table


def shortened(text: str, width: int, unicode: bool = True) -> str:
    """A text with its middle left out where it is longer: paths differ at both ends."""
    if len(text) <= width:
        return text
    dots = "…" if unicode else "..."
    head = (width - len(dots)) // 2
    return text[:head] + dots + text[len(text) - (width - len(dots) - head) :]


def _totals(report: Report, unicode: bool) -> list[Any]:
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
        figures = [f"{value:,}" if once else an_image(value, batch)] + ([f"{value:,}"] if batch > 1 else [])
        grid.add_row(label, *figures, note)

    other = f" + {t['other_params']:,} other" if t["other_params"] else ""
    line("params", t["params"], f"{t['weights']:,} weights + {t['biases']:,} biases{other}", once=True)
    line("MACs", t["macs"], "multiply-accumulates")
    line("FLOPs", t["flops"], f"2 x MACs + {an_image(report.total.operations, batch)} other operations an image")
    line("neurons", t["neurons"], f"outputs of layers with weights, {plural(report.depth, 'layer')} deep")
    line("parameter bytes", t["weight_bytes"], f"{readable_bytes(t['weight_bytes'])}, {dtype}", once=True)
    line(
        "activation bytes",
        t["activation_bytes"],
        f"{readable_bytes(t['activation_bytes'])}{' a batch' if batch > 1 else ''}, {dtype}, all layers together",
    )
    peak = f"{t['peak_bytes']:,}"
    at = f", at {shortened(report.memory.at.layer, AT_MOST, unicode)}" if report.memory.at else ""
    most = f"{readable_bytes(t['peak_bytes'])}, {dtype}{at}"
    grid.add_row("peak bytes", *(["", peak] if batch > 1 else [peak]), printable(most))
    return [grid]


def notes(report: Report) -> list[Any]:
    """What a reader should know about this network, as lines of a table's foot."""
    lines = remarks(report)
    return [*(Text(line) for line in lines), ""] if lines else []


def remarks(report: Report) -> list[str]:
    """What a reader should know about a network: dropped borders, reuse, several outputs."""
    lines = [printable(line) for line in report.notes]
    dropped = [f"{layer.name} ({_border(layer)})" for layer in report.layers if any(layer.dropped)]
    if dropped:
        lines.append(f"Strides drop border pixels in {named(dropped)}. --strict refuses windows that do not fit.")
    shared = [f"{layer.name} (of {layer.shares})" for layer in report.layers if layer.shares]
    if shared:
        lines.append(f"Parameters are reused, and counted once, in {named(shared)}.")
    if len(report.outputs) > 1:
        lines.append(f"There are {len(report.outputs)} outputs: {named(list(report.outputs))}.")
    if report.total.buffers:
        lines.append(f"Besides the params there are {report.total.buffers:,} running statistics, not learned.")
    return lines


def _border(layer: LayerReport) -> str:
    """What of the input goes unseen: 1 row, 2 columns."""
    counts: tuple[Any, ...] = layer.dropped
    nouns = {1: ("element",), 2: ("row", "column"), 3: ("slice", "row", "column")}[len(layer.dropped)]
    return ", ".join(plural(n, noun) for n, noun in zip(counts, nouns) if n)


def named(names: list[str]) -> str:
    """The first few of some names, and how many more there are."""
    more = len(names) - NAMED_AT_MOST
    return printable(", ".join(names[:NAMED_AT_MOST])) + (f" and {more} more" if more > 0 else "")


def footer(paper: Paper) -> list[Any]:
    """The conventions, as every output names them; on a terminal with the option that leaves them out."""
    if not paper.legend:
        return []
    lines = CONVENTIONS if paper.width is None else (*CONVENTIONS, "--no-legend leaves these lines out.")
    return [Text(line, style="dim") for line in lines]
