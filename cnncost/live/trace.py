"""Any PyTorch model as a graph: it runs once, on tensors that hold nothing."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_flatten, tree_map

from cnncost.dims import shown
from cnncost.errors import CnncostError, UsageError, one_line
from cnncost.graph import Graph
from cnncost.live.assemble import assemble
from cnncost.live.places import Places
from cnncost.live.preserve import preserved
from cnncost.live.recorder import Record, Recorder, RuleError, TraceError
from cnncost.ops.seen import Seen

POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def trace(
    model: torch.nn.Module,
    inputs: Any,
    *,
    train: bool = False,
    allow_unknown: bool = False,
    name: str | None = None,
    source: str | None = None,
) -> Graph:
    """The graph of one forward pass of a model: a node for every operator that PyTorch runs.

    inputs: a tensor, or a shape (a tuple of ints, the batch first); a list of these for several; a
    dict of them for inputs by name. train: as in training, with dropout and statistics of the batch.
    allow_unknown: operators without a rule count as nothing, and reports say so. name, source: what
    the graph is called, and what it came from. The model itself is not changed. Raises TraceError.
    """
    if not isinstance(model, torch.nn.Module):
        raise UsageError(f"a model is a torch.nn.Module, got {type(model).__name__}", hint="give an instance of it")
    model = uncompiled(model)
    complete(model)
    args, kwargs = arguments(model, inputs)
    places = Places(model)
    recorder = Recorder(model, places.here, allow_unknown=allow_unknown)
    with preserved(model, train), whole_operators(), FakeTensorMode(allow_non_fake_inputs=True):
        args, kwargs = entering(model, args, kwargs, recorder)
        if not recorder.records:
            raise UsageError("no tensor goes into the model", hint="write its shape, (1, 3, 224, 224)")
        with places.followed(), recorder:
            out = run_model(model, args, kwargs, places, went_in_whole(model, inputs, kwargs))
        recorder.finish()
    results = [recorder.read(t) for t in tensors(out)]
    if not results:
        raise TraceError("the model returns no tensor")
    return assemble(model, recorder.records, results, name or type(model).__name__, source)


def uncompiled(model: torch.nn.Module) -> torch.nn.Module:
    """The model that torch.compile was given, where this came out of it."""
    if type(model).__name__ == "OptimizedModule":  # naming the class would import the compiler
        return model._orig_mod  # type: ignore[return-value]
    return model


def complete(model: torch.nn.Module) -> None:
    """Raise UsageError where parameters have no sizes yet: lazy modules get theirs when they first run."""
    for name, module in model.named_modules():
        if any(map(is_lazy, (*module.parameters(False), *module.buffers(False)))):
            message = f"{name or 'the model'} ({type(module).__name__}) has parameters without sizes"
            raise UsageError(message, hint="call the model once, where it is built, on tensors of the right shapes")


@contextmanager
def whole_operators() -> Iterator[None]:
    """Below autograd, where operators such as linear are seen whole; there they would be seen in parts."""
    with unlogged(), torch.no_grad(), torch._C._AutoDispatchBelowAutograd():
        yield


@contextmanager
def unlogged() -> Iterator[None]:
    """Without PyTorch's log of fake tensors: it prints a traceback for every error, which is told in one line here."""
    log = logging.getLogger(FakeTensorMode.__module__)
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


def run_model(
    model: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], places: Places, hint: str | None = None
) -> Any:
    """The forward pass. Whatever it raises becomes one error that names the module and its shapes."""
    try:
        return model(*args, **kwargs)
    except (DataDependentOutputException, DynamicOutputShapeException) as e:
        name = str(e.func).removesuffix(".default")
        said = " (a tensor as a Python number or condition)" if name == "aten._local_scalar_dense" else ""
        message = f"{name}{said} depends on the data, and nothing is computed"
        raise located(message, places, e, "give the part of the model whose sizes are known") from e
    except CnncostError as e:
        raise located(e.message, places, e, e.hint) from e
    except RuleError:
        raise
    except Exception as e:
        raise located(f"forward raises {one_line(e)}", places, e, hint) from e


def located(message: str, places: Places, error: Exception, hint: str | None = None) -> TraceError:
    """An error with the module that ran and the shapes that it was given."""
    ran = places.of(error)
    if ran is not None:
        given = f" of {' and '.join(shown(s) for s in ran.shapes)}" if ran.shapes else ""
        message += f" (in {ran.path or 'the model'}, {type(ran.module).__name__}{given})"
    return TraceError(message, hint=hint)


