"""Runs a model without a trace: whatever a forward pass may change is as it was afterwards."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

KEPT = (dict, list, set)


@contextmanager
def preserved(model: torch.nn.Module, train: bool) -> Iterator[None]:
    """The model in training or evaluation mode; afterwards modes, attributes, buffers and random state are as before.

    Values of parameters and buffers need no copy: operators run on fakes in their place.
    """
    modules = list(model.modules())
    before = [(module, dict(module.__dict__), _contents(module)) for module in modules]
    with same_randomness(), whole_attention():
        try:
            model.train(train)
            yield
        finally:
            for module, attributes, contents in before:
                module.__dict__.clear()
                module.__dict__.update(attributes)
                for held, content in contents:
                    _refill(held, content)


@contextmanager
def whole_attention() -> Iterator[None]:
    """Attention operator by operator, where PyTorch has one for a whole layer."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


@contextmanager
def same_randomness() -> Iterator[None]:
    """The random state of PyTorch, Python and NumPy is afterwards as it was."""
    states = torch.get_rng_state(), random.getstate(), _numpy_state()
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        random.setstate(states[1])
        if states[2] is not None:
            sys.modules["numpy"].random.set_state(states[2])


def _contents(module: torch.nn.Module) -> list[tuple[Any, Any]]:
    """The containers that a module holds, its parameters and buffers among them, each with what is in it."""
    return [(held, held.copy()) for held in module.__dict__.values() if isinstance(held, KEPT)]


def _refill(held: Any, content: Any) -> None:
    """Put what was in a container back, where that changed."""
    if len(held) == len(content) and all(a is b for a, b in zip(_items(held), _items(content))):
        return
    held.clear()
    if isinstance(held, list):
        held.extend(content)
    else:
        held.update(content)


def _items(held: Any) -> list[Any]:
    return [item for pair in held.items() for item in pair] if isinstance(held, dict) else list(held)


def _numpy_state() -> Any:
    """NumPy's random state, where it is in use."""
    return sys.modules["numpy"].random.get_state() if "numpy" in sys.modules else None
