"""Memory on a GPU: what cnncost derives against what PyTorch's allocator gave out. Run as memory.py --device cuda.

Every network runs in processes of its own, one as it is and one in which kernels may take hardly any
workspace; what the second's peak is lower by is what workspace adds.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from memory import Setting, derived, header, key, network, read, watched
from rich.console import Console
from rich.table import Table

from cnncost.live.allocator import LIMITED, measure_allocator, require_gpu

NETWORKS = (
    "alexnet_torchvision",
    "vgg16",
    "googlenet_torchvision",
    "inception_v3",
    "resnet18",
    "resnet50",
    "densenet121",
    "squeezenet1_1",
    "mobilenet_v2",
    "shufflenet_v2_x1_0",
    "efficientnet_b0",
    "unet",
)
SETTINGS = (
    Setting("inference", 8),
    Setting("training", 8),
    Setting("training", 32),
    Setting("training", 32, "autocast-bf16"),
)


def one(name: str, setting: Setting) -> dict[str, Any]:
    """The figures of one network, taken in this process."""
    model, graph = network(name, setting)
    autocast = None if setting.precision == "fp32" else torch.bfloat16
    inputs = list(graph.inputs.values())
    found = measure_allocator(model, inputs, train=setting.mode == "training", autocast=autocast)
    return {
        "gpu": found.name,
        "allocated": found.peak,
        "requested": found.requested,
        "reserved": found.reserved,
        "storages": found.storages.peak,
        "storages_in_blocks": found.storages.in_blocks,
        "derived": derived(graph, setting).peak,
    }


def apart(name: str, setting: Setting, environment: dict[str, str]) -> dict[str, Any]:
    """The same in a process of its own. Raises RuntimeError with the last line of what it says where it fails."""
    command, env = [sys.executable, __file__, name, json.dumps(setting)], os.environ | environment
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def row(name: str, setting: Setting) -> dict[str, Any]:
    """A record, or its error in a line."""
    record: dict[str, Any] = {"model": name, **setting._asdict()}
    try:
        record |= apart(name, setting, {})
        record["allocated_limited"] = apart(name, setting, LIMITED)["allocated"]
    except (RuntimeError, subprocess.TimeoutExpired) as e:
        record["error"] = str(e)[:300]
    return record


def run(file: Path, names: list[str]) -> None:
    """Write the records that are not in the file, each as soon as it is there, and sum them up."""
    require_gpu()
    there = read(file)
    wanted = [(name, setting) for name in names or NETWORKS for setting in SETTINGS]
    todo = [w for w in wanted if w not in there or "error" in there[w]]
    new = not file.exists()
    with open(file, "a") as out:
        if new:
            out.write(json.dumps(header() | {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda}) + "\n")
        for name, setting in watched(todo):
            out.write(json.dumps(row(name, setting)) + "\n")
            out.flush()
    report(list(read(file).values()))


def report(records: list[dict[str, Any]]) -> None:
    """Print the records, and how far derived peaks are off the allocator's, setting by setting."""
    console = Console(width=160)
    table = Table("network", "mode", "batch", "precision", "derived", "storages", "requested", "allocated", "reserved")
    for column in ("blocks", "workspace", "off %"):
        table.add_column(column, justify="right")
    errors: dict[Setting, list[float]] = {}
    for r in records:
        if "error" in r:
            console.print(f"{r['model']} {r['mode']} {r['batch']}: {r['error']}", markup=False)
            continue
        error = 100 * (r["derived"] - r["allocated"]) / r["allocated"]
        errors.setdefault(key(r)[1], []).append(error)
        sizes = [r[what] for what in ("derived", "storages", "requested", "allocated", "reserved")]
        sizes += [r["allocated"] - r["requested"], r["allocated"] - r["allocated_limited"]]
        name = (r["model"], r["mode"], str(r["batch"]), r["precision"])
        table.add_row(*name, *(f"{n:,}" for n in sizes), f"{error:+.2f}")
    console.print(table)
    for setting, found in errors.items():
        median, worst = statistics.median(map(abs, found)), max(found, key=abs)
        label = f"{setting.mode}, batch {setting.batch}, {setting.precision}"
        console.print(f"{label}: {len(found)} networks, median {median:.2f} %, worst {worst:+.2f} %")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps(one(sys.argv[1], Setting(*json.loads(sys.argv[2])))))
