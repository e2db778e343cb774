"""Memory derived and measured side by side: every row of it, with every option."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest
import torch
from specs import net
from torch import nn

import cnncost
from cnncost.analysis.memory import inference_memory
from cnncost.analysis.training_memory import training_memory
from cnncost.errors import UsageError
from cnncost.graph import Graph
from cnncost.live.beside import Beside, Row, dtypes, freeze, measure_beside, module_of
from cnncost.live.build import build
from cnncost.live.trace import trace

SPEC = """\
name: small
input: 3x9x9
layers:
  conv1: {conv: 8, kernel: 3}
  norm: batch_norm
  relu1: {relu, inplace: true}
  conv2: {conv: 8, kernel: 3, padding: 1}
  sum: {add: [conv2, relu1]}
  pool: {max_pool: 2}
  flat: flatten
  fc: {linear: 5}
"""


@pytest.fixture(scope="module")
def graph() -> Graph:
    return net(SPEC, batch=3)


class Block(nn.Module):
    """A shortcut, one module that runs twice, and a function."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv2d(3, 3, 3, padding=1), nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.relu(self.conv(x)) + x).mean((2, 3))


class Keeping(nn.Module):
    """Variables hold what no layer needs any more, and most is not kept for a gradient."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x.exp()
        z = y.neg()
        return z.abs().exp() * 2


def check_equal(found: Beside) -> None:
    """The peaks are equal, and all rows in which both sides say something."""
    both = [row for row in found.rows if row.derived is not None and row.measured is not None]
    assert len(both) > len(found.rows) // 2
    assert [row for row in both if row.derived != row.measured] == []
    assert found.difference == 0


def test_inference(graph: Graph) -> None:
    check_equal(measure_beside(graph, inference_memory(graph)))
    check_equal(measure_beside(graph, inference_memory(graph, "bf16"), precision="bf16"))


OPTIONS: list[dict[str, Any]] = [
    {},
    {"optimizer": "none"},
    {"optimizer": "sgd"},
    {"optimizer": "adam"},
    {"optimizer": "adamw", "foreach": True},
    {"precision": "fp16"},
    {"precision": "autocast-bf16"},
    {"accumulate": 2},
    {"frozen": ["conv1", "norm"]},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_training(graph: Graph, options: dict[str, Any]) -> None:
    check_equal(measure_beside(graph, training_memory(graph, **options), train=True, **options))


@pytest.mark.parametrize("precision", ["fp32", "autocast-bf16"])
def test_blocks_that_run_again(precision: str) -> None:
    graph = cnncost.load("resnet18", batch=2)
    options: dict[str, Any] = {"checkpoint": ["conv2_x.*", "conv4_x.1"], "precision": precision}
    derived = training_memory(graph, **options)
    assert derived.peak < training_memory(graph, precision=precision).peak
    found = measure_beside(graph, derived, train=True, **options)
    assert (found.difference, derived.kept_bytes) == (0, found.measured.kept_bytes)


def test_a_traced_model_does_not_run_again() -> None:
    model = Block()
    graph = trace(model, (2, 3, 5, 7), train=True)
    with pytest.raises(UsageError) as e:
        measure_beside(graph, training_memory(graph), model, train=True, checkpoint=["conv"])
    assert e.value.message == "checkpointed blocks of a traced model are not measured"


def test_rows_are_layers_in_the_order_in_which_they_ran(graph: Graph) -> None:
    rows = measure_beside(graph, training_memory(graph), train=True).rows
    names = [node.name for node in graph.nodes]
    assert [row.layer for row in rows if row.phase == "forward"] == [*names, "loss"]
    assert rows[-1].layer == "sum"  # its gradient is passed on as it is: no operator runs
    assert (rows[-1].phase, rows[-1].measured) == ("backward", None)


def test_a_traced_model_has_a_row_a_module() -> None:
    model = Block()
    graph = trace(model, (2, 3, 5, 7))
    found = measure_beside(graph, inference_memory(graph), model)
    assert [row.layer for row in found.rows] == ["conv", "relu", ""]
    check_equal(found)
    graph = trace(model, (2, 3, 5, 7), train=True)
    assert measure_beside(graph, training_memory(graph), model, train=True).difference == 0


def test_what_a_models_variables_hold() -> None:
    model = nn.Sequential(Keeping(), nn.Flatten(), nn.Linear(3 * 5 * 7, 1))
    graph = trace(model, (2, 3, 5, 7))
    check_equal(measure_beside(graph, inference_memory(graph), model))
    graph = trace(model, (2, 3, 5, 7), train=True)
    found = measure_beside(graph, training_memory(graph), model, train=True)
    rows = [row for row in found.rows if row.phase == "forward" and row.derived is not None]
    assert [row for row in rows if row.derived != row.measured] == []
    x = 2 * 3 * 5 * 7 * 4
    assert max(int(row.measured or 0) for row in rows) > 5 * x  # x, y, z and two more


def test_the_highest_of_a_modules_layers_counts() -> None:
    model = Block()
    graph = trace(model, (2, 3, 5, 7))
    derived = inference_memory(graph)
    runs = [int(step.alive) for step in derived.steps if step.layer in ("relu", "relu_2", "relu_relu")]
    assert len(runs) > 1
    row = next(row for row in measure_beside(graph, derived, model).rows if row.layer == "relu")
    assert row == Row("relu", "forward", max(runs), max(runs))


def test_names_of_traced_layers_tell_the_module() -> None:
    modules = {"", "layer1", "layer1.0", "layer1.0.relu", "norm_2"}  # the model itself is ""
    names = ["layer1.0.relu", "layer1.0.relu_2", "layer1.0.add", "norm_2", "norm_2_3", "mean", "layer1.0.relu.relu"]
    found = [module_of(name, modules) for name in names]
    assert found == ["layer1.0.relu", "layer1.0.relu", "layer1.0", "norm_2", "norm_2", "", "layer1.0.relu"]


def test_frozen_layers_of_a_traced_model_are_frozen_only_for_a_while() -> None:
    model = nn.Sequential(OrderedDict(a=Block(), flat=nn.Flatten(), fc=nn.Linear(3, 2)))
    graph = trace(model, (2, 3, 5, 7), train=True)
    derived = training_memory(graph, frozen=["a"])
    assert measure_beside(graph, derived, model, train=True, frozen=["a"]).difference == 0
    assert all(p.requires_grad for p in model.parameters())
    freeze(graph, model, ["a"])
    assert {path for path, p in model.named_parameters() if p.requires_grad} == {"fc.weight", "fc.bias"}


def test_layers_that_share_parameters_are_frozen_with_their_owner(graph: Graph) -> None:
    network = build(graph, device="meta")
    freeze(graph, network, ["conv*"])
    learning = {network.names[int(path.split(".")[1])] for path, p in network.named_parameters() if p.requires_grad}
    assert learning == {"norm", "fc"}


def test_dtypes() -> None:
    assert dtypes("fp16") == {"dtype": torch.float16, "autocast": None}
    assert dtypes("tf32") == {"dtype": torch.float32, "autocast": None}
    assert dtypes("autocast-bf16") == {"dtype": torch.float32, "autocast": torch.bfloat16}
    with pytest.raises(UsageError) as e:
        dtypes("int8")
    assert e.value.message == "int8 cannot be measured"
