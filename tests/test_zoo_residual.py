"""Residual, highway and mobile networks that torchvision lacks, against modules written here from their papers."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from zoo import Measured, built, built_by_timm, measured, priced

import cnncost

Build = Callable[[], nn.Module]


def conv(n: int, out: int, kernel: int = 3, stride: int = 1, groups: int = 1, bias: bool = False) -> nn.Conv2d:
    return nn.Conv2d(n, out, kernel, stride, kernel // 2, groups=groups, bias=bias)


def conv_bn(n: int, out: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(conv(n, out, kernel, stride, groups), nn.BatchNorm2d(out))


def relu() -> nn.ReLU:
    return nn.ReLU(inplace=True)


class Head(nn.Sequential):
    """The mean of each channel, and a linear layer."""

    def __init__(self, n: int, classes: int) -> None:
        super().__init__(nn.Linear(n, classes))

    def forward(self, x: Tensor) -> Any:
        return super().forward(x.mean((2, 3), keepdim=True).flatten(1))


# ---- ResNets and plain nets (He et al. 2016) ---------------------------------------------------


def subsampled(x: Tensor, stride: int, channels: int) -> Tensor:
    """The shortcut without parameters, option A."""
    return pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, 0, channels - x.shape[1]))


class Basic(nn.Module):
    def __init__(self, n: int, out: int, stride: int, residual: bool) -> None:
        super().__init__()
        self.first, self.second = conv_bn(n, out, stride=stride), conv_bn(out, out)
        self.stride, self.out, self.residual = stride, out, residual

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(self.first(x).relu_())
        return (y.add_(subsampled(x, self.stride, self.out)) if self.residual else y).relu_()


def cifar(n: int, residual: bool, width: int = 16, classes: int = 10) -> nn.Module:
    """6n + 2 layers (section 4.2)."""
    layers: list[nn.Module] = [conv_bn(3, width), relu()]
    channels = width
    for out, stride in ((width, 1), (2 * width, 2), (4 * width, 2)):
        for i in range(n):
            layers.append(Basic(channels, out, stride if i == 0 else 1, residual))
            channels = out
    return nn.Sequential(*layers, Head(channels, classes))


class Subsampled(nn.Module):
    def __init__(self, stride: int, channels: int) -> None:
        super().__init__()
        self.stride, self.channels = stride, channels

    def forward(self, x: Tensor) -> Tensor:
        return subsampled(x, self.stride, self.channels)


def blocks(module: nn.Module) -> list[Any]:
    """The basic blocks of a ResNet of torchvision."""
    return [part for part in module.modules() if hasattr(part, "downsample")]


def resnet34_a() -> nn.Module:
    module = built("resnet34")
    for block in blocks(module):
        if block.downsample is not None:
            block.downsample = Subsampled(block.stride, block.conv1.out_channels)
    return module


def resnet34_c() -> nn.Module:
    module = built("resnet34")
    for block in blocks(module):
        if block.downsample is None:
            block.downsample = conv_bn(block.conv1.in_channels, block.conv1.out_channels, 1)
    return module


def plain(model: str) -> nn.Module:
    def forward(block: Any, x: Tensor) -> Any:
        return block.relu(block.bn2(block.conv2(block.relu(block.bn1(block.conv1(x))))))

    module = built(model)
    for block in blocks(module):
        block.forward, block.downsample = MethodType(forward, block), None
    return module


# ---- Wide ResNets (Zagoruyko & Komodakis 2016) -------------------------------------------------


class Wide(nn.Module):
    def __init__(self, n: int, out: int, stride: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(n), conv(n, out, stride=stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(out), conv(out, out)
        self.projection = conv(n, out, 1, stride) if n != out else None

    def forward(self, x: Tensor) -> Tensor:
        active = self.bn1(x).relu_()
        y: Tensor = self.conv2(self.bn2(self.conv1(active)).relu_())
        return y.add_(x if self.projection is None else self.projection(active))


def wide_resnet(depth: int, k: int, classes: int = 10) -> nn.Module:
    layers: list[nn.Module] = [conv(3, 16)]
    channels = 16
    for out, stride in ((16 * k, 1), (32 * k, 2), (64 * k, 2)):
        for i in range((depth - 4) // 6):
            layers.append(Wide(channels, out, stride if i == 0 else 1))
            channels = out
    return nn.Sequential(*layers, nn.BatchNorm2d(channels), relu(), Head(channels, classes))


# ---- Pre-activation ResNets (He et al. 2016, Identity Mappings) --------------------------------


class Bottleneck(nn.Module):
    def __init__(self, n: int, out: int, stride: int) -> None:
        super().__init__()
        inner = out // 4
        self.bn1, self.conv1 = nn.BatchNorm2d(n), conv(n, inner, 1, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(inner), conv(inner, inner)
        self.bn3, self.conv3 = nn.BatchNorm2d(inner), conv(inner, out, 1)
        self.projection = conv(n, out, 1, stride) if n != out else None

    def forward(self, x: Tensor) -> Tensor:
        active = self.bn1(x).relu_()
        y = self.conv2(self.bn2(self.conv1(active)).relu_())
        y = self.conv3(self.bn3(y).relu_())
        return y.add_(x if self.projection is None else self.projection(active))


def preresnet(n: int, classes: int = 10) -> nn.Module:
    """9n + 2 layers."""
    layers: list[nn.Module] = [conv(3, 16)]
    channels = 16
    for out, stride in ((64, 1), (128, 2), (256, 2)):
        for i in range(n):
            layers.append(Bottleneck(channels, out, stride if i == 0 else 1))
            channels = out
    return nn.Sequential(*layers, nn.BatchNorm2d(channels), relu(), Head(channels, classes))


# ---- Highway networks (Srivastava et al. 2015) -------------------------------------------------


class Highway(nn.Module):
    def __init__(self, n: int, kernel: int = 3) -> None:
        super().__init__()
        self.transform: nn.Module = conv(n, n, kernel, bias=True)
        self.gate: nn.Module = conv(n, n, kernel, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        y, gate = self.transform(x).relu(), self.gate(x).sigmoid()
        return y * gate + x * (1 - gate)


def highway(maps: list[int], depths: list[int], kernels: list[int], classes: int = 10) -> nn.Module:
    layers: list[nn.Module] = []
    channels = 3
    for out, depth in zip(maps, depths):
        layers += [conv(channels, out, bias=True), relu()]
        layers += [Highway(out, kernels[i % 2]) for i in range(depth)]
        layers += [nn.MaxPool2d(2)]
        channels = out
    return nn.Sequential(*layers[:-1], conv(channels, 100, 1, bias=True), relu(), Head(100, classes))


def highway_mnist(n: int, classes: int = 10) -> nn.Module:
    stages = [[Highway(n) for _ in range(depth)] for depth in (2, 3, 3)]
    pools = [nn.MaxPool2d(kernel, 2, ceil_mode=True) for kernel in (3, 3, 2)]
    layers = [layer for stage, pool in zip(stages, pools) for layer in (*stage, pool)]
    return nn.Sequential(nn.Conv2d(1, n, 5), relu(), *layers, nn.Flatten(), nn.Linear(n * 3 * 3, classes))


class DenseHighway(Highway):
    def __init__(self, n: int) -> None:
        super().__init__(n)
        self.transform, self.gate = nn.Linear(n, n), nn.Linear(n, n)


def dense_highway(n: int, depth: int, classes: int = 10) -> nn.Module:
    layers = [DenseHighway(n) for _ in range(depth - 1)]
    return nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, n), relu(), *layers, nn.Linear(n, classes))


# ---- PReLU-nets (He et al. 2015) ---------------------------------------------------------------


class Pyramid(nn.Module):
    def __init__(self, *bins: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(nn.AdaptiveMaxPool2d(n) for n in bins)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([level(x).flatten(1) for level in self.levels], 1)


def prelu_net(widths: list[int], depth: int, classes: int = 1000) -> nn.Module:
    layers: list[nn.Module] = [conv(3, 96, 7, 2, bias=True), nn.PReLU(96)]
    channels = 96
    for out in widths:
        layers.append(nn.MaxPool2d(2))
        for _ in range(depth):
            layers += [conv(channels, out, bias=True), nn.PReLU(out)]
            channels = out
    layers += [Pyramid(7, 3, 2, 1)]
    for n in (channels * (7 * 7 + 3 * 3 + 2 * 2 + 1), 4096):
        layers += [nn.Linear(n, 4096), nn.PReLU(4096), nn.Dropout()]
    return nn.Sequential(*layers, nn.Linear(4096, classes))


# ---- MobileNets (Howard et al. 2017) -----------------------------------------------------------

MOBILENET = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
SHALLOW = [row for row in MOBILENET if row != (512, 1)]


def mobilenet(alpha: float, rows: list[tuple[int, int]] = MOBILENET, separable: bool = True) -> nn.Module:
    channels = round(32 * alpha)
    layers: list[nn.Module] = [conv_bn(3, channels, stride=2), relu()]
    for c, stride in rows:
        out = round(c * alpha)
        if separable:
            layers += [conv_bn(channels, channels, stride=stride, groups=channels), relu(), conv_bn(channels, out, 1)]
        else:
            layers += [conv_bn(channels, out, stride=stride)]
        layers += [relu()]
        channels = out
    return nn.Sequential(*layers, Head(channels, 1000))


# ---- ShuffleNets (Zhang et al. 2018) -----------------------------------------------------------


class Unit(nn.Module):
    def __init__(self, n: int, out: int, stride: int, groups: int, entry: int) -> None:
        super().__init__()
        inner = out // 4
        self.groups, self.stride = groups, stride
        self.reduce = conv_bn(n, inner, 1, groups=entry)
        self.depthwise = conv_bn(inner, inner, stride=stride, groups=inner)
        self.expand = conv_bn(inner, out - n if stride > 1 else out, 1, groups=groups)
        self.pool = nn.AvgPool2d(3, 2, 1)

    def shuffled(self, x: Tensor) -> Tensor:
        n, c, *image = x.shape
        return x.view(n, self.groups, c // self.groups, *image).transpose(1, 2).reshape(n, c, *image)

    def forward(self, x: Tensor) -> Tensor:
        y = self.reduce(x).relu_()
        y = self.expand(self.depthwise(self.shuffled(y) if self.groups > 1 else y))
        return (torch.cat([y, self.pool(x)], 1) if self.stride > 1 else y + x).relu_()


def shufflenet(groups: int, channels: int, stem: int = 24, depths: tuple[int, ...] = (4, 8, 4)) -> nn.Module:
    layers: list[nn.Module] = [conv_bn(3, stem, stride=2), relu(), nn.MaxPool2d(3, 2, 1)]
    n = stem
    for stage, depth in enumerate(depths):
        for i in range(depth):
            first = stage == i == 0
            layers.append(Unit(n, channels, 2 if i == 0 else 1, groups, 1 if first else groups))
            n = channels
        channels *= 2
    return nn.Sequential(*layers, Head(n, 1000))


# ---- the same ----------------------------------------------------------------------------------

HIGHWAY19 = ([32, 80, 128], [4, 5, 5], [3, 3])
HIGHWAY32 = ([32, 64, 96], [9, 9, 9], [1, 3])
SMALL = {"maps": [5, 7, 6], "depths": [1, 0, 3], "kernels": [5, 1], "classes": 3}

CASES: list[tuple[str, dict[str, Any], Build]] = [
    *((f"cifar_resnet{d}", {}, lambda d=d: cifar((d - 2) // 6, True)) for d in (20, 32, 44, 56, 110, 1202)),
    *((f"cifar_plain{d}", {}, lambda d=d: cifar((d - 2) // 6, False)) for d in (20, 32, 44, 56, 110)),
    ("cifar_resnet20", {"input": "3x45x39", "batch": 2}, lambda: cifar(3, True)),
    ("cifar_plain20", {"input": "3x45x39", "batch": 2}, lambda: cifar(3, False)),
    ("cifar_resnet20", {"set": {"width": 5, "n": 1, "classes": 7}}, lambda: cifar(1, True, 5, 7)),
    ("resnet34_a", {}, resnet34_a),
    ("resnet34_a", {"input": "3x225x193", "batch": 2}, resnet34_a),
    ("resnet34_c", {}, resnet34_c),
    ("resnet34_c", {"input": "3x225x193", "batch": 2}, resnet34_c),
    ("plain18", {}, lambda: plain("resnet18")),
    ("plain34", {}, lambda: plain("resnet34")),
    ("plain34", {"input": "3x225x193", "batch": 2}, lambda: plain("resnet34")),
    ("wide_resnet28_10", {}, lambda: wide_resnet(28, 10)),
    ("wide_resnet28_10", {"input": "3x45x39", "batch": 2}, lambda: wide_resnet(28, 10)),
    ("wide_resnet28_10", {"set": {"depth": 16, "width": 1, "classes": 7}}, lambda: wide_resnet(16, 1, 7)),
    ("preresnet164", {}, lambda: preresnet(18)),
    ("preresnet164", {"input": "3x45x39", "batch": 2, "set": {"n": 1, "classes": 7}}, lambda: preresnet(1, 7)),
    ("preresnet1001", {}, lambda: preresnet(111)),
    ("highway19", {}, lambda: highway(*HIGHWAY19)),
    ("highway32", {}, lambda: highway(*HIGHWAY32)),
    ("highway19", {"input": "3x45x39", "batch": 2, "set": SMALL}, lambda: highway([5, 7, 6], [1, 0, 3], [5, 1], 3)),
    ("highway10", {}, lambda: highway_mnist(32)),
    ("highway10", {"set": {"width": 16, "classes": 7}}, lambda: highway_mnist(16, 7)),
    ("highway_fc", {}, lambda: dense_highway(50, 10)),
    ("highway_fc", {"set": {"width": 7, "depth": 3, "classes": 4}}, lambda: dense_highway(7, 3, 4)),
    ("prelu_net_a", {}, lambda: prelu_net([256, 512, 512], 5)),
    ("prelu_net_b", {}, lambda: prelu_net([256, 512, 512], 6)),
    ("prelu_net_c", {}, lambda: prelu_net([384, 768, 896], 6)),
    ("prelu_net_a", {"input": "3x225x193", "batch": 2}, lambda: prelu_net([256, 512, 512], 5)),
    ("mobilenet_v1", {}, lambda: mobilenet(1)),
    ("mobilenet_v1_0_75", {}, lambda: mobilenet(0.75)),
    ("mobilenet_v1_0_5", {}, lambda: mobilenet(0.5)),
    ("mobilenet_v1_0_25", {}, lambda: mobilenet(0.25)),
    ("mobilenet_v1", {"input": "3x225x193", "batch": 2}, lambda: mobilenet(1)),
    ("mobilenet_v1_conv", {}, lambda: mobilenet(1, separable=False)),
    ("mobilenet_v1_conv", {"input": "3x225x193", "batch": 2}, lambda: mobilenet(1, separable=False)),
    ("mobilenet_v1_shallow", {}, lambda: mobilenet(1, SHALLOW)),
    *(
        (f"shufflenet_v1_g{g}", {}, lambda g=g, c=c: shufflenet(g, c))
        for g, c in ((1, 144), (2, 200), (3, 240), (4, 272), (8, 384))
    ),
    ("shufflenet_v1_g3", {"input": "3x225x193", "batch": 2}, lambda: shufflenet(3, 240)),
    ("shufflenet_v1_g1", {"input": "3x225x193", "batch": 2}, lambda: shufflenet(1, 144)),
    ("shufflenet_v1_g3", {"set": {"scale": 2, "stem": 48}}, lambda: shufflenet(3, 480, 48)),
    ("shufflenet_v1_g8", {"set": {"scale": 0.25, "depths": [2, 4, 2]}}, lambda: shufflenet(8, 96, depths=(2, 4, 2))),
]


def case_id(case: tuple[str, dict[str, Any], Build]) -> str:
    return "-".join([case[0], *(f"{key}={value}" for key, value in case[1].items())]).replace(" ", "")


def check_same(got: Measured, expected: Measured) -> None:
    assert got.layers == expected.layers
    assert got.plain == expected.plain
    assert got == expected


@pytest.mark.parametrize(("name", "given", "build"), CASES, ids=map(case_id, CASES))
def test_equals_the_module(name: str, given: dict[str, Any], build: Build) -> None:
    """Parameters, MACs and shape of every weighted layer, in order; the other layers by kind, shape and memory."""
    graph = cnncost.load(name, **given)
    (shape,) = graph.inputs.values()
    with torch.device("meta"):
        module = build().eval()
    check_same(priced(graph), measured(module, shape))


def test_mobilenet_equals_timms() -> None:
    """But for the activation: timm's is ReLU6."""
    got, theirs = priced(cnncost.load("mobilenet_v1")), measured(built_by_timm("mobilenetv1_100"), (1, 3, 224, 224))
    assert (got.params, got.macs, got.layers) == (theirs.params, theirs.macs, theirs.layers)


def test_every_plain_net_has_its_resnets_parameters() -> None:
    """With shortcuts that have none; the additions are all that a residual network adds."""
    for depth in (20, 32, 44, 56, 110):
        plain, residual = (cnncost.analyze(f"cifar_{kind}{depth}").total for kind in ("plain", "resnet"))
        n = (depth - 2) // 6
        sums = n * (16 * 32 * 32 + 32 * 16 * 16 + 64 * 8 * 8)
        assert (plain.params, plain.macs) == (residual.params, residual.macs)
        assert residual.additions - plain.additions == sums
