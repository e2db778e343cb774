"""What a network holds in memory while it runs: for a terminal, and as JSON (a public format), CSV and Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from rich.text import Text

from cnncost.analysis.dtypes import DTYPES
from cnncost.analysis.memory import Held, Memory
from cnncost.analysis.side_by_side import SideBySide
from cnncost.analysis.training_step import TrainingStep
from cnncost.dims import Shape, numel
from cnncost.graph import Graph, Node
from cnncost.output.beside import (
    PARTS,
    beside_columns,
    beside_step_columns,
    measured_lines,
    measured_record,
    measured_schema,
    place,
)
from cnncost.output.drawn import bytes_column, column, tables
from cnncost.output.formats import csv_text, json_text
from cnncost.output.grid import Drawn
from cnncost.output.records import pipe_table
from cnncost.output.tables import BAR_AT_MOST, GAP, NAME_AT_MOST, Paper, room_beside
from cnncost.output.timeline import timeline
from cnncost.output.units import bar, percent, printable, readable_bytes, shape, unit_for

SCHEMA_VERSION = 1
"""Of the JSON of memory; grows when a key changes its meaning or goes."""
LARGEST = 10
"""Tensors that are named."""
LEGEND = (
    "Eager PyTorch: an output exists before its inputs go, views and in-place layers share storage, the caller holds "
    "the input.",
    "Bytes as tensors hold them. Not in here: the allocator's rounding (CUDA: to 512 bytes a tensor) and what it keeps "
    "unused, workspace of cuDNN and other kernels, the CUDA context.",
)
TRAINING = (
    "A step of training among others: the optimizer's state is there, and {}. The loss is the sum of the outputs."
)


class Shown(NamedTuple):
    """What one command shows. step: the step of training; None for inference. beside: what was measured."""

    graph: Graph
    memory: Memory
    step: TrainingStep | None = None
    beside: SideBySide | None = None

    @property
    def legend(self) -> tuple[str, ...]:
        """What is counted, and what is not."""
        return legend(self.step)


def legend(step: TrainingStep | None) -> tuple[str, ...]:
    """The conventions of inference, or of training too."""
    if step is None:
        return LEGEND
    before = "gradients are None before it" if step.accumulate == 1 else "so are the gradients of the batches before"
    return (*LEGEND, TRAINING.format(before))


# ---- for people -----------------------------------------------------------------------------------


def memory_table(shown: Shown, steps: bool = False, units: str = "auto", paper: Paper | None = None) -> str:
    """The peak and its parts, and the timeline and largest tensors; with `steps` a row a step in place of both."""
    paper = paper or Paper()
    memory = shown.memory
    measured = [Text(line) for line in (*measured_lines(shown.beside), "")] if shown.beside else []
    body: list[Any] = [*tables(_parts(shown, units), paper), *measured]
    if steps:
        body += tables(step_columns(shown, units, paper), paper)
    else:
        body += [*timeline(memory, paper.width, paper.unicode), ""]
        title = Text("the largest alive at the peak, and of which layer", style="bold")
        body += [title, *tables(tensor_columns(shown, units), paper)]
    told = [Text(line) for line in (*notes(shown.graph), *([""] if shown.graph.notes else []))]
    below = [Text(line, style="dim") for line in shown.legend] if paper.legend else []
    return paper.print(*heading(shown), "", *map(Text, peak_lines(shown)), "", *body, *told, *below)


def heading(shown: Shown) -> list[Text]:
    """Name and variant; what runs at which sizes."""
    return [title(shown.graph), Text(runs_line(shown.graph, shown.memory.dtype, shown.step), style="dim")]


def title(graph: Graph) -> Text:
    """Name, year and variant."""
    first = Text(printable(graph.name, NAME_AT_MOST), style="bold")
    if graph.about.get("year"):
        first.append(f" ({graph.about['year']})")
    if graph.about.get("about"):
        first.append(f": {printable(str(graph.about['about']))}", style="not bold")
    return first


def runs_line(graph: Graph, dtype: str, step: TrainingStep | None) -> str:
    """Inference or training; input, batch, dtype and the source."""
    inputs = ", ".join(
        shape(s[1:]) if len(graph.inputs) == 1 else f"{name} {shape(s[1:])}" for name, s in graph.inputs.items()
    )
    runs = "inference" if step is None else f"training ({printable(step.words)})"
    source = (
        f"; from {printable(graph.source)}{' (bundled)' if graph.about.get('bundled') else ''}" if graph.source else ""
    )
    return f"{runs}: input {inputs}, batch {graph.batch:,}, {dtype}{source}"


def peak_lines(shown: Shown) -> list[str]:
    """The peak, where it is, and that of the activations alone."""
    memory, at = shown.memory, shown.memory.at
    assert at is not None  # of one design point
    lines = [f"peak {readable_bytes(int(memory.peak))} ({int(memory.peak):,} bytes), {place(at)}"]
    if shown.step is not None:
        lines += _phases(memory)
    return [*lines, f"without {_lasting(shown)} at most {readable_bytes(int(memory.activation_peak))}"]


def _phases(memory: Any) -> list[str]:
    """The peaks of the phases of a TrainingMemory, and what is kept between the first two."""
    peaks = ", ".join(f"{phase} {readable_bytes(int(peak))}" for phase, peak in memory.peaks.items())
    return [peaks, f"kept for the backward pass {readable_bytes(int(memory.kept_bytes))}"]


def _lasting(shown: Shown) -> str:
    """What stays between runs, in words."""
    if shown.step is not None:
        return "parameters, their gradients and optimizer state"
    return "parameters and buffers" if shown.memory.parts.get("buffers") else "parameters"


def notes(graph: Graph) -> list[str]:
    """What a reader of these figures must know. What no layer uses counts for nothing elsewhere, but takes memory."""
    return [note.replace("not used, and not counted:", "not used, but held:") for note in graph.notes]


def _parts(shown: Shown, units: str) -> list[Drawn]:
    """The parts at the peak, and what was measured."""
    return part_columns(shown.memory, units) if shown.beside is None else beside_columns(shown.beside, units)


def part_columns(memory: Memory, units: str) -> list[Drawn]:
    """A row a part of what is alive at the peak."""
    parts = [(what, int(memory.parts[what])) for what in PARTS if memory.parts.get(what)]
    peak = int(memory.peak)
    unit = unit_for([peak], True, units)
    return [
        column("part", "at the peak", "text", [PARTS[what][0] for what, _ in parts], "in all"),
        bytes_column("bytes", [size for _, size in parts], unit, unit.show(peak)),
        column("share", "share", "count", [percent(size, peak) for _, size in parts], percent(1, 1)),
        column("about", "", "text", [PARTS[what][1] for what, _ in parts], ""),
    ]


def largest(memory: Memory) -> list[Held]:
    """The largest tensors at the peak, the first of equals first."""
    return sorted(memory.held, key=lambda held: -held.bytes)[:LARGEST]


def tensor_columns(shown: Shown, units: str) -> list[Drawn]:
    """A row a tensor."""
    memory, found = shown.memory, largest(shown.memory)
    unit = unit_for([held.bytes for held in found], True, units)
    nodes, shapes = {node.name: node for node in shown.graph.nodes}, shown.graph.shapes
    sizes = [_shape_of(held, nodes, shapes, DTYPES[memory.dtype]) for held in found]
    return [
        column("name", "layer", "text", [printable(held.name) for held in found]),
        column("what", "what", "text", [held.what for held in found]),
        column("shape", "shape", "text", sizes),
        bytes_column("bytes", [int(held.bytes) for held in found], unit),
        column("share", "share", "count", [percent(held.bytes, memory.peak) for held in found]),
    ]


def _shape_of(held: Held, nodes: Mapping[str, Node], shapes: Mapping[str, Shape], itemsize: int) -> str:
    """The shape of a tensor, or the numbers of a layer's parameters; a dash where it is neither."""
    node = nodes.get(held.name)
    inputs = [shapes[name] for name in node.inputs] if node else []
    if node and held.what in ("parameters", "parameter gradient"):
        op = node.op
        numbers = [int(n) for n in (op.weights(*inputs), op.biases(*inputs), op.other_params(*inputs)) if n]
        return " + ".join(f"{n:,}" for n in numbers)
    if held.what not in ("temporary", "buffers", "optimizer state", "cast weights") and held.name in shapes:
        for sizes in (shapes[held.name], *inputs):
            if held.bytes in (numel(sizes) * size for size in (itemsize, 4, 2, 8, 1)):
                return shape(sizes)
    return "-"


