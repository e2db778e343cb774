"""Measured memory: against sums by hand, PyTorch's CPU allocator and its own tracker; and that it leaves no trace."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import accumulate
from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker
from torch.profiler import ProfilerActivity, profile

import cnncost
from cnncost.analysis.memory import Held, Memory, Step
from cnncost.live import storages
from cnncost.live.build import build
from cnncost.live.memory import OPTIMIZERS, Measured, measure_inference, measure_training
from cnncost.live.recorder import TraceError

FP32 = 4
BF16 = 2
INT64 = 8
LOSS = FP32
"""A number: the loss, or its gradient."""


class Calls(nn.Module):
    """A module whose forward is a function of itself and its input."""

    def __init__(self, forward: Callable[..., Any], **parts: nn.Module) -> None:
        super().__init__()
        self.run = forward
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: torch.Tensor) -> Any:
        return self.run(self, x)


class Scale(nn.Module):
    """x * w, a weight for every element: an operator that takes no workspace."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight


def at(memory: Memory, layer: str, phase: str = "forward") -> Step:
    """The step of a layer."""
    return next(step for step in memory.steps if (step.layer, step.phase) == (layer, phase))


def sums(held: tuple[Held, ...]) -> dict[str, int]:
    """Bytes by what is held."""
    return {what: sum(int(h.bytes) for h in held if h.what == what) for what in dict.fromkeys(h.what for h in held)}


# ---- by hand: inference ---------------------------------------------------------------------------

X = 2 * 3 * 5 * 7 * FP32
Y = 2 * 4 * 5 * 7 * FP32
Z = 2 * 6 * 5 * 7 * FP32
CONV1 = (4 * 3 * 9 + 4) * FP32
CONV2 = (6 * 4 * 9 + 6) * FP32


def two_convs(activation: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), activation, nn.Conv2d(4, 6, 3, padding=1))


def test_conv_relu_conv() -> None:
    measured = measure_inference(two_convs(nn.ReLU()), (2, 3, 5, 7))
    always = CONV1 + CONV2 + X
    assert [step[:4] for step in measured.steps] == [
        ("0", "forward", always + Y, always + Y),
        ("1", "forward", always + Y + Y, always + Y),
        ("2", "forward", always + Y + Z, always + Z),
    ]
    assert (measured.peak, measured.at) == (always + Y + Z, at(measured, "2"))
    assert measured.activation_peak == X + Y + Z
    assert measured.parts == {"parameters": CONV1 + CONV2, "input": X, "activation": Y + Z}
    assert set(measured.held) == {
        Held("0", "parameters", CONV1),
        Held("2", "parameters", CONV2),
        Held("input", "input", X),
        Held("1", "activation", Y),
        Held("2", "activation", Z),
    }


def test_in_place_takes_nothing() -> None:
    measured = measure_inference(two_convs(nn.ReLU(inplace=True)), (2, 3, 5, 7))
    assert at(measured, "1").alive == at(measured, "0").alive == CONV1 + CONV2 + X + Y


def test_views_share_and_hold_a_whole_storage() -> None:
    model = Calls(
        lambda self, x: self.b(self.a(x).flatten(2).transpose(1, 2)[:, :1].squeeze(1)), a=nn.ReLU(), b=nn.Tanh()
    )
    measured = measure_inference(model, (2, 3, 5, 7))
    assert at(measured, "").alive == 2 * X
    assert at(measured, "b").alive == 2 * X + 2 * 3 * FP32
    assert at(measured, "b").left == X + 2 * 3 * FP32


def test_a_shortcut_is_held_until_it_is_added() -> None:
    model = Calls(lambda self, x: self.b(self.a(x)) + x, a=nn.ReLU(), b=nn.ReLU())
    measured = measure_inference(Calls(lambda self, x: self.m(self.z(x)), z=nn.ReLU(), m=model), (2, 3, 5, 7))
    assert [step[:3] for step in measured.steps] == [
        ("z", "forward", X + X),
        ("m.a", "forward", X + 2 * X),
        ("m.b", "forward", X + 3 * X),
        ("m", "forward", X + 3 * X),
    ]


