"""Memory measured: a PyTorch model runs once, and the storages that are alive are counted after every operator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate as running_sum
from typing import Any

import torch

from cnncost.analysis.memory import LASTING, Held, Memory, Phase, Step, What
from cnncost.dims import Size
from cnncost.live.stage import OPTIMIZERS, Optimizer, Stage, staged
from cnncost.live.storages import Moment, Tracked
from cnncost.live.trace import tensors

__all__ = ["OPTIMIZERS", "Measured", "measure_inference", "measure_training"]

BLOCK = 512
"""PyTorch's CUDA allocator gives out multiples of this many bytes."""


@dataclass(frozen=True)
class Measured(Memory):
    """Memory as it was measured.

    peaks: the most bytes alive at once in each phase. kept: what is alive at the end of the forward
    pass beside parameters, buffers, their gradients and the optimizer's state: the inputs, the loss
    and all that the backward pass needs. in_blocks: the peak if every storage takes whole blocks of
    512 bytes, as it does on CUDA.
    """

    peaks: dict[Phase, int]
    kept: tuple[Held, ...]
    in_blocks: int

    @property
    def kept_bytes(self) -> int:
        """All of `kept`."""
        return total(self.kept)


def measure_inference(
    model: torch.nn.Module,
    inputs: Any,
    *,
    dtype: torch.dtype | None = None,
    autocast: torch.dtype | None = None,
    device: str = "cpu",
) -> Measured:
    """The memory of one forward pass in evaluation mode, without gradients.

    inputs: a tensor, or a shape (a tuple of ints, the batch first); a list of these for several; a
    dict of them for inputs by name. It runs on fake tensors: nothing is computed, and no memory
    taken. dtype: of parameters and inputs, in place of their own. autocast: the dtype that
    torch.autocast works in. device: whose operators run; "cuda" wants a PyTorch that was built for it.
    The model is not changed. Raises TraceError for what it raises.
    """
    with staged(model, inputs, train=False, dtype=dtype, device=device) as stage:
        with followed(stage):
            out = stage.infer(autocast)
            kept = at_end_of_forward(stage, training=False)
        measured = result(stage, kept)
        del out
        return measured


def measure_training(
    model: torch.nn.Module,
    inputs: Any,
    *,
    optimizer: str | Optimizer = "sgd-momentum",
    dtype: torch.dtype | None = None,
    autocast: torch.dtype | None = None,
    accumulate: bool = False,
    device: str = "cpu",
) -> Measured:
    """The memory of one step of training: forward, the sum of the outputs as the loss, backward, the optimizer's step.

    inputs, dtype, autocast, device: see measure_inference. optimizer: a key of OPTIMIZERS, or a function that
    makes one for parameters. It is a step as they follow one another: the optimizer's state is there
    from the first on. accumulate: so are the gradients of a step before, to which this one adds; else
    they were set to None.
    """
    without: frozenset[str] = frozenset()
    while True:
        with staged(model, inputs, train=True, dtype=dtype, device=device) as stage:
            chosen = stage.optimizer(optimizer)
            stage.learn(chosen, without)
            if not accumulate:
                model.zero_grad()
            measured = _step(stage, chosen, autocast)
            found = frozenset(n for n, p in model.named_parameters() if p.requires_grad and p.grad is None)
        if found <= without:
            return measured
        without = found  # the loss does not depend on these, and the optimizer knows nothing of them


def _step(stage: Stage, optimizer: torch.optim.Optimizer | None, autocast: torch.dtype | None) -> Measured:
    """One step of training, measured."""
    kept: list[tuple[Held, ...]] = []

    def ended(phase: Phase) -> None:
        if phase == "forward":
            kept.append(at_end_of_forward(stage, training=True))
            stage.tracker.phase = "backward"
        elif phase == "backward":
            hold(stage, gradients(), "parameter gradient")
            stage.tracker.phase = "update"

    def gradients() -> list[torch.Tensor]:
        return [p.grad for p in stage.model.parameters() if p.grad is not None]

    with followed(stage):
        hold(stage, tensors(list(optimizer.state.values())) if optimizer is not None else [], "optimizer state")
        hold(stage, gradients(), "parameter gradient")
        stage.step(optimizer, autocast, ended)
    return result(stage, *kept)


# ---- the books ------------------------------------------------------------------------------------


