"""Where in a model an operator runs: the module's path, which call of it, and the user's source line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import Any, NamedTuple

import torch
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._pytree import tree_flatten

from cnncost.errors import Where

SKIPPED = tuple(os.path.join(os.path.dirname(m), "") for m in (torch.__file__, __file__))
"""Folders whose lines are not the user's."""


class Place(NamedTuple):
    """path: of the module, "" for the model itself. call: a number for each call of a module. leaf: it has no parts.

    kind: its class, where that is one of torch.nn's own, or "".
    """

    path: str
    call: int
    leaf: bool
    kind: str
    where: Where | None

    @property
    def by(self) -> str:
        """What runs, as graph.Called has it."""
        return "model" if not self.leaf else f"torch.nn.{self.kind}" if self.kind else "module"


class _Running(NamedTuple):
    module: torch.nn.Module
    path: str
    call: int
    shapes: tuple[tuple[int, ...], ...]
    handled: BaseException | None
    """The exception that was being handled when the module was called."""


@contextmanager
def modules_followed(enter: Callable[..., None], leave: Callable[..., None]) -> Iterator[None]:
    """`enter` and `leave` are called as modules begin and end, also with an error: hooks for all modules at once.

    None is attached to the model.
    """
    hooks = [register_module_forward_pre_hook(enter), register_module_forward_hook(leave, always_call=True)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


class Places:
    """Follows which module runs."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.paths = {id(module): path for path, module in model.named_modules()}
        self.running: list[_Running] = []
        self.failed: tuple[BaseException, _Running] | None = None
        self.calls = 0
        self._where: dict[tuple[Any, int], Where] = {}

    def followed(self) -> AbstractContextManager[None]:
        """What runs here is followed."""
        return modules_followed(self._enter, self._leave)

    def _enter(self, module: torch.nn.Module, args: Any) -> None:
        self.calls += 1
        above = self.running[-1].path if self.running else ""
        kind = type(module).__name__.lower()
        path = self.paths.get(id(module), f"{above}.{kind}" if above else kind)
        shapes = tuple(tuple(t.shape) for t in tree_flatten(args)[0] if isinstance(t, torch.Tensor))
        self.running.append(_Running(module, path, self.calls, shapes, sys.exc_info()[1]))

    def _leave(self, module: torch.nn.Module, args: Any, output: Any) -> None:
        left, raised = self.running.pop(), sys.exc_info()[1]
        if raised is not None and raised is not left.handled and (self.failed is None or self.failed[0] is not raised):
            self.failed = (raised, left)

    def of(self, error: BaseException) -> _Running | None:
        """The innermost module in which an error was raised."""
        if self.failed is not None and self.failed[0] is error:
            return self.failed[1]
        return self.running[-1] if self.running else None

    def here(self) -> Place:
        """The place of what runs now."""
        if not self.running:
            return Place("", 0, False, "", self.where())
        running = self.running[-1]
        kind = type(running.module)
        name = kind.__name__ if kind.__module__.startswith("torch.nn.modules.") else ""
        return Place(running.path, running.call, not running.module._modules, name, self.where())

    def where(self) -> Where | None:
        """The innermost line that is neither PyTorch's nor ours, up to where tracing began."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            code = frame.f_code
            if code.co_name == "run_model" and code.co_filename.startswith(SKIPPED[1]):
                return None
            if not code.co_filename.startswith(SKIPPED) and not code.co_filename.startswith("<"):
                return self._line(frame)
            frame = frame.f_back
        return None

    def _line(self, frame: FrameType) -> Where:
        code, at = frame.f_code, frame.f_lasti
        if (code, at) not in self._where:
            self._where[code, at] = Where(short(code.co_filename), frame.f_lineno, column(frame))
        return self._where[code, at]


def column(frame: FrameType) -> int:
    """The column of the call, from 1; 1 where Python does not keep columns."""
    positions = getattr(frame.f_code, "co_positions", None)
    if positions is None:
        return 1
    for i, (_, _, start, _) in enumerate(positions()):
        if i == frame.f_lasti // 2:
            return (start or 0) + 1
    return 1


def short(file: str) -> str:
    """A file as it is imported: without the folder that Python found it in."""
    folders = [os.path.join(os.path.realpath(folder or "."), "") for folder in ["", *sys.path]]
    fitting = [folder for folder in folders if os.path.realpath(file).startswith(folder)]
    return os.path.realpath(file)[len(max(fitting, key=len)) :] if fitting else file
