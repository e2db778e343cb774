"""Optimizers by what they hold: their state, and what an update takes for a moment. As torch.optim has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cnncost.dims import Size, larger
from cnncost.errors import UsageError, did_you_mean

STEP = 4
"""Bytes in which Adam counts the steps of a parameter tensor: a float32."""


@dataclass(frozen=True)
class Optimizer:
    """An optimizer. states: tensors that it keeps for each parameter, of its size.

    counted: whether it counts the steps of each parameter tensor. roots: tensors as large as a
    parameter that its update makes, one after the other: the root of the second moment, and that
    divided by its bias correction.
    """

    states: int = 0
    counted: bool = False
    roots: int = 0

    def state_bytes(self, tensors: Sequence[Size], itemsize: int) -> Size:
        """Bytes of the state of so large parameter tensors."""
        total: Size = sum(tensors)
        return total * self.states * itemsize + len(tensors) * STEP * self.counted

    def update_bytes(self, tensors: Sequence[Size], itemsize: int, foreach: bool) -> Size:
        """The most that an update takes beside parameters, gradients and state.

        One parameter after another, where the last root of one is there until that of the next is; or
        with `foreach`, as on GPUs, for all parameters together, where roots are divided in place.
        """
        if not self.roots or not tensors:
            return 0
        if foreach:
            return sum(tensors) * itemsize
        most = before = 0 * tensors[0]
        for size in tensors:
            most = larger(most, before + self.roots * size)
            before = size
        return most * itemsize


OPTIMIZERS = {
    "none": Optimizer(),
    "sgd": Optimizer(),
    "sgd-momentum": Optimizer(states=1),
    "adam": Optimizer(states=2, counted=True, roots=2),
    "adamw": Optimizer(states=2, counted=True, roots=2),
}


def optimizer(name: str) -> Optimizer:
    """An optimizer by its name. Raises UsageError for an unknown one."""
    if name not in OPTIMIZERS:
        raise UsageError(f"unknown optimizer {name}", hint=did_you_mean(name, OPTIMIZERS))
    return OPTIMIZERS[name]