def test_dropout_is_nothing_at_inference() -> None:
    measured = measure_inference(nn.Sequential(nn.ReLU(), nn.Dropout(), nn.ReLU()), (2, 3, 5, 7))
    assert [step.alive for step in measured.steps] == [2 * X, 2 * X, 3 * X]


def test_what_a_layer_takes_for_itself_is_told_apart() -> None:
    measured = measure_inference(nn.MaxPool2d(1), (2, 3, 5, 7))
    indices = 2 * 3 * 5 * 7 * INT64
    assert measured.peak == X + X + indices
    assert measured.parts == {"input": X, "activation": X, "temporary": indices}
    assert measured.steps == (Step("", "forward", 2 * X + indices, 2 * X, indices),)


def test_what_is_on_another_device_does_not_count() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return x * torch.ones(1000, device="cpu").sum().to("meta")

    number = FP32
    assert measure_inference(Calls(forward), (2, 3, 5, 7), device="meta").peak == 2 * X + number


def test_a_storage_that_grows_is_another() -> None:
    model = Calls(lambda self, x: self.b(self.a(x).resize_(4, 3, 5, 7)), a=nn.ReLU(), b=nn.Tanh())
    measured = measure_inference(model, (2, 3, 5, 7))
    assert [step.alive for step in measured.steps] == [X + X, X + 2 * X, X + 2 * X + 2 * X]
    assert measured.steps[-1].left == X + 2 * X


def test_parameters_that_layers_share_count_once() -> None:
    first, second = nn.Linear(5, 5, bias=False), nn.Linear(5, 5, bias=False)
    second.weight = first.weight
    assert measure_inference(nn.Sequential(first, second), (2, 5)).parts["parameters"] == 5 * 5 * FP32


def test_inputs_by_name_and_several_outputs() -> None:
    class Two(nn.Module):
        def forward(self, image: torch.Tensor, *, mask: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"sum": image + mask, "product": image * mask}

    measured = measure_inference(Two(), {"image": (2, 3), "mask": torch.ones(2, 3, dtype=torch.float64)})
    image, mask = 2 * 3 * FP32, 2 * 3 * 8
    assert [h for h in measured.held if h.what == "input"] == [
        Held("image", "input", image),
        Held("mask", "input", mask),
    ]
    assert measured.peak == image + mask + 2 * mask


# ---- by hand: training ----------------------------------------------------------------------------


def test_conv_relu_conv_keeps_its_inputs() -> None:
    """Convolutions keep what went in, ReLU what came out; ReLU's input goes."""
    measured = measure_training(two_convs(nn.ReLU()), (2, 3, 5, 7))
    assert sums(measured.kept) == {"input": X, "saved": Y + LOSS}
    assert measured.kept_bytes == X + Y + LOSS
    always = 2 * (CONV1 + CONV2) + X
    assert measured.peaks["forward"] == always + Y + Z + LOSS
    loss = at(measured, "loss", "backward")
    assert loss.alive == always + Y + 2 * LOSS
    assert at(measured, "2", "backward").alive == always + Y + 2 * LOSS + Y + CONV2
    assert at(measured, "1", "backward").alive == always + Y + 2 * LOSS + 2 * Y + CONV2


def test_dropout_keeps_a_mask_in_training() -> None:
    """On the CPU a mask of the network's dtype; what comes in is not needed again."""
    measured = measure_training(nn.Sequential(Scale(2, 3, 5, 7), nn.Dropout()), (2, 3, 5, 7))
    assert sums(measured.kept) == {"input": X, "saved": X + LOSS}


STATE = [("sgd", 0, 0), ("sgd-momentum", 1, 0), ("adam", 2, 1), ("adamw", 2, 1)]


