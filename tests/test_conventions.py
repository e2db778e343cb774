"""How other tools count: rules of tools that do not run here, and what docs/conventions.md says of all.

Tools that run are held against their rules in test_counters.py. `python tests/test_conventions.py`
writes the table of docs/conventions.md anew.
"""

from __future__ import annotations

import csv
import io
import json
import re
import textwrap
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from cases import IMAGE, SIGNAL, Case, case

import cnncost
from cnncost.analysis.conventions import CONVENTIONS, Convention, counted
from cnncost.analysis.tool_rules import Rule
from cnncost.errors import UsageError
from cnncost.graph import Graph, GraphBuilder
from cnncost.live import vision
from cnncost.output import schema

FILE = Path(__file__).parent.parent / "docs" / "conventions.md"
TABLE = re.compile(r"(<!-- tools: .*? -->\n).*?(<!-- end of tools -->)", re.DOTALL)

MODELS = vision.models()
OTHERWISE = {"alexnet": "alexnet_torchvision", "googlenet": "googlenet_torchvision"}
"""torchvision's networks that bear another name here: their names are the papers' versions'."""


def graph_of(one: Case) -> Graph:
    builder = GraphBuilder()
    names = tuple(f"x{i}" for i in range(len(one.shapes)))
    for name, shape in zip(names, one.shapes):
        builder.add_input(name, shape)
    builder.add("layer", one.op(), names)
    return Graph("one layer", builder.inputs, tuple(builder.nodes))


def count(tool: str, key: str, *shapes: tuple[int, ...], **options: Any) -> int:
    return counted(graph_of(case(key, *shapes, **options)), tool).total


# ---- netscope: by the arithmetic of its analyzer.coffee -------------------------------------------


def test_netscope_counts_a_convolution_by_its_groups_and_without_its_bias() -> None:
    n, c, h, w = IMAGE
    out, groups = 9, 3
    found = count("netscope", "conv", IMAGE, out=out, kernel=3, padding=1, groups=groups)
    assert found == (3 * 3) * (w * h) * c * out * n // groups


def test_netscope_counts_a_linear_layer_without_its_bias() -> None:
    assert count("netscope", "linear", (3, 10), out=7) == 10 * 7 * 3


