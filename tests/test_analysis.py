"""The walk: totals, borders, depth, folding."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy
import pytest
import torch

import cnncost
from cnncost.analysis.dtypes import DTYPES
from cnncost.analysis.fold import fold, ranked, top
from cnncost.analysis.report import analyze
from cnncost.cost import NOTHING, Cost, total
from cnncost.graph import Graph


def spec(folder: Path, text: str) -> str:
    path = folder / "net.yaml"
    path.write_text(text)
    return str(path)


def run_positive(graph: Graph, image: torch.Tensor) -> dict[str, torch.Tensor]:
    """Outputs of all layers with all parameters above zero, so that no gradient cancels."""
    values = dict.fromkeys(graph.inputs, image)
    for node in graph:
        module = node.op.module(torch, *(graph.shapes[i] for i in node.inputs)).eval()
        for parameter in module.parameters():
            torch.nn.init.uniform_(parameter, 0.1, 1.0)
        values[node.name] = module(*(values[i] for i in node.inputs))
    return values


@pytest.mark.parametrize(("kernel", "stride", "padding", "ceil"), [(3, 3, 0, False), (2, 3, 1, False), (3, 4, 1, True)])
@pytest.mark.parametrize("size", [7, 8, 9, 10, 11, 12])
def test_dropped_pixels_are_those_without_a_gradient(tmp_path, kernel, stride, padding, ceil, size) -> None:
    """Rows at the far border that no window reaches; those between windows are skipped, not dropped."""
    op = f"{{avg_pool: {kernel}, stride: {stride}, padding: {padding}, ceil_mode: {str(ceil).lower()}}}"
    graph = cnncost.load(spec(tmp_path, f"input: 1x{size}x{size + 5}\nlayers: {{pool: {op}}}"))
    image = torch.ones(1, 1, size, size + 5, requires_grad=True)
    run_positive(graph, image)["pool"].sum().backward()
    rows, columns = image.grad[0, 0].any(1), image.grad[0, 0].any(0)
    expected = tuple(len(used) - 1 - int(used.nonzero().max()) for used in (rows, columns))
    assert analyze(graph).layers[0].dropped == expected


def test_the_lectures_window_that_does_not_fit(tmp_path) -> None:
    """7x7 under 3x3 with stride 3: (7 - 3) / 3 + 1 is 2.33; PyTorch floors it and a border goes unseen."""
    path = spec(tmp_path, "input: 1x7x7\nlayers: {conv: {conv: 1, kernel: 3, stride: 3}}")
    (layer,) = cnncost.analyze(path).layers
    assert layer.output_shape == (1, 1, 2, 2)
    assert layer.dropped == (1, 1)
    assert layer.uneven == ("height", "width")
    with pytest.raises(cnncost.ShapeError, match="not whole"):
        cnncost.analyze(path, strict=True)
    for stride, out in ((1, 5), (2, 3)):
        path = spec(tmp_path, f"input: 1x7x7\nlayers: {{conv: {{conv: 1, kernel: 3, stride: {stride}}}}}")
        assert cnncost.analyze(path, strict=True).layers[0].output_shape == (1, 1, out, out)


def test_a_reused_layer_counts_its_parameters_once_and_its_work_twice(tmp_path) -> None:
    once = "input: {left: 3x9x9, right: 3x9x9}\nlayers:\n  a: {conv: 4, kernel: 3, from: left}\n"
    twice = once + "  b: {reuse: a, from: right}\n"
    one, two = cnncost.analyze(spec(tmp_path, once)), cnncost.analyze(spec(tmp_path, twice))
    assert two.total.params == one.total.params == 4 * 3 * 9 + 4
    assert two.total.macs == 2 * one.total.macs
    assert two.layers[1].shares == "a"
    assert two.layers[1].cost.read == two.layers[0].cost.read


@pytest.mark.parametrize("name", ["alexnet", "mobilenet_v2", "densenet121", "inception_v3"])
def test_everything_but_parameters_grows_with_the_batch(name) -> None:
    one, many = cnncost.analyze(name), cnncost.analyze(name, batch=5)
    for key, value in one.totals.items():
        if key in ("params", "weights", "biases", "other_params", "buffers", "weight_bytes", "layers"):
            assert many.totals[key] == value
        elif key == "elements_read":
            kept = sum(layer.cost.params + layer.cost.buffers for layer in one.layers)
            assert many.totals[key] - kept == 5 * (value - kept)
        elif key == "peak_bytes":
            kept = one.totals["weight_bytes"] + one.memory.parts.get("buffers", 0)
            assert many.totals[key] - kept == 5 * (value - kept)
        else:
            assert many.totals[key] == 5 * value
    assert many.per_image == one.per_image


@pytest.mark.parametrize(("dtype", "size"), DTYPES.items())
def test_bytes_follow_the_dtype(dtype, size) -> None:
    report = cnncost.analyze("lenet5", dtype=dtype)
    assert report.totals["weight_bytes"] == size * report.total.params
    assert report.totals["activation_bytes"] == size * report.total.activations
    layer = report.layers[0]
    assert layer.intensity == layer.flops / (size * (layer.cost.read + layer.cost.written))
    itemsize = {"fp64": torch.float64, "fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
    itemsize |= {"int8": torch.int8, "tf32": torch.float32, "fp8": torch.float8_e4m3fn}
    assert size == itemsize[dtype].itemsize


def test_unknown_dtype() -> None:
    with pytest.raises(cnncost.UsageError) as e:
        cnncost.analyze("lenet5", dtype="fp23")
    assert str(e.value) == "unknown dtype fp23\nhint: did you mean fp32?"


def test_views_and_in_place_layers_take_no_storage(tmp_path) -> None:
    text = "input: 2x5x7\nlayers: {a: {conv: 3}, b: {relu, inplace: true}, c: relu, d: flatten, e: dropout}"
    sizes = {layer.name: layer.activation_bytes for layer in cnncost.analyze(spec(tmp_path, text)).layers}
    assert sizes == {"a": 4 * 3 * 35, "b": 0, "c": 4 * 3 * 35, "d": 0, "e": 0}


def test_depth_is_the_longest_path_of_layers_with_weights() -> None:
    depths = {"alexnet": 8, "vgg16": 16, "googlenet": 22, "resnet18": 18, "resnet50": 50, "resnet152": 152}
    assert {name: cnncost.analyze(name).depth for name in depths} == depths


GATED = """
input: 8x6x5
layers:
  trunk: {conv: 8, kernel: 3, padding: 1}
  pool: global_avg_pool
  squeeze: {conv: 2}
  expand: {conv: 8}
  gated: {multiply: [%s]}
  last: {conv: 4}
