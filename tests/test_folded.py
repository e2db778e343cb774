"""A network as a graph, folded by block: every layer once, sums that are the report's, edges between what is shown."""

from __future__ import annotations

from itertools import pairwise

import pytest
from specs import net

import cnncost
from cnncost.analysis.fold import fold
from cnncost.analysis.folded import Folded, Group, blocks, folded
from cnncost.analysis.report import analyze
from cnncost.cost import total
from cnncost.errors import UsageError
from cnncost.spec.files import bundled_names

SMALL = """\
input: 3x8x8
blocks:
  unit:
    layers:
      conv: {conv: 4, kernel: 3, padding: 1}
      relu: relu
  pair:
    layers:
      left: unit
      right: {unit, from: input}
      add: {add: [left, right]}
layers:
  stem: {conv: 4, kernel: 3, padding: 1}
  one: pair
  two: pair
  fc: {linear: 2}
"""


def small() -> cnncost.Report:
    return cnncost.analyze(net(SMALL.replace("  fc: {linear: 2}\n", "  flat: flatten\n  fc: {linear: 2}\n"), "small"))


def names(graph: Folded) -> list[str]:
    return [item.name for item in graph.items]


def wires(graph: Folded) -> list[str]:
    named = [f"{item.role}:{item.name}" if item.row is None else item.name for item in graph.items]
    return [f"{named[edge.source]} -> {named[edge.target]}" for edge in graph.edges]


def in_groups(group: Group) -> list[int]:
    return [i for part in group.groups() for i in part.inside if not isinstance(i, Group)]


def test_folded_it_is_a_node_a_block() -> None:
    graph = folded(small())
    assert names(graph) == ["input", "stem", "one", "two", "flat", "fc", "fc"]
    assert [item.role for item in graph.items] == ["input", "layer", "block", "block", "layer", "layer", "output"]
    assert wires(graph) == [
        "input:input -> stem",
        "stem -> one",
        "one -> two",
        "two -> flat",
        "flat -> fc",
        "fc -> output:fc",
    ]
    assert [edge.shape for edge in graph.edges][:2] == [(3, 8, 8), (4, 8, 8)]


def test_deeper_it_is_groups_in_groups() -> None:
    graph = folded(small(), depth=2)
    assert names(graph)[1:5] == ["stem", "one.left", "one.right", "one.add"]
    assert [item.label for item in graph.items][1:5] == ["stem", "left", "right", "add"]
    assert [group.path for group in graph.top.groups()] == [(), ("one",), ("two",)]
    assert wires(graph)[1:5] == [
        "stem -> one.left",
        "stem -> one.right",
        "one.left -> one.add",
        "one.right -> one.add",
    ]


def test_blocks_are_opened_by_name_and_by_glob_with_those_around_them() -> None:
    assert names(folded(small(), opened=["one.left"]))[2:7] == [
        "one.left.conv",
        "one.left.relu",
        "one.right",
        "one.add",
        "two",
    ]
    both = folded(small(), opened=["*.right"])
    assert [group.path for group in both.top.groups()] == [(), ("one",), ("one", "right"), ("two",), ("two", "right")]
    assert names(folded(small(), opened=["*"])) == names(folded(small(), whole=True))


def test_a_block_of_few_layers_names_their_kinds() -> None:
    kinds = {item.name: item.kind for item in folded(small(), opened=["one"]).items if item.row}
    assert kinds["one.left"] == "conv 3x3 + relu"
    assert kinds["two"] == "5 layers"


def test_two_tensors_between_the_same_nodes_are_two_edges_only_where_their_shapes_differ() -> None:
    text = """\
input: 3x8x8
blocks:
  two:
    layers:
      a: {conv: 4, kernel: 1}
      b: {conv: 4, kernel: 1, from: a}
      c: {conv: 8, kernel: 1, from: a}
layers:
  x: two
  y: {concat: [x.a, x.b, x.c]}
"""
    graph = folded(cnncost.analyze(net(text, "parallel")))
    assert [edge.shape for edge in graph.edges if graph.items[edge.source].name == "x"] == [(4, 8, 8), (8, 8, 8)]


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("ones", "no block ones in small", "did you mean one?"),
        ("zzz", "no block zzz in small", "blocks: one, two"),
        ("stem", "stem is a layer of small, and has nothing in it to open", None),
    ],
)
def test_what_is_no_block_is_refused(name: str, message: str, hint: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        folded(small(), opened=[name])
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_a_network_without_blocks_says_so() -> None:
    with pytest.raises(UsageError) as caught:
        folded(cnncost.analyze("alexnet"), opened=["conv"])
    assert caught.value.hint == "its layers are in no blocks"


@pytest.mark.parametrize("name", bundled_names())
def test_laws_hold_for_every_bundled_network(name: str) -> None:
    report = analyze(cnncost.load(name), fields=False)
    first = next(iter(blocks(report)), None)
    for graph in (
        folded(report),
        folded(report, depth=2),
        folded(report, opened=[first] if first else []),
        folded(report, whole=True),
    ):
        holds(graph)
    whole = folded(report, whole=True)
    assert [item.name for item in whole.items if item.row] == [layer.name for layer in report.layers]
    assert all(item.role != "block" for item in whole.items)
    for depth in (1, 2):
        told = {row.name: (row.macs, row.params, row.output) for row in fold(report, "block", depth)}
        drawn = {
            item.name: (item.row.macs, item.row.params, item.shape) for item in folded(report, depth).items if item.row
        }
        assert drawn == told


def holds(graph: Folded) -> None:
    """Each layer in one node, sums the report's, each node in one group, edges those of the layers, and no others."""
    report = graph.report
    inside = [layer.name for item in graph.items for layer in item.layers]
    assert sorted(inside) == sorted(layer.name for layer in report.layers)
    assert total(item.row.cost for item in graph.items if item.row) == report.total
    assert sorted(in_groups(graph.top)) == list(range(len(graph.items)))
    for group in graph.top.groups():
        for part in group.inside:
            assert part.path[:-1] == group.path if isinstance(part, Group) else graph.items[part].group == group.path
    at = {layer.name: i for i, item in enumerate(graph.items) for layer in item.layers}
    at |= {item.name: i for i, item in enumerate(graph.items) if item.role == "input"}
    wanted = {(at[i], at[layer.name]) for layer in report.layers for i in layer.inputs if at[i] != at[layer.name]}
    ends = {item.name: i for i, item in enumerate(graph.items) if item.role == "output"}
    assert tuple(ends) == report.outputs
    wanted |= {(at[name], i) for name, i in ends.items()}
    assert {(edge.source, edge.target) for edge in graph.edges} == wanted
    assert len(set(graph.edges)) == len(graph.edges)


def test_inputs_come_first_and_outputs_last() -> None:
    roles = [item.role for item in folded(cnncost.analyze("googlenet_aux")).items]
    assert roles[0] == "input"
    assert roles[-3:] == ["output"] * 3
    assert all(a != "output" or b == "output" for a, b in pairwise(roles))
