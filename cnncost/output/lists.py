"""Tables that list things other than layers."""

from __future__ import annotations

from dataclasses import MISSING
from inspect import getdoc
from typing import Any

from rich.table import Table
from rich.text import Text

from cnncost.ops import Op
from cnncost.options import kind_of, spelled
from cnncost.output.tables import Paper
from cnncost.output.units import printable


def catalogue_table(entries: list[dict[str, Any]], paper: Paper) -> str:
    """The bundled architectures, one a line."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("name", style="cyan", no_wrap=True)
    table.add_column("network", no_wrap=True)
    table.add_column("year", no_wrap=True)
    table.add_column("about", overflow="fold")
    for e in entries:
        table.add_row(e["name"], printable(str(e["network"])), str(e["year"] or "-"), printable(e["about"] or "-"))
    return paper.print(table, "", f"{len(entries)} architectures. cnncost report NAME prices one.")


def ops_table(ops: list[type[Op]], paper: Paper) -> str:
    """All ops, one a line: key and what it is."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("op", style="cyan", no_wrap=True)
    table.add_column("what it is", overflow="fold")
    for op in ops:
        table.add_row(op.key, (getdoc(op) or "").split("\n")[0])
    return paper.print(table, "", f"{len(ops)} ops. cnncost ops NAME shows one with its options.")


def op_page(op: type[Op], paper: Paper) -> str:
    """One op: how it is written, what it is, its options with defaults and what they take."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("option", style="cyan", no_wrap=True)
    table.add_column("default", no_wrap=True)
    table.add_column("takes", overflow="fold")
    for name, field in op.options.items():
        default = "needed" if field.default is MISSING else "null" if field.default is None else spelled(field.default)
        takes = kind_of(str(field.type), op.__module__).noun
        table.add_row(name + (" (the op's own value)" if name == op.main else ""), default, takes)
    main = f"{{{op.key}: {op.main.upper()}}}" if op.main else f"{{{op.key}: [a, b]}}" if op.arity != (1, 1) else op.key
    parts: list[Any] = [Text(f"layer: {main}", style="bold"), "", getdoc(op) or "", ""]
    return paper.print(*parts, table) if op.options else paper.print(*parts, "No options.")
