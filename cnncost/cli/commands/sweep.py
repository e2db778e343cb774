"""cnncost sweep."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING, Any

import click

from cnncost.analysis.dtypes import DTYPES
from cnncost.cli.common import DeviceParam, SpecParam, deliver, paper, parse_inputs, parse_settings, spare_specs
from cnncost.cli.options import INPUT, LEGEND, SET, html_option
from cnncost.cli.pages import SweepHtml
from cnncost.cli.plots import SweepPlotted, space_options
from cnncost.errors import UsageError, did_you_mean
from cnncost.output.units import CHOICES, plural

if TYPE_CHECKING:
    from cnncost.analysis.sweep.run import Choice
    from cnncost.analysis.sweep.space import Space, Summary
    from cnncost.output.sweep import Swept

STREAMED = ("csv", "jsonl", "npz", "parquet")
"""Formats in which every point goes to a file while others are priced."""
FORMATS = ("table", "json", "markdown", *STREAMED)
SUFFIXES = {"txt": "table", "json": "json", "md": "markdown", "ndjson": "jsonl", **{name: name for name in STREAMED}}
ROWS = 20
POINTS_AT_MOST = 10**11
SORTED_AT_MOST = 1_000_000
EXAMPLES = """\b
Examples:
  cnncost sweep resnet50 --vary batch=1,2,4,8 --vary input=128:512:32
  cnncost sweep mobilenet_v2 --vary width=0.25:2:0.05 --where "macs < 300M and params < 4M" --sort -macs
  cnncost sweep resnet50 --vary depths.2=4:36 --vary width=32:128:8 --pareto macs,peak
  cnncost sweep resnet50 --vary width=16:128 --vary input=128:512:4 --nearest macs=600M,params=5M
  cnncost sweep resnet50 --vary width=16:128:8 --vary input=128:512:32 --html space.html
  cnncost sweep resnet50 --vary batch=1:64 --vary input=128:512:16 --plot peak.pdf --quantity peak
  cnncost sweep vgg16 --vary batch=1:256 --device h100 --device rtx-4090 -o vgg16.csv
