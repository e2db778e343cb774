"""cnncost predict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cnncost.analysis.dtypes import DTYPES
from cnncost.analysis.traffic import PASSES
from cnncost.cli.commands.bench import CHOICES, Numbers
from cnncost.cli.common import DeviceParam, SpecParam, deliver, load_graph, paper
from cnncost.cli.options import INPUT, SET, format_of, no_effect, output_options
from cnncost.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnncost.analysis.predict import Prediction

EXAMPLES = """\b
Examples:
  cnncost predict resnet50 --device rtx-4090 --dtype tf32 --batch 32
  cnncost machine -o my-machine.yaml
  cnncost bench vgg16 --results measured.jsonl
  cnncost predict resnet50 --device my-machine.yaml --results measured.jsonl --batch 1,8
"""


@click.command("predict", epilog=EXAMPLES)
@click.argument("spec", type=SpecParam())
@click.option("--device", required=True, type=DeviceParam(), metavar="NAME", help="A device of cnncost devices, or the "
              "path of a sheet: cnncost machine writes one.")  # fmt: skip
@click.option("--results", multiple=True, metavar="FILE", help="Layers of any networks that cnncost bench measured on "
              "this device; repeat for more files.")  # fmt: skip
@INPUT
@SET
@click.option("--batch", "-b", "batches", type=Numbers(), default="1", help="Images in a batch; several: 1,8.  [1]")
@click.option("--dtype", type=click.Choice(tuple(DTYPES)), default="fp32", help="Of tensors and arithmetic.  [fp32]")
@click.option("--layout", type=click.Choice(CHOICES["layout"]), default="nchw", help="Of the results to go by.  [nchw]")
@click.option("--pass", "passes", type=click.Choice(PASSES), default="forward", help="Inference, gradients, or both as "
              "in training.  [forward]")  # fmt: skip
@click.option("--threads", type=click.IntRange(1), help="Of a CPU.  [those of the sheet, or of the results]")
@output_options()
def command(
    spec: str,
    device: str,
    results: tuple[str, ...],
    inputs: tuple[str, ...],
    settings: tuple[str, ...],
    batches: tuple[int, ...],
    dtype: str,
    layout: str,
    passes: str,
    threads: int | None,
    format_: str | None,
    output: str | None,
    force: bool,
) -> None:
    """What a network would take on a device, layer by layer, without running it.

    From the device's sheet alone, or from measured layers of other networks besides; each row says
    where its time comes from. docs/predict.md has the method and how far it is off.
    """
    chosen_format = format_ or format_of(output)
    no_effect(None, None, chosen_format, output, force)
    from cnncost.analysis.measurements import Setting
    from cnncost.analysis.predict import predictor
    from cnncost.devices import load

    sheet = load(device)
    if threads is not None and sheet.kind == "gpu":
        raise UsageError("--threads has no effect on a GPU", hint="leave it out")
    if layout != "nchw" and not results:
        raise UsageError("--layout has no effect on the roofline", hint="it chooses among --results")
    predict = predictor(sheet, results, Setting(sheet.name, dtype, layout, passes, threads=threads))
    predictions = [predict.predict(load_graph(spec, inputs, batch, settings)) for batch in batches]
    deliver(_text(predictions, chosen_format, output), output, force, spec, *results)


def _text(predictions: Sequence[Prediction], format_: str, output: str | None) -> str:
    """The predictions in a format."""
    from cnncost.output import predict as write

    if format_ == "table":
        return write.predict_table(predictions, paper(output))
    if format_ == "markdown":
        return write.predict_markdown(predictions)
    return {"json": write.predict_json, "csv": write.predict_csv}[format_](predictions)
