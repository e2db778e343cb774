"""Memory measured: a PyTorch model runs once, and the storages that are alive are counted after every operator."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_map

from cnncost.analysis.memory import LASTING, Held, Memory, Phase, Step, What
from cnncost.dims import Size
from cnncost.live.build import Network
from cnncost.live.places import Places
from cnncost.live.preserve import preserved
from cnncost.live.storages import Layers, Moment, Tracked, Tracker, unshared
from cnncost.live.trace import POSITIONAL, arguments, is_shape, parameters_of, run_model, tensors, unlogged

Optimizer = Callable[[list[torch.nn.Parameter]], torch.optim.Optimizer]
"""Makes an optimizer for parameters."""
OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    "sgd-momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}


@dataclass(frozen=True)
class Measured(Memory):
    """Memory as it was measured.

    peaks: the most bytes alive at once in each phase. kept: what is alive at the end of the forward
    pass beside parameters, buffers, their gradients and the optimizer's state: the inputs, the loss
    and all that the backward pass needs.
    """

    peaks: dict[Phase, int]
    kept: tuple[Held, ...]

    @property
    def kept_bytes(self) -> int:
        """All of `kept`."""
        return total(self.kept)


def measure_inference(model: torch.nn.Module, inputs: Any, *, autocast: torch.dtype | None = None) -> Measured:
    """The memory of one forward pass in evaluation mode, without gradients.

    inputs: a tensor, or a shape (a tuple of ints, the batch first); a list of these for several; a
    dict of them for inputs by name. It runs on fake tensors of the CPU: nothing is computed, and no
    memory taken. autocast: the dtype that torch.autocast works in. The model is not changed.
    """
    with staged(model, inputs, train=False) as stage, torch.no_grad():
        with stage.running(), cast(autocast):
            stage.out = stage.run()
            kept = stage.kept()
        return stage.measured(kept)


def measure_training(
    model: torch.nn.Module,
    inputs: Any,
    *,
    optimizer: str | Optimizer = "sgd-momentum",
    autocast: torch.dtype | None = None,
) -> Measured:
    """The memory of one step of training: forward, the sum of the outputs as the loss, backward, the optimizer's step.

    inputs, autocast: see measure_inference. optimizer: a key of OPTIMIZERS, or a function that makes
    one for parameters. It is a step as they follow one another: the optimizer's state is there from
    the first on, gradients of the step before are set to None.
    """
    make = OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer
    with staged(model, inputs, train=True) as stage, torch.enable_grad():
        parameters = [p for p in model.parameters() if p.requires_grad]
        chosen = make(parameters)
        loss = stage.forward(autocast)
        loss.backward()  # type: ignore[no-untyped-call]
        chosen.step()
        chosen.zero_grad()
        del loss
        with stage.running():
            stage.hold(chosen.state.values(), "optimizer state")
            loss = stage.forward(autocast)
            kept = stage.kept()
            stage.tracker.phase = "backward"
            loss.backward()  # type: ignore[no-untyped-call]
            stage.hold([p.grad for p in parameters if p.grad is not None], "parameter gradient")
            stage.tracker.phase = "update"
            chosen.step()
        return stage.measured(kept)


class Stage:
    """A model on fake tensors, its arguments, and the books of what it does."""

    def __init__(self, model: torch.nn.Module, inputs: Any) -> None:
        self.model = model
        self.args, self.kwargs = tree_map(faked, arguments(model, inputs), is_leaf=is_shape)
        if isinstance(model, Network):
            self.layers = Layers(model, {f"layers.{i}": name for i, name in enumerate(model.names)})
            positional = list(model.inputs)
        else:
            self.layers = Layers(model)
            positional = [p.name for p in parameters_of(model) if p.kind in POSITIONAL]
        given = [*zip([*positional, *["input"] * len(self.args)], self.args), *self.kwargs.items()]
        self.named = [(name, tensor) for name, value in given for tensor in tensors(value)]
        self.tracker = Tracker(self.layers)
        self.places = Places(model)
        self.out: Any = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """What runs here is followed. The books begin with what is there already."""
        for path, parameter in self.model.named_parameters():
            self.tracker.add(parameter, "parameters", self.layers.owner(parameter, path))
        for path, buffer in self.model.named_buffers():
            self.tracker.add(buffer, "buffers", self.layers.owner(buffer, path))
        for name, tensor in self.named:
            self.tracker.add(tensor, "input", name)
        with self.layers.followed(), self.tracker:
            yield

    def hold(self, found: Iterable[Any], what: What) -> None:
        """Take tensors into the books as this, whatever they were."""
        for tensor in tensors(list(found)):
            self.tracker.add(tensor, what).what = what

    def run(self) -> Any:
        """What the model returns. Raises TraceError for whatever it raises."""
        return run_model(self.model, self.args, self.kwargs, self.places)

    def forward(self, autocast: torch.dtype | None) -> torch.Tensor:
        """The loss: all outputs summed."""
        with cast(autocast):
            outputs = tensors(self.run())
            loss = outputs.pop(0).sum()
            while outputs:
                loss = loss + outputs.pop(0).sum()
        return loss

    def kept(self) -> tuple[Held, ...]:
        """What is alive at the end of the forward pass and was not before, and the inputs."""
        self.tracker.settle()
        found = self.tracker.alive()
        for tracked in found:
            if tracked.what == "activation" and torch.is_grad_enabled():
                tracked.what = "saved"
        return merged(t for t in found if t.what not in LASTING)

    def measured(self, kept: tuple[Held, ...]) -> Measured:
        """The result, when all has run."""
        self.tracker.settle()
        return result(self.tracker.moments, self.tracker.storages, kept)


def result(moments: Sequence[Moment], storages: Sequence[Tracked], kept: tuple[Held, ...]) -> Measured:
    """What the books say."""
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
        dtype="fp32",
        peak=moments[top].alive,
        activation_peak=max(moment.alive - always for moment, always in zip(moments, lasting)),
        at=steps[list(highest.values()).index(top)],
        steps=steps,
        held=merged(there),
        parts=parts,
        peaks=peaks,
        kept=kept,
    )


def ends(moments: Sequence[Moment]) -> list[int]:
    """For every moment the last one of the same run of its layer."""
    last = list(range(len(moments)))
    for i in reversed(last[:-1]):
        here, following = moments[i], moments[i + 1]
        if (here.layer, here.phase) == (following.layer, following.phase):
            last[i] = last[i + 1]
    return last


def bytes_at(moments: Sequence[Moment], storages: Iterable[Tracked]) -> list[int]:
    """Bytes of storages that are there at every moment."""
    change = [0] * (len(moments) + 1)
    for storage in storages:
        change[storage.born] += storage.bytes
        if storage.died is not None:
            change[storage.died] -= storage.bytes
    return list(accumulate(change))[:-1]


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


@contextmanager
def staged(model: torch.nn.Module, inputs: Any, *, train: bool) -> Iterator[Stage]:
    """A model with fakes in place of its tensors, and its own back in the end."""
    unshared()
    with preserved(model, train), unlogged(), FakeTensorMode(allow_non_fake_inputs=True), uncollected():
        put_fakes(model)
        stage = Stage(model, inputs)
        with stage.places.followed():
            yield stage


@contextmanager
def uncollected() -> Iterator[None]:
    """Without Python's collector of cycles: whether it has just run would be in the figures."""
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def cast(autocast: torch.dtype | None) -> Any:
    """Mixed precision in this dtype, or none."""
    return nullcontext() if autocast is None else torch.autocast("cpu", dtype=autocast)


