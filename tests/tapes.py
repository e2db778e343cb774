"""The law of tapes: every layer's storages in training are those that PyTorch was measured to have. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from cases import CASES, TRAINING, Case

from cnncost.analysis.training_memory import training_memory
from cnncost.graph import Graph, GraphBuilder
from cnncost.ops import find

ROUGH = {
    "circular": "a pad from the other end copies its gradient slice by slice",
    "momentum=None": "how many batches there were decides, and fake tensors have no numbers",
    "matmul()[1x5x": "one matrix meets many with its axes swapped",
    "padding=((0,1),(1,1)),bias=False": "the padded input is held until all its convolutions have run",
}
"""Cases of which less is derived than there is, by a part of their names, and why."""
EXACT = [case for case in (*CASES, *TRAINING) if not any(part in str(case) for part in ROUGH)]

CONVOLUTIONS = ("conv", "depthwise_conv", "transposed_conv", "local_conv", "partial_conv", "linear")
NORMS = ("batch_norm", "layer_norm")
JOINS = ("add", "subtract", "multiply", "maximum", "concat")

FIRST = {case.key: case for case in reversed(EXACT) if case.key != "group_norm"}  # a fake one's gradient is in fp32
CAST = [*FIRST.values(), *(c for c in EXACT if c.key in ("linear", "prelu", "scale", *NORMS) and c is not FIRST[c.key])]
"""Cases to try under autocast: one of each op, and all of some."""
PARTLY = [c for c in EXACT if c.key in (*CONVOLUTIONS, "matmul", *JOINS)]
"""Cases to try with a first input that needs no gradient."""

Alive = dict[tuple[str, str], tuple[int, int]]


class Steps(NamedTuple):
    """Bytes at the highest point of every layer, by name and phase, and after it; and what the forward pass keeps."""

    alive: Alive
    kept: int


def steps(memory: Any) -> Steps:
    """Those of a memory, derived or measured."""
    passes = (step for step in memory.steps if step.phase != "update")
    return Steps({(step.layer, step.phase): (step.alive, step.left) for step in passes}, memory.kept_bytes)


def tried(cases: Sequence[Case], first: str = "scale", *, low: bool = False) -> Graph:
    """All cases in one network, each after a layer of its own for every input, and before one.

    Two layers take each input of a join, and their gradients meet. first: the layer before the first
    input. low: another layer before each makes it one of the low dtype under autocast.
    """
    builder = GraphBuilder()
    for number, case in enumerate(cases):
        names = []
        for i, shape in enumerate(case.shapes):
            builder.add_input(f"{number}.x{i}", shape)
            name = builder.add(f"{number}.before{i}", find("scale" if i else first)(), (f"{number}.x{i}",)).name
            if low:
                name = builder.add(f"{number}.low{i}", find("prelu")(), (name,)).name
            if case.key in JOINS:
                builder.add(f"{number}.beside{i}", find("complement")(), (name,))
            names.append(name)
        builder.add(f"{number}.case", case.op(), tuple(names))
        builder.add(f"{number}.after", find("square")(), (f"{number}.case",))
    return Graph("cases", builder.inputs, tuple(builder.nodes))


def case_of(layer: str, cases: Sequence[Case]) -> Case | None:
    """The case that a layer is there for."""
    number = layer.partition(".")[0]
    return cases[int(number)] if number.isdigit() else None


def check_tapes(graph: Graph, cases: Sequence[Case], measured: Steps, precision: str = "fp32") -> None:
    """Forward, kept and backward, to the byte.

    Gradients that are those of the output are no work, and no layer's when they are measured.
    """
    ours, shapes = steps(training_memory(graph, "sgd", precision=precision)), graph.shapes
    there = measured.alive
    wrong = {key: (size, there[key]) for key, size in ours.alive.items() if there.get(key, size) != size}
    assert not wrong, [(layer, phase, *of, str(case_of(layer, cases))) for (layer, phase), of in wrong.items()]
    idle = set()
    for node in graph:
        calls = node.op.tape(node.shape, *(shapes[i] for i in node.inputs))
        if not calls or any(isinstance(give, str) for call in calls for give in call.gives):
            idle.add(node.name)
    assert {name for name, _ in ours.alive.keys() - there.keys()} <= idle
    assert ours.kept == measured.kept


POINTS = (1, 2, 5)


def check_arrays() -> None:
    """Arrays of batches give at every point what the batch alone does. A batch of 1 stays: it is structure."""
    several = [case for case in EXACT if all(shape[0] > 1 for shape in case.shapes)]
    together = steps(training_memory(tried([grown(case, np.array(POINTS)) for case in several]), "sgd"))
    for i, point in enumerate(POINTS):
        alone = steps(training_memory(tried([grown(case, point) for case in several]), "sgd"))
        found = {key: tuple(np.broadcast_to(n, len(POINTS))[i] for n in sizes) for key, sizes in together.alive.items()}
        assert found == alone.alive
        assert together.kept[i] == alone.kept

    x = (2, np.array([3, 4]), 5)
    for key, options in (("slice", {"range": (0, None)}), ("roi_pool", {"size": 1, "rois": np.array([2, 3])})):
        op = find(key)(**options)
        (call,) = op.tape(op.shape(x), x)
        assert np.all(call.gives[0] == 2 * 5 * x[1])
    weights, biases = find("conv")(x[1]).parameter_sizes((2, 3, 5))
    assert (weights.tolist(), biases.tolist()) == ([3 * 3, 4 * 3], [3, 4])


def check_frozen() -> None:
    """A convolution keeps its input for whatever gradient, a product for that of its weights."""
    shape, bytes = (2, 3, 5, 7), 2 * 3 * 5 * 7 * 4
    for key, kept in (("conv", bytes), ("linear", 0), ("local_conv", 0)):
        builder = GraphBuilder()
        builder.add_input("x", shape)
        for name, op, takes in (
            ("a", find("scale")(), "x"),
            ("b", find(key)(4), "a"),
            ("c", find("complement")(), "b"),
        ):
            builder.add(name, op, (takes,))
        graph = Graph("frozen", builder.inputs, tuple(builder.nodes))
        loss = 4
        assert training_memory(graph, "sgd", frozen=["b"]).kept_bytes == bytes + kept + loss


def grown(case: Case, factor: Any) -> Case:
    """A case with so many times the batch."""
    return case._replace(shapes=tuple((shape[0] * factor, *shape[1:]) for shape in case.shapes))


class Answers(NamedTuple):
    """What PyTorch says: of EXACT, of CAST under autocast, of PARTLY; and the sizes of parameters of all CASES."""

    exact: Steps
    cast: Steps
    partly: Steps
    sizes: list[list[int]]


def check_exact(answers: Answers) -> None:
    check_tapes(tried(EXACT), EXACT, answers.exact)


def check_cast(answers: Answers) -> None:
    check_tapes(tried(CAST, low=True), CAST, answers.cast, "autocast-bf16")


def check_partly(answers: Answers) -> None:
    check_tapes(tried(PARTLY, "copy"), PARTLY, answers.partly)


def check_sizes(answers: Answers) -> None:
    for case, found in zip(CASES, answers.sizes, strict=True):
        check_parameter_sizes(case, found)


def check_answers(answers: Any) -> None:
    """All of it; answers may be plain tuples."""
    *measured, sizes = answers
    known = Answers(*(Steps(*one) for one in measured), sizes)
    for check in (check_exact, check_cast, check_partly, check_sizes):
        check(known)
    check_arrays()
    check_frozen()


def check_parameter_sizes(case: Case, sizes: Sequence[int]) -> None:
    """Parameters are so many tensors of such sizes."""
    assert sorted(case.op().parameter_sizes(*case.shapes)) == sorted(sizes), case
