"""Columns of texts and of bytes, and tables of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cnncost.analysis.columns import Column
from cnncost.output.grid import Drawn
from cnncost.output.tables import Paper, fit_names, fitting_groups, one_table, room_beside
from cnncost.output.units import Unit


def tables(drawn: list[Drawn], paper: Paper, keys: int = 1) -> list[Any]:
    """Columns as a table, or as several under each other, each with the first columns, so many as `keys`."""
    if room_beside(drawn, paper) < 0:
        fit_names(drawn, paper)
    return [part for group in fitting_groups(drawn, paper, keys) for part in (one_table(group, paper), "")]


def column(name: str, header: str, kind: str, lines: Sequence[str], foot: str = "") -> Drawn:
    """A column of texts."""
    return Drawn(Column(name, header, kind, "", lambda row: None), header, list(lines), foot)


def columns(rows: Sequence[Any], shown: Sequence[tuple[str, str, str, Callable[[Any], str]]]) -> list[Drawn]:
    """Columns of texts: name, header, kind, and the text of a row."""
    return [column(name, header, kind, [text(row) for row in rows]) for name, header, kind, text in shown]


def bytes_column(header: str, values: Sequence[int | None], unit: Unit, foot: str = "") -> Drawn:
    """A column of bytes in one unit; a dash where there is no figure."""
    lines = ["-" if value is None else unit.show(value) for value in values]
    return column(header, f"{header} ({unit.name})", "bytes", lines, foot)
