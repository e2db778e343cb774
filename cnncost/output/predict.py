"""Predicted times for people and programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rich.text import Text

from cnncost.analysis.predict import NEAREST, SOURCES, Prediction, Row
from cnncost.analysis.samples import DOUBTS
from cnncost.output.bench import rate_text, setting_words
from cnncost.output.drawn import columns, tables
from cnncost.output.formats import csv_text, json_text
from cnncost.output.grid import Drawn
from cnncost.output.records import pipe_table
from cnncost.output.tables import Paper
from cnncost.output.units import around, milliseconds, percent, plural, printable, shape

SCHEMA_VERSION = 1
"""Of the JSON of predict; grows when a key changes its meaning or goes."""
OUTSIDE_AT_MOST = 8
CONVENTIONS = (
    "time: of one of the layers. nine in ten: what so many such times lie between, as leaving measured layers out has "
    "shown; of a measured layer its spread.",
    "roofline: the least time by the device's sheet, with the launch overhead where the sheet has one.",
)


def predict_table(predictions: Sequence[Prediction], paper: Paper | None = None) -> str:
    """Every prediction with its layers, where their times come from, and the network's."""
    paper = paper or Paper()
    parts: list[Any] = []
    for prediction in predictions:
        table = tables(layer_columns(prediction), paper)
        parts += [*heading(prediction), "", *table, *map(Text, sums(prediction)), *_warned(prediction), ""]
    used = dict.fromkeys(row.source for prediction in predictions for row in prediction.rows)
    measured = any(prediction.known for prediction in predictions)
    lines = list(CONVENTIONS if measured else CONVENTIONS[1:])
    lines += [f"{source}: {SOURCES[source]}." for source in SOURCES if measured and source in used]
    return paper.print(*parts, *(Text(line, style="dim") for line in lines))


def heading(prediction: Prediction) -> list[Text]:
    """The network, the device and the setting."""
    device, setting = prediction.device, prediction.setting
    title = f"{printable(prediction.name)} on {printable(f'{device.maker} {device.name}')}, predicted"
    return [Text(title, style="bold"), Text(setting_words(setting, prediction.batch), style="dim")]


def layer_columns(prediction: Prediction) -> list[Drawn]:
    """A row a distinct layer."""
    rows, total = prediction.rows, prediction.layers_seconds
    shown: list[tuple[str, str, str, Callable[[Row], str]]] = [
        ("name", "layer", "text", lambda row: printable(row.names[0])),
        ("kind", "kind", "text", lambda row: printable(row.kind)),
        ("output", "output", "shape", lambda row: shape(row.output[1:])),
        ("instances", "times", "count", lambda row: f"{row.instances:,}"),
        ("time", "time", "count", lambda row: milliseconds(row.seconds)),
        ("range", "nine in ten", "count", lambda row: range_text(row.seconds, row.low, row.high)),
        ("roofline", "roofline", "count", lambda row: milliseconds(row.least)),
        ("flops", "FLOP/s", "count", lambda row: rate_text(2 * row.macs / row.seconds if row.macs else None)),
        ("share", "of sum", "count", lambda row: percent(row.instances * row.seconds, total)),
        ("source", "from", "text", source_text),
    ]
    if not prediction.known:
        shown = [column for column in shown if column[0] not in ("range", "roofline", "source")]
    return columns(rows, shown)


def source_text(row: Row) -> str:
    """Where a time comes from, with what to know of it."""
    near = f" {row.near}" if row.source == NEAREST else ""
    return f"{row.source}{near}{', outside' if row.outside else ''}"


def range_text(middle: float, low: float | None, high: float | None) -> str:
    """A range as parts of its middle: -12 +15 %."""
    if low is None or high is None or not middle:
        return ""
    return around(middle, low, high)


