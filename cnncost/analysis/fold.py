"""Rows of a report folded, sorted and cut, with subtotals that still add up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from cnncost.analysis.memory import highest
from cnncost.analysis.report import LayerReport, Report
from cnncost.cost import total

R = TypeVar("R")
BY = ("layer", "block", "op")
OTHERS = "(the others)"
"""Name of the row of all that `top` leaves out."""


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
        rows[0]._replace(name=name) if len(rows) == 1 else together(name, rows, in_order=by == "block")
        for name, rows in groups.items()
    ]


def together(name: str, rows: list[LayerReport], in_order: bool) -> LayerReport:
    """One row for several: costs added. Rows in order end in a shape, see a field and take inputs; others do not."""
    last, inside = rows[-1], {row.name for row in rows}
    ops = {row.op for row in rows}
    return last._replace(
        name=name,
        op=ops.pop() if len(ops) == 1 else "block" if in_order else "mixed",
        kind=f"{len(rows)} layers",
        inputs=tuple(dict.fromkeys(i for row in rows for i in row.inputs if i not in inside)) if in_order else (),
        output_shape=last.output_shape if in_order else (),
        cost=total(row.cost for row in rows),
        dropped=(),
        uneven=(),
        receptive_field=last.receptive_field if in_order else None,
        shares=None,
        where=None,
        peak_bytes=highest([row.peak_bytes for row in rows]),
        counted=None if last.counted is None else sum(row.counted or 0 for row in rows),
    )


def ranked(rows: Iterable[R], rank: Callable[[R], Any], smallest_first: bool = False) -> list[R]:
    """Rows by a value, largest first unless told, texts from A; rows without a value last, equals in order."""
    rows = list(rows)
    present = [row for row in rows if rank(row) is not None]
    numbers = all(isinstance(rank(row), (int, float)) for row in present)
    present.sort(key=rank, reverse=numbers and not smallest_first)
    return present + [row for row in rows if rank(row) is None]


def top(rows: list[LayerReport], count: int) -> list[LayerReport]:
    """The first `count` rows, and the rest as one, so that the sums stay the network's."""
    if len(rows) <= count + 1:
        return rows
    return [*rows[:count], together(OTHERS, rows[count:], in_order=False)]
