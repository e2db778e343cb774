"""Whole models: torchvision's against torch's own counter and against the bundled specs, and models by their names."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision_shim
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import cnncost
from cnncost import UsageError, analyze, load
from cnncost.live.models import find, traced

SAMPLE = [
    "googlenet",
    "squeezenet1_1",
    "densenet121",
    "inception_v3",
    "shufflenet_v2_x1_0",
    "mobilenet_v3_small",
    "efficientnet_b0",
    "convnext_tiny",
    "vit_b_32",
    "swin_t",
    "swin_v2_t",
    "maxvit_t",
]
"""One of each kind that torchvision has; benchmarks/trace.py runs all."""
SEGMENTATION = ["lraspp_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large"]


def counted(model: nn.Module, shape: tuple[int, ...]) -> int:
    """Multiply-accumulates by torch's counter, on the meta device, where it sees attention whole."""
    model.to("meta").eval().requires_grad_(False)
    with torch.no_grad(), FlopCounterMode(display=False) as counter, torch.device("meta"):
        model(torch.empty(shape))
    return counter.get_total_flops() // 2


@pytest.fixture
def slow_attention() -> Any:
    """torch's counter does not know the operator that is a whole encoder layer."""
    torch.backends.mha.set_fastpath_enabled(False)
    yield
    torch.backends.mha.set_fastpath_enabled(True)


@pytest.mark.filterwarnings("ignore:The default weight initialization")
@pytest.mark.parametrize("name", [*SAMPLE, *SEGMENTATION])
def test_totals_are_torchs(name: str, slow_attention: None) -> None:
    model = find(f"torchvision:{name}", {})
    assert model.input is not None
    graph = traced(f"torchvision:{name}")
    total = analyze(graph).total
    assert total.macs == counted(model.module, (1, *model.input))
    unused = ("aux1.", "aux2.", "AuxLogits.")  # in training alone
    assert total.params == sum(p.numel() for n, p in model.module.named_parameters() if not n.startswith(unused))
    assert total.buffers == sum(
        b.numel() for n, b in model.module.named_buffers() if "running" in n and not n.startswith(unused)
    ) + sum(n.op.buffers() for n in graph if n.op.key == "buffer")


@pytest.mark.parametrize("name", ["resnet50", "vgg11_bn", "mobilenet_v2", "shufflenet_v2_x1_0", "regnet_y_400mf"])
def test_a_traced_model_costs_what_its_spec_costs(name: str) -> None:
    """Every count: parameters by kind, all arithmetic, elements moved, storage; depth, and receptive fields."""
    ours, theirs = analyze(load(name)), analyze(traced(f"torchvision:{name}"))
    assert theirs.total == ours.total
    assert theirs.depth == ours.depth
    fields = [[row.receptive_field for row in report.layers if row.op == "conv"] for report in (ours, theirs)]
    assert fields[0] == fields[1]


def test_a_model_of_timm() -> None:
    pytest.importorskip("timm")
    model = find("timm:convnext_atto", {})
    total = analyze(traced("timm:convnext_atto")).total
    assert model.input is not None
    assert total.macs == counted(model.module, (1, *model.input))
    assert total.params == sum(p.numel() for p in model.module.parameters())


def test_a_detector_selects_its_boxes_by_their_scores() -> None:
    with pytest.raises(UsageError) as e:
        traced("torchvision:fcos_resnet50_fpn")
    assert e.value.message == (
        "aten.nonzero depends on the data, and nothing is computed (in the model, FCOS of 1x3x224x224)"
    )


def test_a_video_network_has_clips_as_input() -> None:
    total = analyze(traced("torchvision:r3d_18")).total
    model = find("torchvision:r3d_18", {})
    assert model.input == (3, 16, 112, 112)
    assert total.macs == counted(model.module, (1, *model.input))


# ---- names -----------------------------------------------------------------------------------------

