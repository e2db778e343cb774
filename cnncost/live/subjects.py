"""What is timed: a layer or a network at one batch, dtype, layout and pass, as a run on data that is there already.

Every run takes the next of several copies of its data. `cold`, they are together larger than the
caches, weights included, so that none is found there; `warm`, there is one. `chain` is how a network
has it: weights are cold, but the input is what the layer before has just written.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from cnncost.analysis.traffic import BACKWARD, FORWARD, TRAIN
from cnncost.dims import numel
from cnncost.errors import UsageError
from cnncost.live.timing import Run

NCHW, NHWC = "nchw", "nhwc"
LAYOUTS = (NCHW, NHWC)
CHAIN, COLD, WARM = "chain", "cold", "warm"
TYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
COPIES_AT_MOST = 512


class Point(NamedTuple):
    """At which sizes and in which form something is timed."""

    dtype: str = "fp32"
    layout: str = NCHW
    direction: str = FORWARD
    cache: str = CHAIN
    compile: bool = False


class Copies(NamedTuple):
    """Modules that are the same and take turns, each with its inputs."""

    modules: Sequence[Any]
    inputs: Sequence[Sequence[torch.Tensor]]


def subject(
    module: torch.nn.Module, shapes: Sequence[tuple[int, ...]], point: Point, device: Any, cache_bytes: int
) -> Run:
    """A run of a module. cache_bytes: of the caches that cold data has to be larger than."""
    return run_of(copies(module, shapes, point, device, cache_bytes), point)


def run_of(ready: Copies, point: Point) -> Run:
    """A run of copies in turns. The forward pass is to be run in inference mode, which is entered once for all runs."""
    return {FORWARD: _forward, BACKWARD: _backward, TRAIN: _train}[point.direction](*ready)


def copies(
    module: torch.nn.Module, shapes: Sequence[tuple[int, ...]], point: Point, device: Any, cache_bytes: int
) -> Copies:
    """A module and its data, as often as caches are to be filled."""
    device, dtype = torch.device(device), TYPES[point.dtype]
    layout = torch.channels_last if point.layout == NHWC else torch.contiguous_format
    module = module.to(device=device, dtype=dtype)
    _randomise(module)
    elements: Any = sum(p.numel() for p in module.parameters())
    if point.cache == COLD:
        elements += sum(map(numel, shapes))
    count = 1 if point.cache == WARM or not elements else _copies(elements * dtype.itemsize, cache_bytes)
    modules = [module, *(copy.deepcopy(module) for _ in range(count - 1))]
    for each in modules:
        _lay_out(each, layout)
        each.train(point.direction != FORWARD).requires_grad_(point.direction != FORWARD)
    inputs = [
        [_random(shape, dtype, device, layout) for shape in shapes]
        for _ in modules[: count if point.cache == COLD else 1]
    ]
    inputs *= count // len(inputs)
    if point.compile:
        modules = [torch.compile(each) for each in modules]  # type: ignore[misc]
    return Copies(modules, inputs)


def _copies(own: int, cache_bytes: int) -> int:
    """Copies of so many bytes that are together twice the caches, so that each has gone when its turn comes again."""
    return max(1, min(COPIES_AT_MOST, -(-2 * cache_bytes // max(own, 1))))


def _lay_out(module: torch.nn.Module, layout: torch.memory_format) -> None:
    """Weights of convolutions in the layout; channels last has four axes."""
    for parameter in module.parameters():
        if layout is torch.channels_last and parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=layout)


def _random(
    shape: tuple[int, ...], dtype: torch.dtype, device: torch.device, layout: torch.memory_format
) -> torch.Tensor:
    """Random data: zeros are faster to multiply and to move on some machines."""
    tensor = torch.randn(shape, device=device).to(dtype)
    return tensor.contiguous(memory_format=layout) if layout is torch.channels_last and tensor.dim() == 4 else tensor


def _randomise(module: torch.nn.Module) -> None:
    """Weights of the usual size, so that no value grows without bound or becomes denormal on its way."""
    with torch.no_grad():
        for parameter in module.parameters():
            fan_in = max(1, parameter[0].numel()) if parameter.dim() > 1 else 1
            if parameter.dim() > 1:
                parameter.normal_(0, (2 / fan_in) ** 0.5)
            else:
                parameter.uniform_(0.5, 1.5)
        for buffer in module.buffers():
            if buffer.is_floating_point():
                buffer.uniform_(0.5, 1.5)


def _forward(modules: Sequence[Any], inputs: Sequence[Sequence[torch.Tensor]]) -> Run:
    count = len(modules)

    def run(i: int) -> None:
        modules[i % count](*inputs[i % count])

    return run


def _gradients_of(modules: Sequence[Any], inputs: Sequence[Sequence[torch.Tensor]]) -> list[Any]:
    """The outputs of all copies with the graph behind them, what gradients are taken of, and those of the outputs."""
    parts = []
    for module, own in zip(modules, inputs):
        for tensor in own:
            tensor.requires_grad_()
        out = _first_tensor(module(*own))
        wanted = [*own, *(p for p in module.parameters() if p.requires_grad)]
        parts.append((out, wanted, torch.randn_like(out)))
    return parts


def _backward(modules: Sequence[Any], inputs: Sequence[Sequence[torch.Tensor]]) -> Run:
    parts, count = _gradients_of(modules, inputs), len(modules)

    def run(i: int) -> None:
        out, wanted, gradient = parts[i % count]
        torch.autograd.grad(out, wanted, gradient, retain_graph=True, allow_unused=True)

    return run


def _train(modules: Sequence[Any], inputs: Sequence[Sequence[torch.Tensor]]) -> Run:
    count = len(modules)
    gradients = [part[2] for part in _gradients_of(modules, inputs)]
    wanted = [[*own, *(p for p in m.parameters() if p.requires_grad)] for m, own in zip(modules, inputs)]

    def run(i: int) -> None:
        at = i % count
        out = _first_tensor(modules[at](*inputs[at]))
        torch.autograd.grad(out, wanted[at], gradients[at], allow_unused=True)

    return run


def _first_tensor(out: Any) -> torch.Tensor:
    """The output, or the first of several."""
    several: Any = list(out.values()) if isinstance(out, dict) else out
    first: torch.Tensor = out if isinstance(out, torch.Tensor) else several[0]
    return first


def check(point: Point, device: str) -> None:
    """Raise UsageError for what the device cannot do."""
    if point.dtype == "tf32" and torch.device(device).type != "cuda":
        raise UsageError("tf32 is a dtype of NVIDIA's tensor cores", hint="on a CPU take fp32 or bf16")