@pytest.mark.parametrize(("name", "copies", "steps"), STATE)
def test_optimizer_state(name: str, copies: int, steps: int) -> None:
    """copies: of every parameter. steps: numbers for every parameter."""
    measured = measure_training(two_convs(nn.ReLU()), (2, 3, 5, 7), optimizer=name)
    parameters = 4  # a weight and a bias each
    assert measured.parts.get("optimizer state", 0) == copies * (CONV1 + CONV2) + parameters * steps * FP32


def test_an_optimizer_of_ones_own() -> None:
    def make(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=0.1, momentum=0.9, foreach=True)

    each = measure_training(two_convs(nn.ReLU()), (2, 3, 5, 7), optimizer="sgd-momentum")
    together = measure_training(two_convs(nn.ReLU()), (2, 3, 5, 7), optimizer=make)
    assert together.peaks["update"] == each.peaks["update"]


def test_frozen_parameters_have_no_gradient() -> None:
    model = two_convs(nn.ReLU())
    model[0].requires_grad_(False)
    measured = measure_training(model, (2, 3, 5, 7))
    assert at(measured, "2", "backward").alive == CONV1 + 3 * CONV2 + X + Y + 2 * LOSS


def test_what_nobody_learns_from_has_no_gradient() -> None:
    norm, channels = nn.BatchNorm2d(3), 3 * FP32
    measured = measure_training(norm, (2, 3, 5, 7), optimizer="none")
    always = held_by(norm) + X + 2 * channels + LOSS
    assert measured.peaks["backward"] == always + LOSS + 2 * channels


def test_a_model_that_learns_nothing_has_no_backward_pass() -> None:
    measured = measure_training(nn.ReLU(), (2, 3, 5, 7))
    assert measured.peaks == {"forward": 2 * X + LOSS}


def test_parameters_without_gradient_have_no_state() -> None:
    model = Calls(lambda self, x: self.a(x), a=Scale(2, 3), unused=Scale(100))
    measured = measure_training(model, (2, 3), optimizer="adam")
    scale = 2 * 3 * FP32
    assert measured.parts["parameters"] == scale + 100 * FP32
    assert measured.parts["optimizer state"] == 2 * scale + FP32


def test_autocast_keeps_casts_of_weights() -> None:
    measured = measure_training(two_convs(nn.ReLU()), (2, 3, 5, 7), autocast=torch.bfloat16)
    half = BF16 / FP32
    kept = sums(measured.kept)
    assert kept["cast weights"] == (CONV1 + CONV2) * half - (4 + 6) * BF16
    assert kept["saved"] == (X + Y) * half + BF16


def test_statistics_of_the_batch_are_kept() -> None:
    measured = measure_training(nn.BatchNorm2d(3), (2, 3, 5, 7))
    assert sums(measured.kept) == {"input": X, "saved": 2 * 3 * FP32 + LOSS}
    assert measured.parts["buffers"] == 2 * 3 * FP32 + INT64


