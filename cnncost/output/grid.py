"""Rows and columns as text, whoever prints them: terminal, Markdown, HTML, CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cnncost.analysis.columns import Column
from cnncost.analysis.report import LayerReport, Report
from cnncost.errors import UsageError
from cnncost.output.units import Unit, per_axis, percent, printable, shape, unit_for


@dataclass
class Drawn:
    """A column as text: header with its unit, a line a row, and what the column adds up to."""

    about: Column
    header: str
    lines: list[str]
    foot: str

    @property
    def right(self) -> bool:
        """Whether it is aligned to the right."""
        return self.about.kind in ("count", "bytes", "peak", "number", "axes", "year")

    @property
    def width(self) -> int:
        return max(map(len, (self.header, self.foot, *self.lines)))


def draw(report: Report, rows: Sequence[LayerReport], columns: Sequence[Column], units: str) -> list[Drawn]:
    """All columns as text. Raises UsageError for a report over arrays, which has no one number a cell."""
    one_point(report)
    return [_column(report, rows, column, units) for column in columns]


def one_point(report: Report) -> None:
    """Raise UsageError for a report over arrays of sizes."""
    if report.swept:
        raise UsageError(
            "a report over arrays cannot be shown as one table",
            hint="take its figures, as in report.total.macs, or analyze one design point",
        )


def cell(value: Any, column: Column, unit: Unit | None = None) -> str:
    """One value as text; a dash where there is none."""
    if value is None or value in ((), "") or (column.kind == "axes" and None in value):
        return "-"
    if unit is not None:
        return unit.show(value)
    if column.kind == "number":
        return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"
    if column.kind == "percent":
        return str(getattr(value, "text", None) or f"{value:g}")  # as it was printed, where it was
    if column.kind == "axes":
        return per_axis(value)
    if column.kind == "shape":
        return shape(value)
    return printable(", ".join(value) if column.kind == "names" else str(value))


def _column(report: Report, rows: Sequence[LayerReport], column: Column, units: str) -> Drawn:
    values = [column.value(row) for row in rows]
    if column.kind == "share":
        return Drawn(column, column.header, [percent(v, report.total.macs) if v else "" for v in values], "")
    if not column.adds_up and column.kind != "peak":
        foot = "total" if column.name == "name" else ""
        return Drawn(column, column.header, [cell(value, column) for value in values], foot)
    whole = [sum(column.value(layer) for layer in report.layers)] if column.adds_up else []
    unit = unit_for([*values, *whole], column.kind in ("bytes", "peak"), units)
    header = f"{column.header} ({unit.name})" if unit.name else column.header
    foot = "".join(cell(value, column, unit) for value in whole)
    return Drawn(column, header, [cell(value, column, unit) for value in values], foot)
