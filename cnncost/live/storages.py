"""Follows every storage that PyTorch operators make, from birth to death, and which layer was running."""

from __future__ import annotations

import weakref
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
from torch._prims_common import is_non_overlapping_and_dense_or_false
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_iter

from cnncost.analysis.memory import Phase, What
from cnncost.live.places import modules_followed

aten = torch.ops.aten
NORMS = (aten.native_batch_norm.default, aten.native_layer_norm.default, aten.native_group_norm.default)
OUTSIDE: dict[Phase, str] = {"forward": "loss", "backward": "loss", "update": "optimizer"}
"""The layer of what runs outside of all modules."""
MADE: dict[Phase, What] = {"forward": "activation", "backward": "gradient", "update": "temporary"}
"""What a new storage is until more is known of it."""


@dataclass(eq=False)
class Tracked:
    """One storage. layer: where it was made. born, died: the first moments at which it is there, and no more."""

    ref: weakref.ref[torch.UntypedStorage] | None
    bytes: int
    layer: str
    what: What
    born: int
    died: int | None = None


class Moment:
    """What is so after one operator, or as a module begins. left: bytes still alive when the next moment comes."""

    __slots__ = ("alive", "layer", "left", "phase")

    def __init__(self, layer: str, phase: Phase, alive: int) -> None:
        self.layer, self.phase, self.alive, self.left = layer, phase, alive, alive


