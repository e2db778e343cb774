"""cnncost ops."""

from __future__ import annotations

import click

from cnncost.cli.common import among, deliver, paper
from cnncost.ops import MENU, find


@click.command("ops", epilog="\b\nExamples:\n  cnncost ops\n  cnncost ops conv")
@click.argument("name", required=False, shell_complete=among(lambda: MENU))
def command(name: str | None) -> None:
    """The layers of the language, or one of them with its options and what it counts.

    NAME is an op as specs write it: conv, max_pool, batch_norm.
    """
    from cnncost.output.lists import op_page, ops_table

    if name is None:
        deliver(ops_table([find(key) for key in MENU], paper()), None, False)
        return
    deliver(op_page(find(name), paper()), None, False)
