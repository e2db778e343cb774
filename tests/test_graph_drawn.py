"""cnncost graph: what it writes for Mermaid and for Graphviz, the picture it draws, and what it refuses."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pygraphviz
import pytest
from documents import ROOT
from specs import net
from test_layering import loaded_by

import cnncost
from cnncost.analysis.folded import Folded, Group, folded
from cnncost.analysis.report import analyze
from cnncost.cli.commands.graph import AmountParam
from cnncost.graph import Graph, GraphBuilder
from cnncost.ops.activation import ReLU
from cnncost.output import graph_layout
from cnncost.output.graph_labels import FILLS, Words, chosen_quantities, words
from cnncost.output.graph_layout import Box, Layout, Point
from cnncost.output.graph_svg import text_width, to_svg
from cnncost.output.graph_text import mermaid_text, to_dot, to_mermaid
from cnncost.spec.files import bundled_names

HOSTILE = [
    "<script>alert(1)</script>",
    '"quoted"',
    "[b]{c}(d)",
    "`md` **b** _i_ ~~s~~",
    "end",
    "subgraph",
    "class",
    "%%{init: {}}%%",
    "a;b",
    "#35;",
    "&lt;&amp;",
    r"back\slash\N\n",
    "ünï-日本語 🎉",
    "1. one",
    "- x",
    "x --> y",
    "fa:fa-car",
    "$$x^2$$",
    "line\nbreak\r\x00\x1b[31m",
    "end.end",
    "o.<b>",
    "|x|",
    "@{ shape: circle }",
    "\ud800x\uffff",
    "\u202eright to left",
    "a..b",
    "long" * 40,
]
PLACED_BY = "2.0.4"
"""The pygraphviz, and so the Graphviz, that placed the pictures that are kept."""
DRAWN = bundled_names()[::6]
"""Every sixth network: some two dozen, of all families."""
NODE = r"""n(?P<id>\d+)(?:\["(?P<text>[^"]*)"\]|\(\["(?P<end>[^"]*)"\]\))"""
LINES = {
    "comment": r"%% [^{].*",
    "head": "flowchart TD",
    "node": rf" +{NODE}",
    "open": r' +subgraph g\d+\["(?P<title>[^"]+)"\]',
    "close": " +end",
    "edge": r'  n(?P<source>\d+) -->(?:\|"(?P<shape>[\dx]+)"\|)? n(?P<target>\d+)',
    "style": r"  classDef c\d fill:#\w{6},stroke:#\w{6},color:#\w{6}",
    "class": r"  class n\d+(?:,n\d+)* c\d",
}
"""The lines of Mermaid's grammar that are used, held against its own parser once (version 11)."""


def hostile() -> Folded:
    builder = GraphBuilder()
    builder.add_input("in]put", (1, 3, 8, 8))
    before = "in]put"
    for name in HOSTILE:
        builder.add(name, ReLU(), (before,))
        before = name
    return folded(
        analyze(Graph('%%{init: {"theme": "dark"}}%% <net>', builder.inputs, tuple(builder.nodes))), whole=True
    )


def drawn(name: str, **options: Any) -> tuple[Folded, Words]:
    graph = folded(cnncost.analyze(name), **options)
    return graph, words(graph, chosen_quantities("macs,params"))


def plain(graph: Folded) -> Words:
    return words(graph, chosen_quantities("macs,params"))


def same_graphviz() -> None:
    """Skip what follows where another Graphviz places the boxes, a little elsewhere perhaps."""
    if pygraphviz.__version__ != PLACED_BY:
        pytest.skip(f"the picture that is kept was placed by pygraphviz {PLACED_BY}")


# ---- whole outputs -----------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["mmd", "dot", "svg"])
@pytest.mark.parametrize(
    "line", ["lenet5", "googlenet --open 3a", "resnet18 --depth 2 --show activations,peak --batch 8 --dtype fp16"]
)
def test_what_it_writes(folder: Path, run: Any, golden: Any, line: str, suffix: str) -> None:
    assert run("graph", *line.split(), "-o", f"out.{suffix}") == (0, "", "")
    if suffix == "svg":
        same_graphviz()
    golden(f"graph-{line.split(maxsplit=1)[0]}.{suffix}", Path(f"out.{suffix}").read_text(encoding="utf-8"))


