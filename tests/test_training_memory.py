"""Training memory derived: against sums by hand, against PyTorch's storages, and the laws of every layer's tape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import oracle
import pytest
import tapes
import torch
from cases import CASES, TRAINING
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop

import cnncost
from cnncost.analysis.checkpoint import Block, segments, taken
from cnncost.analysis.memory import Memory, Step
from cnncost.analysis.training_memory import chosen, training_memory
from cnncost.errors import UsageError
from cnncost.graph import Graph, GraphBuilder
from cnncost.live.build import Network, build
from cnncost.live.memory import Measured, measure_training
from cnncost.ops import find

FP32, BF16, INT64 = 4, 2, 8
LOSS = FP32
"""The loss is one number, and so is its gradient."""


def network(*layers: tuple[Any, ...], inputs: dict[str, tuple[int, ...]]) -> Graph:
    """A graph of (name, op, inputs, options)."""
    builder = GraphBuilder()
    for name, shape in inputs.items():
        builder.add_input(name, shape)
    for name, key, takes, options in layers:
        builder.add(name, find(key)(**options), takes)
    return Graph("network", builder.inputs, tuple(builder.nodes))


def point(memory: Memory, layer: str, phase: str) -> Step:
    """The only step of a layer in a phase."""
    (found,) = (step for step in memory.steps if (step.layer, step.phase) == (layer, phase))
    return found


# ---- by hand --------------------------------------------------------------------------------------

N = 5 * 7
X, H, Y = 2 * 3 * N * FP32, 2 * 4 * N * FP32, 2 * 8 * N * FP32
"""Bytes of the input, of what the first layer makes of it, and of the second layer's output."""
W1, W2 = 4 * 3 * 9 * FP32, 8 * 4 * 9 * FP32
CONVS = network(
    ("a", "conv", ("x",), {"out": 4, "kernel": 3, "padding": 1, "bias": False}),
    ("relu", "relu", ("a",), {}),
    ("b", "conv", ("relu",), {"out": 8, "kernel": 3, "padding": 1, "bias": False}),
    inputs={"x": (2, 3, 5, 7)},
)


def test_forward_keeps_what_gradients_need() -> None:
    """The input, which the caller holds too, and the ReLU's output, once for the ReLU and the convolution."""
    memory = training_memory(CONVS, "sgd")
    assert memory.kept_bytes == X + H + LOSS
    assert {(held.name, held.what, held.bytes) for held in memory.kept} == {
        ("x", "input", X), ("relu", "saved", H), ("loss", "saved", LOSS),
    }  # fmt: skip
    always = W1 + W2 + X
    assert point(memory, "a", "forward")[2:] == (always + H, always + H, 0)
    assert point(memory, "relu", "forward")[2:] == (always + 2 * H, always + H, 0)
    assert point(memory, "b", "forward")[2:] == (always + H + Y, always + H + Y, 0)


def test_backward_makes_gradients_before_it_lets_go() -> None:
    """The gradient of a sum is one number, seen as many; the first layer's input needs none."""
    memory = training_memory(CONVS, "sgd")
    always, loss = W1 + W2 + X, 2 * LOSS
    assert point(memory, "b", "backward")[2:4] == (always + loss + H + H + W2, always + loss + H + H + W2)
    assert point(memory, "relu", "backward")[2:4] == (always + loss + 3 * H + W2, always + loss + H + W2)
    assert point(memory, "a", "backward")[2:4] == (always + loss + H + W2 + W1, always + LOSS + W2 + W1)
    assert point(memory, "optimizer", "update").alive == always + LOSS + W1 + W2
    assert memory.peak == always + loss + 3 * H + W2 == memory.peaks["backward"]
    assert memory.at == point(memory, "relu", "backward")
    assert sum(memory.parts.values()) == memory.peak
    assert memory.activation_peak == memory.peak - W1 - W2 - W2
    assert memory.parts["gradient"] == 2 * H + LOSS


SCALED = network(
    ("a", "scale", ("x",), {}),
    ("relu", "relu", ("a",), {}),
    ("sum", "add", ("a", "relu"), {}),
    ("out", "square", ("sum",), {}),
    inputs={"x": (2, 4, 5, 7)},
)


def test_gradients_of_several_uses_are_added() -> None:
    """The sum's gradient goes to both; the ReLU's is new and added to what the other holds alone by then."""
    memory = training_memory(SCALED, "none")
    assert memory.kept_bytes == H + 2 * H + LOSS  # the input; the ReLU's output, and the sum that is squared
    start = point(memory, "sum", "backward").left
    assert point(memory, "relu", "backward")[2:4] == (start + H, start - H)


