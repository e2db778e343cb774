"""What specs mean: order, joins, blocks, repeats, conditions, extends, reuse, parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from specs import net, wires

import cnncost
from cnncost.graph import Graph


def layer(graph: Graph, name: str) -> Any:
    return next(node.op for node in graph if node.name == name)


def failure(text: str, **given: Any) -> str:
    with pytest.raises(cnncost.CnncostError) as caught:
        net(text, **given)
    return caught.value.message


def test_layers_run_in_file_order_and_take_the_one_above() -> None:
    graph = net("input: 3x8x8\nlayers: {b: {conv: 4}, a: relu, 1: {conv: 5}}\n")
    assert wires(graph) == ["b: conv(input)", "a: relu(b)", "1: conv(a)"]
    assert [node.shape for node in graph] == [(1, 4, 8, 8), (1, 4, 8, 8), (1, 5, 8, 8)]


def test_from_takes_earlier_layers_or_the_input() -> None:
    graph = net("input: 3x8x8\nlayers: {1: {conv: 4}, b: {relu: , from: input}, c: {relu: , from: 1}, d: relu}\n")
    assert wires(graph) == ["1: conv(input)", "b: relu(input)", "c: relu(1)", "d: relu(c)"]


def test_joins() -> None:
    graph = net("""
input: 4x8x8
layers:
  a: {conv: 4}
  both: {add: [a, input]}
  with_above: {add: a}
  with_input: {multiply: input}
  from_works_too: {maximum: , from: [a, both]}
  wide: {concat: [a, both, input]}
  with_name_above: {concat: a}
  rows: {concat: [a, a], axis: 2}
