"""ONNX files as graphs, against onnx's own evaluator and PyTorch.

`python tests/test_onnx.py` writes the operators in docs/import.md anew.
"""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from conftest import Result
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import cnncost
from cnncost.analysis.report import analyze
from cnncost.api.networks import graph_of
from cnncost.errors import CnncostError
from cnncost.graph import Graph
from cnncost.live import vision

Run = Callable[..., Result]
IMAGE = (2, 6, 9, 11)


def tensor(name: str, value: Any) -> Any:
    return numpy_helper.from_array(np.asarray(value), name)


def weights(*shape: int) -> Any:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def model(
    nodes: Sequence[Any],
    shape: Sequence[Any] = IMAGE,
    constants: dict[str, Any] | None = None,
    outputs: Sequence[str] = ("y",),
    opset: int = 18,
    **more: Sequence[Any],
) -> Any:
    """A model of a few nodes on an input x (and `more`); its last outputs are y."""
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in {"x": shape, **more}.items()]
    held = [tensor(name, value) for name, value in (constants or {}).items()]
    made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    graph = helper.make_graph(list(nodes), "net", inputs, made, held)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)], ir_version=8
    )


def node(kind: str, *inputs: str, outputs: Sequence[str] = ("y",), **attributes: Any) -> Any:
    return helper.make_node(kind, inputs or ("x",), outputs, **attributes)


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[..., Graph]:
    """Save a model and load it as a graph."""

    def load(proto: Any, **given: Any) -> Graph:
        onnx.save(proto, tmp_path / "net.onnx")
        return graph_of(str(tmp_path / "net.onnx"), **given)

    return load


def lines(graph: Graph) -> list[str]:
    """A line a layer: what it is, its inputs and its shape."""
    return [f"{n.op!r} {' '.join(n.inputs)} -> {'x'.join(map(str, n.shape))}" for n in graph]


# ---- operators: shapes are those of onnx's evaluator -------------------------------------------

