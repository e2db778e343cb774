"""Specs as PyTorch modules: shapes, parameters, gradients, names, inputs and outputs, parameters that are shared."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import pytest
import torch
from specs import net
from torch import nn

import cnncost
from cnncost.analysis.report import analyze
from cnncost.errors import UsageError
from cnncost.graph import Graph, GraphBuilder
from cnncost.live.build import Network, build
from cnncost.ops.linear import Linear
from cnncost.spec.files import bundled_names

TRAINED = {
    "lenet5": {},
    "cifar_resnet20": {},
    "convnext_tiny": {"input": "3x64x64"},
    "dcgan": {},
    "deeplab_v2_vgg16": {"input": "3x65x65", "set": {"classes": 3}},
    "densenet121": {"input": "3x64x64"},
    "googlenet_aux": {"input": "3x224x224"},
    "highway10": {},
    "mobilenet_v3_small": {"input": "3x64x64"},
    "nin_cifar": {},
    "shufflenet_v1_g3": {"input": "3x64x64"},
    "squeezenet1_1": {"input": "3x64x64"},
    "unet": {"input": "1x188x188"},
    "yolo_v2_tiny": {"input": "3x64x64"},
}
"""Networks with most kinds of layer between them, at sizes at which they train in a moment."""

TWIN = """
input: {left: 3x9x7, right: 3x12x10}
layers:
  a: {conv: 8, kernel: 3, padding: same_tf, stride: 2, from: left}
  norm_a: batch_norm
  b: {reuse: a, from: right}
  norm_b: {reuse: norm_a}
"""
"""Two layers that share their parameters; TensorFlow's padding makes `a` one module and `b` two."""


def inputs(graph: Graph, device: str = "cpu") -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.rand(shape, device=device) for shape in graph.inputs.values()]


def outputs(graph: Graph, network: Network, device: str = "cpu") -> dict[str, torch.Tensor]:
    """What a network gives, by the graph's names."""
    out = network(*inputs(graph, device))
    return out if isinstance(out, dict) else {graph.outputs[0]: out}


def shapes(graph: Graph, network: Network, device: str = "cpu") -> dict[str, tuple[int, ...]]:
    return {name: tuple(out.shape) for name, out in outputs(graph, network, device).items()}


def expected(graph: Graph) -> dict[str, tuple[int, ...]]:
    return {name: graph.shapes[name] for name in graph.outputs}


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


# ---- the bundled networks -------------------------------------------------------------------------


@pytest.mark.parametrize("name", bundled_names())
def test_every_architecture_is_built(name: str) -> None:
    graph = cnncost.load(name, batch=2)
    network = build(graph, device="meta", initialise=False).eval()
    with torch.no_grad():
        assert shapes(graph, network, "meta") == expected(graph)
    total = analyze(graph, fields=False).total
    assert parameters(network) == total.params
    assert sum(b.numel() for b in network.buffers() if b.is_floating_point()) == total.buffers
    assert {t.device.type for t in (*network.parameters(), *network.buffers())} == {"meta"}


