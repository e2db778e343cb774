"""`cnncost explain`: every printed formula is true, and is the op's own."""

from __future__ import annotations

import json
import math
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from cases import CASES, Case
from formulas import check_true, lines_of, value_of

import cnncost
from cnncost.analysis.explain import LayerExplanation, explain
from cnncost.analysis.report import analyze
from cnncost.analysis.select import select
from cnncost.analysis.trace import Traced, named, text, told
from cnncost.graph import Graph, GraphBuilder

every_case = pytest.mark.parametrize("case", CASES, ids=map(str, CASES))

# ---- reading what is printed ------------------------------------------------------------------


def test_formulas_are_read_exactly() -> None:
    assert value_of("(27 + 2x2 - 5)/1 + 1") == 27
    assert value_of("256 x (96/2 x 5 x 5)") == 256 * 48 * 25
    assert value_of("(7 - 3)/3 + 1") == Fraction(7, 3)
    assert value_of("floor((7 - 3)/3) + 1") == 2
    assert value_of("ceil(11/3) x 3 - 11") == 1
    assert value_of("307,200 x 27") == 307200 * 27
    assert value_of("13 + 5 - gcd(13, 5)") == 17
    assert value_of("floor(8 x 0.4)") == 3
    assert value_of("weights x height'", {"weights": 3, "height'": 5, "height": 7}) == 15
    with pytest.raises(KeyError):
        value_of("weights x height")


def check_complete(explained: LayerExplanation) -> None:
    """Every count of the layer's cost that is not 0 has its line, and every line of a count is the cost's."""
    cost, size = explained.layer.cost, explained.layer.element_bytes
    counts = {
        "weights": cost.weights,
        "biases": cost.biases,
        "other params": cost.other_params,
        "statistics": cost.buffers,
        "MACs": cost.macs,
        "additions": cost.additions,
        "multiplications": cost.multiplications,
        "comparisons": cost.comparisons,
        "divisions": cost.divisions,
        "exponentials": cost.exponentials,
        "neurons": cost.neurons,
        "activation bytes": cost.activations * size,
        "parameter bytes": cost.params * size,
    }
    lines = {e.quantity: e.value for e in explained.equations}
    assert {name: n for name, n in lines.items() if name in counts} == {n: v for n, v in counts.items() if v}
    assert lines.get("FLOPs", cost.flops) == cost.flops
    assert lines.get("params", cost.params) == cost.params
    assert lines.get("outputs", math.prod(explained.layer.output_shape)) == math.prod(explained.layer.output_shape)


def check_sizes(explained: LayerExplanation) -> None:
    """Sizes of the output, borders and receptive fields are the report's."""
    layer = explained.layer
    lines = {name: e.value for e in explained.equations for name in e.quantity.split(", ")}
    axes = {1: ["length"], 2: ["height", "width"], 3: ["depth", "height", "width"]}.get(len(layer.output_shape) - 2, [])
    for axis, n in zip(axes, layer.output_shape[2:]):
        assert lines.get(f"{axis}'", n) == n
    unseen = [n for name, n in lines.items() if name.startswith("unseen") or name in ("columns", "rows")]
    assert set(unseen) == {n for n in layer.dropped if n}
    if layer.receptive_field:
        fields = [e.value for e in explained.equations if re.match("receptive field|field ", e.quantity)]
        assert set(fields) == set(layer.receptive_field.size)


def one(case: Case) -> LayerExplanation:
    builder = GraphBuilder()
    names = tuple(f"in{i}" for i in range(len(case.shapes)))
    for name, shape in zip(names, case.shapes):
        builder.add_input(name, shape)
    builder.add("x", case.op(), names)
    graph = Graph("one", builder.inputs, tuple(builder.nodes))
    report = analyze(graph)
    return explain(graph, report, report.layers)["x"]


@every_case
def test_every_formula_of_every_op_is_true(case: Case) -> None:
    explained = one(case)
    check_true(explained)
    check_complete(explained)
    check_sizes(explained)


@pytest.mark.parametrize("name", ["alexnet", "googlenet", "resnet50", "mobilenet_v2", "densenet121", "inception_v3"])
def test_every_formula_of_a_network_is_true(name: str) -> None:
    explanation = cnncost.explain(name, "*", batch=3)
    assert len(explanation.layers) == len(cnncost.load(name))
    for explained in explanation:
        check_true(explained)
        check_complete(explained)
        check_sizes(explained)
    for e in explanation.sums:
        assert not e.numbers or value_of(e.numbers) == e.value


def test_the_sum_of_a_block_is_that_of_its_layers() -> None:
    explanation = cnncost.explain("googlenet", "3a")
    layers = [layer for layer in cnncost.analyze("googlenet").layers if layer.name.startswith("3a.")]
    sums = {e.quantity: e for e in explanation.sums}
    assert sums["params"].value == sum(layer.params for layer in layers)
    assert sums["MACs"].value == sum(layer.macs for layer in layers)
    assert sums["FLOPs"].value == sum(layer.flops for layer in layers)
    assert value_of(sums["MACs"].numbers) == sums["MACs"].value


