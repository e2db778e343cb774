"""A network layer by layer against PyTorch's module, torch's flop counter and fvcore; and whole against other tools."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import torch

from cnncost.analysis.checks import Against, Checked, LayerCheck, faults
from cnncost.analysis.conventions import FVCORE, TORCH, counted
from cnncost.analysis.report import analyze
from cnncost.errors import UsageError
from cnncost.graph import Graph, Node
from cnncost.live.build import build
from cnncost.live.counters import Ran, Traced, by_fvcore, by_tool, by_torch, installed
from cnncost.live.models import printing_aside, sized
from cnncost.ops.base import Op

TRACED_AT_MOST = 2**29
"""Elements that a layer may move for fvcore to trace it, which runs it on the CPU: 2 GiB."""
TOO_LARGE = "not traced, for it moves more than 2 GiB"


class Checker:
    """Checks networks. What fvcore says of a layer is kept: equal layers are traced once.

    missing: tools that were asked for and are not here, each with the reason.
    """

    def __init__(self, against: str | Iterable[str] = ()) -> None:
        """against: names of further tools, or one."""
        self.versions: dict[str, str] = {}
        self.missing: dict[str, UsageError] = {}
        for name in dict.fromkeys([against] if isinstance(against, str) else against):
            try:
                self.versions[name] = installed(name)
            except UsageError as e:
                self.missing[name] = e
        self._traced: dict[tuple[Op, tuple[Any, ...]], Traced] = {}

    def check(self, graph: Graph) -> Checked:
        """The verdicts on every layer of a graph. Raises UsageError for one that cannot be built."""
        network = build(graph, device="meta").eval()
        shapes, inputs = graph.shapes, dict[str, Any](graph.inputs)
        ran, whole = by_torch(network, tuple(inputs.values()))
        total: Any = analyze(graph, fields=False).total
        layers = []
        for node, module, torchs in zip(graph, network.layers, ran):
            x = tuple(shapes[name] for name in node.inputs)
            layers.append(_layer(node, x, module, torchs, self._fvcore(node.op, x)))
        return Checked(
            graph.name,
            graph.source,
            graph.about,
            inputs,
            tuple(layers),
            total.params,
            sum(p.numel() for p in network.parameters()),
            total.macs,
            whole,
            (
                Against(counted(graph, TORCH.name), str(torch.__version__), whole, None),
                _whole_by_fvcore(graph, layers),
                *(self._against(name, graph) for name in self.versions),
            ),
        )

    def check_model(self, model: torch.nn.Module, inputs: Any, **named: Any) -> Checked:
        """The verdicts on every module of a model; inputs as in trace(). Raises UsageError."""
        from cnncost.live.check_model import check_model

        return check_model(model, inputs, against=self.versions, **named)

    def check_named(self, reference: str, inputs: Any, batch: int, arguments: Mapping[str, Any]) -> Checked:
        """The same of a model by its name. inputs: a shape without the batch, shapes by name, or None for its own."""
        model, shapes = sized(reference, inputs, batch, arguments)
        with printing_aside():
            return self.check_model(model.module, shapes, name=model.name, source=reference)

    def _fvcore(self, op: Op, x: tuple[Any, ...]) -> Traced:
        key = op, x
        if key not in self._traced and op.read(op.shape(*x), *x) > TRACED_AT_MOST:
            self._traced[key] = Traced(0, {}, (TOO_LARGE,))
        if key not in self._traced:
            with torch.device("meta"):
                module = op.module(torch, *x)
            self._traced[key] = by_fvcore(module.to_empty(device="cpu").eval(), x)
        return self._traced[key]

    def _against(self, name: str, graph: Graph) -> Against:
        counts = counted(graph, name)
        try:
            return Against(counts, self.versions[name], by_tool(name, graph), None)
        except UsageError as e:
            return Against(counts, self.versions[name], None, e.message)


def _whole_by_fvcore(graph: Graph, layers: Sequence[LayerCheck]) -> Against:
    """All layers by fvcore; a layer that it could not trace is missing, and its number with it."""
    counts = counted(graph, FVCORE.name)
    left_out = [layer.name for layer in layers if TOO_LARGE in layer.unknown]
    if left_out:
        return Against(counts, version("fvcore"), None, f"{left_out[0]} {TOO_LARGE}")
    number = sum(layer.fvcore_macs + sum(layer.fvcore_others.values()) for layer in layers)
    return Against(counts, version("fvcore"), number, None)


def _layer(node: Node, x: Sequence[Any], module: torch.nn.Module, torchs: Ran, fvcore: Traced) -> LayerCheck:
    """A layer's figures side by side, and what is wrong with them."""
    op, y = node.op, node.shape
    params: Any = op.weights(*x) + op.biases(*x) + op.other_params(*x)
    macs: Any = op.macs(y, *x)
    by_rules = sum(rule.amount(op, y, *x) for rule in FVCORE.rules if op.key in rule.ops)
    others = sum(fvcore.others.values())
    module_params = sum(p.numel() for p in module.parameters())
    statistics = sum(b.numel() for b in module.buffers() if b.is_floating_point())
    pairs: list[tuple[str, Any, str, Any]] = [
        ("output", y, "torch", torchs.shape),
        ("params", params, "torch", module_params),
        ("running statistics", op.buffers(*x), "torch", statistics),
        ("MACs", macs, "torch", torchs.macs),
    ]
    if not fvcore.unknown:
        pairs.append(("fvcore's count, by its rules", macs + by_rules, "fvcore", fvcore.macs + others))
    return LayerCheck(
        node.name,
        op.key,
        op.describe(*x),
        y,
        params,
        macs,
        torchs.shape,
        module_params,
        torchs.macs,
        fvcore.macs,
        fvcore.others,
        fvcore.unknown,
        faults(pairs),
    )
