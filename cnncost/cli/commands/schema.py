"""cnncost schema."""

from __future__ import annotations

import click

from cnncost.cli.common import deliver

EXAMPLES = """\b
Examples:
  cnncost schema -o cnncost.schema.json
  cnncost schema report
In an editor with the YAML language server, put this line on top of a spec:
  # yaml-language-server: $schema=cnncost.schema.json
"""


@click.command("schema", epilog=EXAMPLES)
@click.argument("what", type=click.Choice(("spec", "report")), default="spec")
@click.option("--output", "-o", metavar="FILE", help="Write to a file instead of the terminal.")
@click.option("--force", is_flag=True, help="Let -o replace a file.")
def command(what: str, output: str | None, force: bool) -> None:
    """JSON Schema of the spec language (spec), or of the JSON report (report).

    With the first, editors complete and check specs; with the second, programs check what they read.
    """
    import json

    if what == "spec":
        from cnncost.spec.schema import schema
    else:
        from cnncost.output.schema import schema
    deliver(json.dumps(schema(), indent=2, ensure_ascii=False) + "\n", output, force)
