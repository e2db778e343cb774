"""The page of timings: layer by layer, their sum beside the whole, and studies of one op over its sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cnncost.analysis.bench import READINGS, BenchRow, BenchTable, distinct_layers
from cnncost.analysis.samples import DOUBTS, Timing
from cnncost.graph import Graph
from cnncost.output.bench import BEYOND, CONVENTIONS, layer_columns, rate_text, setting_text, spread_text, sums, timings
from cnncost.output.page import page
from cnncost.output.units import milliseconds, percent, plural, printable, shape, time_unit

FIELDS = {"dtype": "{}", "layout": "{}", "direction": "{}", "cache": "cache {}", "compile": "compiled {}",
          "algorithms": "algorithms {}", "threads": "threads {}", "heap": "heap {}"}  # fmt: skip
"""How a field of the setting is said where settings differ in it."""
ROWS_AT_FIRST = 40
"""Layers that charts show of a network with more, until all are asked for."""
METHOD = (
    "Every distinct layer runs alone, again and again in samples of several runs, after a warm-up; all of them once a "
    "repetition, so that a slow spell of the machine shows as spread and not in one layer."
)
SIDES = ("input channels", "input height", "input width")


class BenchPage(NamedTuple):
    """What the page of timings shows. graphs: that were timed. machine: what is told of it, by name."""

    tables: Sequence[BenchTable]
    graphs: Sequence[Graph]
    machine: Mapping[str, str]


def bench_page(shown: BenchPage) -> str:
    """The page as text."""
    tables = shown.tables
    single = tables[0].batch is None
    names = _names(tables)
    unit, worth = time_unit(
        [row.seconds for table in tables for row in table.rows]
        or [t.median for table in tables for t in timings(table)]
    )
    data = {
        "unit": unit,
        "worth": worth,
        "first": ROWS_AT_FIRST,
        "tables": [{**_table(table), "name": name} for table, name in zip(tables, names)],
        "study": _study(shown, names) if single else None,
    }
    doubts = dict.fromkeys(doubt for table in tables for timing in timings(table) for doubt in timing.doubts)
    beyond = any((row.efficiency or 0) > 1 for table in tables for row in table.rows)
    return page(
        "bench",
        f"{printable(tables[0].name)} by the clock",
        data,
        heading=printable(tables[0].name),
        below=f"on {printable(tables[0].setting.device)}, by the clock",
        single=single,
        many=max(len(table.rows) for table in tables) > ROWS_AT_FIRST,
        roofline=any(row.attainable for table in tables for row in table.rows),
        parts=[_part(table, name, number) for number, (table, name) in enumerate(zip(tables, names))],
        machine=[(name.replace("_", " "), printable(text)) for name, text in shown.machine.items()
                 if name not in READINGS],
        doubts=[(doubt, DOUBTS[doubt]) for doubt in doubts],
        conventions=[METHOD, *CONVENTIONS, *([BEYOND] if beyond else [])],
    )  # fmt: skip


def _names(tables: Sequence[BenchTable]) -> list[str]:
    """What tells the tables apart: batch and fields of the setting in which they differ."""
    fields = [name for name in FIELDS if len({getattr(table.setting, name) for table in tables}) > 1]
    batches = len({table.batch for table in tables}) > 1

    def name(table: BenchTable) -> str:
        parts = [f"batch {table.batch:,}"] if batches else []
        parts += [FIELDS[field].format(getattr(table.setting, field)) for field in fields]
        return ", ".join(parts) or setting_text(table.setting, table.batch).split(";")[0]

    return [name(table) for table in tables]


def _part(table: BenchTable, name: str, number: int) -> dict[str, Any]:
    """A table as the template has it."""
    drawn = layer_columns(table)
    values = [_values(row) for row in table.rows]
    columns = [
        {"name": column.header, "right": column.right, "ranks": [value.get(column.about.name, "") for value in values]}
        for column in drawn
    ]
    rows = list(enumerate(zip(*(column.lines for column in drawn))))
    return {"number": number, "name": name, "setting": setting_text(table.setting, table.batch), "columns": columns,
            "rows": rows, "sums": [str(line) for line in sums(table)]}  # fmt: skip


def _values(row: BenchRow) -> dict[str, Any]:
    """What a row's cells are sorted by."""
    found = {"instances": row.instances, "time": row.timing and row.timing.median, "flops": row.flops_per_second,
             "bytes": row.bytes_per_second, "share": row.seconds, "roofline": row.efficiency,
             "spread": row.timing and row.timing.spread}  # fmt: skip
    return {name: value for name, value in found.items() if value is not None}


def _table(table: BenchTable) -> dict[str, Any]:
    """A table for the script; seconds."""
    return {
        "rows": [_row(row) for row in table.rows],
        "whole": _timing(table.whole),
        "failure": table.failure,
        "sum": table.sum_seconds,
        "sumText": None if table.sum_seconds is None else milliseconds(table.sum_seconds),
    }


