"""A model brought to where it is measured: other tensors in place of its own for a while, and its own back after."""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._pytree import tree_map

from cnncost.analysis.memory import Phase
from cnncost.errors import UsageError
from cnncost.live.build import Network
from cnncost.live.places import Places
from cnncost.live.preserve import preserved
from cnncost.live.storages import Layers, Tracker, unshared
from cnncost.live.trace import POSITIONAL, arguments, dtype_of, is_shape, parameters_of, run_model, tensors, unlogged

Optimizer = Callable[..., torch.optim.Optimizer]
"""Makes an optimizer for parameters."""
OPTIMIZERS: dict[str, Optimizer | None] = {
    "none": None,
    "sgd": partial(torch.optim.SGD, lr=0.1),
    "sgd-momentum": partial(torch.optim.SGD, lr=0.1, momentum=0.9),
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
DTYPES = {torch.float32: "fp32", torch.float64: "fp64", torch.bfloat16: "bf16", torch.float16: "fp16"}


def _unheard(phase: Phase) -> None:
    """Nobody waits for the end of a phase."""


class Elsewhere:
    """Makes tensors like others on a device: of the same layout, those that share a storage sharing one again.

    They have the same numbers, where there are any and the device is real. dtype: of those that hold
    fractions; None for each one's own.
    """

    def __init__(self, device: str, dtype: torch.dtype | None = None) -> None:
        self.device, self.kind, self.dtype = device, torch.device(device).type, dtype
        self._bases: dict[tuple[int, torch.dtype], torch.Tensor] = {}
        self._made: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def __call__(self, tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) in self._made:
            return self._made[id(tensor)][1]
        storage = tensor.untyped_storage()
        key = (storage._cdata, tensor.dtype)
        if key not in self._bases:
            elements = storage.nbytes() // tensor.element_size()
            dtype = self.dtype if self.dtype is not None and tensor.is_floating_point() else tensor.dtype
            self._bases[key] = torch.zeros(elements, dtype=dtype, device=self.device)
        with torch.no_grad():
            view = self._bases[key].as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())
            if not isinstance(view, FakeTensor) and tensor.device.type != "meta":
                view.copy_(tensor)
        if isinstance(tensor, torch.nn.Parameter):
            view = torch.nn.Parameter(view, requires_grad=tensor.requires_grad)
        self._made[id(tensor)] = (tensor, view)
        return view

    def put(self, model: torch.nn.Module) -> None:
        """Put others in place of all that a model's modules hold."""
        for module in model.modules():
            held_by: tuple[dict[str, Any], ...] = (module._parameters, module._buffers, module.__dict__)
            for held in held_by:
                for name, value in held.items():
                    if isinstance(value, torch.Tensor):
                        held[name] = self(value)


class Stage:
    """A model with tensors to run on, its arguments, and the books of what it does."""

    def __init__(self, model: torch.nn.Module, inputs: Any, elsewhere: Elsewhere) -> None:
        self.model, self.elsewhere = model, elsewhere
        self.type = dtype_of(model)
        self.args, self.kwargs = tree_map(self._entering, arguments(model, inputs), is_leaf=is_shape)
        names = {f"layers.{i}": name for i, name in enumerate(model.names)} if isinstance(model, Network) else None
        self.layers = Layers(model, names)
        self.tracker = Tracker(self.layers, elsewhere.kind)
        self.places = Places(model)

    @property
    def dtype(self) -> str:
        """The name of the parameters' dtype."""
        return DTYPES.get(self.type, str(self.type))

    def _entering(self, value: Any) -> Any:
        """An input in place of a shape or tensor; anything else as it is."""
        if isinstance(value, torch.Tensor):
            return self.elsewhere(value)
        return torch.zeros(tuple(value), dtype=self.type, device=self.elsewhere.device) if is_shape(value) else value

    def inputs(self) -> list[tuple[str, torch.Tensor]]:
        """The tensors that go in, by name."""
        if isinstance(self.model, Network):
            names = list(self.model.inputs)
        else:
            names = [p.name for p in parameters_of(self.model) if p.kind in POSITIONAL]
        names += ["input"] * (len(self.args) - len(names))
        given = [*zip(names, self.args), *self.kwargs.items()]
        return [(name, tensor) for name, value in given for tensor in tensors(value)]

    # ---- what runs --------------------------------------------------------------------------------

    def optimizer(self, chosen: str | Optimizer) -> torch.optim.Optimizer | None:
        """An optimizer of the parameters that learn, or none. Raises UsageError for an unknown name."""
        if isinstance(chosen, str) and chosen not in OPTIMIZERS:
            raise UsageError(f"no optimizer is called {chosen}", hint=f"one of {', '.join(OPTIMIZERS)}, or a function")
        make = OPTIMIZERS[chosen] if isinstance(chosen, str) else chosen
        learning = [p for p in self.model.parameters() if p.requires_grad]
        return make(learning) if make is not None and learning else None

    def learn(self, optimizer: torch.optim.Optimizer | None, without: Collection[str]) -> None:
        """Let the optimizer make its state, from gradients of nothing. without: names of parameters that get none."""
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad and name not in without:
                parameter.grad = torch.zeros_like(parameter)
        if optimizer is not None:
            optimizer.step()

    def infer(self, autocast: torch.dtype | None) -> Any:
        """What the model returns, without gradients."""
        with torch.no_grad(), self._cast(autocast):
            return self._run()

    def step(
        self,
        optimizer: torch.optim.Optimizer | None,
        autocast: torch.dtype | None,
        ended: Callable[[Phase], None] = _unheard,
    ) -> None:
        """A step of training. ended: called at the end of every phase."""
        with torch.enable_grad():
            loss = self._loss(autocast)
            ended("forward")
            if loss.requires_grad:  # there is something to learn
                loss.backward()  # type: ignore[no-untyped-call]
            ended("backward")
        if optimizer is not None:
            optimizer.step()
        ended("update")

    def _run(self) -> Any:
        """What the model returns. Raises TraceError for whatever it raises."""
        with self.places.followed():  # not in the backward pass, for blocks that run again end with an exception
            return run_model(self.model, self.args, self.kwargs, self.places)

    def _loss(self, autocast: torch.dtype | None) -> torch.Tensor:
        """All outputs summed; they themselves are let go."""
        with self._cast(autocast):
            outputs = tensors(self._run())
            loss = outputs.pop(0).sum()
            while outputs:
                loss = loss + outputs.pop(0).sum()
        return loss

    def _cast(self, autocast: torch.dtype | None) -> Any:
        """Mixed precision in this dtype, or none."""
        return nullcontext() if autocast is None else torch.autocast(self.elsewhere.kind, dtype=autocast)


@contextmanager
def staged(
    model: torch.nn.Module,
    inputs: Any,
    *,
    train: bool,
    dtype: torch.dtype | None = None,
    device: str = "cpu",
    fake: bool = True,
) -> Iterator[Stage]:
    """A model on other tensors than its own, which it has back in the end.

    dtype: of its parameters, buffers and inputs, in place of their own. fake: tensors that hold nothing.
    """
    unshared()
    mode = FakeTensorMode(allow_non_fake_inputs=True) if fake else nullcontext()
    with preserved(model, train), unlogged(), mode, uncollected():
        elsewhere = Elsewhere(device, dtype)
        elsewhere.put(model)
        yield Stage(model, inputs, elsewhere)


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