@contextmanager
def followed(stage: Stage) -> Iterator[None]:
    """What runs here is in the books. They begin with what is there already."""
    add, owner = stage.tracker.add, stage.layers.owner
    for path, parameter in stage.model.named_parameters():
        add(parameter, "parameters", owner(parameter, path))
    for path, buffer in stage.model.named_buffers():
        add(buffer, "buffers", owner(buffer, path))
    for name, tensor in stage.inputs():
        add(tensor, "input", name)
    with stage.layers.followed(), stage.tracker:
        yield


def hold(stage: Stage, held: Iterable[torch.Tensor], what: What) -> None:
    """Take tensors into the books as this, whatever they were."""
    for tensor in held:
        tracked = stage.tracker.add(tensor, what)
        if tracked is not None:
            tracked.what = what


def at_end_of_forward(stage: Stage, training: bool) -> tuple[Held, ...]:
    """What is alive and was not before, and the inputs."""
    stage.tracker.settle()
    alive = stage.tracker.alive()
    for tracked in alive:
        if training and tracked.what == "activation":
            tracked.what = "saved"
    return merged(t for t in alive if t.what not in LASTING)


def result(stage: Stage, kept: tuple[Held, ...]) -> Measured:
    """What the books say, when all has run."""
    stage.tracker.settle()
    return closed(stage.tracker.moments, stage.tracker.storages, kept, stage.dtype)


def closed(moments: Sequence[Moment], storages: Sequence[Tracked], kept: tuple[Held, ...], dtype: str) -> Measured:
    """Memory from moments and storages."""
    last = ends(moments)
    for storage in storages:
        if storage.what == "activation" and storage.died is not None and storage.died <= last[storage.born] + 1:
            storage.what = "temporary"
    lasting = bytes_at(moments, (s for s in storages if s.what in LASTING))
    temporary = bytes_at(moments, (s for s in storages if s.what == "temporary"))
    highest: dict[tuple[str, Phase], int] = {}
    left: dict[tuple[str, Phase], int] = {}
    for i, moment in enumerate(moments):
        key = (moment.layer, moment.phase)
        if key not in highest or moment.alive > moments[highest[key]].alive:
            highest[key] = i
        left[key] = moment.left
    steps = tuple(Step(*key, moments[i].alive, left[key], temporary[i]) for key, i in highest.items())
    top = max(highest.values(), key=lambda i: moments[i].alive)
    peaks: dict[Phase, int] = {}
    for moment in moments:
        peaks[moment.phase] = max(moment.alive, peaks.get(moment.phase, 0))
    there = [s for s in storages if s.born <= top and (s.died is None or s.died > top)]
    parts: dict[What, Size] = {}
    for storage in there:
        parts[storage.what] = parts.get(storage.what, 0) + storage.bytes
    return Measured(
        dtype=dtype,
        peak=moments[top].alive,
        activation_peak=max(moment.alive - always for moment, always in zip(moments, lasting)),
        at=steps[list(highest.values()).index(top)],
        steps=steps,
        held=merged(there),
        parts=parts,
        peaks=peaks,
        kept=kept,
        in_blocks=max(bytes_at(moments, storages, BLOCK)),
    )


def ends(moments: Sequence[Moment]) -> list[int]:
    """For every moment the last one of the same run of its layer."""
    last = list(range(len(moments)))
    for i in reversed(last[:-1]):
        here, following = moments[i], moments[i + 1]
        if (here.layer, here.phase) == (following.layer, following.phase):
            last[i] = last[i + 1]
    return last


def bytes_at(moments: Sequence[Moment], storages: Iterable[Tracked], block: int = 1) -> list[int]:
    """Bytes of storages that are there at every moment, each in whole blocks."""
    change = [0] * (len(moments) + 1)
    for storage in storages:
        taken = -(-storage.bytes // block) * block
        change[storage.born] += taken
        if storage.died is not None:
            change[storage.died] -= taken
    return list(running_sum(change))[:-1]


def total(held: Iterable[Held]) -> int:
    """Bytes of what is held."""
    return sum(int(tensor.bytes) for tensor in held)


def merged(storages: Iterable[Tracked]) -> tuple[Held, ...]:
    """What is held, the storages of a kind that a layer made as one."""
    sizes: dict[tuple[str, What], int] = {}
    for storage in storages:
        key = (storage.layer, storage.what)
        sizes[key] = sizes.get(key, 0) + storage.bytes
    return tuple(Held(*key, size) for key, size in sizes.items() if size)
