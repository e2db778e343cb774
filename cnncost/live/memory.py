"""Memory measured: a PyTorch model runs once, and the storages that are alive are counted after every operator."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_map

from cnncost.analysis.memory import LASTING, Held, Memory, Phase, Size, Step, What, highest
from cnncost.errors import UsageError
from cnncost.live.build import Network
from cnncost.live.preserve import preserved
from cnncost.live.storages import Layers, Moment, Tracked, Tracker, unshared
from cnncost.live.trace import arguments, is_shape, tensors

Optimizer = Callable[[list[torch.nn.Parameter]], torch.optim.Optimizer]
OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    "sgd-momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
    "adam": lambda parameters: torch.optim.Adam(parameters),
    "adamw": lambda parameters: torch.optim.AdamW(parameters),
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
        return sum(held.bytes for held in self.kept)


def measure_inference(model: torch.nn.Module, inputs: Any, *, autocast: torch.dtype | None = None) -> Measured:
    """The memory of one forward pass in evaluation mode, without gradients.

    inputs: a tensor, or a shape (a tuple of ints, the batch first); a list of these for several; a
    dict of them for inputs by name. It runs on fake tensors of the CPU: nothing is computed, and no
    memory taken. autocast: the dtype that torch.autocast works in. The model is not changed.
    """
    with staged(model, inputs, train=False) as stage, torch.no_grad():
        with stage.running(), cast(autocast):
            stage.out = model(*stage.args, **stage.kwargs)
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
        names = None
        if isinstance(model, Network):
            names = {f"layers.{i}": name for i, name in enumerate(model.names)}
        self.layers = Layers(model, names)
        self.tracker = Tracker(self.layers)
        self.out: Any = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """What runs here is followed. The books begin with what is there already."""
        for name, p in self.model.named_parameters():
            self.tracker.add(p, "parameters", name)
        for name, b in self.model.named_buffers():
            self.tracker.add(b, "buffers", name)
        for t in tensors((self.args, self.kwargs)):
            self.tracker.add(t, "input", "input")
        with self.layers.followed(), self.tracker:
            yield

    def hold(self, tensors_: Any, what: What) -> None:
        """Take tensors into the books as this, whatever they were."""
        for tensor in tensors(list(tensors_)):
            self.tracker.add(tensor, what)
            found = self.tracker.find(tensor)
            assert found is not None
            found.what = what

    def forward(self, autocast: torch.dtype | None) -> torch.Tensor:
        """The loss: all outputs summed."""
        with cast(autocast):
            return sum(t.sum() for t in tensors(self.model(*self.args, **self.kwargs)))  # type: ignore[return-value]

    def kept(self) -> tuple[Held, ...]:
        """What is alive at the end of the forward pass and was not before."""
        self.tracker.bury()
        found = list(self.tracker.alive.values())
        for tracked in found:
            if tracked.what == "activation" and torch.is_grad_enabled():
                tracked.what = "saved"
        return tuple(held(t) for t in found if t.what not in LASTING)

    def measured(self, kept: tuple[Held, ...]) -> Measured:
        """The result, when all has run."""
        moments = [m for m in self.tracker.moments if m.layer or not isinstance(self.model, Network)]
        steps = tuple(Step(m.layer, m.phase, m.alive, m.left) for m in moments)
        at = max(range(len(moments)), key=lambda i: moments[i].alive)
        tensors_ = tuple(held(t) for t in moments[at].tensors)
        parts: dict[What, int] = {}
        for tensor in tensors_:
            parts[tensor.what] = parts.get(tensor.what, 0) + tensor.bytes
        phases = {m.phase: max(n.alive for n in moments if n.phase == m.phase) for m in moments}
        activation = max(m.alive - m.lasting for m in moments)
        return Measured(
            "fp32", moments[at].alive, activation, steps[at], steps, tensors_, parts, peaks=phases, kept=kept
        )


def held(tracked: Tracked) -> Held:
    return Held(tracked.layer, tracked.what, tracked.bytes)


@contextmanager
def staged(model: torch.nn.Module, inputs: Any, *, train: bool) -> Iterator[Stage]:
    """A model with fakes in place of its tensors, and its own back in the end."""
    unshared()
    with preserved(model, train), FakeTensorMode(allow_non_fake_inputs=True), uncollected():
        put_fakes(model)
        yield Stage(model, inputs)


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

    def fake(tensor: torch.Tensor) -> torch.Tensor:
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
        for kept in (module._parameters, module._buffers, module.__dict__):
            for name, value in kept.items():
                if isinstance(value, torch.Tensor):
                    kept[name] = fake(value)
