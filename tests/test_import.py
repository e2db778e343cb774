"""cnncost import: graphs written as specs, which say the same when they are loaded.

`python tests/test_import.py` writes the output in docs/import.md anew.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import GOLDEN, Result
from documents import ROOT, commands, filled
from hypothesis import given, settings
from hypothesis import strategies as st
from specs import FOLDER, faults, net

import cnncost
from cnncost.analysis.report import analyze
from cnncost.api.networks import graph_of
from cnncost.cli.commands.import_ import _compare
from cnncost.errors import UsageError
from cnncost.graph import Graph, GraphBuilder
from cnncost.ops import find
from cnncost.spec.files import bundled_names
from cnncost.spec.outline import settings as options

Run = Callable[..., Result]


def written(graph: Graph) -> Graph:
    """A graph written as a spec and loaded again; the JSON Schema has nothing against the spec."""
    text = cnncost.to_yaml(graph)
    assert faults(text) == []
    path = FOLDER / "written.yaml"
    path.write_text(text, encoding="utf-8")
    return cnncost.load(path, batch=graph.batch)


def places(graph: Graph) -> dict[str | None, Any]:
    """Inputs and layers by name: where each stands."""
    inputs = {name: f"input {i}" for i, name in enumerate(graph.inputs)}
    return {None: None, **inputs, **{node.name: i for i, node in enumerate(graph)}}


def check_same(graph: Graph, other: Graph) -> None:
    """Two graphs are equal up to their names."""
    where, there = places(graph), places(other)
    assert list(graph.inputs.values()) == list(other.inputs.values())
    for node, again in zip(graph, other, strict=True):
        assert (node.op.key, options(node), node.shape) == (again.op.key, options(again), again.shape)
        assert [where[name] for name in node.inputs] == [there[name] for name in again.inputs], node
        assert where[node.shares] == there[again.shares], node
    totals, same = (dict(analyze(either).totals) for either in (graph, other))
    if graph.held is not None:  # a model's Python variables hold tensors for longer than a spec does
        assert totals.pop("peak_bytes") >= same.pop("peak_bytes")
    assert totals == same


# ---- every network ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", bundled_names())
def test_a_written_network_is_the_network(name: str) -> None:
    graph = cnncost.load(name)
    check_same(graph, written(graph))


@pytest.mark.parametrize("name", bundled_names())
def test_lines_are_few_and_narrow(name: str) -> None:
    text = cnncost.to_yaml(cnncost.load(name))
    assert max(map(len, text.splitlines())) <= 120
    assert text.count("\n") <= 160


def test_at_another_input_and_batch() -> None:
    graph = cnncost.load("resnet18", input="3x97x161", batch=3, set={"width": 8})
    check_same(graph, written(graph))


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v2", "densenet121", "googlenet"])
def test_written_text(name: str, golden: Callable[[str, str], None]) -> None:
    graph = cnncost.load(name)
    golden(f"import-{name}.yaml", cnncost.to_yaml(graph))
    assert analyze(cnncost.load(GOLDEN / f"import-{name}.yaml")).totals == analyze(graph).totals


# ---- any graph --------------------------------------------------------------------------------

PARTS = st.sampled_from(
    ["a", "²", "no", "b", "0", "1", "conv1", "input", "null", "1e3", "from", "é", "x y", "#", "-", "- a", "é"]
)
NAMES = st.lists(st.one_of(PARTS, st.text(min_size=1, max_size=4)), min_size=1, max_size=3).map(".".join)
CHOICES = ("conv", "relu", "batch_norm", "add", "concat", "split", "max_pool", "reuse")


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Layers of few kinds on any earlier ones, under names that group them, or not."""
    builder = GraphBuilder()
    for name in draw(st.lists(NAMES, min_size=1, max_size=3, unique=True)):
        builder.add_input(name, (2, 4, 6, 8))
    for _ in range(draw(st.integers(1, 30))):
        name = draw(NAMES.filter(lambda name: name not in builder.shapes))
        source = draw(st.sampled_from(list(builder.shapes)[-4:]))
        kind = draw(st.sampled_from(CHOICES))
        if kind == "conv":
            op = find(kind)(out=draw(st.sampled_from([4, 8])), kernel=draw(st.sampled_from([1, 3, (1, 3)])), padding=1)
            builder.add(name, op, (source,))
        elif kind in ("add", "concat"):
            alike = [other for other, shape in builder.shapes.items() if shape == builder.shapes[source]]
            builder.add(name, find(kind)(), (source, draw(st.sampled_from(alike))))
        elif kind == "split":
            part = draw(st.integers(0, int(builder.shapes[source][2] > 1)))
            builder.add(name, find(kind)(2, part=part, axis=2), (source,))
        elif kind == "reuse":
            first = [node for node in builder.nodes if node.op.key == "conv" and node.shares is None]
            fit = [node for node in first if builder.shapes[node.inputs[0]][1] == builder.shapes[source][1]]
            if fit:
                owner = draw(st.sampled_from(fit))
                builder.add(name, owner.op, (source,), shares=owner.name)
        else:
            builder.add(name, find(kind)(3, padding=1) if kind == "max_pool" else find(kind)(), (source,))
    return Graph(draw(st.text()), builder.inputs, tuple(builder.nodes), about={"about": draw(st.text())})


