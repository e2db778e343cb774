"""Small torch modules for ops that torch.nn has none for. torch is passed in: nothing here imports it."""

from __future__ import annotations

from typing import Any


def pad_module(torch: Any, both: list[tuple[Any, Any]], mode: str, value: float) -> Any:
    """A module that pads the last axes by (before, after) each; torch counts them from the last."""
    flat = [n for pair in reversed(both) for n in pair]

    class Pad(torch.nn.Module):  # type: ignore[misc]
        def forward(self, t: Any) -> Any:
            if mode == "constant":
                return torch.nn.functional.pad(t, flat, mode, value)
            return torch.nn.functional.pad(t, flat, mode)

    return Pad()


def in_order(torch: Any, layers: list[Any]) -> Any:
    """One module that runs `layers` in order."""
    return layers[0] if len(layers) == 1 else torch.nn.Sequential(*layers)


def calls(torch: Any, function: Any) -> Any:
    """A module that calls `function` on its inputs, for ops that torch.nn has no module for."""

    class Call(torch.nn.Module):  # type: ignore[misc]
        def forward(self, *tensors: Any) -> Any:
            return function(*tensors)

    return Call()
