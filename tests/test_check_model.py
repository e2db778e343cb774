"""cnncost check of PyTorch models, as they run themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from odd_models import ODD, BadlyCopied, LooksAtValues, RunsForNothing, Tied, Weighted
from torch import nn

import cnncost
from cnncost.errors import UsageError
from cnncost.live.check_model import owner
from cnncost.output.check_records import check_schema

NET = """\
import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.gain = nn.Parameter(torch.ones(width, 1, 1))

    def forward(self, x):
        return x + self.gain * F.relu(self.conv(x))


class Net(nn.Module):
    def __init__(self, width=6):
        super().__init__()
        self.stem = nn.Conv2d(3, width, (3, 5), stride=2, bias=False)
        self.kernel = nn.Parameter(torch.ones(width, width, 1, 1))
        self.block = Block(width)
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.Linear(width, 4)
        self.spare = nn.Linear(7, 7)

    def forward(self, image):
        x = F.conv2d(self.stem(image), self.kernel)
        x = self.norm(self.block(self.block(x)))
        q = x.flatten(2).transpose(1, 2)
        x = F.scaled_dot_product_attention(q, q, q).mean(1)
        return self.head(x) @ torch.ones(4, 2, device=x.device)


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(5, 3), nn.Linear(7, 3)

    def forward(self, a, b):
        return self.left(a) + self.right(b)


class Broken(nn.Module):
    def forward(self, image):
        return image.reshape(7, 7)
