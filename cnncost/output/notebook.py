"""A report in a notebook: the table as HTML, all text escaped."""

from __future__ import annotations

from html import escape

from cnncost.analysis.columns import chosen
from cnncost.analysis.report import CONVENTIONS, Report
from cnncost.output.grid import draw
from cnncost.output.tables import heading


def html_table(report: Report) -> str:
    """The report's usual columns, with totals and conventions."""
    drawn = draw(report, report.layers, chosen(None), "exact")

    def line(tag: str, cells: tuple[str, ...]) -> str:
        sides = ("right" if c.right or c.about.kind == "share" else "left" for c in drawn)
        styled = (f'<{tag} style="text-align:{side}">{escape(text)}</{tag}>' for side, text in zip(sides, cells))
        return f"<tr>{''.join(styled)}</tr>"

    head = line("th", tuple(c.header for c in drawn))
    body = "".join(line("td", cells) for cells in zip(*(c.lines for c in drawn)))
    foot = line("th", tuple(c.foot for c in drawn))
    title = "<br>".join(escape(part) for part in str(heading(report)).split("\n"))
    return (
        f"<p>{title}</p><table><thead>{head}</thead><tbody>{body}</tbody><tfoot>{foot}</tfoot></table>"
        f"<p><small>{'<br>'.join(map(escape, CONVENTIONS))}</small></p>"
    )