def test_the_same_picture_twice() -> None:
    assert to_svg(*drawn("inception_v3", depth=2)) == to_svg(*drawn("inception_v3", depth=2))


# ---- Mermaid -----------------------------------------------------------------------------------


def parsed(text: str) -> list[tuple[str, dict[str, str | None]]]:
    """Lines by what they are. Raises AssertionError for one that is nothing."""
    found = []
    for line in text.splitlines():
        matches = [(kind, match) for kind, regex in LINES.items() if (match := re.fullmatch(regex, line))]
        assert len(matches) == 1, line
        found.append((matches[0][0], matches[0][1].groupdict()))
    return found


def read(text: str) -> list[str]:
    """Lines of a label of Mermaid, as they are shown."""
    assert not re.search(r'["`<>{};\[\]|*~$]', re.sub(r"#\d+;|<br/>", "", text)), text
    return [re.sub(r"#(\d+);", lambda m: chr(int(m[1])), line) for line in text.split("<br/>")]


@pytest.mark.parametrize("graph", [hostile(), *(folded(cnncost.analyze(n), whole=True) for n in DRAWN[:6])])
def test_mermaid_shows_every_label_and_every_edge(graph: Folded) -> None:
    text = plain(graph)
    assert "%%{" not in to_mermaid(graph, text)  # where settings begin, in comments too
    found = parsed(to_mermaid(graph, text))
    nodes = {int(n["id"] or 0): n["text"] or n["end"] or "" for kind, n in found if kind == "node"}
    assert {i: tuple(read(label)) for i, label in nodes.items()} == dict(
        enumerate(label.lines for label in text.labels)
    )
    edges = [(int(e["source"] or 0), int(e["target"] or 0)) for kind, e in found if kind == "edge"]
    assert edges == [(edge.source, edge.target) for edge in graph.edges]
    depth = [{"open": 1, "close": -1}.get(kind, 0) for kind, _ in found]
    assert sum(depth) == 0
    assert all(sum(depth[:i]) >= 0 for i in range(len(depth)))
    assert depth.count(1) == len(list(graph.top.groups())) - 1


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("conv2_x.0", "conv2_x.0"),
        ("1. one", "1#46; one"),
        ("_i_ a_b", "#95;i#95; a_b"),
        ("- x-y", "#45; x-y"),
        ("a + b → 1x2", "a #43; b → 1x2"),
        ("#lt;", "#35;lt#59;"),
    ],
)
def test_mermaid_takes_no_markdown_from_a_name(text: str, written: str) -> None:
    assert mermaid_text(text) == written


def test_a_shape_is_on_an_edge_where_it_is_not_that_of_the_node() -> None:
    text = """\
input: 3x8x8
blocks: {two: {layers: {a: {conv: 4, kernel: 1}, b: {conv: 8, kernel: 1}}}}
layers:
  x: two
  y: {conv: 2, kernel: 1, from: x.a}
  z: {concat: [x, y]}
"""
    graph = folded(cnncost.analyze(net(text, "inner")))
    assert plain(graph).edges == ("", "4x8x8", "", "", "")
    assert '-->|"4x8x8"| n' in to_mermaid(graph, plain(graph))
    assert ' [label="4x8x8"]' in to_dot(graph, plain(graph))
    assert ">4x8x8</text>" in to_svg(graph, plain(graph))


# ---- Graphviz ----------------------------------------------------------------------------------


def shown(label: str) -> tuple[str, ...]:
    """Lines of a label of Graphviz, as they are shown."""
    text = re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], label)
    return tuple(text.replace("&amp;", "&").split("\n"))


@pytest.mark.parametrize("graph", [hostile(), *(folded(cnncost.analyze(n), whole=True) for n in DRAWN[:6])])
def test_graphviz_reads_every_label_and_every_edge(graph: Folded) -> None:
    text = plain(graph)
    seen = pygraphviz.AGraph(string=to_dot(graph, text))
    assert {n: shown(n.attr["label"]) for n in seen.nodes()} == {
        f"n{i}": label.lines for i, label in enumerate(text.labels)
    }
    assert sorted(seen.edges()) == sorted((f"n{edge.source}", f"n{edge.target}") for edge in graph.edges)

    def clusters(of: Any) -> int:
        return sum(1 + clusters(part) for part in of.subgraphs())

    assert clusters(seen) == len(list(graph.top.groups())) - 1


