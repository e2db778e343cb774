"""Memory at inference: by hand, against the storages that PyTorch makes, and over arrays of sizes."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import oracle
import pytest
import torch
import torchvision_shim
from torch import nn

import cnncost
from cnncost.analysis.layout import by_rows, dense, viewed
from cnncost.analysis.memory import UNUSED, Held, inference_memory
from cnncost.analysis.storage import BEFORE, out_of_place, storages
from cnncost.errors import SpecError, UsageError
from cnncost.graph import Graph, GraphBuilder
from cnncost.live.build import build
from cnncost.live.models import find, traced
from cnncost.live.trace import trace
from cnncost.ops import find as find_op
from cnncost.spec.files import bundled_names

FP32, INT64 = 4, 8


def graph_of(shape: tuple[int, ...], *layers: tuple[Any, ...]) -> Graph:
    """Layers (name, op, options, inputs) on an input `x`; without inputs a layer takes the one before."""
    builder = GraphBuilder()
    builder.add_input("x", shape)
    for name, key, options, *inputs in layers:
        builder.add(name, find_op(key)(**options), tuple(inputs) or (list(builder.shapes)[-1],))
    return Graph("net", builder.inputs, tuple(builder.nodes))


def alive(graph: Graph) -> dict[str, int]:
    return {step.layer: step.alive for step in inference_memory(graph).steps}


# ---- what PyTorch shows -----------------------------------------------------------------------


class Watched(oracle.Allocated):
    """Storages of the meta device as a CPU makes them: at inference batch norm has no statistics to save there."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.native_batch_norm.default and args[3] is not None and not args[5]:
            out, *_ = func(*args, **(kwargs or {}))
            none = torch.empty(0, device=out.device)
            self.add(out)
            self.highest = max(self.highest, self.alive)
            return out, none, none
        return super().__torch_dispatch__(func, types, args, kwargs)


@contextmanager
def watched(module: nn.Module, inputs: list[torch.Tensor]) -> Iterator[Watched]:
    with torch.no_grad(), Watched() as watch:
        for tensor in [*inputs, *module.parameters(), *module.buffers()]:
            watch.add(tensor)
        yield watch


def measured(graph: Graph, device: str = "meta") -> list[int]:
    """The most bytes alive within each layer of a graph's module."""
    network = build(graph, device=device, initialise=False).eval()
    inputs = [torch.empty(shape, device=device) for shape in graph.inputs.values()]
    found: list[int] = []
    with watched(network, inputs) as watch:

        def before(module: Any, args: Any) -> None:
            watch.highest = watch.alive

        def after(module: Any, args: Any, out: Any) -> None:
            found.append(watch.highest)

        for layer in network.layers:
            layer.register_forward_pre_hook(before)
            layer.register_forward_hook(after)
        network(*inputs)
    return found


def check_layers(graph: Graph, device: str = "meta") -> None:
    """Within every layer as many bytes are alive as PyTorch has, and the parts at the peak are the whole."""
    memory = inference_memory(graph)
    assert [step.alive for step in memory.steps] == measured(graph, device)
    assert memory.peak == sum(memory.parts.values()) == sum(held.bytes for held in memory.held)
    module = build(graph, device="meta", initialise=False)
    kept = {"parameters": module.parameters(), "buffers": module.buffers()}
    for part, tensors in kept.items():
        assert memory.parts.get(part, 0) == sum(t.numel() * t.element_size() for t in tensors)  # type: ignore[call-overload]


@pytest.mark.parametrize("name", bundled_names())
def test_every_layer_of_every_architecture(name: str) -> None:
    check_layers(cnncost.load(name))
    check_layers(out_of_place(cnncost.load(name, batch=8)))


@pytest.mark.parametrize("name", ["lenet5", "alexnet", "squeezenet1_1", "mobilenet_v3_small", "shufflenet_v1_g3"])
def test_on_a_cpu_as_on_the_meta_device(name: str) -> None:
    check_layers(cnncost.load(name), "cpu")


KINDS = (
    *("permute", "permute", "reshape", "reshape", "flatten", "relu", "relu", "sigmoid", "add", "multiply", "slice"),
    *("split", "identity", "dropout", "conv", "max_pool", "batch_norm", "softmax", "concat", "global_avg_pool"),
    *("linear", "scale", "lrn", "layer_norm", "matmul"),
)