@pytest.mark.parametrize("name", TRAINED)
def test_gradients_reach_every_parameter(name: str) -> None:
    graph = cnncost.load(name, batch=2, **TRAINED[name])
    network = build(graph)
    outs = outputs(graph, network)
    assert {name: tuple(out.shape) for name, out in outs.items()} == expected(graph)
    sum((out * torch.rand_like(out)).sum() for out in outs.values()).backward()
    without = [key for key, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert without == []


# ---- modes, devices, weights ----------------------------------------------------------------------


def test_a_network_begins_in_training() -> None:
    graph = net("input: 4x8x8\nlayers: {drop: {dropout: 0.5}, norm: batch_norm}")
    network, (x,) = build(graph), inputs(graph)
    assert network.training and network.layer("norm").training
    assert (network(x) != network.eval()(x)).any()
    assert torch.equal(network(x), network(x))


def test_statistics_follow_in_training_only() -> None:
    graph = net("input: 4x8x8\nlayers: {norm: batch_norm}")
    network, (x,) = build(graph), inputs(graph)
    norm: Any = network.layer("norm")
    network.eval()(x)
    assert not norm.running_mean.any()
    network.train()(x)
    assert torch.allclose(norm.running_mean, 0.1 * x.mean((0, 2, 3)))


def test_layers_have_the_weights_that_torch_gives_them() -> None:
    graph = net("input: 3x8x8\nlayers: {conv: {conv: 4, kernel: 3}}")
    torch.manual_seed(1)
    weight: Any = build(graph).layer("conv").weight
    torch.manual_seed(1)
    assert torch.equal(weight, nn.Conv2d(3, 4, 3).weight)


@pytest.mark.parametrize("initialise", [True, False])
def test_where_parameters_are(initialise: bool) -> None:
    graph = net("input: 3x8x8\nlayers: {conv: {conv: 4, kernel: 3}, norm: batch_norm}")
    for device in ("cpu", "meta"):
        network = build(graph, device=device, initialise=initialise)
        assert {t.device.type for t in (*network.parameters(), *network.buffers())} == {device}


def test_weights_are_left_as_they_are() -> None:
    graph = net("input: 3x8x8\nlayers: {conv: {conv: 4, kernel: 3}, local: {local_conv: 2}}")
    before = torch.get_rng_state()
    network = build(graph, initialise=False)
    assert torch.equal(torch.get_rng_state(), before)  # nothing was drawn
    assert shapes(graph, network) == expected(graph)
    build(graph)
    assert not torch.equal(torch.get_rng_state(), before)


# ---- names, inputs, outputs -----------------------------------------------------------------------

NAMES = ("train", "type", "forward", "layers", "training", "a.b", "a", "c/d", "0", "1", "__init__", "")


def test_names_that_torch_would_not_take() -> None:
    builder = GraphBuilder()
    builder.add_input("x", (2, 5))
    for i, (name, before) in enumerate(zip(NAMES, ("x", *NAMES)), 1):
        builder.add(name, Linear(i), (before,))
    graph = Graph("names", builder.inputs, tuple(builder.nodes))
    network = build(graph)
    assert shapes(graph, network) == {"": (2, len(NAMES))}
    assert network.training and network.names == NAMES
    assert [network.layer(name).out_features for name in NAMES] == [*range(1, len(NAMES) + 1)]


def test_a_layer_that_is_not_there() -> None:
    network = build(cnncost.load("lenet5"), device="meta")
    with pytest.raises(KeyError, match="no layer c1: did you mean C1"):
        network.layer("c1")


def test_several_inputs_are_given_in_order() -> None:
    graph = net("input: {a: 2x3, b: 3x4}\nlayers: {product: {matmul: [a, b]}}")
    network, (a, b) = build(graph), inputs(graph)
    assert torch.equal(network(a, b), a @ b)
    with pytest.raises(TypeError, match=r"2 inputs wanted \(a, b\), got 1"):
        network(a)


def test_several_outputs_come_by_name() -> None:
    graph = net("input: 3x8x8\nlayers: {a: {conv: 2}, b: relu, c: {sigmoid: , from: a}}")
    network, (x,) = build(graph), inputs(graph)
    out, a = network(x), network.layer("a")(x)
    assert list(out) == ["b", "c"]
    assert torch.equal(out["b"], a.relu()) and torch.equal(out["c"], a.sigmoid())


def test_a_result_is_let_go_after_its_last_use() -> None:
    graph = net("input: 8\nlayers: {a: relu, b: sigmoid, c: {add: [a, b]}, d: tanh}")
    alive: list[set[int]] = []
    made: dict[int, Any] = {}

    def look(module: nn.Module, _: Any, out: torch.Tensor) -> None:
        made[len(made)] = weakref.ref(out)
        alive.append({i for i, ref in made.items() if ref() is not None})

    network = build(graph)
    for layer in network.layers:
        layer.register_forward_hook(look)
    with torch.no_grad():
        network(*inputs(graph))
    assert alive == [{0}, {0, 1}, {0, 1, 2}, {2, 3}]


# ---- parameters that are shared -------------------------------------------------------------------


def check_tied(network: Network) -> None:
    def tensors(name: str) -> list[torch.Tensor]:
        layer = network.layer(name)
        return [*layer.parameters(), *layer.buffers()]

    for name, owner in (("b", "a"), ("norm_b", "norm_a")):
        assert tensors(name), "a test of nothing"
        assert all(x is y for x, y in zip(tensors(name), tensors(owner), strict=True))


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("initialise", [True, False])
def test_reused_parameters_are_one_tensor(device: str, initialise: bool) -> None:
    graph = net(TWIN)
    network = build(graph, device=device, initialise=initialise)
    check_tied(network)
    assert parameters(network) == analyze(graph).total.params == 3 * 8 * 3 * 3 + 8 + 2 * 8


def test_reused_parameters_stay_one_tensor() -> None:
    network = build(net(TWIN), device="meta").to_empty(device="cpu")
    check_tied(network)
    check_tied(network.double())
    state = {key: torch.rand_like(t) if t.is_floating_point() else t for key, t in network.state_dict().items()}
    network.load_state_dict(state)
    check_tied(network)


def test_a_reused_layer_works_on_its_own_input() -> None:
    graph = net(TWIN)
    network = build(graph)
    left, right = inputs(graph)
    out = outputs(graph, network)
    a: Any = network.layer("a")
    same = nn.functional.conv2d(nn.functional.pad(left, (1, 1, 1, 1)), a.weight, a.bias, 2)
    other = nn.functional.conv2d(nn.functional.pad(right, (0, 1, 0, 1)), a.weight, a.bias, 2)
    for made, by_hand in zip(out.values(), (same, other), strict=True):
        assert torch.allclose(made, nn.functional.batch_norm(by_hand, None, None, training=True), atol=1e-5)


# ---- graphs that cannot be built ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "given"),
    [
        ("input: 3x8x8\nlayers: {conv: {conv: 4}}", {"batch": np.array([1, 2])}),
        ("input: 3x8x8\nparameters: {w: 4}\nlayers: {conv: {conv: w}}", {"set": {"w": np.array([4, 8])}}),
        (
            "input: 3x8x8\nparameters: {k: 3}\nlayers: {conv: {conv: 4, kernel: k, padding: k // 2}}",
            {"set": {"k": np.array([3, 5])}},
        ),
    ],
    ids=["batch", "channels", "kernel"],
)
def test_graphs_over_arrays_are_no_network(spec: str, given: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as e:
        build(net(spec, **given))
    assert str(e.value) == "a graph over arrays is no one network\nhint: load it at one design point"


def test_traced_operators_without_a_layer() -> None:
    class Cumulated(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.cumsum(1)

    with pytest.raises(UsageError) as e:
        build(cnncost.trace(Cumulated(), (2, 5)))
    assert str(e.value) == "cumsum was traced and has no module of its own\nhint: run the model itself"


def test_a_traced_model_of_the_languages_layers_is_built() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(True), nn.Flatten(), nn.Linear(4 * 6 * 6, 5))
    graph = cnncost.trace(model, (2, 3, 8, 8))
    network = build(graph)
    assert shapes(graph, network) == expected(graph)
    assert parameters(network) == parameters(model)


def test_a_graph_without_layers() -> None:
    with pytest.raises(UsageError, match="nothing has no layers to build"):
        build(Graph("nothing", {"x": (1, 3)}, ()))