NET = """
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self, width=8, depth: int = 1):
            super().__init__()
            rates = [float(rate) for rate in torch.linspace(0, 1, depth)]  # constructors look at values
            self.convs = nn.Sequential(*(nn.Conv2d(3 if i == 0 else width, width, 3) for i, _ in enumerate(rates)))

        def forward(self, image):
            return self.convs(image)

    def build(width):
        return Net(width)

    def wrong():
        return {"model": Net()}

    def broken():
        raise KeyError("weights")

    def quits():
        raise SystemExit(3)

    ready = Net(4)
    number = 3

    class Named(Net):
        default_cfg = {"input_size": (3, 9, 9)}
"""


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with models, in the current folder."""
    (tmp_path / "some_net.py").write_text(textwrap.dedent(NET))
    (tmp_path / "bad_net.py").write_text("import no_such_library\n")
    (tmp_path / "script.py").write_text("import argparse\nargparse.ArgumentParser(exit_on_error=True).exit(2)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "some_net", raising=False)
    return tmp_path


@pytest.mark.parametrize("reference", ["some_net:Net", "some_net.py:Net", "some_net:ready", "some_net.py:build"])
def test_models_of_the_users_own(net: Path, reference: str) -> None:
    arguments = {"width": 4} if reference.endswith(("Net", "build")) else {}
    graph = traced(reference, (3, 9, 9), 2, arguments)
    assert analyze(graph).total.macs == 2 * 7 * 7 * 4 * 3 * 3 * 3
    assert (graph.name, graph.source, graph.inputs) == ("Net", reference, {"image": (2, 3, 9, 9)})


def test_a_model_may_name_its_own_input(net: Path) -> None:
    assert traced("some_net:Named").inputs == {"image": (1, 3, 9, 9)}


def test_weights_of_a_model_by_name_take_no_memory() -> None:
    assert {p.device.type for p in find("torchvision:regnet_y_400mf", {}).module.parameters()} == {"meta"}


WRONG: dict[str, tuple[str, str | None]] = {
    "torchvision:resnet5": ("torchvision has no model resnet5", "did you mean resnet50?"),
    "timm:convnext_tinny": ("timm has no model convnext_tinny", "did you mean convnext_tiny?"),
    "no_such_package.nets:Net": (
        "no_such_package.nets cannot be imported: ModuleNotFoundError: No module named 'no_such_package'",
        "--debug shows where",
    ),
    "bad_net.py:Net": (
        "bad_net.py cannot be imported: ModuleNotFoundError: No module named 'no_such_library'", "--debug shows where",
    ),
    "no_such_file.py:Net": ("no_such_file.py: no such file", "write path/to/file.py:Attribute"),
    "script.py:Net": (
        "script.py cannot be imported: it exits (2)",
        "what runs as a script stands behind `if __name__ == '__main__':`",
    ),
    "some_net.py:": ("some_net.py: names no model in some_net.py", "write some_net.py:Attribute"),
    "some_net.py:zzz": (
        "some_net.py has no zzz", "known here: Net, build, wrong, broken, quits, ready, Named",
    ),
    "some_net.py:quits": ("some_net.py:quits cannot be built: it exits (3)", None),
    "some_net.py:Nett": ("some_net.py has no Nett", "did you mean Net?"),
    "some_net.py:number": (
        "some_net.py:number is no model but a value of type int", "name a module, class or function",
    ),
    "some_net.py:wrong": ("some_net.py:wrong gives a dict, not a torch.nn.Module", None),
    "some_net.py:broken": ("some_net.py:broken cannot be built: KeyError: 'weights'", "--debug shows where"),
    "some_net.py:build": (
        "some_net.py:build cannot be built: TypeError: build() missing 1 required positional argument: 'width'",
        "give its arguments with --arg name=value",
    ),
    "some_net.py:Net": ("some_net.py:Net does not say what its input is", "write --input 3x224x224"),
}  # fmt: skip


@pytest.mark.parametrize("reference", WRONG)
def test_names_that_lead_nowhere(net: Path, reference: str) -> None:
    if reference.startswith("timm"):
        torchvision_shim.models()
        pytest.importorskip("timm")
    with pytest.raises(UsageError) as e:
        cnncost.analyze(reference)
    assert (e.value.message, e.value.hint) == WRONG[reference]


def test_analyze_takes_modules_and_names() -> None:
    model = nn.Conv2d(3, 8, 3)
    by_tensor, by_shape = analyze(model, torch.empty(1, 3, 9, 9)), analyze(model, (1, 3, 9, 9))
    assert by_tensor.total == by_shape.total
    assert by_tensor.total.macs == 7 * 7 * 8 * 3 * 3 * 3
    halved = analyze("torchvision:resnet18", input="3x112x112", batch=2)
    assert halved.inputs == {"x": (2, 3, 112, 112)}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "a torch.nn.Module needs its inputs, and nothing else"),
        ({"inputs": (1, 3), "batch": 2}, "a torch.nn.Module needs its inputs, and nothing else"),
    ],
)
def test_what_goes_with_a_module(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        analyze(nn.Linear(3, 3), **given)


def test_inputs_go_with_modules_alone() -> None:
    with pytest.raises(UsageError, match=r"inputs go with a torch\.nn\.Module"):
        analyze("alexnet", (1, 3, 224, 224))