""")
    assert wires(graph) == [
        "a: conv(input)",
        "both: add(a, input)",
        "with_above: add(both, a)",
        "with_input: multiply(with_above, input)",
        "from_works_too: maximum(a, both)",
        "wide: concat(a, both, input)",
        "with_name_above: concat(wide, a)",
        "rows: concat(a, a)",
    ]
    assert [node.shape[1] for node in graph][-3:] == [4 + 4 + 4, 12 + 4, 4]
    assert graph.nodes[-1].shape == (1, 4, 8 + 8, 8)
    assert graph.outputs == ("with_input", "from_works_too", "with_name_above", "rows")


UNIT = """
input: 3x16x16
parameters: {width: 2}
blocks:
  unit:
    parameters: [out, kernel: 3, twice: 2 * out, more: input.channels + twice]
    layers:
      a: {conv: out, kernel: kernel, padding: kernel // 2}
      b: {conv: twice}
      c: {conv: more + width}
layers:
"""


@pytest.mark.parametrize(
    ("call", "kernel", "outs"),
    [
        ("{unit: 4}", 3, (4, 8, 3 + 8 + 2)),
        ("{unit: [4]}", 3, (4, 8, 3 + 8 + 2)),
        ("{unit: [4, 5]}", 5, (4, 8, 3 + 8 + 2)),
        ("{unit: [4, 1], twice: 7}", 1, (4, 7, 3 + 7 + 2)),
        ("{unit: , out: 4, more: 1}", 3, (4, 8, 1 + 2)),
        ("{kernel: 5, unit: 2 * width}", 5, (4, 8, 3 + 8 + 2)),
        ("{unit: [2 * width, width + 1]}", 3, (4, 8, 3 + 8 + 2)),
    ],
)
def test_block_parameters_and_defaults(call: str, kernel: int, outs: tuple[int, ...]) -> None:
    graph = net(f"{UNIT}  u: {call}\n")
    assert wires(graph) == ["u.a: conv(input)", "u.b: conv(u.a)", "u.c: conv(u.b)"]
    assert layer(graph, "u.a").kernel == kernel
    assert tuple(node.shape[1] for node in graph) == outs


def test_parameters_may_be_a_mapping() -> None:
    blocks = "{u: {parameters: {out: null, kernel: 1}, layers: {a: {conv: out}}}}"
    assert net(f"input: 3x8x8\nblocks: {blocks}\nlayers: {{x: {{u: 5}}}}\n").nodes[-1].shape == (1, 5, 8, 8)


def test_a_block_sees_its_own_and_the_networks_parameters_only() -> None:
    text = """
input: 3x8x8
parameters: {width: 4}
blocks:
  inner: {layers: {conv: {conv: PLACE}}}
  outer: {parameters: [out], layers: {inner: inner}}
  named: {parameters: [width], layers: {conv: {conv: width}}}
layers:
  first: {conv: 7}
  a: {outer: 9, repeat: 2}
  b: {named: 5}
"""
    graph = net(text.replace("PLACE", "width"))
    assert [node.shape[1] for node in graph] == [7, 4, 4, 5]
    assert failure(text.replace("PLACE", "out")) == "unknown name out"
    assert failure(text.replace("PLACE", "i")) == "unknown name i"
    assert failure(text.replace("PLACE", "first.channels")) == "unknown layer first"


def test_i_counts_in_the_repeated_line_and_reaches_a_block_as_an_argument() -> None:
    graph = net("""
input: 3x8x8
blocks:
  unit: {parameters: [n], layers: {conv: {conv: n, repeat: 2}}}
layers:
  a: {conv: 4 + i, repeat: 3}
  b: {unit: 10 * (i + 1), repeat: 2}
""")
    assert [(node.name, node.shape[1]) for node in graph] == [
        ("a.0", 4),
        ("a.1", 5),
        ("a.2", 6),
        ("b.0.conv.0", 10),
        ("b.0.conv.1", 10),
        ("b.1.conv.0", 20),
        ("b.1.conv.1", 20),
    ]
    assert wires(graph)[3:5] == ["b.0.conv.0: conv(a.2)", "b.0.conv.1: conv(b.0.conv.0)"]


def test_nested_repeats_with_counts_from_parameters() -> None:
    graph = net("""
input: 3x8x8
parameters: {depths: [1, 2]}
blocks:
  stage: {parameters: [n], layers: {relu: {relu: , repeat: n}}}
layers:
  s: {stage: "depths[i]", repeat: len(depths)}
  last: relu
""")
    assert wires(graph) == [
        "s.0.relu.0: relu(input)",
        "s.1.relu.0: relu(s.0.relu.0)",
        "s.1.relu.1: relu(s.1.relu.0)",
        "last: relu(s.1.relu.1)",
    ]


@pytest.mark.parametrize("absent", ["repeat: 0", "if: false", "if: width > 5", "if: width > 5, repeat: 3"])
def test_an_absent_layer_passes_its_input_on_under_its_own_name(absent: str) -> None:
    graph = net(f"""
input: 3x8x8
parameters: {{width: 4}}
blocks: {{unit: {{layers: {{conv: {{conv: 9}}}}}}}}
layers:
  a: {{conv: 4}}
  b: {{unit: , from: input, {absent}}}
  c: {{conv: b.channels}}
  d: {{concat: [a, b]}}
  e: {{reuse: b, from: d}}
  f: relu
""")
    assert wires(graph) == ["a: conv(input)", "c: conv(input)", "d: concat(a, input)", "f: relu(d)"]
    assert layer(graph, "c").out == 3


def test_several_block_inputs() -> None:
    graph = net("""
input: 4x8x8
blocks:
  fuse:
    inputs: [x, skip]
    parameters: [out: skip.channels]
    layers:
      a: {conv: out}
      b: {conv: out, from: skip}
      sum: {add: [a, b]}
layers:
  stem: {conv: 6}
  one: {fuse: , from: [stem, input]}
  more: {fuse: 7, from: [one, stem], repeat: 2}
""")
    assert wires(graph)[1:] == [
        "one.a: conv(stem)",
        "one.b: conv(input)",
        "one.sum: add(one.a, one.b)",
        "more.0.a: conv(one.sum)",
        "more.0.b: conv(stem)",
        "more.0.sum: add(more.0.a, more.0.b)",
        "more.1.a: conv(more.0.sum)",  # a repeat chains its first input and keeps the others
        "more.1.b: conv(stem)",
        "more.1.sum: add(more.1.a, more.1.b)",
    ]
    assert [node.shape[1] for node in graph] == [6, 4, 4, 4, 7, 7, 7, 7, 7, 7]


def test_equal_calls_differ_where_their_inputs_do() -> None:
    text = """
input: 4x8x8
blocks:
  fuse: {inputs: [x, y], layers: {sum: {add: [x, y]}, out: {conv: 4}}}
  unit: {parameters: [flag], layers: {conv: {conv: 4, bias: flag}}}
layers:
  same: {fuse: , from: [input, input]}
  two: {fuse: , from: [same, input]}
  three: {fuse: , from: [input, same]}
  a: {unit: true}
  b: {unit: PLACE}
"""
    graph = net(text.replace("PLACE", "false"))
    assert wires(graph)[:6:2] == [
        "same.sum: add(input, input)",
        "two.sum: add(same.out, input)",
        "three.sum: add(input, same.out)",
    ]
    assert [layer(graph, "a.conv").bias, layer(graph, "b.conv").bias] == [True, False]
    assert failure(text.replace("PLACE", "1")) == "bias must be true or false, got 1"


def test_op_takes_an_op_or_a_block_from_a_parameter() -> None:
    text = """
input: 4x8x8
parameters: {act: relu, layer: conv, unit: pair}
blocks:
  pair: {parameters: [n: 3], layers: {a: {conv: n}, b: {op: act}}}
layers:
  a: {op: act}
  b: {op: layer, out: 5, kernel: 3}
  c: {op: unit}
  d: {op: unit, n: 6, repeat: 2}
"""
    names = ["a", "b", "c.a", "c.b", "d.0.a", "d.0.b", "d.1.a", "d.1.b"]
    assert [node.name for node in net(text)] == names
    assert [node.op.key for node in net(text)] == ["relu", "conv"] + ["conv", "relu"] * 3
    changed = net(text, set={"act": "silu", "layer": "transposed_conv"})
    assert [node.op.key for node in changed] == ["silu", "transposed_conv"] + ["conv", "silu"] * 3


def test_dotted_references_reach_into_blocks_and_repeats() -> None:
    graph = net("""
input: 4x8x8
blocks:
  unit: {parameters: [n], layers: {conv: {conv: n}, relu1: relu}}
  pair: {layers: {u: {unit: 5, repeat: 2}, back: {relu: , from: u.0.conv}}}
layers:
  conv4: {unit: 4 + i, repeat: 3}
  a: {relu: , from: conv4.2.relu1}
  b: {relu: , from: conv4.0}
  c: {add: [conv4.2.conv, conv4.2]}
  p: pair
  q: pair
  d: {relu: , from: q.u.1.conv}
  e: {relu: , from: q.u.0}
  r: {reuse: q.u, from: p}
  f: {relu: , from: r.1.conv}
""")
    by_name = {node.name: node.inputs for node in graph}
    assert by_name["a"] == ("conv4.2.relu1",)
    assert by_name["b"] == ("conv4.0.relu1",)
    assert by_name["c"] == ("conv4.2.conv", "conv4.2.relu1")
    assert by_name["p.back"] == ("p.u.0.conv",)
    assert by_name["q.back"] == ("q.u.0.conv",)
    assert by_name["d"] == ("q.u.1.conv",)
    assert by_name["e"] == ("q.u.0.relu1",)
    assert by_name["f"] == ("r.1.conv",)


REUSE = """
input: 4x8x8
blocks: {unit: {layers: {conv: {conv: 4, kernel: 3, padding: 1}, bn: batch_norm}}}
layers:
  a: {conv: 4}
  b: unit
  c: {unit: , repeat: 2}
  a2: {reuse: a}
  b2: {reuse: b}
  c2: {reuse: c}
  c3: {reuse: c.1.conv, from: a}
  b3: {reuse: b2, repeat: 2}
  d: {relu: , from: c2.0.bn}
"""


def test_reuse_counts_parameters_once_and_work_each_time() -> None:
    report = cnncost.analyze(net(REUSE))
    layers = {layer.name: layer for layer in report.layers}
    conv1, unit = 4 * 4 + 4, 4 * 4 * 9 + 4 + 2 * 4
    assert report.total.params == conv1 + 3 * unit
    assert layers["a2"].shares == "a"
    assert layers["b3.1.conv"].shares == layers["b2.conv"].shares == "b.conv"
    assert layers["c3"].shares == "c.1.conv"
    for copy, first in [("a2", "a"), ("b2.conv", "b.conv"), ("c2.1.bn", "c.1.bn"), ("b3.0.conv", "b.conv")]:
        assert layers[copy].macs == layers[first].macs
        assert layers[copy].params == 0 < layers[first].params
    assert [layers[name].inputs for name in ("b2.conv", "b3.1.conv", "c3", "d")] == [
        ("a2",),
        ("b3.0.bn",),
        ("a",),
        ("c2.0.bn",),
    ]


def test_reuse_inside_a_block_that_is_called_twice() -> None:
    graph = net("""
input: 4x8x8
blocks: {unit: {layers: {conv: {conv: 4}, again: {reuse: conv}}}}
layers: {a: unit, b: unit}
""")
    assert [node.shares for node in graph] == [None, "a.conv", None, "b.conv"]


def test_reuse_of_one_layer_taken_twice() -> None:
    text = """
input: 4x8x8
blocks: {fuse: {inputs: [x, y], layers: {a: {add: [x, y]}}}}
layers:
  a: relu
  b: {fuse: , from: [a, a]}
  c: {reuse: b, from: PLACE}
"""
    assert wires(net(text.replace("PLACE", "[input, input]")))[-1] == "c.a: add(input, input)"
    assert failure(text.replace("PLACE", "[input, a]")) == "cannot reuse b: it took one layer as several inputs"


BASE = """
name: Base
about: the plain one
year: 2000
input: 3x32x32
parameters: {width: 8, depths: [1, 2]}
blocks:
  unit: {parameters: [out], layers: {conv: {conv: out, kernel: 3, padding: 1}, relu: relu}}
layers:
  conv1: {conv: width, kernel: 3}
  relu1: {relu: , inplace: true}
  drop: dropout
  units: {unit: 16, repeat: "depths[1]"}
  fc: {conv: 10}
"""


def extending(text: str, **given: Any) -> Graph:
    net(BASE, "base")
    return net(f"extends: base\n{text}", **given)


def test_extends_alone_is_the_base_under_another_name() -> None:
    graph = extending("")
    assert wires(graph) == wires(net(BASE, "base"))
    assert (graph.name, graph.about["year"], graph.about["about"]) == ("net", 2000, None)


def test_extends_removes_changes_replaces_and_adds() -> None:
    graph = extending("""
layers:
  drop: null
  conv1: {kernel: 5, bias: false}
  relu1: silu
  fc: {linear: 10}
  last: softmax
  stem: {conv: 4, after: relu1}
""")
    assert wires(graph) == [
        "conv1: conv(input)",
        "relu1: silu(conv1)",
        "stem: conv(relu1)",
        "units.0.conv: conv(stem)",
        "units.0.relu: relu(units.0.conv)",
        "units.1.conv: conv(units.0.relu)",
        "units.1.relu: relu(units.1.conv)",
        "fc: linear(units.1.relu)",
        "last: softmax(fc)",
    ]
    conv1 = layer(graph, "conv1")
    assert (conv1.out, conv1.kernel, conv1.bias) == (8, 5, False)


def test_extends_places_an_old_layer_and_replaces_by_reuse() -> None:
    graph = extending("layers: {drop: {after: conv1, p: 0.1}, fc: {reuse: units.1.conv}, relu1: {inplace: false}}\n")
    assert [node.name for node in graph][:3] == ["conv1", "drop", "relu1"]
    assert graph.nodes[-1].shares == "units.1.conv"
    assert layer(graph, "drop").p == 0.1
    assert layer(graph, "relu1").inplace is False


def test_extends_overrides_parameters_input_and_blocks() -> None:
    graph = extending("""
input: 4x16x16
parameters: {width: 6, depths: [1, 1], extra: 2 * width}
blocks:
  unit: {layers: {conv: {bias: false}, relu: {silu: , after: conv}, bn: {batch_norm: , after: conv}}}
  tail: {layers: {conv: {conv: extra}}}
layers:
  drop: null
  fc: {tail: , if: true}
""")
    assert [node.name for node in graph] == ["conv1", "relu1", "units.0.conv", "units.0.bn", "units.0.relu", "fc.conv"]
    assert graph.inputs == {"input": (1, 4, 16, 16)}
    assert layer(graph, "units.0.conv").bias is False
    assert layer(graph, "units.0.conv").kernel == 3
    assert layer(graph, "units.0.relu").key == "silu"
    assert [layer(graph, name).out for name in ("conv1", "fc.conv")] == [6, 12]


def test_extends_changes_what_a_call_sets_without_naming_it() -> None:
    base = cnncost.load("mobilenet_v2")
    changed = net("""
extends: mobilenet_v2
layers:
  stage2: {n: 1, c: 32}
  classifier: {out: 10}
""")
    assert changed.nodes[-1].op.out == 10
    # Two bottlenecks of 24 channels have become one of 32.
    assert [n.name for n in changed if n.name.startswith("stage2.block.1")] == []
    assert changed.shapes["stage2.block.0.project.bn"][1] == 32
    assert base.shapes["stage2.block.1.project.bn"][1] == 24


def test_extends_of_an_extension() -> None:
    net(BASE, "base")
    net("extends: base\nlayers: {drop: null, conv1: {kernel: 1}}\n", "middle")
    graph = net("extends: middle.yaml\nlayers: {conv1: {stride: 2}}\n")
    conv1 = layer(graph, "conv1")
    assert (conv1.kernel, conv1.stride, conv1.out) == (1, 2, 8)
    assert "drop" not in graph.shapes


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