def step_columns(shown: Shown, units: str, paper: Paper) -> list[Drawn]:
    """A row a step, in the order in which they run."""
    if shown.beside is not None:
        return beside_step_columns(shown.beside, units)
    steps, peak, shapes = shown.memory.steps, int(shown.memory.peak), shown.graph.shapes
    alive, left = [int(step.alive) for step in steps], [int(step.left) for step in steps]
    own = [int(step.temporary) for step in steps]
    unit = unit_for([peak], True, units)
    drawn = [
        column("name", "layer", "text", [printable(step.layer) for step in steps]),
        column("output", "output", "shape", [shape(shapes.get(step.layer, ())) for step in steps]),
        bytes_column("alive", alive, unit),
        bytes_column("left", left, unit),
        bytes_column("temporary", own, unit),
    ]
    if shown.step is not None:
        drawn.insert(1, column("phase", "phase", "text", [step.phase for step in steps]))
    free = min(room_beside(drawn, paper) - GAP, BAR_AT_MOST)
    if free > 3:
        block = "█" if paper.unicode else "#"
        drawn.append(column("bar", "alive", "text", [bar(value, peak, free, block) for value in alive]))
    return drawn


def memory_markdown(shown: Shown, steps: bool = False, units: str = "auto", conventions: bool = True) -> str:
    """The same for documents."""
    title, runs = (str(text) for text in heading(shown))
    lines = [f"**{title}**", "", runs, "", *peak_lines(shown), "", *pipe_table(_parts(shown, units)), ""]
    if steps:
        drawn = [column for column in step_columns(shown, units, Paper()) if column.about.name != "bar"]
        lines += [*pipe_table(drawn), ""]
    else:
        lines += ["```text", *(str(line).rstrip() for line in timeline(shown.memory)), "```", ""]
        lines += [*pipe_table(tensor_columns(shown, units)), ""]
    below = (*notes(shown.graph), *(shown.legend if conventions else ()))
    return "\n".join([*lines, *(f"- {line}" for line in below), ""])


