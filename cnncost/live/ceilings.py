"""What a machine can do at the most: products of matrices by dtype, bandwidth of memory and caches, overheads.

The fastest sample counts: a ceiling is what can be attained. The clock and what is run are
parameters, so that the logic is tested without either.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timezone
from typing import Any, NamedTuple, Protocol

import torch

from cnncost.analysis.ceilings import Machine, Rate
from cnncost.analysis.measurements import Setting
from cnncost.analysis.samples import TOO_SHORT
from cnncost.devices import WorkingSet
from cnncost.live import machine
from cnncost.live.bench import configured
from cnncost.live.clocks import CpuClock, CpuLoad, CudaClock, CudaLoad
from cnncost.live.subjects import TYPES
from cnncost.live.timing import Clock, Load, Method, Run, repetition

METHOD = Method(warm_up=0.05, warm_up_at_most=0.4, window=6, samples=9, fewest=3, budget=0.3)
"""Shorter than for layers: the fastest of many probes counts, and all are to be done within a minute."""
PRODUCTS = (512, 1024, 2048, 4096, 8192)
"""Sizes of the matrices, as far as one takes no longer than LONGEST."""
CHANNELS = (64, 128, 256, 512)
"""Of the convolutions, 3x3 on 28x28: on some processors they are computed by a faster library than products are."""
LONGEST = 0.4
BEYOND = 8
"""How many times the last cache data is that says something of memory."""
LEAST_BEYOND = 64 * 2**20
AT_A_TIME = {"cpu": 4 * 2**20, "gpu": 256 * 2**20}
"""Bytes that one run reads at the least, going over small data again and again."""
LONG_RUNS = 5
"""Launch overheads that a run is long at the least for its bandwidth to count."""


class Probe(NamedTuple):
    """Something to run, and how much one run does: operations or bytes."""

    run: Run
    work: float = 1.0


class Stand(Protocol):
    """What is probed: a device with its PyTorch, or a made-up one."""

    name: str
    kind: str
    dtypes: Sequence[str]
    facts: dict[str, Any]

    def unit(self, dtype: str) -> str:
        """What multiplies matrices of a dtype."""

    def configured(self, dtype: str) -> AbstractContextManager[None]:
        """The device's switches as the dtype needs them."""

    def nothing(self) -> Probe:
        """An operator on next to no data."""

    def product(self, dtype: str, size: int) -> Probe:
        """A product of two matrices."""

    def convolutions(self, dtype: str) -> Iterable[tuple[str, Probe]]:
        """Convolutions, each with what it is in words; none where they may do less arithmetic than they count."""

    def reads(self, size: int) -> Sequence[Probe]:
        """Ways of reading so many bytes of data."""

    def copy(self, size: int) -> Probe:
        """Copying one half of so many bytes to the other."""

    def sizes(self) -> Sequence[int]:
        """Of data, from the smallest cache to what is beyond them all."""


def measure(
    stand: Stand,
    clock: Clock,
    host: Clock,
    load: Load,
    watch: Callable[[int, int], None] = lambda done, of: None,
    method: Method = METHOD,
) -> Machine:
    """Probe a machine. host: a clock that launching is timed by; on a CPU the same. watch: told of every step."""
    sizes = list(stand.sizes())
    steps = 1 + len(stand.dtypes) + len(sizes)
    doubts: list[str] = []

    def fastest(probe: Probe, by: Clock = clock) -> float:
        taken = repetition(probe.run, by, load, method)
        doubts.extend(taken.doubts)
        return min(taken.samples)

    watch(0, steps)
    with stand.configured("fp32"):
        launch = fastest(stand.nothing(), host)
        kernel = fastest(stand.nothing()) if stand.kind == "gpu" else None
    doubts.clear()  # an operator that does nothing is short by design
    rates = []
    for step, dtype in enumerate(stand.dtypes, 1):
        watch(step, steps)
        with stand.configured(dtype):
            rates.append(_rate(stand, dtype, fastest))
    curve = []
    with stand.configured("fp32"):
        for step, size in enumerate(sizes, 1 + len(stand.dtypes)):
            watch(step, steps)
            curve.append(_working_set(stand, size, fastest, kernel or launch))
    watch(steps, steps)
    return Machine(
        stand.name,
        stand.kind,
        tuple(rates),
        tuple(each for each in curve if each.read or each.copy),
        launch,
        datetime.now(timezone.utc).date().isoformat(),
        shortest_kernel=kernel,
        doubts=tuple(dict.fromkeys(doubt for doubt in doubts if doubt != TOO_SHORT)),
        **stand.facts,
    )


