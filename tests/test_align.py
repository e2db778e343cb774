"""Two networks layer by layer: the alignment itself, and how it is shown."""

from __future__ import annotations

import csv
import io
import json
from functools import cache

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from specs import net

import cnncost
from cnncost.analysis import align as module
from cnncost.analysis.align import Alignment, Pair
from cnncost.analysis.report import LayerReport, Report
from cnncost.cost import Cost

OPS = {
    "conv4": "{conv: 4, kernel: 3, padding: 1}",
    "conv6": "{conv: 6, kernel: 3, padding: 1}",
    "conv1x1": "{conv: 4}",
    "bn": "batch_norm",
    "relu": "relu",
    "tanh": "tanh",
}
Layers = list[tuple[str, str]]
"""Names and keys of OPS, in order."""


def priced(layers: Layers) -> Report:
    lines = "".join(f"  {name}: {OPS[op]}\n" for name, op in layers)
    return cnncost.analyze(net(f"input: 4x5x6\nlayers:\n{lines}"))


@st.composite
def chains(draw: st.DrawFn, least: int = 1) -> Layers:
    """Layers with names of their own; in two networks some names are the same."""
    names = draw(st.lists(st.sampled_from([f"n{i}" for i in range(12)]), min_size=least, max_size=7, unique=True))
    return [(name, draw(st.sampled_from(sorted(OPS)))) for name in names]


def likeness(a: LayerReport, b: LayerReport) -> int:
    """The score of a pair, from the module's words and not from its code."""
    alike = 2 * (a.kind == b.kind) + 2 * (a.output_shape == b.output_shape)
    if a.op == b.op:
        score = 1 + alike + (a.cost == b.cost) if alike else 0
        return max(score, 1) + 3 if a.name == b.name else score
    return (3 if a.output_shape == b.output_shape else 1) if a.name == b.name else 0


def best(a: Report, b: Report) -> int:
    """The largest score of any alignment, by trying all."""

    @cache
    def of(i: int, j: int) -> int:
        if i == len(a.layers) or j == len(b.layers):
            return 0
        return max(of(i + 1, j), of(i, j + 1), likeness(a.layers[i], b.layers[j]) + of(i + 1, j + 1))

    return of(0, 0)


# ---- laws --------------------------------------------------------------------------------------


@given(chains())
def test_a_network_is_equal_to_itself(layers: Layers) -> None:
    alignment = module.align(priced(layers), priced(layers))
    assert alignment.changes == ()
    assert len(alignment.pairs) == len(layers)


@given(chains(), chains())
def test_all_layers_are_there_in_order_and_pairs_are_the_best(first: Layers, second: Layers) -> None:
    a, b = priced(first), priced(second)
    pairs = module.align(a, b).pairs
    assert [pair.a for pair in pairs if pair.a is not None] == list(a.layers)
    assert [pair.b for pair in pairs if pair.b is not None] == list(b.layers)
    assert sum(likeness(pair.a, pair.b) for pair in pairs if pair.a and pair.b) == best(a, b)


@given(chains(), chains())
def test_differences_add_up_to_those_of_the_totals(first: Layers, second: Layers) -> None:
    a, b = priced(first), priced(second)
    pairs = module.align(a, b).pairs
    for figure in (*Cost._fields, "params", "flops"):
        whole = getattr(b.total, figure) - getattr(a.total, figure)
        assert sum(pair.difference(figure) for pair in pairs) == whole, figure


@given(chains(), st.data())
def test_a_layer_put_in_or_taken_out_is_found(layers: Layers, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(layers)))
    longer = [*layers[:place], ("new", "tanh"), *layers[place:]]
    added = module.align(priced(layers), priced(longer)).changes
    removed = module.align(priced(longer), priced(layers)).changes
    assert [(pair.change, pair.b and pair.b.name) for pair in added] == [("only_b", "new")]
    assert [(pair.change, pair.a and pair.a.name) for pair in removed] == [("only_a", "new")]