# ---- sizes that remember ----------------------------------------------------------------------


def shown(size: Any) -> tuple[str, str]:
    return text(told(size), numbers=False), text(told(size), numbers=True)


def test_what_says_nothing_is_left_out() -> None:
    n, k, one, zero = named("n", 7), named("k", 3), named("d", 1, quiet=True), named("p", 0, quiet=True)
    assert shown(n + zero) == ("n", "7")
    assert shown(one * (k - 1) + 1) == ("k", "3")
    assert shown(n // one * one) == ("n", "7")
    assert shown(n // n * k) == ("k", "3")
    assert shown(n * True + n * False) == ("n", "7")
    assert shown(0 * n) == ("0", "0")


def test_inputs_of_other_batches_are_told_apart() -> None:
    explained = cnncost.explain("add", input=["2x3x3", "2x1x3"], batch=4)["add"]
    assert "batch" in explained.names
    outer = one(next(c for c in CASES if c.key == "matmul" and c.shapes[0][0] != c.shapes[1][0]))
    assert outer.names["batch"] != 1
    assert value_of(lines_of(outer)["MACs"].symbols, outer.names) == outer.layer.macs


def test_terms_are_counted_and_signs_kept() -> None:
    n, p, k, less = named("n", 7), named("p", 2), named("k", 3), named("m", -4)
    assert shown(n + p + p - k) == ("n + 2 x p - k", "7 + 2x2 - 3")
    assert shown(-k + n) == ("n - k", "7 - 3")
    assert shown(less + n) == ("m + n", "7 - 4")
    assert shown(n + less + less) == ("n + 2 x m", "7 - 2x4")
    assert shown(1 - n) == ("1 - n", "1 - 7")
    assert shown(n - (p - k)) == ("n - p + k", "7 - 2 + 3")


def test_brackets_and_rounding() -> None:
    n, k, s = named("n", 8), named("k", 3), named("s", 2)
    assert shown((n - k) // s) == ("floor((n - k)/s)", "floor((8 - 3)/2)")
    assert shown(n // s // s) == ("(n/s)/s", "(8/2)/2")
    assert shown(-(-n // k)) == ("ceil(n/k)", "ceil(8/3)")
    assert shown(n * (k * k * s)) == ("n x (k x k x s)", "8 x (3 x 3 x 2)")
    assert shown(n * (k * k - 1)) == ("n x (k x k - 1)", "8 x (3 x 3 - 1)")
    assert shown(n**2) == ("n x n", "8 x 8")
    assert shown(n // (k * k)) == ("floor(n/(k x k))", "floor(8/(3 x 3))")


def test_a_traced_size_is_an_int_and_leaves_the_rest_to_ints() -> None:
    n = named("n", 7)
    assert isinstance(n, Traced)
    assert (n, hash(n), f"{n:03}", json.dumps(n)) == (7, hash(7), "007", "7")
    assert n * 1.5 == 10.5
    assert n % 4 == 3
    assert Fraction(n, 2) - n == Fraction(-7, 2)
    assert type(n - n + 2) is int


def test_a_double_that_is_not_its_decimal_is_not_told() -> None:
    from cnncost.dims import scaled

    n = named("n", 100)
    assert shown(scaled(n, 1.5)) == ("floor(n x 1.5)", "floor(100 x 1.5)")
    assert shown(scaled(n, 0.123456789)) == ("floor(n x 0.123456789)", "floor(100 x 0.123456789)")
    assert 0.29 * 100 < 29
    assert shown(scaled(n, 0.29)) == ("28", "28")


# ---- which layers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "wanted", "found"),
    [
        ("alexnet", "conv2", ["conv2"]),
        ("alexnet", "fc*", ["fc6", "fc7", "fc8"]),
        ("googlenet", "3b.3x3", ["3b.3x3.conv", "3b.3x3.relu"]),
        ("resnet50", "conv3_x.0.conv1", ["conv3_x.0.conv1.conv", "conv3_x.0.conv1.bn"]),
        ("resnet50", "conv1.conv", ["conv1.conv"]),
        ("resnet50", "conv2_x.0.shortcut", ["conv2_x.0.shortcut.conv", "conv2_x.0.shortcut.bn"]),
    ],
)
def test_layers_by_path_block_and_glob(network: str, wanted: str, found: list[str]) -> None:
    assert [layer.name for layer in select(cnncost.analyze(network), wanted)] == found


def test_layers_by_the_end_of_their_path(folder) -> None:
    Path("net.yaml").write_text(
        "input: 3x9x9\nblocks:\n  unit: {layers: {conv: {conv: 3}, act: relu}}\n  top: {layers: {fc: {conv: 2}}}\n"
        "layers: {a: unit, b: unit, head: top}\n"
    )
    report = cnncost.analyze("net.yaml")
    assert [layer.name for layer in select(report, "fc")] == ["head.fc"]
    with pytest.raises(cnncost.UsageError) as e:
        select(report, "act")
    assert str(e.value) == "2 layers end in .act\nhint: '*.act' takes all; or choose one: a.act, b.act"
