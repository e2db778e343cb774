"""An ONNX file read: its graph at fixed sizes, the shapes that onnx infers, constants."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from cnncost.dims import Shape
from cnncost.errors import UsageError, did_you_mean
from cnncost.options import printable

VALUES_AT_MOST = 65_536
"""Elements of a constant whose values are looked at: sizes, bounds, scale factors."""
CUT = "is no ONNX file, or one that is cut short"


class Model(NamedTuple):
    """A file, the shapes of its inputs with the batch, and those that onnx infers of other tensors."""

    path: str
    proto: Any
    inputs: dict[str, Shape]
    inferred: dict[str, Shape]


class Constant:
    """A tensor that does not depend on the input: its shape, and its values where they are known and few.

    computed: whether the file has it only as nodes that compute it.
    """

    def __init__(self, shape: Shape, value: Any = None, proto: Any = None, computed: bool = False) -> None:
        self.shape, self.computed, self._value, self._proto = shape, computed, value, proto

    @property
    def value(self) -> Any:
        """A NumPy array, or None."""
        if self._value is None and self._proto is not None:
            from onnx import TensorProto, numpy_helper

            if _size(self.shape) <= VALUES_AT_MOST and self._proto.data_location != TensorProto.EXTERNAL:
                try:
                    self._value = numpy_helper.to_array(self._proto)
                except (KeyError, TypeError, ValueError):
                    name = printable(self._proto.name or "a constant")
                    raise UsageError(f"the values of {name} do not fit its shape", hint="export it again") from None
        return self._value


def _size(shape: Shape) -> int:
    from math import prod

    return prod(int(n) for n in shape)


def read_model(path: str, input: Any, batch: int | None) -> Model:
    """Read a file and fix the sizes of its inputs. Raises UsageError."""
    proto = _read(path)
    held = {tensor.name for tensor in proto.graph.initializer}
    declared = {value.name: _declared(value, path) for value in proto.graph.input if value.name not in held}
    if not declared:
        raise UsageError(f"{printable(path)} has no input", hint="export it with its input left open")
    inputs = _sizes(path, declared, input, batch)
    return Model(path, proto, inputs, _inferred(path, proto, inputs))


def _read(path: str) -> Any:
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        raise UsageError("onnx is not installed", hint="pip install 'cnncost[onnx]'") from None
    try:
        proto = onnx.load(os.fspath(path), load_external_data=False)
    except OSError as e:
        raise UsageError(f"{printable(path)}: {e.strerror or e}", hint="give a file that can be read") from None
    except DecodeError:
        raise UsageError(f"{printable(path)} {CUT}", hint="export it again") from None
    made = {name for node in proto.graph.node for name in node.output}
    made |= {value.name for value in [*proto.graph.input, *proto.graph.initializer]}
    whole = proto.graph.node and proto.opset_import and all(value.name in made for value in proto.graph.output)
    if not whole or not all(isinstance(text, str) for text in _texts(proto)):
        raise UsageError(f"{printable(path)} {CUT}", hint="export it again")
    return proto


def _texts(proto: Any) -> Iterator[Any]:
    """All names in a file: what is no UTF-8 comes as bytes."""
    graph = proto.graph
    yield from (opset.domain for opset in proto.opset_import)
    for node in graph.node:
        yield from (node.op_type, node.domain, node.name, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
    yield from (held.name for held in [*graph.initializer, *graph.input, *graph.output])


def _declared(value: Any, path: str) -> tuple[int | str | None, ...]:
    """Sizes of an input as the file has them: a number, the name of one that is open, or None."""
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type" or not value.type.tensor_type.HasField("shape"):
        hint = "export it with an input of fixed axes"
        raise UsageError(f"{printable(path)}: input {printable(value.name)} is no tensor of known axes", hint=hint)
    return tuple(d.dim_value or d.dim_param or None for d in value.type.tensor_type.shape.dim)


def _sizes(path: str, declared: Mapping[str, Any], given: Any, batch: int | None) -> dict[str, Shape]:
    """Shapes of the inputs: as given, else as declared; the batch is the one asked for, the file's, or 1."""
    from cnncost.spec.names import parse_shape

    if given is None:
        given = {}
    elif not isinstance(given, Mapping):
        given = {next(iter(declared)): given}
    for name in given:
        if name not in declared:
            raise UsageError(f"{printable(path)} has no input {printable(name)}", hint=did_you_mean(name, declared))
    shapes: dict[str, Shape] = {}
    for name, sizes in declared.items():
        first = sizes[0] if sizes and isinstance(sizes[0], int) else 1
        own = parse_shape(given[name]) if name in given else sizes[1:]
        said = "x".join(str(n or "?") for n in sizes)
        if len(own) != len(sizes) - 1:
            hint = "leave the batch out, and give every other size"
            raise UsageError(
                f"input {printable(name)} has the sizes {said}, of which the first is the batch", hint=hint
            )
        if not all(isinstance(n, int) for n in own):
            hint = f"write --input {name}=3x224x224" if len(declared) > 1 else "write --input 3x224x224"
            raise UsageError(f"{printable(path)}: input {printable(name)} has open sizes, {said}", hint=hint)
        shapes[name] = (first if batch is None else batch, *own)
    return shapes


def _inferred(path: str, proto: Any, inputs: Mapping[str, Shape]) -> dict[str, Shape]:
    """What onnx's own inference says of the shapes of all tensors at these inputs."""
    import onnx

    fixed = onnx.ModelProto()
    fixed.CopyFrom(proto)
    del fixed.graph.value_info[:]
    for value in fixed.graph.output:
        value.type.tensor_type.ClearField("shape")
    for value in fixed.graph.input:
        for dim, n in zip(value.type.tensor_type.shape.dim, inputs.get(value.name, ())):
            dim.dim_value = int(n)
    try:
        graph = onnx.shape_inference.infer_shapes(fixed, data_prop=True).graph
    except (ValueError, RuntimeError, onnx.shape_inference.InferenceError) as e:
        line = str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__
        raise UsageError(f"{printable(path)}: {printable(line)}", hint="is --input right for this model?") from None
    shapes = {}
    for value in [*graph.value_info, *graph.output]:
        dims = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(d.HasField("dim_value") for d in dims):
            shapes[value.name] = tuple(d.dim_value for d in dims)
    return shapes
