"""What machine a measurement was taken on: kept with every result."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def machine() -> dict[str, object]:
    """Processor, cores, memory, system and Python, as far as they can be read."""
    info: dict[str, object] = {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        info["processor"] = names[0] if names else info["processor"]
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        info["memory_kib"] = int(meminfo.read_text().split()[1])
    return info


def busy() -> float | None:
    """Seconds that all processors together have worked, and those that a hypervisor took; None where not told."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return None
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, stat.read_text().split("\n", 1)[0].split()[1:9])
    return float(user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
