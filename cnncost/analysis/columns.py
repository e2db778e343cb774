"""The columns of a report: what each shows, its unit, its name for --columns, CSV and data frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from cnncost.analysis.report import LayerReport
from cnncost.dims import shown
from cnncost.errors import UsageError, did_you_mean


class Column(NamedTuple):
    """One column. kind: text, count, bytes, or number (as it is). about: for --help and docs."""

    name: str
    header: str
    kind: str
    about: str
    value: Callable[[LayerReport], Any]


def _per_axis(values: Any) -> Any:
    """One entry an axis as 3x5, once where all are equal: 483."""
    if not values or None in values:
        return None
    text = [f"{v:g}" for v in values]
    return text[0] if len(set(text)) == 1 else "x".join(text)


def _dropped(layer: LayerReport) -> Any:
    return "x".join(map(str, layer.dropped)) if any(layer.dropped) else None


def _field(layer: LayerReport, part: str) -> Any:
    return _per_axis(getattr(layer.receptive_field, part)) if layer.receptive_field else None


def _count(field: str) -> Callable[[LayerReport], Any]:
    return lambda layer: getattr(layer.cost, field)


COLUMNS = {
    column.name: column
    for column in (
        Column("name", "layer", "text", "the layer's path", lambda r: r.name),
        Column("kind", "kind", "text", "the op and its telling options", lambda r: r.kind),
        Column("op", "op", "text", "the op's key in the language", lambda r: r.op),
        Column("inputs", "inputs", "text", "the layers it takes", lambda r: ", ".join(r.inputs)),
        Column("output", "output", "text", "output shape without the batch", lambda r: shown(r.output_shape[1:])),
        Column("params", "params", "count", "weights + biases + other learned numbers", lambda r: r.cost.params),
        Column("weights", "weights", "count", "learned numbers that multiply inside MACs", _count("weights")),
        Column("biases", "biases", "count", "learned numbers added to these sums", _count("biases")),
        Column("other_params", "other params", "count", "scales and shifts of norms, slopes", _count("other_params")),
        Column("buffers", "buffers", "count", "running statistics: kept, not learned", _count("buffers")),
        Column("macs", "MACs", "count", "multiply-accumulates", lambda r: r.cost.macs),
        Column("share", "of MACs", "share", "share of the network's MACs, as a bar", lambda r: r.cost.macs),
        Column("flops", "FLOPs", "count", "2 x MACs + all other operations", lambda r: r.cost.flops),
        Column("additions", "additions", "count", "other operations: additions", _count("additions")),
        Column("multiplications", "multiplications", "count", "... multiplications", _count("multiplications")),
        Column("comparisons", "comparisons", "count", "... comparisons", _count("comparisons")),
        Column("divisions", "divisions", "count", "... divisions", _count("divisions")),
        Column("exponentials", "exponentials", "count", "... exp, log, erf, powers, roots", _count("exponentials")),
        Column("neurons", "neurons", "count", "outputs of layers with weights", _count("neurons")),
        Column("read", "elements read", "count", "inputs and parameters, each once", _count("read")),
        Column("written", "elements written", "count", "outputs", _count("written")),
        Column("activation_bytes", "activations", "bytes", "storage of the output", lambda r: r.activation_bytes),
        Column("weight_bytes", "parameters", "bytes", "storage of the parameters", lambda r: r.weight_bytes),
        Column("moved_bytes", "moved", "bytes", "read + written", lambda r: r.moved_bytes),
        Column("intensity", "FLOPs/B", "number", "arithmetic intensity: FLOPs per byte moved", lambda r: r.intensity),
        Column("receptive_field", "sees (px)", "text", "receptive field in input pixels", lambda r: _field(r, "size")),
        Column("rf_stride", "every (px)", "text", "pixels between neighbouring fields", lambda r: _field(r, "stride")),
        Column("rf_centre", "centre (px)", "text", "middle of the first field, from 0", lambda r: _field(r, "centre")),
        Column("dropped", "dropped (px)", "text", "border pixels that the stride leaves unseen", _dropped),
        Column("shares", "shares", "text", "the layer whose parameters it reuses", lambda r: r.shares),
        Column("where", "where", "text", "file, line and column", lambda r: str(r.where) if r.where else None),
    )
}
DEFAULT = ("name", "kind", "output", "params", "macs", "share")


def chosen(names: str | None) -> list[Column]:
    """Columns by a comma-separated list; +x adds to the usual ones, all is all. Raises UsageError."""
    if not names:
        return [COLUMNS[name] for name in DEFAULT]
    wanted = [n.strip() for n in names.split(",") if n.strip()]
    if wanted == ["all"]:
        return list(COLUMNS.values())
    if any(n.startswith("+") for n in wanted):
        wanted = [*DEFAULT, *(n.lstrip("+") for n in wanted)]
    for name in wanted:
        if name not in COLUMNS:
            raise UsageError(f"unknown column {name}", hint=did_you_mean(name, COLUMNS, {"memory": "activation_bytes"}))
    return [COLUMNS[name] for name in dict.fromkeys(wanted)]


def row(layer: LayerReport) -> dict[str, Any]:
    """One layer as a flat dict of all columns, for data frames."""
    return {column.name: column.value(layer) for column in COLUMNS.values() if column.name != "share"}
