"""cnncost schema."""

from __future__ import annotations

from importlib import import_module

import click

from cnncost.cli.common import among, deliver
from cnncost.errors import UsageError, did_you_mean
from cnncost.options import spelled

SCHEMAS = {
    "spec": "cnncost.spec.schema:schema",
    "budgets": "cnncost.spec.schema:budgets_schema",
    "device": "cnncost.devices.schema:schema",
    "report": "cnncost.output.schema:schema",
    "compare": "cnncost.output.compare:compare_schema",
    "layers": "cnncost.output.align:layers_schema",
    "explain": "cnncost.output.explain:explain_schema",
    "memory": "cnncost.output.memory:memory_schema",
    "fit": "cnncost.output.fit:fit_schema",
    "check": "cnncost.output.check_records:check_schema",
    "roofline": "cnncost.output.roofline:roofline_schema",
    "sweep": "cnncost.output.sweep:sweep_schema",
    "budget": "cnncost.output.budget:budget_schema",
    "bench": "cnncost.output.bench:bench_schema",
    "predict": "cnncost.output.predict:predict_schema",
    "verify": "cnncost.output.claims:verify_schema",
    "list": "cnncost.output.lists:list_schema",
    "devices": "cnncost.output.devices:devices_schema",
}
"""Where the schema of each public format is."""
EXAMPLES = f"""WHAT is {", ".join(SCHEMAS)}; spec if left out.

\b
Examples:
  cnncost schema -o cnncost.schema.json
  cnncost schema report
In an editor with the YAML language server, put this line on top of a spec:
  # yaml-language-server: $schema=cnncost.schema.json
"""


@click.command("schema", epilog=EXAMPLES)
@click.argument("what", default="spec", metavar="[WHAT]", shell_complete=among(lambda: SCHEMAS))
@click.option("--output", "-o", metavar="FILE", help="Write to a file instead of the terminal.")
@click.option("--force", is_flag=True, help="Replace a file that is there already.")
def command(what: str, output: str | None, force: bool) -> None:
    """JSON Schema of the spec language (spec), of files of budgets (budgets), of device sheets (device), or of the
    JSON that a command writes.

    With the first three, editors complete and check files; with the others, programs check what they
    read. layers is what compare --layers writes.
    """
    from cnncost.output.formats import json_text

    if what not in SCHEMAS:
        near = did_you_mean(what, SCHEMAS)
        hint = near if near.startswith("did") else f"known here: {', '.join(SCHEMAS)}"
        raise UsageError(f"no schema {spelled(what) or repr('')}", hint=hint)
    module, name = SCHEMAS[what].split(":")
    schema = getattr(import_module(module), name)()
    deliver(json_text(schema), output, force)
