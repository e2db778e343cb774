"""What a rule is: a function from a call of an operator to the layer that it is.

    @rule("hardtanh")
    def hard_tanh(call):
        return Layer(HardTanh(call["min_val"], call["max_val"], call.inplace), (call["self"],))

The names are PyTorch's: the operator's without overload and trailing underscore, and the arguments' in its schema.
A rule is asked after the operator has run. Operators without a rule that PyTorch makes of others
are followed into those.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any, TypeVar, Union

import torch

from cnncost.dims import shown
from cnncost.ops.base import Op
from cnncost.ops.seen import Seen

if TYPE_CHECKING:
    from cnncost.live.recorder import Recorder

Choice = Union[Op, Callable[[], Op]]


class Layer:
    """What a call of an operator is: an op on inputs.

    ops: one or several, of which the first counts that takes the inputs and gives the output's
    shape; one that may not exist with these options as a function that makes it. None: no layer,
    the output is the first input. inputs: tensors, or layers that come before. params: tensors that
    the op calls its own parameters; where they are not parameters of the model, they become
    inputs. output: which of the operator's outputs it makes.
    """

    def __init__(
        self,
        ops: Choice | Sequence[Choice] | None,
        inputs: Sequence[Any],
        params: Sequence[torch.Tensor | None] = (),
        output: int = 0,
    ) -> None:
        self.choices = () if ops is None else tuple(ops) if isinstance(ops, (tuple, list)) else (ops,)
        self.inputs, self.params, self.output = tuple(inputs), tuple(params), output


def or_seen(op: Op, call: Call, params: Sequence[torch.Tensor | None] = ()) -> tuple[Op, Op]:
    """An op, or where its input has axes that it does not take (PyTorch takes any), the same counts as they are."""
    x = call.x if len(call.x) > 1 else (*call.x, 1)
    learned = sum(p.numel() for p in params if p is not None)
    return op, Seen(op.key, call.y, done=op.operations(call.y, x), other_params=learned, inplace=call.inplace)


Rule = Callable[["Call"], Any]
R = TypeVar("R", bound=Rule)


class Call:
    """An operator with its arguments, and what came out once it has run. call["name"] is an argument.

    x: the shape of the first argument, before. name: without namespace aten, overload and underscore.
    """

    def __init__(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], recorder: Recorder) -> None:
        self.func, self.args, self.kwargs, self.recorder = func, args, kwargs, recorder
        self.name: str
        self.names: tuple[str, ...]
        self.name, self.names, self._defaults, self._written = facts(func)
        self.x = tuple(self.first.shape) if isinstance(self.first, torch.Tensor) else ()
        self.out: Any = None

    def __getitem__(self, name: str) -> Any:
        if name in self.kwargs:
            return self.kwargs[name]
        index = self.names.index(name)
        return self.args[index] if index < len(self.args) else self._defaults[index]

    def get(self, name: str, default: Any = None) -> Any:
        """An argument that not every overload has."""
        return self[name] if name in self.names else default

    @property
    def first(self) -> Any:
        """The first argument, where there is one."""
        return self.args[0] if self.args else self.kwargs.get(self.names[0]) if self.names else None

    @property
    def outs(self) -> list[torch.Tensor]:
        """The tensors that came out."""
        out = self.out if isinstance(self.out, (tuple, list)) else (self.out,)
        return [t for t in out if isinstance(t, torch.Tensor)]

    @property
    def y(self) -> tuple[int, ...]:
        """The shape of the first of them."""
        return tuple(self.outs[0].shape)

    @property
    def n(self) -> int:
        """Elements of the first output."""
        return prod(self.y)

    @property
    def mutated(self) -> list[torch.Tensor]:
        """The arguments that the operator wrote to."""
        given = [self[name] for name in self._written]
        return [t for t in given if isinstance(t, torch.Tensor)]

    @property
    def inplace(self) -> bool:
        """Whether the first output is an argument that was written to: others may be noise, or statistics."""
        outs = self.outs
        return bool(outs) and any(outs[0] is t for t in self.mutated)

    @property
    def decomposes(self) -> bool:
        """Whether PyTorch makes this operator of others."""
        return bool(self.func._can_decompose())

    @property
    def tensors(self) -> list[torch.Tensor]:
        """All tensors among the arguments, those in lists too."""
        found: list[torch.Tensor] = []
        for value in (*self.args, *self.kwargs.values()):
            found += [
                t for t in (value if isinstance(value, (list, tuple)) else (value,)) if isinstance(t, torch.Tensor)
            ]
        return found

    def aliases(self) -> bool:
        """Whether the first output is a view of the first argument."""
        return bool(self.outs[0].untyped_storage()._cdata == self.first.untyped_storage()._cdata)

    def learned(self, tensor: torch.Tensor | None) -> bool:
        """Whether a tensor is a parameter of the model, whole."""
        return tensor is not None and self.recorder.read(tensor).learned is not None

    def shown(self) -> str:
        """The call as an error names it: aten::mm of 3x4 and 4x5."""
        return " and ".join(shown(t.shape) or "a number" for t in self.tensors) or "nothing"


@cache
def facts(func: Any) -> tuple[str, tuple[str, ...], tuple[Any, ...], tuple[str, ...]]:
    """(name without overload and trailing underscore, its arguments' names, their defaults, those it writes to)."""
    arguments = func._schema.arguments
    written = tuple(a.name for a in arguments if a.alias_info is not None and a.alias_info.is_write)
    name = func._schema.name.removeprefix("aten::")
    plain = name.removesuffix("_") if written and not name.endswith("__") else name
    return plain, tuple(a.name for a in arguments), tuple(_default(a) for a in arguments), written


def _default(argument: Any) -> Any:
    return argument.default_value if argument.has_default_value() else None


class UnknownCostError(Exception):
    """Raised by a rule where shapes do not tell what an operator costs; says why."""


OUTPUTS: dict[str, Callable[[Call], tuple[int, ...]]] = {}
"""Output shapes of operators for which PyTorch itself has none without computing."""


def output(name: str) -> Callable[[Callable[[Call], tuple[int, ...]]], Callable[[Call], tuple[int, ...]]]:
    """Make a function what tells an operator's output shape."""

    def register(function: Callable[[Call], tuple[int, ...]]) -> Callable[[Call], tuple[int, ...]]:
        OUTPUTS[name] = function
        return function

    return register


RULES: dict[str, list[tuple[Callable[[Call], bool] | None, Rule]]] = {}


def rule(*names: str, when: Callable[[Call], bool] | None = None) -> Callable[[R], R]:
    """Make a function the rule of operators; with `when`, of calls for which that holds."""

    def register(function: R) -> R:
        for name in names:
            RULES.setdefault(name, []).append((when, function))
        return function

    return register