"""


@pytest.mark.parametrize(
    ("product", "batch", "layers"),
    [
        ("trunk, expand", 1, 1 + 1),  # a gate of one number a channel
        ("expand, trunk", 2, 1 + 1),
        ("trunk, trunk", 1, 1 + 2),  # the gate is then an output of its own
        ("pool, expand", 1, 1 + 2 + 1),  # no input is stretched: the longest path counts
    ],
)
def test_gates_make_no_network_deeper(tmp_path, product, batch, layers) -> None:
    path = spec(tmp_path, GATED % product)
    assert cnncost.analyze(path, batch=batch).depth == layers
    assert cnncost.analyze(path, batch=numpy.array([batch, 3])).depth == layers


def test_costs_add_up() -> None:
    a = Cost(*range(14))
    assert a + NOTHING == a
    assert total([a, a]) == a + a == Cost(*range(0, 28, 2))
    assert total([]) == NOTHING
    assert a.flops == 2 * a.macs + 5 + 6 + 7 + 8 + 9


@pytest.mark.parametrize(("by", "depth"), [("block", 1), ("block", 2), ("block", 9), ("op", 1), ("layer", 1)])
def test_folding_keeps_sums(by, depth) -> None:
    report = cnncost.analyze("resnet50")
    rows = fold(report, by, depth)
    assert total(row.cost for row in rows) == report.total
    assert len({row.name for row in rows}) == len(rows)
    if by == "block" and depth == 9:
        assert rows == list(report.layers)


def test_folded_blocks_take_what_their_first_layers_take() -> None:
    rows = {row.name: row for row in fold(cnncost.analyze("googlenet"), "block")}
    assert rows["3b"].inputs == (cnncost.load("googlenet").nodes[0].name.split(".")[0],) or all(
        i.startswith("3a") for i in rows["3b"].inputs
    )
    assert rows["3a"].output_shape == (1, 64 + 128 + 32 + 32, 28, 28)


def test_ranking_and_cutting() -> None:
    report = cnncost.analyze("alexnet")
    rows = top(ranked(fold(report), lambda row: row.params), 2)
    assert [row.name for row in rows] == ["fc6", "fc7", "(the others)"]
    assert total(row.cost for row in rows) == report.total
    unranked = ranked(fold(report), lambda row: row.intensity)
    assert [row.name for row in unranked if row.intensity is None] == ["flatten", "drop6", "drop7"]
    assert unranked[-1].intensity is None
    assert [r.name for r in ranked(fold(report), lambda row: row.name)] == sorted(r.name for r in report.layers)
    few = fold(report)[:3]
    assert top(few, 2) == few  # cutting one row to make one row says less


def test_results_are_frozen() -> None:
    report = cnncost.analyze("lenet5")
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.batch = 2  # type: ignore[misc]
    with pytest.raises(AttributeError):
        report.layers[0].name = "x"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        cnncost.load("lenet5").nodes[0].op.kernel = 2  # type: ignore[attr-defined]


def test_a_graph_over_arrays_gives_at_each_point_what_that_point_gives() -> None:
    batch, side = numpy.array([1, 2, 5])[:, None], numpy.array([64, 97, 224, 225])
    report = cnncost.analyze("resnet50", batch=batch, input=(3, side, side + 1))
    for i, b in enumerate(batch.flat):
        for j, s in enumerate(side):
            point = cnncost.analyze("resnet50", batch=int(b), input=(3, int(s), int(s) + 1))
            for name, value in report.total._asdict().items():
                assert numpy.broadcast_to(value, (3, 4))[i, j] == getattr(point.total, name), name
    assert type(report.total.params) is int  # it depends on neither, and stays a number


def test_counts_beyond_int64_are_refused_not_wrapped(tmp_path) -> None:
    text = """
input: 64x512x512
parameters: {width: 64}
layers:
  a: {conv: width, kernel: 7, padding: 3}
  b: {conv: width, kernel: 7, padding: 3}
"""
    path = spec(tmp_path, text)
    widths = numpy.array([64, 200_000])
    assert cnncost.analyze(path, set={"width": 200_000}, batch=256).total.macs > 2**63
    with pytest.raises(cnncost.UsageError, match=r"a count passes 2\^63"):
        cnncost.analyze(path, set={"width": widths}, batch=256)
    assert cnncost.analyze(path, set={"width": widths}).total.macs.max() < 2**63


def test_strict_holds_at_every_design_point() -> None:
    with pytest.raises(cnncost.ShapeError, match=r"\(230 \+ 0 \+ 0 - 11\) / 4"):
        cnncost.analyze("alexnet", input=(3, numpy.array([227, 230]), 227), strict=True)
    cnncost.analyze("alexnet", input=(3, numpy.array([227, 291]), 227), strict=True)


@pytest.mark.parametrize("dtype", ["float16", torch.float16, numpy.dtype("float16")])
def test_dtypes_by_other_names(dtype) -> None:
    assert cnncost.analyze("lenet5", dtype=dtype).dtype == "fp16"
