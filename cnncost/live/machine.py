"""What machine a measurement was taken on: kept with every one of them."""

from __future__ import annotations

import mmap
import os
import platform
import time
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import torch

import cnncost
from cnncost.errors import UsageError
from cnncost.live.clocks import clocks, page_faults

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
FAULTED = 16 * 2**20
"""Bytes of new memory that tell what page faults cost."""
L3_OTHERWISE = 32 * 2**20
"""Bytes of the last cache where the system does not tell."""


def device(name: str) -> torch.device:
    """cpu, cuda or cuda:1. Raises UsageError for one that is not here."""
    kind, colon, index = name.partition(":")
    if kind not in ("cpu", "cuda") or (colon and not index.isdecimal()):
        raise UsageError(f"--device {name}: unknown device", hint="write cpu, cuda or cuda:1")
    if kind == "cpu":
        return torch.device("cpu")
    cuda: Any = torch.cuda
    if not cuda.is_available():
        why = "this PyTorch is built without CUDA" if torch.version.cuda is None else "no GPU was found"
        raise UsageError(f"--device {name}: {why}", hint="--device cpu is always there")
    here = torch.cuda.device_count()
    at = int(index or 0)
    if at >= here:
        raise UsageError(f"--device {name}: there are {here} GPUs", hint=f"they are numbered from 0 to {here - 1}")
    return torch.device("cuda", at)


def threads() -> int:
    """Threads that PyTorch uses on a CPU unless told otherwise."""
    return int(torch.get_num_threads())


def name_of(device: torch.device) -> str:
    """What the driver or the system calls it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else processor()


@cache
def processor() -> str:
    """The CPU's name, as far as it can be read."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


@cache
def last_cache(device: torch.device) -> int:
    """Bytes of the largest cache: of data in it a run says nothing about memory."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).L2_cache_size)
    sizes = [kibibytes(path / "size") for path in CACHES.glob("index*")]
    return max(sizes, default=0) or L3_OTHERWISE


def kibibytes(path: Path) -> int:
    """Bytes that a file of the system tells as 32K; 0 where it does not."""
    try:
        text = path.read_text().strip()
    except OSError:
        return 0
    return int(text.removesuffix("K")) * 2**10 if text.removesuffix("K").isdecimal() else 0


def free_bytes(device: torch.device) -> int | None:
    """Memory that is free now; None where it cannot be told."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 2**10 if found else None


def machine(device: torch.device) -> dict[str, Any]:
    """Names, versions, threads, flags and clocks, as far as they can be read."""
    told: dict[str, Any] = {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "cnncost": cnncost.__version__,
        "denormals": "flushed to zero",
    }
    if device.type == "cuda":
        told |= _gpu(device)
    else:
        mkldnn: Any = torch.backends.mkldnn
        told["mkldnn"] = mkldnn.is_available()
        told["cpu_capability"] = torch.backends.cpu.get_cpu_capability()
        told["page_fault_seconds"] = page_fault_seconds()
    return told


@cache
def page_fault_seconds() -> float | None:
    """What a page of memory costs that the system hands out, zeroed, when it is first written, and takes back later.

    None where it does not tell how many it hands out.
    """
    costs = []
    for _ in range(5):
        before, begun = page_faults(), time.perf_counter()
        data = mmap.mmap(-1, FAULTED)
        view = torch.frombuffer(data, dtype=torch.uint8)[:: mmap.PAGESIZE]
        view.fill_(1)
        first = time.perf_counter()
        after = page_faults()
        view.fill_(2)
        again = time.perf_counter()
        del view
        data.close()
        gone = time.perf_counter() - again
        if before is None or after is None or after == before:
            return None
        costs.append((first - begun - (again - first) + gone) / (after - before))
    return max(0.0, median(costs))


def _gpu(device: torch.device) -> dict[str, Any]:
    properties = torch.cuda.get_device_properties(device)
    now, highest = clocks(device)
    cudnn: Any = torch.backends.cudnn
    return {
        "gpu": properties.name,
        "gpu_memory": properties.total_memory,
        "multiprocessors": properties.multi_processor_count,
        "l2": properties.L2_cache_size,
        "cuda": torch.version.cuda,
        "cudnn": cudnn.version(),
        "driver": _driver(),
        "clock_mhz": now,
        "highest_clock_mhz": highest,
        "tf32_matmul": torch.backends.cuda.matmul.allow_tf32,
        "tf32_cudnn": torch.backends.cudnn.allow_tf32,
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "cudnn_deterministic": torch.backends.cudnn.deterministic,
    }


def _driver() -> str | None:
    """Version of NVIDIA's driver."""
    try:
        import pynvml  # type: ignore[import-not-found]

        pynvml.nvmlInit()
        return str(pynvml.nvmlSystemGetDriverVersion())
    except Exception:  # the library is not always there
        pass
    try:
        return Path("/proc/driver/nvidia/version").read_text().split("Module", 1)[1].split()[0]
    except (OSError, IndexError):
        return None
