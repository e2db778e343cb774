"""A model by its name: "torchvision:resnet50", "timm:convnext_tiny", "package.module:attr", "file.py:Attr"."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import contextmanager, redirect_stdout
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch.overrides import TorchFunctionMode

from cnncost.errors import UsageError, did_you_mean, one_line
from cnncost.graph import Graph
from cnncost.live.trace import trace

FRAMES = 16
"""Frames of a clip, for torchvision's video models, where nothing else is given."""
IMAGE = 224
SEGMENTED = 520
"""Height and width that torchvision's segmentation models are evaluated at."""


class Model(NamedTuple):
    """A model, what it is called, and the shape of its input without the batch, where that is known."""

    module: torch.nn.Module
    name: str
    input: tuple[int, ...] | None


def traced(
    reference: str,
    inputs: Any = None,
    batch: int = 1,
    arguments: Mapping[str, Any] | None = None,
    *,
    train: bool = False,
    allow_unknown: bool = False,
) -> Graph:
    """The graph of a model by its name.

    inputs: a shape without the batch, or shapes by name; by default the model's own. arguments: what
    its constructor is called with. train, allow_unknown: as in trace(). Raises UsageError.
    """
    model, shapes = sized(reference, inputs, batch, arguments or {})
    with printing_aside():
        return trace(model.module, shapes, train=train, allow_unknown=allow_unknown, name=model.name, source=reference)


def sized(reference: str, inputs: Any, batch: int, arguments: Mapping[str, Any]) -> tuple[Model, Any]:
    """The model of a reference, and the shapes of its inputs with the batch. Raises UsageError."""
    model = find(reference, arguments)
    given = model.input if inputs is None else inputs
    if given is None:
        raise UsageError(f"{reference} does not say what its input is", hint="write --input 3x224x224")
    if isinstance(given, Mapping):
        return model, {name: (batch, *shape) for name, shape in given.items()}
    return model, (batch, *given)


def printing_aside() -> redirect_stdout[Any]:
    """What a model prints goes to standard error: standard output is for what was asked of it, JSON or a spec."""
    return redirect_stdout(sys.stderr)


def find(reference: str, arguments: Mapping[str, Any]) -> Model:
    """The model of a reference, without memory for its weights where that can be. Raises UsageError."""
    with printing_aside():
        return _found(reference, arguments)


def _found(reference: str, arguments: Mapping[str, Any]) -> Model:
    place, _, attribute = reference.rpartition(":")
    if place == "torchvision":
        return _torchvision(attribute, arguments)
    if place == "timm":
        return _timm(attribute, arguments)
    if not attribute:
        raise UsageError(f"{reference} names no model in {place}", hint=f"write {place}:Attribute")
    module = _file(place) if place.endswith(".py") else _module(place)
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise UsageError(f"{place} has no {part}", hint=did_you_mean(part, _models_in(found)))
        found = getattr(found, part)
    made = found if isinstance(found, torch.nn.Module) else _made(found, arguments, reference)
    return Model(made, type(made).__name__, _own_input(made))


# ---- libraries ------------------------------------------------------------------------------------


def _torchvision(name: str, arguments: Mapping[str, Any]) -> Model:
    from cnncost.live import vision

    models = _installed("torchvision", vision.models)
    if name not in models.list_models():
        raise UsageError(f"torchvision has no model {name}", hint=did_you_mean(name, models.list_models()))
    build = models.get_model_builder(name)
    weightless = dict.fromkeys({"weights", "weights_backbone"} & inspect.signature(build).parameters.keys())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about weights, which nothing is computed with
        made = _made(build, {**weightless, **arguments}, f"torchvision:{name}")
    return Model(made, name, _evaluated_at(models, name, made))


def _evaluated_at(models: ModuleType, name: str, made: torch.nn.Module) -> tuple[int, ...]:
    """The input at which torchvision evaluates its weights, unless the model is made for another size."""
    weights = list(models.get_model_weights(name))
    options = getattr(weights[-1].transforms, "keywords", {}) if weights else {}
    size = options.get("crop_size") or (SEGMENTED if "segmentation" in type(made).__module__ else IMAGE)
    size = getattr(made, "image_size", size)
    sides = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    return (3, FRAMES, *sides) if ".video" in type(made).__module__ else (3, *sides)


