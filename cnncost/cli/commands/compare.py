"""cnncost compare."""

from __future__ import annotations

from typing import Any

import click

from cnncost.analysis.columns import Column, chosen
from cnncost.analysis.compare import NETWORK_COLUMNS, NETWORK_DEFAULT, NETWORK_SYNONYMS, Comparison, NetworkRow
from cnncost.analysis.fold import ranked
from cnncost.cli.common import DeviceParam, NetworkColumnParam, SpecParam, deliver, paper, parse_inputs, parse_settings
from cnncost.cli.options import LEGEND, column_options, format_of, html_option, no_effect, output_options, size_options
from cnncost.cli.pages import ZooPage
from cnncost.cli.plots import MapPlotted, Plotted, map_options
from cnncost.cli.progress import Progress
from cnncost.errors import UsageError, did_you_mean

TRAINING = "training_peak_bytes"
"""The column that takes a walk of its own, and is filled only where it is asked for."""
EXAMPLES = """\b
Examples:
  cnncost compare alexnet vgg16 resnet50
  cnncost compare 'resnet*' my_net.yaml --relative-to resnet50
  cnncost compare family:efficientnet --columns name,input,macs,top1_error
  cnncost compare all --sort macs --top 20 --format csv
  cnncost compare alexnet vgg16 --batch 32 --dtype fp16
  cnncost compare all --html zoo.html --device rtx-4090
  cnncost compare all --plot zoo.pdf
  cnncost compare all --plot memory.svg --x peak_bytes
  cnncost compare --layers resnet50 resnet50_v1
"""


@click.command("compare", epilog=EXAMPLES)
@click.argument("specs", nargs=-1, required=True, type=SpecParam())
@size_options
@click.option("--relative-to", type=SpecParam(), metavar="SPEC", help="Beside figures, their ratios to this network's.")
@click.option(
    "--sort",
    type=NetworkColumnParam(),
    metavar="COLUMN",
    help="Rows by a column, largest first; errors smallest first.",
)
@click.option("--top", type=click.IntRange(1), metavar="N", help="Only the first N rows.")
@column_options(NETWORK_COLUMNS, NETWORK_DEFAULT, NetworkColumnParam())
@click.option("--layers", is_flag=True, help="Two networks layer by layer: what differs.")
@html_option("the map of error against cost, and the table, in one file")
@click.option("--device", "devices", type=DeviceParam(), multiple=True, metavar="NAME", help="With --html: the "
              "least time by its roofline, too; repeat for more.")  # fmt: skip
@map_options
@click.option("--all", "everything", is_flag=True, help="With --layers: equal layers too.")
@LEGEND
@output_options(units="auto; exact with --layers")
def command(
    specs: tuple[str, ...],
    inputs: tuple[str, ...],
    batch: int,
    dtype: str,
    settings: tuple[str, ...],
    relative_to: str | None,
    sort: str | None,
    top: int | None,
    columns: str | None,
    layers: bool,
    everything: bool,
    html: str | None,
    devices: tuple[str, ...],
    plot: str | None,
    x: str | None,
    y: str | None,
    area: str | None,
    no_legend: bool,
    units: str | None,
    format_: str | None,
    output: str | None,
    force: bool,
) -> None:
    """Networks side by side: totals, published errors, ratios; or two of them layer by layer.

    SPECS are files, names of bundled architectures, globs over both, family:NAME, or all.
    Sizes and parameters given here are those of every network; of those that a glob, a family or all
    stands for, networks that cannot take them are left out, and named below the table.
    """
    chosen_format = format_ or format_of(output)
    no_effect(columns, units, chosen_format, output, force, no_legend, {"--html": html, "--plot": plot})
    paged = ZooPage(html, devices, units, force, specs, (inputs, batch, dtype, settings))
    paged.check(layers, output)
    plotted = MapPlotted(Plotted(plot, force, specs), {"x": x, "y": y, "area": area})
    plotted.check(layers, output, html)
    form = chosen_format, output, not no_legend
    sizes = {"input": parse_inputs(inputs), "batch": batch, "set": parse_settings(settings), "dtype": dtype}
    if layers:
        rows = {"--relative-to": relative_to, "--sort": sort, "--top": top, "--columns": columns}
        _no_effect_on_layers(rows, everything, chosen_format)
        text = _layers(specs, sizes, everything, units or "exact", paged, *form)
    else:
        if everything:
            raise UsageError("--all has no effect here", hint="it goes with --layers; for all networks write all")
        text = _networks(specs, relative_to, sizes, (sort, top, columns), units or "auto", (paged, plotted), *form)
    deliver(text, output, force, *specs)