def sums(p: Prediction) -> list[str]:
    """The network's time, what it is made of, and what it can be held against."""
    layers = plural(sum(row.instances for row in p.rows), "layer")
    lines = [f"sum of {layers}, {len(p.rows):,} of them distinct: {milliseconds(p.layers_seconds)}"]
    if p.networks:
        lines.append(
            f"whole networks take {p.whole:.3f} times the sum of their layers, by {plural(p.networks, 'network')}"
        )
    between = ""
    if p.low is not None and p.high is not None:
        between = f", nine in ten between {milliseconds(p.low)} and {milliseconds(p.high)}"
    lines.append(f"network: {milliseconds(p.seconds)}{between}")
    if p.known:
        parts = [
            f"{source} {percent(p.seconds_of(source), p.layers_seconds)}" for source in SOURCES if p.seconds_of(source)
        ]
        lines.append(f"time comes from: {', '.join(parts)}")
        lines.append(f"by the device's sheet alone: {milliseconds(p.roofline)}")
    if p.measured is not None:
        lines.append(f"measured, this very network: {milliseconds(p.measured)}")
    return lines


def unknowns(p: Prediction) -> list[str]:
    """What was not known, a line each."""
    lines = []
    if not p.known:
        lines.append("Nothing was measured: a device seldom comes near its roofline. --results takes measured layers.")
    elif not p.networks:
        lines.append("No network was measured whole: what it takes beyond its layers is not in the time.")
    if p.known and p.unknown_kinds:
        lines.append(f"Kinds that nothing was measured of: {', '.join(map(printable, p.unknown_kinds))}.")
    outside = [row for row in p.rows if row.outside]
    lines += [f"{printable(row.names[0])} lies outside what was measured: {', '.join(row.outside)}."
              for row in outside[:OUTSIDE_AT_MOST]]  # fmt: skip
    if len(outside) > OUTSIDE_AT_MOST:
        lines.append(f"So do {len(outside) - OUTSIDE_AT_MOST:,} more.")
    if not overhead_known(p):
        lines.append("The device's sheet has no launch overhead: short layers take longer than the roofline says.")
    if p.doubtful:
        lines.append(f"{p.doubtful:,} of {p.known:,} measured layers bear a doubt ({', '.join(DOUBTS)}).")
    if p.untimed:
        lines.append(f"{plural(len(p.untimed), 'operator')} run only within the model and are not in the sum.")
    return lines


def overhead_known(p: Prediction) -> bool:
    """Whether the device's sheet says what an operator takes at the least."""
    return (p.device.shortest_kernel if p.device.kind == "gpu" else p.device.launch_overhead) is not None


def _warned(prediction: Prediction) -> list[Text]:
    return [Text(line, style="yellow") for line in unknowns(prediction)]


def predict_markdown(predictions: Sequence[Prediction]) -> str:
    """The same for documents."""
    lines = []
    for p in predictions:
        title, setting = (str(text) for text in heading(p))
        lines += [f"**{title}**", "", setting, "", *pipe_table(layer_columns(p)), ""]
        lines += [*(f"- {line}" for line in (*sums(p), *unknowns(p))), ""]
    return "\n".join([*lines, *(f"- {line}" for line in CONVENTIONS), ""])


# ---- for programs ---------------------------------------------------------------------------------


def prediction_record(p: Prediction) -> dict[str, Any]:
    """One network of the JSON."""
    return {
        "name": p.name,
        "source": p.source,
        "device": p.device.key,
        "setting": p.setting.record(),
        "inputs": {name: list(sizes) for name, sizes in p.inputs.items()},
        "batch": p.batch,
        "seconds": p.seconds,
        "low_seconds": p.low,
        "high_seconds": p.high,
        "layers_seconds": p.layers_seconds,
        "whole_over_layers": p.whole,
        "networks": p.networks,
        "roofline_seconds": p.roofline,
        "measured_seconds": p.measured,
        "known": p.known,
        "doubtful": p.doubtful,
        "free": p.free,
        "untimed": list(p.untimed),
        "unknown_kinds": list(p.unknown_kinds),
        "unknowns": unknowns(p),
        "layers": [
            {
                "names": list(row.names),
                "kind": row.kind,
                "input_shapes": [list(each) for each in row.inputs],
                "output_shape": list(row.output),
                "macs": row.macs,
                "bytes_moved": row.bytes,
                "seconds": row.seconds,
                "low_seconds": row.low,
                "high_seconds": row.high,
                "from": row.source,
                "near": row.near,
                "outside": list(row.outside),
                "roofline_seconds": row.least,
            }
            for row in p.rows
        ],
    }


