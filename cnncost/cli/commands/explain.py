"""cnncost explain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from cnncost.cli.common import SpecOrOpParam, deliver, paper, parse_inputs, parse_settings, shape_text
from cnncost.cli.op_options import options_of
from cnncost.cli.options import size_options
from cnncost.errors import CnncostError, UsageError

EXAMPLES = """\b
Examples:
  cnncost explain alexnet conv2
  cnncost explain googlenet 3a
  cnncost explain resnet50 'conv3_x.0.*.conv' --batch 32
  cnncost explain conv 10 --input 3x32x32 --kernel 5 --padding 2
  cnncost explain max_pool 3 --input 96x55x55 --stride 2
  cnncost explain concat --input 64x28x28 --input 128x28x28
"""


def _layers_of(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Completion of a layer: the paths of the network's layers and blocks; nothing where it cannot be read."""
    from cnncost.spec import load

    try:
        graph = load(ctx.params["spec"])
    except (CnncostError, OSError, KeyError):
        return []
    parts = (node.name.split(".") for node in graph.nodes)
    paths = dict.fromkeys(".".join(path[:n]) for path in parts for n in range(1, len(path) + 1))
    return [path for path in paths if path.startswith(incomplete)]


class Explain(click.Command):
    """Completes the options of an op beside its own."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        from cnncost.ops import find
        from cnncost.spec.single import is_op

        items = super().shell_complete(ctx, incomplete)
        spec = ctx.params.get("spec")
        if spec is None or not is_op(spec):
            return items
        options = find(spec).options.items()
        words = [f"--{'no-' * (field.default is True)}{name.replace('_', '-')}" for name, field in options]
        return [*items, *(CompletionItem(word) for word in words if word.startswith(incomplete))]


@click.command("explain", cls=Explain, epilog=EXAMPLES, context_settings={"ignore_unknown_options": True})
@click.argument("spec", type=SpecOrOpParam())
@click.argument("layer", nargs=-1, type=click.UNPROCESSED, metavar="[LAYER]", shell_complete=_layers_of)
@size_options
@click.option("--format", "format_", type=click.Choice(("table", "json")), default="table", help="[table]")
def command(
    spec: str,
    layer: tuple[str, ...],
    inputs: tuple[str, ...],
    batch: int,
    dtype: str,
    settings: tuple[str, ...],
    format_: str,
) -> None:
    """The formulas of a layer with its numbers in them.

    SPEC is a YAML file, the name of a bundled architecture, or - for standard input. LAYER is a path,
    the end of one, a block or a glob; of several layers each is explained, and then their sum.

    SPEC may also be an op (cnncost ops), for a single layer: LAYER is then its main option, other
    options follow by name (--kernel 3 --stride 2x1 --no-bias), and --input is needed, once for each
    input. A file or a network that has an op's name comes before the op.
    """
    from cnncost.api import explain
    from cnncost.spec.single import is_op, no_such_op

    if spec.startswith("-") and spec != "-":
        raise UsageError(f"no such option: {spec}", hint="a network or an op comes first; cnncost explain --help")
    if is_op(spec):
        if settings:
            raise UsageError("--set has no effect on an op", hint="give its options by name: --kernel 3")
        if not inputs:
            hint = "write --input 3x224x224, channels x height x width, once for each input"
            raise UsageError(f"{spec} alone needs --input", hint=hint)
        main, options = options_of(spec, layer)
        shapes = [shape_text(shape) for shape in inputs]
        explanation = explain(
            spec, main, input=shapes if len(shapes) > 1 else shapes[0], batch=batch, dtype=dtype, **options
        )
    else:
        no_such_op(spec, layer)
        given: Any = {"input": parse_inputs(inputs), "batch": batch, "set": parse_settings(settings)}
        explanation = explain(spec, _one(spec, layer), dtype=dtype, **given)
    if format_ == "json":
        deliver(explanation.to_json(), None, False)
        return
    from cnncost.output.explain import explanation_text

    deliver(explanation_text(explanation, paper()), None, False)


def _one(spec: str, words: Sequence[str]) -> str | None:
    """The one layer of a network that is asked for, or nothing."""
    for word in words:
        if word.startswith("-"):
            raise UsageError(f"no such option: {word}", hint="cnncost explain --help; options of layers go with an op")
    if len(words) > 1:
        hint = f"for several layers take a block or a glob: cnncost explain {spec} 'conv*'"
        raise UsageError(f"one layer at a time, got {' '.join(words)}", hint=hint)
    return words[0] if words else None
