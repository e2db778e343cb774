"""The columns of a report: what each holds, its unit, its name for --columns, CSV and data frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from cnncost.analysis.report import LayerReport
from cnncost.dims import numel
from cnncost.errors import UsageError, did_you_mean


class Column(NamedTuple):
    """One column; values are raw, and shown by cnncost.output.units.

    kind: text; names (a tuple of them); shape; axes (a number an axis, in pixels); count; bytes;
    peak (bytes that do not add up); share (of all MACs); number; and beside networks: year; percent,
    the smaller the better.
    about: for help and docs. value: of a row, which is a layer here and a network in a comparison.
    """

    name: str
    header: str
    kind: str
    about: str
    value: Callable[[Any], Any]

    @property
    def adds_up(self) -> bool:
        """Whether values are amounts: those of all layers have a sum, those of two networks a ratio."""
        return self.kind in ("count", "bytes")

    def rank(self, row: Any) -> Any:
        """What rows are sorted by: a number, or a text from A; None where there is nothing."""
        value = self.value(row)
        if value is None or value == () or (self.kind == "axes" and None in value):
            return None
        return numel(value) if self.kind in ("axes", "shape") else value


def _dropped(layer: LayerReport) -> Any:
    return layer.dropped if any(layer.dropped) else None


def _field(part: str) -> Callable[[LayerReport], Any]:
    return lambda layer: getattr(layer.receptive_field, part) if layer.receptive_field else None


def _count(field: str) -> Callable[[LayerReport], Any]:
    return lambda layer: getattr(layer.cost, field)


COLUMNS = {
    column.name: column
    for column in (
        Column("name", "layer", "text", "the layer's path", lambda r: r.name),
        Column("kind", "kind", "text", "the op and its telling options", lambda r: r.kind),
        Column("op", "op", "text", "the op's key in the language", lambda r: r.op),
        Column("inputs", "inputs", "names", "the layers it takes", lambda r: r.inputs),
        Column("output", "output", "shape", "output shape without the batch", lambda r: r.output),
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
        Column("read", "read", "count", "elements read: inputs and parameters, each once", _count("read")),
        Column("written", "written", "count", "elements written: outputs", _count("written")),
        Column("activation_bytes", "activations", "bytes", "storage of the output", lambda r: r.activation_bytes),
        Column("weight_bytes", "parameters", "bytes", "storage of the parameters", lambda r: r.weight_bytes),
        Column("moved_bytes", "moved", "bytes", "read + written", lambda r: r.moved_bytes),
        Column(
            "peak_bytes", "alive", "peak", "most bytes of the whole network alive while it runs", lambda r: r.peak_bytes
        ),
        Column("intensity", "FLOPs/B", "number", "arithmetic intensity: FLOPs per byte moved", lambda r: r.intensity),
        Column("receptive_field", "field (px)", "axes", "receptive field in input pixels", _field("size")),
        Column("rf_stride", "every (px)", "axes", "pixels between neighbouring receptive fields", _field("stride")),
        Column("rf_centre", "centre (px)", "axes", "middle of the first receptive field, from 0", _field("centre")),
        Column("dropped", "dropped (px)", "axes", "border pixels that the stride leaves unseen", _dropped),
        Column("shares", "shares", "text", "the layer whose parameters it reuses", lambda r: r.shares),
        Column("where", "where", "text", "file, line and column", lambda r: str(r.where) if r.where else None),
    )
}
DEFAULT = ("name", "kind", "output", "params", "macs", "share")


SYNONYMS = {"memory": "peak_bytes", "alive": "peak_bytes"}
"""What columns may be called: for hints only."""


def chosen(
    names: str | None,
    columns: Mapping[str, Column] = COLUMNS,
    default: Sequence[str] = DEFAULT,
    synonyms: dict[str, str] = SYNONYMS,
) -> list[Column]:
    """Columns by a comma-separated list; +x adds to the usual ones, all is all. Raises UsageError."""
    if names is None:
        return [columns[name] for name in default]
    wanted = [name.strip() for name in names.split(",")]
    if any(name.startswith("+") for name in wanted):
        wanted = [*default, *(name.lstrip("+") for name in wanted)]
    if "all" in wanted:
        wanted = [*(name for name in wanted if name != "all"), *columns]
    for name in wanted:
        if name not in columns:
            hint = did_you_mean(name, [*columns, "all"], synonyms)
            raise UsageError(f"unknown column {name}" if name else "a column without a name", hint=hint)
    return [columns[name] for name in dict.fromkeys(wanted)]


def row(layer: LayerReport) -> dict[str, Any]:
    """One layer as a flat dict of all columns, for data frames: one number where all axes agree."""
    flat: dict[str, Any] = {}
    for column in COLUMNS.values():
        value = column.value(layer)
        if column.kind == "axes" and value and len(set(value)) == 1:
            value = value[0]
        if column.kind != "share":
            flat[column.name] = value
    return flat
