"""Counters of MACs that run a network, for speed.py: the module is built before the clock starts, once."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from cnncost.live import counters, vision

torch.set_num_threads(1)


def forward(module: torch.nn.Module, device: str, shape: tuple[int, ...]) -> Callable[[], int]:
    """A forward pass under torch's own counter, which tells two flops a MAC."""
    module = module.to(device).eval().requires_grad_(False)
    x = torch.zeros(shape, device=device)

    def count() -> int:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            module(x)
        return counter.get_total_flops() // 2

    return count


def counter(tool: str, device: str, side: int) -> Callable[[], dict[str, Any]]:
    """What a tool takes for torchvision's ResNet-50 at one input, and its number. Raises UsageError."""
    with torch.device(device):
        module = vision.models().resnet50(weights=None).eval().requires_grad_(False)
    count = counting(tool, module, device, (1, 3, side, side))

    def run() -> dict[str, Any]:
        begun = time.perf_counter()
        number = count()
        return {"seconds": time.perf_counter() - begun, "number": number}

    return run


def counting(tool: str, module: torch.nn.Module, device: str, shape: tuple[int, ...]) -> Callable[[], int]:
    """A tool ready to count: imported, with nothing of ours around it."""
    if tool == "torch":
        return forward(module, device, shape)
    if tool == "fvcore":
        return lambda: counters.by_fvcore(module, [shape]).macs
    counters.installed(tool)
    known, loaded, x = (
        counters.TOOLS[tool],
        import_module(counters.TOOLS[tool].module),
        torch.zeros(shape, device=device),
    )

    def count() -> int:
        with torch.no_grad():
            return known.number(loaded, module, [x])

    return count
