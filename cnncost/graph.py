"""A network as layers in execution order. No formula, no YAML, no analysis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cnncost.dims import Shape, noted, numel, reworded, shown
from cnncost.errors import ShapeError, SpecError, TooLargeError, Where
from cnncost.ops.base import Op
from cnncost.options import spelled

LAYERS_AT_MOST = 50_000
"""More layers than this is taken for a mistake: the deepest published networks have about 1,000."""


PRODUCT_AT_MOST = 2**63 - 1
AXES_AT_MOST = 12
"""The largest size of an output: an int64."""


class Node:
    """One layer: an op applied to the outputs of earlier layers.

    shares: the layer whose parameters this one uses again, or None where they are its own.
    """

    __slots__ = ("inputs", "name", "op", "shape", "shares", "where")

    def __init__(
        self,
        name: str,
        op: Op,
        inputs: tuple[str, ...],
        shape: Shape,
        *,
        where: Where | None = None,
        shares: str | None = None,
    ) -> None:
        self.name, self.op, self.inputs, self.shape, self.where, self.shares = name, op, inputs, shape, where, shares

    def __repr__(self) -> str:
        return f"Node({self.name!r}, {self.op!r}, {self.inputs!r} -> {shown(self.shape)})"


class Unused(NamedTuple):
    """What a traced model holds beside its layers' own: learned numbers, other numbers, and bytes of other kinds."""

    parameters: int = 0
    buffers: int = 0
    bytes: int = 0


class Called(NamedTuple):
    """What ran a layer of a traced model. operator: PyTorch's name of it. by: what called that.

    operator is "" for what is none: parameters, buffers, constants, and views that stand for what was written.
    by is "torch.nn.ReLU" and the like for a module without parts whose class is torch.nn's own, "module" for
    another module without parts, "model" for everything else. path: of the module that ran, "" for the model.
    """

    operator: str
    by: str
    path: str


@dataclass(frozen=True)
class Graph:
    """A network at given sizes: its inputs, and its layers in the order in which they run.

    name, about: for people. source: the file it came from. inputs: shapes by name, the batch
    first. nodes: layers; every input of a node is an input of the graph or an earlier node.
    facts: what was measured of it, error rates and training times (spec.claims.FACT). notes: what
    a reader of its counts must know, in sentences.

    Of a traced model: held, how long it kept what its layers made, in Python's variables too: for each
    layer that made a storage the last layer that ran before that went, None where it was still there
    in the end. None for a graph whose outputs go after their last use. unused: what no layer uses. called:
    what ran its layers. itemsizes: bytes of an element, of inputs and layers that are not of the network's
    dtype, as masks and indices. copied: layers that copied inputs while they ran, and which of them.
    """

    name: str
    inputs: dict[str, Shape]
    nodes: tuple[Node, ...]
    source: str | None = None
    about: dict[str, Any] = field(default_factory=dict)
    facts: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    held: dict[str, str | None] | None = None
    unused: Unused = field(default_factory=Unused)
    called: dict[str, Called] = field(default_factory=dict)
    itemsizes: dict[str, int] = field(default_factory=dict)
    copied: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def shapes(self) -> dict[str, Shape]:
        """Output shapes of the inputs and of every layer, by name."""
        return {**self.inputs, **{n.name: n.shape for n in self.nodes}}

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the layers that no other layer takes."""
        used = {name for node in self.nodes for name in node.inputs}
        return tuple(node.name for node in self.nodes if node.name not in used)

    @property
    def batch(self) -> Any:
        """Images in the (first) input; 1 where that is a number, or there is none, as models of PyTorch may have it."""
        first = next(iter(self.inputs.values()), ())
        return first[0] if first else 1


def _bounded(shape: Shape, what: str, hint: str) -> None:
    """Raise ShapeError for a tensor of too many axes, or of more elements than any count could hold."""
    if len(shape) > AXES_AT_MOST:
        raise ShapeError(f"an {what} of {len(shape)} axes", hint=f"at most {AXES_AT_MOST}, the batch one of them")
    elements = numel(shape)
    if type(elements) is int and elements > PRODUCT_AT_MOST:
        raise TooLargeError(f"the {what} {spelled(shown(shape))} has more than 2^63 elements", hint=hint)


class GraphBuilder:
    """Grows a graph layer by layer and knows every shape on the way; a bad layer is an error at its place."""

    def __init__(self) -> None:
        self.inputs: dict[str, Shape] = {}
        self.nodes: list[Node] = []
        self.shapes: dict[str, Shape] = {}
        self.known: dict[Any, Shape] = {}  # output shapes by op and input shapes: equal layers abound

    def add_input(self, name: str, shape: Shape) -> None:
        """Declare an input. Raises ShapeError where it is too large to count."""
        _bounded(shape, "input", "sizes are channels x height x width")
        self.inputs[name] = self.shapes[name] = shape

    def add(
        self, name: str, op: Op, inputs: tuple[str, ...], *, where: Where | None = None, shares: str | None = None
    ) -> Node:
        """Append a layer. Raises ShapeError where its inputs do not suit it."""
        shapes = tuple([self.shapes[i] for i in inputs])
        key: Any = (id(op), shapes)
        try:
            shape = self.known.get(key)
        except TypeError:  # arrays have no hash
            key = shape = None
        if shape is None:
            before = noted()
            shape = self._placed(op, inputs, shapes, where, name)
            if key is not None and noted() == before:
                self.known[key] = shape
            reworded(before, lambda at: self._placed(op.at(at), inputs, at(shapes), where, name))
        if len(self.nodes) >= LAYERS_AT_MOST:
            raise self._too_many(name, where)
        node = Node(name, op, inputs, shape, where=where, shares=shares)
        self.nodes.append(node)
        self.shapes[name] = shape
        return node

    def add_copy(self, node: Node, name: str, inputs: tuple[str, ...], shares: str | None) -> None:
        """Append a layer like an earlier one, on inputs of the same shapes."""
        if len(self.nodes) >= LAYERS_AT_MOST:
            raise self._too_many(name, node.where)
        self.nodes.append(Node(name, node.op, inputs, node.shape, where=node.where, shares=shares))
        self.shapes[name] = node.shape

    @staticmethod
    def _too_many(name: str, where: Where | None) -> SpecError:
        return SpecError(
            f"the network has more than {LAYERS_AT_MOST:,} layers",
            hint="look for a repeat that is too large, or blocks that multiply each other",
            where=where,
            layer=name,
        )

    def _placed(
        self, op: Op, inputs: tuple[str, ...], shapes: tuple[Shape, ...], where: Where | None, name: str
    ) -> Shape:
        """The output shape of a layer; an error is at its place."""
        try:
            return self._shape(op, inputs, shapes)
        except SpecError as e:
            e.where, e.layer = e.where or where, e.layer or name
            raise

    @staticmethod
    def _shape(op: Op, inputs: tuple[str, ...], shapes: tuple[Shape, ...]) -> Shape:
        """The output shape of an op, once the number of its inputs is right."""
        least, most = op.arity
        if len(shapes) < least or (most is not None and len(shapes) > most):
            wants = str(least) if least == most else f"at least {least}" if most is None else f"{least} to {most}"
            raise ShapeError(
                f"{op.key} takes {wants} input{'s' * (least != 1 or most is None)}, got {len(shapes)}: "
                f"{spelled(', '.join(inputs))}",
                hint=f"name them: {{{op.key}: [a, b]}}" if least > 1 else "join them first: add or concat",
            )
        shape = op.shape(*shapes)
        _bounded(shape, "output", "look for an op that grows its input again and again")
        return shape
