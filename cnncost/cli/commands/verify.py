"""cnncost verify."""

from __future__ import annotations

import click

from cnncost.analysis.claims import DIFFERS, EXACT, FAULTS, OPEN, ROUNDED
from cnncost.cli.common import SpecParam, deliver, paper

ONLY = {"exact": (EXACT,), "rounded": (ROUNDED,), "off": (DIFFERS,), "open": (OPEN,), "fault": FAULTS}
EXAMPLES = """\b
Examples:
  cnncost verify
  cnncost verify alexnet my_net.yaml
  cnncost verify 'resnet*' --only off --only open
  cnncost verify --format json -o claims.json
"""


@click.command("verify", epilog=EXAMPLES)
@click.argument("specs", nargs=-1, type=SpecParam())
@click.option("--only", multiple=True, type=click.Choice(tuple(ONLY)), help="Show just these; repeat for more.")
@click.option("--format", "format_", type=click.Choice(("table", "json", "csv", "markdown")), default="table",
              help="What to write.  [table]")  # fmt: skip
@click.option("--output", "-o", metavar="FILE", help="Write to a file instead of the terminal.")
@click.option("--force", is_flag=True, help="Let -o replace a file.")
def command(specs: tuple[str, ...], only: tuple[str, ...], format_: str, output: str | None, force: bool) -> int:
    """Re-derive the published figures that specs carry, and say where they differ.

    SPECS are files, names of bundled architectures or globs over both; all bundled ones if left
    out. Exit code 1 when a claim does not hold and gives no reason, or gives one and holds.
    """
    from cnncost.analysis.claims import verify
    from cnncost.errors import UsageError
    from cnncost.spec.catalogue import matching
    from cnncost.spec.document import read_document
    from cnncost.spec.files import open_spec

    if only and format_ != "table":
        raise UsageError("--only has no effect here", hint="it goes with --format table; filter by the key verdict")
    if force and output is None:
        raise UsageError("--force has no effect here", hint="it goes with -o FILE")
    names = matching(specs or ("all",)).values()
    verifications = [verify(read_document(open_spec(name))) for name in names]
    from cnncost.output import claims as write

    if format_ == "table":
        from cnncost.output.tables import Paper

        on = Paper() if output and output != "-" else paper()
        text = write.verify_text(verifications, on, [verdict for name in only for verdict in ONLY[name]])
    else:
        formats = {"json": write.verify_json, "csv": write.verify_csv, "markdown": write.verify_markdown}
        text = formats[format_](verifications)
    deliver(text, output, force)
    return 0 if all(v.holds for v in verifications) else 1
