"""cnncost report."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from cnncost.analysis.columns import COLUMNS, DEFAULT, SYNONYMS, Column, chosen
from cnncost.analysis.fold import BY, fold, ranked
from cnncost.analysis.fold import top as first
from cnncost.analysis.report import LayerReport, Report, analyze
from cnncost.cli.common import ColumnParam, LateChoice, SpecParam, deliver, load_network, paper
from cnncost.cli.costs import Costs, cost_options
from cnncost.cli.options import LEGEND, column_options, format_of, no_effect, output_options, size_options
from cnncost.cli.pages import Paged, page_options
from cnncost.cli.plots import Plotted, plot_option
from cnncost.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from cnncost.output.conventions import AsCounted
    from cnncost.output.training import Extra

EXAMPLES = """\b
Examples:
  cnncost report alexnet
  cnncost report resnet50 --input 3x320x320 --batch 32 --dtype fp16
  cnncost report resnet152 --by block --units M
  cnncost report mobilenet_v2 --set width=0.5 --sort macs --top 10
  cnncost report my_net.yaml --columns +flops,activation_bytes,receptive_field
  cnncost report vgg16 --format json -o vgg16.json
  cnncost report alexnet --train-run "2x gtx-580, 90 epochs, 1.2M images, 5 to 6 days"
  cnncost report torchvision:resnet50 --by block --depth 2
  cnncost report resnet50 --convention ptflops
  cnncost report resnet50 --plot resnet50.svg
  cnncost report googlenet --html googlenet.html --device rtx-4090
  cnncost report googlenet --crops 144 --models 7 --device rtx-4090
"""


def _conventions() -> Iterable[str]:
    """Names of the tools whose counts are known."""
    from cnncost.analysis.conventions import CONVENTIONS

    return CONVENTIONS


@click.command("report", epilog=EXAMPLES)
@click.argument("spec", type=SpecParam())
@size_options
@click.option("--by", type=click.Choice(BY), default="layer", help="A row a layer, a block or a kind of op.  [layer]")
@click.option(
    "--depth", type=click.IntRange(1), metavar="N", help="With --by block: parts of the path that count.  [1]"
)
@click.option("--sort", type=ColumnParam(), metavar="COLUMN", help="Rows by a column, largest first.")
@click.option("--top", type=click.IntRange(1), metavar="N", help="Only the first N rows, and the others as one.")
@column_options(COLUMNS, DEFAULT, ColumnParam())
@click.option("--strict", is_flag=True, help="A window that does not fit evenly is an error.")
@click.option("--convention", type=LateChoice(_conventions), help="A column more: what this tool counts, "
              "by its rules; and how that comes from the MACs.")  # fmt: skip
@cost_options
@page_options
@plot_option("MACs, params and activations, layer by layer or block by block")
@LEGEND
@output_options(units="exact")
def command(
    spec: str,
    inputs: tuple[str, ...],
    batch: int,
    dtype: str,
    settings: tuple[str, ...],
    by: str,
    depth: int | None,
    sort: str | None,
    top: int | None,
    columns: str | None,
    strict: bool,
    convention: str | None,
    train_run: str | None,
    crops: int | None,
    models: int | None,
    device: str | None,
    html: str | None,
    results: str | None,
    where: tuple[str, ...],
    plot: str | None,
    no_legend: bool,
    units: str | None,
    format_: str | None,
    output: str | None,
    force: bool,
) -> None:
    """What a network costs, layer by layer and in total.

    SPEC is a YAML file, the name of a bundled architecture (cnncost list), - for standard input, or a
    PyTorch model: torchvision:NAME, timm:NAME, package.module:NAME, path/to/file.py:NAME.
    """
    chosen_format = format_ or format_of(output)
    if depth is not None and by != "block":
        raise UsageError("--depth has no effect here", hint="it goes with --by block")
    no_effect(columns, units, chosen_format, output, force, no_legend, {"--html": html, "--plot": plot})
    paged = Paged(html, results, where)
    paged.check(force, spec, output)
    plotted = Plotted(plot, force, (spec,))
    plotted.check(output, html)
    costs = Costs(train_run, crops, models, device)
    costs.check(chosen_format, paged=html is not None)
    shown = chosen(columns)
    key = _ranking(sort)
    graph, document = load_network(spec, inputs, batch, settings)
    report = plain = analyze(graph, dtype, strict)
    counts = None
    if convention is not None:
        from cnncost.analysis.conventions import counted, with_counts
        from cnncost.output.conventions import AsCounted

        counts = AsCounted(counted(graph, convention))
        report = with_counts(report, counts.counts)
        shown = counts.columns(shown)
    rows = fold(report, by, depth or 1)
    rows = ranked(rows, key) if key else rows
    rows = first(rows, top) if top else rows
    if by != "layer":
        shown = [column._replace(header=by) if column.name == "name" else column for column in shown]
    extra = costs.of(graph, dtype)
    text = _text(report, rows, shown, units or "exact", chosen_format, output, extra, counts, not no_legend)
    paged.write(plain, document, device, force, spec)
    deliver(text, output, force, spec)
    plotted.write(lambda: _figure(plain, rows, by, depth, bool(sort or top)))


def _figure(report: Report, rows: list[LayerReport], by: str, depth: int | None, picked: bool) -> Any:
    """The figure: of the rows that were asked for; of all layers, as blocks where they are too many to be read."""
    from cnncost.output.plots.report import report_figure

    return report_figure(report, rows if by != "layer" or picked else None, by, depth or 1)


def _ranking(sort: str | None) -> Callable[[LayerReport], Any] | None:
    if sort is None:
        return None
    if sort not in COLUMNS:
        raise UsageError(f"--sort: unknown column {sort}", hint=did_you_mean(sort, COLUMNS, SYNONYMS))
    return COLUMNS[sort].rank


def _text(
    report: Report,
    rows: list[LayerReport],
    columns: list[Column],
    units: str,
    format_: str,
    output: str | None,
    extra: Extra | None,
    counts: AsCounted | None,
    legend: bool,
) -> str:
    """The report in a format."""
    if format_ == "table":
        from cnncost.output.tables import report_table

        more = [part for block in (counts, extra) if block for part in block.renderables]
        return report_table(report, rows, columns, units, paper(output, legend), more)
    from cnncost.output.records import to_csv, to_json, to_markdown

    if format_ == "json":
        return to_json(report, rows, {**(counts.record(rows) if counts else {}), **(extra.record if extra else {})})
    if format_ == "csv":
        return to_csv(rows, columns)
    more = [line for block in (counts, extra) if block for line in block.markdown]
    return to_markdown(report, rows, columns, units, more, legend)
