"""Every bundled network that torchvision or timm defines, layer by layer against their modules."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
import torchvision_shim
from zoo import Measured, built, built_by_timm, measured, no_memory, priced

import cnncost
from cnncost.spec.files import bundled_names

TRANSFORMERS = ("vit_", "swin_", "maxvit_")
"""Torchvision's classifiers that are no, or not only, convolutional networks."""

OURS = {"alexnet": "alexnet_torchvision", "googlenet": "googlenet_torchvision"}
"""Where the plain name is the paper's network."""


def classifiers() -> list[str]:
    """The convolutional classifiers in torchvision's registry."""
    try:
        models = torchvision_shim.models()
    except ImportError:
        return []
    return [name for name in models.list_models(module=models) if not name.startswith(TRANSFORMERS)]


CLASSIFIERS = classifiers()


def options(model: str) -> dict[str, Any]:
    """What torchvision's function is given: no initial weights, where that can be said, and no auxiliary heads."""
    if model.startswith("vgg"):
        return {"init_weights": False}
    if model in ("googlenet", "inception_v3"):
        return {"init_weights": False, "aux_logits": False}
    return {}


def torchvisions(model: str, shape: tuple[int, ...]) -> Measured:
    return measured(built(model, **options(model)), shape)


def check_same(got: Measured, expected: Measured) -> None:
    assert got.layers == expected.layers
    assert got.plain == expected.plain
    assert got == expected


# ---- torchvision -------------------------------------------------------------------------------


def test_torchvision_has_them() -> None:
    pytest.importorskip("torchvision")
    assert {"resnet50", "vgg16_bn", "convnext_tiny", "regnet_y_128gf", "mnasnet1_3"} <= set(CLASSIFIERS)


def test_no_network_of_torchvision_is_missing() -> None:
    missing = {OURS.get(model, model) for model in CLASSIFIERS} - set(bundled_names())
    assert missing == set()


@pytest.mark.parametrize("model", CLASSIFIERS)
def test_equals_torchvision(model: str) -> None:
    """Parameters, MACs and shape of every weighted layer, in order; the other layers by kind, shape and memory."""
    graph = cnncost.load(OURS.get(model, model))
    (shape,) = graph.inputs.values()
    check_same(priced(graph), torchvisions(model, shape))


PAPERS_SIDE = {"efficientnet_b2": 260}
"""Where torchvision's weights are for another size than the paper's network."""


@pytest.mark.parametrize("model", CLASSIFIERS)
def test_has_the_input_of_torchvisions_weights(model: str) -> None:
    weights = torchvision_shim.models().get_model_weights(model)
    trained = getattr(weights, "IMAGENET1K_V1", None) or weights.IMAGENET1K_SWAG_LINEAR_V1
    side = PAPERS_SIDE.get(model, trained.transforms.keywords["crop_size"])
    assert cnncost.load(OURS.get(model, model)).inputs == {"input": (1, 3, side, side)}


# Odd sizes, height unlike width, several images: windows that do not fit, one network of a family.
ELSEWHERE = [
    ("alexnet", (2, 3, 231, 197)),
    ("convnext_tiny", (2, 3, 225, 193)),
    ("densenet121", (2, 3, 231, 181)),
    ("efficientnet_v2_s", (2, 3, 225, 193)),
    ("googlenet", (2, 3, 231, 197)),
    ("inception_v3", (2, 3, 331, 307)),
    ("mnasnet0_5", (2, 3, 225, 193)),
    ("mobilenet_v2", (2, 3, 321, 255)),
    ("mobilenet_v3_small", (2, 3, 225, 193)),
    ("regnet_x_400mf", (2, 3, 225, 193)),
    ("regnet_y_400mf", (2, 3, 225, 193)),
    ("resnet18", (2, 3, 65, 97)),
    ("resnet50", (2, 3, 225, 193)),
    ("shufflenet_v2_x0_5", (2, 3, 225, 193)),
    ("squeezenet1_0", (2, 3, 231, 197)),
    ("squeezenet1_1", (2, 3, 231, 197)),
    ("vgg11_bn", (2, 3, 225, 193)),
    *((f"efficientnet_b{n}", (1, 3, 224, 224)) for n in range(1, 8)),
    ("efficientnet_b2", (1, 3, 288, 288)),
    ("inception_v3", (1, 3, 299, 299)),
]


def of_size(name: str, shape: tuple[int, ...]) -> Measured:
    batch, *image = shape
    return priced(cnncost.load(name, input=image, batch=batch))


def case_id(case: tuple[str, tuple[int, ...]]) -> str:
    return f"{case[0]}-{'x'.join(map(str, case[1]))}"


@pytest.mark.parametrize(("model", "shape"), ELSEWHERE, ids=map(case_id, ELSEWHERE))
def test_equals_torchvision_at_other_sizes(model: str, shape: tuple[int, ...]) -> None:
    check_same(of_size(OURS.get(model, model), shape), torchvisions(model, shape))