def test_netscope_divides_a_deconvolutions_kernel_by_its_stride_and_overlooks_its_groups() -> None:
    n, c, h, w = IMAGE
    wide, high = 2 * (w - 1) + 4 - 2 * 1, 2 * (h - 1) + 4 - 2 * 1
    for groups in (1, 3):
        options: dict[str, Any] = {"out": 9, "kernel": 4, "stride": 2, "padding": 1, "groups": groups}
        assert count("netscope", "transposed_conv", IMAGE, **options) == c * 9 * wide * high * (4 // 2) * (4 // 2) * n


def test_netscope_counts_norms() -> None:
    n, c, h, w = IMAGE
    elements = w * h * c * n
    assert count("netscope", "batch_norm", IMAGE) == elements  # Caffe's Scale behind it
    assert count("netscope", "batch_norm", IMAGE, affine=False) == 0
    assert count("netscope", "scale", IMAGE) == elements
    assert count("netscope", "lrn", IMAGE, size=5) == elements * 5
    assert count("netscope", "l2_norm", IMAGE) == elements * 1


def test_netscope_counts_one_for_each_region() -> None:
    assert count("netscope", "roi_pool", IMAGE, size=3, rois=4) == IMAGE[0] * 4


@pytest.mark.parametrize("key", ["relu", "prelu", "softmax", "global_avg_pool", "add", "multiply", "dropout"])
def test_netscope_has_other_columns_for_what_is_no_multiplication_and_addition(key: str) -> None:
    shapes = (IMAGE, IMAGE) if key in ("add", "multiply") else (IMAGE,)
    assert count("netscope", key, *shapes) == 0


def test_netscope_of_alexnet() -> None:
    """The convolutions in groups, the linear layers and two norms over 5 channels."""
    layers = 55**2 * 96 * 3 * 11**2 + 27**2 * 256 * 48 * 5**2 + 13**2 * (384 * 256 + 384 * 192 + 256 * 192) * 3**2
    dense = 6**2 * 256 * 4096 + 4096 * 4096 + 4096 * 1000
    norms = 5 * (96 * 55**2 + 256 * 27**2)
    alexnet = counted(cnncost.load("alexnet"), "netscope")
    assert (alexnet.macs, alexnet.added) == (layers + dense, {"other norms": norms})
    assert alexnet.total == layers + dense + norms


# ---- calflops, which does not run everywhere ------------------------------------------------------


def test_calflops_divides_a_transposed_convolution_by_its_groups_twice() -> None:
    n, c, h, w = IMAGE
    options: dict[str, Any] = {"kernel": 4, "stride": 2, "padding": 1}
    assert count("calflops", "transposed_conv", IMAGE, out=9, **options) == n * h * w * c * 9 * 4**2
    assert count("calflops", "transposed_conv", IMAGE, out=9, groups=3, **options) == n * h * w * c * (9 // 3 // 3) * 16
    assert count("calflops", "transposed_conv", IMAGE, out=6, groups=6, **options) == 0  # depthwise: 1 // 6


def test_calflops_does_not_see_a_product_by_its_operator() -> None:
    assert count("calflops", "matmul", (2, 5, 7), (2, 7, 3)) == 0
    assert count("calflops", "conv", SIGNAL, out=5, kernel=3) == 3 * 11 * 5 * 4 * 3


# ---- torchvision: what the metadata of its weights say ---------------------------------------------


def published() -> list[tuple[str, Any]]:
    networks = {name: OTHERWISE.get(name, name) for name in [*MODELS.list_models(MODELS), "lraspp_mobilenet_v3_large"]}
    bundled = {path.stem for path in (FILE.parent.parent / "architectures").glob("*.yaml")}
    return [
        (networks[n], weights) for n in networks if networks[n] in bundled for weights in MODELS.get_model_weights(n)
    ]


def billions(macs: int) -> float:
    return round(macs / 1e9, 3)


def test_torchvisions_numbers() -> None:
    """At the size at which each set of weights is evaluated; sets that share network and size share the number."""
    graphs: dict[tuple[str, int], int] = {}
    weights = published()
    for name, one in weights:
        options = one.transforms.keywords
        size = options.get("crop_size") or options["resize_size"]
        if (name, size) not in graphs:
            graphs[name, size] = counted(cnncost.load(name, input=f"3x{size}x{size}"), "torchvision").total
        assert billions(graphs[name, size]) == one.meta["_ops"], f"{name} at {size}"
    assert len({name for name, _ in weights}) == 69


@pytest.mark.parametrize("name", ["fcn_resnet50", "fcn_resnet101", "deeplabv3_resnet50", "deeplabv3_resnet101"])
def test_torchvisions_numbers_of_segmentation_have_the_auxiliary_classifier(name: str) -> None:
    """Its weights come with it; the network at inference goes without: 3 x 3 to a quarter, 1 x 1 to the classes."""
    (weights,) = MODELS.get_model_weights(name)
    auxiliary = (520 // 8) ** 2 * (1024 * 256 * 3**2 + 256 * 21)
    macs = counted(cnncost.load(name, input="3x520x520"), "torchvision").total
    assert billions(macs + auxiliary) == weights.meta["_ops"]


# ---- counts as values -----------------------------------------------------------------------------


def test_layers_and_causes_add_up() -> None:
    graph = cnncost.load("inception_v3")
    for name in CONVENTIONS:
        counts = counted(graph, name)
        assert sum(counts.layers.values()) == counts.total == counts.macs + sum(counts.added.values())
        assert list(counts.texts) == list(counts.added)
        assert counts.macs == cnncost.analyze(graph).total.macs


def test_an_unknown_tool() -> None:
    with pytest.raises(UsageError, match="unknown convention thopp") as e:
        counted(cnncost.load("lenet5"), "thopp")
    assert e.value.hint == "did you mean thop?"


def test_sizes_that_are_arrays() -> None:
    builder = GraphBuilder()
    builder.add_input("x", (1, 3, np.array([8, 16]), 8))
    builder.add("relu", case("relu", IMAGE).op(), ("x",))
    with pytest.raises(UsageError, match="a convention needs one design point"):
        counted(Graph("sweep", builder.inputs, tuple(builder.nodes)), "thop")


# ---- report --convention --------------------------------------------------------------------------


def block_of(text: str) -> list[str]:
    """The lines under a report that tell how a tool comes to its number."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("as "))
    return lines[start : lines.index("", start)]


def test_a_report_says_how_a_tool_comes_to_its_number(run: Any) -> None:
    """LeNet-5 by torchinfo: a bias an output of C1, C3, C5 and F6; scales and biases of two pools once."""
    outputs = 6 * 28 * 28 + 16 * 10 * 10 + 120 * 1 * 1 + 84
    total = 325_680 + outputs + 2 * (6 + 16)
    result = run("report", "lenet5", "--convention", "torchinfo")
    assert (result.code, result.err) == (0, "")
    assert [line.split() for line in block_of(result.out)[2:6]] == [
        ["MACs", "325,680"],
        ["bias", f"+{outputs:,}", f"{outputs / 325_680:.2%}"],
        ["slopes", "and", "scales", f"+{2 * (6 + 16)}", "0.01%"],
        ["torchinfo", f"{total:,}", f"{total / 325_680:.2%}"],
    ]
    column = next(line for line in result.out.splitlines() if line.startswith("total "))
    assert column.split()[-1] == f"{total:,}"


@pytest.mark.parametrize("tool", CONVENTIONS)
def test_json_has_the_count_of_every_layer_and_keeps_its_schema(run: Any, tool: str) -> None:
    record = json.loads(run("report", "densenet121", "--convention", tool, "--format", "json").out)
    jsonschema.validate(record, schema.schema())
    said, counts = record["convention"], counted(cnncost.load("densenet121"), tool)
    assert said["layers"] == counts.layers
    assert said["total"] == said["macs"] + sum(said["added"].values()) == sum(said["layers"].values())
    assert set(said["rules"]) == set(said["added"])


@pytest.mark.parametrize("by", ["layer", "block", "op"])
def test_the_column_adds_up(run: Any, by: str) -> None:
    text = run("report", "resnet18", "--convention", "ptflops", "--by", by, "--format", "csv").out
    rows = list(csv.DictReader(io.StringIO(text)))
    assert sum(int(row["counted"]) for row in rows) == counted(cnncost.load("resnet18"), "ptflops").total
    assert list(rows[0]).index("counted") == list(rows[0]).index("macs") + 1


def test_markdown(run: Any) -> None:
    text = run("report", "lenet5", "--convention", "fvcore", "--format", "markdown").out
    assert "**as fvcore counts (0.1.5.post20221221; it says flops)**" in text
    assert "| fvcore | 325,680 | 100.00% |" in text


def test_traced_operators_without_a_rule_are_named(run: Any, folder: Path) -> None:
    """What a tool makes of them is not known: they count their MACs."""
    (folder / "net.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.conv = torch.nn.Conv2d(3, 4, 3)\n"
        "    def forward(self, x):\n"
        "        return self.conv(x).exp().sum((2, 3)) + self.conv(x).mean((2, 3))\n"
    )
    result = run("report", "net.py:Net", "--input", "3x8x8", "--convention", "thop")
    assert result.code == 0
    assert block_of(result.out)[-1] == "No rule for traced exp, sum: by their MACs here."


# ---- what is said of it ---------------------------------------------------------------------------


SHOWN = {"resnet50": "ResNet-50", "efficientnet_b0": "EfficientNet-B0", "convnext_tiny": "ConvNeXt-T"}


def numbers() -> list[str]:
    """The tools' numbers for a few networks, and what they call them."""
    lines = [f"| tool | its number | {' | '.join(SHOWN.values())} |", f"|---|---|{'--:|' * len(SHOWN)}"]
    graphs = [cnncost.load(name) for name in SHOWN]
    for name, convention in CONVENTIONS.items():
        shown = " | ".join(f"{counted(graph, name).total / 1e9:.3f}" for graph in graphs)
        lines.append(f"| {name} {convention.version} | {convention.calls} | {shown} |")
    return lines


def said(rules: tuple[Rule, ...]) -> list[str]:
    """Sentences of rules, one a cause."""
    texts: dict[str, dict[str, bool]] = {}
    for rule in rules:
        texts.setdefault(rule.cause, {})[rule.text] = True
    return [f"*{cause}*: {'; '.join(found)}." for cause, found in texts.items()]


def rules(convention: Convention) -> str:
    """What a tool counts besides MACs, by cause, and what its number is."""
    parts = [f"- **{convention.name}**.", *said(convention.rules), convention.note]
    if convention.functions:
        parts += ["Called without a module of torch.nn:", *said(convention.functions)]
    if convention.traced:
        parts += ["In models:", *said(convention.traced)]
    line = " ".join(part for part in parts if part)
    return textwrap.fill(line, 120, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def table() -> str:
    lines = [*numbers(), "", "What each counts besides the MACs, or else than them:", ""]
    return "\n".join([*lines, *map(rules, CONVENTIONS.values())]) + "\n"


def with_table(document: str) -> str:
    return TABLE.sub(lambda match: match[1] + table() + match[2], document)


def test_the_docs_say_what_the_rules_do() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert with_table(text) == text
    assert all(f"- **{name}**." in text for name in CONVENTIONS)


if __name__ == "__main__":
    FILE.write_text(with_table(FILE.read_text(encoding="utf-8")), encoding="utf-8")
