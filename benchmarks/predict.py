"""cnncost predict held against the clock, with one network left out at a time.

python predict.py collect results/predict-NAME.jsonl --sheet results/predict-NAME.yaml
python predict.py evaluate results/predict-NAME.jsonl --sheet results/predict-NAME.yaml
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import cnncost
from cnncost.analysis.bench import distinct_layers, network_subject
from cnncost.analysis.known import Known, known, setting_for
from cnncost.analysis.measurements import LAYER, NETWORK, Setting, key_of, layer_subject, read
from cnncost.analysis.predict import Prediction, Predictor
from cnncost.analysis.samples import Timing
from cnncost.devices import Device, load
from cnncost.graph import Graph

NETWORKS = (
    "alexnet_torchvision", "zfnet", "nin", "vgg11", "vgg16", "vgg16_bn", "googlenet", "bn_inception", "inception_v3",
    "resnet18", "resnet50", "resnext50_32x4d", "regnet_x_800mf", "densenet121", "squeezenet1_0", "squeezenet1_1",
    "mobilenet_v1", "mobilenet_v2", "mnasnet1_0", "darknet19",
)  # fmt: skip
"""Twenty bundled networks, of most families: with large layers and small, grouped, depthwise and joined ones."""


def collect(results: str, sheet: str, networks: Sequence[str], batches: str, threads: int, minutes: float,
            rest: Sequence[str]) -> None:  # fmt: skip
    """Measure the machine, then every network; what is on file is not measured again.

    minutes: after which no further network is begun.
    """
    until = time.monotonic() + 60 * minutes
    if not os.path.exists(sheet):
        _run("machine", "--threads", str(threads), "-o", sheet)
    for number, name in enumerate(networks, 1):
        begun = time.monotonic()
        if begun > until:
            print(f"stopped after {minutes:g} minutes; the same command goes on with {name}")
            return
        options = ("--batch", batches, "--threads", str(threads), "--results", results, "-o", os.devnull, *rest)
        _run("bench", name, *options)
        print(f"{number}/{len(networks)} {name}: {time.monotonic() - begun:.0f} s", flush=True)


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "cnncost", *arguments], check=True)


def evaluate(results: str, device: Device, networks: Sequence[str], batches: Sequence[int], inputs: str | None,
             wanted: Setting, strict: bool = False) -> list[dict[str, object]]:  # fmt: skip
    """A row for every network and batch: predicted from all other networks, beside what the clock says.

    A network is left out at all batches at once; a layer of it that another network has too stays, unless strict.
    """
    measured = {results: read(results)}
    setting = setting_for(device, measured, wanted)
    everything = known(measured, setting)
    graphs = {name: [cnncost.load(name, input=inputs, batch=batch) for batch in batches] for name in networks}
    layers = {name: {key for graph in own for key in _layers(graph, setting)} for name, own in graphs.items()}
    rows = []
    for name, own in graphs.items():
        others = [other for other in networks if other != name]
        kept = set().union(*(layers[other] for other in others)) - (layers[name] if strict else set())
        rest = [graph for other in others for graph in graphs[other]]
        timings = {
            key: everything.networks[key] for graph in rest if (key := _network(graph, setting)) in everything.networks
        }
        left = Known({key: value for key, value in everything.layers.items() if key in kept}, timings)
        predictor = Predictor(device, setting, left, rest)
        for graph in own:
            timing = everything.networks.get(_network(graph, setting))
            if timing is not None:
                rows.append(_row(name, predictor.predict(graph), timing))
    return rows


def _layers(graph: Graph, setting: Setting) -> list[str]:
    return [key_of(LAYER, layer_subject(layer.op, layer.inputs), setting) for layer in distinct_layers(graph)[0]]


def _network(graph: Graph, setting: Setting) -> str:
    return key_of(NETWORK, network_subject(graph), setting)


def _row(name: str, found: Prediction, timing: Timing) -> dict[str, object]:
    assert found.low is not None and found.high is not None
    return {
        "network": name,
        "batch": found.batch,
        "measured_seconds": timing.median,
        "doubts": list(timing.doubts),
        "predicted_seconds": found.seconds,
        "low_seconds": found.low,
        "high_seconds": found.high,
        "covered": found.low <= timing.median <= found.high,
        "error": found.seconds / timing.median - 1,
        "roofline_seconds": found.roofline,
        "roofline_error": found.roofline / timing.median - 1,
        "from": {
            source: found.seconds_of(source) / found.layers_seconds
            for source in ("measured", "nearest", "fitted", "roofline")
        },
        "outside": sum(bool(row.outside) for row in found.rows),
    }


def summary(rows: Sequence[dict[str, object]]) -> dict[str, object]:
    """Median and worst error of predict and of the roofline, and how many intervals cover."""

    def errors(name: str) -> list[float]:
        return [abs(float(str(row[name]))) for row in rows]

    worst = max(rows, key=lambda row: abs(float(str(row["error"]))))
    return {
        "networks": len({row["network"] for row in rows}),
        "predictions": len(rows),
        "median_error": median(errors("error")),
        "worst_error": worst["error"],
        "worst": f"{worst['network']}, batch {worst['batch']}",
        "roofline_median_error": median(errors("roofline_error")),
        "roofline_worst_error": max(errors("roofline_error")),
        "covered": sum(bool(row["covered"]) for row in rows) / len(rows),
        "cnncost": cnncost.__version__,
    }


def show(rows: Sequence[dict[str, object]], told: dict[str, object]) -> None:
    """The table of documents."""
    print("| network | batch | measured | predicted | nine in ten | off | roofline off | measured layers |")
    print("|---|---:|---:|---:|---|---:|---:|---:|")
    for row in rows:
        took, said, low, high = (
            1e3 * float(str(row[f"{n}_seconds"])) for n in ("measured", "predicted", "low", "high")
        )
        parts = row["from"]
        assert isinstance(parts, dict)
        between = f"{low:.2f} to {high:.2f} ms{'' if row['covered'] else ', missed'}"
        times = f"{took:.2f} ms | {said:.2f} ms | {between}"
        off = f"{row['error']:+.1%} | {row['roofline_error']:+.1%}"
        print(f"| {row['network']} | {row['batch']} | {times} | {off} | {parts['measured']:.0%} |")
    print(
        f"\npredict: median error {told['median_error']:.1%}, worst {told['worst_error']:+.1%} ({told['worst']}); "
        f"{told['covered']:.0%} of intervals cover. "
        f"Roofline: median {told['roofline_median_error']:.1%}, worst {told['roofline_worst_error']:.1%}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("collect", "evaluate"))
    parser.add_argument("results", help="file of cnncost bench; appended to, and gone on from")
    parser.add_argument("--sheet", required=True, help="device sheet; collect measures it where it is not there")
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--batch", default="1,8")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of a CPU")
    parser.add_argument("--dtype", default="fp32", help="evaluate")
    parser.add_argument("--layout", default="nchw", help="evaluate")
    parser.add_argument("--strict", action="store_true", help="evaluate: leave out layers that others have too")
    parser.add_argument("--input", help="a smaller input for all networks, to take less time: 3x128x128")
    parser.add_argument("--repetitions", type=int, default=3, help="collect: fewer take less time")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="collect: begin no network after so many")
    parser.add_argument("-o", "--out", help="evaluate: rows and summary as JSON lines")
    given = parser.parse_args()
    networks = given.networks.split(",")
    rest = ["--repetitions", str(given.repetitions), *(("--input", given.input) if given.input else ())]
    if given.what == "collect":
        collect(given.results, given.sheet, networks, given.batch, given.threads, given.minutes, rest)
        return
    batches = [int(batch) for batch in given.batch.split(",")]
    device = load(given.sheet)
    wanted = Setting(device.name, given.dtype, given.layout, threads=given.threads if device.kind == "cpu" else None)
    rows = evaluate(given.results, device, networks, batches, given.input, wanted, given.strict)
    if not rows:
        sys.exit("no network was measured: collect first")
    told = summary(rows)
    show(rows, told)
    if given.out:
        Path(given.out).write_text("".join(json.dumps(row) + "\n" for row in (*rows, told)))


if __name__ == "__main__":
    main()
