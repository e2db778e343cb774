"""Layers that exporters write as several nodes: a product and its bias, GELU by its error function, another shape."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from cnncost.onnx.file import Constant


class Fusion:
    """Nodes in order, who makes and who takes each tensor, and which nodes stand for others."""

    def __init__(self, nodes: list[Any], constants: dict[str, Constant], outputs: Iterable[str]) -> None:
        self.nodes, self.constants = nodes, constants
        self.makers = {name: node for node in nodes for name in node.output}
        self.takers: defaultdict[str, list[Any]] = defaultdict(list)
        for node in nodes:
            for name in node.input:
                self.takers[name].append(node)
        self.kept = set(outputs)
        self.gone: set[int] = set()
        self.instead: dict[int, Any] = {}

    def fused(self) -> list[Any]:
        """The nodes with one for each layer that was several."""
        for node in self.nodes:
            if node.op_type == "MatMul":
                self.linear(node)
            elif node.op_type == "Erf":
                self.gelu(node)
            elif node.op_type == "Gather":
                self.shape(node)
        return [self.instead.get(id(node), node) for node in self.nodes if id(node) not in self.gone]

    def only_taker(self, node: Any, kind: str) -> Any:
        """The node that takes a node's output, if it is one alone, and of a kind."""
        takers = self.takers[node.output[0]]
        alone = len(takers) == 1 and takers[0].op_type == kind and node.output[0] not in self.kept
        return takers[0] if alone else None

    def number(self, name: str, about: float) -> bool:
        """Whether a tensor is one constant number."""
        constant = self.constants.get(name)
        value = None if constant is None else constant.value
        return value is not None and value.size == 1 and math.isclose(value.item(), about, rel_tol=1e-4)

    @staticmethod
    def other(node: Any, name: str) -> str:
        """The other one of two inputs."""
        first, second = node.input[:2]
        return str(second if first == name else first)

    def replace(self, last: Any, made: Any, gone: Iterable[Any]) -> None:
        """Put a node in the place of the last of several."""
        made.metadata_props.extend(last.metadata_props)
        self.instead[id(last)] = made
        self.gone.update(map(id, gone))

    def linear(self, product: Any) -> None:
        """x W + b, b being one number a column: MatMul with a third input."""
        from onnx import helper

        weight, add = self.constants.get(product.input[1]), self.only_taker(product, "Add")
        if weight is None or add is None or len(weight.shape) != 2:
            return
        bias = self.other(add, product.output[0])
        if bias in self.constants and self.constants[bias].shape == weight.shape[1:]:
            made = helper.make_node("MatMul", [*product.input, bias], list(add.output), name=product.name)
            self.replace(add, made, [product])

    def shape(self, gather: Any) -> None:
        """All elements of a tensor that was made flat, in order: Reshape, which as_strided becomes."""
        import numpy as np
        from onnx import helper

        flat, places = self.makers.get(gather.input[0]), self.constants.get(gather.input[1])
        if flat is None or flat.op_type != "Reshape" or self.only_taker(flat, "Gather") is None:
            return
        if (
            places is None
            or places.value is None
            or not (places.value.reshape(-1) == np.arange(places.value.size)).all()
        ):
            return
        to = self.constants.get(flat.input[1])
        if to is None or to.value is None or to.value.tolist() not in ([-1], [places.value.size]):
            return
        name = f"{gather.output[0]} shape"
        self.constants[name] = Constant((len(places.shape),), np.array(places.shape), computed=True)
        made = helper.make_node("Reshape", [flat.input[0], name], list(gather.output), name=gather.name)
        self.replace(gather, made, [flat])

    def gelu(self, erf: Any) -> None:
        """0.5 x (1 + erf(x / sqrt(2))), the factors in any order."""
        from onnx import helper

        scaled, plus = self.makers.get(erf.input[0]), self.only_taker(erf, "Add")
        if scaled is None or plus is None or not self.number(self.other(plus, erf.output[0]), 1):
            return
        x = scaled.input[0] if scaled.input[0] not in self.constants else scaled.input[1]
        by = {"Div": math.sqrt(2), "Mul": math.sqrt(0.5)}.get(scaled.op_type)
        first = self.only_taker(plus, "Mul")
        if by is None or first is None or not self.number(self.other(scaled, x), by):
            return
        factor, gone = self.other(first, plus.output[0]), [scaled, erf, plus]
        half = self.makers.get(factor)
        if half is not None and half.op_type == "Mul" and x in half.input and self.number(self.other(half, x), 0.5):
            last, gone = first, [*gone, half]
        else:
            last, gone = self.only_taker(first, "Mul"), [*gone, first]
            rest = None if last is None else self.other(last, first.output[0])
            if rest is None or not (
                (factor == x and self.number(rest, 0.5)) or (rest == x and self.number(factor, 0.5))
            ):
                return
        self.replace(last, helper.make_node("Gelu", [x], list(last.output), name=last.name), gone)
