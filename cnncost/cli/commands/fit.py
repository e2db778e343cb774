"""cnncost fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cnncost.cli.common import DeviceParam, SpecParam, deliver, paper
from cnncost.cli.memory_options import Asked, memory_options
from cnncost.cli.options import LEGEND, format_of, no_effect, output_options
from cnncost.cli.progress import Progress

if TYPE_CHECKING:
    from cnncost.analysis.memory import Memory
    from cnncost.output.fit import Shown

EXAMPLES = """\b
Examples:
  cnncost fit resnet50 --memory 24GB
  cnncost fit resnet50 --device rtx-4090 --batch 64
  cnncost fit my_net.yaml --memory 512MiB --step 1 --format json
"""


@click.command("fit", epilog=EXAMPLES)
@click.argument("spec", type=SpecParam())
@click.option("--memory", metavar="BYTES", help="What there is: 24GB (10^9 bytes), 24GiB (2^30 bytes), 512MiB.")
@click.option("--device", type=DeviceParam(), metavar="NAME", help="That of this device, less --reserve.")
@click.option("--reserve", metavar="BYTES", help="Left to the driver and the allocator.  [1GiB with --device, else 0]")
@memory_options
@click.option(
    "--step", type=click.IntRange(1), metavar="N", help="Pixels by which inputs differ.  [the network's stride]"
)
@LEGEND
@output_options(units="auto")
def command(
    spec: str,
    memory: str | None,
    device: str | None,
    reserve: str | None,
    step: int | None,
    no_legend: bool,
    units: str | None,
    format_: str | None,
    output: str | None,
    force: bool,
    **asked: object,
) -> int:
    """The largest batch and the largest input that fit into a memory, and those in between.

    SPEC is a YAML file, the name of a bundled architecture (cnncost list), - for standard input, or a
    PyTorch model: torchvision:NAME, timm:NAME, package.module:NAME, path/to/file.py:NAME. Exit code 1
    where it does not fit at the batch and input asked for.
    """
    chosen_format = format_ or format_of(output)
    no_effect(None, units, chosen_format, output, force, no_legend)
    from cnncost.analysis.fit import fit, room
    from cnncost.output.fit import Shown

    available = room(memory, device, reserve)
    wanted = Asked.of(asked).on("cuda" if available.on_gpu else "cpu")
    graph_at = wanted.graphs(spec)
    graph = graph_at(wanted.inputs, wanted.batch)

    def memory_at(images: int, shape: tuple[int, ...] | None) -> Memory:
        return wanted.memory(graph_at(wanted.inputs if shape is None else shape, images))

    with Progress("batches") as watch:
        found = fit(graph, available.free, memory_at, step=step, watch=watch)
    shown = Shown(graph, available, found, wanted.dtype, wanted.step)
    deliver(_text(shown, units or "auto", chosen_format, output, not no_legend), output, force, spec)
    return 0 if found.fits else 1


def _text(shown: Shown, units: str, format_: str, output: str | None, legend: bool) -> str:
    """What fits, in a format."""
    from cnncost.output import fit as write

    if format_ == "table":
        return write.fit_table(shown, units, paper(output, legend))
    if format_ == "markdown":
        return write.fit_markdown(shown, units, legend)
    return {"json": write.fit_json, "csv": write.fit_csv}[format_](shown)