@settings(max_examples=60, deadline=None)
@given(graphs().filter(len))
def test_any_graph(graph: Graph) -> None:
    check_same(graph, written(graph))


@st.composite
def repetitive(draw: st.DrawFn) -> Graph:
    """Groups of layers from a few patterns, in groups of groups, now and then with a wire from elsewhere."""
    patterns = draw(st.lists(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=5),
                             min_size=1, max_size=2))  # fmt: skip
    builder = GraphBuilder()
    builder.add_input("input", (1, 4, 6, 8))
    above = "input"
    for i in range(draw(st.integers(1, 8))):
        stage = f"stage{draw(st.integers(0, 1))}.{i}" if draw(st.booleans()) else f"unit{i}"
        out, inside = draw(st.sampled_from([4, 4, 4, 8])), [above]
        for j, (kind, back) in enumerate(draw(st.sampled_from(patterns))):
            name, source = f"{stage}.part{j // 2}.{j}", inside[max(len(inside) - 1 - back, 0)]
            if kind == 0:
                builder.add(name, find("conv")(out=out, kernel=3, padding=1), (source,))
            elif kind == 1:
                builder.add(name, find("concat")(), (inside[-1], source))
            elif kind == 2:
                other = draw(st.sampled_from(list(builder.shapes))) if draw(st.integers(0, 9)) == 0 else source
                builder.add(name, find("concat")(), (inside[-1], other))
            else:
                builder.add(name, find("relu")(inplace=kind == 3), (source,))
            inside.append(name)
        above = inside[-1]
    return Graph("net", builder.inputs, tuple(builder.nodes))


@settings(max_examples=100, deadline=None)
@given(repetitive())
def test_any_repetitive_graph(graph: Graph) -> None:
    check_same(graph, written(graph))


# ---- PyTorch models ---------------------------------------------------------------------------

TRACED = ("resnet50", "mobilenet_v3_small", "shufflenet_v2_x0_5", "densenet121", "googlenet", "convnext_tiny")
TRACED += ("regnet_y_400mf", "efficientnet_b0", "squeezenet1_1", "mnasnet0_5", "vgg11_bn", "fcn_resnet50")


@pytest.mark.parametrize("name", TRACED)
@pytest.mark.filterwarnings("ignore:The default weight initialization:FutureWarning")
def test_a_traced_model_is_written_as_it_is(name: str) -> None:
    graph = graph_of(f"torchvision:{name}")
    check_same(graph, written(graph))
    assert cnncost.to_yaml(graph).count("\n") <= (50 if name == "resnet50" else 225 if name == "densenet121" else 75)


def test_a_module_that_is_called_twice(folder: Path, run: Run) -> None:
    (folder / "twice.py").write_text("""\
import torch

class Net(torch.nn.Module):
    def __init__(self, channels=4):
        super().__init__()
        self.conv = torch.nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return self.conv(torch.relu(self.conv(x))) + x
""")
    call = ("import", "twice.py:Net", "--arg", "channels=6", "--input", "6x8x8", "-o", "net.yaml")
    assert run(*call) == (0, "", "")
    total = analyze(cnncost.load("net.yaml")).total
    assert (total.params, total.macs) == (6 * 6 * 9 + 6, 2 * 6 * 8 * 8 * 6 * 9)
    first = (folder / "net.yaml").read_text().splitlines()[0]
    assert first == "# Written by: cnncost import twice.py:Net --input 6x8x8 --arg channels=6"


def test_an_operator_that_is_no_layer(run: Run) -> None:
    message = "error: layer class_token: the language has no layer for this parameter"
    hint = "hint: cnncost report prices the model as it is"
    assert run("import", "torchvision:vit_b_16") == (2, "", f"{message}\n{hint}\n")


# ---- what the language cannot say -------------------------------------------------------------


def test_arrays_are_no_one_network() -> None:
    import numpy as np

    graph = cnncost.load("lenet5", batch=np.array([1, 2]))
    with pytest.raises(UsageError, match=r"^a graph over arrays is no one network\nhint: load it at one design point$"):
        cnncost.to_yaml(graph)


