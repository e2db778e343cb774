"""Memory as PyTorch's CUDA allocator has it: what it gave out, what was asked of it, what it keeps for itself."""

from __future__ import annotations

import gc
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from cnncost.errors import UsageError
from cnncost.live.memory import Measured, measure_inference, measure_training
from cnncost.live.stage import Optimizer, Stage, staged

LIMITED = {"CUDNN_CONV_WSCAP_DBG": "1", "CUBLAS_WORKSPACE_CONFIG": ":0:0", "CUBLASLT_WORKSPACE_SIZE": "0"}
"""The environment of a process in which kernels take hardly any workspace. Its peak is lower by what workspace adds."""


@dataclass(frozen=True)
class Allocated:
    """Peaks of one forward pass, or one step of training, on a GPU.

    name: of the GPU. storages: what the tensors take that operators make, followed on fake tensors.
    requested: bytes that were asked of the allocator, workspaces of kernels among them. peak: bytes of
    the blocks that it gave out (torch.cuda.max_memory_allocated): multiples of 512, and up to 1 MiB
    more where the rest of a large block is not worth splitting off. reserved: what it has of the
    driver (torch.cuda.max_memory_reserved).
    """

    name: str
    storages: Measured
    requested: int
    peak: int
    reserved: int

    @property
    def rounding(self) -> int:
        """What blocks are larger than was asked for."""
        return self.peak - self.requested

    @property
    def workspace(self) -> int:
        """What kernels asked for beside the tensors, as far as it adds to the peak."""
        return self.requested - int(self.storages.peak)


def measure_allocator(
    model: torch.nn.Module,
    inputs: Any,
    *,
    train: bool = False,
    optimizer: str | Optimizer = "sgd-momentum",
    dtype: torch.dtype | None = None,
    autocast: torch.dtype | None = None,
    device: str = "cuda",
) -> Allocated:
    """The allocator's peaks of one forward pass, or of one step of training where `train` is set.

    The rest is as for cnncost.live.memory.measure_inference and measure_training. A pass or step that
    is not measured goes before: it makes the optimizer's state, and lets libraries choose kernels.
    The model is not changed. Raises UsageError where there is no GPU.
    """
    require_gpu()
    if train:
        storages = measure_training(model, inputs, optimizer=optimizer, dtype=dtype, autocast=autocast, device=device)
    else:
        storages = measure_inference(model, inputs, dtype=dtype, autocast=autocast, device=device)
    before = settled(device)
    elsewhere = staged(model, inputs, train=train, dtype=dtype, device=device, fake=False)
    with random_state(device), elsewhere as stage:
        run = training(stage, optimizer, autocast) if train else inference(stage, autocast)
        next(run)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        next(run)
        torch.cuda.synchronize(device)
        found = peaks(torch.cuda.memory_stats(device), before)
        run.close()
    return Allocated(torch.cuda.get_device_name(device), storages, *found)


def require_gpu() -> None:
    """Raise UsageError where PyTorch has no GPU."""
    if not torch.cuda.is_available():
        raise UsageError("PyTorch finds no GPU", hint="measure on the CPU, whose figures differ by what kernels take")


def inference(stage: Stage, autocast: torch.dtype | None) -> Generator[None, None, None]:
    """A forward pass at every turn, its output held until the next."""
    while True:
        out = stage.infer(autocast)
        yield
        del out


def training(stage: Stage, optimizer: str | Optimizer, autocast: torch.dtype | None) -> Generator[None, None, None]:
    """A step of training at every turn."""
    chosen = stage.optimizer(optimizer)
    while True:
        stage.step(chosen, autocast)
        stage.model.zero_grad()
        yield


@contextmanager
def random_state(device: str) -> Iterator[None]:
    """The GPU's random numbers go on afterwards as they would have."""
    state = torch.cuda.get_rng_state(device)
    try:
        yield
    finally:
        torch.cuda.set_rng_state(state, device)


def settled(device: str) -> Mapping[str, int]:
    """The allocator's books once all that is left over is gone: what others hold stays."""
    gc.collect()
    torch.cuda.synchronize(device)
    torch._C._cuda_clearCublasWorkspaces()
    torch.cuda.empty_cache()
    found: dict[str, int] = torch.cuda.memory_stats(device)
    return found


def peaks(after: Mapping[str, int], before: Mapping[str, int]) -> tuple[int, int, int]:
    """Bytes requested, given out and reserved at their peaks, without those that were there before."""
    kinds = ("requested_bytes", "allocated_bytes", "reserved_bytes")
    requested, allocated, reserved = (after[f"{k}.all.peak"] - before.get(f"{k}.all.current", 0) for k in kinds)
    return requested, allocated, reserved
