"""Clocks of the CPU and of CUDA, and what else the machine did while they ran."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch

from cnncost.analysis.samples import OTHER_LOAD, THROTTLED
from cnncost.live.timing import Run

OTHERS_AT_MOST = 0.05
"""Part of the processor that other programs may take."""
CLOCK_AT_LEAST = 0.75
"""Part of its highest clock below which a GPU counts as throttled."""
WAIT = 20e-6
"""Seconds for which a GPU waits for each run that is queued: about what it takes to launch a few kernels."""
WAIT_FOR_STEPS = 50e-3
"""Seconds for which a GPU waits for a network's layers to be queued, each with its mark."""
STAT = Path("/proc/stat")
Steps = Callable[[Callable[[], None]], object]
"""Runs something once, and calls what it is given after every step."""


class CpuClock:
    """time.perf_counter around a loop of runs."""

    def __init__(self) -> None:
        self.resolution = _resolution(time.perf_counter)
        self.overhead = _overhead(self)

    def time(self, run: Run, first: int, loops: int) -> float:
        begun = time.perf_counter()
        for i in range(first, first + loops):
            run(i)
        return time.perf_counter() - begun

    def steps(self, run: Steps) -> list[float]:
        stamps = [time.perf_counter()]
        run(lambda: stamps.append(time.perf_counter()))
        return [after - before for before, after in pairwise(stamps)]

    def now(self) -> float:
        return time.perf_counter()


class CudaClock:
    """CUDA events around a queue of runs: the GPU's own time, without waiting for the host in between.

    A kernel that waits first keeps the GPU busy until the runs are queued, so that launching them
    does not show in short ones.
    """

    resolution = 5e-7
    """Of events, as CUDA documents it: half a microsecond."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.current_stream(device)
        self.cycles = 1e9
        self.overhead = _overhead(self)

    def time(self, run: Run, first: int, loops: int) -> float:
        cuda: Any = torch.cuda
        before, after = (cuda.Event(enable_timing=True) for _ in range(2))
        cuda._sleep(int(WAIT * loops * self.cycles))
        before.record(self.stream)
        for i in range(first, first + loops):
            run(i)
        after.record(self.stream)
        after.synchronize()
        return float(before.elapsed_time(after)) / 1e3

    def steps(self, run: Steps) -> list[float]:
        cuda: Any = torch.cuda
        events = [cuda.Event(enable_timing=True)]

        def mark() -> None:
            events.append(cuda.Event(enable_timing=True))
            events[-1].record(self.stream)

        cuda._sleep(int(WAIT_FOR_STEPS * self.cycles))
        events[0].record(self.stream)
        run(mark)
        events[-1].synchronize()
        return [float(before.elapsed_time(after)) / 1e3 for before, after in pairwise(events)]

    def now(self) -> float:
        torch.cuda.synchronize(self.device)
        return time.perf_counter()


def _resolution(read: Any) -> float:
    """The smallest step of a clock that is seen."""
    steps: list[float] = []
    for _ in range(100):
        begun = now = read()
        while now == begun:
            now = read()
        steps.append(now - begun)
    return min(steps)


def _overhead(clock: Any) -> float:
    """Seconds of a run that does nothing."""
    loops = 1000
    times: list[float] = [clock.time(lambda i: None, 0, loops) for _ in range(5)]
    middle: float = median(times)
    return middle / loops


class CpuLoad:
    """What other programs took of the processor: its busy time less that of this process."""

    def start(self) -> None:
        self.begun = time.perf_counter()
        self.busy, self.own = _busy(), time.process_time()
        self.faults = page_faults()

    def doubts(self) -> list[str]:
        busy = _busy()
        wall = time.perf_counter() - self.begun
        if busy is None or self.busy is None or wall <= 0:
            return []
        others = busy - self.busy - (time.process_time() - self.own)
        # The system counts in ticks of a hundredth of a second: an interval of a few says nothing.
        ticks = 2 * (os.cpu_count() or 1) / os.sysconf("SC_CLK_TCK")
        return [OTHER_LOAD] if others - ticks > OTHERS_AT_MOST * wall * (os.cpu_count() or 1) else []

    def page_faults(self) -> int | None:
        now = page_faults()
        return None if now is None or self.faults is None else now - self.faults


def _busy() -> float | None:
    """Seconds that all processors together have worked, and those that a hypervisor took; None where not told."""
    try:
        fields = [int(n) for n in STAT.read_text().split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return None
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


class CudaLoad:
    """The GPU's clock against its highest, where NVIDIA's management library is there to tell."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def start(self) -> None:
        """Nothing to remember: the clock is read at the end, when the GPU has worked."""

    def doubts(self) -> list[str]:
        now, highest = clocks(self.device)
        return [THROTTLED] if now and highest and now < CLOCK_AT_LEAST * highest else []

    def page_faults(self) -> int | None:
        """The GPU's own memory is not handed out by pages."""
        return None


def page_faults() -> int | None:
    """Pages of memory that the system has handed to this process so far; None where it does not tell."""
    try:
        import resource
    except ImportError:  # not on this system
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def clocks(device: torch.device) -> tuple[int | None, int | None]:
    """The clock of a GPU's multiprocessors now and at its highest, in MHz, where they can be read."""
    try:
        import pynvml  # type: ignore[import-not-found]

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
        kind = pynvml.NVML_CLOCK_SM
        return int(pynvml.nvmlDeviceGetClockInfo(handle, kind)), int(pynvml.nvmlDeviceGetMaxClockInfo(handle, kind))
    except Exception:  # the library, the driver, or the right to ask may be missing
        return None, None
