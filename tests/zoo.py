"""The bundled networks' modules in torchvision and timm, on the meta device, and what PyTorch says of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple
from unittest import mock

import pytest
import torch
import torchvision_shim
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from cnncost.analysis.report import Report, analyze
from cnncost.graph import Graph


class Weighted(NamedTuple):
    """A convolution or linear layer."""

    params: int
    macs: int
    shape: tuple[int, ...]


Plain = Counter[tuple[str, bool, tuple[int, ...]]]
"""How many layers without products there are of each (key in the language, in place, output shape)."""


class Measured(NamedTuple):
    """What PyTorch says of a module; `layers` are convolutions and linear layers in the order in which they run."""

    params: int
    macs: int
    shape: tuple[int, ...]
    layers: list[Weighted]
    plain: Plain


class Unweighted(TorchDispatchMode):
    """Counts operators without weights, and norms."""

    OPERATORS: ClassVar = {
        "relu": "relu",
        "hardtanh": "relu6",
        "hardswish": "hard_swish",
        "hardsigmoid": "hard_sigmoid",
        "sigmoid": "sigmoid",
        "silu": "silu",
        "gelu": "gelu",
        "native_batch_norm": "batch_norm",
        "native_layer_norm": "layer_norm",
        "add": "add",
        "mul": "multiply",
        "cat": "concat",
        "max_pool2d_with_indices": "max_pool",
        "avg_pool2d": "avg_pool",
        "_adaptive_avg_pool2d": "adaptive_avg_pool",
        "mean": "global_avg_pool",
    }

    def __init__(self) -> None:
        super().__init__()
        self.found: Plain = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        key = self.OPERATORS.get(name.rstrip("_"))
        copies_one = key == "concat" and len(args[0]) == 1  # DenseNet's, at the start of a block
        if key and not copies_one:
            first = out[0] if isinstance(out, tuple) else out
            self.found[key, name.endswith("_"), tuple(first.shape)] += 1
        elif name == "clone" and out.ndim == 5:  # N x groups x channels x h x w, the two exchanged
            n, channels, groups, *image = out.shape
            self.found["channel_shuffle", False, (n, channels * groups, *image)] += 1
        return out


@contextmanager
def no_memory() -> Iterator[None]:
    """A tensor is a shape, except where torchvision computes RegNet's widths with tensors."""
    from torchvision.models.regnet import BlockParams

    widths = BlockParams.from_init_params

    def on_cpu(**options: Any) -> Any:
        with torch.device("cpu"):
            return widths(**options)

    with mock.patch.object(BlockParams, "from_init_params", on_cpu), torch.device("meta"):
        yield


def built(model: str, **options: Any) -> torch.nn.Module:
    """A model of torchvision, at inference."""
    try:
        models = torchvision_shim.models()
    except ImportError:
        pytest.skip("torchvision is not installed")
    with no_memory():
        module: torch.nn.Module = getattr(models, model)(weights=None, **options)
    return module.eval()


def built_by_timm(model: str, **options: Any) -> torch.nn.Module:
    """A model of timm, at inference."""
    try:
        torchvision_shim.models()
        import timm
    except ImportError:
        pytest.skip("timm is not installed")
    with torch.device("meta"):
        module: torch.nn.Module = timm.create_model(model, pretrained=False, **options)
    return module.eval()


def measured(module: torch.nn.Module, shape: tuple[int, ...]) -> Measured:
    counter, unweighted = FlopCounterMode(display=False), Unweighted()
    layers: list[Weighted] = []

    def record(layer: torch.nn.Module, _: Any, output: torch.Tensor) -> None:
        macs = counter.get_total_flops() // 2 - sum(done.macs for done in layers)
        layers.append(Weighted(sum(p.numel() for p in layer.parameters()), macs, tuple(output.shape)))

    for layer in module.modules():
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
            layer.register_forward_hook(record)
    with torch.no_grad(), counter, unweighted:
        out = module(torch.empty(shape, device="meta"))
    first = out if isinstance(out, torch.Tensor) else out[0]
    params = sum(p.numel() for p in module.parameters())
    return Measured(params, counter.get_total_flops() // 2, tuple(first.shape), layers, unweighted.found)


def weighted(report: Report) -> list[Weighted]:
    """The same layers of a spec."""
    return [
        Weighted(layer.params, layer.macs, layer.output_shape)
        for layer in report.layers
        if layer.op in ("conv", "depthwise_conv", "linear")
    ]


def priced(graph: Graph) -> Measured:
    """What cnncost says of a spec."""
    report = analyze(graph)
    shapes = {node.name: node.shape for node in graph}
    counted = {*Unweighted.OPERATORS.values(), "channel_shuffle"}
    plain: Plain = Counter()
    for node in graph:
        key = "multiply" if node.op.key == "scale" else node.op.key
        if key in counted:
            plain[key, getattr(node.op, "inplace", False), node.shape] += 1
    return Measured(report.total.params, report.total.macs, shapes[report.outputs[0]], weighted(report), plain)
