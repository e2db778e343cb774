"""Functions as models, and what their operators come to."""

from __future__ import annotations

from typing import Any

import torch

from cnncost import analyze
from cnncost.cost import Operations
from cnncost.live.trace import trace


class Applied(torch.nn.Module):
    """A function as a model."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.function(*inputs)


def arithmetic(function: Any, shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    """(MACs, operations by kind)."""
    total = analyze(trace(Applied(function), shapes)).total
    return (total.macs, *Operations(*(getattr(total, kind) for kind in Operations._fields)))
