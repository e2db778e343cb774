"""Reports as data: JSON (a public format, see REPORT_SCHEMA), CSV, Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from cnncost.analysis.columns import Column
from cnncost.analysis.report import CONVENTIONS, LayerReport, Report, figures
from cnncost.output.formats import csv_text, json_text, table_row
from cnncost.output.grid import Drawn, cell, draw, one_point
from cnncost.output.units import plural

SCHEMA_VERSION = 1
"""Grows when a key changes its meaning or goes; new keys do not change it."""


def layer_record(layer: LayerReport) -> dict[str, Any]:
    """One layer of the JSON report."""
    field = layer.receptive_field
    return {
        "name": layer.name,
        "op": layer.op,
        "kind": layer.kind,
        "inputs": list(layer.inputs),
        "output_shape": list(layer.output_shape) or None,
        **figures(layer.cost, layer.element_bytes),
        "peak_bytes": layer.peak_bytes,
        "intensity": layer.intensity,
        "receptive_field": list(field.size) if field else None,
        "receptive_field_stride": list(field.stride) if field else None,
        "receptive_field_centre": list(field.centre) if field else None,
        "dropped": list(layer.dropped) or None,
        "shares": layer.shares,
        "where": str(layer.where) if layer.where else None,
    }


def record(report: Report, rows: Sequence[LayerReport] | None = None) -> dict[str, Any]:
    """The JSON report as Python values; `rows` where they are folded or cut."""
    from cnncost import __version__

    one_point(report)
    first = next(iter(report.inputs.values()))
    return {
        "schema": SCHEMA_VERSION,
        "cnncost": __version__,
        "name": report.name,
        "source": report.source,
        "about": {k: v for k, v in report.about.items() if v is not None},
        "input": list(first),
        "inputs": {name: list(shape) for name, shape in report.inputs.items()},
        "outputs": list(report.outputs),
        "batch": report.batch,
        "dtype": report.dtype,
        "notes": list(report.notes),
        "conventions": list(CONVENTIONS),
        "totals": {**report.totals, "training_peak_bytes": report.training_peak_bytes},
        "per_image": report.per_image,
        "layers": [layer_record(layer) for layer in (report.layers if rows is None else rows)],
    }


def to_json(
    report: Report, rows: Sequence[LayerReport] | None = None, more: Mapping[str, Any] = MappingProxyType({})
) -> str:
    """The JSON report as text; more: further keys."""
    return json_text({**record(report, rows), **more})


def to_csv(rows: Sequence[LayerReport], columns: Sequence[Column]) -> str:
    """Whole numbers under the columns' names; no totals, so that columns can be summed."""
    kept = [column for column in columns if column.kind != "share"]
    return csv_text([[column.name for column in kept], *([plain(column, row) for column in kept] for row in rows)])


def plain(column: Column, row: Any) -> Any:
    """A value for programs: numbers as they are, everything else as in tables, nothing as nothing."""
    value = column.value(row)
    if isinstance(value, (int, float)):
        return value
    text = cell(value, column)
    return "" if text == "-" else text


def pipe_table(drawn: Sequence[Drawn]) -> list[str]:
    """Columns as the lines of a table in Markdown; feet in bold, where there are any."""
    cells = []
    for c in drawn:
        right = c.right or c.about.kind in ("share", "percent")
        feet = [f"**{c.foot}**" if c.foot else ""] if any(other.foot for other in drawn) else []
        cells.append([c.header.strip(), "---:" if right else "---", *(line.strip() for line in c.lines), *feet])
    return [table_row(line) for line in zip(*cells)]


def to_markdown(
    report: Report,
    rows: Sequence[LayerReport],
    columns: Sequence[Column],
    units: str = "exact",
    more: Sequence[str] = (),
    legend: bool = True,
) -> str:
    """A table for documents, with a heading, totals, `more` and, as `legend`, conventions."""
    from cnncost.output.tables import heading

    title, source = str(heading(report)).split("\n")
    t = report.totals
    return "\n".join(
        [
            f"**{title}**",
            "",
            source,
            "",
            *pipe_table(draw(report, rows, columns, units)),
            "",
            f"{t['params']:,} params, {t['macs']:,} MACs, {t['flops']:,} FLOPs, {plural(t['layers'], 'layer')} deep,"
            f" {t['peak_bytes']:,} bytes at the peak.",
            "",
            *more,
            *(f"- {line}" for line in (*report.notes, *(CONVENTIONS if legend else ()))),
            "",
        ]
    )