@given(chains())
def test_names_alone_are_no_difference(layers: Layers) -> None:
    renamed = [(f"other{i}", op) for i, (_, op) in enumerate(layers)]
    alignment = module.align(priced(layers), priced(renamed))
    assert alignment.changes == ()
    assert all(pair.renamed for pair in alignment.pairs)


def test_numbered_names_mislead_nobody() -> None:
    """As torchvision numbers its layers: an index means another layer once one is put in."""
    plain = ["conv4", "relu", "conv6", "relu", "conv4", "relu"]
    norms = ["conv4", "bn", "relu", "conv6", "bn", "relu", "conv4", "bn", "relu"]
    a, b = (priced([(str(i), op) for i, op in enumerate(ops)]) for ops in (plain, norms))
    assert [(pair.change, pair.b and pair.b.op) for pair in module.align(a, b).changes] == [
        ("only_b", "batch_norm")
    ] * 3


def test_another_op_under_the_same_name_is_a_change() -> None:
    a, b = (priced([("a", "conv4"), ("act", op), ("b", "conv4")]) for op in ("relu", "tanh"))
    (pair,) = module.align(a, b).changes
    assert (pair.change, pair.a and pair.a.kind, pair.b and pair.b.kind) == ("changed", "relu", "tanh")
    assert "kind" in pair.differs


def test_of_equal_alignments_pairs_are_early_and_layers_of_the_first_network_before_others() -> None:
    a, b = priced([("a", "conv1x1")]), priced([("b", "tanh")])
    assert [pair.change for pair in module.align(a, b).pairs] == ["only_a", "only_b"]
    one, two = priced([("a", "tanh")]), priced([("b", "tanh"), ("c", "tanh")])
    assert [pair.change for pair in module.align(one, two).pairs] == ["equal", "only_b"]
    assert [pair.change for pair in module.align(two, one).pairs] == ["equal", "only_a"]


# ---- networks ----------------------------------------------------------------------------------


def changes(a: str, b: str) -> tuple[Pair, ...]:
    return cnncost.align(a, b).changes


def test_batch_norms_are_what_vgg16_bn_adds() -> None:
    found = changes("vgg16", "vgg16_bn")
    assert {(pair.change, pair.b and pair.b.op) for pair in found} == {("only_b", "batch_norm")}
    assert len(found) == 13
    # Scale and shift a channel; 64, 64, 128, 128, then three times 256, and six times 512.
    assert sum(pair.difference("params") for pair in found) == 2 * (2 * 64 + 2 * 128 + 3 * 256 + 6 * 512)


