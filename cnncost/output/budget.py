"""Networks against their budgets: for a terminal, and as JSON (a public format, and a baseline), CSV and Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple

from rich.text import Text

from cnncost.analysis.align import Pair
from cnncost.analysis.budget import NAMED_AT_MOST, BudgetCheck, Budgeted, Growth, Use
from cnncost.analysis.report import CONVENTIONS
from cnncost.output.align import MARKS
from cnncost.output.drawn import column, tables
from cnncost.output.formats import csv_text, json_text
from cnncost.output.grid import Drawn
from cnncost.output.records import pipe_table, record
from cnncost.output.tables import Paper, room_beside
from cnncost.output.tables import heading as heading_of_one
from cnncost.output.units import (
    bar,
    growth,
    plural,
    printable,
    shape,
    share_of,
    side_by_side,
    signed,
    time_unit,
    unit_for,
)
from cnncost.spec.budget import QUANTITIES, TIME

SCHEMA_VERSION = 1
"""Of the JSON of budget; grows when a key changes its meaning or goes."""
BAR = 16
"""Characters of a bar that is a whole limit."""
NAMES = {
    **{name: name for name in ("params", "layers", "activations", "peak")},
    **{"macs": "MACs", "flops": "FLOPs", "training_peak": "training peak", TIME: "least time"},
}
"""Quantities as tables have them."""
IN_BYTES = ("activations", "peak", "training_peak")
MACS, FLOPS, PARAMS, LAYERS, BYTES, PEAK = CONVENTIONS
MEANING = {
    "params": PARAMS,
    "macs": MACS,
    "flops": FLOPS,
    "layers": LAYERS,
    "activations": BYTES,
    "peak": PEAK,
    "training_peak": "training peak: the most bytes alive in a step of training, SGD with momentum, all in the dtype.",
    TIME: "least time: by the device's roofline, layer by layer, not fused: the larger of FLOPs / peak rate and "
    "bytes / bandwidth. A bound, and no prediction.",
}
"""What each quantity is, in the words of the report."""
SIZES = "MACs, FLOPs, bytes and times are those of the whole batch."
GROWN = "Layers by the largest of their parts in what has grown; activations stand for peaks and times."
DIFFERENCES = ("params", "macs", "flops", "activations")


class _Row(NamedTuple):
    """A line of either table: the network, the quantity with its unit, three texts, the bar, the verdict."""

    network: str
    quantity: str
    first: str
    second: str
    share: str
    bar: str
    verdict: str


# ---- for people -----------------------------------------------------------------------------------


def budget_table(check: BudgetCheck, paper: Paper | None = None) -> str:
    """What is used of each limit, what has grown and where, and the verdict."""
    paper = paper or Paper()
    body: list[Any] = []
    if limits := limit_columns(check, paper.unicode):
        body += tables(_stacked(_fitting(limits, "bar", paper), paper), paper)
    if grown := growth_columns(check):
        body += [Text(since(check), style="bold"), *tables(_stacked(grown, paper), paper)]
    for network, title in _grown(check):
        body += [
            Text(title, style="bold"),
            *tables(_fitting(layer_columns(network, paper.unicode), "flops", paper), paper),
        ]
    told = [Text(line, style="yellow") for line in notes(check)]
    legend = [Text(line, style="dim") for line in explained(check)] if paper.legend else []
    if legend and paper.width is not None:
        legend.append(Text("--no-legend leaves these lines out.", style="dim"))
    last = Text(verdict(check), style="bold green" if check.holds else "bold red")
    apart = [""] if told and legend else []
    between = [""] if told or legend else []
    text = paper.print(*heading(check), "", *body, *told, *apart, *legend, *between, last)
    return text if paper.unicode else text.replace("µs", "us")


def _fitting(drawn: list[Drawn], name: str, paper: Paper) -> list[Drawn]:
    """Columns without the one that can be spared, where there is no room for all."""
    if room_beside(drawn, paper) >= 0 or not paper.cut:
        return drawn
    return [column for column in drawn if column.about.name != name]


def _stacked(drawn: list[Drawn], paper: Paper) -> list[Drawn]:
    """Networks in lines of their own above their quantities, where there is no room for them beside."""
    if room_beside(drawn, paper) >= 0 or not paper.cut or drawn[0].about.name != "name":
        return drawn
    names, quantities, *others = drawn
    lines: list[str] = []
    cells: list[list[str]] = [[] for _ in others]
    for at, (name, quantity) in enumerate(zip(names.lines, quantities.lines)):
        lines += [name, f"  {quantity}"] if name else [f"  {quantity}"]
        for cell, other in zip(cells, others):
            cell.extend(["", other.lines[at]] if name else [other.lines[at]])
    shown = [replace(other, lines=cell) for other, cell in zip(others, cells)]
    return [column("name", names.header, "text", lines), *shown]


def heading(check: BudgetCheck) -> list[Text]:
    """The network, or how many there are; the sizes that are common to all."""
    first = heading_of_one(check.networks[0].report)
    if len(check) == 1:
        return [first]
    if _alone(check):
        return [first.split("\n")[0], Text("each budget at its own sizes", style="dim")]
    count = plural(len({network.named for network in check}), "network")
    sizes = _sizes(check)
    below = "each budget at its own sizes" if sizes is None else f"each at its own input, {sizes}"
    return [Text(count, style="bold"), Text(below, style="dim")]


def _alone(check: BudgetCheck) -> bool:
    """Whether all budgets are those of one network."""
    return len({network.named for network in check}) == 1


def _sizes(check: BudgetCheck) -> str | None:
    """Batch and dtype where all have the same, and no network is there twice."""
    sizes = {(network.report.batch, network.report.dtype) for network in check}
    if len(sizes) > 1 or len({network.named for network in check}) < len(check):
        return None
    ((batch, dtype),) = sizes
    return f"batch {batch:,}, {dtype}"


def label(check: BudgetCheck, network: Budgeted) -> str:
    """What a network is called here; where sizes tell rows apart, with these, and of one network these alone."""
    name = printable(network.named)
    if _sizes(check) is not None:
        return name
    report = network.report
    inputs = ", ".join(shape(sizes[1:]) for sizes in report.inputs.values())
    settings = "".join(f", {printable(key)}={printable(str(value))}" for key, value in network.set.items())
    sizes = f"{inputs}, batch {report.batch:,}, {report.dtype}{settings}"
    return sizes if _alone(check) else f"{name} at {sizes}"


def limit_columns(check: BudgetCheck, unicode: bool = True) -> list[Drawn]:
    """A row a limit; none where there are no limits."""
    rows = [_use(label(check, network), use, unicode) for network in check for use in network.uses]
    return _columns(check, rows, ("used", "limit", "of limit"))


def growth_columns(check: BudgetCheck) -> list[Drawn]:
    """A row a quantity that is held against the baseline."""
    rows = [_growth(label(check, network), one) for network in check for one in network.growths]
    return _columns(check, rows, ("before", "now", "growth"))


def _columns(check: BudgetCheck, rows: Sequence[_Row], headers: tuple[str, str, str]) -> list[Drawn]:
    if not rows:
        return []
    names = [row.network if at == 0 or rows[at - 1].network != row.network else "" for at, row in enumerate(rows)]
    header = "at" if _alone(check) else "network"
    several = [column("name", header, "text", names)] if len(check) > 1 else []
    return [
        *several,
        column("quantity", "", "text", [row.quantity for row in rows]),
        column("first", headers[0], "number", [row.first for row in rows]),
        column("second", headers[1], "number", [row.second for row in rows]),
        column("part", headers[2], "number", [row.share for row in rows]),
        column("mark", "", "text", [row.verdict for row in rows]),
        *([column("bar", "", "text", [row.bar for row in rows])] if any(row.bar for row in rows) else []),
    ]


def _use(name: str, use: Use, unicode: bool) -> _Row:
    """What is used of a limit, both in the unit in which the limit is written."""
    amount = use.limit.amount
    values = (_plain(use.used), _plain(use.limit.most))
    texts, unit = side_by_side(values, amount.unit, float(amount.worth) if use.device else int(amount.worth))
    drawn = bar(min(values), values[1], BAR, "█" if unicode else "#")
    quantity = _quantity(use.quantity, use.device, unit)
    verdict = "over" if use.over else "ok"
    return _Row(name, quantity, texts[0], texts[1], share_of(*values), drawn, verdict)


def _growth(name: str, one: Growth) -> _Row:
    values = (_plain(one.before), _plain(one.now))
    if one.device is not None:
        unit, worth = time_unit(values)
        texts, unit = side_by_side(values, unit, worth)
    else:
        chosen = unit_for(values, one.quantity in IN_BYTES, "auto")
        texts, unit = side_by_side(values, *chosen)
    verdict = "grew" if one.over else "ok"
    return _Row(name, _quantity(one.quantity, one.device, unit), texts[0], texts[1], growth(*values), "", verdict)


def _plain(value: float | Fraction) -> float:
    """Seconds as a number that can be written; whole numbers as they are."""
    return float(value) if isinstance(value, Fraction) else value


def _quantity(name: str, device: Any, unit: str) -> str:
    on = f" on {printable(device.key)}" if device is not None else ""
    return f"{NAMES[name]}{on}" + (f" ({unit})" if unit else "")


def since(check: BudgetCheck) -> str:
    """What the second table is."""
    return f"since {printable(check.baseline or '')}, with growth of at most {float(100 * check.growth):g}%"


def _grown(check: BudgetCheck) -> list[tuple[Budgeted, str]]:
    """The networks of which layers are named, each with a title."""
    of = " of {}" if len(check) > 1 else ""
    return [(n, f"layers{of.format(label(check, n))} that grew most") for n in check if n.grown]


def layer_columns(network: Budgeted, unicode: bool = True) -> list[Drawn]:
    """The layers that grew most, and by how much."""
    arrow, size = "→" if unicode else "->", network.report.element_bytes
    pairs = network.grown[:NAMED_AT_MOST]
    drawn = [
        column("mark", "", "text", [MARKS[pair.change] for pair in pairs]),
        column("name", "layer", "text", [_both(pair, "name", arrow) for pair in pairs]),
        column("kind", "kind", "text", [_both(pair, "kind", arrow) for pair in pairs]),
    ]
    for name in DIFFERENCES:
        in_bytes = name == "activations"
        values = [int(pair.difference(name)) * (size if in_bytes else 1) for pair in pairs]
        unit = unit_for([max(map(abs, values))], in_bytes, "auto")
        header = f"{NAMES[name]} ({unit.name})" if unit.name else NAMES[name]
        drawn.append(column(name, header, "count", [signed(value, unit) for value in values]))
    return drawn


def _both(pair: Pair, field: str, arrow: str) -> str:
    """What a layer was and is."""
    texts = (printable(str(getattr(layer, field))) for layer in (pair.a, pair.b) if layer is not None)
    return f" {arrow} ".join(dict.fromkeys(texts))


def notes(check: BudgetCheck) -> list[str]:
    """What a reader must know of the networks, and of the baseline."""
    lines = [f"{label(check, network)}: {note}" for network in check for note in network.report.notes]
    for network in check if check.baseline else ():
        name, past = label(check, network), network.past
        if past is None:
            lines.append(f"{name} is not in {printable(check.baseline or '')}.")
            continue
        inputs = {name: tuple(sizes) for name, sizes in network.report.inputs.items()}
        if past.inputs != inputs:
            before = ", ".join(shape(sizes[1:]) for sizes in past.inputs.values())
            lines.append(f"{name} had another input: {before}.")
        if any(one.over for one in network.growths) and not network.grown:
            folded = f": {printable(check.baseline or '')} has them folded or sorted" if past.layers is None else ""
            lines.append(f"No layers of {name} can be named for its growth{folded}.")
        if len(network.grown) > NAMED_AT_MOST:
            lines.append(f"{plural(len(network.grown) - NAMED_AT_MOST, 'more layer')} of {name} grew.")
    return lines


def explained(check: BudgetCheck) -> list[str]:
    """What the quantities that are shown mean."""
    shown = {use.quantity for network in check for use in network.uses}
    shown |= {one.quantity for network in check for one in network.growths}
    more = [GROWN] if _grown(check) else []
    return [*(MEANING[name] for name in QUANTITIES if name in shown), SIZES, *more]


def verdict(check: BudgetCheck) -> str:
    """How many limits are kept, and how much has grown."""
    uses = [use for network in check for use in network.uses]
    growths = [one for network in check for one in network.growths]
    over, grown = sum(use.over for use in uses), sum(one.over for one in growths)
    parts = []
    if uses:
        limits = plural(len(uses), "limit")
        parts.append(f"over budget: {over:,} of {limits}" if over else f"within budget: {limits}")
    if check.baseline is not None:
        figures = plural(len(growths), "figure")
        parts.append(f"grew too much: {grown:,} of {figures}" if grown else f"none of {figures} grew too much")
    return "; ".join(parts)


def budget_markdown(check: BudgetCheck, legend: bool = True) -> str:
    """The same for documents."""
    title, below = str(Text("\n").join(heading(check))).split("\n")
    lines = [f"**{title}**", "", below, ""]
    if limits := limit_columns(check):
        lines += [*pipe_table(limits), ""]
    if grown := growth_columns(check):
        lines += [since(check), "", *pipe_table(grown), ""]
    for network, name in _grown(check):
        lines += [name, "", *pipe_table(layer_columns(network)), ""]
    lines += [f"**{verdict(check)}**", ""]
    return "\n".join([*lines, *(f"- {line}" for line in (*notes(check), *(explained(check) if legend else ()))), ""])


# ---- for programs ---------------------------------------------------------------------------------


def budget_record(check: BudgetCheck) -> dict[str, Any]:
    """The JSON of `cnncost budget` as Python values."""
    from cnncost import __version__

    return {
        "schema": SCHEMA_VERSION,
        "cnncost": __version__,
        "holds": check.holds,
        "baseline": check.baseline,
        "growth": float(check.growth) if check.baseline is not None else None,
        "conventions": [*CONVENTIONS, MEANING["training_peak"], MEANING[TIME]],
        "networks": [_network(network) for network in check],
    }


def _network(network: Budgeted) -> dict[str, Any]:
    """A network: its report, and how it stands."""
    whole = record(network.report)
    report = {key: value for key, value in whole.items() if key not in ("schema", "cnncost", "conventions", "layers")}
    return {
        **report,
        "called": network.named,
        "set": dict(network.set),
        "seconds": dict(network.seconds),
        "holds": network.holds,
        "limits": [use_record(use) for use in network.uses],
        "growth": None if network.past is None else [growth_record(one) for one in network.growths],
        "grown_layers": [_layer(pair, network.report.element_bytes) for pair in network.grown],
        "layers": whole["layers"],
    }


def use_record(use: Use) -> dict[str, Any]:
    """One limit of the JSON."""
    return {
        "quantity": use.quantity,
        "device": use.device.key if use.device else None,
        "used": _plain(use.used),
        "limit": _plain(use.limit.most),
        "share": use.share,
        "over": use.over,
        "where": str(use.limit.at) if use.limit.at else None,
    }


def growth_record(one: Growth) -> dict[str, Any]:
    """One figure against the baseline."""
    return {
        "quantity": one.quantity,
        "device": one.device.key if one.device else None,
        "before": _plain(one.before),
        "now": _plain(one.now),
        "growth": one.part,
        "over": one.over,
    }


def _layer(pair: Pair, size: int) -> dict[str, Any]:
    """A layer that grew."""
    names = {"before": pair.a, "now": pair.b}
    differences = {name: int(pair.difference(name)) for name in ("params", "macs", "flops")}
    return {
        **{key: None if layer is None else layer.name for key, layer in names.items()},
        **differences,
        "activation_bytes": int(pair.difference("activations")) * size,
    }


def budget_json(check: BudgetCheck) -> str:
    """The JSON of `cnncost budget`."""
    return json_text(budget_record(check))


def budget_csv(check: BudgetCheck) -> str:
    """A line a limit, and a line a figure against the baseline: whole counts and bytes, seconds."""
    head = (
        "network",
        "file",
        "input",
        "batch",
        "dtype",
        "quantity",
        "device",
        "used",
        "limit",
        "before",
        "growth",
        "over",
    )
    lines = []
    for network in check:
        report = network.report
        inputs = " ".join(shape(sizes[1:]) for sizes in report.inputs.values())
        where = (printable(network.named), printable(report.source or ""), inputs, report.batch, report.dtype)
        for use in map(use_record, network.uses):
            told = (use["quantity"], use["device"], use["used"], use["limit"], None, None, use["over"])
            lines.append((*where, *told))
        for one in map(growth_record, network.growths):
            told = (one["quantity"], one["device"], one["now"], None, one["before"], one["growth"], one["over"])
            lines.append((*where, *told))
    return csv_text([head, *lines])


def budget_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of what `cnncost budget --format json` writes."""
    from cnncost.output.schema import NAMES as TEXTS
    from cnncost.output.schema import document, object_, report_parts, version_parts

    parts = report_parts()
    text, some_text = {"type": "string"}, {"type": ["string", "null"]}
    flag, number, some = {"type": "boolean"}, {"type": "number", "minimum": 0}, {"type": ["number", "null"]}
    integer = {"type": "integer"}
    about = {"enum": list(QUANTITIES), "description": "counts, bytes, or for time seconds"}
    device = {**some_text, "description": "key of the device's sheet; of times"}
    use = {
        "quantity": about,
        "device": device,
        "used": number,
        "limit": number,
        "share": {**some, "description": "used over limit; null of a limit of nothing"},
        "over": {**flag, "description": "whether more is used than the limit"},
        "where": {**some_text, "description": "file:line:column of the limit; null where it was an option"},
    }
    one = {
        "quantity": about,
        "device": device,
        "before": number,
        "now": number,
        "growth": {**some, "description": "by which part; null where there was nothing before"},
        "over": {**flag, "description": "whether that is more than is allowed"},
    }
    layer = {
        "before": {**some_text, "description": "the layer's name in the baseline; null for a new one"},
        "now": some_text,
        **{name: {**integer, "description": "now less before"} for name in ("params", "macs", "flops")},
        "activation_bytes": integer,
    }
    growths = {"type": ["array", "null"], "items": object_(one), "description": "null without a baseline of it"}
    network = {
        **{key: part for key, part in parts.items() if key not in ("schema", "cnncost", "conventions", "layers")},
        "called": {**text, "description": "what the table calls it"},
        "set": {"type": "object", "description": "parameters as they were given"},
        "seconds": {"type": "object", "additionalProperties": number, "description": "least times by device"},
        "holds": flag,
        "limits": {"type": "array", "items": object_(use)},
        "growth": growths,
        "grown_layers": {"type": "array", "items": object_(layer), "description": "those that grew most, most first"},
        "layers": parts["layers"],
    }
    return document(
        "cnncost budget",
        {
            **version_parts(SCHEMA_VERSION),
            "holds": {**flag, "description": "exit code 0 or 1"},
            "baseline": {**some_text, "description": "file that figures are held against"},
            "growth": {**some, "description": "part by which they may grow"},
            "conventions": {**TEXTS, "description": "what the numbers mean"},
            "networks": {"type": "array", "items": object_(network)},
        },
    )
