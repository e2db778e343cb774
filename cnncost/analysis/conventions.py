"""A network as another tool counts it: its number, layer by layer, and how that comes from the MACs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from cnncost.analysis.report import Report
from cnncost.analysis.tool_rules import Convention
from cnncost.analysis.tools import CONVENTIONS, FVCORE, TORCH
from cnncost.dims import is_array
from cnncost.errors import UsageError, did_you_mean
from cnncost.graph import Graph
from cnncost.ops.seen import Fed, Seen

__all__ = ["CONVENTIONS", "FVCORE", "TORCH", "Convention", "Counted", "counted", "with_counts"]


class Counted(NamedTuple):
    """A graph as a tool counts it: MACs + what the rules add = total.

    layers: the tool's count of each, by name. added: by cause, in the order of the rules. texts: what
    was added, in words. unruled: kinds of layer that the tool was never tried on, here by their MACs.
    """

    convention: Convention
    macs: int
    layers: dict[str, int]
    added: dict[str, int]
    texts: dict[str, tuple[str, ...]]
    unruled: tuple[str, ...]

    @property
    def total(self) -> int:
        return self.macs + sum(self.added.values())


def counted(graph: Graph, name: str) -> Counted:
    """A graph by the rules of a tool. Raises UsageError for an unknown one, and for a graph over arrays."""
    convention = CONVENTIONS.get(name)
    if convention is None:
        raise UsageError(f"unknown convention {name}", hint=did_you_mean(name, CONVENTIONS))
    shapes = graph.shapes
    if any(is_array(n) for shape in shapes.values() for n in shape):
        raise UsageError("a convention needs one design point", hint="load the network at one")
    sums = dict.fromkeys((rule.cause for rule in convention.all_rules), 0)
    texts: dict[str, dict[str, bool]] = {}
    layers: dict[str, int] = {}
    unruled: dict[str, bool] = {}
    total = 0
    for node in graph:
        x = tuple(shapes[name] for name in node.inputs)
        macs: Any = node.op.macs(node.shape, *x)
        total += macs
        layers[node.name] = macs
        if isinstance(node.op, (Seen, Fed)):
            if macs or any(node.op.operations(node.shape, *x)):
                unruled[node.op.key] = True
            continue
        for rule in convention.of(node.op, graph.called.get(node.name)):
            if amount := rule.amount(node.op, node.shape, *x):
                sums[rule.cause] += amount
                layers[node.name] += amount
                texts.setdefault(rule.cause, {})[rule.text] = True
    added = {cause: sums[cause] for cause in sums if cause in texts}
    return Counted(convention, total, layers, added, {c: tuple(texts[c]) for c in added}, tuple(unruled))


def with_counts(report: Report, counts: Counted) -> Report:
    """A report whose layers carry what a tool counts, for a column of its own."""
    layers = tuple(layer._replace(counted=counts.layers[layer.name]) for layer in report.layers)
    return replace(report, layers=layers)