def test_strides_are_what_resnet50_v1_moves() -> None:
    found = changes("resnet50", "resnet50_v1")
    assert {pair.change for pair in found} == {"changed"}
    strided = [pair for pair in found if "kind" in pair.differs]
    assert [pair.a.name for pair in strided if pair.a] == [
        f"conv{stage}_x.0.conv{i}.conv" for stage in (3, 4, 5) for i in (1, 2)
    ]
    # What lies between the two convolutions is smaller, and nothing else differs.
    assert len(found) == 3 * len(["conv1.conv", "conv1.bn", "relu1", "conv2.conv"])
    # A 1x1 convolution at a quarter of the places, from 256 to 128 channels at 56x56, and so on.
    assert [pair.difference("macs") for pair in strided[::2]] == [
        -3 * (2 * c * c) * (n // 2) ** 2 for c, n in ((128, 56), (256, 28), (512, 14))
    ]


def test_one_layer_is_what_alexnet_dense_conv4_changes() -> None:
    (pair,) = changes("alexnet", "alexnet_dense_conv4")
    assert pair.a is not None
    assert pair.a.name == "conv4"
    assert pair.difference("params") == 384 * (384 // 2) * 9
    assert pair.difference("macs") == 384 * (384 // 2) * 9 * 13 * 13


def test_a_thousand_layers_against_a_thousand() -> None:
    ops = sorted(OPS)
    a = priced([(f"a{i}", ops[i % 5]) for i in range(1000)])
    b = priced([(f"b{i}", ops[i % 7 % 6]) for i in range(1000)])
    pairs = module.align(a, b).pairs
    assert [pair.a.name for pair in pairs if pair.a] == [f"a{i}" for i in range(1000)]
    assert [pair.b.name for pair in pairs if pair.b] == [f"b{i}" for i in range(1000)]


def test_too_many_layers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CELLS_AT_MOST", 24 * 40 - 1)
    with pytest.raises(cnncost.UsageError, match="24 layers against 40 are too many to align"):
        cnncost.align("alexnet", "vgg16")
    assert cnncost.align("alexnet", "alexnet_dense_conv4").changes  # equal ends are not weighed


# ---- as shown ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("compare-layers-alexnet.txt", "compare --layers alexnet alexnet_dense_conv4"),
        ("compare-layers-alexnet-all.txt", "compare --layers alexnet alexnet_dense_conv4 --all --units M"),
        ("compare-layers-resnet50.txt", "compare --layers resnet50 resnet50_v1"),
        ("compare-layers-vgg16.md", "compare --layers vgg16 vgg16_bn --format markdown"),
    ],
)
def test_whole_output(run, golden, name, arguments) -> None:
    result = run(*arguments.split())
    assert (result.code, result.err) == (0, "")
    golden(name, result.out)


@pytest.mark.parametrize("width", [80, 100, 120])
def test_no_width_cuts_a_number(width) -> None:
    from cnncost.output.align import alignment_table, draw
    from cnncost.output.tables import Paper

    alignment = cnncost.align("alexnet", "alexnet_torchvision")
    text = alignment_table(alignment, paper=Paper(width))
    assert max(map(len, text.splitlines())) <= width
    for column in draw(alignment, False, "exact")[-2:]:
        for number in filter(None, column.lines):
            assert number in text


def test_narrow_paper_stacks_what_differs(golden) -> None:
    from cnncost.output.align import alignment_table
    from cnncost.output.tables import Paper

    text = alignment_table(cnncost.align("resnet50", "resnet50_v1"), paper=Paper(80, unicode=False))
    golden("compare-layers-80-columns.txt", text)
    assert max(map(len, text.splitlines())) <= 80
    assert "-> conv 1x1/2" in text


def check_json(alignment: Alignment, text: str, schema: str) -> None:
    value = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(json.loads(schema))
    jsonschema.validate(value, json.loads(schema))
    assert len(value["pairs"]) == len(alignment.pairs)
    for figure in ("params", "macs", "flops"):
        rows = [pair["difference"][figure] for pair in value["pairs"]]
        assert sum(rows) == value["difference"][figure]
        assert sum(rows) == value["b"]["totals"][figure] - value["a"]["totals"][figure]


def test_json_follows_its_schema_and_adds_up(run) -> None:
    names = ("alexnet", "alexnet_torchvision")
    out = run("compare", "--layers", *names, "--format", "json").out
    alignment = cnncost.align(*names)
    assert out == alignment.to_json()
    check_json(alignment, out, run("schema", "layers").out)


def test_csv_has_a_line_a_pair(run) -> None:
    out = run("compare", "--layers", "vgg16", "vgg16_bn", "--format", "csv").out
    lines = list(csv.DictReader(io.StringIO(out)))
    alignment = cnncost.align("vgg16", "vgg16_bn")
    assert len(lines) == len(alignment.pairs)
    whole = alignment.b.total.params - alignment.a.total.params
    assert sum(int(line["params_difference"]) for line in lines) == whole
    added = [line["name_b"] for line in lines if line["change"] == "only_b"]
    assert added == [pair.b.name for pair in alignment.changes if pair.b]


def test_alignments_show_themselves() -> None:
    alignment = cnncost.align("alexnet", "alexnet_dense_conv4")
    assert repr(alignment) == "<Alignment of alexnet and alexnet_dense_conv4: 1 of 24 rows differ>"
    assert "conv 3x3 g2 → conv 3x3" in str(alignment)
    assert [row["change"] for row in alignment.rows()].count("changed") == 1
