"""Five networks timed twice: whether rows agree, and whether layers add up to the network. See README.md.

    python benchmarks/repeat.py results/one.jsonl results/two.jsonl --sheet results/NAME.yaml --threads 1

What is not on file yet is measured: the whole first run, then the second. The sheet is measured where it is not there.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from statistics import median

import cnncost
from cnncost.analysis.bench import BenchTable, tables
from cnncost.analysis.known import setting_for
from cnncost.analysis.measurements import LAYER, Measurement, Setting, read
from cnncost.devices import Device, load

NETWORKS = ("alexnet_torchvision", "vgg16", "googlenet", "resnet50", "mobilenet_v2")


def measure(file: str, threads: int) -> None:
    """What is missing in a file."""
    for name in NETWORKS:
        options = ("--threads", str(threads), "--results", file, "-o", os.devnull)
        subprocess.run([sys.executable, "-m", "cnncost", "bench", name, *options], check=True)


def table_of(name: str, file: str, device: Device, threads: int) -> tuple[BenchTable, dict[str, Measurement]]:
    """A network's table from a file, and the file's measurements."""
    measured = read(file)
    setting = setting_for(device, {file: measured}, Setting(device.name, threads=threads))
    found = {each.key: each for each in measured}
    (table,) = tables([cnncost.load(name)], [setting], found, device)
    return table, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs=2)
    parser.add_argument("--sheet", required=True)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    if not os.path.exists(given.sheet):
        command = ("machine", "--threads", str(given.threads), "-o", given.sheet)
        subprocess.run([sys.executable, "-m", "cnncost", *command], check=True)
    for file in given.results:
        if not file.endswith(".gz"):  # what is packed is whole
            measure(file, given.threads)
    device = load(given.sheet)
    print("| network | layers | sum of layers | whole | beyond the sum | within it | attainable | of roofline |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name in NETWORKS:
        table, _ = table_of(name, given.results[0], device, given.threads)
        whole, total, difference = table.whole, table.sum_seconds, table.difference
        assert whole is not None
        assert total is not None
        assert difference is not None
        layers = sum(row.instances for row in table.rows)
        attainable = sum(row.instances * (row.attainable or 0) for row in table.rows)
        within = sum(seconds for _, seconds in difference.kinds)
        times = " | ".join(f"{1e3 * seconds:.2f} ms" for seconds in (total, whole.median))
        beyond = f"{difference.total / total:+.1%} | {within / total:+.1%}"
        roofline = f"{1e3 * attainable:.2f} ms | {attainable / whole.median:.0%}"
        print(f"| {name} | {layers} | {times} | {beyond} | {roofline} |")
    one, two = ({m.key: m for m in read(file)} for file in given.results)
    pairs = [(one[key], two[key]) for key in one if key in two]
    timed = [(a, a.timing, b.timing) for a, b in pairs if a.timing is not None and b.timing is not None]
    agree = [m for m, a, b in timed if a.agrees(b)]
    ratios = sorted(b.median / a.median for _, a, b in timed)
    layers_only = sum(m.what == LAYER for m, _, _ in timed)
    print(
        f"\n{len(agree)} of {len(timed)} rows ({layers_only} layers, the rest networks) agree within their spreads: "
        f"{len(agree) / len(timed):.1%}. Second over first: median {median(ratios):.3f}, nine in ten "
        f"{ratios[len(ratios) // 20]:.3f} to {ratios[-1 - len(ratios) // 20]:.3f}."
    )


if __name__ == "__main__":
    main()
