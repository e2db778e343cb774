"""The graph: order, shapes, outputs, and random networks against PyTorch's meta device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from specs import net

import cnncost
from cnncost.errors import ShapeError, SpecError, Where
from cnncost.graph import LAYERS_AT_MOST, GraphBuilder
from cnncost.ops import find


def builder(*shape: int) -> GraphBuilder:
    made = GraphBuilder()
    made.add_input("input", shape)
    return made


def test_shapes_are_known_on_the_way() -> None:
    made = builder(2, 3, 8, 8)
    made.add("a", find("conv")(5, 3), ("input",))
    made.add("b", find("add")(), ("a", "a"))
    assert made.shapes == {"input": (2, 3, 8, 8), "a": (2, 5, 6, 6), "b": (2, 5, 6, 6)}
    assert repr(made.nodes[0]) == "Node('a', Conv(out=5, kernel=3), ('input',) -> 2x5x6x6)"


def test_a_bad_layer_is_an_error_at_its_place() -> None:
    made = builder(1, 3, 8, 8)
    with pytest.raises(ShapeError) as caught:
        made.add("a", find("conv")(4, groups=2), ("input",), where=Where("net.yaml", 3, 5))
    assert str(caught.value) == (
        "net.yaml:3:5: layer a: groups 2 does not divide the input channels, 3\nhint: choose a divisor of 3"
    )
    with pytest.raises(ShapeError, match=r"^layer b: conv takes 1 input, got 2: input, input"):
        made.add("b", find("conv")(4), ("input", "input"))
    assert made.nodes == []


def test_equal_layers_are_shaped_once_and_arrays_still_work() -> None:
    made = builder(1, 3, 8, 8)
    calls = []

    class Counted(find("relu")):  # type: ignore[misc]
        def shape(self, x: Any) -> Any:
            calls.append(x)
            return x

    op = Counted()
    for name in "abc":
        made.add(name, op, ("input",))
    assert calls == [(1, 3, 8, 8)]
    made.add_input("swept", (np.array([1, 2]), 3))  # type: ignore[arg-type]
    made.add("d", op, ("swept",))
    made.add("e", op, ("swept",))
    assert len(calls) == 3


def test_too_many_layers() -> None:
    made = builder(1, 3)
    relu = find("relu")()
    for i in range(LAYERS_AT_MOST):
        made.add(str(i), relu, ("input",))
    with pytest.raises(SpecError, match="more than 50,000 layers"):
        made.add("last", relu, ("input",))


def test_outputs_batch_and_length() -> None:
    graph = net("input: 3x8x8\nlayers: {a: relu, b: {relu: , from: input}, c: {add: [a, input]}}\n", batch=4)
    assert graph.outputs == ("b", "c")
    assert graph.batch == 4
    assert len(graph) == len(graph.nodes) == len(list(graph)) == 3


@st.composite
def networks(draw: st.DrawFn) -> str:
    """A random DAG as YAML: every layer takes any earlier ones; joins take those of equal shape."""
    rank = draw(st.integers(1, 3))
    sizes = [draw(st.integers(1, 6)), *(draw(st.integers(5, 12)) for _ in range(rank))]
    shapes: dict[str, tuple[int, ...]] = {"input": tuple(sizes)}
    lines = []
    for n in range(draw(st.integers(1, 10))):
        source = draw(st.sampled_from(sorted(shapes)))
        same = [name for name, shape in shapes.items() if shape == shapes[source]]
        alike = [name for name, shape in shapes.items() if shape[1:] == shapes[source][1:]]
        names = ", ".join(draw(st.lists(st.sampled_from(same), min_size=2, max_size=3)))
        wide = ", ".join(draw(st.lists(st.sampled_from(alike), min_size=1, max_size=3)))
        out, groups = draw(st.integers(1, 8)), shapes[source][0]
        kernel, stride = draw(st.integers(1, 3)), draw(st.integers(1, 2))
        body = draw(
            st.sampled_from(
                [
                    f"{{conv: {out}, kernel: {kernel}, stride: {stride}, padding: 1, from: {source}}}",
                    f"{{conv: {2 * groups}, kernel: {kernel}, groups: {groups}, bias: false, from: {source}}}",
                    f"{{depthwise_conv: {kernel}, padding: same, from: {source}}}",
                    f"{{transposed_conv: 3, kernel: 2, stride: {stride}, from: {source}}}",
                    f"{{max_pool: 2, stride: {stride}, padding: 1, ceil_mode: true, from: {source}}}",
                    f"{{avg_pool: {kernel}, stride: 1, from: {source}}}",
                    f"{{batch_norm: , from: {source}}}",
                    f"{{prelu: , from: {source}}}",
                    f"{{add: [{names}]}}",
                    f"{{multiply: [{names}]}}",
                    f"{{concat: [{wide}]}}",
                    f"{{upsample: 2, from: {source}}}",
                ]
            )
        )
        lines.append(f"  n{n}: {body}\n")
        text = f"input: {'x'.join(map(str, sizes))}\nlayers:\n{''.join(lines)}"
        try:
            graph = net(text)
        except ShapeError:
            lines.pop()
            continue
        if any(size > 30 for size in graph.nodes[-1].shape):
            lines.pop()
            continue
        shapes[f"n{n}"] = graph.nodes[-1].shape[1:]
    return f"input: {'x'.join(map(str, sizes))}\nlayers:\n{''.join(lines)}  last: {{linear: 3}}\n"


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks(), st.integers(1, 3))
def test_random_networks_are_pytorchs(text: str, batch: int) -> None:
    graph = net(text, batch=batch)
    params = 0
    with torch.device("meta"), torch.no_grad():
        tensors = {name: torch.empty(*shape) for name, shape in graph.inputs.items()}
        for node in graph:
            x = [tensors[name] for name in node.inputs]
            module = node.op.module(torch, *(tuple(t.shape) for t in x)).eval()
            params += sum(p.numel() for p in module.parameters())
            tensors[node.name] = module(*x)
            assert tuple(tensors[node.name].shape) == node.shape
    assert cnncost.analyze(graph).total.params == params
