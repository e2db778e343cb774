"""A network layer by layer against PyTorch's module, torch's flop counter and fvcore; and whole against other tools."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch

from cnncost.analysis.checks import DIFFERS, EXACT, TORCH_ALONE, Against, Checked, LayerCheck
from cnncost.analysis.conventions import FVCORE, counted
from cnncost.analysis.report import analyze
from cnncost.errors import UsageError
from cnncost.graph import Graph, Node
from cnncost.live.build import build
from cnncost.live.counters import Ran, Traced, by_fvcore, by_tool, by_torch, installed
from cnncost.ops.base import Op


TRACED_AT_MOST = 2**29
"""Elements that a layer may move for fvcore to trace it, which runs it on the CPU: 2 GiB."""
TOO_LARGE = "a layer that moves more than 2 GiB"


class Checker:
    """Checks networks. What fvcore says of a layer is kept: equal layers are traced once."""

    def __init__(self, against: Iterable[str] = ()) -> None:
        """against: names of further tools. Raises UsageError for one that is not installed."""
        self.versions = {name: installed(name) for name in against}
        self._traced: dict[tuple[Op, tuple[Any, ...]], Traced] = {}

    def check(self, graph: Graph) -> Checked:
        """The verdicts on every layer of a graph. Raises UsageError for one that cannot be built."""
        network = build(graph, device="meta").eval()
        ran, whole = by_torch(network, tuple(graph.inputs.values()))
        shapes, report = graph.shapes, analyze(graph, fields=False)
        layers = []
        for node, module, torchs in zip(graph, network.layers, ran):
            x = tuple(shapes[name] for name in node.inputs)
            layers.append(_layer(node, x, module, torchs, self._fvcore(node.op, x)))
        return Checked(
            graph.name,
            graph.source,
            graph.about,
            dict(graph.inputs),
            tuple(layers),
            report.total.params,
            sum(p.numel() for p in network.parameters()),
            report.total.macs,
            whole,
            counted(graph, FVCORE.name),
            tuple(self._against(name, graph) for name in self.versions),
        )

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
        counts, version = counted(graph, name), self.versions[name]
        try:
            return Against(counts, version, by_tool(name, graph), None)
        except UsageError as e:
            return Against(counts, version, None, e.message)


def _layer(node: Node, x: Sequence[Any], module: torch.nn.Module, torchs: Ran, fvcore: Traced) -> LayerCheck:
    """A layer's figures side by side, and what is wrong with them."""
    op, y = node.op, node.shape
    params: Any = op.weights(*x) + op.biases(*x) + op.other_params(*x)
    macs: Any = op.macs(y, *x)
    others = sum(rule.amount(op, y, *x) for rule in FVCORE.rules if op.key in rule.ops)
    module_params = sum(p.numel() for p in module.parameters())
    module_buffers = sum(b.numel() for b in module.buffers() if b.is_floating_point())
    faults = []
    if torchs.shape != y:
        faults.append(("output", _sizes(y), f"torch {_sizes(torchs.shape)}"))
    if module_params != params:
        faults.append(("params", f"{params:,}", f"torch {module_params:,}"))
    if module_buffers != op.buffers(*x):
        faults.append(("running statistics", f"{op.buffers(*x):,}", f"torch {module_buffers:,}"))
    if torchs.macs != macs:
        faults.append(("MACs", f"{macs:,}", f"torch {torchs.macs:,}"))
    if not fvcore.unknown:
        if fvcore.macs != macs:
            faults.append(("MACs", f"{macs:,}", f"fvcore {fvcore.macs:,}"))
        if sum(fvcore.others.values()) != others:
            faults.append(("fvcore's other operators", f"{others:,} by its rules", f"{sum(fvcore.others.values()):,}"))
    verdict = DIFFERS if faults else TORCH_ALONE if fvcore.unknown else EXACT
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
        verdict,
        tuple(f"{what}: {here} here, {there}" for what, here, there in faults),
    )


def _sizes(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
