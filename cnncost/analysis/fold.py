"""Rows of a report folded, sorted and cut, with subtotals that still add up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from cnncost.analysis.report import LayerReport, Report
from cnncost.cost import total

BY = ("layer", "block", "op")


def fold(report: Report, by: str = "layer", depth: int = 1) -> list[LayerReport]:
    """The report's layers; or one row a block, by the first `depth` parts of the path; or one row an op."""
    if by == "layer":
        return list(report.layers)
    key: Callable[[LayerReport], str] = (
        (lambda row: row.op) if by == "op" else lambda row: ".".join(row.name.split(".")[:depth])
    )
    groups: dict[str, list[LayerReport]] = {}
    for row in report.layers:
        groups.setdefault(key(row), []).append(row)
    return [
        rows[0]._replace(name=name) if len(rows) == 1 else together(name, rows, by == "op")
        for name, rows in groups.items()
    ]


def together(name: str, rows: list[LayerReport], mixed: bool = False) -> LayerReport:
    """One row for several: costs added; shape and field are the last one's, if they belong in order."""
    last, inside = rows[-1], {row.name for row in rows}
    outer = dict.fromkeys(i for row in rows for i in row.inputs if i not in inside)
    return last._replace(
        name=name,
        op=last.op if len({row.op for row in rows}) == 1 else "block",
        kind=f"{len(rows)} layers",
        inputs=() if mixed else tuple(outer),
        output_shape=() if mixed else last.output_shape,
        cost=total(row.cost for row in rows),
        dropped=(),
        uneven=(),
        receptive_field=None if mixed else last.receptive_field,
        shares=None,
        where=rows[0].where,
    )


def ranked(rows: Iterable[LayerReport], value: Callable[[LayerReport], Any]) -> list[LayerReport]:
    """Rows by a value, largest first, texts from A; rows without a value last, equals in order."""
    rows = list(rows)
    present = [row for row in rows if value(row) is not None]
    text = any(isinstance(value(row), str) for row in present)
    present.sort(key=value, reverse=not text)
    return present + [row for row in rows if value(row) is None]


def top(rows: list[LayerReport], count: int) -> list[LayerReport]:
    """The first `count` rows, and the rest as one, so that the sums stay the network's."""
    if len(rows) <= count + 1:
        return rows
    return [*rows[:count], together("(the others)", rows[count:], mixed=True)]
