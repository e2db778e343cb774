"""How long cnncost takes, as ratios against a baseline and a peer in one run.

    python benchmarks/speed.py [--runs 15] [--out benchmarks/results/NAME.jsonl]

benchmarks/README.md says how it is measured and what the figures are.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from machine import machine
from rich.console import Console
from rich.table import Table

import cnncost

BASELINE = "import click, rich.table, yaml"
TORCHINFO = """
from torch import nn
from torchinfo import summary
net = nn.Sequential(
    nn.Conv2d(3, 96, 11, 4), nn.ReLU(), nn.LocalResponseNorm(5), nn.MaxPool2d(3, 2),
    nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(), nn.LocalResponseNorm(5), nn.MaxPool2d(3, 2),
    nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(),
    nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(),
    nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2),
    nn.Flatten(), nn.Linear(9216, 4096), nn.ReLU(), nn.Dropout(),
    nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 1000), nn.Softmax(1),
)
summary(net, (1, 3, 227, 227), col_names=("output_size", "num_params", "mult_adds"))
"""
"""The same network and columns from torchinfo, built straight from torch.nn: importing torchvision would only add."""
SYNTHETIC = (625, 1250, 2500, 5000, 10_000)
"""Layers of the synthetic networks: each a chain of convolution, norm and activation, no two layers alike in name."""


def synthetic(layers: int) -> str:
    """A spec of so many layers, written out: nothing is folded into a repeat."""
    lines = ["input: 16x32x32", "layers:"]
    kinds = ("{conv: 16, kernel: 3, padding: 1}", "batch_norm", "relu", "{add: [l%d, l%d]}")
    for i in range(layers):
        kind = kinds[i % 4]
        lines.append(f"  l{i}: " + (kind % (i - 1, i - 3) if "%" in kind else kind))
    return "\n".join(lines) + "\n"


def process(command: list[str]) -> float:
    """Seconds of a whole process, its output thrown away."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def inside(function: Callable[[], object]) -> float:
    """Seconds of a call in this process."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def measured(tasks: dict[str, Callable[[], float]], runs: int) -> dict[str, list[float]]:
    """Samples of every task, taken in turns, so that a slow spell of the machine meets them all alike."""
    samples: dict[str, list[float]] = {name: [] for name in tasks}
    for task in tasks.values():
        task()  # the first run writes byte code and fills the page cache
    for _ in range(runs):
        for name, task in tasks.items():
            samples[name].append(task())
    return samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--without-peer", action="store_true", help="leave torchinfo out, where torch is missing")
    arguments = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # Byte code in a folder of this run's own: a checkout may be read-only or someone else's.
    cache = tempfile.TemporaryDirectory()
    os.environ["PYTHONPYCACHEPREFIX"] = cache.name
    python = sys.executable

    def report(*options: str) -> Callable[[], float]:
        return lambda: process([python, "-m", "cnncost", "report", *options])

    tasks: dict[str, Callable[[], float]] = {
        "import click, rich.table, yaml": lambda: process([python, "-c", BASELINE]),
        "cnncost report alexnet": report("alexnet"),
        "cnncost report alexnet --format json": report("alexnet", "--format", "json"),
        "cnncost report resnet152": report("resnet152"),
        "load resnet152": lambda: inside(lambda: cnncost.load("resnet152")),
    }
    graph = cnncost.load("resnet152")
    tasks["analyze resnet152"] = lambda: inside(lambda: cnncost.analyze(graph))
    folder = Path(cache.name)
    for layers in SYNTHETIC:
        path = folder / f"synthetic{layers}.yaml"
        path.write_text(synthetic(layers))
        tasks[f"cnncost report of {layers:,} layers"] = report(str(path), "--format", "csv")
        tasks[f"load and analyze {layers:,} layers"] = lambda path=path: inside(lambda: cnncost.analyze(path))  # type: ignore[misc]
    if not arguments.without_peer:
        tasks["torchinfo alexnet"] = lambda: process([python, "-c", TORCHINFO])
    samples = measured(tasks, arguments.runs)
    show(samples)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        where = {"machine": machine(), "cnncost": cnncost.__version__, "date": time.strftime("%Y-%m-%d")}
        with arguments.out.open("a") as f:
            for name, values in samples.items():
                f.write(json.dumps({"task": name, "seconds": values, **where}) + "\n")


def show(samples: dict[str, list[float]]) -> None:
    """The table of medians, and their ratios to the baseline."""
    base = statistics.median(samples["import click, rich.table, yaml"])
    table = Table(box=None, pad_edge=False)
    for header in ("task", "median (ms)", "quartiles (ms)", "to baseline", "ms / 1,000 layers *"):
        table.add_column(header, justify="left" if header == "task" else "right", no_wrap=True)
    for name, values in samples.items():
        low, middle, high = statistics.quantiles(values, n=4)
        layers = int(name.split()[-2].replace(",", "")) if name.endswith("layers") else 0
        table.add_row(
            name,
            f"{1e3 * middle:.1f}",
            f"{1e3 * low:.1f} to {1e3 * high:.1f}",
            f"{middle / base:.2f}" if "cnncost" in name or "torchinfo" in name or name.startswith("import") else "",
            f"{1e6 * (middle - base * ('report' in name)) / layers:.1f}" if layers else "",
        )
    console = Console(width=110)
    console.print(table)
    console.print("* of processes, beyond the baseline")
    alexnet = statistics.median(samples["cnncost report alexnet"])
    console.print(f"ResNet-152 / AlexNet: {statistics.median(samples['cnncost report resnet152']) / alexnet:.2f}")
    if "torchinfo alexnet" in samples:
        console.print(f"torchinfo / cnncost: {statistics.median(samples['torchinfo alexnet']) / alexnet:.1f}")


if __name__ == "__main__":
    main()