def _timing(timing: Timing | None) -> dict[str, Any] | None:
    if timing is None:
        return None
    return {"median": timing.median, "low": timing.low, "high": timing.high, "doubts": list(timing.doubts),
            "text": f"{milliseconds(timing.median)}, {spread_text(timing)}"}  # fmt: skip


def _row(row: BenchRow) -> dict[str, Any]:
    """A distinct layer for the script. seconds: of all layers that it stands for; lines: all that is said of it."""
    lines = [f"{printable(row.names[0])}: {printable(row.kind)} on {', '.join(map(shape, row.inputs))}"]
    if row.instances > 1:
        lines.append(f"{plural(row.instances, 'layer')} alike: {printable(', '.join(row.names), 120)}")
    if row.timing is not None:
        lines.append(f"time: {milliseconds(row.timing.median)}, {spread_text(row.timing)}")
        if row.instances > 1:
            lines.append(f"of all: {milliseconds(row.seconds)}")
        lines += [f"{rate_text(value)}{name}" for value, name in
                  ((row.flops_per_second, "FLOP/s"), (row.bytes_per_second, "B/s")) if value]  # fmt: skip
        lines += [f"{percent(row.efficiency, 1)} of the roofline"] if row.efficiency else []
        lines += [f"within the network: {milliseconds(row.within)}"] if row.within else []
        lines += [f"doubts: {', '.join(row.timing.doubts)}"] if row.timing.doubts else []
    elif row.failure:
        lines.append(printable(row.failure))
    return {
        "label": printable(row.names[0], 40) + (f" ×{row.instances}" if row.instances > 1 else ""),
        "names": [printable(name) for name in row.names],
        "op": row.op,
        "instances": row.instances,
        "timing": _timing(row.timing),
        "failure": row.failure and printable(row.failure),
        "flops": row.flops_per_second,
        "bytes": row.bytes_per_second,
        "efficiency": row.efficiency,
        "within": row.within,
        "lines": lines,
    }


# ---- studies --------------------------------------------------------------------------------------------


def _study(shown: BenchPage, names: Sequence[str]) -> dict[str, Any]:
    """Layers of one op over what varies among them. at: of every row of every table, its place on each axis."""
    square = all(len(set(_input(graph)[2:])) == 1 for graph in shown.graphs)
    varied = [_sizes(graph, square) for graph in shown.graphs]
    keys = {_key(graph): sizes for graph, sizes in zip(shown.graphs, varied)}
    axes: list[dict[str, Any]] = []
    for name in dict.fromkeys(name for sizes in varied for name in sizes):
        values = list(dict.fromkeys(sizes.get(name) for sizes in varied))
        if len(values) > 1:
            numeric = all(type(value) in (int, float) for value in values)
            values = sorted(values) if numeric else values  # type: ignore[type-var]  # numbers
            axes.append({"key": name, "name": printable(name.replace("_", " ")), "numeric": numeric,
                         "values": values if numeric else list(map(str, values))})  # fmt: skip
    at: list[list[dict[str, Any]]] = []
    for table in shown.tables:
        if len(table.rows) == len(varied):
            rows = varied
        else:
            rows = [keys.get((row.kind, row.inputs, row.output), {}) for row in table.rows]
        at.append([{axis["key"]: sizes.get(axis["key"]) for axis in axes} for sizes in rows])
    return {"axes": axes, "at": at, "settings": list(names) if len(names) > 1 else None}


def _key(graph: Graph) -> tuple[Any, ...]:
    """What tells the row of a layer from others."""
    layers, _ = distinct_layers(graph)
    if not layers:
        return ()
    op, inputs, layer_names = layers[0]
    output: Any = next(node.shape for node in graph if node.name == layer_names[0])
    return op.describe(*inputs), inputs, tuple(output)


def _input(graph: Graph) -> tuple[int, ...]:
    """The shape of a single layer's first input."""
    first: Any = graph.shapes[graph.nodes[-1].inputs[0]]
    return tuple(map(int, first))


def _sizes(graph: Graph, square: bool) -> dict[str, Any]:
    """Everything of a single layer that may vary: its options, the batch, sizes of its input. square: those of all
    are as high as wide.
    """
    op = graph.nodes[-1].op
    found = {name: _plain(getattr(op, name)) for name in op.options}
    found["batch"], *sides = _input(graph)
    if len(sides) == len(SIDES) and square:
        return {**found, SIDES[0]: sides[0], "input side": sides[1]}
    names = SIDES if len(sides) == len(SIDES) else tuple(f"input size {n + 1}" for n in range(len(sides)))
    return {**found, **dict(zip(names, sides))}


def _plain(value: Any) -> Any:
    """An option's value as a number where it is one, or the same on all axes; else as a text."""
    if isinstance(value, tuple) and value and all(each == value[0] for each in value):
        return _plain(value[0])
    return value if type(value) in (int, float) else printable(str(value), 60)
