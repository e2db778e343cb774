"""The page of one network: its graph, table, memory, roofline, shares, claims and source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from types import MappingProxyType
from typing import Any, NamedTuple

from cnncost.analysis.claims import DIFFERS, EXACT, OPEN, ROUNDED, STALE, WRONG, Verification
from cnncost.analysis.columns import COLUMNS
from cnncost.analysis.explain import LayerExplanation, explain
from cnncost.analysis.fold import fold
from cnncost.analysis.memory import Step
from cnncost.analysis.report import CONVENTIONS, LayerReport, Report
from cnncost.analysis.roofline import Roofline
from cnncost.output import claims as verdicts
from cnncost.output.explain import LEGEND, times
from cnncost.output.graph_labels import amount
from cnncost.output.grid import Drawn, draw
from cnncost.output.page import page
from cnncost.output.page.devices import device
from cnncost.output.page.tree import TIME, Tree, always, blocks, nodes, quantities
from cnncost.output.roofline import explained
from cnncost.output.tables import heading, remarks
from cnncost.output.units import an_image, percent, printable, readable_bytes, unit_for
from cnncost.spec.files import Source

TABLE = ("name", "kind", "output", "params", "macs", "share", "activation_bytes", "peak_bytes", "intensity",
         "receptive_field")  # fmt: skip
TOTALS = {"params": "params:", "macs": "MACs:", "flops": "FLOPs:", "peak_bytes": "peak:", "weight_bytes": "bytes:",
          "layers": "layers:"}  # fmt: skip
"""Totals that stand on top, and how the convention begins that says what they count."""
DEFERRED_FROM = 1000
"""Rows from which on a browser lays a table out when it is looked at: thousands take a second."""
LINE_AT_MOST = 10_000
"""Characters of a line of a spec."""
ABOUT = ("year", "title", "paper", "about")
STATES = {EXACT: "holds", ROUNDED: "holds", DIFFERS: "known", OPEN: "known", WRONG: "fault", STALE: "fault"}
"""Verdicts by how they are coloured."""
LABELS = {"peak_bytes": "peak memory", "weight_bytes": "parameter bytes", "layers": "layers deep"}
OF_A_BATCH = ("macs", "flops")


class Page(NamedTuple):
    """What the page of a network shows.

    rooflines: on some devices, in front the one chosen at first. refused: why there is none on others.
    measured: seconds by layer. claims: verdicts on published figures. source: of a spec.
    """

    report: Report
    rooflines: tuple[Roofline, ...] = ()
    refused: tuple[str, ...] = ()
    measured: Mapping[str, float] = MappingProxyType({})
    claims: Verification | None = None
    source: Source | None = None


def report_page(shown: Page) -> str:
    """The page as text. Raises UsageError over arrays."""
    report = shown.report
    tree = Tree(report)
    title, below = str(heading(report)).split("\n")
    drawn = draw(report, report.layers, [COLUMNS[name] for name in TABLE], "exact")
    device_names = [priced.ceilings.device.name for priced in shown.rooflines]
    choices = quantities(report, bool(device_names), device_names[0] if shown.measured else None)
    network = {
        "nodes": nodes(tree, shown.measured, shown.source.file if shown.source else None),
        "blocks": blocks(tree, shown.measured),
        "memory": _memory(report, tree),
    }
    return page(
        "report",
        title,
        {"quantities": choices, "kinds": _kinds(report, choices, shown.measured)},
        {
            "network": network,
            "explanations": _explanations(report, tree),
            **{f"device-{i}": device(priced, tree) for i, priced in enumerate(shown.rooflines)},
        },
        name=printable(report.name),
        below=below,
        about={key: printable(str(report.about.get(key) or "")) for key in ABOUT},
        totals=_totals(report),
        quantities=choices,
        devices=device_names,
        refused=shown.refused,
        drawn=drawn,
        rows=_rows(tree, drawn),
        deferred_from=DEFERRED_FROM,
        claims=_claims(shown.claims),
        source=None if shown.source is None else _lines(shown.source.text),
        file=printable(str(report.source or "")),
        notes=remarks(report),
        conventions=[*CONVENTIONS, *(explained(shown.rooflines[0]) if shown.rooflines else ())],
    )


def _lines(text: str) -> list[str]:
    """The lines of a spec, as YAML counts them."""
    return [printable(line.removesuffix("\r"), LINE_AT_MOST) for line in text.removesuffix("\n").split("\n")]


def _totals(report: Report) -> list[dict[str, str]]:
    """The numbers on top: as people read them, to the last digit, and what they count."""
    return [_total(report, name, start) for name, start in TOTALS.items()]


def _total(report: Report, name: str, start: str) -> dict[str, str]:
    value = report.totals[name]
    text = amount(COLUMNS[name], value, name=False) if name in COLUMNS else f"{value:,}"
    exact = [f"{value:,} bytes" if name.endswith("bytes") else f"{value:,}"]
    label = LABELS.get(name) or COLUMNS[name].header
    if name in OF_A_BATCH and report.batch > 1:
        label += f", batch of {report.batch:,}"
        exact.append(f"{an_image(value, report.batch)} an image")
    convention = next(line for line in CONVENTIONS if line.startswith(start))
    small = "" if text == exact[0] or value < 1000 else "; ".join(exact)  # which would say it twice
    return {"key": name, "name": label, "text": text, "exact": small, "convention": convention}


def _rows(tree: Tree, drawn: Sequence[Drawn]) -> list[tuple[int, tuple[str, ...]]]:
    """Rows of the table: the node's number, and its cells."""
    return [(number, cells) for (number, _), cells in zip(tree.layers, zip(*(column.lines for column in drawn)))]