class Tracker(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Runs operators as they are and keeps the books of storages.

    Autograd holds tensors that Python never sees; but PyTorch keeps the Python object of a storage for
    as long as the storage is there, and its finalizer tells when that ends. The bytes of a moment are
    exact: an operator's outputs exist before its inputs go. device: the kind of it whose memory is meant.
    """

    def __init__(self, layers: Layers, device: str = "cpu") -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.layers, self.device = layers, device
        self.phase: Phase = "forward"
        self.bytes = 0
        self.storages: list[Tracked] = []
        self.moments: list[Moment] = []
        self._alive: dict[int, Tracked] = {}  # by address
        layers.entered = self.entered

    # ---- books ------------------------------------------------------------------------------------

    def add(self, tensor: torch.Tensor, what: What, layer: str | None = None) -> Tracked | None:
        """The books' entry of a tensor's storage, made if there is none; None for one of another device."""
        if self.device != "cpu" and device_of(tensor) != self.device:
            return None  # on the CPU there is no other
        storage = tensor.untyped_storage()
        known = self._alive.get(storage._cdata)
        if known is not None:
            if known.bytes == storage.nbytes():
                return known
            self._bury(storage._cdata)  # it was resized: what it was is gone
            known.ref = None
        layer = self.layers.now(self.phase) if layer is None else layer
        ref = weakref.ref(storage, partial(self._bury, storage._cdata))
        made = Tracked(ref, storage.nbytes(), layer, what, len(self.moments))
        self._alive[storage._cdata] = made
        self.storages.append(made)
        self.bytes += made.bytes
        return made

    def find(self, tensor: torch.Tensor) -> Tracked | None:
        """The books' entry of a tensor's storage."""
        return self._alive.get(tensor.untyped_storage()._cdata)

    def alive(self) -> list[Tracked]:
        """The storages that are alive now."""
        return list(self._alive.values())

    def _bury(self, key: int, ref: Any = None) -> None:
        """Strike out a storage that is gone."""
        tracked = self._alive.pop(key)
        tracked.died = len(self.moments)
        self.bytes -= tracked.bytes

    def settle(self) -> None:
        """What is gone by now was let go in the moment before."""
        if self.moments:
            self.moments[-1].left = self.bytes

    def look(self) -> None:
        """Note what is alive now."""
        self.moments.append(Moment(self.layers.now(self.phase), self.phase, self.bytes))

    def entered(self) -> None:
        """A module begins: noted although it may run no operator at all."""
        self.settle()
        self.look()

    # ---- dispatch ---------------------------------------------------------------------------------

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace == "prim":
            return func(*args, **(kwargs or {}))
        self.settle()
        if self.phase == "backward" and func is aten.add.Tensor and not kwargs and len(args) == 2:
            func, args = accumulation(args)
        out = as_kernels_give(func, args, func(*args, **(kwargs or {})))
        what: What = "saved" if self.phase == "backward" and self.layers.running else MADE[self.phase]
        if func is aten._to_copy.default and (source := self.find(args[0])) and source.what == "parameters":
            what = "cast weights"
        for tensor in tree_iter(out):
            if isinstance(tensor, torch.Tensor):
                self.add(tensor, what)
        self.look()
        return out


def as_kernels_give(func: Any, args: tuple[Any, ...], out: Any) -> Any:
    """An operator's outputs, where PyTorch's fakes of them are not as its kernels give them."""
    if func in NORMS:
        return (out[0], *(statistic(t, args) for t in out[1:]))
    if func is aten.native_batch_norm_backward.default:  # the last argument says which gradients are wanted
        return tuple(t if wanted else None for t, wanted in zip(out, args[-1]))
    return out


def statistic(tensor: torch.Tensor, args: tuple[Any, ...]) -> torch.Tensor:
    """What a norm keeps of its own: in fp32 where its parameters or running statistics are; fakes have it otherwise."""
    wide = any(isinstance(other, torch.Tensor) and other.dtype is torch.float32 for other in args[1:])
    return tensor.float() if wide and tensor.numel() else tensor


def device_of(tensor: torch.Tensor) -> str:
    """The kind of device that a tensor is on, or that a fake says it is on."""
    fake = getattr(tensor, "fake_device", None)
    return (tensor.device if fake is None else fake).type


def accumulation(args: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """A sum of two gradients as autograd has it where no mode watches: in place, if nobody else holds the first."""
    a, b = args
    both = isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor)
    if both and a.shape == b.shape and a.dtype == b.dtype and is_unshared(a):
        return aten.add_.Tensor, (a, b)
    return aten.add.Tensor, args


def is_unshared(tensor: torch.Tensor) -> bool:
    """Whether autograd's buffer is the only one that holds a gradient, and may add to it in place."""
    tensors, storages = references(tensor)
    alone = tensors <= unshared()[0] and storages <= unshared()[1]
    return alone and is_non_overlapping_and_dense_or_false(tensor)


def references(tensor: torch.Tensor) -> tuple[int, int]:
    """How many hold a tensor, and its storage: C++ objects, and Python's as one."""
    held: int = tensor._use_count()  # type: ignore[attr-defined]
    return held, torch._C._storage_Use_Count(tensor.untyped_storage()._cdata)


@cache
def unshared() -> tuple[int, int]:
    """What `references` says in a mode of a gradient that only autograd's buffer holds: seen on one that is so."""
    seen: list[tuple[int, int]] = []

    class Look(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is aten.add.Tensor:
                seen.append(references(args[0]))
            return func(*args, **(kwargs or {}))

    with _disable_current_modes(), torch.enable_grad(), torch.autocast("cpu", enabled=False):
        x = torch.ones(1, requires_grad=True)
        y = torch.cat([x.sin(), x.cos()]).sum()
        with Look():  # type: ignore[no-untyped-call]
            y.backward()  # type: ignore[no-untyped-call]
    return seen[0]


class Layers:
    """Which layer runs: its modules are followed.

    names: the layer of a module, by the module's path in the model; a module inside a named one
    belongs to that one. In the backward pass a layer is that of the forward operator whose gradient
    is computed, told by the sequence numbers that autograd gives its nodes. running: the modules that
    run, the innermost last; in the backward pass there are some where a block runs again.
    """

    def __init__(self, model: torch.nn.Module, names: dict[str, str] | None = None) -> None:
        self.entered: Callable[[], None] = lambda: None
        self._names = {id(m): path if names is None else names.get(path, "") for path, m in model.named_modules()}
        self._whole = names is not None
        self._owners: dict[int, str] = {}
        for path, module in model.named_modules():
            layer = path if names is None else next((names[p] for p in above(path) if p in names), "")
            for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
                self._owners.setdefault(id(tensor), layer)
        self.running: list[str] = []
        self._from: list[int] = [0]
        self._layers: list[str] = [""]

    def owner(self, tensor: torch.Tensor, path: str) -> str:
        """The layer that holds a parameter or buffer, given its path."""
        layer, _, name = path.rpartition(".")
        return self._owners.get(id(tensor)) or layer or name

    def followed(self) -> AbstractContextManager[None]:
        """What runs here is followed."""
        return modules_followed(self._enter, self._leave)

    def _enter(self, module: torch.nn.Module, args: Any) -> None:
        above = self.running[-1] if self.running else ""
        name = above if self._whole and above else self._names.get(id(module), above)
        self.running.append(name)
        self._switch()
        if name and (self._whole or not module._modules):
            self.entered()

    def _leave(self, module: torch.nn.Module, args: Any, output: Any) -> None:
        self.running.pop()
        self._switch()

    def _switch(self) -> None:
        """Another layer runs from here on."""
        self._from.append(torch._C._autograd._get_sequence_nr())
        self._layers.append(self.now("forward"))

    def now(self, phase: Phase) -> str:
        """The layer that runs."""
        if self.running:
            return self.running[-1]
        node = torch._C._current_autograd_node() if phase == "backward" else None
        if node is None:
            return OUTSIDE[phase]
        variable = getattr(node, "variable", None)
        if variable is not None:
            return self._owners.get(id(variable), OUTSIDE[phase])
        return self._layers[bisect_right(self._from, node._sequence_nr()) - 1]


def above(path: str) -> Iterator[str]:
    """The paths of a module and of those that it is in."""
    while path:
        yield path
        path = path.rpartition(".")[0]
