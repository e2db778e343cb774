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


def torchvisions(model: str, **more: Any) -> torch.nn.Module:
    return built(model, **options(model), **more)


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
    check_same(priced(graph), measured(torchvisions(model), shape))


PAPERS_SIDE = {"efficientnet_b2": 260}
"""Where torchvision's weights are for another size than the paper's network."""


@pytest.mark.parametrize("model", CLASSIFIERS)
def test_has_the_input_of_torchvisions_weights(model: str) -> None:
    weights = torchvision_shim.models().get_model_weights(model)
    trained = getattr(weights, "IMAGENET1K_V1", None) or weights.IMAGENET1K_SWAG_LINEAR_V1
    side = PAPERS_SIDE.get(model, trained.transforms.keywords["crop_size"])
    assert cnncost.load(OURS.get(model, model)).inputs == {"input": (1, 3, side, side)}


ONE_OF_EACH = {
    "alexnet": (231, 197),
    "convnext_tiny": (225, 193),
    "densenet121": (231, 181),
    "efficientnet_b0": (225, 193),
    "efficientnet_v2_s": (225, 193),
    "googlenet": (231, 197),
    "inception_v3": (331, 307),
    "mnasnet0_5": (225, 193),
    "mobilenet_v2": (321, 255),
    "mobilenet_v3_small": (225, 193),
    "regnet_x_400mf": (225, 193),
    "regnet_y_400mf": (225, 193),
    "resnet18": (65, 97),
    "resnet50": (225, 193),
    "shufflenet_v2_x0_5": (225, 193),
    "squeezenet1_0": (231, 197),
    "squeezenet1_1": (231, 197),
    "vgg11_bn": (225, 193),
}
"""A network of each family, and an image on which its windows do not fit."""


def check_at(name: str, module: torch.nn.Module, shape: tuple[int, ...]) -> None:
    batch, *image = shape
    check_same(priced(cnncost.load(name, input=image, batch=batch)), measured(module, shape))


@pytest.mark.parametrize("model", ONE_OF_EACH)
def test_equals_torchvision_at_odd_sizes_and_in_batches(model: str) -> None:
    check_at(OURS.get(model, model), torchvisions(model), (2, 3, *ONE_OF_EACH[model]))


@pytest.mark.parametrize("model", [f"efficientnet_b{n}" for n in range(1, 8)])
def test_efficientnets_at_the_size_of_b0(model: str) -> None:
    check_at(model, built(model), (1, 3, 224, 224))


# (network, parameters, torchvision's options of the same meaning)
PARAMETERS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("mobilenet_v2", {"width": 0.35}, {"width_mult": 0.35}),
    ("mobilenet_v2", {"width": 1.4}, {"width_mult": 1.4}),
    ("mobilenet_v3_large", {"width": 0.75}, {"width_mult": 0.75}),
    ("mobilenet_v3_small", {"width": 1.3}, {"width_mult": 1.3}),
    ("resnet50", {"groups": 16, "width_per_group": 8}, {"groups": 16, "width_per_group": 8}),
    *((model, {"classes": 10}, {"num_classes": 10}) for model in ONE_OF_EACH),
]


@pytest.mark.parametrize(("model", "ours", "theirs"), PARAMETERS, ids=[f"{row[0]}-{row[1]}" for row in PARAMETERS])
def test_parameters_are_torchvisions(model: str, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    graph = cnncost.load(OURS.get(model, model), set=ours)
    (shape,) = graph.inputs.values()
    check_same(priced(graph), measured(torchvisions(model, **theirs), shape))


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
    check_at(name, module, (1, 3, 224, 224))
    check_at(name, module, (2, 3, 225, 193))


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
    module = torchvisions("inception_v3")
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