def test_inputs_of_different_batches() -> None:
    builder = GraphBuilder()
    builder.add_input("a", (2, 3))
    builder.add_input("b", (1, 3))
    builder.add("add", find("add")(), ("a", "b"))
    with pytest.raises(UsageError, match="inputs of 2x3, 1x3: a spec's inputs have one batch, and sizes after it"):
        cnncost.to_yaml(Graph("net", builder.inputs, tuple(builder.nodes)))


def test_parameters_of_another_kind_of_layer() -> None:
    builder = GraphBuilder()
    builder.add_input("input", (1, 3, 8, 8))
    builder.add("a", find("conv")(3, kernel=3), ("input",))
    builder.add("b", find("conv")(3, kernel=3, stride=2), ("a",), shares="a")
    message = r"layer b has the parameters of a, but is another layer: .*\nhint: a spec reuses whole layers"
    with pytest.raises(UsageError, match=message):
        cnncost.to_yaml(Graph("net", builder.inputs, tuple(builder.nodes)))


# ---- reuse ------------------------------------------------------------------------------------


def test_a_block_that_is_reused() -> None:
    graph = net("""
input: {left: 3x32x32, right: 3x32x32}
blocks:
  tower:
    layers:
      conv: {conv: 16, kernel: 3}
      relu: relu
layers:
  a: {tower: , from: left}
  b: {reuse: a, from: right}
  both: {concat: [a, b]}
""")
    check_same(graph, written(graph))


# ---- the command ------------------------------------------------------------------------------


def test_import_writes_a_spec(folder: Path, run: Run) -> None:
    assert run("import", "vgg11", "--set", "classes=10", "-i", "3x64x96", "-o", "net.yaml") == (0, "", "")
    first = (folder / "net.yaml").read_text().splitlines()[0]
    assert first == "# Written by: cnncost import vgg11 --input 3x64x96 --set classes=10"
    check_same(cnncost.load("vgg11", input="3x64x96", set={"classes": 10}), cnncost.load("net.yaml"))


def test_import_prints_a_spec(run: Run) -> None:
    result = run("import", "lenet5")
    assert (result.code, result.err) == (0, "")
    assert yaml.safe_load(result.out)["layers"]["C5"] == {"conv": 120, "kernel": 5}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("vgg11 -o there.yaml", "there.yaml: exists already\nhint: --force replaces it"),
        ("there.yaml -o there.yaml --force",
         "there.yaml is the model itself, and would be lost\nhint: give another name: imported.yaml"),
        ("vgg11 -o no/net.yaml", "no/net.yaml: No such file or directory\nhint: nothing was written"),
        ("vgg11 -o .", ". is no file name\nhint: give the name of a file to write"),
        ("vgg", "vgg: no such file, and no bundled architecture of that name\nhint: did you mean vgg19?"),
    ],
)  # fmt: skip
def test_bad_input(folder: Path, run: Run, arguments: str, message: str) -> None:
    there = folder / "there.yaml"
    there.write_text("input: 3x8x8\nlayers: {a: relu}\n")
    assert run("import", *arguments.split()) == (2, "", f"error: {message}\n")
    assert there.read_text() == "input: 3x8x8\nlayers: {a: relu}\n"


@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [
        ("add: [c, a]", "add: [c, b]", "layers"),
        ("{reuse: a, from: input}", "{conv: 4, from: input}", "layers"),
        ("e: relu\n  f: sigmoid", "e: sigmoid\n  f: relu", "costs"),
    ],
)
def test_a_spec_that_says_something_else_is_a_fault(right: str, wrong: str, fault: str, folder: Path) -> None:
    text = (
        "input: 4x5x5\nlayers:\n  a: {conv: 4}\n  b: {reuse: a, from: input}\n  c: {conv: 4}\n"
        "  d: {add: [c, a]}\n  e: relu\n  f: sigmoid\n"
    )
    (folder / "net.yaml").write_text(text, encoding="utf-8")
    graph = cnncost.load("net.yaml")
    _compare(graph, text)
    assert right in text
    with pytest.raises(RuntimeError, match=f"the written spec has other {fault}"):
        _compare(graph, text.replace(right, wrong))


def test_force_replaces_a_file(folder: Path, run: Run) -> None:
    (folder / "net.yaml").write_text("old")
    assert run("import", "vgg11", "-o", "net.yaml", "--force").code == 0
    check_same(cnncost.load("vgg11"), cnncost.load("net.yaml"))


# ---- the documentation ------------------------------------------------------------------------

DOCS = ROOT / "docs" / "import.md"


def test_the_documentation_shows_what_is_written(run: Run) -> None:
    ((command, shown),) = commands(DOCS)
    result = run(*command.split()[1:])
    assert result.out + result.err == shown, "python tests/test_import.py writes it anew"


if __name__ == "__main__":
    DOCS.write_text(filled(DOCS), encoding="utf-8")
