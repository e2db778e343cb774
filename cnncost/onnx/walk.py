"""The nodes of an ONNX file in order, each as layers of a graph. What only computes sizes is computed, and no layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from cnncost.dims import Shape, shown
from cnncost.errors import ShapeError, UsageError
from cnncost.graph import Graph, GraphBuilder
from cnncost.onnx.file import VALUES_AT_MOST, Constant, Model
from cnncost.onnx.fuse import Fusion
from cnncost.onnx.names import paths, snake
from cnncost.ops import Op
from cnncost.options import printable

PASSED_ON = ("Identity", "Cast", "CastLike", "Optional", "OptionalGetElement")
"""Operators whose output is their input, for what is counted here."""
SIZES = ("Shape", "Size")
OWN = ("", "ai.onnx")
"""Names of the domain of ONNX's own operators."""


class Call:
    """One node: its attributes, inputs and output shapes, as the rules of operators see it."""

    def __init__(self, walk: Walk, node: Any, path: str) -> None:
        from onnx.helper import get_attribute_value

        self.walk, self.node, self.path = walk, node, path
        self.attributes = {a.name: _text(get_attribute_value(a)) for a in node.attribute}
        self.names = list(node.input)
        while self.names and not self.names[-1]:
            self.names.pop()

    def __getitem__(self, name: str) -> Any:
        if name not in self.attributes:
            raise self.fault(f"without {name}")
        return self.attributes[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self.attributes.get(name, default)

    def has(self, i: int) -> bool:
        """Whether an input is given."""
        return i < len(self.names) and bool(self.names[i])

    def constant(self, i: int) -> Constant | None:
        """Input i where it does not depend on the network's input."""
        return self.walk.constants.get(self.names[i]) if self.has(i) else None

    def values(self, i: int, name: str | None = None) -> list[Any] | None:
        """Numbers of an attribute, where the node has it, or of the constant input i; None where neither is there."""
        if name in self.attributes:
            found = self.attributes[name]
            return list(found) if isinstance(found, (list, tuple)) else [found]
        if not self.has(i):
            return None
        constant = self.constant(i)
        if constant is None or constant.value is None:
            raise self.fault(f"its input {printable(self.names[i])} is no constant")
        return list(constant.value.reshape(-1).tolist())

    def neutral(self, i: int, number: int) -> bool:
        """Whether input i is nothing that was learned: exporters make ones and zeros up where a model has none."""
        constant = self.constant(i)
        made = constant is not None and constant.computed and constant.value is not None
        return bool(made and (constant.value == number).all())  # type: ignore[union-attr]

    def bias(self, i: int) -> bool:
        """Whether input i is a bias."""
        return self.has(i) and not self.neutral(i, 0)

    def affine(self) -> bool:
        """Whether a norm's scale and shift are learned."""
        return not (self.neutral(1, 1) and (not self.has(2) or self.neutral(2, 0)))

    def weight(self, i: int) -> Shape:
        """The shape of input i, which must be a constant."""
        constant = self.constant(i)
        if constant is None:
            raise self.fault(f"its input {printable(self.names[i]) if self.has(i) else i} is no constant")
        return constant.shape

    @property
    def layers(self) -> list[str]:
        """The layers that are its inputs."""
        return [self.walk.tensors[name] for name in self.names if name in self.walk.tensors]

    @property
    def x(self) -> Shape:
        """The shape of its first input that is a layer."""
        return self.walk.builder.shapes[self.layers[0]]

    def shape(self, i: int) -> Shape:
        """The shape of input i, a layer or a constant."""
        name = self.names[i]
        return self.walk.builder.shapes[self.walk.tensors[name]] if name in self.walk.tensors else self.weight(i)

    def inferred(self, i: int = 0) -> Shape | None:
        """What onnx infers of output i."""
        return self.walk.model.inferred.get(self.node.output[i])

    @property
    def y(self) -> Shape:
        """The same for the first output, which must be known."""
        shape = self.inferred()
        if shape is None:
            raise self.fault("onnx does not know its output's shape")
        return shape

    def add(self, op: Op, *inputs: str, owner: str | None = None) -> str:
        """A layer on inputs, by default the first; returns its name. owner: what names its parameters."""
        return self.walk.add(self, op, inputs or tuple(self.layers[:1]), owner)

    def fault(self, message: str, hint: str | None = None) -> UsageError:
        """An error about this node."""
        named = f"node {printable(self.node.name or self.path)}"
        return UsageError(f"{printable(self.walk.model.path)}: {self.node.op_type} ({named}): {message}", hint=hint)


Rule = Callable[[Call], Any]


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


class Walk:
    """Grows the graph of a model. tensors: layers by the names of tensors; constants: other tensors."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.builder = GraphBuilder()
        self.tensors: dict[str, str] = {}
        self.constants = {
            tensor.name: Constant(tuple(tensor.dims), proto=tensor) for tensor in model.proto.graph.initializer
        }
        self.owners: dict[str, str] = {}  # the first layer with each weight
        self.taken: Counter[str] = Counter()
        self.opset = max((o.version for o in model.proto.opset_import if o.domain in OWN), default=0)

    def graph(self) -> Graph:
        """The whole graph."""
        for name, shape in self.model.inputs.items():
            self.builder.add_input(name, shape)
            self.tensors[name] = name
            self.taken[name] += 1
        graph = self.model.proto.graph
        nodes = [node for node in graph.node if not self.fold(node)]
        self.check(nodes)
        nodes = Fusion(nodes, self.constants, [value.name for value in graph.output]).fused()
        for node, path in zip(nodes, paths(nodes, set(self.constants))):
            self.layer(Call(self, node, path))
        if not self.builder.nodes:
            raise UsageError(f"{printable(self.model.path)} has no layers", hint="nothing in it depends on an input")
        name = self.model.path.rsplit("/", 1)[-1].rsplit(".", 1)[0]
        return Graph(printable(name), self.builder.inputs, tuple(self.builder.nodes), self.model.path)

    # ---- constants ----------------------------------------------------------------------------

    def fold(self, node: Any) -> bool:
        """Note the outputs of a node that depends on no input's values; False where it is a layer."""
        if node.op_type == "Constant":
            from onnx.helper import get_attribute_value

            held = get_attribute_value(node.attribute[0])
            if hasattr(held, "dims"):
                self.constants[node.output[0]] = Constant(tuple(held.dims), proto=held, computed=True)
                return True
        used = list(node.input[:1] if node.op_type == "CastLike" else node.input)  # of the other only the type
        if not all(not name or name in self.constants for name in used):
            return False
        if node.op_type in SIZES:
            self.size(node, self.constants[used[0]].shape)
            return True
        if node.op_type in PASSED_ON:
            held = self.constants[used[0]]
            self.constants[node.output[0]] = Constant(held.shape, held.value, computed=held.computed)
            return True
        return self.compute(node, [self.constants[name].value if name else None for name in used])

    def compute(self, node: Any, values: Sequence[Any]) -> bool:
        """Compute a node of constants, or note its shape alone where values are not known."""
        from onnx.reference import ReferenceEvaluator

        shapes = [self.model.inferred.get(name) for name in node.output]
        few = all(shape is None or len(shape) == 0 or max(shape) <= VALUES_AT_MOST for shape in shapes)
        if few and all(value is not None for name, value in zip(node.input, values) if name):
            given = {name: value for name, value in zip(node.input, values) if name}
            opsets = {opset.domain: opset.version for opset in self.model.proto.opset_import}
            try:
                results = ReferenceEvaluator(node, opsets=opsets).run(None, given)
            except Exception:  # an operator that the evaluator lacks, or cannot run alone
                results = []
            for name, value in zip(node.output, results):
                self.constants[name] = Constant(tuple(value.shape), value, computed=True)
            if results:
                return True
        if any(shape is None for shape in shapes):
            return False
        for name, shape in zip(node.output, shapes):
            self.constants[name] = Constant(shape or (), computed=True)
        return True

    # ---- layers -------------------------------------------------------------------------------

    def layer(self, call: Call) -> None:
        """Add what a node computes, and name its outputs."""
        node = call.node
        if all(not name or name in self.constants for name in node.input) and self.fold(node):
            return  # of sizes that were not known before
        for name in node.input:
            if name and name not in self.tensors and name not in self.constants:
                raise call.fault(f"its input {printable(name)} comes from nowhere", "is the file cut short?")
        if node.op_type in SIZES:
            self.size(node, call.x)
            return
        if node.op_type in PASSED_ON:
            self.tensors[node.output[0]] = call.layers[0]
            return
        rule = self.rule(node)
        if rule is None:
            domain = f" of {printable(node.domain)}" if node.domain not in OWN else ""
            raise call.fault(f"an operator{domain} that is not known here", "cnncost counts no operator by guessing")
        made = self.apply(rule, call)
        outputs = made if isinstance(made, list) else [made]
        for i, (name, layer) in enumerate(zip(node.output, outputs)):
            self.tensors[name] = layer
            self.compare(call, i, layer)
        unknown = [name for name in node.output[len(outputs) :] if name and self.used(name)]
        if unknown:
            raise call.fault(f"its output {printable(unknown[0])} is used, and not known here")

    @staticmethod
    def apply(rule: Rule, call: Call) -> Any:
        """What a rule makes of a node. Raises UsageError where the node contradicts itself."""
        try:
            return rule(call)
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as e:
            raise call.fault("its attributes and inputs do not fit each other", "--debug shows where") from e

    def check(self, nodes: Sequence[Any]) -> None:
        """Raise UsageError where onnx's checker has something against a node that is known here."""
        from onnx import checker

        context = checker.C.CheckerContext()
        context.ir_version = self.model.proto.ir_version
        context.opset_imports = {opset.domain: opset.version for opset in self.model.proto.opset_import}
        for node in nodes:
            if self.rule(node) is not None:
                try:
                    checker.check_node(node, context)
                except checker.ValidationError as e:
                    message = printable(str(e).strip().splitlines()[0])
                    raise Call(self, node, snake(node.op_type)).fault(message, "export it again") from None

    @staticmethod
    def rule(node: Any) -> Rule | None:
        """The rule of a node's operator; None where there is none."""
        from cnncost.onnx.operators import RULES

        return RULES.get(node.op_type) if node.domain in OWN else None

    def used(self, name: str) -> bool:
        return any(name in node.input for node in self.model.proto.graph.node)

    def compare(self, call: Call, i: int, layer: str) -> None:
        """Raise ShapeError where onnx's inference and the layer's own formula differ."""
        inferred, own = call.inferred(i), self.builder.shapes[layer]
        if inferred is not None and inferred != own:
            message = f"{call.node.op_type} gives {shown(inferred)} by onnx and {shown(own)} by the layer's formula"
            raise ShapeError(message, layer=layer, hint="please report it with the file")

    def size(self, node: Any, of: Shape) -> None:
        """Shape and Size: numbers, now that sizes are fixed."""
        import numpy as np

        options = {attribute.name: attribute.i for attribute in node.attribute}
        value = np.array(of, np.int64)
        value = value.prod() if node.op_type == "Size" else value[slice(options.get("start", 0), options.get("end"))]
        self.constants[node.output[0]] = Constant(tuple(value.shape), value, computed=True)

    def add(self, call: Call, op: Op, inputs: Sequence[str], weight: str | None) -> str:
        """A layer named after a call's node; of an earlier layer's weight, one that shares it."""
        n = self.taken[call.path]
        name = call.path if not n else f"{call.path}_{n + 1}"
        while name in self.builder.shapes:
            n += 1
            name = f"{call.path}_{n + 1}"
        self.taken[call.path] = n + 1
        shares = self.owners.get(weight) if weight else None
        if shares is not None and next(n.op for n in self.builder.nodes if n.name == shares) != op:
            raise call.fault(f"shares {printable(str(weight))} with {shares}, which has other options")
        self.builder.add(name, op, tuple(inputs), shares=shares)
        if weight and shares is None:
            self.owners[weight] = name
        return name