SHAPES = {
    "conv": ([node("Conv", "x", "w", "b", strides=[2, 1], pads=[1, 0, 1, 2], dilations=[1, 2], group=2)],
             {"w": weights(4, 3, 3, 2), "b": weights(4)}, "conv"),
    "conv of no bias": ([node("Conv", "x", "w")], {"w": weights(4, 6, 1, 1)}, "conv"),
    "depthwise conv": ([node("Conv", "x", "w", group=6)], {"w": weights(12, 1, 3, 3)}, "depthwise_conv"),
    "conv, same upper": ([node("Conv", "x", "w", auto_pad="SAME_UPPER", strides=[2, 2])], {"w": weights(4, 6, 4, 3)},
                         "conv"),
    "conv, same lower": ([node("Conv", "x", "w", auto_pad="SAME_LOWER", strides=[2, 2])], {"w": weights(4, 6, 4, 3)},
                         "conv"),
    "conv, valid": ([node("Conv", "x", "w", auto_pad="VALID")], {"w": weights(4, 6, 4, 3)}, "conv"),
    "transposed conv": ([node("ConvTranspose", "x", "w", strides=[2, 3], pads=[1, 1, 1, 0], output_padding=[1, 0])],
                        {"w": weights(6, 4, 3, 3)}, "transposed_conv"),
    "max pool": ([node("MaxPool", kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 0])], {}, "max_pool"),
    "max pool, ceil": ([node("MaxPool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)], {}, "max_pool"),
    "max pool, stride 1": ([node("MaxPool", kernel_shape=[2, 2])], {}, "max_pool"),
    "average pool": ([node("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])], {}, "avg_pool"),
    "lp pool": ([node("LpPool", kernel_shape=[3, 3], p=1)], {}, "l2_pool"),
    "global average pool": ([node("GlobalAveragePool")], {}, "global_avg_pool"),
    "global max pool": ([node("GlobalMaxPool")], {}, "global_max_pool"),
    "mean of the image": ([node("ReduceMean", "x", "a", keepdims=0)], {"a": np.array([2, -1])}, "global_avg_pool"),
    "maximum of the image": ([node("ReduceMax", "x", "a")], {"a": np.array([2, 3])}, "global_max_pool"),
    "batch norm": ([node("BatchNormalization", "x", "a", "b", "c", "d")],
                   {k: abs(weights(6)) for k in "abcd"}, "batch_norm"),
    "instance norm": ([node("InstanceNormalization", "x", "a", "b")], {k: weights(6) for k in "ab"}, "instance_norm"),
    "layer norm": ([node("LayerNormalization", "x", "a", "b", axis=-2)], {k: weights(9, 11) for k in "ab"},
                   "layer_norm"),
    "lrn": ([node("LRN", size=3)], {}, "lrn"),
    **{kind: ([node(kind)], {}, key) for kind, key in [
        ("Relu", "relu"), ("LeakyRelu", "leaky_relu"), ("Elu", "elu"), ("Selu", "selu"), ("Celu", "celu"),
        ("Sigmoid", "sigmoid"), ("Tanh", "tanh"), ("HardSwish", "hard_swish"), ("Softplus", "softplus"),
        ("Mish", "mish"), ("Softsign", "softsign"), ("Softmax", "softmax"), ("LogSoftmax", "log_softmax"),
        ("Dropout", "dropout")]},
    "prelu": ([node("PRelu", "x", "s")], {"s": weights(6, 1, 1)}, "prelu"),
    "hard sigmoid of PyTorch": ([node("HardSigmoid", alpha=1 / 6)], {}, "hard_sigmoid"),
    "relu6": ([node("Clip", "x", "low", "high")], {"low": np.float32(0), "high": np.float32(6)}, "relu6"),
    "relu as clip": ([node("Clip", "x", "low")], {"low": np.float32(0)}, "relu"),
    "hard tanh": ([node("Clip", "x", "low", "high")], {"low": np.float32(-1), "high": np.float32(1)}, "hard_tanh"),
    "square": ([node("Pow", "x", "two")], {"two": np.float32(2)}, "square"),
    "scale": ([node("Mul", "x", "s")], {"s": weights(6, 1, 1)}, "scale"),
    "scale by a number": ([node("Mul", "x", "s")], {"s": np.float32(0.5)}, "scale"),
    "flatten": ([node("Flatten")], {}, "flatten"),
    "reshape": ([node("Reshape", "x", "to")], {"to": np.array([0, 3, -1])}, "reshape"),
    "reshape to two axes": ([node("Reshape", "x", "to")], {"to": np.array([2, -1])}, "flatten"),
    "unsqueeze": ([node("Unsqueeze", "x", "a")], {"a": np.array([1, -1])}, "reshape"),
    "transpose": ([node("Transpose", perm=[0, 2, 3, 1])], {}, "permute"),
    "slice": ([node("Slice", "x", "from", "to", "a", "by")],
              {"from": np.array([1]), "to": np.array([2**62]), "a": np.array([-1]), "by": np.array([3])}, "slice"),
    "pad": ([node("Pad", "x", "p", mode="reflect")], {"p": np.array([0, 0, 1, 2, 0, 0, 3, 0])}, "pad"),
    "pad of axes": ([node("Pad", "x", "p", "", "a")], {"p": np.array([1, 2]), "a": np.array([-1])}, "pad"),
    "resize": ([node("Resize", "x", "", "s", mode="linear")], {"s": np.array([1, 1, 2, 1.5], np.float32)}, "upsample"),
    "resize to a size": ([node("Resize", "x", "", "", "s", mode="nearest")], {"s": np.array([2, 6, 5, 40])},
                         "upsample"),
    "depth to space": ([node("DepthToSpace", "x", blocksize=2)], {}, "depth_to_space"),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_an_operator_is_the_layer_that_onnx_evaluates(loaded: Callable[..., Graph], name: str) -> None:
    nodes, constants, key = SHAPES[name]
    shape = (2, 8, 9, 11) if key == "depth_to_space" else IMAGE
    proto = model(nodes, shape, constants)
    graph = loaded(proto)
    assert [n.op.key for n in graph] == [key]
    if key not in ("dropout", "batch_norm"):  # the evaluator wants their training inputs
        assert ReferenceEvaluator(proto).run(None, {"x": weights(*shape)})[0].shape == graph.nodes[-1].shape
    assert analyze(graph).total.params == sum(
        v.size for k, v in constants.items() if v.dtype == np.float32 and v.ndim and k not in "cd"
    ) - (constants["s"].size if key == "upsample" and constants["s"].dtype == np.float32 else 0)


ARITHMETIC = {
    "division": ([node("Div", "x", "z")], {}, {"divisions": 1}),
    "addition of a number": ([node("Add", "x", "c")], {"c": np.float32(3)}, {"additions": 1}),
    "exponential": ([node("Exp")], {}, {"exponentials": 1}),
    "negation": ([node("Neg")], {}, {}),
    "another hard sigmoid": ([node("HardSigmoid")], {}, {"multiplications": 1, "additions": 1, "comparisons": 2}),
    "minimum of three": ([node("Min", "x", "z", "x")], {}, {"comparisons": 2}),
}


@pytest.mark.parametrize("name", ARITHMETIC)
def test_an_operator_that_is_no_layer_costs_what_it_does(loaded: Callable[..., Graph], name: str) -> None:
    nodes, constants, each = ARITHMETIC[name]
    graph = loaded(model(nodes, IMAGE, constants, z=IMAGE))
    done = analyze(graph).total
    for kind in ("additions", "multiplications", "comparisons", "divisions", "exponentials"):
        assert getattr(done, kind) == each.get(kind, 0) * math.prod(IMAGE)
    assert done.macs == 0


def test_a_sum_over_channels(loaded: Callable[..., Graph]) -> None:
    graph = loaded(model([node("ReduceSum", "x", "a")], IMAGE, {"a": np.array([1])}))
    assert graph.nodes[0].shape == (2, 1, 9, 11)
    assert analyze(graph).total.additions == 2 * 9 * 11 * (6 - 1)


def test_a_learned_table_that_is_added_counts(loaded: Callable[..., Graph]) -> None:
    total = analyze(loaded(model([node("Add", "x", "t")], IMAGE, {"t": weights(6, 9, 11)}))).total
    assert (total.other_params, total.additions) == (6 * 9 * 11, math.prod(IMAGE))


def test_parts_and_joins(loaded: Callable[..., Graph]) -> None:
    parts = node("Split", "x", "n", outputs=["a", "b", "c"], axis=1)
    graph = loaded(model(
        [parts, node("Concat", "c", "a", outputs=["d"], axis=1), node("Add", "b", "b", outputs=["e"]),
         node("Mul", "d", "d", outputs=["f"]), node("Concat", "f", "e", axis=1)],
        IMAGE, {"n": np.array([1, 3, 2])},
    ))  # fmt: skip
    assert lines(graph) == [
        "Split(parts=(1, 3, 2)) x -> 2x1x9x11",
        "Split(parts=(1, 3, 2), part=1) x -> 2x3x9x11",
        "Split(parts=(1, 3, 2), part=2) x -> 2x2x9x11",
        "Concat() split_3 split -> 2x3x9x11",
        "Add() split_2 split_2 -> 2x3x9x11",
        "Multiply() concat concat -> 2x3x9x11",
        "Concat() mul add -> 2x6x9x11",
    ]


def test_one_place_of_an_axis(loaded: Callable[..., Graph]) -> None:
    graph = loaded(model([node("Gather", "x", "i", axis=2)], IMAGE, {"i": np.array(-1)}))
    assert lines(graph) == ["Slice(range=(8, 9), axis=2) x -> 2x6x1x11", "Reshape(to=(6, 11)) gather -> 2x6x11"]


def test_sizes_that_the_file_computes_are_no_layers(loaded: Callable[..., Graph]) -> None:
    nodes = [
        node("Shape", "x", outputs=["s"], start=0, end=1),
        node("Concat", "s", "rest", outputs=["to"], axis=0),
        node("Reshape", "x", "to"),
    ]
    graph = loaded(model(nodes, ["N", 6, 9, 11], {"rest": np.array([-1])}), batch=5)
    assert lines(graph) == ["Flatten() x -> 5x594"]


def test_products(loaded: Callable[..., Graph]) -> None:
    nodes = [
        node("MatMul", "x", "w", outputs=["a"]),
        node("Transpose", "a", outputs=["t"], perm=[0, 2, 1]),
        node("MatMul", "a", "t"),
    ]
    graph = loaded(model(nodes, (2, 5, 7), {"w": weights(7, 3)}))
    assert [n.op.key for n in graph] == ["linear", "permute", "matmul"]
    assert analyze(graph).total.macs == 2 * 5 * 7 * 3 + 2 * 5 * 5 * 3


def test_a_product_and_its_bias_are_a_linear_layer(loaded: Callable[..., Graph]) -> None:
    nodes = [node("MatMul", "x", "w", outputs=["a"]), node("Add", "b", "a")]
    graph = loaded(model(nodes, (2, 5, 7), {"w": weights(7, 3), "b": weights(3)}))
    assert lines(graph) == ["Linear(out=3) x -> 2x5x3"]
    seen = loaded(model(nodes, (2, 5, 7), {"w": weights(7, 3), "b": weights(3)}, outputs=("a", "y")))
    assert [n.op.key for n in seen] == ["linear", "add"]


def test_a_shape_by_places(loaded: Callable[..., Graph]) -> None:
    nodes = [node("Reshape", "x", "flat", outputs=["f"]), node("Gather", "f", "i")]
    constants = {"flat": np.array([-1]), "i": np.arange(6).reshape(1, 3, 2)}
    assert lines(loaded(model(nodes, (1, 6), constants))) == ["Reshape(to=(3, 2)) x -> 1x3x2"]
    turned = loaded(model(nodes, (1, 6), {**constants, "i": np.arange(6)[::-1].reshape(1, 3, 2)}))
    assert [n.op.key for n in turned] == ["reshape", "gather"]


HALF, ONE, ROOT, INVERSE = np.float32(0.5), np.float32(1), np.float32(2**0.5), np.float32(0.5**0.5)
BELL = [node("Erf", "s", outputs=["e"]), node("Add", "e", "one", outputs=["p"])]
GELUS = {
    "PyTorch": [node("Div", "x", "root", outputs=["s"]), *BELL, node("Mul", "x", "p", outputs=["m"]),
                node("Mul", "m", "half")],
    "half first": [node("Mul", "x", "half", outputs=["h"]), node("Mul", "inverse", "x", outputs=["s"]), *BELL,
                   node("Mul", "h", "p")],
    "half in the middle": [node("Div", "x", "root", outputs=["s"]), *BELL, node("Mul", "half", "p", outputs=["m"]),
                           node("Mul", "x", "m")],
}  # fmt: skip


@pytest.mark.parametrize("name", GELUS)
def test_gelu_by_its_parts(loaded: Callable[..., Graph], name: str) -> None:
    constants = {"half": HALF, "one": ONE, "root": ROOT, "inverse": INVERSE}
    assert lines(loaded(model(GELUS[name], IMAGE, constants))) == ["GELU() x -> 2x6x9x11"]
    other = loaded(model(GELUS[name], IMAGE, {**constants, "one": np.float32(2)}))
    assert "gelu" not in [n.op.key for n in other]


def test_weights_that_two_nodes_take_count_once(loaded: Callable[..., Graph]) -> None:
    nodes = [node("Conv", "x", "w", outputs=["a"], pads=[1] * 4), node("Conv", "a", "w", pads=[1] * 4)]
    graph = loaded(model(nodes, IMAGE, {"w": weights(6, 6, 3, 3)}))
    total = analyze(graph).total
    assert (total.params, total.macs) == (6 * 6 * 9, 2 * math.prod(IMAGE) * 6 * 9)


def test_names_follow_the_modules_of_the_exporter(loaded: Callable[..., Graph]) -> None:
    def named(kind: str, name: str, *ends: str, **options: Any) -> Any:
        return helper.make_node(kind, ends[:-1], ends[-1:], name=name, **options)

    nodes = [
        named("Conv", "/layer1/layer1.0/conv/Conv", "x", "layer1.0.conv.weight", "a"),
        named("Relu", "/layer1/layer1.0/relu/Relu", "a", "b"),
        named("Relu", "/layer1/layer1.0/relu_1/Relu", "b", "c"),
        named("Add", "/layer1/layer1.0/Add", "c", "a", "d"),
        named("Relu", "", "d", "y"),
    ]
    graph = loaded(model(nodes, IMAGE, {"layer1.0.conv.weight": weights(6, 6, 1, 1)}))
    assert [n.name for n in graph] == ["layer1.0.conv", "layer1.0.relu", "layer1.0.relu_1", "layer1.0.add", "relu"]


# ---- sizes --------------------------------------------------------------------------------------


def test_input_and_batch_from_outside(loaded: Callable[..., Graph]) -> None:
    proto = model([node("Relu")], (1, 3, 8, 8))
    assert loaded(proto).nodes[0].shape == (1, 3, 8, 8)
    assert loaded(proto, input="3x5x7", batch=4).nodes[0].shape == (4, 3, 5, 7)
    assert loaded(proto, input={"x": (3, 5, 7)}).nodes[0].shape == (1, 3, 5, 7)


def test_the_file_s_batch(folder: Path) -> None:
    onnx.save(model([node("Relu")], (8, 3, 4, 4)), "net.onnx")
    assert cnncost.load_onnx("net.onnx").batch == 8
    assert cnncost.load_onnx("net.onnx", batch=2).batch == 2


# ---- exported from PyTorch ------------------------------------------------------------------------


def exported(module: nn.Module, shape: tuple[int, ...], path: Path) -> str:
    """Export a module as it is, with its norms."""
    for parameter in module.parameters():  # equal ones would be stored once
        parameter.data.normal_()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, torch.zeros(shape), str(path), dynamo=False, verbose=False,
                          training=torch.onnx.TrainingMode.PRESERVE)  # fmt: skip
    return str(path)


@pytest.mark.parametrize("name", ["squeezenet1_1", "mobilenet_v2", "shufflenet_v2_x0_5", "mnasnet0_5", "resnet18"])
def test_an_exported_network_costs_what_pytorch_says(name: str, tmp_path: Path) -> None:
    network = vision.models().get_model(name, weights=None).eval()
    graph = graph_of(exported(network, (1, 3, 224, 224), tmp_path / "net.onnx"))
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, 224, 224))
    total = analyze(graph).total
    assert total.params == sum(p.numel() for p in network.parameters())
    assert total.macs == counter.get_total_flops() // 2


MODULES = {
    "norms": (nn.Sequential(nn.GroupNorm(3, 6), nn.InstanceNorm2d(6, affine=True), nn.LayerNorm((9, 11))), IMAGE),
    "transposed": (nn.ConvTranspose2d(6, 4, 3, stride=2, padding=1, output_padding=1), IMAGE),
    "volume": (nn.Sequential(nn.Conv3d(2, 4, 3), nn.MaxPool3d(2)), (2, 2, 7, 8, 9)),
    "signal": (nn.Sequential(nn.Conv1d(2, 4, 3, padding=1), nn.PReLU(4), nn.AvgPool1d(2)), (2, 2, 9)),
    "dense": (nn.Sequential(nn.Flatten(), nn.Linear(6 * 9 * 11, 5), nn.Softmax(1)), IMAGE),
    "upsampling": (nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.PixelShuffle(2)), (2, 8, 5, 6)),
}


@pytest.mark.parametrize("name", MODULES)
def test_an_exported_module(name: str, tmp_path: Path) -> None:
    module, shape = MODULES[name]
    module.eval()
    graph = graph_of(exported(module, shape, tmp_path / "net.onnx"))
    with FlopCounterMode(display=False) as counter:
        y = module(torch.zeros(shape))
    total = analyze(graph).total
    assert graph.nodes[-1].shape == tuple(y.shape)
    assert total.params == sum(p.numel() for p in module.parameters())
    assert total.macs == counter.get_total_flops() // 2


# ---- the command, and what is wrong --------------------------------------------------------------


def test_report_and_import(folder: Path, run: Run) -> None:
    proto = model([node("Conv", "x", "w", outputs=["a"]), node("Relu", "a")], (1, 6, 9, 11), {"w": weights(4, 6, 3, 3)})
    onnx.save(proto, "net.onnx")
    report = run("report", "net.onnx", "--batch", "2", "--format", "csv", "--columns", "name,output,macs")
    assert (report.code, report.err) == (0, "")
    assert report.out.splitlines()[1] == f"conv,4x7x9,{2 * 4 * 7 * 9 * 6 * 9}"
    assert run("import", "net.onnx", "-o", "net.yaml") == (0, "", "")
    assert lines(cnncost.load("net.yaml")) == [
        "Conv(out=4, kernel=3, bias=False) input -> 1x4x7x9", "ReLU() conv -> 1x4x7x9",
    ]  # fmt: skip


def test_a_file_cut_short(folder: Path, run: Run) -> None:
    data = model([node("Conv", "x", "w")], constants={"w": weights(4, 6, 3, 3)}).SerializeToString()
    for length in (0, 1, 10, len(data) // 2, len(data) - 1, len(data) - 6):
        (folder / "cut.onnx").write_bytes(data[:length])
        result = run("report", "cut.onnx")
        message = "error: cut.onnx is no ONNX file, or one that is cut short\nhint: export it again\n"
        assert (result.code, result.out, result.err) == (2, "", message), length


BAD = {
    "unknown operator": (
        model([helper.make_node("Det", ["x"], ["y"], name="/head/Det")]), {},
        "net.onnx: Det (node /head/Det): an operator that is not known here",
    ),
    "operator of another domain": (
        model([helper.make_node("FusedConv", ["x"], ["y"], domain="com.microsoft")]), {},
        "net.onnx: FusedConv (node fused_conv): an operator of com.microsoft that is not known here",
    ),
    "open sizes": (
        model([node("Relu")], ["N", 3, "H", "W"]), {}, "net.onnx: input x has open sizes, Nx3xHxW",
    ),
    "an input that there is not": (
        model([node("Relu")]), {"input": {"z": "3x8x8"}}, "net.onnx has no input z",
    ),
    "an input of other axes": (
        model([node("Relu")]), {"input": "3x8"}, "input x has the sizes 2x6x9x11, of which the first is the batch",
    ),
    "parameters": (
        model([node("Relu")]), {"set": {"width": 2}}, "an ONNX file declares no parameters",
    ),
    "weights that are computed": (
        model([node("Conv", "x", "x")]), {}, "net.onnx: Conv (node conv): its input x is no constant",
    ),
    "channels that do not fit": (
        model([node("Conv", "x", "w")], constants={"w": weights(4, 5, 3, 3)}), {},
        "net.onnx: Conv (node conv): weights for 5 channels on an input of 6",
    ),
    "features that do not fit": (
        model([node("Gemm", "x", "w")], [2, 32], constants={"w": weights(24, 4)}), {},
        "net.onnx: Gemm (node gemm): weights for 24 features on an input of 32",
    ),
    "transposed features that do not fit": (
        model([node("Gemm", "x", "w", transB=1)], [2, 32], constants={"w": weights(4, 24)}), {},
        "net.onnx: Gemm (node gemm): weights for 24 features on an input of 32",
    ),
    "a product that does not fit": (
        model([node("MatMul", "x", "w")], constants={"w": weights(9, 4)}), {},
        "net.onnx: MatMul (node mat_mul): weights for 9 features on an input of 11",
    ),
    "a size at which weights do not fit": (
        model([node("Flatten", outputs=["f"]), node("Gemm", "f", "w")], constants={"w": weights(6 * 9 * 11, 4)}),
        {"input": "6x5x5"}, "net.onnx: Gemm (node gemm): weights for 594 features on an input of 150",
    ),
    "a transposed convolution that does not fit": (
        model([node("ConvTranspose", "x", "w")], constants={"w": weights(5, 4, 3, 3)}), {},
        "net.onnx: ConvTranspose (node conv_transpose): weights for 5 channels on an input of 6",
    ),
    "a norm that does not fit": (
        model([node("InstanceNormalization", "x", "a", "a")], constants={"a": weights(5)}), {},
        "net.onnx: InstanceNormalization (node instance_normalization): weights for 5 channels on an input of 6",
    ),
    "statistics that do not fit": (
        model([node("BatchNormalization", "x", *"abba")], constants={"a": weights(6), "b": weights(5)}), {},
        "net.onnx: BatchNormalization (node batch_normalization): weights for 5 channels on an input of 6",
    ),
    "a norm of features that does not fit": (
        model([node("LayerNormalization", "x", "a")], constants={"a": weights(9)}), {},
        "net.onnx: LayerNormalization (node layer_normalization): weights for 9 features on an input of 11",
    ),
    "a window that does not fit": (
        model([node("Conv", "x", "w")], constants={"w": weights(4, 6, 3, 3)}), {"input": "6x2x2"},
        "net.onnx: layer conv: a window of 3 is larger than its input of 2 (height)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_message(folder: Path, name: str) -> None:
    proto, given, message = BAD[name]
    onnx.save(proto, "net.onnx")
    with pytest.raises(CnncostError) as error:
        graph_of("net.onnx", **given)
    assert str(error.value).splitlines()[0] == message
    assert error.value.hint or name == "weights that are computed"


def test_no_such_file(folder: Path, run: Run) -> None:
    result = run("report", "no.onnx")
    message = "error: no.onnx: No such file or directory\nhint: give a file that can be read\n"
    assert (result.code, result.err) == (2, message)


def test_without_onnx(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    result = run("report", "net.onnx")
    assert (result.code, result.err) == (2, "error: onnx is not installed\nhint: pip install 'cnncost[onnx]'\n")


def test_a_node_that_onnx_does_not_accept(folder: Path) -> None:
    onnx.save(model([node("MaxPool")]), "net.onnx")
    with pytest.raises(
        CnncostError, match=r"net.onnx: MaxPool \(node max_pool\): .*kernel_shape.*\nhint: export it again"
    ):
        graph_of("net.onnx")


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(SHAPES)), st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4))
def test_any_damage_is_a_message_or_another_network(name: str, damage: list[tuple[int, int]]) -> None:
    nodes, constants, _ = SHAPES[name]
    data = bytearray(model(nodes, IMAGE, constants).SerializeToString())
    for place, byte in damage:
        data[place % len(data)] = byte
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        path.write_bytes(data)
        try:
            graph = graph_of(path)
        except CnncostError as e:
            assert str(e).count("\n") <= 1
        else:
            assert analyze(graph).total.macs >= 0


# ---- the documentation ------------------------------------------------------------------------------

DOCS = Path(__file__).parent.parent / "docs" / "import.md"


def with_operators(text: str) -> str:
    """The page with the operators that there are rules for."""
    from textwrap import fill

    from cnncost.onnx.operators import RULES
    from cnncost.onnx.walk import PASSED_ON, SIZES

    before, start, rest = text.partition("<!-- operators: written by tests/test_onnx.py -->\n")
    _, end, after = rest.partition("<!-- end of operators -->")
    known = ", ".join(sorted([*RULES, *PASSED_ON, *SIZES, "Constant"]))
    return f"{before}{start}{fill(known, 120)}.\n{end}{after}"


def test_the_documentation_names_every_operator() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert with_operators(text) == text, "python tests/test_onnx.py writes them anew"


if __name__ == "__main__":
    DOCS.write_text(with_operators(DOCS.read_text(encoding="utf-8")), encoding="utf-8")
