"""cnncost import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cnncost.cli.common import SpecParam, deliver, load_graph
from cnncost.cli.options import given_options
from cnncost.options import printable
from cnncost.spec.models import ModelName

if TYPE_CHECKING:
    from cnncost.graph import Graph

EXAMPLES = """\b
Examples:
  cnncost import torchvision:resnet50 -o net.yaml
  cnncost import my_net.py:Net --arg classes=10 --input 3x32x32
  cnncost import model.onnx -o net.yaml
  cnncost import resnet50 --set width=32 --input 3x160x160 -o small.yaml
"""


@click.command("import", epilog=EXAMPLES)
@click.argument("model", type=SpecParam())
@given_options
@click.option("--output", "-o", metavar="FILE", help="Write to a file instead of the terminal.")
@click.option("--force", is_flag=True, help="Replace a file that is there already.")
def command(model: str, inputs: tuple[str, ...], settings: tuple[str, ...], output: str | None, force: bool) -> None:
    """Write a model as a spec: repeated layers as blocks, sizes as numbers.

    MODEL is what cnncost report takes: a PyTorch model by name, an ONNX file, a YAML file, a bundled
    architecture. The spec is loaded again before it is written, and its layers cost what the model's cost.
    """
    from cnncost.spec.writing import to_yaml

    graph = load_graph(model, inputs, 1, settings)
    text = f"# Written by: {_call(model, inputs, settings)}\n{to_yaml(graph)}"
    _compare(graph, text)
    deliver(text, output, force, model, is_spec=True)


def _call(model: str, inputs: tuple[str, ...], settings: tuple[str, ...]) -> str:
    """The command on one line."""
    from shlex import join

    given = [("--input", shape) for shape in inputs] + [("--set", pair) for pair in settings]
    if isinstance(model, ModelName):
        given += [("--arg", f"{name}={value}") for name, value in model.arguments.items()]
    words = [word for option in given for word in option]
    train = ["--train"] * getattr(model, "train", False)
    return printable(join(["cnncost", "import", model, *words, *train]))


def _compare(graph: Graph, text: str) -> None:
    """Raise RuntimeError, which is a fault of cnncost, where a spec does not say what the graph says."""
    from cnncost.analysis.report import analyze
    from cnncost.spec.document import read_document
    from cnncost.spec.expand import expand
    from cnncost.spec.files import Source

    written = expand(read_document(Source(text, "the written spec", None, False)), None, graph.batch)
    if _wiring(written) != _wiring(graph):
        raise RuntimeError("the written spec has other layers")
    here, there = (analyze(either, fields=False) for either in (graph, written))
    if [layer.cost for layer in here.layers] != [layer.cost for layer in there.layers] or here.total != there.total:
        raise RuntimeError("the written spec has other costs")


def _wiring(graph: Graph) -> list[tuple[Any, ...]]:
    """Of each layer its shape, and by their places what it takes and whose parameters it has."""
    place: dict[str | None, Any] = {None: None}
    place |= {name: i for i, name in enumerate((*graph.inputs, *(node.name for node in graph)))}
    return [(node.shape, [place[name] for name in node.inputs], place[node.shares]) for node in graph]