def _memory(report: Report, tree: Tree) -> dict[str, Any]:
    """Bytes alive while each layer runs, in one unit."""
    memory = report.memory
    unit = unit_for([memory.peak], True, "auto")
    steps = [
        {"node": tree.numbers[step.layer], "number": i, "alive": step.alive / unit.worth, "text": _alive(step)}
        for i, step in enumerate(memory.steps, 1)
    ]
    lasting = always(report)
    peak = None
    if memory.at is not None:
        peak = {
            **steps[memory.steps.index(memory.at)],
            "text": f"peak: {_alive(memory.at)} in {printable(memory.at.layer, 60)}",
        }
    kept = {"value": lasting / unit.worth, "text": f"parameters and buffers: {readable_bytes(lasting)}"}
    return {"unit": unit.name, "steps": steps, "always": kept, "peak": peak}


def _alive(step: Step) -> str:
    return f"{readable_bytes(int(step.alive))} alive"


def _kinds(report: Report, choices: Sequence[dict[str, Any]], measured: Mapping[str, float]) -> list[dict[str, Any]]:
    """Kinds of layer with their shares of what adds up, those with most MACs first."""
    rows = fold(report, "op")
    keys = [choice["key"] for choice in choices if choice["adds"] and choice["key"] != TIME]  # which is a device's

    def of(row: LayerReport, key: str) -> float:
        if key in COLUMNS:
            return float(COLUMNS[key].value(row))
        return sum(measured.get(layer.name, 0) for layer in report.layers if layer.op == row.op)

    whole = {key: sum(of(row, key) for row in rows) for key in keys}
    rows.sort(key=lambda row: [-of(row, key) for key in keys])
    return [
        {"op": row.op, "shares": {key: (100 * of(row, key) / whole[key], percent(of(row, key), whole[key]))
                                  for key in keys if of(row, key)}}
        for row in rows
    ]  # fmt: skip


def _explanations(report: Report, tree: Tree) -> dict[str, Any]:
    """What `cnncost explain` says of every layer; layers of which it says the same share a text."""
    found: dict[str, int] = {}
    texts: list[Any] = []
    layers: dict[int, int] = {}
    for explained_layer in explain(report.graph, report, report.layers):
        text = _explanation(explained_layer)
        key = repr(text)
        if key not in found:
            found[key] = len(texts)
            texts.append(text)
        layers[tree.numbers[explained_layer.layer.name]] = found[key]
    return {"texts": texts, "layers": layers, "legend": " ".join(LEGEND)}


def _explanation(layer: LayerExplanation) -> dict[str, Any]:
    own = layer.beside[0] if layer.beside else None
    return {
        "about": layer.about,
        "equations": [(e.quantity, e.symbols, e.numbers, f"{e.value:,}", e.note) for e in layer.equations],
        "beside": [
            (row.name, f"{row.weights:,}", f"{row.macs:,}", "" if row is own else times(row.macs, own.macs))
            for row in layer.beside
            if own
        ],
        "notes": [printable(note) for note in layer.notes],
    }


def _claims(verification: Verification | None) -> list[tuple[str, list[dict[str, Any]]]]:
    """Claims under their sources: the figure, printed, derived, the verdict and what is remarked."""
    if verification is None:
        return []
    rows = [
        (verdicts.source_of(verdict.claim), {"cells": verdicts.cells(verdict), "state": STATES[verdict.verdict],
                                             "remarks": verdicts.remarks(verdict.claim)})
        for verdict in verification.verdicts
    ]  # fmt: skip
    return [(source, [row for _, row in group]) for source, group in groupby(rows, key=lambda pair: pair[0])]
