"""The bundled architectures: against torchvision's modules, and against the figures of their papers."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pytest
import torch
import torchvision_shim
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

import cnncost
from cnncost.analysis.report import LayerReport, Report
from cnncost.dims import numel
from cnncost.spec.files import bundled_folder, bundled_names

LINES_AT_MOST = {"alexnet": 35, "resnet50": 50, "resnet152": 10, "googlenet": 70}
COLUMNS_AT_MOST = 120
HEADER = ("name", "title", "year", "family", "paper", "about")

DEPTHS = {
    "alexnet": 5 + 3,
    "vgg16": 13 + 3,
    "googlenet": 3 + 2 * 9 + 1,
    "resnet18": 1 + 2 * (2 + 2 + 2 + 2) + 1,
    "resnet50": 1 + 3 * (3 + 4 + 6 + 3) + 1,
    "resnet50_v1": 1 + 3 * (3 + 4 + 6 + 3) + 1,
    "resnet152": 1 + 3 * (3 + 8 + 36 + 3) + 1,
    "densenet121": 1 + 2 * (6 + 12 + 24 + 16) + 3 + 1,
    # The paper gives none: the first of the 17 bottlenecks does not expand.
    "mobilenet_v2": 1 + (2 + 3 * 16) + 1 + 1,
    # The paper counts 7: C1, C3, C5, F6, both subsampling layers, and the RBF output.
    "lenet5": 7 - 2 - 1,
    # The paper says 42 and not how. Stem, three modules of 3, a reduction of 3, four modules of 5
    # (1x7 and 7x1 are two layers), a reduction of 4, two modules of 3, classifier.
    "inception_v3": 5 + 3 * 3 + 3 + 4 * 5 + 4 + 2 * 3 + 1,
}


def text_of(name: str) -> str:
    return Path(bundled_folder(), f"{name}.yaml").read_text(encoding="utf-8")


def layers_of(report: Report) -> dict[str, LayerReport]:
    return {layer.name: layer for layer in report.layers}


# ---- every file --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", bundled_names())
def test_loads_and_is_priced(name: str) -> None:
    report = cnncost.analyze(name)
    assert report.total.params > 0
    assert report.total.macs > 0
    assert all(numel(layer.output_shape) > 0 for layer in report.layers)


@pytest.mark.parametrize("name", bundled_names())
def test_says_what_it_is(name: str) -> None:
    about = cnncost.load(name).about
    assert [key for key in HEADER if not about.get(key)] == []
    assert about["name"] != name, "a name for people, not the file's"
    assert 1980 <= about["year"] <= 2100


@pytest.mark.parametrize("key", ["name", "about"])
def test_no_two_are_called_the_same(key: str) -> None:
    values = [cnncost.load(name).about[key] for name in bundled_names()]
    assert len(set(values)) == len(values)


@pytest.mark.parametrize("name", bundled_names())
def test_reads_like_a_table(name: str) -> None:
    lines = text_of(name).splitlines()
    assert len(lines) <= LINES_AT_MOST.get(name, 120)
    assert max(map(len, lines)) <= COLUMNS_AT_MOST
    assert [line for line in lines if line != line.rstrip() or "\t" in line] == []


@pytest.mark.parametrize("name", bundled_names())
def test_copies_no_layers_out(name: str) -> None:
    """No four lines in a row stand in a file twice, whatever the layers are called."""
    lines = [line.split("#")[0].split(": ", 1)[-1].strip() for line in text_of(name).splitlines()]
    lines = [line for line in lines if line]
    runs = list(zip(lines, lines[1:], lines[2:], lines[3:]))
    assert [run for i, run in enumerate(runs) if run in runs[i + 1 :]] == []


@pytest.mark.parametrize("name", DEPTHS)
def test_depth(name: str) -> None:
    assert cnncost.analyze(name).depth == DEPTHS[name]


# ---- torchvision -------------------------------------------------------------------------------


class Weighted(NamedTuple):
    """A convolution or linear layer."""

    params: int
    macs: int
    shape: tuple[int, ...]


class Measured(NamedTuple):
    """What PyTorch says of a module; layers are convolutions and linear layers in the order in which they run."""

    params: int
    macs: int
    layers: list[Weighted]


def built(model: str, **options: Any) -> torch.nn.Module:
    """A model of torchvision on the meta device, where a tensor is a shape."""
    try:
        models = torchvision_shim.models()
    except ImportError:
        pytest.skip("torchvision is not installed")
    with torch.device("meta"):
        module: torch.nn.Module = getattr(models, model)(weights=None, **options)
    return module


def measured(module: torch.nn.Module, shape: tuple[int, ...]) -> Measured:
    counter = FlopCounterMode(display=False)
    layers: list[Weighted] = []

    def record(layer: torch.nn.Module, _: Any, output: torch.Tensor) -> None:
        macs = counter.get_total_flops() // 2 - sum(done.macs for done in layers)
        layers.append(Weighted(sum(p.numel() for p in layer.parameters()), macs, tuple(output.shape)))

    for layer in module.modules():
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
            layer.register_forward_hook(record)
    with counter, torch.no_grad():
        module(torch.empty(shape, device="meta"))
    return Measured(sum(p.numel() for p in module.parameters()), counter.get_total_flops() // 2, layers)


def priced(report: Report) -> Measured:
    layers = [
        Weighted(layer.params, layer.macs, layer.output_shape)
        for layer in report.layers
        if layer.op in ("conv", "depthwise_conv", "linear")
    ]
    return Measured(report.total.params, report.total.macs, layers)


INCEPTION = {"aux_logits": False, "init_weights": False}
VGG = {"init_weights": False}
RESNEXT50 = {"groups": 32, "width_per_group": 4}
RESNEXT101 = {"depths": [3, 4, 23, 3], "groups": 32, "width_per_group": 8}

# (architecture, its input and parameters, torchvision's model, that model's options)
NETWORKS: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    ("vgg16", {}, "vgg16", VGG),
    ("resnet18", {}, "resnet18", {}),
    ("resnet50", {}, "resnet50", {}),
    ("resnet152", {}, "resnet152", {}),
    ("mobilenet_v2", {}, "mobilenet_v2", {}),
    ("densenet121", {}, "densenet121", {}),
    ("inception_v3", {}, "inception_v3", INCEPTION),
]
SAME = [
    *NETWORKS,
    # width
    ("mobilenet_v2", {"set": {"width": 0.35}}, "mobilenet_v2", {"width_mult": 0.35}),
    ("mobilenet_v2", {"set": {"width": 0.5}}, "mobilenet_v2", {"width_mult": 0.5}),
    ("mobilenet_v2", {"set": {"width": 0.75}}, "mobilenet_v2", {"width_mult": 0.75}),
    ("mobilenet_v2", {"set": {"width": 1.4}}, "mobilenet_v2", {"width_mult": 1.4}),
    # batch, classes and input, odd and not square
    *((name, {"batch": 3}, name, {}) for name in ("mobilenet_v2", "resnet50", "densenet121")),
    *(
        (name, {"set": {"classes": 10}}, name, {"num_classes": 10})
        for name in ("mobilenet_v2", "resnet18", "densenet121")
    ),
    ("vgg16", {"set": {"classes": 10}}, "vgg16", {"num_classes": 10, **VGG}),
    ("inception_v3", {"set": {"classes": 10}}, "inception_v3", {"num_classes": 10, **INCEPTION}),
    ("vgg16", {"input": "3x300x250"}, "vgg16", VGG),
    ("resnet18", {"input": "3x65x97"}, "resnet18", {}),
    ("resnet50", {"input": "3x225x193"}, "resnet50", {}),
    ("mobilenet_v2", {"input": "3x160x160"}, "mobilenet_v2", {}),
    ("mobilenet_v2", {"input": "3x321x255"}, "mobilenet_v2", {}),
    ("densenet121", {"input": "3x231x181"}, "densenet121", {}),
    ("inception_v3", {"input": "3x331x307"}, "inception_v3", INCEPTION),
    # siblings that differ in parameters alone
    ("vgg16", {"set": {"depths": [1, 1, 2, 2, 2]}}, "vgg11", VGG),
    ("vgg16", {"set": {"depths": [2, 2, 4, 4, 4]}}, "vgg19", VGG),
    ("resnet18", {"set": {"depths": [3, 4, 6, 3]}}, "resnet34", {}),
    ("resnet50", {"set": {"depths.2": 23}}, "resnet101", {}),
    ("resnet50", {"set": RESNEXT50}, "resnext50_32x4d", {}),
    ("resnet50", {"set": RESNEXT101}, "resnext101_32x8d", {}),
    ("resnet50", {"set": {"width_per_group": 2 * 64}}, "wide_resnet50_2", {}),
    ("densenet121", {"set": {"depths": [6, 12, 36, 24], "growth": 48, "stem": 96}}, "densenet161", {}),
    ("densenet121", {"set": {"depths": [6, 12, 48, 32]}}, "densenet201", {}),
]


def case_id(case: tuple[str, dict[str, Any], str, dict[str, Any]]) -> str:
    return "-".join([case[2], *(f"{key}={value}" for key, value in case[1].items())]).replace(" ", "")


@pytest.mark.parametrize(("name", "ours", "model", "theirs"), SAME, ids=map(case_id, SAME))
def test_equals_torchvision(name: str, ours: dict[str, Any], model: str, theirs: dict[str, Any]) -> None:
    """Parameters and MACs in total; parameters, MACs and shape of every weighted layer, in order."""
    report = cnncost.analyze(name, **ours)
    (shape,) = report.inputs.values()
    expected, got = measured(built(model, **theirs).eval(), shape), priced(report)
    assert got.layers == expected.layers
    assert got == expected


def test_inception_v3_with_its_auxiliary_classifier() -> None:
    """It only runs in training, and batch norm in training needs more than one image."""
    report = cnncost.analyze("inception_v3", batch=2, set={"aux": True})
    expected, got = measured(built("inception_v3", init_weights=False), (2, 3, 299, 299)), priced(report)
    assert (got.params, got.macs) == (expected.params, expected.macs)
    assert sorted(got.layers) == sorted(expected.layers)
    assert report.outputs == ("fc", "AuxLogits.fc")


def test_inception_v3_bears_torchvisions_names() -> None:
    module = built("inception_v3", **INCEPTION)
    theirs = [name for name, layer in module.named_modules() if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear))]
    report = cnncost.analyze("inception_v3")
    assert [layer.name for layer in report.layers if layer.op in ("conv", "linear")] == theirs


class Unweighted(TorchDispatchMode):
    """Counts operators without weights, and batch norm: (key in the language, in place, output shape)."""

    OPERATORS: ClassVar = {
        "relu": "relu",
        "hardtanh": "relu6",
        "native_batch_norm": "batch_norm",
        "add": "add",
        "cat": "concat",
        "max_pool2d_with_indices": "max_pool",
        "avg_pool2d": "avg_pool",
        "_adaptive_avg_pool2d": "adaptive_avg_pool",
        "mean": "global_avg_pool",
    }

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[tuple[str, bool, tuple[int, ...]]] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        key = self.OPERATORS.get(name.rstrip("_"))
        copies_one = key == "concat" and len(args[0]) == 1  # DenseNet's, at the start of a block
        if key and not copies_one:
            first = out[0] if isinstance(out, tuple) else out
            self.found[key, name.endswith("_"), tuple(first.shape)] += 1
        return out


@pytest.mark.parametrize(("name", "ours", "model", "theirs"), NETWORKS, ids=map(case_id, NETWORKS))
def test_layers_without_weights_equal_torchvisions(
    name: str, ours: dict[str, Any], model: str, theirs: dict[str, Any]
) -> None:
    graph = cnncost.load(name, **ours)
    with torch.no_grad(), Unweighted() as torchvisions:
        built(model, **theirs).eval()(torch.empty(graph.inputs["input"], device="meta"))
    counted = Counter(
        (node.op.key, getattr(node.op, "inplace", False), node.shape)
        for node in graph
        if node.op.key in Unweighted.OPERATORS.values()
    )
    assert counted == torchvisions.found


# ---- figures of papers and lectures ------------------------------------------------------------

# AlexNet: (layer, weights and MACs as the lecture prints them, weights, places)
LECTURE = [
    ("conv1", 34_848, 105_415_200, 96 * (3 * 11 * 11), 55 * 55),
    ("conv2", 307_200, 223_948_800, 256 * (96 // 2 * 5 * 5), 27 * 27),
    ("conv3", 884_736, 149_520_384, 384 * (256 * 3 * 3), 13 * 13),
    ("conv4", 663_552, 112_140_288, 384 * (384 // 2 * 3 * 3), 13 * 13),
    ("conv5", 442_368, 74_760_192, 256 * (384 // 2 * 3 * 3), 13 * 13),
    ("fc6", 37_748_736, 37_748_736, (256 * 6 * 6) * 4096, 1),
    ("fc7", 16_777_216, 16_777_216, 4096 * 4096, 1),
    ("fc8", 4_096_000, 4_096_000, 4096 * 1000, 1),
]
ALEXNET_BIASES = 96 + 256 + 384 + 384 + 256 + 4096 + 4096 + 1000


@pytest.mark.parametrize(("name", "weights", "macs", "derived", "places"), LECTURE, ids=[row[0] for row in LECTURE])
def test_alexnet_layers_as_printed(name: str, weights: int, macs: int, derived: int, places: int) -> None:
    layer = layers_of(cnncost.analyze("alexnet"))[name]
    assert layer.cost.weights == weights == derived
    assert layer.macs == macs == derived * places


def test_alexnet_in_total() -> None:
    report = cnncost.analyze("alexnet")
    weights = sum(row[3] for row in LECTURE)
    assert report.total.weights == weights == 60_954_656
    assert report.total.biases == ALEXNET_BIASES
    assert report.total.params == weights + ALEXNET_BIASES == 60_965_224
    assert report.total.macs == sum(row[3] * row[4] for row in LECTURE) == 724_406_816
    convolutions = 96 * 55 * 55 + 256 * 27 * 27 + 384 * 13 * 13 + 384 * 13 * 13 + 256 * 13 * 13
    assert report.total.neurons == convolutions + 4096 + 4096 + 1000 == 659_272


def test_alexnet_in_the_papers_order() -> None:
    """ReLU after every layer but the last, LRN after the first two, pooling after both and after the fifth."""
    ops = [layer.op for layer in cnncost.analyze("alexnet").layers]
    convolutions = ["conv", "relu", "lrn", "max_pool"] * 2 + ["conv", "relu"] * 3 + ["max_pool", "flatten"]
    assert ops == [*convolutions, *["linear", "relu", "dropout"] * 2, "linear", "softmax"]


# LeNet-5: (layer, parameters, connections), all as the paper prints them
LENET = [
    ("C1", 156, 122_304),
    ("S2", 12, 5_880),
    ("C3", 1_516, 151_600),
    ("S4", 32, 2_000),
    ("C5", 48_120, 48_120),
    ("F6", 10_164, 10_164),
]
RBF_CONNECTIONS = 10 * 84


def connections(layers: list[LayerReport]) -> int:
    """As the paper counts: products and biases; an output of subsampling has four inputs and a bias."""
    count = 0
    for layer in layers:
        if layer.op == "avg_pool":
            count += numel(layer.output_shape) * (2 * 2 + 1)
        elif layer.op != "scale":
            count += layer.macs + numel(layer.output_shape) * bool(layer.cost.biases)
    return count


@pytest.mark.parametrize(("name", "params", "joined"), LENET, ids=[row[0] for row in LENET])
def test_lenet5_layers_as_printed(name: str, params: int, joined: int) -> None:
    layers = [layer for layer in cnncost.analyze("lenet5").layers if layer.name.split(".")[0] == name]
    assert sum(layer.params for layer in layers) == params
    assert connections(layers) == joined


def test_lenet5_connects_c3_as_table_1_does() -> None:
    """Rows of 3 and of 4 neighbours in a ring of 6 maps, 3 rows of 2 and 2, and all: each map feeds 10."""
    ring = [[0, 1, 2]] * 6 + [[0, 1, 2, 3]] * 6 + [[0, 1, 3, 4]] * 3 + [[0, 1, 2, 3, 4, 5]]
    table = [
        tuple(sorted((first + n) % 6 for n in row)) for first, row in zip([*range(6), *range(6), 0, 1, 2, 0], ring)
    ]
    (c3,) = (node.op for node in cnncost.load("lenet5") if node.name == "C3")
    assert c3.maps == tuple(table)
    assert Counter(n for row in c3.maps for n in row) == dict.fromkeys(range(6), 10)


def test_lenet5_in_total() -> None:
    report = cnncost.analyze("lenet5")
    assert report.total.params == sum(row[1] for row in LENET) == 60_000
    assert connections(list(report.layers)) + RBF_CONNECTIONS == 340_908


def test_lenet5_squashes_after_every_layer() -> None:
    ops = [layer.op for layer in cnncost.analyze("lenet5").layers]
    subsampling = ["avg_pool", "scale", "scaled_tanh"]
    stages = [*["conv", "scaled_tanh", *subsampling], *["partial_conv", "scaled_tanh", *subsampling]]
    assert ops == [*stages, "conv", "scaled_tanh", "flatten", "linear", "scaled_tanh"]


# After the stem a place sees 7 + 2 x 2 pixels and its neighbour is 4 further on. Every 3x3 then
# adds twice the distance at its input, which the stride has already doubled where it comes before.
FIELDS = {
    "resnet50_v1": 11 + 2 * (3 * 4 + 4 * 8 + 6 * 16 + 3 * 32),
    "resnet50": 11 + 2 * (3 * 4 + (4 + 3 * 8) + (8 + 5 * 16) + (16 + 2 * 32)),
}


@pytest.mark.parametrize(("name", "printed"), [("resnet50_v1", 483), ("resnet50", 427)])
def test_resnet50_receptive_field(name: str, printed: int) -> None:
    """The field of the last layer before the global pool; both values are those that the literature disputes."""
    field = layers_of(cnncost.analyze(name))["conv5_x.2.relu3"].receptive_field
    assert field is not None
    assert field.size == (FIELDS[name],) * 2 == (printed, printed)
    assert field.stride == (32, 32)


def test_resnet50_v1_macs() -> None:
    """It saves three quarters of the first 1x1 of three stages, of which the other one does them all at full size."""
    v1, other = cnncost.analyze("resnet50_v1").total, cnncost.analyze("resnet50").total
    assert v1.params == other.params
    first = 128 * 256 * 56 * 56, 256 * 512 * 28 * 28, 512 * 1024 * 14 * 14
    assert v1.macs == other.macs - sum(n - n // 4 for n in first) == 3_857_973_248


# GoogLeNet: table 1 of the paper. (side of the maps, input channels, columns #1x1 to pool proj)
INCEPTIONS = [
    (28, 192, (64, 96, 128, 16, 32, 32)),
    (28, 256, (128, 128, 192, 32, 96, 64)),
    (14, 480, (192, 96, 208, 16, 48, 64)),
    (14, 512, (160, 112, 224, 24, 64, 64)),
    (14, 512, (128, 128, 256, 24, 64, 64)),
    (14, 512, (112, 144, 288, 32, 64, 64)),
    (14, 528, (256, 160, 320, 32, 128, 128)),
    (7, 832, (256, 160, 320, 32, 128, 128)),
    (7, 832, (384, 192, 384, 48, 128, 128)),
]


def googlenet_layers() -> list[Weighted]:
    convolutions = [(112, 3, 64, 7), (56, 64, 64, 1), (56, 64, 192, 3)]
    for side, n, (one, reduce3, three, reduce5, five, proj) in INCEPTIONS:
        convolutions += [(side, n, one, 1), (side, n, reduce3, 1), (side, reduce3, three, 3)]
        convolutions += [(side, n, reduce5, 1), (side, reduce5, five, 5), (side, n, proj, 1)]
    layers = [
        Weighted(n * out * k * k + out, n * out * k * k * side * side, (1, out, side, side))
        for side, n, out, k in convolutions
    ]
    return [*layers, Weighted(1024 * 1000 + 1000, 1024 * 1000, (1, 1000))]


def test_googlenet_as_in_the_papers_table() -> None:
    report, layers = cnncost.analyze("googlenet"), googlenet_layers()
    assert priced(report).layers == layers
    assert report.total.params == sum(layer.params for layer in layers) == 6_998_552
    assert report.total.params - layers[-1].params == 5_973_552
    assert report.total.macs == sum(layer.macs for layer in layers)


def test_googlenet_in_the_papers_order() -> None:
    """ReLU after every convolution, LRN after the first pool and before the second, dropout of 0.4 before the end."""
    graph = cnncost.load("googlenet", set={"aux": True})
    ops = [node.op.key for node in graph]
    assert [after for op, after in pairwise(ops) if op == "conv"] == ["relu"] * (3 + 6 * 9 + 2)
    stem = ["conv", "relu", "max_pool", "lrn", "conv", "relu", "conv", "relu", "lrn", "max_pool"]
    assert ops[: len(stem)] == stem
    end = ["linear", "relu", "dropout", "linear", "softmax"]
    assert ops[-len(end) :] == end
    assert [node.op.p for node in graph if node.op.key == "dropout"] == [0.4, 0.7, 0.7]


def test_googlenet_with_its_auxiliary_classifiers() -> None:
    plain, report = cnncost.analyze("googlenet"), cnncost.analyze("googlenet", set={"aux": True})
    heads = [(n * 128 + 128) + (4 * 4 * 128 * 1024 + 1024) + (1024 * 1000 + 1000) for n in (512, 528)]
    assert report.total.params - plain.total.params == sum(heads)
    assert report.outputs == ("softmax", "aux1.softmax", "aux2.softmax")
    assert report.depth == plain.depth
