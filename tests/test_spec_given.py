"""What is given to specs from outside: inputs, batches, parameters, one value or an array of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from specs import failure, layer, net, wires

import cnncost


def test_several_network_inputs() -> None:
    text = """
input: {left: 3x8x8, right: 5x8x8}
layers:
  a: relu
  b: {relu: , from: right}
  c: {concat: [a, right]}
"""
    graph = net(text)
    assert graph.inputs == {"left": (1, 3, 8, 8), "right": (1, 5, 8, 8)}
    assert wires(graph) == ["a: relu(left)", "b: relu(right)", "c: concat(a, right)"]
    assert net(text, input={"left": "1x4x4", "right": (2, 4, 4)}).nodes[-1].shape == (1, 3, 4, 4)
    assert failure(text, input="3x8x8") == "the spec has the inputs left, right, and left is given"


def test_input_is_text_a_number_or_a_list_of_expressions() -> None:
    assert net("input: 10\nlayers: {a: {linear: 3}}\n").inputs == {"input": (1, 10)}
    graph = net("input: [3, size, 2 * size]\nparameters: {size: 8}\nlayers: {a: relu}\n", batch=2, set={"size": 5})
    assert graph.inputs == {"input": (2, 3, 5, 10)}


def test_input_and_batch_overrides() -> None:
    text = "input: 3x8x8\nlayers: {a: {conv: 4}}\n"
    for size in ("1x9x7", (1, 9, 7), [1, 9, 7], np.array([1, 9, 7]), {"input": "1x9x7"}):
        graph = net(text, input=size, batch=np.int64(2))
        assert graph.nodes[-1].shape == (2, 4, 9, 7)
        assert all(type(n) is int for n in graph.nodes[-1].shape)
    for size in ("7", "3x4x5", "3x4x5x6"):  # the spec declares none
        assert len(net("layers: {a: relu}\n", input=size).nodes[-1].shape) == 2 + size.count("x")


SET = """
input: 3x8x8
parameters:
  {width: 8, wide: 2 * width, depths: [1, 2, [3]], total: "sum([depths[0], depths[1]])", act: relu, flag: true}
layers:
  a: {conv: width, bias: flag}
  b: {conv: wide, repeat: total}
  c: {op: act, repeat: "depths[2][0]"}
"""


def test_set_scalars_lists_and_entries() -> None:
    def facts(**given: Any) -> tuple[Any, ...]:
        graph = net(SET, set=given)
        names = [node.name.split(".")[0] for node in graph]
        a, c = layer(graph, "a"), layer(graph, "c.0").key
        return a.out, a.bias, graph.shapes["b.0"][1], names.count("b"), c, names.count("c")

    assert facts() == (8, True, 16, 3, "relu", 3)
    assert facts(width=4) == (4, True, 8, 3, "relu", 3)  # wide follows
    assert facts(width=4.0) == (4, True, 8, 3, "relu", 3)
    assert facts(wide=5, flag=False) == (8, False, 5, 3, "relu", 3)
    assert facts(depths=[2, 2, (1,)], act="silu") == (8, True, 16, 4, "silu", 1)
    assert facts(**{"depths.0": 3}) == (8, True, 16, 5, "relu", 3)  # total follows
    assert facts(**{"depths.0": np.int64(3)}) == (8, True, 16, 5, "relu", 3)
    assert facts(**{"depths[0]": 3}) == facts(**{"depths.0": 3})
    assert facts(**{"depths[2][0]": 1}) == facts(**{"depths[2].0": 1}) == facts(**{"depths.2.0": 1})
    assert facts(**{"depths.2.0": 1}) == (8, True, 16, 3, "relu", 1)
    assert facts(depths=[1, 1, [1]], **{"depths.1": 5}) == (8, True, 16, 6, "relu", 1)


def test_entries_that_no_layer_uses_are_an_error() -> None:
    text = (
        "input: 3x8x8\nparameters: {depths: [1, 2]}\nlayers: {a: {conv: 4, repeat: depths.0}, b: {conv: 5, repeat: %s}}"
    )
    by_index = text % "depths.1"
    assert len(net(by_index, set={"depths": [3, 4]})) == 3 + 4
    for depths in ([3, 4, 5], [3, 4, 5, 6]):
        with pytest.raises(cnncost.UsageError) as e:
            net(by_index, set={"depths": depths})
        assert str(e.value) == (
            f"depths has {len(depths)} entries, and the spec uses 2 of them\n"
            "hint: leave out the others; more layers would be more lines of the spec"
        )
    for whole, layers in (("len(depths)", 3), ("sum(depths)", 12), ('"depths[-1]"', 5)):
        assert len(net(text % whole, set={"depths": [3, 4, 5]})) == 3 + layers
    unused = "input: 3x8x8\nparameters: {depths: [1, 2]}\nlayers: {a: {conv: 4}}"
    assert net(unused, set={"depths": [3, 4, 5]}).about["parameters"]["depths"] == [3, 4, 5]


@pytest.mark.parametrize(("rank", "shape"), [(1, (3, 50)), (2, (3, 50, 40)), (3, (3, 20, 30, 40))])
def test_one_spec_in_one_two_and_three_dimensions(rank: int, shape: tuple[int, ...]) -> None:
    text = """
