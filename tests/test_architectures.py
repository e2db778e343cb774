"""The bundled architectures: their files, and the figures of their papers."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise, takewhile
from pathlib import Path

import pytest
from zoo import Weighted, weighted

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
    network = takewhile(lambda line: line not in ("facts:", "claims:"), lines)
    assert len("\n".join(network).rstrip().splitlines()) <= LINES_AT_MOST.get(name, 120)
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
    assert weighted(report) == layers
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