def test_a_part_of_a_gradient_is_not_added_to_in_place() -> None:
    """A concatenation gives parts of its gradient, and two of them meet in a tensor of their own."""
    twice = network(
        ("a", "scale", ("x",), {}), ("all", "concat", ("a", "a"), {}), ("out", "square", ("all",), {}),
        inputs={"x": (2, 4, 5, 7)},
    )  # fmt: skip
    memory = training_memory(twice, "none")
    start = point(memory, "out", "backward").left
    assert point(memory, "all", "backward")[2:4] == (start + H, start + H - 2 * H)


@pytest.mark.parametrize(
    ("optimizer", "state", "update"),
    [
        ("none", 0, 0),
        ("sgd", 0, 0),
        ("sgd-momentum", W1 + W2, 0),
        ("adam", 2 * (W1 + W2) + 2 * FP32, W1 + 2 * W2),
        ("adamw", 2 * (W1 + W2) + 2 * FP32, W1 + 2 * W2),
    ],
)
def test_optimizers(optimizer: str, state: int, update: int) -> None:
    """Moments, a count of steps a tensor; Adam's roots, of which the last one goes when the next is there."""
    memory, without = training_memory(CONVS, optimizer), training_memory(CONVS, "sgd")
    assert memory.peaks["backward"] == without.peaks["backward"] + state
    assert memory.peaks["update"] == without.peaks["update"] + state + update
    together = training_memory(CONVS, optimizer, foreach=True)
    assert together.peaks["update"] - memory.peaks["update"] == (W1 + W2 - update if update else 0)


def test_master_copies() -> None:
    """Parameters in fp32 beside those in bf16, momentum in fp32, and at the update the largest gradient in fp32."""
    plain, copied = (training_memory(CONVS, precision="bf16", master_copies=copies) for copies in (False, True))
    assert plain.peaks["forward"] == (2 * (W1 + W2) + X + H + Y + LOSS) // 2
    assert copied.peaks["forward"] - plain.peaks["forward"] == W1 + W2 + (W1 + W2) // 2
    assert copied.peaks["update"] - plain.peaks["update"] == W1 + W2 + (W1 + W2) // 2 + W2
    assert training_memory(CONVS, master_copies=True).peaks == training_memory(CONVS).peaks


def test_gradients_of_earlier_batches_stay() -> None:
    """New ones are added to them, and go; from the second batch on it makes no difference how many came before."""
    first, later = training_memory(CONVS), training_memory(CONVS, accumulate=2)
    assert later.peaks["forward"] - first.peaks["forward"] == W1 + W2
    assert point(later, "b", "backward").alive - point(first, "b", "backward").alive == W1 + W2
    assert point(later, "b", "backward").left - point(first, "b", "backward").left == W1
    assert later.peaks["update"] == first.peaks["update"]
    assert training_memory(CONVS, accumulate=5).steps == later.steps


def test_frozen_layers_learn_nothing() -> None:
    """Before the first layer that learns nothing is kept; after it gradients go through frozen layers."""
    bottom, top = training_memory(CONVS, "sgd", frozen=["a"]), training_memory(CONVS, "sgd", frozen=["b"])
    assert bottom.kept_bytes == X + H + LOSS
    assert [step.layer for step in bottom.steps if step.phase == "backward"] == ["loss", "b"]
    assert bottom.peaks["update"] == W1 + W2 + X + LOSS + W2
    assert top.kept_bytes == X + H + LOSS
    assert top.peaks["update"] == W1 + W2 + X + LOSS + W1
    none = training_memory(CONVS, "adam", frozen=["*"])
    assert none.kept_bytes == X + LOSS
    assert none.peak == W1 + W2 + X + H + Y
    assert not [step for step in none.steps if step.phase == "backward"]


def test_checkpointed_blocks_run_again() -> None:
    """Only the block's input is kept; before its gradients it makes again what it then keeps."""
    chain = network(
        ("a", "scale", ("x",), {}),
        ("block.relu", "relu", ("a",), {}),
        ("block.square", "square", ("block.relu",), {}),
        ("block.tanh", "tanh", ("block.square",), {}),
        ("out", "complement", ("block.tanh",), {}),
        inputs={"x": (2, 4, 5, 7)},
    )
    whole, again = training_memory(chain, "none"), training_memory(chain, "none", checkpoint=["block"])
    assert whole.kept_bytes == H + 2 * H + LOSS  # the input; outputs of the ReLU and of the tanh
    assert again.kept_bytes == H + H + LOSS  # the input, and the block's
    names = [step.layer for step in again.steps if step.phase == "backward"]
    assert names == ["loss", "out", *("block." + name for name in ("relu", "square", "tanh", "square", "relu")), "a"]
    start = point(again, "out", "backward").left
    assert max(step.alive for step in again.steps if step.layer == "block.tanh") == start + 3 * H
    assert again.steps[-1] == whole.steps[-1]


