"""cnncost ops."""

from __future__ import annotations

import click

from cnncost.cli.common import deliver, paper
from cnncost.errors import UsageError, did_you_mean
from cnncost.ops import MENU, SYNONYMS, find


@click.command("ops", epilog="\b\nExamples:\n  cnncost ops\n  cnncost ops conv")
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """The layers of the language, or one of them with its options and what it counts.

    NAME is an op as specs write it: conv, max_pool, batch_norm.
    """
    from cnncost.output.lists import op_page, ops_table

    if name is None:
        deliver(ops_table([find(key) for key in MENU], paper()), None, False)
        return
    if name not in MENU:
        raise UsageError(f"unknown op {name}", hint=did_you_mean(name, MENU, SYNONYMS))
    deliver(op_page(find(name), paper()), None, False)
