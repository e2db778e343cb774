"""A report in a notebook: the table as HTML, all text escaped."""

from __future__ import annotations

from html import escape

from cnncost.analysis.columns import COLUMNS, DEFAULT
from cnncost.analysis.report import CONVENTIONS, Report
from cnncost.output.tables import cell, heading
from cnncost.output.units import percent, unit_for


def html_table(report: Report) -> str:
    """The report's usual columns, with totals and conventions."""
    columns = [COLUMNS[name] for name in DEFAULT]
    exact = {
        c.name: unit_for([], c.kind == "bytes", "exact") if c.kind in ("count", "bytes") else None for c in columns
    }

    def line(tag: str, cells: list[str], numbers: list[bool]) -> str:
        align = [' style="text-align:right"' if right else ' style="text-align:left"' for right in numbers]
        return "<tr>" + "".join(f"<{tag}{a}>{escape(c)}</{tag}>" for a, c in zip(align, cells)) + "</tr>"

    right = [c.kind != "text" for c in columns]
    body = [
        line(
            "td",
            [
                percent(c.value(layer), report.total.macs)
                if c.kind == "share"
                else cell(c.value(layer), c, exact[c.name])
                for c in columns
            ],
            right,
        )
        for layer in report.layers
    ]
    t = report.totals
    foot = line("th", ["total", f"{t['layers']} layers deep", "", f"{t['params']:,}", f"{t['macs']:,}", ""], right)
    title = "<br>".join(escape(part) for part in str(heading(report)).split("\n"))
    return (
        f"<p>{title}</p><table><thead>{line('th', [c.header for c in columns], right)}</thead>"
        f"<tbody>{''.join(body)}</tbody><tfoot>{foot}</tfoot></table>"
        f"<p><small>{'<br>'.join(map(escape, CONVENTIONS))}</small></p>"
    )
