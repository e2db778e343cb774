"""A sweep for people, and as JSON (a public format), CSV, JSON lines and Markdown: chosen points, and what all span."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from cnncost.analysis.choice import DISTANCE, POINT
from cnncost.analysis.sweep.axes import BATCH, INPUT, SIDES, Axis, shown_value
from cnncost.analysis.sweep.space import Space, Summary
from cnncost.analysis.sweep.walk import SECONDS
from cnncost.output.drawn import column, tables
from cnncost.output.formats import csv_text, json_text
from cnncost.output.grid import Drawn
from cnncost.output.records import pipe_table
from cnncost.output.tables import Paper
from cnncost.output.units import alike, duration, plural, printable, time_unit, unit_for

SCHEMA_VERSION = 1
"""Of the JSON of sweep; grows when a key changes its meaning or goes."""
HEADERS = {"activation_bytes": "activations", "weight_bytes": "weights", "peak_bytes": "peak",
           "training_peak_bytes": "training peak", "macs": "MACs", "flops": "FLOPs"}  # fmt: skip
REASONS_AT_MOST = 5
CONVENTIONS = (
    "MACs, FLOPs, activations: of the whole batch at inference, as cnncost report counts them; params of the network.",
    "peak: the most bytes alive at once at inference. training peak: in a step of SGD with momentum.",
)
TIME = "time on a device: the least by its roofline, layer by layer, not fused. A bound, and no prediction."


@dataclass(frozen=True)
class Swept:
    """What one command shows. rows: the chosen points, by column. chosen: which these are, after their number; "" for
    the first points.
    """

    space: Space
    summary: Summary
    rows: Mapping[str, Any]
    chosen: str

    @property
    def count(self) -> int:
        return len(self.rows[POINT]) if self.rows else 0

    @property
    def title(self) -> str:
        """Which points the rows are, in words."""
        if self.chosen:
            return printable(f"{plural(self.count, 'point')} {self.chosen}")
        if self.count < self.summary.kept:
            return f"the first {plural(self.count, 'point')}"
        return those(self) if self.count > 1 else plural(self.count, "point")


def sweep_table(swept: Swept, units: str = "auto", paper: Paper | None = None) -> str:
    """The space, the chosen points, and the least and most of every quantity."""
    paper = paper or Paper()
    body: list[Any] = [""]
    if swept.count:
        drawn = row_columns(swept, units)
        body += [Text(swept.title, style="bold"), *tables(drawn, paper, len(swept.space.axes))]
    if swept.summary.kept > 1:
        body += [Text(f"least and most of {those(swept)}", style="bold"), *tables(range_columns(swept, units), paper)]
    lines = impossible(swept.summary)
    body += [*map(Text, lines), ""] if lines else []
    legend = [Text(line, style="dim") for line in conventions(swept.space)] if paper.legend else []
    return paper.print(*heading(swept), *body, *legend)


def heading(swept: Swept) -> list[Text]:
    """The network, its space, and how many of its points count."""
    space, summary = swept.space, swept.summary
    first = Text(f"{printable(space.source.name)}, {plural(summary.points, 'design point')}", style="bold")
    lines = [Text(line, style="dim") for line in (conditions(space), *map(axis_line, space.axes))]
    fixed = [f"{name} {shown_value(value)}" for name, value in space.source.fixed.items()]
    lines += [Text(f"fixed: {printable(', '.join(fixed))}", style="dim")] if fixed else []
    if space.sample is not None:
        _, seed = space.sample
        lines.append(Text(f"drawn at random from {space.grid.size:,} points, seed {seed}"))
    if space.where is not None:
        part = f"{summary.kept:,} of {plural(summary.points, 'point')}"
        lines.append(Text(f"where {printable(space.where.text)}: {part}"))
    return [first, *lines]


def conditions(space: Space) -> str:
    """Input, batch and dtype, as far as they do not vary: input 3x*x*, batch 1, fp32."""
    names = {axis.name: axis for axis in space.axes}
    parts = []
    for name, sizes in space.source.inputs.items():
        sides = [str(size) for size in sizes]
        if INPUT in names and not names[INPUT].numeric:
            continue
        if INPUT in names:
            sides[1:] = "*" * len(sides[1:])
        for place, side in enumerate(SIDES[: len(sides)]):
            sides[place] = "*" if f"{INPUT}.{side}" in names else sides[place]
        parts.append(f"input {f'{name} ' if len(space.source.inputs) > 1 else ''}{'x'.join(sides)}")
    parts += [] if BATCH in names else [f"batch {space.source.batch:,}"]
    return printable(", ".join([*parts, space.wanted.dtype]))


def axis_line(axis: Axis) -> str:
    """An axis in words: width: 36 values, 0.25 to 2.0."""
    values = axis.values
    if len(values) <= 6:
        return printable(f"{axis.name}: {', '.join(map(shown_value, values))}")
    return printable(f"{axis.name}: {len(values):,} values, {shown_value(values[0])} to {shown_value(values[-1])}")


def conventions(space: Space) -> list[str]:
    """What the numbers mean."""
    return [*CONVENTIONS, *([TIME] if space.wanted.devices else [])]


def impossible(summary: Summary) -> list[str]:
    """Points that cannot be, by the layer that refuses them first. A reason's numbers are those of one point."""
    if not summary.impossible:
        return []
    total = sum(summary.impossible.values())
    by_layer: dict[str, tuple[int, str]] = {}
    for reason, count in summary.impossible.items():
        layer = reason.split(":", 1)[0]
        known = by_layer.get(layer, (0, reason))
        by_layer[layer] = known[0] + count, known[1]
    rows = sorted(by_layer.values(), key=lambda pair: -pair[0])
    lines = [f"{plural(total, 'point')} impossible, by the layer that refuses first, with the reason of one of them:"]
    lines += [f"  {count:,}: {printable(reason)}" for count, reason in rows[:REASONS_AT_MOST]]
    rest = sum(count for count, _ in rows[REASONS_AT_MOST:])
    return [*lines, *([f"  {rest:,}: by other layers"] if rest else [])]


