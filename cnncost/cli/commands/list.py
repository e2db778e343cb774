"""cnncost list."""

from __future__ import annotations

from fnmatch import fnmatchcase

import click

from cnncost.cli.common import among, deliver, paper
from cnncost.errors import UsageError, did_you_mean
from cnncost.options import spelled

EXAMPLES = """\b
Examples:
  cnncost list
  cnncost list 'resnet*' mobile
  cnncost list --family resnet
  cnncost list --format json
"""


def _families() -> list[str]:
    from cnncost.spec.catalogue import by_family, catalogue

    return list(by_family(catalogue()))


@click.command("list", epilog=EXAMPLES)
@click.argument("patterns", nargs=-1)
@click.option("--family", metavar="NAME", shell_complete=among(_families), help="Only networks of a family.")
@click.option("--format", "format_", type=click.Choice(("table", "json")), default="table", help="[table]")
def command(patterns: tuple[str, ...], family: str | None, format_: str) -> None:
    """The bundled architectures by family and year: name, year, what it is.

    PATTERNS choose by name: globs, or parts of names.
    """
    from cnncost.spec.catalogue import by_family, catalogue

    entries = catalogue()
    if family is not None:
        known = by_family(entries)
        if family not in known:
            raise UsageError(f"no family {spelled(family) or repr('')}", hint=did_you_mean(family, known))
        entries = [entry for entry in entries if entry in known[family]]
    for pattern in patterns:
        if not any(_fits(entry["name"], pattern) for entry in entries):
            among = f" in the family {family}" if family is not None else ""
            near = did_you_mean(pattern, [entry["name"] for entry in entries])
            hint = near if near.startswith("did") else "cnncost list shows all of them"
            raise UsageError(f"no architecture{among} fits {spelled(pattern) or repr('')}", hint=hint)
    if patterns:
        entries = [entry for entry in entries if any(_fits(entry["name"], pattern) for pattern in patterns)]
    if format_ == "json":
        from cnncost.output.lists import catalogue_json

        deliver(catalogue_json(entries), None, False)
        return
    from cnncost.output.lists import catalogue_table

    deliver(catalogue_table(by_family(entries), paper()), None, False)


def _fits(name: str, pattern: str) -> bool:
    """Whether a name is what a glob covers, or holds a pattern that is no glob."""
    return fnmatchcase(name, pattern) if set(pattern) & set("*?[") else pattern in name if pattern else False
