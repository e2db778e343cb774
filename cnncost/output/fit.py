"""What fits into a memory: for a terminal, and as JSON (a public format), CSV and Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.text import Text

from cnncost.analysis.fit import Fit, Found, Point, Room
from cnncost.analysis.training_step import TrainingStep
from cnncost.graph import Graph
from cnncost.output.drawn import bytes_column, column, tables
from cnncost.output.formats import csv_text, json_text
from cnncost.output.grid import Drawn
from cnncost.output.memory import legend as conventions
from cnncost.output.memory import runs_line, title
from cnncost.output.records import pipe_table
from cnncost.output.tables import Paper
from cnncost.output.units import Unit, percent, plural, readable_bytes, shape, unit_for

SCHEMA_VERSION = 1
"""Of the JSON of fit; grows when a key changes its meaning or goes."""
CHECKED = "Every row was computed at both sizes: the one that fits, and the next larger, which does not."
NO_LARGER = "-: it cannot run at any larger size."
GROWS = "Parameters grow with the input: of linear layers that take all of it."


class Shown(NamedTuple):
    """What one command shows. step: the step of training; None for inference."""

    graph: Graph
    room: Room
    fit: Fit
    dtype: str
    step: TrainingStep | None = None


# ---- for people -----------------------------------------------------------------------------------


def fit_table(shown: Shown, units: str = "auto", paper: Paper | None = None) -> str:
    """The verdict, the largest batch and input, and the frontier between both."""
    paper = paper or Paper()
    fit = shown.fit
    head = [title(shown.graph), Text(runs_line(shown.graph, shown.dtype, shown.step), style="dim")]
    body: list[Any] = [Text(verdict(shown), style="bold green" if fit.fits else "bold red"), ""]
    rows = largest(fit)
    if rows:
        body += tables(row_columns(rows, fit.memory, units), paper)
    body += [*map(Text, reasons(fit)), *([""] if reasons(fit) else [])]
    if fit.frontier:
        name = Text("the largest input at each batch", style="bold")
        body += [name, *tables(frontier_columns(fit, units), paper)]
    legend = [Text(line, style="dim") for line in legend_lines(shown)] if paper.legend else []
    return paper.print(*head, Text(room_line(shown.room), style="dim"), "", *body, *legend)


def room_line(room: Room) -> str:
    """The memory, and how it comes about."""
    free, exact = readable_bytes(room.free), f"{room.free:,} B"
    line = f"memory {free}" + ("" if free == exact else f" ({room.free:,} bytes)")
    if room.device is None and not room.reserve:
        return line
    total = readable_bytes(room.total)
    whose = f"{room.device.name}'s {total}" if room.device else total
    less = f"less {readable_bytes(room.reserve)}" if room.reserve else "with nothing kept"
    return f"{line}: {whose} {less} for driver and allocator (--reserve)"


def verdict(shown: Shown) -> str:
    """Whether it fits as asked."""
    own = shown.fit.own
    assert own.peak is not None  # the network's own sizes
    fits = "fits" if shown.fit.fits else "does not fit"
    share = percent(own.peak, shown.fit.memory)
    return f"{fits} at batch {own.batch:,}, {shape(own.input)}: peak {readable_bytes(own.peak)}, {share} of the memory"


def largest(fit: Fit) -> list[tuple[str, Found]]:
    """The largest batch and the largest input."""
    named = (("largest batch", fit.batch), ("largest input", fit.input))
    return [(name, found) for name, found in named if found is not None]


def reasons(fit: Fit) -> list[str]:
    """Why a row is missing."""
    lines = []
    if fit.batch is None:
        lines.append(f"No batch fits at {shape(fit.own.input)}, not even 1.")
    if fit.fixed is not None:
        lines.append(f"Only the batch is varied: {fit.fixed}.")
    elif fit.input is None:
        lines.append(f"No input at which it can run fits at batch {fit.own.batch:,}.")
    return lines


def row_columns(rows: Sequence[tuple[str, Found]], memory: int, units: str) -> list[Drawn]:
    """The largest batch and input, each with the next larger."""
    found = [found for _, found in rows]
    unit = unit_for([memory], True, units)
    return [column("name", "", "text", [name for name, _ in rows]), *_found_columns(found, unit)]


def frontier_columns(fit: Fit, units: str) -> list[Drawn]:
    """A row a batch."""
    return _found_columns(fit.frontier, unit_for([fit.memory], True, units))


def _found_columns(found: Sequence[Found], unit: Unit) -> list[Drawn]:
    fits = [each.fits for each in found]
    more = [each.more for each in found]
    peaks = [int(point.peak or 0) for point in fits]
    beyond = [point.peak if point else None for point in more]
    return [
        column("batch", "batch", "count", [f"{point.batch:,}" for point in fits]),
        column("input", "input", "count", [shape(point.input) for point in fits]),
        bytes_column("peak", peaks, unit),
        column("next", "next", "count", [_next(each) for each in found]),
        bytes_column("peak", beyond, unit),
    ]


def _next(found: Found) -> str:
    """The next larger in what differs; a dash where there is none."""
    if found.more is None:
        return "-"
    return shape(found.more.input) if found.more.input != found.fits.input else f"batch {found.more.batch:,}"


def legend_lines(shown: Shown) -> list[str]:
    """What was computed, and what is counted."""
    fit = shown.fit
    found = [*(row for _, row in largest(fit)), *fit.frontier]
    lines = [CHECKED] if found else []
    if any(row.more is None or row.more.peak is None for row in found):
        lines.append(NO_LARGER)
    if fit.frontier:
        ratio = "; sides keep their ratio to the nearest step" if len(set(fit.own.input[1:])) > 1 else ""
        lines.append(f"Inputs in steps of {plural(fit.step, 'pixel')} (--step){ratio}.")
    return [*lines, *([GROWS] if fit.grows else []), *conventions(shown.step)]


def fit_markdown(shown: Shown, units: str = "auto", legend: bool = True) -> str:
    """The same for documents."""
    fit = shown.fit
    runs = runs_line(shown.graph, shown.dtype, shown.step)
    lines = [f"**{title(shown.graph)}**", "", runs, "", room_line(shown.room), "", verdict(shown), ""]
    if largest(fit):
        lines += [*pipe_table(row_columns(largest(fit), fit.memory, units)), ""]
    lines += [line for reason in reasons(fit) for line in (reason, "")]
    if fit.frontier:
        lines += [*pipe_table(frontier_columns(fit, units)), ""]
    return "\n".join([*lines, *(f"- {line}" for line in (legend_lines(shown) if legend else ())), ""])


# ---- for programs ---------------------------------------------------------------------------------


def fit_record(shown: Shown) -> dict[str, Any]:
    """The JSON of `cnncost fit` as Python values."""
    from cnncost import __version__

    fit, room = shown.fit, shown.room
    return {
        "schema": SCHEMA_VERSION,
        "cnncost": __version__,
        "name": shown.graph.name,
        "source": shown.graph.source,
        "dtype": shown.dtype,
        "training": None if shown.step is None else shown.step.record,
        "device": room.device.key if room.device else None,
        "total_bytes": room.total,
        "reserve_bytes": room.reserve,
        "memory_bytes": fit.memory,
        "fits": fit.fits,
        "own": _point(fit.own),
        "largest_batch": _found(fit.batch),
        "largest_input": _found(fit.input),
        "step": fit.step,
        "fixed": fit.fixed,
        "frontier": [_found(found) for found in fit.frontier],
    }


def _point(point: Point | None) -> dict[str, Any] | None:
    return None if point is None else {"batch": point.batch, "input": list(point.input), "peak_bytes": point.peak}


def _found(found: Found | None) -> dict[str, Any] | None:
    return None if found is None else {"fits": _point(found.fits), "next": _point(found.more)}


def fit_json(shown: Shown) -> str:
    """The JSON of `cnncost fit`."""
    return json_text(fit_record(shown))


def fit_csv(shown: Shown) -> str:
    """One line a row of the frontier."""
    head = ("batch", "input", "peak_bytes", "next_batch", "next_input", "next_peak_bytes")
    fit = shown.fit
    found = fit.frontier or ((fit.batch,) if fit.batch else ())
    return csv_text([head, *((*_cells(each.fits), *_cells(each.more)) for each in found)])


def _cells(point: Point | None) -> tuple[Any, ...]:
    return (None, None, None) if point is None else (point.batch, shape(point.input), point.peak)


def fit_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of what `cnncost fit --format json` writes."""
    from cnncost.analysis.dtypes import DTYPES
    from cnncost.output.schema import COUNT, SHAPE, document, object_

    text, some_text, none = {"type": "string"}, {"type": ["string", "null"]}, {"type": "null"}
    some_count = {"type": ["integer", "null"]}
    point = object_(
        {
            "batch": {**COUNT, "minimum": 1},
            "input": {**SHAPE, "description": "without the batch"},
            "peak_bytes": {**some_count, "description": "null where it cannot run"},
        }
    )
    found = object_({"fits": point, "next": {"anyOf": [point, none], "description": "the next larger: does not fit"}})
    some_found = {"anyOf": [found, none]}
    return document(
        "cnncost fit",
        {
            "schema": {"const": SCHEMA_VERSION},
            "cnncost": text,
            "name": text,
            "source": some_text,
            "dtype": {"enum": list(DTYPES)},
            "training": {"type": ["object", "null"], "description": "options of the step; null for inference"},
            "device": {**some_text, "description": "key of the device's sheet"},
            "total_bytes": COUNT,
            "reserve_bytes": {**COUNT, "description": "left to the driver and the allocator"},
            "memory_bytes": {**COUNT, "description": "what is there to fit into: total - reserve"},
            "fits": {"type": "boolean", "description": "at the batch and input asked for; exit code 0 or 1"},
            "own": {**point, "description": "the batch and input asked for"},
            "largest_batch": {**some_found, "description": "at this input; null where none fits"},
            "largest_input": {**some_found, "description": "at this batch; null where none fits, or see fixed"},
            "step": {**COUNT, "description": "pixels by which inputs differ"},
            "fixed": {**some_text, "description": "why inputs are not varied; null where they are"},
            "frontier": {"type": "array", "items": found, "description": "the largest input at each of some batches"},
        },
    )