"""


@click.command("sweep", epilog=EXAMPLES)
@click.argument("spec", type=SpecParam())
@click.option("--vary", multiple=True, metavar="NAME=VALUES", help="What varies: batch, input (or input.height), or a "
              "parameter; values 1,2,4, or a range with its end, 128:512:32. Repeat for more.")  # fmt: skip
@INPUT
@click.option("--batch", "-b", type=click.IntRange(1), help="Where it does not vary.  [1]")
@SET
@click.option("--dtype", type=click.Choice(tuple(DTYPES)), default="fp32", help="What an element takes.  [fp32]")
@click.option("--quantities", metavar="LIST", help="What to price, comma-separated, or all.  "
              "[params,macs,flops,activation_bytes,peak_bytes,training_peak_bytes]")  # fmt: skip
@click.option("--device", "devices", type=DeviceParam(), multiple=True, metavar="NAME", help="The least time by its "
              "roofline too; repeat for more.")  # fmt: skip
@click.option("--where", metavar="CONDITION", help='Points that count: "macs < 600M and params < 5M".')
@click.option("--sort", metavar="NAME", help="Show the points with the least of it; -NAME for the most.")
@click.option("--top", type=click.IntRange(1, SORTED_AT_MOST), metavar="N", help=f"Show so many points.  [{ROWS}]")
@click.option("--pareto", metavar="NAMES", help="Show points that no other beats in all of these: macs,peak,-batch.")
@click.option("--nearest", metavar="NAME=N", help="Show the points nearest to this: macs=600M,params=5M.")
@click.option("--sample", type=click.IntRange(1), metavar="N", help="Price so many points, drawn at random.")
@click.option("--seed", type=click.IntRange(0), metavar="N", help="Of --sample: the same draws the same.  [0]")
@click.option("--workers", type=click.IntRange(1, 256), default=1, help="Processes that price.  [1]")
@click.option("--dask", metavar="ADDRESS", help="Let the workers of this Dask scheduler price: tcp://host:8786.")
@click.option("--format", "format_", type=click.Choice(FORMATS), help="What to write.  [table, or by -o's suffix]")
@click.option("--output", "-o", metavar="FILE", help="Write to a file; .csv, .jsonl, .npz and .parquet take every "
              "point, while others are priced: cut off, the same command goes on.")  # fmt: skip
@html_option("surfaces, lines and fronts of all points in one file")
@space_options
@click.option("--force", is_flag=True, help="Replace a file that is there already.")
@click.option("--units", type=click.Choice(CHOICES), default="auto", help="Unit of the numbers in tables.  [auto]")
@LEGEND
def command(
    spec: str,
    vary: tuple[str, ...],
    inputs: tuple[str, ...],
    batch: int | None,
    settings: tuple[str, ...],
    dtype: str,
    quantities: str | None,
    devices: tuple[str, ...],
    where: str | None,
    sort: str | None,
    top: int | None,
    pareto: str | None,
    nearest: str | None,
    sample: int | None,
    seed: int | None,
    workers: int,
    dask: str | None,
    format_: str | None,
    output: str | None,
    html: str | None,
    plot: str | None,
    quantity: str | None,
    force: bool,
    units: str,
    no_legend: bool,
) -> int:
    """A space of networks at once: every batch, input size and parameter that --vary names.

    SPEC is a YAML file or the name of a bundled architecture. Points that cannot be, as a window larger
    than its input, are marked and counted with the first reason.
    """
    gc.enable()  # other commands do without, but errors of impossible points are cycles, and there may be many
    chosen_format = format_ or _format_of(output)
    streamed = chosen_format in STREAMED and not (sort or top or pareto or nearest)
    if chosen_format in ("npz", "parquet"):
        _arrays_need(chosen_format, output, streamed)
    if dask is not None and workers > 1:
        raise UsageError("--workers has no effect with --dask", hint="the cluster has workers of its own")
    paged = SweepHtml(html, force, spec, workers, units)
    paged.check(output)
    plotted = SweepPlotted.of(plot, quantity, force, spec)
    plotted.check(output, html)
    from cnncost.analysis.sweep.run import Job
    from cnncost.output.sweep import Swept

    space = _space(spec, vary, inputs, batch, settings, dtype, quantities, devices, where, sample, seed)
    choice, chosen = _choice(space, sort, top, pareto, nearest)
    paged.require_few(space)
    plotted.require_drawable(space)
    if streamed and html is not None:
        summary, found = _gathered(Job(space, choice), workers, dask)
        paged.write(Swept(space, summary, found.rows(), chosen), pareto)
    if streamed and output not in (None, "-"):
        assert output is not None
        spare_specs(output, spec)
        _to_file(Job(space), output, chosen_format, workers, dask, force)
    elif streamed:
        _to_output(Job(space), chosen_format, workers, dask)
    if streamed:
        plotted.write(space)
        return 0
    summary, found = _gathered(Job(space, choice), workers, dask)
    swept = Swept(space, summary, found.rows(), chosen)
    paged.write(swept, pareto)
    deliver(_text(swept, chosen_format, units, output, not no_legend), output, force, spec)
    plotted.write(space, swept.rows if chosen else None, chosen)
    return 0


def _format_of(output: str | None) -> str:
    """What -o's suffix asks for. Raises UsageError for one that is no format."""
    suffix = os.path.splitext(output or "")[1].lower().lstrip(".")
    if output in (None, "-", os.devnull) or not suffix:
        return "table"
    if suffix not in SUFFIXES:
        known = ", ".join(f".{name}" for name in SUFFIXES)
        raise UsageError(f"-o {output}: no format has the suffix .{suffix}", hint=f"use {known}, or give --format")
    return SUFFIXES[suffix]


def _arrays_need(format_: str, output: str | None, streamed: bool) -> None:
    """Raise UsageError where arrays cannot be written."""
    if output in (None, "-"):
        raise UsageError(f"{format_} is no text", hint=f"write it to a file: -o FILE.{format_}")
    if not streamed:
        raise UsageError(f"{format_} takes every point", hint="choose points with --where, or write them as CSV")
    if format_ == "parquet":
        from cnncost.output.sweep_files import require_parquet

        require_parquet()


