"""cnncost verify."""

from __future__ import annotations

import click

from cnncost.analysis.claims import DIFFERS, EXACT, FAULTS, OPEN, ROUNDED, Verification
from cnncost.cli.common import SpecParam, deliver, paper
from cnncost.cli.options import format_of, no_effect, output_options
from cnncost.cli.progress import Progress
from cnncost.errors import UsageError

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
@output_options()
def command(specs: tuple[str, ...], only: tuple[str, ...], format_: str | None, output: str | None, force: bool) -> int:
    """Re-derive the published figures that specs carry, and say where they differ.

    SPECS are files, names of bundled architectures, globs over both, or family:NAME; all bundled
    ones if left out. Exit code 1 when a claim does not hold and gives no reason, or gives one and
    holds.
    """
    from cnncost.analysis.claims import verify
    from cnncost.spec.catalogue import matching
    from cnncost.spec.document import read_document
    from cnncost.spec.files import open_spec

    chosen_format = format_ or format_of(output)
    no_effect(None, None, chosen_format, output, force)
    if only and chosen_format != "table":
        raise UsageError("--only has no effect here", hint="it goes with --format table; filter by the key verdict")
    names = list(matching(specs or ("all",)).values())
    verifications = []
    with Progress() as watch:
        for done, name in enumerate(names):
            watch(done, len(names))
            verifications.append(verify(read_document(open_spec(name))))
    deliver(_text(verifications, only, chosen_format, output), output, force, *names)
    return 0 if all(v.holds for v in verifications) else 1


def _text(verifications: list[Verification], only: tuple[str, ...], format_: str, output: str | None) -> str:
    """The verdicts in a format."""
    from cnncost.output import claims as write

    if format_ == "table":
        return write.verify_text(verifications, paper(output), [verdict for name in only for verdict in ONLY[name]])
    formats = {"json": write.verify_json, "csv": write.verify_csv, "markdown": write.verify_markdown}
    return formats[format_](verifications)
