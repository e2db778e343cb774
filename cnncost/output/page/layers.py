"""The page of two networks layer by layer: what differs, as bars and as a table."""

from __future__ import annotations

from typing import Any

from cnncost.analysis.align import CHANGED, EQUAL, ONLY_A, ONLY_B, Alignment
from cnncost.analysis.report import CONVENTIONS
from cnncost.output.align import FIGURES, counted, draw, heading
from cnncost.output.page import page
from cnncost.output.units import plural, printable, unit_for

NAMES = {"params": "params", "macs": "MACs"}
CLASSES = {EQUAL: "equal", CHANGED: "changed", ONLY_A: "only-a", ONLY_B: "only-b"}


def layers_page(alignment: Alignment, units: str = "exact") -> str:
    """The page as text."""
    drawn = draw(alignment, True, units)
    cells = list(zip(*(column.lines for column in drawn)))
    pairs = alignment.pairs
    differences = {name: [pair.difference(name) for pair in pairs] for name in FIGURES}
    chosen = {name: unit_for([*map(abs, values)], False, "auto") for name, values in differences.items()}
    rows = [
        {"name": printable(cells[i][1]), "change": CLASSES[pair.change],
         "lines": [text for text in cells[i][1:] if text],
         "values": {name: values[i] for name, values in differences.items()}}
        for i, pair in enumerate(pairs)
    ]  # fmt: skip
    figures = [{"key": name, "name": NAMES[name], "label": f"{NAMES[name]} ({unit.name})" if unit.name else NAMES[name],
                "worth": unit.worth} for name, unit in chosen.items()]  # fmt: skip
    a, b = map(printable, alignment.names)
    data: dict[str, Any] = {"rows": rows, "figures": figures}
    return page(
        "layers",
        f"{a} and {b}, layer by layer",
        data,
        heading=f"{a} and {b}, layer by layer",
        lines=[str(line) for line in heading(alignment)],
        figures=figures,
        columns=[(column.header, column.right, column.foot) for column in drawn],
        rows=[(i, CLASSES[pair.change], _row(cells[i], differences, i)) for i, pair in enumerate(pairs)],
        totals=cells[len(pairs) :],
        notes=[line for line in counted(alignment) if line],
        equal=plural(sum(pair.change == EQUAL for pair in pairs), "equal layer"),
        conventions=CONVENTIONS,
    )


def _row(texts: tuple[str, ...], differences: dict[str, list[int]], number: int) -> list[tuple[str, Any]]:
    """Cells with what they are sorted by, where that is no text."""
    ranks = [""] * (len(texts) - len(FIGURES)) + [str(differences[name][number]) for name in FIGURES]
    return list(zip(texts, ranks))