def _no_effect_on_layers(options: dict[str, Any], everything: bool, format_: str) -> None:
    """Raise UsageError for an option that would have no effect beside --layers."""
    for name, value in options.items():
        if value is not None:
            raise UsageError(f"{name} has no effect with --layers", hint="it goes with a table of networks")
    if everything and format_ in ("json", "csv"):
        raise UsageError(f"--all has no effect on {format_}", hint="programs get equal layers too")


def _networks(
    specs: tuple[str, ...],
    relative_to: str | None,
    sizes: dict[str, Any],
    picked: tuple[str | None, int | None, str | None],
    units: str,
    drawn: tuple[ZooPage, MapPlotted],
    format_: str,
    output: str | None,
    legend: bool,
) -> str:
    """The comparison in a format, and its page and figure where they are asked for."""
    from cnncost.api import compare

    (sort, top, columns), (paged, plotted) = picked, drawn
    shown = None if columns is None else chosen(columns, NETWORK_COLUMNS, NETWORK_DEFAULT, NETWORK_SYNONYMS)
    if sort is not None and sort not in NETWORK_COLUMNS:
        raise UsageError(f"--sort: unknown column {sort}", hint=did_you_mean(sort, NETWORK_COLUMNS, NETWORK_SYNONYMS))
    training = format_ == "json" or paged.html is not None or plotted.asks(TRAINING)
    training = training or TRAINING in (sort, *(column.name for column in shown or ()))
    with Progress() as watch:
        comparison = compare(
            specs, relative_to=relative_to, training=training, devices=paged.devices, watch=watch, **sizes
        )
    rows = _picked(comparison, NETWORK_COLUMNS[sort] if sort else None, top)
    paged.write(comparison, rows, shown)
    plotted.write(comparison, rows)
    from cnncost.output import compare as write

    if format_ == "json":
        return write.to_json(comparison, rows)
    if format_ == "csv":
        for line in write.left_out(comparison):  # the rows have no place for it
            click.echo(line, err=True)
        return write.to_csv(comparison, rows, shown)
    if format_ == "markdown":
        return write.to_markdown(comparison, rows, shown, units, legend)
    return write.comparison_table(comparison, rows, shown, units, paper(output, legend))


def _picked(comparison: Comparison, sort: Column | None, top: int | None) -> list[NetworkRow]:
    """The rows in order, cut; the one that ratios are to stays."""
    rows = list(comparison.networks)
    if sort is not None:
        rows = ranked(rows, sort.rank, smallest_first=sort.kind == "percent")
    kept = rows[:top]
    return kept if comparison.base is None or comparison.base in kept else [*kept, comparison.base]


def _layers(
    specs: tuple[str, ...],
    sizes: dict[str, Any],
    everything: bool,
    units: str,
    paged: ZooPage,
    format_: str,
    output: str | None,
    legend: bool,
) -> str:
    """Two networks layer by layer, in a format, and their page where one is asked for."""
    from cnncost.api import align
    from cnncost.spec.catalogue import matching

    names = list(matching(specs).values()) if len(specs) == 1 else list(specs)
    if len(names) != 2:
        raise UsageError(f"--layers compares two networks, got {len(names):,}", hint="write --layers alexnet vgg16")
    alignment = align(names[0], names[1], **sizes)
    paged.write_layers(alignment)
    from cnncost.output import align as write

    if format_ == "json":
        return write.to_json(alignment)
    if format_ == "csv":
        return write.to_csv(alignment)
    if format_ == "markdown":
        return write.to_markdown(alignment, everything, units, legend)
    return write.alignment_table(alignment, everything, units, paper(output, legend))
