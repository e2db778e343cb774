"""A model comes back as it was: also in training, also after an error."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cnncost.errors import CnncostError
from cnncost.live.trace import trace


class Careless(nn.Module):
    """Changes in its forward whatever a model may change, and fails where it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.spectral = torch.nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4))
        self.register_buffer("calls", torch.zeros(()))
        self.seen: list[Any] = []
        self.cache: dict[str, Any] = {"kept": 1}
        self.last: Any = None
        self.fails = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        y = self.drop(self.norm(self.conv(x)))
        self.last = y
        self.seen.append(y)
        self.cache["y"] = y
        self.extra = torch.rand(3)
        random.random()
        np.random.rand()
        torch.bernoulli(torch.rand(3))
        if self.fails:
            raise ValueError("this forward fails")
        return self.spectral(y.mean((2, 3)))


def state(model: Careless) -> dict[str, Any]:
    """All that can be seen of a model and of random numbers."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_state_dict_hooks")
    return {
        "modes": [m.training for m in model.modules()],
        "values": {k: v.clone() for k, v in model.state_dict().items()},
        "tensors": {k: id(v) for k, v in [*model.named_parameters(), *model.named_buffers()]},
        "requires_grad": [p.requires_grad for p in model.parameters()],
        "grads": [p.grad for p in model.parameters()],
        "hooks": [list(getattr(m, name)) for m in model.modules() for name in hooks],
        "attributes": [sorted(vars(m)) for m in model.modules()],
        "held": (list(model.seen), dict(model.cache), model.last),
        "random": (torch.get_rng_state(), random.getstate(), np.random.get_state()[1]),
        "settings": (torch.is_grad_enabled(), torch.backends.mha.get_fastpath_enabled(), torch.get_default_dtype()),
        "hooks of all modules": len(nn.modules.module._global_forward_hooks)
        + len(nn.modules.module._global_forward_pre_hooks),
    }


def check_same(before: Any, after: Any) -> None:
    """Every part is equal, tensors and arrays element by element."""
    assert type(before) is type(after)
    if isinstance(before, dict):
        assert before.keys() == after.keys()
        for key in before:
            check_same(before[key], after[key])
    elif isinstance(before, (list, tuple)):
        assert len(before) == len(after)
        for a, b in zip(before, after):
            check_same(a, b)
    elif isinstance(before, torch.Tensor):
        assert torch.equal(before, after)
    elif isinstance(before, np.ndarray):
        assert np.array_equal(before, after)
    else:
        assert before == after


def mixed(model: Careless) -> None:
    """A mode that no single call of train() gives, a frozen parameter, and a hook of the user's own."""
    model.train()
    model.norm.eval()
    model.conv.weight.requires_grad_(False)
    model.conv.register_forward_hook(lambda *_: None)


PREPARED: dict[str, Callable[[Careless], Any]] = {
    "training": nn.Module.train,
    "evaluation": nn.Module.eval,
    "mixed": mixed,
}


@pytest.mark.parametrize("prepared", PREPARED)
@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_as_it_was(prepared: str, train: bool, fails: bool) -> None:
    model = Careless()
    PREPARED[prepared](model)
    model.fails = fails
    before = state(model)
    if fails:
        with pytest.raises(CnncostError, match="this forward fails"):
            trace(model, (2, 3, 6, 6), train=train)
    else:
        assert len(trace(model, (2, 3, 6, 6), train=train))
    check_same(before, state(model))


def test_the_model_still_runs_and_learns() -> None:
    model = Careless()
    x = torch.rand(2, 3, 6, 6)
    expected = model.eval()(x)
    trace(model, x)
    assert torch.equal(model(x), expected)
    model.train()(x).sum().backward()
    assert model.conv.weight.grad is not None


def test_the_mode_is_the_one_that_is_asked_for() -> None:
    found = []

    class Tells(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            found.append(self.training)
            return x + 1

    for train in (True, False):
        trace(Tells(), (1, 2), train=train)
    assert found == [True, False]


def test_nothing_is_allocated_for_inputs_and_results() -> None:
    """A convolution over 4 TB."""
    graph = trace(nn.Conv2d(1, 1, 3, padding=1), (1, 1, 1_000_000, 1_000_000))
    assert graph.nodes[0].shape == (1, 1, 1_000_000, 1_000_000)