input: SHAPE
layers:
  conv: {conv: 4, kernel: 5, stride: 2}
  bn: batch_norm
  pool: {max_pool: 2}
  head: {conv: pool.size}
  gap: global_avg_pool
"""
    graph = net(text.replace("SHAPE", "x".join(map(str, shape))))
    conv = tuple((n - 5) // 2 + 1 for n in shape[1:])
    pool = tuple(n // 2 for n in conv)
    assert graph.shapes["conv"] == (1, 4, *conv)
    assert graph.shapes["pool"] == (1, 4, *pool)
    assert graph.shapes["gap"] == (1, pool[-1], *(1,) * rank)
    assert layer(graph, "conv").weights((1, *shape)) == 4 * 3 * 5**rank


SWEPT = """
input: [3, size, size + 2]
parameters: {size: 20, width: 8, factor: 0.5}
blocks:
  unit:
    parameters: [out, stride: 1]
    layers:
      conv: {conv: "round_to(out * factor, 4)", kernel: 3, stride: stride, padding: 1}
      bn: batch_norm
      shortcut: {conv: conv.channels, stride: stride, from: input}
      add: {add: [bn, shortcut]}
layers:
  stem: {conv: width, kernel: 3, stride: 2}
  units: {unit: 2 * width * (i + 1), stride: i + 1, repeat: 2}
  again: {reuse: stem, from: input}
  gap: {global_avg_pool: , from: units}
  flat: flatten
  fc: {linear: 10}
"""
point = st.tuples(st.integers(9, 60), st.integers(1, 40), st.sampled_from([0.25, 0.5, 1.0, 1.4]), st.integers(1, 64))


@given(st.lists(point, min_size=1, max_size=6))
def test_arrays_of_design_points_load_as_each_point_does(points: list[tuple[int, int, float, int]]) -> None:
    sizes, widths, factors, batches = (np.array(column) for column in zip(*points))
    together = cnncost.analyze(net(SWEPT, set={"size": sizes, "width": widths, "factor": factors}, batch=batches))
    for k, (size, width, factor, batch) in enumerate(points):
        single = cnncost.analyze(net(SWEPT, set={"size": size, "width": width, "factor": factor}, batch=batch))
        for many, one in zip(together.layers, single.layers, strict=True):
            assert tuple(np.broadcast_to(n, len(points))[k] for n in many.output_shape) == one.output_shape
            assert [np.broadcast_to(n, len(points))[k] for n in many.cost] == list(one.cost)
        assert all(type(n) is int for n in single.total)


def test_what_pandas_and_pytorch_call_an_array() -> None:
    import pandas as pd
    import torch

    text = "input: 3x9x9\nparameters: {width: 4}\nlayers: {a: {conv: width}}\n"
    for values in (pd.Series([4, 5], index=[7, 3]), torch.tensor([4, 5])):
        graph = net(text, batch=values, set={"width": values}, input=(3, values, 9))
        for sizes in (graph.nodes[0].shape[:3], graph.inputs["input"][:1]):
            assert [(type(n), n.tolist()) for n in sizes] == [(np.ndarray, [4, 5])] * len(sizes)
    assert net(text, set={"width": np.float32(6)}).nodes[0].shape == (1, 6, 9, 9)


@given(st.lists(st.tuples(st.integers(7, 50), st.integers(7, 50)), min_size=1, max_size=5))
def test_arrays_as_input_sizes(points: list[tuple[int, int]]) -> None:
    height, width = (np.array(column) for column in zip(*points))
    text = "input: 3x8x8\nlayers: {a: {conv: 4, kernel: 7, stride: 3}, b: {max_pool: 1}, c: flatten}\n"
    together = net(text, input=(3, height, width))
    for k, (h, w) in enumerate(points):
        single = net(text, input=(3, h, w))
        for many, one in zip(together, single, strict=True):
            assert tuple(np.broadcast_to(n, len(points))[k] for n in many.shape) == one.shape