def random_graph(seed: int) -> Graph:
    """A network of a few layers that are all views, joins, in place or not, on whatever there is."""
    draw = random.Random(seed)
    builder = GraphBuilder()
    builder.add_input(
        "x", (draw.choice([1, 2]), draw.choice([2, 4, 6]), draw.choice([1, 3, 4]), draw.choice([1, 2, 4]))
    )
    for number in range(draw.randint(3, 12)):
        for _ in range(30):
            try:
                add_random(builder, f"layer{number}", draw)
            except SpecError:
                continue
            break
    return Graph("net", builder.inputs, tuple(builder.nodes))


def add_random(builder: GraphBuilder, name: str, draw: random.Random) -> None:
    """Append one layer. Raises SpecError where what was drawn does not fit."""
    names = list(builder.shapes)
    first = draw.choice(names[-3:] if draw.random() < 0.7 else names)
    key, x = draw.choice(KINDS), builder.shapes[first]
    axis, some, part = draw.randint(1, len(x) - 1), draw.random() < 0.5, draw.randint(0, 1)
    alike = [other for other in names if len(builder.shapes[other]) == len(x)]
    inputs = (first, *draw.choices(alike, k=draw.randint(1, 2))) if key in ("add", "multiply", "concat") else (first,)
    if key == "matmul":
        order = (*range(len(x) - 2), len(x) - 1, len(x) - 2)
        builder.add(f"{name}t", find_op("permute")(order=order), (first,))
        inputs = (first, f"{name}t") if some else (f"{name}t", first)
    a, b = divided(draw, prod(x[1:]))
    options: dict[str, dict[str, Any]] = {
        "permute": {"order": (0, *draw.sample(range(1, len(x)), len(x) - 1))},
        "reshape": {"to": (a, *divided(draw, b)) if some else (a, b)},
        "flatten": {"start": axis},
        "relu": {"inplace": some},
        "add": {"inplace": some and part},
        "multiply": {"inplace": some and part},
        "concat": {"axis": axis},
        "softmax": {"axis": axis},
        "slice": {"range": (part, None), "axis": axis, "step": 1 + some},
        "split": {"parts": 2, "part": part, "axis": axis},
        "conv": {"out": 2 + 2 * part, "kernel": 1 + 2 * some, "padding": "same" if part else 1},
        "max_pool": {"kernel": 2, "stride": 1 + part, "ceil_mode": True},
        "global_avg_pool": {"keep": some},
        "linear": {"out": 3, "bias": False},  # which PyTorch adds in another way while it is watched
        "scale": {"bias": some},
    }
    given = {option: bool(value) if option == "inplace" else value for option, value in options.get(key, {}).items()}
    builder.add(name, find_op(key)(**given), inputs)


def divided(draw: random.Random, n: int) -> tuple[int, int]:
    """Two numbers whose product it is."""
    a = draw.choice([d for d in range(1, n + 1) if n % d == 0])
    return a, n // a


@pytest.mark.parametrize("start", range(0, 400, 50))
def test_random_networks(start: int) -> None:
    """Of views, joins and layers in place, on tensors that lie by rows and that do not."""
    for seed in range(start, start + 50):
        check_layers(random_graph(seed))


def test_some_reshapes_of_the_random_networks_copy() -> None:
    owned = Counter(
        any(storage.owner == node.name for storage in storages(graph).all)
        for graph in map(random_graph, range(400))
        for node in graph
        if node.op.key in ("reshape", "flatten")
    )
    assert min(owned[True], owned[False]) > 10


def test_products_copy_heads_that_lie_between_others() -> None:
    """Of 4 heads side by side: queries, keys and their product's transpose; and a dense layer behind."""
    graph = graph_of(
        (2, 12, 24),
        ("heads", "reshape", {"to": (12, 4, 6)}),
        ("queries", "permute", {"order": (0, 2, 1, 3)}),
        ("keys", "permute", {"order": (0, 1, 3, 2)}),
        ("scores", "matmul", {}, "queries", "keys"),
        ("turned", "permute", {"order": (0, 1, 3, 2)}),
        ("fc", "linear", {"out": 5, "bias": False}),
    )
    check_layers(graph)
    assert storages(graph).copied == {"scores": (0, 1), "fc": (0,)}


# ---- by hand ----------------------------------------------------------------------------------