# ---- for programs ---------------------------------------------------------------------------------


def memory_record(shown: Shown) -> dict[str, Any]:
    """The JSON of `cnncost memory` as Python values."""
    from cnncost import __version__

    graph, memory = shown.graph, shown.memory
    at = memory.at
    return {
        "schema": SCHEMA_VERSION,
        "cnncost": __version__,
        "name": graph.name,
        "source": graph.source,
        "inputs": {name: list(sizes) for name, sizes in graph.inputs.items()},
        "batch": graph.batch,
        "dtype": memory.dtype,
        "training": training_record(shown),
        "notes": notes(graph),
        "conventions": list(shown.legend),
        "peak_bytes": memory.peak,
        "activation_peak_bytes": memory.activation_peak,
        "at": {"layer": at.layer, "phase": at.phase} if at else None,
        "parts": dict(memory.parts),
        "measured": None if shown.beside is None else measured_record(shown.beside),
        "held": [held._asdict() for held in memory.held],
        "steps": [
            {
                "layer": step.layer,
                "phase": step.phase,
                "alive_bytes": step.alive,
                "left_bytes": step.left,
                "temporary_bytes": step.temporary,
            }
            for step in memory.steps
        ],
    }


def training_record(shown: Shown) -> dict[str, Any] | None:
    """The step of training and what is told of it alone; None for inference."""
    if shown.step is None:
        return None
    memory: Any = shown.memory
    return {**shown.step.record, "kept_bytes": memory.kept_bytes, "peak_bytes": dict(memory.peaks)}


def memory_json(shown: Shown) -> str:
    """The JSON of `cnncost memory`."""
    return json_text(memory_record(shown))


def memory_csv(shown: Shown) -> str:
    """One line a step."""
    head = ("layer", "phase", "alive_bytes", "left_bytes", "temporary_bytes")
    return csv_text([head, *shown.memory.steps])


def memory_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of what `cnncost memory --format json` writes."""
    from cnncost.output.schema import COUNT, NAMES, SHAPE, document, object_

    text = {"type": "string"}
    what = {"enum": list(PARTS)}
    phase = {"enum": ["forward", "backward", "update"]}
    step = {
        "layer": text,
        "phase": phase,
        "alive_bytes": {**COUNT, "description": "at the highest point of the step, all included"},
        "left_bytes": {**COUNT, "description": "once it has run and what is no longer needed is gone"},
        "temporary_bytes": {**COUNT, "description": "of alive_bytes, what the layer takes for itself"},
    }
    held = {"name": {**text, "description": "the layer or input"}, "what": what, "bytes": COUNT}
    at = object_({"layer": text, "phase": phase})
    parts = {"type": "object", "additionalProperties": COUNT}
    measured = measured_schema(at, parts)
    return document(
        "cnncost memory",
        {
            "schema": {"const": SCHEMA_VERSION},
            "cnncost": text,
            "name": text,
            "source": {"type": ["string", "null"]},
            "inputs": {"type": "object", "additionalProperties": SHAPE, "description": "batch first"},
            "batch": {**COUNT, "minimum": 1},
            "dtype": {"enum": list(DTYPES)},
            "training": {"type": ["object", "null"], "description": "options of the step; null for inference"},
            "notes": NAMES,
            "conventions": {**NAMES, "description": "what is counted, and what is not"},
            "peak_bytes": {**COUNT, "description": "the most bytes alive at once"},
            "activation_peak_bytes": {**COUNT, "description": "the same without what stays between runs"},
            "at": {**at, "description": "the step of the peak"},
            "parts": {**parts, "description": "peak_bytes by what they are"},
            "measured": {"anyOf": [measured, {"type": "null"}], "description": "by --measure"},
            "held": {"type": "array", "items": object_(held), "description": "what is alive at the peak"},
            "steps": {"type": "array", "items": object_(step), "description": "in the order in which they run"},
        },
    )