"""


@pytest.fixture
def net(folder: Path) -> Path:
    (folder / "net.py").write_text(NET)
    return folder


def made(folder: Path, name: str = "Net") -> nn.Module:
    space: dict[str, Any] = {}
    exec(compile(NET, str(folder / "net.py"), "exec"), space)
    module: nn.Module = space[name]()
    return module


def test_every_module_is_exact(net: Path) -> None:
    checked = cnncost.check(made(net), (2, 3, 13, 15))
    rows = {row.name: row for row in checked.layers}
    high, wide = (13 - 3) // 2 + 1, (15 - 5) // 2 + 1
    places = 2 * high * wide
    assert checked.holds
    assert rows["stem"].torch_macs == rows["stem"].macs == places * 6 * 3 * 3 * 5
    assert rows["block.conv"].torch_macs == rows["block.conv"].macs == 2 * places * 6 * 6 * 9, "two calls"
    assert rows["block.conv"].torch_params == rows["block.conv"].params == 6 * (6 * 9 + 1), "one set of weights"
    assert rows["block"].torch_params == rows["block"].params == 6
    attention = 2 * 2 * (high * wide) ** 2 * 6
    outside = rows["(model)"]
    assert outside.torch_macs == outside.macs == places * 6 * 6 + attention + 2 * 4 * 2
    assert outside.torch_params == outside.params == 6 * 6
    assert "spare" not in rows
    assert any("56 parameters of the model are not used" in note for note in checked.notes)
    assert checked.params == sum(p.numel() for p in made(net).parameters()) - 7 * (7 + 1)


def test_what_fvcore_does_not_know_is_named(net: Path) -> None:
    checked = cnncost.check(made(net), (1, 3, 13, 15))
    outside = next(row for row in checked.layers if row.name == "(model)")
    assert "scaled_dot_product_attention" in outside.unknown
    assert checked.against[1].rest not in (0, None), "and so its number is no exact count"


def test_a_wrong_count_is_noticed(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cnncost.ops.conv import Conv

    right = Conv.macs
    monkeypatch.setattr(Conv, "macs", lambda self, y, *x: right(self, y, *x) + 1)
    checked = cnncost.check(made(net), (1, 3, 13, 15))
    faults = {row.name: row.faults for row in checked.layers if row.faults}
    macs = 6 * 6 * 6 * 45
    expected = tuple(f"MACs: {macs + 1:,} here, {who} {macs:,}" for who in ("torch", "fvcore"))
    assert faults["stem"] == expected
    assert not checked.holds


def test_the_model_comes_back_as_it_was(net: Path) -> None:
    model = made(net).train()
    model.head.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    cnncost.check(model, (1, 3, 13, 15))
    assert model.training
    assert model.norm.training
    assert not model.head.weight.requires_grad
    assert model.stem.weight.requires_grad
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert list(model.state_dict()) == list(before)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", ["resnet18", "vit_b_32", "swin_t", "googlenet", "mobilenet_v3_small"])
def test_models_of_torchvision(name: str) -> None:
    from cnncost.live.check import Checker

    checked = Checker().check_named(f"torchvision:{name}", (3, 64, 96) if name != "vit_b_32" else None, 2, {})
    assert checked.holds
    assert checked.macs == checked.torch_macs == sum(row.torch_macs for row in checked.layers) > 0


def test_several_inputs(net: Path) -> None:
    by_name = cnncost.check(made(net, "Two"), {"b": (2, 7), "a": (2, 5)})
    in_order = cnncost.check(made(net, "Two"), [torch.zeros(2, 5), (2, 7)])
    assert by_name.holds
    assert in_order.holds
    assert by_name.torch_macs == in_order.torch_macs == 2 * 3 * (5 + 7)


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")
@pytest.mark.parametrize("name", ODD)
def test_odd_models_are_exact(name: str) -> None:
    build, inputs = ODD[name]
    model = build()
    parameters = [(id(p), p.requires_grad) for p in model.parameters()]
    state = torch.get_rng_state()
    checked = cnncost.check(model, inputs)
    assert (checked.faults, [row for row in checked.layers if row.faults]) == ((), [])
    assert checked.torch_params == checked.params == sum(p.numel() for p in model.parameters())
    assert [(id(p), p.requires_grad) for p in model.parameters()] == parameters
    assert torch.equal(torch.get_rng_state(), state), "also where forward draws numbers while a counter runs it"


def test_layers_are_told_of_the_module_that_ran_them() -> None:
    build, inputs = ODD["names that look like numbered ones"]
    rows = {row.name: row.macs for row in cnncost.check(build(), inputs).layers}
    places = 8 * 8
    assert rows == {"conv": 3 * places * 3 * 3 * 9, "conv_2": places * 5 * 3}


def test_named_inputs_reach_further_tools() -> None:
    pytest.importorskip("torchinfo")
    build, inputs = ODD["inputs by name only"]
    counted = {tool.name: tool.number for tool in cnncost.check(build(), inputs, against=["torchinfo"]).against}
    assert counted["torchinfo"] == 6 * 6 * (4 * 3 * 9 + 4 + 4 * 9 + 4), "MACs and biases"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what importing the compiler imports
def test_a_compiled_model_is_checked_as_what_was_compiled() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    compiled: Any = torch.compile(model)
    assert cnncost.check(compiled, (1, 3, 8, 8)).layers == cnncost.check(model, (1, 3, 8, 8)).layers


def test_tied_weights_stay_tied_in_copies() -> None:
    checked = cnncost.check(Tied(), (1, 8))
    assert {row.name: row.torch_params for row in checked.layers} == {"a": 8 * 8, "b": 0, "c": 8}
    assert {row.name: row.output_shape for row in checked.layers} == dict.fromkeys("abc", (1, 8))


def test_operators_that_torch_does_not_count_are_named(run: Callable[..., Any], folder: Path) -> None:
    checked = cnncost.check(Weighted(nn.utils.parametrizations.spectral_norm), (1, 3, 8, 8))
    rows = {row.name: row for row in checked.layers}
    norm = rows["conv.parametrizations.weight.0"]
    assert (norm.verdict, norm.torch_unknown, norm.torch_macs) == ("uncounted", ("mv", "vdot"), 0)
    assert norm.macs == 4 * 3 * 9 + 4, "the weight by one vector, and the result by another"
    assert rows["conv"].verdict == "exact"
    assert checked.holds
    assert (checked.exact, len(checked.layers)) == (1, 2)
    assert checked.macs - norm.macs == checked.torch_macs
    wrong = checked.layers[0]._replace(params=1, faults=("params: 1 here, torch 108",))
    assert wrong.verdict == "differs"

    (folder / "net.py").write_text("from torch import nn\nnet = nn.Sequential(nn.Linear(5, 4))\n"
                                   "net[0] = nn.utils.parametrizations.spectral_norm(net[0])\n")  # fmt: skip
    result = run("check", "net.py:net", "--input", "5")
    assert result.code == 0
    assert "unknown: mv, vdot  uncounted" in result.out
    assert result.out.splitlines()[-1] == "2 layers: 1 exact, 1 that torch's counter knows in part."
    (record,) = json.loads(run("check", "net.py:net", "--input", "5", "--format", "json").out)["networks"]
    assert [row["torch"]["unknown"] for row in record["layers"]] == [["mv", "vdot"], []]


def test_bilinear_layers_are_ours_alone() -> None:
    class Pair(nn.Bilinear):
        def forward(self, a: torch.Tensor) -> torch.Tensor:
            return super().forward(a, a)

    (row,) = cnncost.check(Pair(6, 6, 3), (2, 6)).layers
    assert (row.verdict, row.torch_unknown, row.macs) == ("uncounted", ("_trilinear",), 2 * 3 * 6 * 6)


def test_what_fvcore_leaves_out_is_not_seen() -> None:
    checked = cnncost.check(RunsForNothing(), (1, 3, 8, 8))
    assert {row.name: (row.verdict, row.unknown) for row in checked.layers} == {
        "conv": ("exact", ()),
        "spare": ("exact", ("not seen",)),
    }


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (BadlyCopied(), "the model cannot be copied: TypeError: cannot pickle"),
        (LooksAtValues(), "the model does not run on the meta device, where torch's counter counts it: RuntimeError: "),
    ],
)
def test_models_of_which_no_copy_runs(model: nn.Module, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        cnncost.check(model, (1, 8))


@pytest.mark.parametrize(
    ("ran_in", "told_of"),
    [
        ("layer1.0.conv1", "layer1.0.conv1"),
        ("layer1.0.made_in_forward", "layer1.0"),
        ("layer1.0.relu_2.mul_3", "layer1.0"),
        ("conv2d", ""),
    ],
)
def test_which_module_a_layer_belongs_to(ran_in: str, told_of: str) -> None:
    assert owner(ran_in, ["", "layer1", "layer1.0", "layer1.0.conv1"]) == told_of


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("check-model.txt", "check net.py:Net --input 3x13x15 --arg width=5"),
        ("check-models.txt", "check net.py:Net torchvision:squeezenet1_1 squeezenet1_1 --input 3x65x65"),
    ],
)
def test_whole_output(net: Path, run: Callable[..., Any], golden: Any, name: str, arguments: str) -> None:
    result = run(*arguments.split())
    assert result.code == 0
    assert result.err == ""
    golden(name, result.out.replace(str(torch.__version__), "VERSION"))


def test_json_keeps_its_schema(net: Path, run: Callable[..., Any]) -> None:
    record = json.loads(run("check", "net.py:Net", "--input", "3x13x15", "--format", "json").out)
    jsonschema.validate(record, check_schema())
    assert record["networks"][0]["source"] == "net.py:Net"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("net.py:Nett --input 3x13x15", "net.py has no Nett\nhint: did you mean Net?"),
        ("net.py:Net", "net.py:Net does not say what its input is\nhint: write --input 3x224x224"),
        ("net.py:Broken --input 3x13x15", "forward raises RuntimeError"),
        ("net.py:Net --input 3x13x15 --set width=3", "a PyTorch model declares no parameters"),
        ("net.py:Net --input 3x13x15 --batch 0", "batch must be a whole number of at least 1, got 0"),
        ("alexnet --arg width=2", ""),
    ],
)
def test_bad_arguments(net: Path, run: Callable[..., Any], arguments: str, message: str) -> None:
    result = run("check", *arguments.split())
    assert result.code == (2 if message else 0), "--arg is of the models among several specs"
    assert message in result.err
    assert "Traceback" not in result.err


def test_a_model_without_inputs_is_refused(net: Path) -> None:
    with pytest.raises(UsageError, match="inputs are tensors or shapes, got None"):
        cnncost.check(made(net))