# ---- the picture -------------------------------------------------------------------------------


@pytest.fixture
def placed(monkeypatch: pytest.MonkeyPatch) -> list[Layout]:
    """Layouts of the pictures that a test draws."""
    kept: list[Layout] = []
    real = graph_layout.laid_out

    def keep(*arguments: Any) -> Layout:
        kept.append(real(*arguments))
        return kept[-1]

    monkeypatch.setattr("cnncost.output.graph_svg.laid_out", keep)
    return kept


def apart(a: Box, b: Box) -> bool:
    return a.right <= b.left or b.right <= a.left or a.bottom <= b.top or b.bottom <= a.top


def within(a: Box, b: Box) -> bool:
    return b.left <= a.left and a.right <= b.right and b.top <= a.top and a.bottom <= b.bottom


def touches(point: Point, box: Box) -> bool:
    """Whether a point is on the border of a box, to a pixel or two."""
    x, y = point
    near = within(Box(x, y, x, y), Box(box.left - 2, box.top - 2, box.right + 2, box.bottom + 2))
    return near and min(abs(x - box.left), abs(x - box.right), abs(y - box.top), abs(y - box.bottom)) <= 2


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("options", [{"depth": 1}, {"depth": 2}, {"whole": True}], ids=str)
def test_boxes_lie_apart_groups_hold_their_own_and_edges_join_boxes(
    placed: list[Layout], name: str, options: dict[str, Any]
) -> None:
    graph, text = drawn(name, **options)
    if len(graph.items) > 800:
        graph, text = drawn(name)
    root = ElementTree.fromstring(to_svg(graph, text))
    layout = placed[0]
    rows = sorted(layout.nodes, key=lambda box: box.top)
    for i, box in enumerate(rows):
        for other in rows[i + 1 :]:
            if other.top >= box.bottom:
                break
            assert apart(box, other)
    groups = list(graph.top.groups())[1:]
    for group, box in zip(groups, layout.groups):
        own = {i for part in group.groups() for i in part.inside if not isinstance(i, Group)}
        assert all(within(node, box) if i in own else apart(node, box) for i, node in enumerate(layout.nodes))
    for edge, curve in zip(graph.edges, layout.edges):
        assert touches(curve.points[0], layout.nodes[edge.source])
        assert touches(curve.tip, layout.nodes[edge.target])
    for label, box in zip(text.labels, layout.nodes):
        assert max(text_width(line, 11) for line in label.lines) < box.right - box.left
    assert max(text_width(text.title, 14), text_width(text.about, 11), layout.width) < float(root.attrib["width"])
    assert len(root.findall(".//{*}path")) == 2 * len(graph.edges)
    titles = [title.text for title in root.findall(".//{*}g/{*}g/{*}title")]
    assert titles == [item.name for item in graph.items]


def test_hostile_names_are_text() -> None:
    graph = hostile()
    text = plain(graph)
    root = ElementTree.fromstring(to_svg(graph, text))
    assert {element.tag.rpartition("}")[2] for element in root.iter()} <= {
        "svg",
        "title",
        "desc",
        "rect",
        "g",
        "path",
        "text",
    }
    shown = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {label.lines[0] for label in text.labels} <= shown
    assert "<script>alert(1)</script>" in shown


def test_it_needs_nothing_else() -> None:
    picture = to_svg(*drawn("alexnet"))
    assert not re.search(r"href|url\(|@import|<script|<style|<image", picture)
    assert re.findall(r"https?://[^\"]*", picture) == ["http://www.w3.org/2000/svg"]


def test_the_largest_is_darkest_and_nothing_is_white() -> None:
    graph, text = drawn("alexnet")
    levels = {item.name: label.level for item, label in zip(graph.items, text.labels) if item.row}
    assert levels["conv2"] == len(FILLS) - 1
    assert levels["relu2"] == 0
    assert levels["fc8"] == 1  # the smallest of what is anything
    assert levels["conv3"] == 4  # 149.5 of 223.9 M MACs are within the fourth fifth
    assert "darkest for 223.9 M" in text.key


def test_where_there_is_nothing_no_colour_is_explained() -> None:
    assert plain(hostile()).key == "colour: none, for there are no MACs"


