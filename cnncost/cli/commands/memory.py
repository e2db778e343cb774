"""cnncost memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cnncost.cli.common import SpecParam, deliver, paper
from cnncost.cli.memory_options import Asked, memory_options
from cnncost.cli.options import LEGEND, format_of, no_effect, output_options
from cnncost.cli.plots import Plotted, plot_option
from cnncost.errors import UsageError

if TYPE_CHECKING:
    from cnncost.output.memory import Shown

EXAMPLES = """\b
Examples:
  cnncost memory resnet50
  cnncost memory resnet50 --batch 32 --dtype fp16 --steps
  cnncost memory my_net.yaml --input 3x512x512 --format json
  cnncost memory resnet50 --train --optimizer adam --batch 32 --autocast bf16
  cnncost memory resnet50 --train --batch 32 --plot resnet50.pdf
  cnncost memory torchvision:convnext_tiny --batch 8 --measure
"""


@click.command("memory", epilog=EXAMPLES)
@click.argument("spec", type=SpecParam())
@memory_options
@click.option("--steps", "--layers", "steps", is_flag=True, help="A row a layer as it runs, in place of the chart.")
@click.option("--measure", is_flag=True, help="Run it in PyTorch, and show what was measured beside what is derived.")
@click.option("--device", metavar="NAME", help="With --measure: cpu or cuda.  [cpu]")
@plot_option("the bytes alive at every step, and the peak")
@LEGEND
@output_options(units="auto")
def command(
    spec: str,
    steps: bool,
    measure: bool,
    device: str | None,
    plot: str | None,
    no_legend: bool,
    units: str | None,
    format_: str | None,
    output: str | None,
    force: bool,
    **asked: object,
) -> None:
    """What a network holds in memory while it runs, layer by layer: the peak, where it is, and of what.

    SPEC is a YAML file, the name of a bundled architecture (cnncost list), - for standard input, or a
    PyTorch model: torchvision:NAME, timm:NAME, package.module:NAME, path/to/file.py:NAME.
    """
    chosen_format = format_ or format_of(output)
    no_effect(None, units, chosen_format, output, force, no_legend, {"--plot": plot})
    plotted = Plotted(plot, force, (spec,))
    plotted.check(output)
    if steps and chosen_format in ("json", "csv"):
        raise UsageError(f"--steps has no effect on {chosen_format}", hint="all steps are in it")
    if device is not None and not measure:
        raise UsageError("--device has no effect here", hint="it goes with --measure")
    from cnncost.output.memory import Shown

    wanted = Asked.of(asked).on(device or "cpu")
    graph = wanted.graph(spec)
    shown = Shown(graph, wanted.memory(graph), wanted.step)
    if measure:
        from cnncost.live.measure import measure as run

        beside = run(spec, graph, shown.memory, wanted.step, wanted.dtype, device or "cpu")
        shown = shown._replace(beside=beside)
    deliver(_text(shown, steps, units or "auto", chosen_format, output, not no_legend), output, force, spec)
    plotted.write(lambda: _figure(shown))


def _figure(shown: Shown) -> Any:
    """The timeline as a figure."""
    from cnncost.output.plots.memory import memory_figure

    return memory_figure(shown.graph, shown.memory, shown.step, shown.beside)


def _text(shown: Shown, steps: bool, units: str, format_: str, output: str | None, legend: bool) -> str:
    """The memory in a format."""
    from cnncost.output import memory as write

    if format_ == "table":
        return write.memory_table(shown, steps, units, paper(output, legend))
    if format_ == "markdown":
        return write.memory_markdown(shown, steps, units, legend)
    return {"json": write.memory_json, "csv": write.memory_csv}[format_](shown)
