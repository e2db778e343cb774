"""Memory by the CUDA allocator: its books, its blocks, and, where there is a GPU, that it agrees with the storages."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from test_live_memory import MODELS, SHAPE, Calls, Scale, state
from torch import nn

from cnncost.errors import UsageError
from cnncost.live import allocator
from cnncost.live.memory import measure_inference, measure_training

KINDS = ("requested", "allocated", "reserved")


def test_blocks_of_512_bytes() -> None:
    measured = measure_inference(nn.ReLU(), (2, 3, 5, 7))
    assert (measured.peak, measured.in_blocks) == (2 * 840, 2 * 1024)
    assert measure_inference(nn.ReLU(), (2, 64)).in_blocks == 2 * 512
    assert measure_inference(nn.ReLU(), (2, 65)).in_blocks == 2 * 1024


def test_peaks_are_above_what_was_there() -> None:
    before = {f"{kind}_bytes.all.current": n for kind, n in (("requested", 10), ("allocated", 512), ("reserved", 2048))}
    after = {f"{kind}_bytes.all.peak": n for kind, n in (("requested", 110), ("allocated", 1536), ("reserved", 6144))}
    assert allocator.peaks(after, before) == (110 - 10, 1536 - 512, 6144 - 2048)
    assert allocator.peaks(after, {}) == (110, 1536, 6144)


class FakeGpu:
    """torch.cuda as far as the allocator's figures need it: every call is noted, and the figures are given."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.stats = {f"{kind}_bytes.all.{when}": 0 for kind in KINDS for when in ("current", "peak")}

    def is_available(self) -> bool:
        return True

    def memory_stats(self, device: str) -> dict[str, int]:
        return dict(self.stats)

    def get_device_name(self, device: str) -> str:
        return "a GPU"

    def reset_peak_memory_stats(self, device: str) -> None:
        self.calls.append("reset")
        self.stats = self.stats | {f"{kind}_bytes.all.peak": n for kind, n in zip(KINDS, (5000, 6144, 2**21))}

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args: None


@pytest.mark.parametrize("train", [False, True])
def test_one_pass_goes_before_the_one_that_is_measured(train: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = FakeGpu()
    monkeypatch.setattr(allocator.torch, "cuda", gpu)
    monkeypatch.setattr(torch._C, "_cuda_clearCublasWorkspaces", lambda: gpu.calls.append("clear"), raising=False)
    model = Calls(lambda self, x: gpu.calls.append("pass") or self.a(x), a=Scale(2, 3))
    storages = (measure_training if train else measure_inference)(model, (2, 3))
    gpu.calls.clear()
    found = allocator.measure_allocator(model, (2, 3), train=train, device="cpu")
    assert gpu.calls == ["pass", "clear", "pass", "reset", "pass"]
    assert (found.name, found.storages) == ("a GPU", storages)
    assert (found.peak, found.rounding, found.reserved) == (6144, 6144 - 5000, 2**21)
    assert found.workspace == 5000 - storages.peak


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_is_said() -> None:
    with pytest.raises(UsageError) as e:
        allocator.measure_allocator(nn.ReLU(), (2, 3))
    assert str(e.value) == "PyTorch finds no GPU\nhint: measure on the CPU, whose figures differ by what kernels take"


@pytest.mark.cuda
@pytest.mark.parametrize("name", [name for name in MODELS if name not in ("norm", "pools")])
@pytest.mark.parametrize("train", [False, True])
def test_the_gpus_allocator_gives_out_what_storages_take(name: str, train: bool) -> None:
    """Models of operators whose kernels want no workspace."""
    found = allocator.measure_allocator(MODELS[name](), SHAPE, train=train, optimizer="sgd")
    assert found.workspace == 0
    assert found.peak == found.storages.in_blocks


@pytest.mark.cuda
def test_the_model_on_a_gpu_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout())
    before = state(model), torch.cuda.get_rng_state().tolist()
    allocator.measure_allocator(model, (2, 3, 5, 7), train=True)
    assert (state(model), torch.cuda.get_rng_state().tolist()) == before
