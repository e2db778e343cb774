"""Tables that list things other than layers."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from cnncost.output.tables import Paper


def catalogue_table(entries: list[dict[str, Any]], paper: Paper) -> str:
    """The bundled architectures, one a line."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("name", style="cyan", no_wrap=True)
    table.add_column("network", no_wrap=True)
    table.add_column("year", no_wrap=True)
    table.add_column("about", overflow="fold")
    for e in entries:
        table.add_row(e["name"], e["network"], str(e["year"] or "-"), e["about"] or "-")
    return paper.print(table, "", f"{len(entries)} architectures. cnncost report NAME prices one.")
