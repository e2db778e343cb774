"""Which network is meant: a graph, a spec, an ONNX file, a PyTorch model or its name; at which sizes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import cache
from os import PathLike
from typing import TYPE_CHECKING, Any, Union

from cnncost.errors import UsageError
from cnncost.graph import Graph
from cnncost.onnx import is_onnx
from cnncost.spec import document_of, expanded, load
from cnncost.spec.models import ModelName, is_model

if TYPE_CHECKING:
    from cnncost.spec.document import Document

Spec = Union[str, PathLike[str]]
Model = Any
"""A torch.nn.Module, which cannot be named here without importing torch."""


def graph_for(
    network: Graph | Spec | Model,
    inputs: Any,
    input: Any,
    batch: Any,
    set: Mapping[str, Any] | None,
    train: bool = False,
) -> Graph:
    """The graph of whatever a network may be; inputs go with a torch.nn.Module."""
    if not is_module(network):
        if inputs is not None:
            raise UsageError("inputs go with a torch.nn.Module", hint="give a network of another kind input=")
        return graph_of(network, input, batch, set)
    if inputs is None or input is not None or batch is not None or set:
        raise UsageError(
            "a torch.nn.Module needs its inputs, and nothing else",
            hint="write analyze(model, torch.empty(1, 3, 224, 224))",
        )
    return trace(network, inputs, train=train)


def is_module(network: Any) -> bool:
    """Whether this is a torch.nn.Module, without importing torch to know."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(network, torch.nn.Module)


def trace(
    model: Model, inputs: Any, *, train: bool = False, allow_unknown: bool = False, name: str | None = None
) -> Graph:
    """The graph of a torch.nn.Module: a node for every operator that its forward pass runs.

    inputs: a tensor, or a shape with the batch first; a list of these for several; a dict of them
    for inputs by name. Nothing is computed, and the model is left as it was. train: as in training,
    with dropout. allow_unknown: operators without a rule count as nothing, and reports say so. name:
    what the graph is called. Raises UsageError.
    """
    from cnncost.live.trace import trace as trace_model

    return trace_model(model, inputs, train=train, allow_unknown=allow_unknown, name=name)


def graph_of(
    network: Graph | Spec, input: Any = None, batch: Any = None, set: Mapping[str, Any] | None = None
) -> Graph:
    """A graph as it is; a spec, an ONNX file, or a model by its name, at these sizes."""
    if is_onnx(network):
        from cnncost.onnx.load import load_onnx

        return load_onnx(network, input, batch, set)
    if is_model(network):
        return _traced(network, input, 1 if batch is None else batch, set)
    if not isinstance(network, Graph):
        return load(network, input=input, batch=1 if batch is None else batch, set=set)
    if input is not None or batch is not None or set:
        raise UsageError("a graph has its input, batch and parameters", hint="give them to cnncost.load()")
    return network


def graph_and_document(
    network: Spec, input: Any = None, batch: Any = None, set: Mapping[str, Any] | None = None
) -> tuple[Graph, Document | None]:
    """A network by its name, and the spec that it is from, read once; None for what is no spec."""
    if is_model(network) or is_onnx(network):
        return graph_of(network, input, batch, set), None
    found: list[Document] = []

    def read() -> Document:
        found.append(document_of(network))
        return found[0]

    return expanded(read, input, 1 if batch is None else batch, set), found[0]


def resizable(network: Spec, set: Mapping[str, Any] | None = None) -> Callable[[Any, Any], Graph]:
    """The graph of a network at an input and a batch, again and again: a spec is read once."""
    if is_onnx(network) or is_model(network):
        return lambda input, batch: graph_of(network, input, batch, set)
    read = cache(lambda: document_of(network))
    return lambda input, batch: expanded(read, input, 1 if batch is None else batch, set)


def _traced(name: Any, input: Any, batch: int, set: Mapping[str, Any] | None) -> Graph:
    """The graph of a PyTorch model by its name."""
    from cnncost.live.models import traced

    asked, shapes = asked_of(name, input, batch, set)
    options = {"train": asked.train, "allow_unknown": asked.allow_unknown}
    return traced(str(name), shapes, batch, asked.arguments, **options)


def asked_of(name: str, input: Any, batch: Any, set: Mapping[str, Any] | None) -> tuple[ModelName, Any]:
    """A PyTorch model's name with what is asked of it, and the shapes of its inputs without the batch, or None."""
    from cnncost.spec.names import parse_shape

    if set:
        raise UsageError("a PyTorch model declares no parameters", hint="its arguments are given with --arg name=value")
    if type(batch) is not int or batch < 1:
        raise UsageError(f"batch must be a whole number of at least 1, got {batch}", hint="give the number of images")
    shapes = {n: parse_shape(s) for n, s in input.items()} if isinstance(input, Mapping) else input
    if shapes is not None and shapes is input:
        shapes = parse_shape(input)
    return name if isinstance(name, ModelName) else ModelName(name), shapes


def as_trained(network: Any, train: bool) -> Any:
    """The same network; of a PyTorch model's name, as in training."""
    if not train or not is_model(network):
        return network
    return ModelName(network, **{**(vars(network) if isinstance(network, ModelName) else {}), "train": True})
