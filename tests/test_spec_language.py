"""What specs mean: order, joins, blocks, repeats, conditions, reuse."""

from __future__ import annotations

import pytest
from specs import failure, layer, net, wires

import cnncost


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