def predict_json(predictions: Sequence[Prediction]) -> str:
    """The JSON of `cnncost predict`."""
    from cnncost import __version__

    parts = {"schema": SCHEMA_VERSION, "cnncost": __version__, "sources": SOURCES}
    return json_text({**parts, "networks": [prediction_record(p) for p in predictions]})


def predict_csv(predictions: Sequence[Prediction]) -> str:
    """One line a distinct layer, and one for the network."""
    head = ("network", "batch", "layer", "kind", "output_shape", "instances", "macs", "bytes_moved", "seconds")
    lines: list[Sequence[Any]] = [(*head, "low_seconds", "high_seconds", "roofline_seconds", "from", "near", "outside")]
    for p in predictions:
        for row in p.rows:
            about = (row.names[0], row.kind, shape(row.output), row.instances, row.macs, row.bytes)
            times = (row.seconds, row.low, row.high, row.least, row.source, row.near, "; ".join(row.outside))
            lines.append((p.name, p.batch, *about, *times))
        macs, moved = sum(row.instances * row.macs for row in p.rows), sum(row.instances * row.bytes for row in p.rows)
        about = ("(network)", "", "", 1, macs, moved)
        lines.append((p.name, p.batch, *about, p.seconds, p.low, p.high, p.roofline, "", None, ""))
    return csv_text(lines)


def predict_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of what `cnncost predict --format json` writes."""
    from cnncost.output.schema import COUNT, NAMES, SHAPE, document, object_

    text, seconds, some = {"type": "string"}, {"type": "number", "minimum": 0}, {"type": ["number", "null"]}
    low = {**some, "description": "nine in ten times are longer; null where it is not known"}
    high = {**some, "description": "nine in ten times are shorter; null where it is not known"}
    layer = {
        "names": {**NAMES, "description": "of all layers that are this one"},
        "kind": text,
        "input_shapes": {"type": "array", "items": SHAPE},
        "output_shape": SHAPE,
        "macs": COUNT,
        "bytes_moved": {**COUNT, "description": "input, parameters and output, each once"},
        "seconds": {**seconds, "description": "of one of them"},
        "low_seconds": low,
        "high_seconds": high,
        "from": {"enum": list(SOURCES)},
        "near": {**COUNT, "description": "measured shapes within a factor of two in every size"},
        "outside": {**NAMES, "description": "sizes beyond those that were measured"},
        "roofline_seconds": {**seconds, "description": "by the device's sheet, with the launch overhead"},
    }
    network = {
        "name": text,
        "source": {"type": ["string", "null"]},
        "device": {**text, "description": "the sheet's name"},
        "setting": {"type": "object", "description": "as bench has it"},
        "inputs": {"type": "object", "additionalProperties": SHAPE},
        "batch": COUNT,
        "seconds": {**seconds, "description": "of the network"},
        "low_seconds": low,
        "high_seconds": high,
        "layers_seconds": {**seconds, "description": "sum of the layers, instances included"},
        "whole_over_layers": {"type": "number", "description": "1 where no network was measured whole"},
        "networks": {**COUNT, "description": "that were measured whole"},
        "roofline_seconds": {**seconds, "description": "by the device's sheet alone"},
        "measured_seconds": {**some, "description": "this very network, where it was measured"},
        "known": {**COUNT, "description": "measured layers"},
        "doubtful": {**COUNT, "description": "those of them that bear a doubt"},
        "free": {**COUNT, "description": "layers that do nothing"},
        "untimed": {**NAMES, "description": "operators that run only within the model"},
        "unknown_kinds": {**NAMES, "description": "kinds that nothing was measured of"},
        "unknowns": {**NAMES, "description": "what was not known, in words"},
        "layers": {"type": "array", "items": object_(layer)},
    }
    return document(
        "cnncost predict",
        {
            "schema": {"const": SCHEMA_VERSION},
            "cnncost": text,
            "sources": {"type": "object", "description": "what the words under `from` mean"},
            "networks": {"type": "array", "items": object_(network)},
        },
    )