def test_the_last_call_of_a_block_that_needs_no_output_does_not_run_again() -> None:
    """A convolution keeps its input: when the block runs again, it ends before it."""
    chain = network(
        ("a", "scale", ("x",), {}),
        ("block.relu", "relu", ("a",), {}),
        ("block.conv", "conv", ("block.relu",), {"out": 8, "bias": False}),
        ("out", "square", ("block.conv",), {}),
        inputs={"x": (2, 4, 5, 7)},
    )
    again = training_memory(chain, "none", checkpoint=["block"])
    start = point(again, "out", "backward").left
    relu = next(step for step in again.steps if (step.layer, step.phase) == ("block.relu", "backward"))
    assert (relu.alive, relu.left) == (start + H, start + H)
    weights = 8 * 4 * FP32
    assert point(again, "block.conv", "backward").alive == start + H + H + weights


def test_autocast_casts() -> None:
    """Inputs and weights of convolutions in bf16; casts of weights that no call keeps go with the forward pass."""
    memory = training_memory(CONVS, "sgd", precision="autocast-bf16")
    casts = X // 2 + H // 2 + (W1 + W2) // 2
    assert memory.kept_bytes == X + casts + BF16
    assert {held.what for held in memory.kept} == {"input", "saved", "cast weights"}
    assert point(memory, "b", "forward").left == W1 + W2 + X + casts + Y // 2
    left = W1 + W2 + X + casts + 2 * BF16
    # Its input's gradient is in bf16, its weights' is cast back to fp32; the weights' cast goes.
    assert point(memory, "b", "backward").left == left + H // 2 + W2 - W2 // 2
    assert training_memory(CONVS, "sgd", precision="autocast-fp16").peak == memory.peak


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adamm"}, "unknown optimizer adamm"),
        ({"precision": "autocast-fp8"}, "unknown precision autocast-fp8"),
        ({"precision": "fp33"}, "unknown dtype fp33"),
        ({"accumulate": 0}, "accumulate must be at least 1, got 0"),
        ({"frozen": ["c"]}, "no layer c in network"),
        ({"checkpoint": ["c"]}, "no block c in network"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        training_memory(CONVS, **options)


# ---- the tapes of all layers ----------------------------------------------------------------------


def measure(graph: Graph, **options: Any) -> Measured:
    return measure_training(build(graph, device="meta"), list(graph.inputs.values()), **options)


@pytest.fixture(scope="module")
def answers() -> tapes.Answers:
    return oracle.taped()


@pytest.mark.parametrize("check", [tapes.check_exact, tapes.check_cast, tapes.check_partly, tapes.check_sizes])
def test_every_layer_is_taped_as_autograd_has_it(check: Callable[[Any], None], answers: tapes.Answers) -> None:
    check(answers)


def test_tapes_of_arrays() -> None:
    tapes.check_arrays()


def test_frozen_layers_keep_what_the_gradient_of_their_input_needs() -> None:
    tapes.check_frozen()


def test_rough_tapes_are_of_some_cases() -> None:
    for part in tapes.ROUGH:
        assert any(part in str(case) for case in (*CASES, *TRAINING))


# ---- networks -------------------------------------------------------------------------------------

NETWORKS = [
    ("lenet5", 4, "fp32", "adam"),
    ("alexnet", 4, "fp32", "sgd-momentum"),
    ("resnet18", 8, "fp32", "sgd-momentum"),
    ("googlenet", 2, "autocast-bf16", "sgd"),
    ("squeezenet1_1", 8, "fp32", "adamw"),
    ("mobilenet_v3_small", 3, "autocast-bf16", "sgd-momentum"),
    ("shufflenet_v2_x0_5", 8, "fp32", "sgd"),
    ("unet", 1, "autocast-bf16", "adam"),
    ("ssd300", 2, "fp32", "sgd-momentum"),
    ("prelu_net_a", 2, "fp32", "sgd"),
    ("highway10", 4, "fp32", "sgd"),
    ("convnext_tiny", 2, "fp32", "sgd-momentum"),
]


@pytest.mark.parametrize(("name", "batch", "precision", "optimizer"), NETWORKS)
def test_networks_as_their_storages_are_measured(name: str, batch: int, precision: str, optimizer: str) -> None:
    """To the byte: what is kept, and the peaks of all phases."""
    graph = cnncost.load(name, batch=batch)
    autocast = torch.bfloat16 if precision == "autocast-bf16" else None
    derived = training_memory(graph, optimizer, precision=precision)
    measured = measure(graph, optimizer=optimizer, autocast=autocast)
    assert derived.kept_bytes == measured.kept_bytes
    assert derived.peaks == measured.peaks
    assert derived.activation_peak == measured.activation_peak
    assert derived.at is not None
    assert derived.at.layer == measured.at.layer
    parts = dict(derived.parts)
    parts["gradient"] = parts.get("gradient", 0) + parts.pop("temporary", 0)  # all that the backward pass makes
    assert {what: size for what, size in parts.items() if size} == measured.parts


class Checkpointed(Network):
    """A network of which some blocks are checkpointed."""

    def __init__(self, graph: Graph, patterns: Sequence[str]) -> None:
        super().__init__(graph)
        self.parts = segments(graph, patterns)

    def forward(self, *tensors: torch.Tensor) -> Any:
        alive = dict(zip(self.inputs, tensors))
        for part in self.parts:
            takes = [alive[name] for name in taken(part)]
            if isinstance(part, Block):
                outputs = checkpoint(self.runner(part), *takes, use_reentrant=False, preserve_rng_state=False)
                alive.update(zip(part.gives, outputs))
                del outputs
            else:
                alive[part.name] = self.layer(part.name)(*(alive[name] for name in part.inputs))
            del takes
            self.drop(alive, self.parts[self.parts.index(part) + 1 :], self.outputs)
        return alive[self.outputs[0]]

    @staticmethod
    def drop(alive: dict[str, Any], rest: Sequence[Any], held: Sequence[str]) -> None:
        needed = {name for part in rest for name in taken(part)}
        for name in [name for name in alive if name not in needed and name not in held]:
            del alive[name]

    def runner(self, block: Block) -> Callable[..., tuple[torch.Tensor, ...]]:
        def run(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
            alive = dict(zip(block.takes, tensors))
            for i, node in enumerate(block.nodes):
                alive[node.name] = self.layer(node.name)(*(alive[name] for name in node.inputs))
                self.drop(alive, block.nodes[i + 1 :], block.gives)
            return tuple(alive[name] for name in block.gives)

        return run


@pytest.mark.parametrize(
    ("patterns", "frozen", "precision"),
    [
        (["conv2_x", "conv3_x"], [], "fp32"),
        (["conv?_x.*"], [], "autocast-bf16"),
        (["conv2_x", "conv4_x.0"], ["conv1", "conv2_x.0"], "fp32"),
        ([], ["conv?_x.?.conv1"], "fp32"),
    ],
)
def test_checkpointed_and_frozen_blocks_as_measured(patterns: list[str], frozen: list[str], precision: str) -> None:
    """Each of these blocks ends with a call that keeps its output, so that all of it runs again."""
    graph = cnncost.load("resnet18", batch=2)
    with torch.device("meta"):
        model = Checkpointed(graph, patterns)
    for name in chosen(graph, frozen):
        model.layer(name).requires_grad_(False)
    derived = training_memory(graph, "sgd", precision=precision, checkpoint=patterns, frozen=frozen)
    autocast = torch.bfloat16 if precision == "autocast-bf16" else None
    with set_checkpoint_early_stop(False):
        measured = measure_training(model, list(graph.inputs.values()), optimizer="sgd", autocast=autocast)
    assert derived.kept_bytes == measured.kept_bytes
    assert derived.peaks == measured.peaks


# ---- sizes that are arrays ------------------------------------------------------------------------

BATCHES = (1, 3, 8)


@pytest.mark.parametrize("options", [{}, {"precision": "autocast-bf16"}, {"optimizer": "adam", "accumulate": 2}])
def test_arrays_of_sizes_are_each_of_them(options: dict[str, Any]) -> None:
    name = "mobilenet_v3_small"
    together = training_memory(cnncost.load(name, batch=np.array(BATCHES)), **options)
    each = [training_memory(cnncost.load(name, batch=batch), **options) for batch in BATCHES]
    assert together.peak.tolist() == [memory.peak for memory in each]
    assert together.kept_bytes.tolist() == [memory.kept_bytes for memory in each]
    assert together.activation_peak.tolist() == [memory.activation_peak for memory in each]
    assert [step.layer for step in together.steps] == [step.layer for step in each[0].steps]
    assert (together.at, together.held, together.kept) == (None, (), ())


def test_one_network_gives_python_ints() -> None:
    memory = training_memory(cnncost.load("lenet5"))
    assert {type(n) for step in memory.steps for n in step[2:]} == {int}
    assert {type(n) for n in (memory.peak, memory.kept_bytes, *memory.peaks.values(), *memory.parts.values())} == {int}