def _space(spec: str, vary: tuple[str, ...], inputs: tuple[str, ...], batch: int | None, settings: tuple[str, ...],
           dtype: str, quantities: str | None, devices: tuple[str, ...], where: str | None, sample: int | None,
           seed: int | None) -> Space:  # fmt: skip
    """The space that was asked for. Raises UsageError."""
    from cnncost.api.sweeps import space_of

    names = None if quantities is None else tuple(name.strip() for name in quantities.split(","))
    space = space_of(spec, vary, input=parse_inputs(inputs), batch=batch, set=parse_settings(settings), dtype=dtype,
                     quantities=names, devices=devices, where=where, sample=sample, seed=seed)  # fmt: skip
    if space.size > POINTS_AT_MOST:
        raise UsageError(f"{space.size:,} design points", hint="price some, drawn at random: --sample 1000000")
    return space


def _choice(
    space: Space, sort: str | None, top: int | None, pareto: str | None, nearest: str | None
) -> tuple[Choice, str]:
    """Which points are shown, and in words. Raises UsageError."""
    from cnncost.analysis.choice import POINT, Nearest, Pareto, Top, parse_nearest, parse_pareto

    given = [name for name, value in (("--sort", sort), ("--pareto", pareto), ("--nearest", nearest)) if value]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} are two choices", hint="give one of them")
    count = top or ROWS
    if pareto is not None:
        if top is not None:
            raise UsageError("--top has no effect with --pareto", hint="all points of the front are shown")
        aims = parse_pareto(pareto, space.names)
        return Pareto(aims), f"that no other beats in {pareto}"
    if nearest is not None:
        return Nearest(parse_nearest(nearest, space.names, space.measures), count), f"nearest to {nearest}"
    if sort is not None:
        name = sort.removeprefix("-")
        if name not in space.names:
            raise UsageError(f"--sort {sort}: unknown column {name}", hint=did_you_mean(name, space.names))
        most = sort.startswith("-")
        return Top(space.names[name], count, most), f"with the {'most' if most else 'least'} {name}"
    return Top(POINT, count), ""


def _gathered(job: Any, workers: int, dask: str | None) -> tuple[Summary, Choice]:
    """All tiles, summed up, and the points chosen of them."""
    from copy import deepcopy

    from cnncost.analysis.sweep.run import run
    from cnncost.analysis.sweep.space import Summary
    from cnncost.cli.progress import Progress

    summary, chosen = Summary(), deepcopy(job.choice)
    with Progress("design points") as watch:
        for done in run(job, workers, dask=dask):
            summary.merge(done.summary)
            chosen.merge(done.choice)
            watch(summary.points, job.space.size)
    return summary, chosen


def _to_file(job: Any, output: str, format_: str, workers: int, dask: str | None, force: bool) -> int:
    """Every point into a file, tile by tile, behind what a sweep that was cut off has left."""
    from cnncost.cli.progress import Progress
    from cnncost.output.sweep_files import write

    with Progress("design points") as watch:
        summary = write(job.space, output, format_, workers, force, watch, dask)
    said = [plural(summary.points, "design point")]
    if job.space.where is not None:
        said.append(f"{summary.kept:,} meet the condition")
    if summary.impossible:
        said.append(f"{sum(summary.impossible.values()):,} impossible")
    click.echo(f"{output}: {', '.join(said)}", err=True)
    return 0


def _to_output(job: Any, format_: str, workers: int, dask: str | None) -> int:
    """Every point on standard output, tile by tile."""
    import sys

    from cnncost.analysis.sweep.run import run
    from cnncost.output.sweep_files import encoder

    if sys.stdout is None:
        raise UsageError("standard output is closed", hint="write to a file with -o FILE")
    encode = encoder(job.space, format_)
    out = sys.stdout.buffer
    try:
        out.write(encode.head())
        for done in run(job._replace(encode=encode), workers, dask=dask):
            out.write(done.written)
        out.flush()
    except BrokenPipeError:  # the reader has seen enough, which is no failure
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
    return 0


def _text(swept: Swept, format_: str, units: str, output: str | None, legend: bool) -> str:
    """The chosen points in a format."""
    from cnncost.output import sweep as write

    if format_ == "table":
        return write.sweep_table(swept, units, paper(output, legend))
    if format_ == "markdown":
        return write.sweep_markdown(swept, units)
    return {"json": write.sweep_json, "csv": write.sweep_csv, "jsonl": write.sweep_lines}[format_](swept)
