"""The networks before ResNet, against PyTorch modules written here from their papers."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from zoo import built_by_timm, measured, priced

import cnncost
from cnncost.spec.files import bundled_names

Build = Callable[[], nn.Module]
Convolution = Callable[..., nn.Module]


def relu(inplace: bool = True) -> nn.ReLU:
    return nn.ReLU(inplace=inplace)


def pool(kernel: int = 3, stride: int = 2, padding: int = 0) -> nn.MaxPool2d:
    """Windows that reach over the edge count, as in Caffe."""
    return nn.MaxPool2d(kernel, stride, padding, ceil_mode=True)


class Mean(nn.Module):
    """The mean of each channel."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=True)


class Branches(nn.ModuleList):
    """All on the same input, their outputs side by side."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self], 1)


def hidden(n: int, *widths: int) -> list[nn.Module]:
    """Dense layers with ReLU and dropout."""
    return [part for i, o in zip((n, *widths), widths) for part in (nn.Linear(i, o), relu(False), nn.Dropout())]


# ---- AlexNet and its heirs; normalisation has no weights and is left out -----------------------


def alexnet(groups: tuple[int, ...]) -> nn.Module:
    layers: list[nn.Module] = []
    table = [(96, 11, 4, 0, True), (256, 5, 1, 2, True), (384, 3, 1, 1, False), (384, 3, 1, 1, False)]
    n = 3
    for (out, kernel, stride, padding, pooled), group in zip([*table, (256, 3, 1, 1, True)], groups):
        layers += [nn.Conv2d(n, out, kernel, stride, padding, groups=group), relu(False)]
        layers += [nn.MaxPool2d(3, 2)] if pooled else []
        n = out
    return nn.Sequential(*layers, nn.Flatten(), *hidden(256 * 6 * 6, 4096, 4096), nn.Linear(4096, 1000))


def zfnet(*widths: int, classes: int = 1000) -> nn.Module:
    layers = [nn.Conv2d(3, 96, 7, 2, 1), relu(False), pool(), nn.Conv2d(96, 256, 5, 2), relu(False), pool()]
    for n, out in zip((256, *widths), widths):
        layers += [nn.Conv2d(n, out, 3, padding=1), relu(False)]
    dense = hidden(widths[-1] * 6 * 6, 4096, 4096)
    return nn.Sequential(*layers, pool(), nn.Flatten(), *dense, nn.Linear(4096, classes))


def overfeat(first: list[nn.Module], widths: tuple[int, ...], last: int, dense: tuple[int, int]) -> nn.Module:
    """From two layers to the classifier; `last` is the last pool's kernel."""
    layers = list(first)
    for n, out in zip((256, *widths), widths):
        layers += [nn.Conv2d(n, out, 3, padding=1), relu(False)]
    layers += [nn.MaxPool2d(last), nn.Flatten(), *hidden(*dense, 4096), nn.Linear(4096, 1000)]
    return nn.Sequential(*layers)


def fast() -> nn.Module:
    first = [nn.Conv2d(3, 96, 11, 4), relu(False), nn.MaxPool2d(2), nn.Conv2d(96, 256, 5), relu(False), nn.MaxPool2d(2)]
    return overfeat(first, (512, 1024, 1024), 2, (1024 * 6 * 6, 3072))


def accurate() -> nn.Module:
    first = [nn.Conv2d(3, 96, 7, 2), relu(False), nn.MaxPool2d(3), nn.Conv2d(96, 256, 7), relu(False), nn.MaxPool2d(2)]
    return overfeat(first, (512, 512, 1024, 1024), 3, (1024 * 5 * 5, 4096))


# ---- Network in Network (Lin et al. 2014) ------------------------------------------------------


def mlpconv(n: int, out: int, kernel: int, one: int, two: int, stride: int = 1, padding: int = 0) -> nn.Sequential:
    convolutions = [nn.Conv2d(n, out, kernel, stride, padding), nn.Conv2d(out, one, 1), nn.Conv2d(one, two, 1)]
    return nn.Sequential(*(part for convolution in convolutions for part in (convolution, relu())))