def faked(value: Any) -> Any:
    """A fake input in place of a shape or tensor; anything else as it is."""
    if isinstance(value, torch.Tensor):
        return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype)
    return torch.empty(tuple(value)) if is_shape(value) else value


def put_fakes(model: torch.nn.Module) -> None:
    """Fakes in place of a model's parameters and buffers; those that share a storage still do."""
    bases: dict[tuple[int, torch.dtype], torch.Tensor] = {}
    made: dict[int, Any] = {}

    def fake(tensor: Any) -> Any:
        if id(tensor) in made:
            return made[id(tensor)][1]
        storage = tensor.untyped_storage()
        key = (storage._cdata, tensor.dtype)
        if key not in bases:
            bases[key] = torch.empty(storage.nbytes() // tensor.element_size(), dtype=tensor.dtype)
        with torch.no_grad():
            view = bases[key].as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())
        if isinstance(tensor, torch.nn.Parameter):
            view = torch.nn.Parameter(view, requires_grad=tensor.requires_grad)
        made[id(tensor)] = (tensor, view)
        return view

    for module in model.modules():
        held_by: tuple[dict[str, Any], ...] = (module._parameters, module._buffers, module.__dict__)
        for kept in held_by:
            for name, value in kept.items():
                if isinstance(value, torch.Tensor):
                    kept[name] = fake(value)