SMALL = (
    ("conv", "conv", {"out": 4, "kernel": 3, "bias": False}),
    ("norm", "batch_norm", {}),
    ("relu", "relu", {"inplace": True}),
    ("pool", "max_pool", {"kernel": 2}),
    ("flat", "flatten", {}),
    ("fc", "linear", {"out": 10}),
)


def test_a_small_network() -> None:
    memory = inference_memory(graph_of((2, 3, 6, 8), *SMALL))
    image, conv, pool, fc = (FP32 * 2 * n for n in (3 * 6 * 8, 4 * 4 * 6, 4 * 2 * 3, 10))
    indices = INT64 * 2 * 4 * 2 * 3
    parameters = FP32 * (4 * 3 * 9 + 2 * 4 + (24 * 10 + 10))
    buffers = FP32 * 2 * 4 + INT64
    kept = parameters + buffers + image
    assert [(s.layer, s.alive - kept, s.left - kept, s.temporary) for s in memory.steps] == [
        ("conv", conv, conv, 0),
        ("norm", conv + conv, conv, 0),
        ("relu", conv, conv, 0),
        ("pool", conv + pool + indices, pool, indices),
        ("flat", pool, pool, 0),
        ("fc", pool + fc, fc, 0),
    ]
    assert memory.peak == kept + conv + conv
    assert memory.at == memory.steps[1]
    assert memory.activation_peak == image + conv + conv
    assert memory.parts == {"parameters": parameters, "buffers": buffers, "input": image, "activation": 2 * conv}
    assert memory.held[-3:] == (
        Held("x", "input", image),
        Held("conv", "activation", conv),
        Held("norm", "activation", conv),
    )
    assert Held("norm", "buffers", buffers) in memory.held
    assert {step.phase for step in memory.steps} == {"forward"}


def test_bytes_follow_the_dtype_but_for_indices_and_counters() -> None:
    graph = graph_of((2, 3, 6, 8), *SMALL)
    whole, half = inference_memory(graph), inference_memory(graph, "float16")
    assert half.dtype == "fp16"
    assert 2 * (half.steps[3].alive - INT64 - half.steps[3].temporary) == (
        whole.steps[3].alive - INT64 - whole.steps[3].temporary
    )
    assert half.steps[3].temporary == whole.steps[3].temporary
    with pytest.raises(UsageError, match="unknown dtype fp31"):
        inference_memory(graph, "fp31")


def test_an_output_is_there_before_its_inputs_go_and_stays_to_the_end() -> None:
    graph = graph_of((1, 1, 10, 10), ("a", "relu", {}), ("b", "relu", {}, "a"), ("c", "sigmoid", {}, "a"))
    tensor = FP32 * 100
    assert alive(graph) == {"a": 2 * tensor, "b": 3 * tensor, "c": 4 * tensor}
    assert inference_memory(graph).steps[-1].left == 3 * tensor  # the input, b and c


def test_views_keep_their_storage_alive() -> None:
    graph = graph_of(
        (1, 4, 5, 5), ("a", "relu", {}), ("half", "split", {"parts": 2}), ("b", "relu", {}), ("c", "relu", {}, "half")
    )
    known = storages(graph)
    assert known.of == {"x": 0, "a": 1, "half": 1, "b": 2, "c": 3}
    assert known.all[0][2:4] == (BEFORE, 4)
    assert known.all[1][2:4] == (0, 3)
    tensor = FP32 * 100
    assert alive(graph)["c"] == tensor + tensor + tensor // 2 + tensor // 2


def test_out_of_place() -> None:
    graph = graph_of((1, 3, 6, 8), *SMALL)
    other = out_of_place(graph)
    conv = FP32 * 4 * 4 * 6
    assert alive(other)["relu"] == alive(graph)["relu"] + conv
    assert [node.op == mine.op for node, mine in zip(other, graph)] == [node.op.key != "relu" for node in graph]
    assert out_of_place(other) == other


def test_out_of_place_is_an_option(run: Any) -> None:
    """A model is left as it is."""
    told = json.loads(run("memory", "densenet121", "--out-of-place", "--format", "json").out)
    graph = cnncost.load("densenet121")
    assert told["peak_bytes"] == inference_memory(out_of_place(graph)).peak > inference_memory(graph).peak
    result = run("memory", "torchvision:vgg16", "--out-of-place")
    assert (result.code, result.out) == (2, "")
    assert result.err == ("error: --out-of-place is for specs\nhint: a model says itself which layers work in place\n")


