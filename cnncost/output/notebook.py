"""A report in a notebook: the table as HTML, all text escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from cnncost.analysis.columns import chosen
from cnncost.analysis.report import CONVENTIONS, Report
from cnncost.output.grid import Drawn, draw
from cnncost.output.tables import heading


def html_table(report: Report) -> str:
    """The report's usual columns, with totals and conventions."""
    drawn = draw(report, report.layers, chosen(None), "exact")
    return html_page(str(heading(report)), drawn, (*report.notes, *CONVENTIONS))


def html_page(title: str, drawn: Sequence[Drawn], notes: Iterable[str]) -> str:
    """Columns as a table between a title and notes."""

    def line(tag: str, cells: tuple[str, ...]) -> str:
        kinds = ("share", "percent")
        sides = ("right" if c.right or c.about.kind in kinds else "left" for c in drawn)
        styled = (f'<{tag} style="text-align:{side}">{escape(text)}</{tag}>' for side, text in zip(sides, cells))
        return f"<tr>{''.join(styled)}</tr>"

    head = line("th", tuple(c.header for c in drawn))
    body = "".join(line("td", cells) for cells in zip(*(c.lines for c in drawn)))
    foot = f"<tfoot>{line('th', tuple(c.foot for c in drawn))}</tfoot>" if any(c.foot for c in drawn) else ""
    return (
        f"<p>{'<br>'.join(map(escape, title.split(chr(10))))}</p>"
        f"<table><thead>{head}</thead><tbody>{body}</tbody>{foot}</table>"
        f"<p><small>{'<br>'.join(map(escape, notes))}</small></p>"
    )
