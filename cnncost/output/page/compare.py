"""The page of several networks: their map, which is error against cost, their table, and each of them in full."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from cnncost.analysis.columns import Column
from cnncost.analysis.compare import NETWORK_COLUMNS, VALIDATION, Comparison, NetworkRow
from cnncost.analysis.report import CONVENTIONS
from cnncost.output.compare import draw, heading, left_out, times
from cnncost.output.grid import Drawn, cell
from cnncost.output.page import page
from cnncost.output.units import alike, duration, printable, shape, time_unit, unit_for

KINDS = ("count", "bytes", "number", "year", "percent")
"""Columns of numbers, which the map can have on its axes."""
BETTER_LESS = {"count", "bytes", "percent"}
"""Kinds of which less is better; of the others neither is."""
NEITHER = ("neurons", "layers", "nodes", "year", "intensity")
"""Columns that say what a network is, and not what it costs."""
NAMES = {"layers": "depth (layers with weights)", "intensity": "FLOPs a byte", "top1_error": "top-1 error",
         "top5_error": "top-5 error", "peak_bytes": "peak memory", "weight_bytes": "parameter storage",
         "training_peak_bytes": "training peak memory", "moved_bytes": "bytes moved",
         "operations": "other operations"}  # fmt: skip
"""Names of axes, where a table's heading is too short."""
ERRORS = ("top5_error", "top1_error")
ERROR_KEYS = ("top1_error", "top5_error", "error")


class Zoo(NamedTuple):
    """What the page of a comparison shows.

    rows: those of the table, in its order. columns: asked for; None for the usual ones. given: options of the
    command that a report of one of the networks has to have, too.
    """

    comparison: Comparison
    rows: Sequence[NetworkRow]
    columns: Sequence[Column] | None = None
    units: str = "auto"
    given: tuple[str, ...] = ()


def compare_page(shown: Zoo) -> str:
    """The page as text."""
    axes = list(_axes(shown.rows))
    title, below = str(heading(shown.comparison, len(shown.rows))).split("\n")
    drawn = draw(shown.comparison, shown.rows, shown.columns, shown.units)
    asked = {column.about.name for column in drawn}
    mapped = [c for c in (axis.column for axis in axes) if c.name not in asked]
    own = [c for c in mapped if c.name in NETWORK_COLUMNS]
    further = [*draw(shown.comparison, shown.rows, own, shown.units), *_times(shown.rows, mapped)]
    data = {
        "axes": [axis.record() for axis in axes],
        "first": _first(axes),
        "networks": [_network(shown, row, axes) for row in shown.rows],
        "tested": _tested(shown.rows),
    }
    columns = [_cells(column, shown.rows, extra) for columns, extra in ((drawn, False), (further, True))
               for column in columns]  # fmt: skip
    return page(
        "compare",
        title,
        data,
        heading=title,
        below=below,
        axes=axes,
        columns=columns,
        rows=list(zip(*(column["cells"] for column in columns))),
        more=bool(further),
        tested=data["tested"],
        notes=_notes(shown),
        conventions=CONVENTIONS,
    )


class MapAxis(NamedTuple):
    """Numbers of networks as the map has them. worth: of one of its unit. better: less, or None where neither is."""

    column: Column
    name: str
    unit: str
    worth: float
    better: str | None
    text: Callable[[Any], str]

    @property
    def label(self) -> str:
        return f"{self.name} ({self.unit})" if self.unit else self.name

    def record(self) -> dict[str, Any]:
        """For the script. log: whether the axis is logarithmic at first."""
        amount = self.column.kind in ("count", "bytes")
        return {"key": self.column.name, "name": self.name, "label": self.label, "worth": self.worth, "log": amount,
                "better": self.better, "error": self.column.name in ERRORS,
                "year": self.column.kind == "year"}  # fmt: skip