def row_columns(swept: Swept, units: str) -> list[Drawn]:
    """A row a point."""
    space = swept.space
    drawn = [axis_column(swept, axis) for axis in space.axes]
    drawn += [quantity(name, listed(swept, name), units) for name in space.wanted.columns]
    if DISTANCE in swept.rows:
        drawn.append(column(DISTANCE, DISTANCE, "count", [f"{value:.4f}" for value in listed(swept, DISTANCE)]))
    return drawn


def axis_column(swept: Swept, axis: Axis) -> Drawn:
    """What an axis is at each point."""
    values = [shown_value(value) for value in listed(swept, axis.name)]
    return column(axis.name, printable(axis.name), "count" if axis.numeric else "text", list(map(printable, values)))


def listed(swept: Swept, name: str) -> list[Any]:
    """A column of the chosen points as Python's values."""
    values: list[Any] = swept.rows[name].tolist()
    return values


def those(swept: Swept) -> str:
    """All points that count, in words."""
    summary = swept.summary
    if summary.kept == summary.points:
        return f"all {plural(summary.kept, 'point')}"
    which = "meet the condition" if swept.space.where is not None else "are possible"
    return f"the {plural(summary.kept, 'point')} that {which}"


def range_columns(swept: Swept, units: str) -> list[Drawn]:
    """The least and the most of every quantity, each in its own unit, for they may be far apart."""
    ranges = {name: swept.summary.ranges[name] for name in swept.space.wanted.columns}
    names = [HEADERS.get(name, name) if not name.startswith(SECONDS) else f"time on {key(name)}" for name in ranges]
    drawn = [column("what", "", "text", names)]
    for place, header in enumerate(("least", "most")):
        drawn.append(column(header, header, "count", [alone(name, ranges[name][place], units) for name in ranges]))
    return drawn


def key(name: str) -> str:
    """The device of a column of least times."""
    return printable(name.removeprefix(f"{SECONDS}_"))


def alone(name: str, value: Any, units: str) -> str:
    """A number with its unit."""
    if name.startswith(SECONDS):
        return duration(value)
    unit = unit_for([value], name.endswith("_bytes"), units)
    return f"{unit.show(value)} {unit.name}".strip()


def quantity(name: str, values: Sequence[Any], units: str) -> Drawn:
    """A column of numbers in one unit."""
    header = HEADERS.get(name, name)
    if name.startswith(SECONDS):
        unit, worth = time_unit(values)
        return column(name, f"{unit} on {key(name)}", "count", alike(values, worth))
    chosen = unit_for(values, name.endswith("_bytes"), units)
    text = f"{header} ({chosen.name})" if chosen.name else header
    return column(name, text, "count", [chosen.show(value) for value in values])


