"""cnncost roofline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cnncost.analysis.columns import Column, chosen
from cnncost.analysis.dtypes import DTYPES
from cnncost.analysis.fold import BY, ranked
from cnncost.analysis.roofline import (
    ROOFLINE_COLUMNS,
    ROOFLINE_DEFAULT,
    ROOFLINE_SYNONYMS,
    Roof,
    Roofline,
    fold,
    roofline,
)
from cnncost.analysis.roofline import top as first
from cnncost.analysis.traffic import PASSES
from cnncost.cli.common import ColumnParam, DeviceParam, SpecParam, deliver, load_graph, paper
from cnncost.cli.options import BATCH, INPUT, LEGEND, MODEL, SET, column_options, format_of, no_effect, output_options
from cnncost.cli.pages import measured_seconds
from cnncost.cli.plots import Plotted, plot_option
from cnncost.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

EXAMPLES = """\b
Examples:
  cnncost roofline alexnet --device gtx-580
  cnncost roofline resnet50 --device h100 --dtype bf16 --batch 32 --by block
  cnncost roofline resnet50 --device h100 --dtype bf16 --batch 32 --fuse --sort seconds --top 10
  cnncost roofline vgg16 --device a100-40gb --dtype tf32 --batch 64 --pass train
  cnncost roofline resnet50 --device my_machine.yaml --results resnet50.jsonl
  cnncost roofline resnet50 --device h100 --dtype bf16 --batch 32 --plot resnet50.svg
  cnncost roofline my_net.yaml --device my_gpu.yaml --format json
"""


class RooflineColumnParam(ColumnParam):
    """One or more columns of a roofline by name, which it completes."""

    def known(self) -> Iterable[str]:
        return ROOFLINE_COLUMNS


@click.command("roofline", epilog=EXAMPLES)
@click.argument("spec", type=SpecParam())
@click.option("--device", required=True, type=DeviceParam(), metavar="NAME", help="A device of cnncost devices, or the "
              "path of a sheet.")  # fmt: skip
@click.option("--dtype", type=click.Choice(tuple(DTYPES)), default="fp32", help="Of tensors and arithmetic.  [fp32]")
@click.option("--accumulate", metavar="DTYPE", help="Of sums, where the sheet tells them apart.  [as frameworks]")
@click.option("--pass", "passes", type=click.Choice(PASSES), default="forward", help="Inference, gradients, or both as "
              "in training.  [forward]")  # fmt: skip
@click.option("--fuse", is_flag=True, help="Element-wise layers are computed where their input is made.")
@INPUT
@BATCH
@SET
@MODEL[0]
@MODEL[2]
@click.option("--results", metavar="FILE", help="What cnncost bench measured: points under the roofline.")
@click.option("--where", multiple=True, metavar="NAME=VALUE", help="With --results: which setting, like layout=nhwc.")
@click.option("--by", type=click.Choice(BY), default="layer", help="A row a layer, a block or a kind of op.  [layer]")
@click.option(
    "--depth", type=click.IntRange(1), metavar="N", help="With --by block: parts of the path that count.  [1]"
)
@click.option("--sort", type=RooflineColumnParam(), metavar="COLUMN", help="Rows by a column, largest first.")
@click.option("--top", type=click.IntRange(1), metavar="N", help="Only the first N rows, and the others as one.")
@column_options(ROOFLINE_COLUMNS, ROOFLINE_DEFAULT, RooflineColumnParam())
@click.option("--no-chart", is_flag=True, help="Leave out the drawing.")
@plot_option("ceilings, and layers as marks as large as their time")
@LEGEND
@output_options(units="auto")
def command(
    spec: str,
    device: str,
    dtype: str,
    accumulate: str | None,
    passes: str,
    fuse: bool,
    inputs: tuple[str, ...],
    batch: int,
    settings: tuple[str, ...],
    results: str | None,
    where: tuple[str, ...],
    by: str,
    depth: int | None,
    sort: str | None,
    top: int | None,
    columns: str | None,
    no_chart: bool,
    plot: str | None,
    no_legend: bool,
    units: str | None,
    format_: str | None,
    output: str | None,
    force: bool,
) -> None:
    """What bounds each layer on a device, memory or arithmetic, and its least time.

    A layer takes at least its FLOPs over the device's peak, and at least the bytes that it moves over
    the bandwidth; --results puts measured times beside. SPEC is a network as `cnncost report` takes it.
    """
    chosen_format = format_ or format_of(output)
    if depth is not None and by != "block":
        raise UsageError("--depth has no effect here", hint="it goes with --by block")
    no_effect(columns, units, chosen_format, output, force, no_legend, {"--plot": plot})
    plotted = Plotted(plot, force, (spec,))
    plotted.check(output, results)
    if no_chart and chosen_format in ("json", "csv"):
        raise UsageError(f"--no-chart has no effect on {chosen_format}", hint="it goes with --format table or markdown")
    if fuse and passes != "forward":
        hint = "training keeps what fusing leaves out; it goes with --pass forward"
        raise UsageError(f"--fuse has no effect on --pass {passes}", hint=hint)
    shown = None if columns is None else chosen(columns, ROOFLINE_COLUMNS, ROOFLINE_DEFAULT, ROOFLINE_SYNONYMS)
    if sort is not None and sort not in ROOFLINE_COLUMNS:
        raise UsageError(f"--sort: unknown column {sort}", hint=did_you_mean(sort, ROOFLINE_COLUMNS, ROOFLINE_SYNONYMS))
    graph = load_graph(spec, inputs, batch, settings)
    measured = measured_seconds(graph, results, dtype, passes, where)
    priced = roofline(graph, device, dtype, passes, fuse, accumulate, measured)
    rows = fold(priced, by, depth or 1)
    rows = ranked(rows, ROOFLINE_COLUMNS[sort].rank) if sort else rows
    rows = first(rows, top) if top else rows
    if by != "layer":
        shown = [ROOFLINE_COLUMNS[name] for name in ROOFLINE_DEFAULT] if shown is None else shown
        shown = [column._replace(header=by) if column.name == "name" else column for column in shown]
    text = _text(priced, rows, shown, units or "auto", chosen_format, output, not no_chart, not no_legend)
    deliver(text, output, force, spec)
    plotted.write(lambda: _figure(priced, rows, by != "layer" or top is not None))


def _figure(priced: Roofline, rows: list[Roof], folded: bool) -> Any:
    """The drawing as a figure: of blocks or kinds where rows are those."""
    from cnncost.output.plots.roofline import roofline_figure

    return roofline_figure(priced, rows if folded else None)


def _text(
    priced: Roofline,
    rows: list[Roof],
    columns: list[Column] | None,
    units: str,
    format_: str,
    output: str | None,
    drawn: bool,
    legend: bool,
) -> str:
    """The roofline in a format."""
    from cnncost.output import roofline as write

    if format_ == "json":
        return write.roofline_json(priced, rows)
    if format_ == "csv":
        return write.roofline_csv(rows, columns)
    if format_ == "markdown":
        return write.roofline_markdown(priced, rows, columns, units, drawn, legend)
    return write.roofline_table(priced, rows, columns, units, paper(output, legend), drawn)
