"""PyTorch models as graphs: what each operator costs, which edges it has, what its node is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from cnncost import Graph, Report, analyze
from cnncost.live.trace import trace


class Calls(nn.Module):
    """A model whose forward is a function of the model and its inputs, with what it is given as its parts."""

    def __init__(self, function: Callable[..., Any], **parts: nn.Module | nn.Parameter) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs: Any) -> Any:
        return self.function(self, *inputs)


def traced(model: nn.Module | Callable[..., Any], *shapes: tuple[int, ...], **options: Any) -> Graph:
    """The graph of a model, or of a function of tensors."""
    if not isinstance(model, nn.Module):
        function = model
        model = Calls(lambda _, *inputs: function(*inputs))
    return trace(model, list(shapes), **options)


def report(model: nn.Module | Callable[..., Any], *shapes: tuple[int, ...]) -> Report:
    return analyze(traced(model, *shapes))


def parameter(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape))


# ---- one operator each ----------------------------------------------------------------------------

CONV = 16 * 16 * 32 * 16 * 3 * 3  # output places x output channels x input channels x taps
UP = 8 * 8 * 16 * 32 * 4 * 4  # a transposed convolution: input elements x output channels x taps
ATTENTION = 2 * 4 * 32 * 32 * 16  # scores and weighted values: heads x queries x keys x width
PROJECTIONS = 4 * 32 * 64 * 64  # queries, keys, values and output: tokens x width x width


def attend(weights: bool) -> Callable[..., Any]:
    return lambda m, x: m.attention(x, x, x, need_weights=weights)


def tied() -> nn.Module:
    inner = nn.Linear(64, 64, bias=False)
    parts = {"a": nn.Sequential(inner), "b": nn.Sequential(inner)}
    return Calls(lambda m, x: m.b(m.a(x)), **parts)


ROWS: dict[str, tuple[Any, list[tuple[int, ...]], int]] = {
    "conv": (nn.Conv2d(16, 32, 3, 2, 1, bias=False), [(1, 16, 32, 32)], CONV),
    "conv with bias": (nn.Conv2d(16, 32, 3, 2, 1), [(1, 16, 32, 32)], CONV),
    "conv, batch of 4": (nn.Conv2d(16, 32, 3, 2, 1), [(4, 16, 32, 32)], 4 * CONV),
    "conv, same": (nn.Conv2d(16, 32, 3, padding="same"), [(1, 16, 32, 32)], 4 * CONV),
    "transposed conv": (nn.ConvTranspose2d(16, 32, 4, 2, 1), [(1, 16, 8, 8)], UP),
    "transposed conv, groups": (nn.ConvTranspose2d(16, 32, 4, 2, 1, groups=4), [(1, 16, 8, 8)], UP // 4),
    "linear": (nn.Linear(64, 32), [(2, 5, 64)], 2 * 5 * 64 * 32),
    "functional conv": (functional.conv2d, [(1, 16, 8, 8), (32, 16, 3, 3)], 6 * 6 * 32 * 16 * 3 * 3),
    "matrix product": (lambda x, w: x @ w, [(8, 64), (64, 32)], 8 * 64 * 32),
    "attention": (functional.scaled_dot_product_attention, [(1, 4, 32, 16)] * 3, ATTENTION),
    "multi-head attention": (
        Calls(attend(True), attention=nn.MultiheadAttention(64, 4)), [(32, 1, 64)], ATTENTION + PROJECTIONS,
    ),
    "multi-head attention, no weights": (
        Calls(attend(False), attention=nn.MultiheadAttention(64, 4)), [(32, 1, 64)], ATTENTION + PROJECTIONS,
    ),
    "lstm": (nn.LSTM(32, 64), [(10, 1, 32)], 10 * 4 * 64 * (32 + 64)),
    "one linear under two parents": (tied(), [(1, 64)], 2 * 64 * 64),
    "bilinear": (nn.Bilinear(16, 16, 8), [(1, 16), (1, 16)], 16 * 16 * 8),
}  # fmt: skip
"""Operators that tools count wrongly: the model, its inputs, its MACs."""


@pytest.mark.parametrize("row", ROWS)
def test_macs_of_what_tools_count_wrongly(row: str) -> None:
    model, shapes, macs = ROWS[row]
    found = report(model, *shapes)
    assert found.total.macs == macs
    if isinstance(model, nn.Module):
        assert found.total.params == sum(p.numel() for p in model.parameters())


def test_attention_is_quadratic_in_its_tokens() -> None:
    def macs(tokens: int) -> Any:
        return report(functional.scaled_dot_product_attention, *[(1, 4, tokens, 16)] * 3).total.macs

    assert macs(64) == 4 * macs(32)


def test_einsum_is_exact() -> None:
    assert (
        report(lambda a, b: torch.einsum("nij,njk->nik", a, b), (2, 8, 32), (2, 32, 64)).total.macs == 2 * 8 * 32 * 64
    )


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_a_recurrent_layer_costs_what_its_cell_costs_each_step(kind: str) -> None:
    layer, steps = getattr(nn, kind)(3, 5, num_layers=2, bidirectional=True), 7
    found = report(layer, (steps, 1, 3))
    products = sum(p.numel() for p in layer.parameters() if p.dim() == 2)
    assert (found.total.macs, found.total.params) == (steps * products, sum(p.numel() for p in layer.parameters()))


# ---- parameters ------------------------------------------------------------------------------------


def test_a_reused_module_counts_parameters_once_and_work_each_time() -> None:
    graph = traced(tied(), (1, 64))
    first, second = graph.nodes
    found = analyze(graph)
    assert (found.total.params, found.total.macs) == (64 * 64, 2 * 64 * 64)
    assert (first.shares, second.shares) == (None, first.name)
    assert second.inputs == (first.name,)


def test_tied_weights_count_once() -> None:
    model = Calls(lambda m, x: m.head(m.embed(x.long())), embed=nn.Embedding(50, 8), head=nn.Linear(8, 50, bias=False))
    model.head.weight = model.embed.weight
    found = report(model, (1, 5))
    assert (found.total.params, found["head"].shares) == (50 * 8, "embed")


def test_a_bias_of_ones_own_beside_shared_weights() -> None:
    def forward(m: Any, x: Any) -> Any:
        return functional.linear(functional.linear(x, m.w, m.a), m.w, m.b)

    found = report(Calls(forward, w=parameter(6, 6), a=parameter(6), b=parameter(6)), (1, 6))
    assert (found.total.params, found.total.macs) == (6 * 6 + 6 + 6, 2 * 6 * 6)


def test_computed_weights_are_inputs() -> None:
    """Weight standardisation: the kernel has parameters, and the convolution takes it as a second input."""

    def forward(m: Any, x: Any) -> Any:
        return functional.conv2d(x, m.w - m.w.mean((1, 2, 3), keepdim=True))

    graph = traced(Calls(forward, w=parameter(4, 3, 3, 3)), (1, 3, 9, 9))
    found = analyze(graph)
    conv = graph.nodes[-1]
    assert (found.total.params, found[conv.name].params) == (4 * 3 * 9, 0)
    assert found.total.macs == 7 * 7 * 4 * 3 * 9
    assert conv.inputs == (*graph.inputs, "subtract")


def test_a_kernel_that_is_no_parameter_is_not_counted_as_one() -> None:
    model = Calls(lambda m, x: functional.conv2d(x, m.blur, groups=3))
    model.register_buffer("blur", torch.ones(3, 1, 3, 3))
    found = report(model, (1, 3, 9, 9))
    assert (found.total.params, found.total.buffers, found.total.macs) == (0, 3 * 9, 7 * 7 * 3 * 9)


def test_position_embeddings_are_parameters_outside_of_products() -> None:
    found = report(Calls(lambda m, x: x + m.places, places=parameter(1, 5, 8)), (2, 5, 8))
    assert (found.total.params, found.total.other_params, found.total.additions) == (5 * 8, 5 * 8, 2 * 5 * 8)
    assert found.layers[0].name == "places"


def test_a_layer_scale_is_a_scale() -> None:
    found = report(Calls(lambda m, x: m.gamma * x, gamma=parameter(6, 1, 1)), (2, 6, 4, 3))
    assert [(layer.op, layer.params) for layer in found.layers] == [("scale", 6)]


def test_parameters_that_do_not_run_are_named() -> None:
    graph = traced(Calls(lambda m, x: m.used(x), used=nn.Linear(3, 3), spare=nn.Linear(3, 4)), (1, 3))
    assert analyze(graph).total.params == 3 * 3 + 3
    assert graph.notes == (f"{3 * 4 + 4} parameters of the model are not used, and not counted: spare.",)


# ---- edges and storage -----------------------------------------------------------------------------


def edges(graph: Graph) -> dict[str, tuple[str, ...]]:
    return {node.name: node.inputs for node in graph}


def test_what_is_written_in_place_is_read_by_all_that_see_it() -> None:
    def forward(x: Any) -> Any:
        left = x[:, :2]
        left.mul_(2)
        return x + 1

    graph = traced(forward, (1, 4, 3))
    added = graph.nodes[-1]
    written = next(node for node in graph if node.name == added.inputs[0])
    assert "multiply" in "".join(edges(graph)[written.name])


def test_in_place_layers_take_no_storage_and_views_move_nothing() -> None:
    def forward(x: Any) -> Any:
        return functional.relu(x.flatten(1), inplace=True)

    found = report(forward, (2, 3, 4))
    assert [(row.op, row.cost.activations) for row in found.layers] == [("flatten", 0), ("relu", 0)]
    assert found.total.read == 2 * 3 * 4  # by the ReLU alone


def test_a_reshape_that_must_copy_is_a_copy_and_a_reshape() -> None:
    found = report(lambda x: x.transpose(1, 2).reshape(2, -1), (2, 3, 4))
    assert [row.op for row in found.layers] == ["permute", "copy", "flatten"]
    assert found.total.activations == 2 * 3 * 4


def test_branches_meet() -> None:
    def forward(x: Any) -> Any:
        a, b = x.chunk(2, 1)
        return torch.cat([b, a.sigmoid()], 1)

    graph = traced(forward, (1, 4, 5, 5))
    assert graph.nodes[-1].inputs == ("split_2", "sigmoid")
    assert [node.op.key for node in graph] == ["split", "split", "sigmoid", "concat"]


# ---- names -----------------------------------------------------------------------------------------


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.relu(self.conv(x))
        return self.relu(y + x) + 1


def test_nodes_are_called_after_their_modules() -> None:
    graph = traced(nn.Sequential(Block(), nn.Flatten()), (1, 3, 4, 4))
    assert [node.name for node in graph] == ["0.conv", "0.relu", "0.add", "0.relu_2", "0.add_2", "1"]


def test_nodes_know_the_line_that_called_them() -> None:
    graph = traced(nn.Sequential(Block()), (1, 3, 4, 4))
    where = {node.name: node.where for node in graph}
    first = Block.forward.__code__.co_firstlineno
    assert where["0.conv"] is not None and where["0.conv"].file.endswith("test_trace.py")
    assert [w.line - first for w in where.values() if w is not None] == [1, 1, 2, 2, 2]


# ---- inputs, outputs, modes ------------------------------------------------------------------------


class Two(nn.Module):
    def forward(self, left: torch.Tensor, right: torch.Tensor | None = None, *, sign: int = 1) -> Any:
        both = left if right is None else left + sign * right
        return {"both": both, "parts": (left.relu(), [both.sum()])}


def test_inputs_by_position_by_name_and_several() -> None:
    assert trace(Two(), (1, 3)).inputs == {"left": (1, 3)}
    assert trace(Two(), [(1, 3), (1, 3)]).inputs == {"left": (1, 3), "right": (1, 3)}
    graph = trace(Two(), {"right": torch.empty(1, 3), "left": torch.empty(1, 3), "sign": 2})
    assert graph.inputs == {"right": (1, 3), "left": (1, 3)}
    assert "add" in {node.name for node in graph}


def test_an_input_that_is_a_dict_or_a_list() -> None:
    image, mask = (1, 3, 4, 4), (1, 1, 4, 4)
    named = trace(Calls(lambda m, batch: batch["image"] + batch["mask"]), [{"image": image, "mask": mask}])
    listed = trace(Calls(lambda m, batch: batch[0] + batch[1]), [[torch.empty(image), torch.empty(mask)]])
    assert list(named.inputs.values()) == list(listed.inputs.values()) == [image, mask]


def test_outputs_in_containers_and_dataclasses() -> None:
    @dataclass
    class Out:
        scores: torch.Tensor
        more: dict[str, torch.Tensor]

    graph = traced(lambda x: Out(x[:, :2], {"rest": x[:, 2:]}), (1, 5))
    assert [node.shape for node in graph] == [(1, 2), (1, 3)]  # views, that only a result needs


def test_inputs_keep_their_types() -> None:
    model = nn.Embedding(10, 4)
    graph = trace(model, torch.zeros(2, 3, dtype=torch.long))
    assert graph.nodes[0].shape == (2, 3, 4)


def test_the_batch_is_the_inputs() -> None:
    one, four = (report(nn.Conv2d(3, 8, 3), (n, 3, 9, 9)) for n in (1, 4))
    assert (four.batch, four.total.macs, four.total.params) == (4, 4 * one.total.macs, one.total.params)


def test_dropout_is_there_in_training() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.3))
    assert [node.op.key for node in traced(model, (1, 3))] == ["linear"]
    assert [node.op.key for node in traced(model, (1, 3), train=True)] == ["linear", "dropout"]


def test_control_flow_follows_sizes() -> None:
    model = Calls(lambda m, x: m.a(x) if x.shape[-1] > 8 else m.b(x), a=nn.Conv1d(3, 4, 3), b=nn.Conv1d(3, 4, 1))
    assert [traced(model, (1, 3, n)).nodes[0].name for n in (9, 8)] == ["a", "b"]


# ---- models of all kinds ---------------------------------------------------------------------------


def small() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 49, 10)).eval()


KINDS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "scripted": torch.jit.script,
    "recorded": lambda model: torch.jit.trace(model, torch.rand(1, 3, 9, 9)),
    "symbolic": torch.fx.symbolic_trace,
    "compiled": torch.compile,
    "parallel": nn.DataParallel,
    "half": nn.Module.half,
    "frozen": lambda model: model.requires_grad_(False),
    "checkpointed": lambda model: Calls(
        lambda m, x: torch.utils.checkpoint.checkpoint(m.inner, x, use_reentrant=False), inner=model
    ),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_costs_the_same_in_any_wrapping(kind: str) -> None:
    assert report(KINDS[kind](small()), (1, 3, 9, 9)).total == report(small(), (1, 3, 9, 9)).total


def test_weight_norm_has_two_parameters_and_computes_one() -> None:
    layer = torch.nn.utils.parametrizations.weight_norm(nn.Linear(4, 5))
    found = report(layer, (2, 4))
    assert found.total.params == 5 * 4 + 5 + 5
    assert found.total.macs == 2 * 5 * 4
    assert found.total.multiplications == 2 * 5 * 4  # squares, and each weight scaled


def test_numbers_written_in_forward_may_be_looked_at() -> None:
    assert traced(lambda x: x[:, : int(torch.tensor(3))], (2, 4)).nodes[0].shape == (2, 3)


def test_functions_with_a_gradient_of_their_own_are_followed() -> None:
    class Positive(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            return x.clamp(min=0)

        @staticmethod
        def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
            return grad

    assert report(Positive.apply, (2, 4)).total.comparisons == 2 * 4


def test_a_graph_can_be_built_again() -> None:
    from cnncost.live.build import build

    graph = traced(small(), (1, 3, 9, 9))
    again = traced(build(graph).eval(), (1, 3, 9, 9))
    assert analyze(again).total == analyze(graph).total


def test_what_a_model_keeps_for_another_time_is_no_layer_unless_it_is_read() -> None:
    class Remembers(nn.Module):
        def __init__(self, reads: bool) -> None:
            super().__init__()
            self.reads = reads
            self.register_buffer("steps", torch.zeros(()))
            self.register_buffer("last", torch.zeros(2, 4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.steps += 1
            self.last.copy_(x)
            return self.last.relu() if self.reads else x.relu()

    assert [node.name for node in traced(Remembers(False), (2, 4))] == ["relu"]
    graph = traced(Remembers(True), (2, 4))
    assert edges(graph) == {"copy": tuple(graph.inputs), "relu": ("copy",)}


def test_the_data_of_a_parameter_is_the_parameter() -> None:
    found = report(Calls(lambda m, x: functional.conv2d(x, m.conv.weight.data), conv=nn.Conv2d(3, 4, 3)), (1, 3, 9, 9))
    assert (found.layers[0].params, found.total.buffers) == (4 * 3 * 3 * 3, 0)