# ---- for programs ---------------------------------------------------------------------------------


def records(swept: Swept) -> list[dict[str, Any]]:
    """The chosen points as plain data."""
    names = [POINT, *swept.space.columns, *([DISTANCE] if DISTANCE in swept.rows else [])]
    values = [listed(swept, name) for name in names] if swept.count else []
    return [dict(zip(names, row)) for row in zip(*values)]


def sweep_json(swept: Swept) -> str:
    """The JSON of `cnncost sweep`."""
    from cnncost import __version__

    space = swept.space
    return json_text(
        {
            "schema": SCHEMA_VERSION,
            "cnncost": __version__,
            "conventions": conventions(space),
            "name": space.source.name,
            "inputs": {name: list(sizes) for name, sizes in space.source.inputs.items()},
            "batch": space.source.batch,
            "dtype": space.wanted.dtype,
            "axes": [{"name": axis.name, "values": [plain(value) for value in axis.values]} for axis in space.axes],
            "fixed": {name: plain(value) for name, value in space.source.fixed.items()},
            "where": space.where and space.where.text,
            "quantities": list(space.wanted.columns),
            **swept.summary.record(),
            "chosen": swept.title if swept.count else "no point",
            "rows": records(swept),
        }
    )


def plain(value: Any) -> Any:
    """A value of an axis as JSON has it: a shape as a text."""
    return shown_value(value) if isinstance(value, tuple) else value


def sweep_csv(swept: Swept) -> str:
    """The chosen points, a line each."""
    rows = records(swept)
    names = [POINT, *swept.space.columns, *([DISTANCE] if DISTANCE in swept.rows else [])]
    return csv_text([names, *([row[name] for name in names] for row in rows)])


def sweep_lines(swept: Swept) -> str:
    """The chosen points as JSON lines."""
    import json

    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in records(swept))


def sweep_markdown(swept: Swept, units: str = "auto") -> str:
    """The same for documents."""
    title, *lines = (str(text) for text in heading(swept))
    parts = [f"**{title}**", "", *(f"- {line}" for line in lines), ""]
    if swept.count:
        parts += [f"{swept.title}:", "", *pipe_table(row_columns(swept, units)), ""]
    if swept.summary.kept > 1:
        parts += [f"least and most of {those(swept)}:", "", *pipe_table(range_columns(swept, units)), ""]
    if reasons := impossible(swept.summary):
        first, *rest = reasons
        parts += [first, "", *(f"- {line.strip()}" for line in rest), ""]
    return "\n".join([*parts, *(f"- {line}" for line in conventions(swept.space)), ""])


def sweep_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of what `cnncost sweep --format json` writes."""
    from cnncost.output.schema import COUNT, NAMES, document, object_

    text = {"type": "string"}
    value = {"type": ["number", "string", "boolean"]}
    pair = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    keys: dict[str, Any] = {
        "schema": {"const": SCHEMA_VERSION},
        "cnncost": text,
        "conventions": {"type": "array", "items": text},
        "name": text,
        "inputs": {"type": "object", "description": "shapes without the batch, where they do not vary"},
        "batch": {**COUNT, "description": "where it does not vary"},
        "dtype": text,
        "axes": {
            "type": "array",
            "items": object_({"name": text, "values": {"type": "array", "items": value}}),
            "description": "as rows go, the slowest first",
        },
        "fixed": {"type": "object", "description": "parameters that do not vary"},
        "where": {"type": ["string", "null"]},
        "quantities": {**NAMES, "description": "columns; bytes and seconds by their names"},
        "points": {**COUNT, "description": "design points that were priced"},
        "kept": {**COUNT, "description": "of them, those that are possible and meet the condition"},
        "impossible": {"type": "object", "additionalProperties": COUNT, "description": "points by their first reason"},
        "ranges": {"type": "object", "additionalProperties": pair, "description": "least and most of the kept"},
        "chosen": {**text, "description": "which points the rows are"},
        "rows": {"type": "array", "items": {"type": "object", "description": "a point by column"}},
    }
    return document("cnncost sweep", keys)