class Low(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.bfloat16()


@pytest.mark.parametrize(
    "norm",
    [
        nn.BatchNorm2d(4),
        nn.BatchNorm2d(4, affine=False),
        nn.BatchNorm2d(4, affine=False, track_running_stats=False),
        nn.GroupNorm(2, 4),
        nn.GroupNorm(2, 4, affine=False),
        nn.LayerNorm(8),
        nn.LayerNorm(8, elementwise_affine=False),
    ],
    ids=str,
)
def test_statistics_have_the_dtype_that_the_cpu_gives_them(norm: nn.Module) -> None:
    """Parameters in fp32, inputs in bf16, as under autocast."""
    x, saved = torch.rand(3, 4, 6, 8).bfloat16().requires_grad_(), {}

    def pack(t: torch.Tensor) -> torch.Tensor:
        saved[t.untyped_storage()._cdata] = t.untyped_storage().nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        norm(x)
    own = {t.untyped_storage()._cdata for t in (*norm.parameters(), *norm.buffers())}
    kept = measure_training(nn.Sequential(Scale(3, 4, 6, 8), Low(), norm), (3, 4, 6, 8)).kept
    found = sum(size for key, size in saved.items() if key not in own)
    assert sum(held.bytes for held in kept if held.what == "saved" and held.name != "loss") == found


# ---- the CPU allocator's own books ----------------------------------------------------------------


def fork(self: Any, x: torch.Tensor) -> torch.Tensor:
    """Three gradients meet at y; two of them may be added in place, and one is somebody else's, too."""
    y = self.a(x)
    z = (y.relu() + y).sigmoid_()
    return z * y + self.b(y)


def shared(self: Any, x: torch.Tensor) -> torch.Tensor:
    """Two gradients meet at y; the first one is somebody else's, too, and nothing is added in place then."""
    z, y = torch.cat([self.a(x)] * 2), torch.cat([self.b(x)] * 2)
    mean = y.mean()
    return (z + y).neg().sum() + mean


def added(self: Any, x: torch.Tensor) -> torch.Tensor:
    """The sum of two gradients is in place, and would else be the peak: what the second was computed from is small."""
    y = self.a(x)
    small = self.b(y[:, :, :2]).sum()
    return small + y.neg().sum()


SHAPE = (3, 4, 6, 8)
MODELS: dict[str, Callable[[], nn.Module]] = {
    "chain": lambda: nn.Sequential(Scale(*SHAPE), nn.ReLU(), Scale(*SHAPE), nn.Tanh(), Scale(*SHAPE)),
    "in place": lambda: nn.Sequential(Scale(*SHAPE), nn.ReLU(inplace=True), Scale(*SHAPE), nn.Sigmoid()),
    "fork": lambda: Calls(fork, a=Scale(*SHAPE), b=Scale(*SHAPE)),
    "shared": lambda: Calls(shared, a=Scale(*SHAPE), b=Scale(*SHAPE)),
    "added": lambda: Calls(added, a=Scale(*SHAPE), b=Scale(3, 4, 2, 8)),
    "shortcut": lambda: Calls(lambda m, x: m.a(x) + x * m.b(m.a(x)), a=Scale(*SHAPE), b=Scale(*SHAPE)),
    "concat": lambda: Calls(lambda m, x: torch.cat([m.a(x), m.b(m.a(x))], 1).relu(), a=Scale(*SHAPE), b=Scale(*SHAPE)),
    "split": lambda: Calls(lambda m, x: torch.mul(*m.a(x).chunk(2, 1)), a=Scale(*SHAPE)),
    "pools": lambda: nn.Sequential(Scale(*SHAPE), nn.AvgPool2d(2), Scale(3, 4, 3, 4), nn.MaxPool2d(2)),
    "norm": lambda: Calls(lambda m, x: torch.cat([m.b(m.a(x))] * 3, 1).relu_(), a=Scale(*SHAPE), b=nn.BatchNorm2d(4)),
}


def allocated(run: Callable[[Callable[[], None]], None]) -> list[int]:
    """The most bytes alive in every part of a run, as PyTorch's CPU allocator has it.

    run: calls the function that it gets where a part ends.
    """
    mark = 1_234_567

    def part() -> None:
        torch.empty(mark, dtype=torch.uint8)

    run(part)  # what is made once is made
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run(part)
    kineto = profiler.profiler.kineto_results.events()
    changes = [e.nbytes() for e in sorted(kineto, key=lambda e: e.start_ns()) if e.name() == "[memory]"]
    parts: list[list[int]] = [[0]]
    for change, total in zip(changes, accumulate(changes)):
        if change == -mark:
            parts.append([total])
        elif change != mark:
            parts[-1].append(total)
    return [max(part) for part in parts]


def held_by(model: nn.Module) -> int:
    return sum(t.nbytes for t in (*model.parameters(), *model.buffers()))


@pytest.mark.parametrize("name", MODELS)
def test_inference_as_the_allocator_has_it(name: str) -> None:
    model, x = MODELS[name]().eval(), torch.rand(SHAPE)

    def run(part: Callable[[], None]) -> None:
        with torch.no_grad():
            model(x)

    assert measure_inference(model, SHAPE).peak == held_by(model) + x.nbytes + allocated(run)[0]


@pytest.mark.parametrize("name", MODELS)
def test_training_as_the_allocator_has_it(name: str) -> None:
    model, x = MODELS[name]().train(), torch.rand(SHAPE)
    optimizer = OPTIMIZERS["sgd"](list(model.parameters()))

    def run(part: Callable[[], None]) -> None:
        loss = model(x).sum()
        part()
        loss.backward()
        part()
        optimizer.step()
        optimizer.zero_grad()

    measured = measure_training(model, SHAPE, optimizer="sgd")
    always = held_by(model) + x.nbytes
    assert list(measured.peaks.values()) == [always + part for part in allocated(run)]


# ---- PyTorch's own tracker ------------------------------------------------------------------------


def tracked(name: str, train: bool) -> int:
    """The peak by torch.distributed._tools."""
    graph = cnncost.load(name)
    with FakeTensorMode():
        model = build(graph).train(train)
        inputs = [torch.empty(shape) for shape in graph.inputs.values()]
        optimizer = OPTIMIZERS["sgd-momentum"](list(model.parameters()))

        def run() -> Any:
            if not train:
                with torch.no_grad():
                    return model(*inputs)
            loss = model(*inputs).sum()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return loss

        if train:
            run()
        tracker = MemTracker()
        tracker.track_external(model, *inputs, *([optimizer] if train else []))
        with tracker:
            last = run()
        del last
        return int(tracker.get_tracker_snapshot("peak")[torch.device("cpu")]["Total"])


@pytest.mark.parametrize("name", ["alexnet", "resnet18", "mobilenet_v2"])
def test_inference_as_pytorchs_tracker_has_it(name: str) -> None:
    graph = cnncost.load(name)
    assert measure_inference(build(graph, device="meta"), list(graph.inputs.values())).peak == tracked(name, False)


@pytest.mark.parametrize("name", ["alexnet", "resnet18", "mobilenet_v2"])
def test_training_as_pytorchs_tracker_has_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same but for one thing: autograd adds gradients in place, and does not under a mode, as that tracker is."""
    graph = cnncost.load(name)
    model, shapes = build(graph, device="meta"), list(graph.inputs.values())
    peak = measure_training(model, shapes).peak
    monkeypatch.setattr(storages, "accumulation", lambda args: (torch.ops.aten.add.Tensor, args))
    assert peak <= measure_training(model, shapes).peak == tracked(name, True)


# ---- no trace -------------------------------------------------------------------------------------


def state(model: nn.Module) -> list[Any]:
    tensors = [*model.parameters(), *model.buffers()]
    return [
        [(id(t), t._version, t.clone().tolist(), id(t.grad)) for t in tensors],
        [(m.training, list(m.__dict__), len(m._forward_hooks)) for m in model.modules()],
        torch.get_rng_state().tolist(),
        random.getstate(),
    ]


@pytest.mark.parametrize("measure", [measure_inference, measure_training])
def test_the_model_is_left_as_it_was(measure: Callable[..., Measured]) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.ReLU(inplace=True))
    model[1].eval()
    x = torch.rand(2, 3, 5, 7)
    model(x).sum().backward()
    before = state(model), x.tolist()
    measure(model, x)
    assert (state(model), x.tolist()) == before


def test_the_model_is_left_as_it_was_when_it_fails() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(5, 6))
    before = state(model)
    with pytest.raises(TraceError) as e:
        measure_training(model, (2, 3))
    assert "forward raises RuntimeError" in e.value.message
    assert "(in 1, Linear of 2x4)" in e.value.message
    assert state(model) == before


def test_real_numbers_are_not_computed() -> None:
    """A network far larger than any machine."""
    measured = measure_inference(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1)), (1_000_000, 3, 1000, 1000))
    assert measured.activation_peak == 1_000_000 * (3 + 4) * 1000 * 1000 * FP32
