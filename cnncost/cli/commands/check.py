"""cnncost check."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cnncost.analysis.checks import FURTHER
from cnncost.cli.common import SpecParam, deliver, paper, parse_inputs, parse_settings
from cnncost.cli.options import check_options, format_of, no_effect, output_options
from cnncost.cli.progress import Progress
from cnncost.errors import UsageError, did_you_mean
from cnncost.spec.models import is_model

if TYPE_CHECKING:
    from cnncost.output.check import Checks

EXAMPLES = """\b
Examples:
  cnncost check alexnet
  cnncost check my_net.yaml --against torchinfo,ptflops,thop
  cnncost check resnet50 --against all
  cnncost check all
  cnncost check 'vgg*' --batch 2 --format csv
"""


class Tools(click.ParamType):  # type: ignore[type-arg]  # generic only in the newest click
    """Names of tools, comma-separated; all of them."""

    name = "tools"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        names = [name.strip() for name in value.split(",")] if value != "all" else list(FURTHER)
        for name in names:
            if name not in FURTHER:
                hint = did_you_mean(name, FURTHER)
                if name in ("torch", "fvcore"):
                    hint = "torch and fvcore are always there"
                raise UsageError(f"--against: unknown tool {name}", hint=hint)
        return names

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        before, comma, last = incomplete.rpartition(",")
        return [CompletionItem(f"{before}{comma}{name}") for name in (*FURTHER, "all") if name.startswith(last)]


@click.command("check", epilog=EXAMPLES)
@click.argument("specs", nargs=-1, required=True, type=SpecParam())
@check_options
@click.option("--against", multiple=True, type=Tools(), metavar="TOOLS", help="Further tools, where installed, comma-"
              f"separated: {', '.join(FURTHER)}; or all.")  # fmt: skip
@output_options(units="exact")
def command(
    specs: tuple[str, ...],
    inputs: tuple[str, ...],
    batch: int,
    settings: tuple[str, ...],
    against: tuple[list[str], ...],
    units: str | None,
    format_: str | None,
    output: str | None,
    force: bool,
) -> int:
    """Every layer against PyTorch's module, torch's flop counter and fvcore; exit code 1 where one differs.

    SPECS are files, names of bundled architectures, globs over both, family:NAME, or all. Of one
    network every layer is shown, and how each tool comes to its number; of several a row each.
    """
    chosen_format = format_ or format_of(output)
    no_effect(None, units, chosen_format, output, force)
    from cnncost.api import check_by_name
    from cnncost.live.check import Checker
    from cnncost.output.check import Checks
    from cnncost.spec.catalogue import matching

    shapes, values = parse_inputs(inputs), parse_settings(settings)
    names = [name for spec in specs for name in ([spec] if is_model(spec) else matching([spec]).values())]
    checker = Checker(name for each in against for name in each)
    checked = []
    interrupted = False
    with Progress() as watch:
        try:
            for done, name in enumerate(names):
                watch(done, len(names))
                checked.append(check_by_name(checker, name, shapes, batch, values))
        except KeyboardInterrupt:
            if not checked:
                raise
            interrupted = True
    missing = {name: f"{e.message}; {e.hint}" for name, e in checker.missing.items()}
    checks = Checks(checked, missing)
    deliver(_text(checks, units or "exact", chosen_format, output), output, force, *names)
    if interrupted:
        raise KeyboardInterrupt
    return 0 if checks.holds else 1


def _text(checks: Checks, units: str, format_: str, output: str | None) -> str:
    """The verdicts in a format."""
    from cnncost.output import check as write
    from cnncost.output import check_records as records

    if format_ == "table":
        return write.check_table(checks, units, paper(output))
    if format_ == "markdown":
        return write.check_markdown(checks, units)
    return {"json": records.check_json, "csv": records.check_csv}[format_](checks)
