"""Explanations for people and for programs: formulas beside their numbers, JSON, HTML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from cnncost.analysis.explain import PLAIN_SUMS, Beside, Equation, Explanation, LayerExplanation
from cnncost.output.formats import json_text
from cnncost.output.records import layer_record
from cnncost.output.schema import COUNT, NAMES, SHAPE, document, object_, report_parts
from cnncost.output.tables import GAP, Paper
from cnncost.output.units import plural, printable, readable_bytes, shape

SCHEMA_VERSION = 1
"""Grows when a key changes its meaning or goes; new keys do not change it."""

OUTPUTS = "{} is the output's"
JUMP = "jump: input pixels between neighbouring fields"
DIVISION = "a/b is exact: floor and ceil say where it is rounded."
PADDING = "Taps on padding count."
PLAIN = "plain sums: k products and k - 1 additions, where MACs are k of each."
LEGEND = (OUTPUTS.format("height'") + f"; {JUMP}.", f"{DIVISION} {PADDING}", PLAIN)
"""All that a text explains of its formulas, and programs get."""


def explanation_text(explanation: Explanation, paper: Paper | None = None) -> str:
    """Every layer with its formulas, and what several of them cost together."""
    paper = paper or Paper()
    parts: list[Any] = []
    for explained in explanation.layers:
        parts += [*_layer(explanation, explained, paper, alone=len(explanation.layers) == 1), ""]
    if len(explanation.layers) > 1:
        parts += [Text(f"sum of {len(explanation.layers)} layers", style="bold"), *_lines(explanation.sums, paper), ""]
    legend = _legend([e for explained in explanation.layers for e in explained.equations])
    return paper.print(*(parts if legend else parts[:-1]), *(Text(line, style="dim") for line in legend))


def _legend(equations: Sequence[Equation]) -> list[str]:
    """What explains these formulas: nothing that does not stand in them."""
    quantities = [name for e in equations for name in e.quantity.split(", ")]
    symbols = " ".join(e.symbols for e in equations)
    primed = [name for name in quantities if name.endswith("'") and name != "jump'"][:1]
    names = [*map(OUTPUTS.format, primed), *([JUMP] if "jump" in symbols else [])]
    rules = [rule for sign, rule in (("/", DIVISION), ("padding", PADDING)) if sign in symbols]
    plain = [PLAIN] if PLAIN_SUMS in quantities else []
    return [*([f"{'; '.join(names)}."] if names else []), *([" ".join(rules)] if rules else []), *plain]


def _layer(explanation: Explanation, explained: LayerExplanation, paper: Paper, alone: bool) -> list[Any]:
    parts: list[Any] = [*_heading(explanation, explained), "", *_lines(explained.equations, paper)]
    if explained.beside and alone:
        parts += ["", _beside(explained.beside)]
    if explained.notes:
        parts += ["", *map(Text, explained.notes)]
    return parts


def _heading(explanation: Explanation, explained: LayerExplanation) -> list[Text]:
    """The layer, its network and place; what the op does; shapes."""
    layer, report = explained.layer, explanation.report
    first = Text(printable(layer.name) if report.source else layer.kind, style="bold")
    if report.source:
        first.append(f": {layer.kind} of {printable(report.name)}", style="not bold")
    inputs = " + ".join(shape(x[1:]) for x in explained.input_shapes)
    place = f"; {printable(str(layer.where))}" if layer.where and not report.about.get("bundled") else ""
    rows = layer.output_shape[0]  # regions of interest are a batch of their own
    batch = f"{rows:,}" if rows == report.batch else f"{rows:,} of {plural(report.batch, 'image')}"
    sizes = f"{inputs} -> {shape(layer.output_shape[1:])}, batch {batch}, {report.dtype}{place}"
    return [first, Text(explained.about, style="dim"), Text(sizes, style="dim")]


def _lines(equations: Sequence[Equation], paper: Paper) -> list[Text]:
    """Quantity, formula, numbers in columns; where these are too wide, numbers under the formula."""
    label = max(len(e.quantity) for e in equations) + GAP
    formula = max(len(e.symbols) for e in equations) + GAP
    room = (paper.width or 10**6) - label
    beside = formula + max(len(_numbers(e)) for e in equations) <= room
    lines = []
    for e in equations:
        line = Text(f"{e.quantity:{label}}", style="cyan")
        if beside or not e.symbols:
            line.append(f"{e.symbols:{formula if beside else 0}}", style="not dim default")
        elif len(e.symbols) + 3 + len(_numbers(e)) <= room:
            line.append(f"{e.symbols} = ", style="default")
        else:
            line.append(f"{e.symbols}\n{'':{label}}= ", style="default")
        numbers, note = _numbers(e), _note(e)
        at = numbers.rfind("= ") + 2 if "= " in numbers else 0
        line.append(numbers[:at], style="default")
        line.append(numbers[at : len(numbers) - len(note)], style="bold default")
        line.append(note, style="dim")
        lines.append(line)
    return lines


def _numbers(e: Equation) -> str:
    """The formula in numbers and its value, once where these are the same."""
    value = f"{e.value:,}"
    return (value if e.numbers in (value, "") else f"{e.numbers} = {value}") + _note(e)


def _note(e: Equation) -> str:
    readable = readable_bytes(e.value) if e.quantity.endswith("bytes") else ""
    return f"  {readable or e.note}" if (readable and not readable.endswith(" B")) or e.note else ""


def times(part: int, whole: int) -> str:
    """How many times as much: 729 x, ~0.5 x."""
    if whole == 0:
        return "-"
    if part % whole == 0:
        return f"{part // whole:,} x"
    return f"~{part / whole:,.0f} x" if part >= 10 * whole else f"~{part / whole:.2g} x"


def _beside(rows: Sequence[Beside]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("beside", style="cyan", no_wrap=True)
    for header in ("weights", "", "MACs", ""):
        table.add_column(header, justify="right", no_wrap=True)
    own = rows[0]
    for row in rows:
        ratios = [times(row.weights, own.weights), times(row.macs, own.macs)] if row is not own else ["", ""]
        table.add_row(row.name, f"{row.weights:,}", ratios[0], f"{row.macs:,}", ratios[1])
    return table


# ---- for programs -----------------------------------------------------------------------------


def record(explanation: Explanation) -> dict[str, Any]:
    """The JSON explanation as Python values."""
    from cnncost import __version__

    report = explanation.report
    return {
        "schema": SCHEMA_VERSION,
        "cnncost": __version__,
        "name": report.name,
        "source": report.source,
        "batch": report.batch,
        "dtype": report.dtype,
        "legend": list(LEGEND),
        "layers": [_record(explained) for explained in explanation.layers],
        "sum": [e._asdict() for e in explanation.sums],
    }


def _record(explained: LayerExplanation) -> dict[str, Any]:
    return {
        **layer_record(explained.layer),
        "about": explained.about,
        "input_shapes": [list(x) for x in explained.input_shapes],
        "names": explained.names,
        "equations": [e._asdict() for e in explained.equations],
        "beside": [b._asdict() for b in explained.beside],
        "notes": list(explained.notes),
    }


def explain_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of what `cnncost explain --format json` writes."""
    text_ = {"type": "string"}
    equation = {
        "quantity": {**text_, "description": "what the formula is of"},
        "symbols": {**text_, "description": "the formula in names; empty where it is only a number"},
        "numbers": {**text_, "description": "the formula in numbers; a/b is exact, floor(a/b), ceil(a/b) are rounded"},
        "value": {"type": "integer", "description": "what it comes to"},
        "note": {**text_, "description": "a few words, or none"},
    }
    beside = {
        "name": {**text_, "description": "this layer first, then layers of the same input and output"},
        "kind": {**text_, "description": "op and telling options"},
        "weights": COUNT,
        "macs": {**COUNT, "description": "multiply-accumulates of the whole batch"},
    }
    parts = report_parts()
    layer = {
        **parts["layers"]["items"]["properties"],
        "about": {**text_, "description": "what the op does"},
        "input_shapes": {"type": "array", "items": SHAPE, "description": "batch first"},
        "names": {"type": "object", "additionalProperties": {"type": "integer"}, "description": "values of the names"},
        "equations": _list_of(equation),
        "beside": _list_of(beside),
        "notes": NAMES,
    }
    return document(
        "cnncost explain",
        {
            "schema": {**parts["schema"], "const": SCHEMA_VERSION},
            "cnncost": parts["cnncost"],
            "name": text_,
            "source": {"type": ["string", "null"], "description": "the file; null for a single op"},
            "batch": parts["batch"],
            "dtype": parts["dtype"],
            "legend": {**NAMES, "description": "how formulas are written"},
            "layers": _list_of(layer),
            "sum": {**_list_of(equation), "description": "what the layers cost together"},
        },
    )


def _list_of(keys: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": object_(keys)}


def to_json(explanation: Explanation) -> str:
    """The JSON explanation as text."""
    return json_text(record(explanation))


def html(explanation: Explanation) -> str:
    """The text for a notebook, every column in its place."""
    from html import escape

    return f"<pre>{escape(explanation_text(explanation))}</pre>"
