"""Networks that segment, detect or generate, against modules of plain PyTorch and of torchvision on the meta device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
import torch
import torchvision_shim
import zoo
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

import cnncost
from cnncost.graph import Graph

Shape = tuple[int, ...]


class Priced(NamedTuple):
    params: int
    macs: int
    outputs: list[Shape]


def measured(module: nn.Module, shape: Shape) -> Priced:
    """What PyTorch says of a module at inference; outputs as the module returns them."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        out = module.eval()(torch.empty(shape, device="meta"))
    outputs = [out] if isinstance(out, torch.Tensor) else out
    params = sum(p.numel() for p in module.parameters())
    return Priced(params, counter.get_total_flops() // 2, [tuple(t.shape) for t in outputs])


def priced(graph: Graph) -> Priced:
    report = cnncost.analyze(graph)
    return Priced(report.total.params, report.total.macs, [graph.shapes[name] for name in report.outputs])


# ---- pieces ------------------------------------------------------------------------------------


def convs(*channels: int, padding: int = 1, dilation: int = 1) -> nn.Sequential:
    """3x3 convolutions with ReLU, from each number of channels to the next."""
    layers: list[nn.Module] = []
    for n, out in pairwise(channels):
        layers += [nn.Conv2d(n, out, 3, padding=padding, dilation=dilation), nn.ReLU()]
    return nn.Sequential(*layers)


def vgg_stages() -> list[nn.Sequential]:
    """The five stages of VGG-16 without their pools."""
    return [
        convs(3, 64, 64),
        convs(64, 128, 128),
        convs(128, 256, 256, 256),
        convs(256, 512, 512, 512),
        convs(512, 512, 512, 512),
    ]


def caffe_pool(t: torch.Tensor) -> torch.Tensor:
    return functional.max_pool2d(t, 2, ceil_mode=True)


def cropped(t: torch.Tensor, like: torch.Tensor, offset: int) -> torch.Tensor:
    """The part of `t` that is as large as `like` and begins at an offset."""
    height, width = like.shape[2:]
    return t[:, :, offset : offset + height, offset : offset + width]


# ---- U-Net -------------------------------------------------------------------------------------


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        widths = [64, 128, 256, 512, 1024]
        self.down = nn.ModuleList(convs(n, out, out, padding=0) for n, out in pairwise([1, *widths]))
        self.up = nn.ModuleList(nn.ConvTranspose2d(n, n // 2, 2, 2) for n in widths[:0:-1])
        self.merge = nn.ModuleList(convs(n, n // 2, n // 2, padding=0) for n in widths[:0:-1])
        self.classes = nn.Conv2d(64, 2, 1)

    def forward(self, t: torch.Tensor) -> torch.Tensor:
        skips = []
        for number, stage in enumerate(self.down):
            t = stage(functional.max_pool2d(t, 2) if number else t)
            skips.append(t)
        for up, merge, skip in zip(self.up, self.merge, skips[-2::-1]):
            t = up(t)
            t = merge(torch.cat([cropped(skip, t, (skip.shape[2] - t.shape[2]) // 2), t], 1))
        out: torch.Tensor = self.classes(t)
        return out


# ---- FCN ---------------------------------------------------------------------------------------


class FCN(nn.Module):
    """Caffe's, layer names and crops as released. stride: 32, 16 or 8."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(vgg_stages())
        self.stages[0][0] = nn.Conv2d(3, 64, 3, padding=100)
        self.head = nn.Sequential(
            nn.Conv2d(512, 4096, 7), nn.ReLU(), nn.Conv2d(4096, 4096, 1), nn.ReLU(), nn.Conv2d(4096, 21, 1)
        )
        self.offset = {32: 19, 16: 27, 8: 31}[stride]
        self.skips = [number for number in (3, 2) if stride < 2 ** (number + 2)]  # pool4, pool3
        self.scores = nn.ModuleList(nn.Conv2d({3: 512, 2: 256}[number], 21, 1) for number in self.skips)
        self.twice = nn.ModuleList(nn.ConvTranspose2d(21, 21, 4, 2, bias=False) for _ in self.skips)
        self.upscore = nn.ConvTranspose2d(21, 21, 2 * stride, stride, bias=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        t, pooled = image, []
        for stage in self.stages:
            t = caffe_pool(stage(t))
            pooled.append(t)
        t = self.head(t)
        for number, score, twice, offset in zip(self.skips, self.scores, self.twice, (5, 9)):
            t = twice(t)
            t = t + cropped(score(pooled[number]), t, offset)
        return cropped(self.upscore(t), image, self.offset)


# ---- DeepLab -----------------------------------------------------------------------------------


class DeepLab(nn.Module):
    def __init__(self, *rates: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList([*vgg_stages()[:4], convs(512, 512, 512, 512, padding=2, dilation=2)])
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(512, 1024, 3, padding=rate, dilation=rate),
                nn.ReLU(),
                nn.Conv2d(1024, 1024, 1),
                nn.ReLU(),
                nn.Conv2d(1024, 21, 1),
            )
            for rate in rates
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        t = image
        for stage, stride in zip(self.stages, (2, 2, 2, 1, 1)):
            t = functional.max_pool2d(stage(t), 3, stride, 1)
        scores = torch.stack([branch(t) for branch in self.branches]).sum(0)
        return functional.interpolate(scores, image.shape[2:], mode="bilinear", align_corners=True)


# ---- SSD ---------------------------------------------------------------------------------------


def extra(n: int, out: int, kernel: int = 3, stride: int = 2, padding: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(n, out // 2, 1), nn.ReLU(), nn.Conv2d(out // 2, out, kernel, stride, padding), nn.ReLU()
    )


class SSD(nn.Module):
    """Returns N x boxes x 4 and N x boxes x classes. side: 300 or 512."""

    def __init__(self, side: int, classes: int = 21) -> None:
        super().__init__()
        self.stages = nn.ModuleList(vgg_stages())
        self.scale = nn.Parameter(torch.empty(512, 1, 1))
        self.dilated = nn.Sequential(
            nn.Conv2d(512, 1024, 3, padding=6, dilation=6), nn.ReLU(), nn.Conv2d(1024, 1024, 1), nn.ReLU()
        )
        extras = [extra(1024, 512), extra(512, 256)]
        if side == 300:
            extras += [extra(256, 256, 3, 1, 0), extra(256, 256, 3, 1, 0)]
        else:
            extras += [extra(256, 256), extra(256, 256), extra(256, 256, 4, 1, 1)]
        self.extras = nn.ModuleList(extras)
        channels = [512, 1024, 512, *[256] * (len(extras) - 1)]
        boxes = [4, *[6] * (len(extras) - 1), 4, 4]
        self.columns = [4, classes]
        self.heads = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(n, b * values, 3, padding=1) for n, b in zip(channels, boxes))
            for values in self.columns
        )

    def forward(self, t: torch.Tensor) -> list[torch.Tensor]:
        for stage in self.stages[:4]:
            t = stage(t) if stage is self.stages[0] else stage(caffe_pool(t))
        maps = [self.scale * functional.normalize(t)]
        t = functional.max_pool2d(self.stages[4](caffe_pool(t)), 3, 1, 1)
        maps.append(self.dilated(t))
        for layer in self.extras:
            maps.append(layer(maps[-1]))
        return [
            torch.cat([rows(conv(m), values) for conv, m in zip(head, maps)], 1)
            for head, values in zip(self.heads, self.columns)
        ]


def rows(t: torch.Tensor, values: int) -> torch.Tensor:
    """N x (boxes values) x H x W as N x (H W boxes) x values."""
    return t.movedim(1, -1).reshape(len(t), -1, values)


# ---- Darknet -----------------------------------------------------------------------------------


def darknet(n: int, *layers: int | str) -> nn.Sequential:
    """Layers as in darknet's own files: channels of a 3x3, of a 1x1 as text, or a pool."""
    found: list[nn.Module] = []
    for layer in layers:
        if layer == "pool":
            found.append(nn.MaxPool2d(2))
            continue
        out, kernel = int(layer), 1 if isinstance(layer, str) else 3
        conv = nn.Conv2d(n, out, kernel, padding=kernel // 2, bias=False)
        found += [conv, nn.BatchNorm2d(out), nn.LeakyReLU(0.1)]
        n = out
    return nn.Sequential(*found)


FINE = (32, "pool", 64, "pool", 128, "64", 128, "pool", 256, "128", 256, "pool", 512, "256", 512, "256", 512)
COARSE = ("pool", 1024, "512", 1024, "512", 1024)


class Darknet19(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = darknet(3, *FINE, *COARSE)
        self.classes = nn.Conv2d(1024, 1000, 1)

    def forward(self, t: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.classes(self.features(t)).mean((2, 3)), 1)


class YOLOv2(nn.Module):
    """passthrough: channels that the finer map is narrowed to, or 0."""

    def __init__(self, classes: int, passthrough: int) -> None:
        super().__init__()
        self.fine, self.coarse = darknet(3, *FINE), darknet(512, *COARSE, 1024, 1024)
        self.narrow = darknet(512, str(passthrough)) if passthrough else nn.Identity()
        self.last = darknet(4 * (passthrough or 512) + 1024, 1024)
        self.boxes = nn.Conv2d(1024, 5 * (classes + 5), 1)

    def forward(self, t: torch.Tensor) -> torch.Tensor:
        t = self.fine(t)
        finer = functional.pixel_unshuffle(self.narrow(t), 2)
        boxes: torch.Tensor = self.boxes(self.last(torch.cat([finer, self.coarse(t)], 1)))
        return boxes


class TinyYOLOv2(nn.Module):
    def __init__(self, classes: int, last: int) -> None:
        super().__init__()
        self.fine = darknet(3, *(layer for i in range(5) for layer in (16 * 2**i, "pool")), 512)
        self.coarse = darknet(512, 1024, last)
        self.boxes = nn.Conv2d(last, 5 * (classes + 5), 1)

    def forward(self, t: torch.Tensor) -> torch.Tensor:
        t = functional.pad(self.fine(t), (0, 1, 0, 1))
        boxes: torch.Tensor = self.boxes(self.coarse(functional.max_pool2d(t, 2, 1)))
        return boxes


# ---- Faster R-CNN ------------------------------------------------------------------------------


class FasterRCNN(nn.Module):
    """Boxes and objectness of anchors, boxes and classes of 300 regions, which all are the whole map here."""

    def __init__(self, rois: int) -> None:
        super().__init__()
        self.rois = rois
        self.stages = nn.ModuleList(vgg_stages())
        self.rpn = nn.Sequential(nn.Conv2d(512, 512, 3, padding=1), nn.ReLU())
        self.anchors = nn.ModuleList([nn.Conv2d(512, 4 * 9, 1), nn.Conv2d(512, 2 * 9, 1)])
        self.hidden = nn.Sequential(nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU())
        self.boxes, self.classes = nn.Linear(4096, 4 * 21), nn.Linear(4096, 21)

    def forward(self, t: torch.Tensor) -> list[torch.Tensor]:
        for stage in self.stages:
            t = stage(t) if stage is self.stages[0] else stage(caffe_pool(t))
        shared = self.rpn(t)
        boxes, objects = (conv(shared) for conv in self.anchors)
        regions = functional.adaptive_max_pool2d(t, 7).repeat(self.rois, 1, 1, 1)
        hidden = self.hidden(regions.flatten(1))
        pairs = objects.reshape(len(t), 2, -1, t.shape[3]).softmax(1)
        return [boxes, pairs, self.boxes(hidden), self.classes(hidden).softmax(1)]


# ---- DCGAN -------------------------------------------------------------------------------------


def generator() -> nn.Sequential:
    def up(n: int, out: int) -> nn.Module:
        return nn.ConvTranspose2d(n, out, 5, 2, 2, output_padding=1, bias=False)

    layers: list[nn.Module] = [nn.Linear(100, 1024 * 4 * 4, bias=False), nn.Unflatten(1, (1024, 4, 4))]
    for n, out in pairwise((1024, 512, 256, 128, 3)):
        layers += [nn.BatchNorm2d(n), nn.ReLU(), up(n, out)]
    return nn.Sequential(*layers, nn.Tanh())


def discriminator() -> nn.Sequential:
    layers: list[nn.Module] = []
    for n, out in pairwise((3, 128, 256, 512, 1024)):
        layers.append(nn.Conv2d(n, out, 5, 2, 2, bias=False))
        layers += [nn.BatchNorm2d(out)] * (n > 3) + [nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(1024 * 4 * 4, 1, bias=False), nn.Sigmoid())


# ---- all of them -------------------------------------------------------------------------------

Case = tuple[str, dict[str, Any], Callable[[], nn.Module]]

COCO = {"classes": 80, "passthrough": 64}
CASES: list[Case] = [
    ("unet", {}, UNet),
    ("unet", {"input": "1x188x220"}, UNet),
    ("fcn32s", {}, lambda: FCN(32)),
    ("fcn16s", {}, lambda: FCN(16)),
    ("fcn8s", {}, lambda: FCN(8)),
    ("fcn8s", {"input": "3x333x251"}, lambda: FCN(8)),
    ("deeplab_largefov_vgg16", {}, lambda: DeepLab(12)),
    ("deeplab_v2_vgg16", {}, lambda: DeepLab(6, 12, 18, 24)),
    ("deeplab_v2_vgg16", {"input": "3x250x333"}, lambda: DeepLab(6, 12, 18, 24)),
    ("ssd300", {}, lambda: SSD(300)),
    ("ssd300", {"set": {"classes": 81}}, lambda: SSD(300, 81)),
    ("ssd512", {}, lambda: SSD(512)),
    ("darknet19", {}, Darknet19),
    ("yolo_v2", {}, lambda: YOLOv2(20, 0)),
    ("yolo_v2", {"input": "3x608x608", "set": COCO}, lambda: YOLOv2(80, 64)),
    ("yolo_v2_tiny", {}, lambda: TinyYOLOv2(20, 1024)),
    ("yolo_v2_tiny", {"set": {"classes": 80, "last": 512}}, lambda: TinyYOLOv2(80, 512)),
    ("faster_rcnn_vgg16", {}, lambda: FasterRCNN(300)),
    ("faster_rcnn_vgg16", {"input": "3x333x417", "set": {"rois": 50}}, lambda: FasterRCNN(50)),
    ("dcgan", {}, generator),
    ("dcgan", {"batch": 3}, generator),
    ("dcgan_discriminator", {}, discriminator),
]


def case_ids() -> Iterator[str]:
    for name, options, _ in CASES:
        yield "-".join([name, *(f"{key}={value}" for key, value in options.items())]).replace(" ", "")


@pytest.mark.parametrize(("name", "options", "build"), CASES, ids=case_ids())
def test_equals_plain_pytorch(name: str, options: dict[str, Any], build: Callable[[], nn.Module]) -> None:
    """Parameters, MACs, and the shapes of all outputs in order."""
    graph = cnncost.load(name, **options)
    (shape,) = graph.inputs.values()
    with torch.device("meta"):
        module = build()
    assert priced(graph) == measured(module, shape)


# ---- torchvision -------------------------------------------------------------------------------


def torchvisions(kind: str, model: str, **options: Any) -> Any:
    """A model of torchvision.models.segmentation or detection, without weights."""
    try:
        models = torchvision_shim.models()
    except ImportError:
        pytest.skip("torchvision is not installed")
    with torch.device("meta"):
        return getattr(getattr(models, kind), model)(weights=None, weights_backbone=None, **options).eval()


class Maps(nn.Module):
    """What torchvision's SSD computes before boxes are decoded: N x boxes x 4 and N x boxes x classes."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.backbone, self.head = model.backbone, model.head

    def forward(self, t: torch.Tensor) -> list[torch.Tensor]:
        return list(self.head(list(self.backbone(t).values())).values())


def test_ssd300_equals_torchvisions() -> None:
    model = torchvisions("detection", "ssd300_vgg16", num_classes=91)
    assert priced(cnncost.load("ssd300", set={"classes": 91})) == measured(Maps(model), (1, 3, 300, 300))


class Outputs(nn.Module):
    """A model that returns its outputs by name, with a list of them in place."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, t: torch.Tensor) -> list[torch.Tensor]:
        return list(self.model(t).values())


@pytest.mark.parametrize("aux", [False, True])
@pytest.mark.parametrize("name", ["fcn_resnet50", "fcn_resnet101", "deeplabv3_resnet50", "deeplabv3_resnet101"])
def test_segmentation_equals_torchvisions(name: str, aux: bool) -> None:
    """Parameters, MACs and shapes, layer by layer, at an odd size."""
    graph = cnncost.load(name, input="3x225x321", set={"aux": aux})
    model = Outputs(torchvisions("segmentation", name, aux_loss=aux))
    assert zoo.priced(graph) == zoo.measured(model, (1, 3, 225, 321))
    assert priced(graph) == measured(model, (1, 3, 225, 321))


def test_lraspp_equals_torchvisions() -> None:
    graph = cnncost.load("lraspp_mobilenet_v3_large", input="3x225x321")
    model = Outputs(torchvisions("segmentation", "lraspp_mobilenet_v3_large"))
    assert zoo.priced(graph) == zoo.measured(model, (1, 3, 225, 321))