def _timm(name: str, arguments: Mapping[str, Any]) -> Model:
    from cnncost.live import vision

    _installed("torchvision", vision.models)
    timm = _installed("timm", lambda: importlib.import_module("timm"))
    if not timm.is_model(name):
        raise UsageError(f"timm has no model {name}", hint=did_you_mean(name, timm.list_models()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = _made(lambda **options: timm.create_model(name, **options), arguments, f"timm:{name}")
    return Model(made, name, _own_input(made))


def _installed(package: str, load: Callable[[], Any]) -> Any:
    """A library. Raises UsageError where it is not installed, or does not load."""
    try:
        return load()
    except ImportError as e:
        hint = f"pip install {package}" if getattr(e, "name", None) == package else "--debug shows where"
        raise UsageError(f"{package} cannot be imported: {one_line(e)}", hint=hint) from e
    except Exception as e:
        hint = "--debug shows where; are torch and torchvision built for each other?"
        raise UsageError(f"{package} cannot be imported: {one_line(e)}", hint=hint) from e


class Weightless(TorchFunctionMode):
    """Makes tensors that wait for values, as layers make their weights, on the meta device.

    Others stay where they are: constructors look at ranges and at zeros, not at what is still empty.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (torch.empty, torch.rand, torch.randn) and kwargs.get("device") is None:
            kwargs = {**kwargs, "device": "meta"}
        return func(*args, **kwargs)


# ---- the user's own -------------------------------------------------------------------------------


def _module(name: str) -> ModuleType:
    """A module by its dotted name; the current folder is searched first, as python -m does."""
    with _searched(os.getcwd()):
        module: ModuleType = _run(name, lambda: importlib.import_module(name))
        return module


def _file(path: str) -> ModuleType:
    """A file as a module; files beside it can be imported from it, as when it is run."""
    if not os.path.isfile(path):
        raise UsageError(f"{path}: no such file", hint="write path/to/file.py:Attribute")
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None, f"{path} ends in .py"
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module  # dataclasses and pickles look there
    try:
        with _searched(os.path.dirname(os.path.abspath(path))):
            _run(path, lambda: spec.loader.exec_module(module))  # type: ignore[union-attr]
    finally:
        if before is not None:
            sys.modules[name] = before
    return module


def _models_in(space: Any) -> list[str]:
    """Names of what may be a model, or make one: modules, their classes, functions; those of the place itself first."""
    names = {
        name: getattr(value, "__module__", None) == getattr(space, "__name__", None)
        for name, value in vars(space).items()
        if not name.startswith("_") and callable(value)
    }
    return sorted(names, key=lambda name: not names[name])


@contextmanager
def _searched(folder: str) -> Any:
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def _run(what: str, load: Callable[[], Any]) -> Any:
    """What an import gives. Raises UsageError with the import's own error in a line."""
    try:
        return load()
    except SystemExit as e:
        hint = "what runs as a script stands behind `if __name__ == '__main__':`"
        raise UsageError(f"{what} cannot be imported: it exits ({e.code})", hint=hint) from e
    except Exception as e:
        raise UsageError(f"{what} cannot be imported: {one_line(e)}", hint="--debug shows where") from e


def _made(build: Any, arguments: Mapping[str, Any], reference: str) -> torch.nn.Module:
    """What a class or a function builds: with weights on the meta device, which take no memory, or else as it is."""
    if not callable(build):
        message = f"{reference} is no model but a value of type {type(build).__name__}"
        raise UsageError(message, hint="name a module, class or function")
    try:
        with Weightless():
            made = build(**arguments)
    except (Exception, SystemExit):
        made = _really_made(build, arguments, reference)
    if isinstance(made, torch.nn.Module):
        return made
    raise UsageError(f"{reference} gives a {type(made).__name__}, not a torch.nn.Module")


def _really_made(build: Any, arguments: Mapping[str, Any], reference: str) -> Any:
    """The same with weights: constructors that look at values cannot do without."""
    try:
        return build(**arguments)
    except SystemExit as e:
        raise UsageError(f"{reference} cannot be built: it exits ({e.code})") from e
    except Exception as e:
        hint = "give its arguments with --arg name=value" if isinstance(e, TypeError) else "--debug shows where"
        raise UsageError(f"{reference} cannot be built: {one_line(e)}", hint=hint) from e


def _own_input(model: torch.nn.Module) -> tuple[int, ...] | None:
    """The input that a model names itself: timm's default_cfg, Lightning's example_input_array."""
    config = getattr(model, "default_cfg", None) or getattr(model, "pretrained_cfg", None)
    if isinstance(config, Mapping) and config.get("input_size"):
        return tuple(config["input_size"])
    example = getattr(model, "example_input_array", None)
    return tuple(example.shape[1:]) if isinstance(example, torch.Tensor) else None
