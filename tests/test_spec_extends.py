"""What specs mean that start from another one."""

from __future__ import annotations

from typing import Any

from specs import layer, net, wires

import cnncost
from cnncost.graph import Graph

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
