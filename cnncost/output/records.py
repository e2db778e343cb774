"""Reports as data: JSON (a public format, see REPORT_SCHEMA), CSV, Markdown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from io import StringIO
from typing import Any

from cnncost.analysis.columns import Column
from cnncost.analysis.report import CONVENTIONS, LayerReport, Report
from cnncost.output.units import percent, unit_for

SCHEMA_VERSION = 1
"""Grows when a key changes its meaning or goes; new keys do not change it."""


def layer_record(layer: LayerReport) -> dict[str, Any]:
    """One layer of the JSON report."""
    field, cost = layer.receptive_field, layer.cost
    return {
        "name": layer.name,
        "op": layer.op,
        "kind": layer.kind,
        "inputs": list(layer.inputs),
        "output_shape": list(layer.output_shape),
        "params": cost.params,
        "weights": cost.weights,
        "biases": cost.biases,
        "other_params": cost.other_params,
        "buffers": cost.buffers,
        "macs": cost.macs,
        "flops": cost.flops,
        "additions": cost.additions,
        "multiplications": cost.multiplications,
        "comparisons": cost.comparisons,
        "divisions": cost.divisions,
        "exponentials": cost.exponentials,
        "neurons": cost.neurons,
        "elements_read": cost.read,
        "elements_written": cost.written,
        "activation_bytes": layer.activation_bytes,
        "weight_bytes": layer.weight_bytes,
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
        "conventions": list(CONVENTIONS),
        "totals": report.totals,
        "per_image": report.per_image,
        "layers": [layer_record(layer) for layer in (report.layers if rows is None else rows)],
    }


def to_json(report: Report, rows: Sequence[LayerReport] | None = None) -> str:
    """The JSON report as text."""
    return json.dumps(record(report, rows), indent=2, ensure_ascii=False) + "\n"


def to_csv(rows: Sequence[LayerReport], columns: Sequence[Column]) -> str:
    """Whole numbers under the columns' names; no totals, so that columns can be summed."""
    import csv

    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    kept = [column for column in columns if column.kind != "share"]
    writer.writerow([column.name for column in kept])
    for layer in rows:
        writer.writerow(["" if (v := column.value(layer)) is None else v for column in kept])
    return out.getvalue()


def to_markdown(report: Report, rows: Sequence[LayerReport], columns: Sequence[Column], units: str) -> str:
    """A table for documents, with a heading, totals and conventions."""
    from cnncost.output.tables import cell, heading

    lines = ["**" + str(heading(report)).replace("\n", "**\n\n", 1), ""]
    cells: list[list[str]] = []
    for column in columns:
        values = [column.value(layer) for layer in rows]
        if column.kind == "share":
            cells.append([column.header, "---:", *(percent(v, report.total.macs) for v in values), ""])
            continue
        adds = column.kind in ("count", "bytes")
        whole = column.value(report.layers[-1]._replace(cost=report.total)) if adds else None
        unit = unit_for([*values, whole], column.kind == "bytes", units) if adds else None
        header = column.header + (f" ({unit.name})" if unit and unit.name else "")
        foot = "**total**" if column.name == "name" else f"**{cell(whole, column, unit)}**" if adds else ""
        rule = "---" if column.kind == "text" else "---:"
        cells.append([header, rule, *(cell(v, column, unit) for v in values), foot])
    lines += ["| " + " | ".join(text.replace("|", "\\|") for text in line) + " |" for line in zip(*cells)]
    t = report.totals
    lines += ["", f"{t['params']:,} params, {t['macs']:,} MACs, {t['flops']:,} FLOPs, {t['layers']} layers deep.", ""]
    lines += [f"- {line}" for line in CONVENTIONS]
    return "\n".join(lines) + "\n"
