"""All that a GPU is needed for, in one command: tests, timings, ceilings, rooflines, predictions, memory.

    python benchmarks/gpu.py                      everything; results in benchmarks/results, named by the GPU
    python benchmarks/gpu.py tests machine bench  only these
    python benchmarks/gpu.py --minutes 25         begin nothing after so many; the same command goes on from there

Each step appends to files that it goes on from, and one that fails is told at the end; then the exit code is 1.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

HERE = Path(__file__).parent
RESULTS = HERE / "results"
NETWORKS = ("alexnet", "googlenet", "resnet50", "mobilenet_v2", "vgg16")
DTYPES = ("fp32", "tf32", "bf16")
LAYOUTS = ("nchw", "nhwc")
BATCHES = (1, 32, 256)
Command = list[str]


def cnncost(*arguments: str) -> Command:
    return [sys.executable, "-m", "cnncost", *arguments]


def script(name: str, *arguments: str) -> Command:
    return [sys.executable, str(HERE / name), *arguments]


def files(gpu: str) -> tuple[str, str]:
    """The sheet and the measurements of a GPU."""
    return str(RESULTS / f"machine-{gpu}.yaml"), str(RESULTS / f"bench-{gpu}.jsonl")


def tests(gpu: str) -> Iterator[Command]:
    yield [sys.executable, "-m", "pytest", "-q", "-m", "cuda", str(HERE.parent / "tests")]


def machine(gpu: str) -> Iterator[Command]:
    sheet, _ = files(gpu)
    yield cnncost("machine", "--device", "cuda", "-o", sheet, "--force")


def timing(gpu: str) -> Iterator[Command]:
    """Beside triton's do_bench."""
    for batch in (1, 32):
        yield script("timing.py", "--device", "cuda", "--batch", str(batch), "--out",
                     str(RESULTS / f"timing-{gpu}-batch-{batch}.jsonl"))  # fmt: skip


def bench(gpu: str) -> Iterator[Command]:
    """Smaller batches first: most is known soonest."""
    sheet, results = files(gpu)
    for batch in BATCHES:
        for network in NETWORKS:
            settings = ("--batch", str(batch), "--dtype", ",".join(DTYPES), "--layout", ",".join(LAYOUTS))
            yield cnncost("bench", network, "--device", "cuda", *settings, "--repetitions", "1",
                          "--results", results, "--roofline", sheet, "-o", os.devnull)  # fmt: skip


def roofline(gpu: str) -> Iterator[Command]:
    sheet, results = files(gpu)
    for network in NETWORKS:
        yield cnncost("roofline", network, "--device", sheet, "--batch", "32", "--results", results,
                      "--where", "layout=nchw")  # fmt: skip


def predict(gpu: str) -> Iterator[Command]:
    """Each network from the others."""
    sheet, results = files(gpu)
    for dtype in DTYPES:
        for layout in LAYOUTS:
            out = str(RESULTS / f"predict-{gpu}-{dtype}-{layout}.errors.jsonl")
            which = ("--networks", ",".join(NETWORKS), "--batch", ",".join(map(str, BATCHES)))
            yield script("predict.py", "evaluate", results, "--sheet", sheet, *which, "--dtype", dtype,
                         "--layout", layout, "-o", out)  # fmt: skip


def memory(gpu: str) -> Iterator[Command]:
    yield script("memory.py", "--device", "cuda", "-o", str(RESULTS / f"memory-{gpu}.jsonl"))


STEPS: dict[str, Callable[[str], Iterator[Command]]] = {
    step.__name__: step for step in (tests, machine, timing, bench, roofline, predict, memory)
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="*", choices=[*STEPS, []], metavar="STEP", help=", ".join(STEPS))
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--list", action="store_true", help="only show what would be run")
    given = parser.parse_args()
    if not torch.cuda.is_available() and not given.list:
        sys.exit("PyTorch finds no GPU: this is to be run on a machine with one")
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "GPU"
    gpu = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    until = time.monotonic() + 60 * given.minutes
    failed = []
    for step in given.steps or STEPS:
        for command in STEPS[step](gpu):
            text = " ".join(command[1:])
            if given.list:
                print(text)
                continue
            if time.monotonic() > until:
                sys.exit(f"stopped after {given.minutes:g} minutes, before {step}; the same command goes on from here")
            print(f"== {step}: {text}", flush=True)
            begun = time.monotonic()
            code = subprocess.run(command, check=False).returncode
            print(f"== {step}: exit code {code}, {time.monotonic() - begun:.0f} s", flush=True)
            failed += [text] if code else []
    if failed:
        sys.exit("\n".join(["failed:", *failed]))


if __name__ == "__main__":
    main()
