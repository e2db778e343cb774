"""Our timing of 30 convolutions beside a peer's, in one run, in turns. See README.md.

    python benchmarks/timing.py --out results/timing-NAME.jsonl              torch.utils.benchmark, on the CPU
    python benchmarks/timing.py --device cuda --out results/timing-NAME.jsonl  triton.testing.do_bench, L2 cold

One line a convolution, flushed when it is taken; the same command goes on from what is there.
"""

from __future__ import annotations

import argparse
import json
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch.utils import benchmark

from cnncost.analysis.samples import timing
from cnncost.live.bench import Bench
from cnncost.live.machine import device, last_cache, machine
from cnncost.live.subjects import COLD, WARM, Point, subject
from cnncost.live.timing import repetition

CONVOLUTIONS = [
    (3, 224, 64, 7, 2, 1), (3, 224, 96, 11, 4, 1), (3, 224, 32, 3, 2, 1), (64, 224, 64, 3, 1, 1),
    (32, 112, 64, 1, 1, 1), (64, 112, 128, 3, 1, 1), (64, 56, 64, 1, 1, 1), (64, 56, 64, 3, 1, 1),
    (64, 56, 256, 1, 1, 1), (256, 56, 64, 1, 1, 1), (256, 56, 128, 1, 2, 1), (96, 27, 256, 5, 1, 2),
    (128, 56, 128, 3, 2, 1), (128, 28, 128, 3, 1, 1), (128, 28, 512, 1, 1, 1), (512, 28, 128, 1, 1, 1),
    (192, 28, 64, 1, 1, 1), (96, 28, 128, 3, 1, 1), (16, 28, 32, 5, 1, 1), (256, 14, 256, 3, 1, 1),
    (256, 14, 1024, 1, 1, 1), (1024, 14, 256, 1, 1, 1), (384, 13, 384, 3, 1, 2), (512, 7, 512, 3, 1, 1),
    (512, 7, 2048, 1, 1, 1), (2048, 7, 512, 1, 1, 1), (832, 7, 384, 1, 1, 1), (96, 112, 96, 3, 2, 96),
    (384, 14, 384, 3, 1, 384), (960, 7, 160, 1, 1, 1),
]  # fmt: skip
"""Channels, side, output channels, kernel, stride, groups: of AlexNet, VGG, GoogLeNet, ResNet-50 and MobileNetV2."""
ROUNDS = 3


def convolution(channels: int, out: int, kernel: int, stride: int, groups: int) -> torch.nn.Module:
    """The layer, its padding half the kernel."""
    return torch.nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False).eval()


def by_blocked_autorange(module: torch.nn.Module, x: torch.Tensor, threads: int) -> list[float]:
    """Seconds a run, by torch.utils.benchmark."""
    timer = benchmark.Timer("module(x)", globals={"module": module, "x": x}, num_threads=threads)
    with torch.inference_mode():
        return [float(t) for t in timer.blocked_autorange(min_run_time=0.3).times]


def by_do_bench(module: torch.nn.Module, x: torch.Tensor) -> list[float]:
    """Seconds a run, by triton, which clears the L2 cache before each."""
    from triton.testing import do_bench

    with torch.inference_mode():
        return [1e-3 * float(do_bench(lambda: module(x), return_mode="median"))]


def measured(spec: tuple[int, ...], batch: int, bench: Bench) -> dict[str, Any]:
    """Samples of both, taken in turns."""
    channels, side, out, kernel, stride, groups = spec
    cuda = bench.device.type == "cuda"
    shape = (batch, channels, side, side)
    threads = torch.get_num_threads()
    ours: list[list[float]] = []
    peers: list[float] = []
    doubts: list[str] = []
    for _ in range(ROUNDS):
        torch.manual_seed(0)
        run = subject(
            convolution(channels, out, kernel, stride, groups),
            [shape],
            Point(cache=COLD if cuda else WARM),
            bench.device,
            last_cache(bench.device),
        )
        with torch.inference_mode():
            taken = repetition(run, bench.clock, bench.load, bench.method)
        ours.append(list(taken.samples))
        doubts += taken.doubts
        del run
        module = convolution(channels, out, kernel, stride, groups).to(bench.device)
        x = torch.randn(shape, device=bench.device)
        peers += by_do_bench(module, x) if cuda else by_blocked_autorange(module, x, threads)
    return {
        "convolution": dict(zip(("channels", "side", "out", "kernel", "stride", "groups"), spec)),
        "batch": batch,
        "ours_seconds": ours,
        "peer_seconds": peers,
        "doubts": sorted(set(doubts)),
        "ratio": timing(ours).median / median(peers),
        "machine": machine(bench.device),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    bench = Bench(device(options.device))
    rows = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    with options.out.open("a") as out:
        for spec in track(CONVOLUTIONS[len(rows) :], "convolutions", console=Console(stderr=True)):
            rows.append(measured(spec, options.batch, bench))
            out.write(json.dumps(rows[-1]) + "\n")
            out.flush()
    table = Table("convolution", "ours (ms)", "peer (ms)", "ratio", "doubts")
    for row in rows:
        ours = timing(row["ours_seconds"])
        about = "x".join(str(n) for n in row["convolution"].values())
        peer = median(row["peer_seconds"])
        table.add_row(
            about, f"{1e3 * ours.median:.4f}", f"{1e3 * peer:.4f}", f"{row['ratio']:.3f}", ", ".join(row["doubts"])
        )
    Console().print(table)
    ratios = [row["ratio"] for row in rows]
    spread = f"median {median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}"
    print(f"{len(ratios)} convolutions, ours over the peer's: {spread}")


if __name__ == "__main__":
    main()
