"""Tables that list things other than layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING
from inspect import getdoc
from typing import Any

from rich.table import Table
from rich.text import Text

from cnncost.errors import counted
from cnncost.ops import Op
from cnncost.options import kind_of, spelled
from cnncost.output.formats import json_text
from cnncost.output.tables import Paper
from cnncost.output.units import plural, printable

SCHEMA_VERSION = 1
"""Grows when a key changes its meaning or goes; new keys do not change it."""
INDENT = "  "
NO_YEAR = "-   "
ABOUT_AT_LEAST = 70
"""Characters that the other columns want beside both names."""


def catalogue_table(families: Mapping[str, Sequence[Mapping[str, Any]]], paper: Paper) -> str:
    """Bundled architectures, one a line, under the names of their families; names for people where there is room."""
    entries = [entry for group in families.values() for entry in group]
    name, network = (max((len(str(entry[key])) for entry in entries), default=0) for key in ("name", "network"))
    wide = paper.width is None or paper.width - name - network >= ABOUT_AT_LEAST
    parts: list[Any] = []
    for family, group in families.items():
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(style="cyan", no_wrap=True, min_width=name + len(INDENT))
        if wide:
            table.add_column(no_wrap=True, min_width=network)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for e in group:
            called = [printable(str(e["network"]))] if wide else []
            table.add_row(INDENT + e["name"], *called, str(e["year"] or NO_YEAR), printable(e["about"] or "-"))
        parts += [Text(printable(family), style="bold"), table]
    counts = f"{plural(len(entries), 'architecture')} in {counted(len(families), 'family', 'families')}."
    return paper.print(*parts, "", f"{counts} cnncost report NAME prices one, cnncost compare several.")


def catalogue_json(entries: Sequence[Mapping[str, Any]]) -> str:
    """The same as JSON, a public format: `cnncost schema list`."""
    from cnncost import __version__

    return json_text({"schema": SCHEMA_VERSION, "cnncost": __version__, "architectures": list(entries)})


def list_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of what `cnncost list --format json` writes."""
    from cnncost.output.schema import document, object_, version_parts

    text = {"type": ["string", "null"]}
    entry = {
        "name": {"type": "string", "description": "what report takes"},
        "network": {"type": "string", "description": "the name for people"},
        "title": {**text, "description": "title of the paper"},
        "year": {"type": ["integer", "null"], "description": "year of the paper"},
        "family": {**text, "description": "what it belongs with"},
        "about": {**text, "description": "what tells it from the others of its family"},
        "file": {"type": "string", "description": "among the bundled architectures"},
    }
    parts = {**version_parts(SCHEMA_VERSION), "architectures": {"type": "array", "items": object_(entry)}}
    return document("cnncost list", parts)


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
