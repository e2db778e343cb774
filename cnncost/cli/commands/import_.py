"""cnncost import."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cnncost.cli.common import SpecParam, deliver, load_graph
from cnncost.options import printable

if TYPE_CHECKING:
    from cnncost.graph import Graph

EXAMPLES = """\b
Examples:
  cnncost import model.onnx -o net.yaml
  cnncost import resnet50 --set width=32 --input 3x160x160 -o small.yaml
"""


@click.command("import", epilog=EXAMPLES)
@click.argument("model", type=SpecParam())
@click.option("--input", "-i", "inputs", multiple=True, metavar="CxHxW",
              help="Input shape without the batch; name=CxHxW for each of several.")  # fmt: skip
@click.option("--set", "-s", "settings", multiple=True, metavar="NAME=VALUE",
              help="Value of a declared parameter; repeat for more.")  # fmt: skip
@click.option("--output", "-o", metavar="FILE", help="Write to a file instead of the terminal.")
@click.option("--force", is_flag=True, help="Let -o replace a file.")
def command(model: str, inputs: tuple[str, ...], settings: tuple[str, ...], output: str | None, force: bool) -> None:
    """Write a model as a spec: repeated layers as blocks, sizes as numbers.

    MODEL is what cnncost report takes: model.onnx, a YAML file, the name of a bundled architecture.
    The spec is loaded again before it is written: its layers cost what the model's cost.
    """
    from cnncost.spec.writing import to_yaml

    graph = load_graph(model, inputs, 1, settings)
    text = f"# Written by: {_call(model, inputs, settings)}\n{to_yaml(graph)}"
    _compare(graph, text)
    deliver(text, output, force, model, is_spec=True)


def _call(model: str, inputs: tuple[str, ...], settings: tuple[str, ...]) -> str:
    """The command on one line."""
    from shlex import join

    given = [word for shape in inputs for word in ("--input", shape)]
    given += [word for pair in settings for word in ("--set", pair)]
    return printable(join(["cnncost", "import", model, *given]))


def _compare(graph: Graph, text: str) -> None:
    """Raise RuntimeError, which is a fault of cnncost, where a spec does not say what the graph says."""
    from cnncost.analysis.report import analyze
    from cnncost.spec.document import read_document
    from cnncost.spec.expand import expand
    from cnncost.spec.files import Source

    written = expand(read_document(Source(text, "the written spec", None, False)), None, graph.batch)
    if [node.shape for node in written] != [node.shape for node in graph]:
        raise RuntimeError("the written spec has other layers")
    if analyze(written, fields=False).total != analyze(graph, fields=False).total:
        raise RuntimeError("the written spec has other totals")