def nin(classes: int = 1000) -> nn.Module:
    return nn.Sequential(
        *(mlpconv(3, 96, 11, 96, 96, stride=4), pool(), mlpconv(96, 256, 5, 256, 256, padding=2), pool()),
        *(mlpconv(256, 384, 3, 384, 384, padding=1), pool(), nn.Dropout()),
        *(mlpconv(384, 1024, 3, 1024, classes, padding=1), Mean(), nn.Flatten()),
    )


def nin_cifar(classes: int = 10) -> nn.Module:
    return nn.Sequential(
        *(mlpconv(3, 192, 5, 160, 96, padding=2), pool(), nn.Dropout()),
        *(mlpconv(96, 192, 5, 192, 192, padding=2), nn.AvgPool2d(3, 2, ceil_mode=True), nn.Dropout()),
        *(mlpconv(192, 192, 3, 192, classes, padding=1), Mean(), nn.Flatten()),
    )


# ---- GoogLeNet (Szegedy et al. 2015): table 1 --------------------------------------------------

GOOGLENET = [  # modules between pools
    [(64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)],
    [
        *((192, 96, 208, 16, 48, 64), (160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64)),
        *((112, 144, 288, 32, 64, 64), (256, 160, 320, 32, 128, 128)),
    ],
    [(256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)],
]