def test_shared_parameters_count_once() -> None:
    graph = graph_of((1, 4, 5, 5), ("a", "conv", {"out": 4}), ("b", "conv", {"out": 4}))
    shared = replace(graph, nodes=(graph.nodes[0], replaced(graph, 1, shares="a")))
    parameters = FP32 * (4 * 4 + 4)
    assert inference_memory(graph).parts["parameters"] == 2 * parameters
    assert inference_memory(shared).parts["parameters"] == parameters


def replaced(graph: Graph, index: int, **changes: Any) -> Any:
    node = graph.nodes[index]
    return type(node)(node.name, node.op, node.inputs, node.shape, **changes)


def test_a_network_without_layers_holds_its_input() -> None:
    memory = inference_memory(Graph("empty", {"x": (1, 3)}, ()))
    assert (memory.peak, memory.at, memory.steps) == (0, None, ())


# ---- arrays of sizes --------------------------------------------------------------------------


@pytest.mark.parametrize("name", bundled_names())
def test_peaks_over_batches_are_those_of_each(name: str) -> None:
    together = inference_memory(cnncost.load(name, batch=np.array([1, 8])))
    for i, batch in enumerate((1, 8)):
        one = inference_memory(cnncost.load(name, batch=batch))
        assert together.peak[i] == one.peak
        assert together.activation_peak[i] == one.activation_peak
        assert [np.broadcast_to(step.alive, 2)[i] for step in together.steps] == [step.alive for step in one.steps]
    assert (together.at, together.held, together.parts) == (None, (), {})
    assert together.peak.dtype == np.int64


def test_a_report_over_arrays_has_its_peaks() -> None:
    sides = np.array([224, 96, 160])
    together = cnncost.analyze("resnet18", input=(3, sides, sides))
    for i, side in enumerate(sides.tolist()):
        one = cnncost.analyze("resnet18", input=(3, side, side))
        assert together.totals["peak_bytes"][i] == one.totals["peak_bytes"]
        assert [np.broadcast_to(row.peak_bytes, 3)[i] for row in together.layers] == [r.peak_bytes for r in one.layers]


# ---- where elements lie -----------------------------------------------------------------------


def test_a_view_has_the_strides_that_pytorch_gives_it() -> None:
    views = [check_view(seed) for seed in range(500)]
    assert 100 < sum(views) < 400


def check_view(seed: int) -> bool:
    """Strides of a random tensor in another shape are PyTorch's; False where both say that there are none."""
    draw = random.Random(seed)
    shape = [draw.choice([1, 2, 3, 4]) for _ in range(draw.randint(1, 4))]
    t = torch.empty(shape).permute(*draw.sample(range(len(shape)), len(shape)))
    t = t[tuple(slice(None, None, draw.choice([1, 1, 2])) for _ in shape)]
    a, b = divided(draw, t.numel())
    to = draw.choice([(a, b), (a, *divided(draw, b)), (t.numel(),)])
    found = viewed(tuple(t.shape), t.stride(), to)
    try:
        view = t.view(to)
    except RuntimeError:
        assert found is None
        return False
    assert found is not None
    assert all(n == 1 or ours == theirs for n, ours, theirs in zip(to, found, view.stride()))
    assert by_rows(t.shape) == torch.empty(t.shape).stride()
    kept = dense(tuple(t.shape), t.stride())
    assert all(n == 1 or ours == theirs for n, ours, theirs in zip(t.shape, kept, t.relu().stride()))
    return True


# ---- traced models ----------------------------------------------------------------------------


