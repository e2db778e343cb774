"""PyTorch models on the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from cnncost.output.schema import schema
from cnncost.spec.models import is_model

NET = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, stride=2)
        self.drop = nn.Dropout(0.2)
        self.spare = nn.Linear(2, 2)

    def forward(self, image):
        x = self.stem(image).relu()
        return torch.linalg.svdvals(self.drop(x)).mean(1)


class Both(nn.Module):
    def forward(self, left, right):
        return left + right
"""


@pytest.fixture
def net(folder: Path) -> None:
    (folder / "net.py").write_text(NET)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("trace-resnet18.txt", "report torchvision:resnet18 --by block --depth 2 --batch 4"),
        ("trace-vit.txt", "report torchvision:vit_b_32 --sort macs --top 8 --columns name,kind,output,macs"),
        ("trace-unknown.txt", "report net.py:Net --input 3x9x9 --arg width=2 --allow-unknown"),
        ("trace-compare.txt", "compare torchvision:resnet18 resnet18 torchvision:vit_b_32"),
        ("trace-layers.txt", "compare --layers torchvision:resnet18 resnet18"),
    ],
)
def test_whole_output(
    net: None, run: Callable[..., Any], golden: Any, name: str, arguments: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    result = run(*arguments.split())
    assert (result.code, result.err) == (0, "")
    golden(name, result.out)


def test_json_of_a_model_keeps_to_the_schema(net: None, run: Callable[..., Any]) -> None:
    result = run("report", "net.py:Net", "--input", "3x9x9", "--allow-unknown", "--format", "json")
    report = json.loads(result.out)
    jsonschema.validate(report, schema())
    assert [note.split()[0] for note in report["notes"]] == ["1", "6"]
    assert report["layers"][0]["where"].startswith("net.py:13:")


def test_layers_of_a_model_are_explained(net: None, run: Callable[..., Any]) -> None:
    attention = run("explain", "torchvision:vit_b_32", "encoder_layer_0.self_attention.attention")
    assert attention.code == 0
    assert f"{2 * 12 * 50 * 50 * 64:,}" in attention.out  # heads x queries x keys x width, twice
    stem = run("explain", "net.py:Net", "stem", "--input", "3x9x9", "--allow-unknown")
    assert f"{4 * 3 * 3 * 3}" in stem.out


def test_comparisons_tell_what_a_reader_must_know(net: None, run: Callable[..., Any]) -> None:
    told = "net.py:Net: 6 parameters of the model are not used, and not counted: spare."
    for options in (["--format", "table"], ["--format", "markdown"], ["--format", "json"], ["--layers", "net.py:Net"]):
        result = run("compare", *options, "net.py:Net", "--input", "3x9x9", "--allow-unknown")
        assert told in result.out or told.partition(": ")[2] in json.loads(result.out)["networks"][0]["notes"]


def test_options_of_models_beside_a_spec(net: None, run: Callable[..., Any]) -> None:
    result = run("compare", "net.py:Net", "resnet18", "--input", "3x64x64", "--allow-unknown", "--format", "json")
    assert [row["name"] for row in json.loads(result.out)["networks"]] == ["net.py:Net", "resnet18"]


def test_inputs_by_name_and_training(net: None, run: Callable[..., Any]) -> None:
    result = run("report", "net.py:Both", "-i", "left=3x4x4", "-i", "right=1x4x4", "--format", "json", "--batch", "2")
    assert json.loads(result.out)["inputs"] == {"left": [2, 3, 4, 4], "right": [2, 1, 4, 4]}
    trained = run("report", "net.py:Net", "--input", "3x9x9", "--allow-unknown", "--train", "--format", "csv")
    assert "\ndrop,dropout" in trained.out


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            "net.py:Net --input 3x9x9",
            "error: no rule says what aten::_linalg_svd costs, called on 1x4x4x4 (in the model, Net of 1x3x9x9)\n"
            "hint: --allow-unknown counts it as nothing and says so; CONTRIBUTING.md shows how to add a rule\n",
        ),
        (
            "net.py:Both --input 3x4x4",
            "error: Both.forward: missing a required argument: 'right'\n"
            "hint: its inputs are left, right: write --input left=3x224x224 for each\n",
        ),
        ("net.py:Net", "error: net.py:Net does not say what its input is\nhint: write --input 3x224x224\n"),
        (
            "net.py:Net --input 4x9x9",
            "error: forward raises RuntimeError: Given groups=1, weight of size [4, 3, 3, 3], expected "
            "input[1, 4, 9, 9] to have 3 channels, but got 4 channels instead (in stem, Conv2d of 1x4x9x9)\n",
        ),
        (
            "net.py:Net --set width=3",
            "error: a PyTorch model declares no parameters\nhint: its arguments are given with --arg name=value\n",
        ),
        ("net.py:Net --arg width", "error: --arg width: no name=value\nhint: write --arg num_classes=10\n"),
        ("alexnet --allow-unknown", "error: --allow-unknown has no effect on alexnet, which is no PyTorch model\n"),
        (
            "alexnet --arg width=3",
            "error: --arg has no effect on alexnet, which is no PyTorch model\n"
            "hint: parameters of a spec are set with --set\n",
        ),
    ],
)  # fmt: skip
def test_errors(net: None, run: Callable[..., Any], arguments: str, error: str) -> None:
    result = run("report", *arguments.split())
    assert (result.code, result.out) == (2, "")
    assert result.err == error


def test_without_torch_the_error_says_what_to_install() -> None:
    hidden = "import sys; sys.modules['torch'] = None"
    code = f"{hidden}; from cnncost.cli import main; main(['report', 'torchvision:resnet18'])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr == "error: PyTorch is not installed\nhint: pip install 'cnncost[torch]'\n"


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("torchvision:resnet50", True),
        ("timm:resnet50.a1_in1k", True),
        ("package.module:build", True),
        ("folder/net.py:Net", True),
        ("net.py:", True),
        ("alexnet", False),
        ("family:resnet", False),
        ("folder/net.yaml", False),
        ("c:/folder/net.yaml", False),
        ("-", False),
        (":", False),
    ],
)
def test_what_is_a_models_name(name: str, model: bool) -> None:
    assert is_model(name) is model


@pytest.mark.parametrize("command", ["report", "check"])
def test_what_a_model_prints_is_not_in_the_output(folder: Path, run: Callable[..., Any], command: str) -> None:
    (folder / "loud.py").write_text(
        "from torch import nn\nprint('read')\nclass Loud(nn.Linear):\n"
        "    def __init__(self):\n        super().__init__(5, 4)\n        print('built')\n"
        "    def forward(self, x):\n        print('run')\n        return super().forward(x)\n"
    )
    result = run(command, "loud.py:Loud", "--input", "5", "--format", "json")
    assert json.loads(result.out)
    assert set(result.err.split()) == {"read", "built", "run"}


def test_check_does_not_advise_what_it_has_not(net: None, run: Callable[..., Any]) -> None:
    result = run("check", "net.py:Net", "--input", "3x9x9")
    assert result.code == 2
    assert result.err.splitlines()[0].startswith("error: no rule says what aten::_linalg_svd")
    assert result.err.splitlines()[1] == (
        "hint: what has no rule cannot be checked; CONTRIBUTING.md shows how to add a rule"
    )


@pytest.mark.parametrize("command", ["report", "check", "import"])
def test_a_file_of_python_is_no_spec(net: None, run: Callable[..., Any], command: str) -> None:
    result = run(command, "net.py")
    message = "error: net.py is Python, and no spec\nhint: write net.py:Attribute for a model in it\n"
    assert (result.code, result.out, result.err) == (2, "", message)