# ---- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("alexnet --show mac", "error: --show: unknown quantity mac\nhint: did you mean macs?\n"),
        ("alexnet --show macs,", "error: --show: a quantity without a name\nhint: "),
        ("alexnet --show output", "error: --show output: no amount\nhint: amounts are params, weights, "),
        ("resnet50 --open conv2", "error: no block conv2 in ResNet-50\nhint: did you mean conv2_x?\n"),
        ("resnet50 --open maxpool", "error: maxpool is a layer of ResNet-50, and has nothing in it to open\n"),
        ("resnet50 --all --depth 2", "error: --depth has no effect with --all\nhint: --all opens every block\n"),
        ("resnet50 --all --open conv2_x", "error: --open has no effect with --all\nhint: --all opens every block\n"),
        ("resnet50 --force", "error: --force has no effect here\nhint: it goes with -o FILE\n"),
        (
            "resnet50 -o net.png",
            "error: -o net.png: no format has the suffix .png\n"
            "hint: use .mmd, .mermaid, .dot, .gv, .svg, or give --format\n",
        ),
        ("resnet50 --format png", "error: invalid value for '--format': 'png' is not one of 'mermaid', 'dot', 'svg'"),
        ("resnet50 --depth 0", "error: invalid value for '--depth': 0 is not in the range x>=1\n"),
        ("no_such_network", "error: no_such_network"),
    ],
)
def test_messages(folder: Path, run: Any, line: str, message: str) -> None:
    result = run("graph", *line.split())
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith(message)
    assert "Traceback" not in result.err


def test_amounts_are_completed() -> None:
    found = [item.value for item in AmountParam().shell_complete(None, None, "macs,pa")]  # type: ignore[arg-type]
    assert found == ["macs,params"]


def test_a_file_is_replaced_only_by_force(folder: Path, run: Any) -> None:
    Path("net.mmd").write_text("mine")
    result = run("graph", "alexnet", "-o", "net.mmd")
    assert (result.code, result.err) == (2, "error: net.mmd: exists already\nhint: --force replaces it\n")
    assert Path("net.mmd").read_text() == "mine"
    assert run("graph", "alexnet", "-o", "net.mmd", "--force").code == 0
    assert "flowchart TD" in Path("net.mmd").read_text(encoding="utf-8")


def test_without_graphviz(folder: Path, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    result = run("graph", "alexnet", "-o", "net.svg")
    assert result == (
        2,
        "",
        "error: --format svg needs Graphviz\n"
        "hint: pip install 'cnncost[graph]'; or --format mermaid or dot, which need nothing\n",
    )
    assert run("graph", "alexnet", "--format", "dot").code == 0


def test_a_picture_of_too_many_nodes(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_layout, "NODES_AT_MOST", 20)
    result = run("graph", "alexnet", "--format", "svg")
    assert (result.code, result.err) == (
        2,
        "error: a picture of 26 nodes\nhint: at most 20: fold it with a smaller --depth, or --format dot\n",
    )


def test_a_pytorch_model_is_drawn_by_its_modules(folder: Path, run: Any) -> None:
    Path("net.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self):\n"
        "        block = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())\n"
        "        super().__init__(block, nn.Linear(144, 2))\n"
    )
    result = run("graph", "net.py:Net", "--input", "3x8x8", "--open", "0")
    assert (result.code, result.err) == (0, "")
    kinds = [kind for kind, _ in parsed(result.out)]
    assert kinds.count("node") == 1 + 5 + 1
    assert kinds.count("open") == 1


@pytest.mark.parametrize("line", ["graph alexnet", "graph googlenet --open 3a --format svg"])
def test_it_loads_neither_torch_nor_numpy(line: str) -> None:
    run_it = f"try:\n    main({line.split()!r})\nexcept SystemExit as e:\n    assert e.code == 0"
    code = f"from cnncost.cli import main\n{run_it}"
    assert not loaded_by(code) & {"torch", "fvcore", "onnx", "numpy", "networkx"}


def test_the_document_shows_what_the_command_prints(run: Any) -> None:
    document = (ROOT / "docs/graph.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```mermaid\n(.*?)^```", document, flags=re.S | re.M)
    assert block == run("graph", "googlenet").out
    same_graphviz()
    picture = (ROOT / "docs/graph-resnet50.svg").read_text(encoding="utf-8")
    assert picture == run("graph", "resnet50", "--format", "svg").out
    assert len(picture) < 100_000