def _rate(stand: Stand, dtype: str, fastest: Callable[[Probe], float]) -> Rate:
    """The best over a few sizes; a size that would take too long is not tried."""
    found = []
    for size in PRODUCTS:
        probe = stand.product(dtype, size)
        took = fastest(probe)
        found.append((probe.work / took, f"products of {size} x {size}"))
        if 8 * took > LONGEST:
            break
    for text, probe in stand.convolutions(dtype):
        took = fastest(probe)
        found.append((probe.work / took, text))
        if 4 * took > LONGEST:
            break
    rate, of = max(found)
    return Rate(dtype, stand.unit(dtype), of, rate)


def _working_set(stand: Stand, size: int, fastest: Callable[[Probe], float], overhead: float) -> WorkingSet:
    """Bandwidth of data of a size; what is no longer than launching it says nothing."""

    def of(probes: Sequence[Probe]) -> float | None:
        times = [(probe.work, fastest(probe)) for probe in probes]
        return max((work / took for work, took in times if took >= LONG_RUNS * overhead), default=None)

    return WorkingSet(size, of(stand.reads(size)), of([stand.copy(size)]))


# ---- PyTorch's devices ------------------------------------------------------------------------------


class TorchStand:
    """A device of PyTorch."""

    def __init__(self, device: torch.device, threads: int | None = None) -> None:
        self.device = device
        self.kind = "gpu" if device.type == "cuda" else "cpu"
        self.name = machine.name_of(device)
        self.dtypes: Sequence[str] = ("fp32", "bf16", "fp16")
        self.facts = {"told": _told(device), "threads": threads, **_parts(device)}
        if self.kind == "gpu":
            self.capability = torch.cuda.get_device_capability(device)
            self.dtypes = ("fp32", "tf32", "bf16", "fp16") if self.capability >= (8, 0) else ("fp32", "fp16")

    def unit(self, dtype: str) -> str:
        tensor_cores = self.kind == "gpu" and dtype != "fp32" and self.capability >= (7, 0)
        return "tensor cores" if tensor_cores else "cores"

    def configured(self, dtype: str) -> AbstractContextManager[None]:
        return configured(Setting(self.name, dtype, threads=self.facts["threads"]), self.device)

    def nothing(self) -> Probe:
        x = torch.ones(1, device=self.device)
        return Probe(_run(lambda: torch.relu(x)))

    def product(self, dtype: str, size: int) -> Probe:
        a, b = (torch.randn(size, size, device=self.device).to(TYPES[dtype]) for _ in range(2))
        out = torch.empty_like(a)
        return Probe(_run(lambda: torch.mm(a, b, out=out)), 2.0 * size**3)

    def convolutions(self, dtype: str) -> Iterator[tuple[str, Probe]]:
        if self.kind == "gpu":  # cuDNN may take algorithms that do less arithmetic, as Winograd's
            return
        for channels in CHANNELS:
            yield f"3x3 convolutions of {channels} channels", self._convolution(dtype, channels)

    def _convolution(self, dtype: str, channels: int) -> Probe:
        side = 28
        x = torch.randn(1, channels, side, side, device=self.device).to(TYPES[dtype])
        weight = torch.randn(channels, channels, 3, 3, device=self.device).to(TYPES[dtype])
        return Probe(_run(lambda: torch.conv2d(x, weight, padding=1)), 2.0 * channels * side * side * channels * 9)

    def reads(self, size: int) -> Sequence[Probe]:
        """The sum of the data, gone over again and again; the product of its halves, for what is large."""
        data = torch.randn(size // 4, device=self.device)
        times = -(-AT_A_TIME[self.kind] // size)
        again = data.expand(times, size // 4)
        first, second = data.chunk(2)
        return (
            Probe(_run(lambda: again.sum(1)), float(times * size)),
            Probe(_run(lambda: torch.dot(first, second)), float(size)),
        )

    def copy(self, size: int) -> Probe:
        source, target = torch.randn(size // 4, device=self.device).chunk(2)
        return Probe(_run(lambda: target.copy_(source)), float(size))

    def sizes(self) -> Sequence[int]:
        last = max(BEYOND * machine.last_cache(self.device), LEAST_BEYOND)
        free = machine.free_bytes(self.device)
        if free is not None:
            last = min(last, free // 4)
        return tuple(_powers(256 * 2**10 if self.kind == "gpu" else 8 * 2**10, last))


def _run(work: Callable[[], Any]) -> Run:
    @torch.inference_mode()
    def run(i: int) -> None:
        work()

    return run


def _powers(first: int, last: int) -> Iterator[int]:
    """Powers of two from the first, up to the first that is no smaller than the last."""
    size = first
    while size < last:
        yield size
        size *= 2
    yield size


def _told(device: torch.device) -> tuple[str, ...]:
    """Versions that the figures hold for."""
    versions = [f"torch {torch.__version__}"]
    if device.type == "cuda":
        versions.append(f"CUDA {torch.version.cuda}")
    else:
        versions.append(f"{torch.backends.cpu.get_cpu_capability()}")
    return (*versions, platform.system())


def _parts(device: torch.device) -> dict[str, Any]:
    """Units, caches and memory, as far as they can be read."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return {
            "units": properties.multi_processor_count,
            "l2": properties.L2_cache_size,
            "memory": properties.total_memory,
        }
    return {"units": os.cpu_count(), **caches()}


def caches() -> dict[str, int]:
    """Bytes of the caches of data by level, all of them together, where the system tells."""
    found: dict[str, int] = {}
    for path in machine.CACHES.glob("index*"):
        try:
            level, kind, shared = ((path / name).read_text().strip() for name in ("level", "type", "shared_cpu_list"))
        except OSError:
            continue
        size = machine.kibibytes(path / "size")
        if kind != "Instruction" and size:
            found[f"l{level}"] = size * max(1, (os.cpu_count() or 1) // _how_many(shared))
    return {level: size for level, size in found.items() if level in ("l1", "l2", "l3")}


def _how_many(ranges: str) -> int:
    """Processors of a list as the system writes it: 0-3,8."""
    count = 0
    for part in ranges.split(","):
        first, _, last = part.partition("-")
        count += int(last or first) - int(first) + 1
    return count


class QueueClock(CpuClock):
    """The host's time for a queue of runs on a GPU, until the last is done: launching is what takes it."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        super().__init__()

    def time(self, run: Run, first: int, loops: int) -> float:
        torch.cuda.synchronize(self.device)
        begun = time.perf_counter()
        for i in range(first, first + loops):
            run(i)
        torch.cuda.synchronize(self.device)
        return time.perf_counter() - begun


def ceilings(
    device: torch.device, threads: int | None = None, watch: Callable[[int, int], None] = lambda done, of: None
) -> Machine:
    """Measure a device of PyTorch. threads: of a CPU; its usual number if left out."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            return measure(TorchStand(device), CudaClock(device), QueueClock(device), CudaLoad(device), watch)
    clock = CpuClock()
    return measure(TorchStand(device, threads or torch.get_num_threads()), clock, clock, CpuLoad(), watch)