def conv_relu(n: int, out: int, kernel: int = 1, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(n, out, kernel, stride, kernel // 2), relu())


def separable(conv: nn.Module, n: int, multiplier: int = 8) -> nn.Sequential:
    """A 7x7 of each channel by itself, then what is given."""
    return nn.Sequential(nn.Conv2d(n, n * multiplier, 7, 2, 3, groups=n, bias=False), conv)


def googlenet(stem: nn.Module) -> nn.Module:
    layers: list[nn.Module] = [stem, pool(), conv_relu(64, 64), conv_relu(64, 192, 3)]
    n = 192
    for rows in GOOGLENET:
        layers.append(pool())
        for one, three_reduce, three, five_reduce, five, proj in rows:
            branches = [conv_relu(n, one), nn.Sequential(conv_relu(n, three_reduce), conv_relu(three_reduce, three, 3))]
            branches.append(nn.Sequential(conv_relu(n, five_reduce), conv_relu(five_reduce, five, 5)))
            layers.append(Branches([*branches, nn.Sequential(nn.MaxPool2d(3, 1, 1), conv_relu(n, proj))]))
            n = one + three + five + proj
    return nn.Sequential(*layers, Mean(), nn.Flatten(), nn.Linear(n, 1000))


# ---- BN-Inception (Ioffe & Szegedy 2015): figure 5, and the release for Caffe ------------------


class SqueezeExcite(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(Mean(), nn.Conv2d(n, n // 16, 1), relu(), nn.Conv2d(n // 16, n, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)


def convolutions(bias: bool) -> Convolution:
    def conv_bn(n: int, out: int, kernel: int = 1, stride: int = 1) -> nn.Sequential:
        conv = nn.Conv2d(n, out, kernel, stride, kernel // 2, bias=bias)
        return nn.Sequential(conv, nn.BatchNorm2d(out), relu())

    return conv_bn


def reduction(conv: Convolution, n: int, three_reduce: int, three: int, double_reduce: int, double: int) -> Branches:
    first = nn.Sequential(conv(n, three_reduce), conv(three_reduce, three, 3, 2))
    second = nn.Sequential(conv(n, double_reduce), conv(double_reduce, double, 3), conv(double, double, 3, 2))
    return Branches([first, second, pool()])


def inception(conv: Convolution, n: int, *widths: int, pooled: nn.Module | None = None) -> Branches:
    one, three_reduce, three, double_reduce, double, proj = widths
    first = nn.Sequential(conv(n, three_reduce), conv(three_reduce, three, 3))
    second = nn.Sequential(conv(n, double_reduce), conv(double_reduce, double, 3), conv(double, double, 3))
    return Branches([conv(n, one), first, second, nn.Sequential(pooled or nn.AvgPool2d(3, 1, 1), conv(n, proj))])


def bn_inception(proj: int = 128, bias: bool = True, se: bool = False, multiplier: int = 0) -> nn.Module:
    conv = convolutions(bias)
    stem = separable(conv(3 * multiplier, 64), 3, multiplier) if multiplier else conv(3, 64, 7, 2)
    n = 160 + 160 + 160 + proj  # out of 4c
    last = 192 + 256 + 96 + 192 + 192 + proj  # out of 4e, which passes on that of 4d
    modules = [
        (256, inception(conv, 192, 64, 64, 64, 64, 96, 32)),
        (320, inception(conv, 256, 64, 64, 96, 64, 96, 64)),
        (576, reduction(conv, 320, 128, 160, 64, 96)),
        (576, inception(conv, 576, 224, 64, 96, 96, 128, 128)),
        (576, inception(conv, 576, 192, 96, 128, 96, 128, 128)),
        (n, inception(conv, 576, 160, 128, 160, 128, 160, proj)),
        (96 + 192 + 192 + proj, inception(conv, n, 96, 128, 192, 160, 192, proj)),
        (last, reduction(conv, 96 + 192 + 192 + proj, 128, 192, 192, 256)),
        (1024, inception(conv, last, 352, 192, 320, 160, 224, 128)),
        (1024, inception(conv, 1024, 352, 192, 320, 192, 224, 128, pooled=nn.MaxPool2d(3, 1, 1))),
    ]
    layers: list[nn.Module] = [stem, pool(), conv(64, 64), conv(64, 192, 3), pool()]
    for out, module in modules:
        layers += [module, SqueezeExcite(out)] if se else [module]
    return nn.Sequential(*layers, Mean(), nn.Flatten(), nn.Linear(1024, 1000))


def se_inception_resnet_v2() -> nn.Module:
    """timm's Inception-ResNet-v2, the joined branches of each residual module gated."""
    model = built_by_timm("inception_resnet_v2")
    for block in list(model.modules()):
        if hasattr(block, "scale"):
            block.conv2d = nn.Sequential(SqueezeExcite(block.conv2d.in_channels), block.conv2d)
    return model


# ---- Dense networks, and a small convolutional one ---------------------------------------------


def autoencoder(*widths: int) -> nn.Module:
    """Sigmoids after all layers but the code."""
    sizes = [*widths, *reversed(widths[:-1])]
    layers: list[nn.Module] = []
    for i, (n, out) in enumerate(pairwise(sizes)):
        layers += [nn.Linear(n, out)] if i == len(widths) - 2 else [nn.Linear(n, out), nn.Sigmoid()]
    return nn.Sequential(*layers)


def perceptron() -> nn.Module:
    layers = [nn.Linear(3 * 32 * 32, 100, bias=False), relu(False), nn.Linear(100, 10, bias=False)]
    return nn.Sequential(nn.Flatten(), *layers)


def convnetjs() -> nn.Module:
    layers: list[nn.Module] = []
    for n, out in ((3, 16), (16, 20), (20, 20)):
        layers += [nn.Conv2d(n, out, 5, padding=2), relu(False), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(20 * 4 * 4, 10))


CASES: list[tuple[str, dict[str, Any], Build]] = [
    ("alexnet", {}, lambda: alexnet((1, 2, 1, 2, 2))),
    ("alexnet_dense_conv4", {}, lambda: alexnet((1, 2, 1, 1, 2))),
    ("alexnet_one_tower", {}, lambda: alexnet((1, 1, 1, 1, 1))),
    ("zfnet", {}, lambda: zfnet(384, 384, 256)),
    ("zfnet", {"set": {"classes": 7, "widths.1": 5}}, lambda: zfnet(384, 5, 256, classes=7)),
    ("zfnet_wide", {}, lambda: zfnet(512, 1024, 512)),
    ("overfeat_fast", {}, fast),
    ("overfeat_accurate", {}, accurate),
    ("nin", {}, nin),
    ("nin", {"input": "3x253x231", "batch": 2, "set": {"classes": 7}}, lambda: nin(7)),
    ("nin_cifar", {}, nin_cifar),
    ("nin_cifar", {"input": "3x45x39", "batch": 2, "set": {"classes": 7}}, lambda: nin_cifar(7)),
    ("googlenet", {}, lambda: googlenet(conv_relu(3, 64, 7, 2))),
    ("googlenet", {"input": "3x253x231", "batch": 2}, lambda: googlenet(conv_relu(3, 64, 7, 2))),
    ("googlenet_separable_stem", {}, lambda: googlenet(separable(conv_relu(3 * 8, 64), 3))),
    ("bn_inception", {}, bn_inception),
    ("bn_inception", {"input": "3x256x288", "batch": 2}, bn_inception),
    ("bn_inception_paper", {}, lambda: bn_inception(96, bias=False, multiplier=8)),
    ("se_bn_inception", {}, lambda: bn_inception(se=True)),
    ("se_inception_resnet_v2", {}, se_inception_resnet_v2),
    ("perceptron_cifar", {}, perceptron),
    ("autoencoder_784", {}, lambda: autoencoder(784, 1000, 500, 250, 2)),
    ("autoencoder_784", {"set": {"code": 30}, "batch": 3}, lambda: autoencoder(784, 1000, 500, 250, 30)),
    ("autoencoder_2000", {}, lambda: nn.Sequential(*list(autoencoder(2000, 500, 250, 125, 2).children())[:-1])),
    ("convnetjs_cifar10", {}, convnetjs),
]


def case_id(case: tuple[str, dict[str, Any], Build]) -> str:
    return "-".join([case[0], *(f"{key}={value}" for key, value in case[1].items())]).replace(" ", "")


@pytest.mark.parametrize(("name", "given", "build"), CASES, ids=map(case_id, CASES))
def test_equals_the_module(name: str, given: dict[str, Any], build: Build) -> None:
    """Parameters, MACs and shape of every weighted layer, in order; the other layers by kind, shape and memory."""
    graph = cnncost.load(name, **given)
    (shape,) = graph.inputs.values()
    with torch.device("meta"):
        module = build().eval()
    got, expected = priced(graph), measured(module, shape)
    assert got.layers == expected.layers
    assert got.plain == expected.plain
    assert got == expected


def test_bn_inception_has_the_parameters_of_its_release() -> None:
    """As counted for the weights in circulation; what the paper's figure changes is two projections and the stem."""
    released, paper = cnncost.analyze("bn_inception").total, cnncost.analyze("bn_inception_paper").total
    assert released.params == 11_295_240
    assert paper.biases == 1000


def test_auxiliary_classifiers_add_no_layer_to_the_longest_path() -> None:
    plain, heads = cnncost.analyze("googlenet"), cnncost.analyze("googlenet_aux")
    assert heads.depth == plain.depth
    assert heads.outputs == ("softmax", "aux1.softmax", "aux2.softmax")


def test_a_separable_stem_saves_the_papers_difference() -> None:
    """34M for 118M: the row of table 1 that a full 7x7 does not explain."""
    full, stem = cnncost.analyze("googlenet").total, cnncost.analyze("googlenet_separable_stem").total
    separate = (7 * 7 * 3 * 8 + 3 * 8 * 64) * 112 * 112
    assert full.macs - stem.macs == 7 * 7 * 3 * 64 * 112 * 112 - separate
    assert round(separate / 1e6) == 34


def test_832_million_is_the_sum_of_layers_cut_to_millions() -> None:
    layers = [layer.macs for layer in cnncost.analyze("alexnet_dense_conv4").layers if layer.macs]
    assert [macs // 10**6 for macs in layers] == [105, 223, 149, 224, 74, 37, 16, 4]
    assert sum(macs // 10**6 for macs in layers) == 832


def test_edge_detection_as_a_matrix_is_mostly_zeros() -> None:
    taps, matrix = (
        cnncost.analyze("example_edge_detection").total,
        cnncost.analyze("example_edge_detection_dense").total,
    )
    assert matrix.macs == 320 * 280 * 319 * 280
    assert taps.macs == 2 * 319 * 280
    assert matrix.macs // taps.macs == 320 * 280 // 2


def test_worked_examples_are_one_family() -> None:
    examples = [name for name in bundled_names() if name.startswith("example_")]
    assert len(examples) >= 12
    assert {cnncost.load(name).about["family"] for name in examples} == {"worked examples"}