def tensors(value: Any) -> list[torch.Tensor]:
    """All tensors in a nest of containers, dataclasses and objects of a few attributes."""
    found: list[torch.Tensor] = []
    for leaf in tree_flatten(value)[0]:
        if isinstance(leaf, torch.Tensor):
            found.append(leaf)
        elif hasattr(leaf, "__dataclass_fields__") or (isinstance(leaf, Mapping)):
            items = leaf.values() if isinstance(leaf, Mapping) else vars(leaf).values()
            found += [t for item in items for t in tensors(item)]
    return found


# ---- inputs ---------------------------------------------------------------------------------------


def is_shape(value: Any) -> bool:
    """Whether this stands for a tensor: sizes in a tuple or list."""
    return isinstance(value, (tuple, list)) and bool(value) and all(type(n) is int for n in value)


def dtype_of(model: torch.nn.Module) -> torch.dtype:
    """The dtype that a shape stands for as an input: that of the model's first parameter of fractions."""
    return next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.get_default_dtype())


def arguments(model: torch.nn.Module, inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What forward is called with. Raises UsageError where its parameters do not take that."""
    parameters = parameters_of(model)
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    if isinstance(inputs, Mapping) and _takes(parameters, inputs):
        kwargs = dict(inputs)
    elif isinstance(inputs, (torch.Tensor, Mapping)) or is_shape(inputs):
        args = (inputs,)
    elif isinstance(inputs, (tuple, list)):
        args = tuple(inputs)
    else:
        raise UsageError(f"inputs are tensors or shapes, got {inputs!r}", hint="write (1, 3, 224, 224)")
    try:
        inspect.Signature(parameters).bind(*args, **kwargs)
    except TypeError as e:
        names = [p.name for p in parameters if p.default is p.empty and p.kind in POSITIONAL]
        hint = f"its inputs are {', '.join(names)}: write --input {names[0]}=3x224x224 for each" if names else None
        raise UsageError(f"{type(model).__name__}.forward: {e}", hint=hint) from None
    return args, kwargs


def went_in_whole(model: torch.nn.Module, inputs: Any, kwargs: Mapping[str, Any]) -> str | None:
    """A hint where forward was given inputs by name as one dict, for they are not all parameters of it."""
    if kwargs or not isinstance(inputs, Mapping):
        return None
    names = ", ".join(p.name for p in parameters_of(model))
    return f"forward takes {names}: {', '.join(map(str, inputs))} went in as one dict"


def parameters_of(model: torch.nn.Module) -> list[inspect.Parameter]:
    """The parameters of forward; any, where it does not tell them."""
    try:
        return list(inspect.signature(model.forward).parameters.values())
    except (TypeError, ValueError):
        return [inspect.Parameter("inputs", inspect.Parameter.VAR_POSITIONAL)]


def _takes(parameters: list[inspect.Parameter], inputs: Mapping[Any, Any]) -> bool:
    """Whether all keys are parameters of forward."""
    names = {p.name for p in parameters}
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters)
    return all(isinstance(key, str) and (anything or key in names) for key in inputs)


def entering(
    model: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], recorder: Recorder
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments as fakes, each the graph's input of its name."""
    dtype = dtype_of(model)
    names = [p.name for p in parameters_of(model) if p.kind in POSITIONAL]
    taken: list[str] = []

    def one(name: str, value: Any) -> Any:
        if not isinstance(value, torch.Tensor) and not is_shape(value):
            return value
        shape, kind = (value.shape, value.dtype) if isinstance(value, torch.Tensor) else (value, dtype)
        if any(n < 1 for n in shape):
            raise UsageError(f"input {name} of {shown(shape)}: sizes are at least 1", hint="write (1, 3, 224, 224)")
        fake = torch.empty(tuple(shape), dtype=kind)
        unique = name if name not in taken else f"{name}_{taken.count(name) + 1}"
        taken.append(name)
        record = Record(Seen("input", tuple(shape)), (), tuple(shape), recorder.place(), name=unique)
        recorder.records.append(record)
        recorder.bind(fake, record)
        return fake

    def nested(name: str, value: Any) -> Any:
        return tree_map(lambda leaf: one(name, leaf), value, is_leaf=is_shape)

    positional = [*names, *(f"input{i}" for i in range(len(names), len(args)))]
    faked = tuple(nested(name, value) for name, value in zip(positional, args))
    return faked, {name: nested(name, value) for name, value in kwargs.items()}
