"""What the names in a claim's quantity mean: counts of some layers of a report, and sizes of one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from cnncost.analysis.report import LayerReport, Report, depth, figures
from cnncost.cost import total
from cnncost.dims import numel
from cnncost.errors import SpecError, did_you_mean
from cnncost.graph import Graph, Node
from cnncost.ops import MENU
from cnncost.options import spelled
from cnncost.spec.expr import SIZES, size_of

COUNTS = (
    *("params", "weights", "biases", "other_params", "buffers", "macs", "flops", "operations"),
    *("additions", "multiplications", "comparisons", "divisions", "exponentials", "neurons"),
    *("elements_read", "elements_written", "activation_bytes", "weight_bytes", "peak_bytes", "layers", "count"),
)
"""Sums over layers. operations: all that is no MAC. peak_bytes: the most of any. layers: those with weights on the
longest path. count: all."""
OF_ONE = ("output", "elements", "receptive_field", *SIZES)
"""What only one layer has, besides its options."""


def chosen_layers(report: Report, of: Sequence[str], without: Sequence[str] = ()) -> tuple[LayerReport, ...]:
    """Layers by names, blocks and globs, in order; all without any. Raises SpecError for one that finds nothing."""
    for pattern in (*of, *without):
        if not any(covers(pattern, layer.name) for layer in report.layers):
            blocks = {layer.name.rsplit(".", n)[0] for layer in report.layers for n in range(layer.name.count(".") + 1)}
            raise SpecError(f"no layer {spelled(pattern)}", hint=did_you_mean(pattern, sorted(blocks)))
    chosen = tuple(
        layer
        for layer in report.layers
        if (not of or any(covers(p, layer.name) for p in of)) and not any(covers(p, layer.name) for p in without)
    )
    if not chosen:
        raise SpecError("no layers are left", hint="`except` leaves out everything that `of` takes")
    return chosen


def covers(pattern: str, name: str) -> bool:
    """Whether a name, a block or a glob covers a layer: conv1, 3a of 3a.1x1.conv, fc*, *.bn."""
    if pattern == name or name.startswith(f"{pattern}."):
        return True
    if not set(pattern) & set("*?["):
        return False
    parts = name.split(".")
    return any(fnmatchcase(".".join(parts[:n]), pattern) for n in range(1, len(parts) + 1))


class Quantities:
    """A scope for expressions over some layers of a report."""

    def __init__(
        self, graph: Graph, report: Report, layers: Sequence[LayerReport], others: dict[str, int | None] | None = None
    ) -> None:
        self.graph, self.report, self.layers, self.others = graph, report, layers, others or {}

    def value(self, name: str) -> Any:
        if name in COUNTS:
            return self.count(name, self.layers)
        if name in self.others:
            value = self.others[name]
            if value is None:
                raise SpecError(f"the claim does not say how many {name}", hint=f"add {name}: 10")
            return value
        if name in OF_ONE and not self.is_option(name):
            return self.of_last(name)
        node = self.node(name)
        if name in node.op.options:
            return _same(getattr(node.op, name), f"{name} of {node.name}")
        near = did_you_mean(name, [*COUNTS, *node.op.options])
        hint = near if near.startswith("did") else did_you_mean(name, node.op.options)
        raise SpecError(f"{spelled(name)} is no count, and {node.op.key} has no option of that name", hint=hint)

    def size(self, owner: str, name: str) -> Any:
        """add.additions: of the layers of one op; network.macs: of all; input.height: of what the first layer takes."""
        if owner == "input":
            return size_of(self.graph.shapes[self.layers[0].inputs[0]], name, owner)
        if owner not in (*MENU, "network"):
            layer = any(covers(owner, found.name) for found in self.report.layers)
            hint = f"for one layer write `of: {owner}`" if layer else did_you_mean(owner, [*MENU, "input", "network"])
            raise SpecError(f"no op is called {spelled(owner)}", hint=hint)
        if name not in COUNTS:
            raise SpecError(f"nothing is counted as {spelled(name)}", hint=did_you_mean(name, COUNTS))
        if owner == "network":
            return self.count(name, self.report.layers)
        return self.count(name, [layer for layer in self.layers if layer.op == owner])

    def count(self, name: str, layers: Sequence[LayerReport]) -> Any:
        """The sum of a count over layers."""
        if name == "count":
            return len(layers)
        if name == "layers":
            return depth(self.graph.nodes, {layer.name for layer in layers})
        if name == "peak_bytes":
            return max((layer.peak_bytes for layer in layers), default=0)
        cost = total(layer.cost for layer in layers)
        return cost.operations if name == "operations" else figures(cost, self.report.element_bytes)[name]

    def of_last(self, name: str) -> Any:
        """A fact of the one layer, or of the output of the block."""
        last = self.layers[-1]
        if name == "output":
            raise SpecError(
                "output is a shape, not a number", hint="write quantity: output alone, or take a size: height"
            )
        if name == "elements":
            return numel(last.output_shape[1:])
        if name == "receptive_field":
            return _same(last.receptive_field.size if last.receptive_field else None, f"receptive field of {last.name}")
        return size_of(last.output_shape, name, last.name)

    def is_option(self, name: str) -> bool:
        """Whether a name of a shape is a number among the one layer's options, as the size of an lrn."""
        return len(self.layers) == 1 and type(getattr(self.node(name).op, name, None)) is int

    def node(self, name: str) -> Node:
        """The one layer that a name is about."""
        if len(self.layers) != 1:
            known: Callable[[str], str] = lambda word: did_you_mean(word, [*COUNTS, *OF_ONE])  # noqa: E731
            hint = known(name) if known(name).startswith("did") else "name one layer: `of: conv1`"
            raise SpecError(f"{spelled(name)} is no count, and there is no one layer that has it", hint=hint)
        return next(node for node in self.graph.nodes if node.name == self.layers[0].name)


def _same(value: Any, what: str) -> Any:
    """A number; of one for each axis, the number that all of them are."""
    if isinstance(value, (list, tuple)):
        if len(set(value)) != 1 or isinstance(value[0], (list, tuple)):
            raise SpecError(f"{what} is not one number: {value}", hint="its axes differ")
        value = value[0]
    if value is None:
        raise SpecError(f"there is no {what}", hint="the layer does not have it")
    return value