# depth, w0, wa, wm, group_width: none of torchvision's own; the last has three stages
REGNETS = [
    (12, 32, 31.3, 2.2, 8),
    (19, 104, 21.07, 1.7, 40),
    (23, 24, 18.4, 2.85, 24),
    (15, 176, 140.5, 2.41, 72),
    (9, 64, 30.0, 2.5, 16),
]


@pytest.mark.parametrize("numbers", REGNETS, ids=str)
def test_regnets_stages_follow_from_five_numbers(numbers: tuple[int, int, float, float, int]) -> None:
    """The quantised linear rule of the paper, as torchvision computes it block by block."""
    depth, w0, wa, wm, group_width = numbers
    pytest.importorskip("torchvision")
    torchvision_shim.models()
    from torchvision.models.regnet import BlockParams, RegNet

    with no_memory():
        stages = BlockParams.from_init_params(depth=depth, w_0=w0, w_a=wa, w_m=wm, group_width=group_width)
        module = RegNet(stages).eval()
    graph = cnncost.load(
        "regnet_x_400mf", set={"depth": depth, "w0": w0, "wa": wa, "wm": wm, "group_width": group_width}
    )
    check_same(priced(graph), measured(module, (1, 3, 224, 224)))


@pytest.mark.parametrize("name", ["resnet50_v1", "resnet101_v1", "resnet152_v1"])
def test_resnets_as_published_stride_in_the_first_convolution(name: str) -> None:
    """Torchvision's with the stride moved there."""
    module = built(name.removesuffix("_v1"))
    strided = [part for part in module.modules() if hasattr(part, "conv3") and part.stride == 2]
    for bottleneck in strided:
        bottleneck.conv1.stride, bottleneck.conv2.stride = (2, 2), (1, 1)
    assert len(strided) == 3
    for shape in ((1, 3, 224, 224), (2, 3, 225, 193)):
        check_same(of_size(name, shape), measured(module, shape))


@pytest.mark.parametrize(
    ("model", "heads"), [("inception_v3", ["AuxLogits.fc"]), ("googlenet", ["aux1.fc2", "aux2.fc2"])]
)
def test_auxiliary_classifiers(model: str, heads: list[str]) -> None:
    """They only run in training, and batch norm in training needs more than one image."""
    name = OURS.get(model, model)
    report = cnncost.analyze(name, batch=2, set={"aux": True})
    (shape,) = report.inputs.values()
    got = priced(cnncost.load(name, batch=2, set={"aux": True}))
    expected = measured(built(model, init_weights=False).train(), shape)
    assert (got.params, got.macs) == (expected.params, expected.macs)
    assert sorted(got.layers) == sorted(expected.layers)
    assert report.outputs == ("fc", *heads)


def test_inception_v3_bears_torchvisions_names() -> None:
    module = built("inception_v3", **options("inception_v3"))
    theirs = [name for name, layer in module.named_modules() if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear))]
    report = cnncost.analyze("inception_v3")
    assert [layer.name for layer in report.layers if layer.op in ("conv", "linear")] == theirs


# ---- timm --------------------------------------------------------------------------------------

TIMM: dict[str, tuple[str, dict[str, Any]]] = {
    "mobilenet_v1": ("mobilenetv1_100", {"act_layer": "relu"}),
    "inception_v4": ("inception_v4", {}),
    "inception_resnet_v2": ("inception_resnet_v2", {}),
    "xception": ("legacy_xception", {}),
    "resnext101_32x4d": ("resnext101_32x4d", {}),
    # as in Caffe: SE-ResNets have the stride in the first 1x1, and the first pool rounds up in place of padding
    "se_resnet50": ("legacy_seresnet50", {}),
    "se_resnet101": ("legacy_seresnet101", {}),
    "se_resnet152": ("legacy_seresnet152", {}),
    "se_resnext50_32x4d": ("legacy_seresnext50_32x4d", {}),
    "se_resnext101_32x4d": ("legacy_seresnext101_32x4d", {}),
    "senet154": ("legacy_senet154", {}),
    # as torchvision's ResNets
    "seresnet50": ("seresnet50", {}),
    "seresnet101": ("seresnet101", {}),
    "seresnet152": ("seresnet152", {}),
    "seresnext50_32x4d": ("seresnext50_32x4d", {}),
    "seresnext101_32x4d": ("seresnext101_32x4d", {}),
}
"""Bundled name: timm's model and its options."""


@pytest.mark.parametrize("size", ["default", "3x331x307"])
@pytest.mark.parametrize("name", TIMM)
def test_equals_timm(name: str, size: str) -> None:
    """Branches may run in another order."""
    graph = cnncost.load(name, input=None if size == "default" else size)
    (shape,) = graph.inputs.values()
    model, options = TIMM[name]
    got, expected = priced(graph), measured(built_by_timm(model, **options), shape)
    assert Counter(got.layers) == Counter(expected.layers)
    assert got.plain == expected.plain
    assert (got.params, got.macs, got.shape) == (expected.params, expected.macs, expected.shape)
