"""What training keeps of every op, held against what PyTorch's autograd saves; see laws.check_keeps."""

from __future__ import annotations

import math
from functools import cache

import laws
import oracle
import pytest
from cases import CASES, TRAINING, Case

import cnncost
from cnncost.graph import Graph
from cnncost.ops import MENU, find
from cnncost.ops.activation import Activation
from cnncost.ops.base import Unlearned

ALL = [*CASES, *TRAINING]

held = cache(lambda number: oracle.held(ALL[number]))


@pytest.mark.parametrize("number", range(len(ALL)), ids=map(str, ALL))
def test_keeps(number: int) -> None:
    laws.check_keeps(ALL[number], *held(number))


@pytest.mark.parametrize("case", TRAINING, ids=str)
def test_arrays(case: Case) -> None:
    laws.check_arrays(case)


def test_no_case_is_there_twice() -> None:
    assert len(set(map(str, ALL))) == len(ALL)


def test_an_op_that_does_not_say_is_no_op() -> None:
    class Silent(Unlearned):
        shape = operations = sight = module = Unlearned.macs

    with pytest.raises(TypeError, match="keeps"):
        Silent()


def test_every_activation_says_what_its_gradient_is_computed_from() -> None:
    for op in map(find, MENU):
        if issubclass(op, Activation):
            assert hasattr(op, "grad_from") or op.keeps is not Activation.keeps, op.key


def test_the_cases_have_all_that_can_be_kept() -> None:
    kinds = {key for number in range(len(ALL)) for key in held(number)[0]}
    assert kinds == {*(("input", i, 4) for i in range(4)), ("output", 0, 4), ("extra", 0, 4), ("extra", 0, 8)}


@pytest.mark.parametrize("name", ["alexnet", "googlenet", "resnet18", "mobilenet_v2", "densenet121", "inception_v3"])
def test_a_network_keeps_what_its_layers_keep(name: str) -> None:
    """To the byte, when storage that several layers keep counts once."""
    graph = cnncost.load(name)
    assert kept_bytes(graph) == oracle.held_by(graph)


def kept_bytes(graph: Graph) -> int:
    shapes = graph.shapes
    storage = {name: name for name in graph.inputs}
    kept: dict[str, int] = {}
    extra = 0
    for node in graph:
        storage[node.name] = storage[node.inputs[0]] if node.op.shares_in_training else node.name
        for what, elements, index, itemsize in node.op.keeps(node.shape, *(shapes[name] for name in node.inputs)):
            if what == "extra":
                extra += elements * (itemsize or laws.FLOAT32)
            elif elements:
                tensor = storage[node.inputs[index] if what == "input" else node.name]
                kept[tensor] = math.prod(shapes[tensor]) * laws.FLOAT32
    return extra + sum(kept.values())
