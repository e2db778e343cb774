"""cnncost graph."""

from __future__ import annotations

import os
from collections.abc import Iterable

import click

from cnncost.analysis.folded import folded
from cnncost.analysis.report import analyze
from cnncost.cli.common import ColumnParam, SpecParam, deliver, load_graph
from cnncost.cli.options import size_options
from cnncost.errors import UsageError
from cnncost.output.graph_labels import DEFAULT, SHOWABLE, chosen_quantities, words

FORMATS = ("mermaid", "dot", "svg")
SUFFIXES = {"mmd": "mermaid", "mermaid": "mermaid", "dot": "dot", "gv": "dot", "svg": "svg"}
EXAMPLES = """\b
Examples:
  cnncost graph resnet50
  cnncost graph resnet50 --depth 2 -o resnet50.svg
  cnncost graph googlenet --open 3a -o googlenet.svg
  cnncost graph densenet121 --open 'denseblock1.[01]' --format dot
  cnncost graph unet --all --show activations,peak -o unet.svg
  cnncost graph torchvision:resnet18 -o resnet18.mmd
"""


class AmountParam(ColumnParam):
    """One or more amounts by name, which it completes."""

    def known(self) -> Iterable[str]:
        return SHOWABLE


@click.command("graph", epilog=EXAMPLES)
@click.argument("spec", type=SpecParam())
@size_options
@click.option("--depth", type=click.IntRange(1), metavar="N", help="Parts of the path that count: blocks deeper down "
              "are one node.  [1]")  # fmt: skip
@click.option("--open", "opened", multiple=True, metavar="BLOCK", help="A block (a glob) to be drawn with what is in "
              "it; repeat for more.")  # fmt: skip
@click.option("--all", "whole", is_flag=True, help="Every layer, nothing folded.")
@click.option("--show", type=AmountParam(), default=DEFAULT, metavar="LIST", help="Amounts in the nodes, "
              "comma-separated: macs, params, flops, activations, peak ...; the first one colours.  "
              f"[{DEFAULT}]")  # fmt: skip
@click.option("--format", "format_", type=click.Choice(FORMATS), help="What to write.  [mermaid, or by -o's suffix]")
@click.option("--output", "-o", metavar="FILE", help="Write to a file instead of the terminal.")
@click.option("--force", is_flag=True, help="Replace a file that is there already.")
def command(
    spec: str,
    inputs: tuple[str, ...],
    batch: int,
    dtype: str,
    settings: tuple[str, ...],
    depth: int | None,
    opened: tuple[str, ...],
    whole: bool,
    show: str,
    format_: str | None,
    output: str | None,
    force: bool,
) -> None:
    """A network as a graph, folded by block: for Mermaid, for Graphviz, or a finished picture.

    SPEC is a YAML file, the name of a bundled architecture (cnncost list), - for standard input, or a
    PyTorch model: torchvision:NAME, timm:NAME, package.module:NAME, path/to/file.py:NAME.
    """
    chosen = format_ or _format_of(output)
    for option, given in (("--depth", depth is not None), ("--open", bool(opened))):
        if whole and given:
            raise UsageError(f"{option} has no effect with --all", hint="--all opens every block")
    if force and output is None:
        raise UsageError("--force has no effect here", hint="it goes with -o FILE")
    shown = chosen_quantities(show)
    if chosen == "svg":
        from cnncost.output.graph_layout import require_graphviz

        require_graphviz()
    report = analyze(load_graph(spec, inputs, batch, settings), dtype, fields=False)
    graph = folded(report, depth or 1, opened, whole)
    text = words(graph, shown)
    if chosen == "svg":
        from cnncost.output.graph_svg import to_svg

        deliver(to_svg(graph, text), output, force, spec)
        return
    from cnncost.output.graph_text import to_dot, to_mermaid

    deliver((to_mermaid if chosen == "mermaid" else to_dot)(graph, text), output, force, spec)


def _format_of(output: str | None) -> str:
    """What -o's suffix asks for. Raises UsageError for one that is no format."""
    suffix = os.path.splitext(output or "")[1].lower().lstrip(".")
    if output in (None, "-", os.devnull) or not suffix:
        return "mermaid"
    if suffix not in SUFFIXES:
        known = ", ".join(f".{s}" for s in SUFFIXES)
        raise UsageError(f"-o {output}: no format has the suffix .{suffix}", hint=f"use {known}, or give --format")
    return SUFFIXES[suffix]