def _axes(rows: Sequence[NetworkRow]) -> Iterable[MapAxis]:
    """The columns of numbers in which any network has one."""
    times = dict.fromkeys(name for row in rows for name, _ in row.least_seconds)
    columns = [c for c in NETWORK_COLUMNS.values() if c.kind in KINDS]
    for column in [*columns, *map(_time_column, times)]:
        values = [value for value in map(column.value, rows) if value is not None]
        if not values:
            continue
        name = NAMES.get(column.name, column.header)
        better = "less" if column.kind in BETTER_LESS and column.name not in NEITHER else None
        if column.name.startswith("seconds "):
            unit, worth = time_unit(values)
            yield MapAxis(column, name, unit, worth, better, duration)
        elif column.adds_up:
            best = unit_for([sorted(values)[len(values) // 2]], column.kind == "bytes", "auto")
            yield MapAxis(column, name, best.name, best.worth, better, _amount(column))
        else:
            unit = "%" if column.kind == "percent" else ""
            yield MapAxis(column, name, unit, 1, better, _plain(column))


def _amount(column: Column) -> Callable[[Any], str]:
    """A count or bytes, in the unit that leaves at least 1."""

    def text(value: Any) -> str:
        unit = unit_for([value], column.kind == "bytes", "auto")
        return f"{unit.show(value)} {unit.name}".strip()

    return text


def _plain(column: Column) -> Callable[[Any], str]:
    """A number as its column has it."""
    return lambda value: cell(value, column) + ("%" if column.kind == "percent" else "")


def _time_column(device: str) -> Column:
    """The least time on a device."""
    about = "the least by its roofline, layer by layer, not fused: a bound, and no prediction"
    header = f"least time on {device}"
    return Column(f"seconds {device}", header, "count", about, lambda row: dict(row.least_seconds).get(device))


def _times(rows: Sequence[NetworkRow], columns: Iterable[Column]) -> list[Drawn]:
    """The columns of least times as text."""
    found = []
    for column in columns:
        if column.name not in NETWORK_COLUMNS:
            values = [column.value(row) for row in rows]
            unit, worth = time_unit(values)
            found.append(Drawn(column, f"{column.header} ({unit})", alike(values, worth), ""))
    return found


def _first(axes: Sequence[MapAxis]) -> dict[str, str]:
    """What the map has at first: error against MACs, parameters as areas; without errors, memory against MACs."""
    known = {axis.column.name for axis in axes}
    error = next((name for name in ERRORS if name in known), "peak_bytes")
    return {"x": "macs", "y": error, "area": "params"}


def _tested(rows: Sequence[NetworkRow]) -> list[dict[str, str]]:
    """Ways in which errors were measured: on which images, and with which crops; the most usual first."""
    rates = [rate for rate in (row.error_rate for row in rows) if rate]
    images = Counter(rate.dataset or "not said on what" for rate in rates)
    ways = Counter(rate.how for rate in rates if rate.dataset == VALIDATION)
    by_images = [{"key": f"on {name}", "name": f"{name} ({count:,})"} for name, count in images.most_common()]
    by_way = [{"key": name, "name": f"{VALIDATION}, {name} ({count:,})"} for name, count in ways.most_common()]
    return [*by_images, *(by_way if len(by_way) > 1 else [])]


def _network(shown: Zoo, row: NetworkRow, axes: Sequence[MapAxis]) -> dict[str, Any]:
    """One network for the script. figures: names, texts and ratios."""
    rate = row.error_rate
    values = {axis.column.name: axis.column.value(row) for axis in axes}
    return {
        "name": printable(row.name),
        "network": printable(row.network),
        "family": printable(str(row.about.get("family") or "")),
        "title": " · ".join(printable(str(row.about[key])) for key in ("title", "paper") if row.about.get(key)),
        "input": ", ".join(shape(sizes[1:]) for sizes in row.inputs.values()),
        "values": {key: value for key, value in values.items() if value is not None},
        "texts": {axis.column.name: axis.text(value) for axis in axes
                  if (value := values[axis.column.name]) is not None},
        "ratios": {axis.column.name: times(ratio) for axis in axes
                   if (ratio := shown.comparison.ratio(row, axis.column)) is not None
                   and axis.column.name in NETWORK_COLUMNS},
        "tested": [f"on {rate.dataset or 'not said on what'}", *([rate.how] if rate.dataset == VALIDATION else [])]
        if rate else [],
        "error": _conditions(row),
        "facts": [_fact(fact) for fact in row.facts if set(fact) & set(ERROR_KEYS)],
        "notes": [printable(note) for note in row.notes],
        "command": command(row, shown.given),
    }  # fmt: skip


def _conditions(row: NetworkRow) -> str:
    """How the error that is shown was measured, and where that is written."""
    rate = row.error_rate
    if rate is None:
        return ""
    where = f"{rate.source}, {rate.place}" if rate.place else rate.source
    return printable(f"{row.tested}{'' if rate.dataset is None else f', {rate.dataset}'}; {where}")


def _fact(fact: Any) -> tuple[str, str]:
    """A published error: the figure, and its conditions."""
    names = {"top1_error": "top-1 ", "top5_error": "top-5 ", "error": ""}
    figures = ", ".join(f"{name}{cell(fact[key], NETWORK_COLUMNS['top1_error'])}%" for key, name in names.items()
                        if key in fact)  # fmt: skip
    models, crops, size = fact.get("models", 1), fact.get("crops", 1), fact.get("crop_size")
    how = [fact.get("dataset") or "not said on what", f"{models} models" if models > 1 else "",
           f"{crops} crop{'s' if crops > 1 else ''}", f"{size} px" if size else "", fact.get("note", ""),
           fact["source"], fact.get("place", "")]  # fmt: skip
    return figures, printable(", ".join(str(part) for part in how if part))


def command(row: NetworkRow, given: Iterable[str] = ()) -> str:
    """What prints the report of a network of a comparison."""
    spec = row.name if row.about.get("bundled") else row.source or row.network
    return shlex.join(["cnncost", "report", spec, *given])


def _cells(column: Drawn, rows: Sequence[NetworkRow], further: bool) -> dict[str, Any]:
    """A column of the table: its texts, and what they are sorted by. further: shown where all are."""
    right = column.right or column.about.kind == "percent"
    ranks = [column.about.rank(row) for row in rows]
    cells = [(line.strip(), "" if rank is None else rank) for line, rank in zip(column.lines, ranks)]
    return {"name": column.about.name, "header": column.header.strip(), "about": column.about.about, "right": right,
            "number": right or column.about.kind == "shape", "more": further, "cells": cells}  # fmt: skip


def _notes(shown: Zoo) -> list[str]:
    """What a reader should know of the rows."""
    comparison = shown.comparison
    lines = [] if comparison.base is None else [f"x: times the figure of {printable(comparison.base.name)}."]
    return [*lines, *left_out(comparison)]
