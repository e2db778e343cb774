"""cnncost report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cnncost.cli.common import SpecParam, deliver, load_graph, paper
from cnncost.errors import UsageError

if TYPE_CHECKING:
    from cnncost.analysis.report import LayerReport, Report

FORMATS = ("table", "json", "csv", "markdown")
SUFFIXES = {".json": "json", ".csv": "csv", ".md": "markdown"}
BY = ("layer", "block", "op")
UNITS = ("exact", "auto", "K", "M", "G")
DTYPES = ("fp64", "fp32", "tf32", "fp16", "bf16", "fp8", "int8")

EXAMPLES = """\b
Examples:
  cnncost report alexnet
  cnncost report resnet50 --input 3x320x320 --batch 32 --dtype fp16
  cnncost report resnet152 --by block --units M
  cnncost report mobilenet_v2 --set width=0.5 --sort macs --top 10
  cnncost report my_net.yaml --columns +flops,activation_bytes,receptive_field
  cnncost report vgg16 --format json -o vgg16.json
"""


def _columns_help(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    """Print the columns and what they show."""
    if not value:
        return
    from cnncost.analysis.columns import COLUMNS, DEFAULT

    for column in COLUMNS.values():
        click.echo(f"{column.name:17}{column.about}{'  (default)' if column.name in DEFAULT else ''}")
    ctx.exit()


@click.command("report", epilog=EXAMPLES)
@click.argument("spec", type=SpecParam())
@click.option("--input", "-i", "inputs", multiple=True, metavar="CxHxW", help="Input shape without the batch.")
@click.option("--batch", "-b", type=int, default=1, help="Images in a batch.  [1]")
@click.option("--dtype", type=click.Choice(DTYPES), default="fp32", help="What an element takes, for bytes.  [fp32]")
@click.option("--set", "-s", "settings", multiple=True, metavar="NAME=VALUE", help="Value of a declared parameter.")
@click.option("--by", type=click.Choice(BY), default="layer", help="A row a layer, a block or a kind of op.  [layer]")
@click.option("--depth", type=click.IntRange(1), default=1, help="With --by block: parts of the path that count.  [1]")
@click.option("--sort", metavar="COLUMN", help="Rows by a column, largest first.")
@click.option("--top", type=click.IntRange(1), metavar="N", help="Only the first N rows, and the others as one.")
@click.option("--columns", metavar="LIST", help="Columns by name, comma-separated; +name adds one; or all.")
@click.option("--list-columns", is_flag=True, is_eager=True, expose_value=False, callback=_columns_help,
              help="Name all columns and what they show.")  # fmt: skip
@click.option("--units", type=click.Choice(UNITS), default="exact", help="Unit of the numbers in tables.  [exact]")
@click.option("--strict", is_flag=True, help="A window that does not fit evenly is an error.")
@click.option("--format", "format_", type=click.Choice(FORMATS), help="What to write.  [table, or by -o's suffix]")
@click.option("--output", "-o", metavar="FILE", help="Write to a file instead of the terminal.")
@click.option("--force", is_flag=True, help="Let -o replace a file.")
def command(
    spec: str,
    inputs: tuple[str, ...],
    batch: int,
    dtype: str,
    settings: tuple[str, ...],
    by: str,
    depth: int,
    sort: str | None,
    top: int | None,
    columns: str | None,
    units: str,
    strict: bool,
    format_: str | None,
    output: str | None,
    force: bool,
) -> None:
    """What a network costs, layer by layer and in total.

    SPEC is a YAML file, the name of a bundled architecture (cnncost list), or - for standard input.
    """
    from cnncost.analysis.report import analyze

    report = analyze(load_graph(spec, inputs, batch, settings), dtype, strict)
    rows = None
    if by != "layer" or sort or top:
        from cnncost.analysis.columns import chosen as known
        from cnncost.analysis.fold import fold, ranked
        from cnncost.analysis.fold import top as first

        rows = fold(report, by, depth)
        if sort:
            if "," in sort:
                raise UsageError(f"--sort {sort}: one column", hint="cnncost report --list-columns names them")
            rows = ranked(rows, known(sort)[-1].value)
        rows = first(rows, top) if top else rows
    chosen_format = format_ or next((f for s, f in SUFFIXES.items() if output and output.endswith(s)), "table")
    deliver(_text(report, rows, columns, units, chosen_format, output), output, force)


def _text(
    report: Report, rows: list[LayerReport] | None, columns: str | None, units: str, format_: str, output: str | None
) -> str:
    """The report in a format."""
    if format_ == "json":
        from cnncost.output.records import to_json

        return to_json(report, rows)
    from cnncost.analysis.columns import chosen

    shown, rows = chosen(columns), list(report.layers) if rows is None else rows
    if format_ == "table":
        from cnncost.output.tables import Paper, report_table

        return report_table(report, rows, shown, units, Paper() if output else paper())
    from cnncost.output.records import to_csv, to_markdown

    return to_csv(rows, shown) if format_ == "csv" else to_markdown(report, rows, shown, units)
