"""Models that do what models may: reuse, tie, compute and create parameters, and take inputs in every way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class Numbered(nn.Module):
    """Modules called in a loop, beside modules named as a second call of them would be."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.conv_2 = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 5, 1)
        self.relu, self.relu_2 = nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(3):
            x = self.relu(self.conv(x))
        return self.relu_2(self.conv_2(x))


class NamedAsFunctions(nn.Module):
    """Functions beside modules of their names."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.zeros(4, 3, 3, 3))
        self.conv, self.add = nn.Conv2d(4, 8, 1), nn.Conv2d(8, 8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(functional.conv2d(x, self.kernel))
        return self.add(x + x)


class Masked(nn.Module):
    """An input and a mask, each into a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.other = nn.Conv2d(3, 4, 3), nn.Conv2d(1, 4, 3)

    def run(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.image(x) * self.other(mask)


class ByNameOnly(Masked):
    def forward(self, x: Tensor, *, mask: Tensor) -> Tensor:
        return self.run(x, mask)


class WithGap(Masked):
    def forward(self, x: Tensor, between: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        assert mask is not None, "the mask was lost"
        return self.run(x, mask)


class AnyNames(Masked):
    def forward(self, x: Tensor, **named: Tensor) -> Tensor:
        return self.run(x, named["mask"])


class OneDict(Masked):
    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"out": self.run(batch["image"], batch["second"])}


class Tied(nn.Module):
    """Two layers with the weights of the first; the last has a bias of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False), nn.Linear(8, 8)
        self.b.weight = self.c.weight = self.a.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.c(self.b(self.a(x)))


class MakesLayers(nn.Module):
    """A new layer, with new weights, in every forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = nn.Conv2d(4, 6, 1)(self.conv(x))
        return made


class Weighted(nn.Module):
    """A layer whose weight is computed each time."""

    def __init__(self, norm: Callable[[nn.Module], nn.Module]) -> None:
        super().__init__()
        self.conv = norm(nn.Conv2d(3, 4, 3))

    def forward(self, x: Tensor) -> Any:
        return self.conv(x)


class BadlyCopied(nn.Linear):
    """Holds what cannot be copied."""

    def __init__(self) -> None:
        super().__init__(8, 8)
        self.lock = threading.Lock()


class LooksAtValues(nn.Linear):
    """Goes by a number in a buffer."""

    def __init__(self) -> None:
        super().__init__(8, 8)
        self.register_buffer("times", torch.tensor(2))

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(int(self.times)):
            x = super().forward(x)
        return x


class RunsForNothing(nn.Module):
    """Computes something that no output depends on."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.spare = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 9, 1)

    def forward(self, x: Tensor) -> Any:
        self.spare(x)
        return self.conv(x)


BY_NAME = {"x": (1, 3, 8, 8), "mask": (1, 1, 8, 8)}
ODD: dict[str, tuple[Callable[[], nn.Module], Any]] = {
    "names that look like numbered ones": (Numbered, (1, 3, 8, 8)),
    "names of functions": (NamedAsFunctions, (1, 3, 8, 8)),
    "inputs by name only": (ByNameOnly, BY_NAME),
    "an input left out": (WithGap, BY_NAME),
    "inputs of any name": (AnyNames, BY_NAME),
    "one dict": (OneDict, [{"image": torch.zeros(1, 3, 8, 8), "second": torch.zeros(1, 1, 8, 8)}]),
    "tied weights": (Tied, (1, 8)),
    "layers made in forward": (MakesLayers, (1, 3, 8, 8)),
    "weight norm": (lambda: Weighted(nn.utils.parametrizations.weight_norm), (1, 3, 8, 8)),
    "weight norm by hooks": (lambda: Weighted(nn.utils.weight_norm), (1, 3, 8, 8)),
    "integers": (lambda: nn.Sequential(nn.Embedding(10, 8), nn.Linear(8, 3)), torch.zeros(2, 5, dtype=torch.long)),
    "attention": (lambda: nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), (2, 7, 16)),
    "another dtype": (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).double(), (1, 3, 8, 8)),
}