class Holding(nn.Module):
    """Holds the first map in a variable until it returns; the second goes, for its name is used again."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 2, 1)
        self.unused = nn.Linear(5, 7)
        self.register_buffer("table", torch.zeros(11, dtype=torch.int64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.a(x)
        y = self.b(first)
        y = torch.sigmoid(y)
        return self.c(y)  # type: ignore[no-any-return]


def test_what_variables_hold_is_alive() -> None:
    graph = trace(Holding(), (1, 3, 4, 4))
    assert graph.held == {"a": "c", "b": "sigmoid", "sigmoid": "c", "c": None}
    memory = inference_memory(graph)
    unused = FP32 * (5 * 7 + 7), INT64 * 11
    kept = FP32 * (3 * 8 + 8 + 8 * 8 + 8 + 8 * 2 + 2) + sum(unused) + FP32 * 3 * 16
    wide, narrow = FP32 * 8 * 16, FP32 * 2 * 16
    assert [step.alive - kept for step in memory.steps] == [wide, 2 * wide, 3 * wide, 2 * wide + narrow]
    assert [step.left - kept for step in memory.steps] == [wide, 2 * wide, 2 * wide, narrow]
    assert [held for held in memory.held if held.name == UNUSED] == [
        Held(UNUSED, "parameters", unused[0]),
        Held(UNUSED, "buffers", unused[1]),
    ]


class Returning(nn.Module):
    """Returns an inner result too, and drops another one."""

    def forward(self, x: torch.Tensor) -> Any:
        inner = x * 2
        torch.exp(inner)
        return inner, inner + 1


def test_results_are_held_to_the_end_and_what_is_dropped_is_not() -> None:
    graph = trace(Returning(), (1, 3, 4, 4))
    assert list(graph.held.values()) == [None, "exp", None]  # type: ignore[union-attr]
    tensor = FP32 * 48
    assert [(s.alive, s.left) for s in inference_memory(graph).steps] == [
        (2 * tensor, 2 * tensor),
        (3 * tensor, 2 * tensor),
        (3 * tensor, 3 * tensor),
    ]


class Heads(nn.Module):
    """Attention of 2 heads side by side, a mask, and the index of the largest."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heads = x.view(2, 5, 2, 3).permute(0, 2, 1, 3)
        scores = heads @ heads.transpose(2, 3)
        return torch.where(scores > 0, scores, scores * 2).argmax(3)


def test_masks_and_indices_have_bytes_of_their_own_and_heads_are_copied() -> None:
    graph = trace(Heads(), (2, 5, 6))
    names = [node.name for node in graph]
    x, scores = FP32 * 2 * 5 * 6, FP32 * 2 * 2 * 5 * 5
    mask, index = scores // FP32, INT64 * 2 * 2 * 5
    assert graph.itemsizes == {"gt": 1, "argmax": INT64}
    assert graph.copied == {"matmul": (0, 1)}
    found = {step.layer: step.alive for step in inference_memory(graph).steps}
    assert found["matmul"] == x + scores + 2 * x
    assert found["where"] == x + scores + mask + scores + scores
    assert found["argmax"] == x + scores + scores + index
    assert names[-1] == "argmax"


TORCHVISION = (
    *("googlenet", "densenet121", "inception_v3", "shufflenet_v2_x0_5", "mobilenet_v3_small", "efficientnet_b0"),
    *("convnext_tiny", "regnet_y_400mf", "resnet18", "squeezenet1_0", "mnasnet0_5", "vgg11_bn"),
)


@pytest.mark.filterwarnings("ignore:The default weight initialization")
@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvisions_own_modules(name: str) -> None:
    """The peak of the traced graph is the module's own, with what its variables hold and what it does not use."""
    torchvision_shim.models()
    memory = inference_memory(traced(f"torchvision:{name}", batch=2))
    model = find(f"torchvision:{name}", {})
    assert model.input is not None
    module = model.module.eval()
    image = torch.empty(2, *model.input, device="meta")
    module.to("meta")
    with watched(module, [image]) as watch:
        module(image)
    assert memory.peak == watch.highest
    assert memory.parts["parameters"] == FP32 * sum(p.numel() for p in module.parameters())
    assert memory.parts.get("buffers", 0) == sum(b.numel() * b.element_size() for b in module.buffers())


# ---- beside other figures -------------------------------------------------------------------------


def test_reports_and_comparisons_tell_the_peak_of_training() -> None:
    from cnncost.analysis.training_memory import training_memory

    graph = cnncost.load("lenet5", batch=3)
    peak = training_memory(graph).peak
    assert json.loads(cnncost.analyze(graph).to_json())["totals"]["training_peak_bytes"] == peak
    assert cnncost.analyze(graph, dtype="bf16").training_peak_bytes == training_memory(graph, precision="bf16").peak
    assert cnncost.analyze(graph, dtype="int8").training_peak_bytes is None, "integers have no gradients"
    assert cnncost.compare(graph, training=True).networks[0].training_peak_bytes == peak
    assert cnncost.compare(graph).networks[0].training_peak_bytes is None, "it is a walk of its own"
