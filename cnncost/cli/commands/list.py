"""cnncost list."""

from __future__ import annotations

import click

from cnncost.cli.common import deliver, paper


@click.command("list", epilog="\b\nExamples:\n  cnncost list\n  cnncost list --format json")
@click.option("--format", "format_", type=click.Choice(("table", "json")), default="table", help="[table]")
def command(format_: str) -> None:
    """The bundled architectures: name, year, what it is, file."""
    from cnncost.spec.catalogue import catalogue

    entries = catalogue()
    if format_ == "json":
        import json

        deliver(json.dumps(entries, indent=2, ensure_ascii=False) + "\n", None, False)
        return
    from cnncost.output.lists import catalogue_table

    deliver(catalogue_table(entries, paper()), None, False)
