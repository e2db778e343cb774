"""Memory: what cnncost derives against what PyTorch's operators were seen to hold. See README.md.

python benchmarks/memory.py -o results/memory-cpu.jsonl            all; what the file has already is not measured again
python benchmarks/memory.py -o FILE resnet50 torchvision:vgg16     these alone
python benchmarks/memory.py -o FILE --derive                       derives again, for all that the file has
python benchmarks/memory.py -o FILE --summary                      only sums up the file
python benchmarks/memory.py -o FILE --device cuda                  12 networks against the GPU's allocator
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import torch
from machine import machine
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

import cnncost
from cnncost.analysis.memory import Memory, inference_memory
from cnncost.analysis.storage import out_of_place
from cnncost.analysis.training_memory import training_memory
from cnncost.graph import Graph
from cnncost.live import vision
from cnncost.live.beside import beside
from cnncost.live.build import build
from cnncost.live.memory import Measured, measure_inference, measure_training
from cnncost.live.models import find
from cnncost.live.trace import trace
from cnncost.spec.catalogue import catalogue

TORCHVISION = "torchvision:"
NO_CNNS = ("vit_", "swin_", "maxvit_")
"""Models of torchvision that are no convolutional networks."""


class Setting(NamedTuple):
    """How a network runs. precision: fp32, or that of torch.autocast. inplace: as its layers say, or none of them."""

    mode: str
    batch: int
    precision: str = "fp32"
    inplace: bool = True


SETTINGS = (
    Setting("inference", 1),
    Setting("inference", 8),
    Setting("inference", 8, inplace=False),
    Setting("training", 8),
    Setting("training", 32),
    Setting("training", 8, "autocast-bf16"),
    Setting("training", 32, "autocast-bf16"),
)


def names() -> list[str]:
    """All bundled architectures, and torchvision's convolutional networks."""
    models = vision.models()
    cnns = [name for name in models.list_models(models) if not name.startswith(NO_CNNS)]
    return [*(str(entry["name"]) for entry in catalogue()), *(TORCHVISION + name for name in cnns)]


def network(name: str, setting: Setting) -> tuple[torch.nn.Module, Graph]:
    """A network as a module without memory for its weights, and as the graph of which cnncost derives its memory."""
    if not name.startswith(TORCHVISION):
        graph = cnncost.load(name, batch=setting.batch)
        graph = graph if setting.inplace else out_of_place(graph)
        return build(graph, device="meta"), graph
    found = find(name, {})
    assert found.input is not None, f"{name} has no input of its own"
    return found.module, trace(found.module, (setting.batch, *found.input), train=setting.mode == "training")


def measured(model: torch.nn.Module, graph: Graph, setting: Setting) -> Measured:
    """As the operators hold it."""
    inputs = list(graph.inputs.values())
    autocast = None if setting.precision == "fp32" else torch.bfloat16
    if setting.mode == "inference":
        return measure_inference(model, inputs)
    return measure_training(model, inputs, autocast=autocast)


def derived(graph: Graph, setting: Setting) -> Memory:
    """As cnncost derives it."""
    if setting.mode == "inference":
        return inference_memory(graph)
    return training_memory(graph, precision=setting.precision)


def figures(memory: Memory) -> dict[str, Any]:
    """What a record keeps of either."""
    at = memory.at
    kept = getattr(memory, "kept_bytes", None)
    return {"peak": memory.peak, "kept": kept, "layer": at and at.layer, "phase": at and at.phase}


def row(name: str, setting: Setting, before: dict[str, Any] | None) -> dict[str, Any]:
    """A record. before: an earlier one, of which the measured part is taken.

    steps, steps_off: layers and phases that both tell, and those of them in which the bytes alive differ.
    """
    record: dict[str, Any] = {"model": name, **setting._asdict()}
    try:
        model, graph = network(name, setting)
        seen = None
        if before is not None and "measured" in before:
            record |= {key: before[key] for key in ("measured", "measure_s")}
        else:
            start = time.perf_counter()
            seen = measured(model, graph, setting)
            record |= {"measured": figures(seen), "measure_s": round(time.perf_counter() - start, 3)}
        start = time.perf_counter()
        known = derived(graph, setting)
        record |= {"derived": figures(known), "derive_s": round(time.perf_counter() - start, 5)}
        if seen is not None:
            rows = [r for r in beside(known, seen, model).rows if r.derived is not None and r.measured is not None]
            record |= {"steps": len(rows), "steps_off": sum(r.derived != r.measured for r in rows)}
    except Exception as e:
        record["error"] = f"{type(e).__name__}: {(str(e).splitlines() or [''])[0]}"[:300]
    return record


def off(record: dict[str, Any], what: str) -> float:
    """How far the derived figure is off the measured one, in percent."""
    seen = record["measured"][what]
    return float(100 * (record["derived"][what] - seen) / seen)


# ---- the file -------------------------------------------------------------------------------------


def key(record: dict[str, Any]) -> tuple[str, Setting]:
    return record["model"], Setting(*(record[field] for field in Setting._fields))


def read(file: Path) -> dict[tuple[str, Setting], dict[str, Any]]:
    """The records of a file by model and setting; a line that was cut off is none."""
    records = {}
    for line in file.read_text().splitlines() if file.exists() else ():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if "model" in record:
            records[key(record)] = record
    return records


def header() -> dict[str, Any]:
    """What the records were taken with."""
    loaded = (name for name in ("torch", "torchvision") if name in sys.modules)
    versions = {"cnncost": cnncost.__version__, **{name: sys.modules[name].__version__ for name in loaded}}
    return {"versions": versions, "machine": machine(), "date": str(date.today())}


def run(file: Path, wanted: list[tuple[str, Setting]], make: Callable[..., dict[str, Any]], again: bool) -> None:
    """Write the records that are not in the file, each as soon as it is there. again: those that are, too."""
    there = read(file)
    todo = [one for one in wanted if again or one not in there or "error" in there[one]]
    target = file.with_suffix(".partial") if again else file
    new = again or not file.exists()
    with open(target, "w" if new else "a") as out:

        def write(line: dict[str, Any]) -> None:
            out.write(json.dumps(line) + "\n")
            out.flush()

        if new:
            write(header())
        for name, setting in watched(todo):
            write(make(name, setting, there.get((name, setting))))
    if again:
        os.replace(target, file)


def watched(todo: list[tuple[str, Setting]]) -> Iterator[tuple[str, Setting]]:
    """All of it, with a bar that says how far it is."""
    columns = (TextColumn("{task.description:<40}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=len(todo))
        for name, setting in todo:
            bar.update(task, description=f"{name} {setting.mode} {setting.batch}")
            yield name, setting
            bar.advance(task)


def summary(records: Iterable[dict[str, Any]]) -> Table:
    """How far derived figures are off, setting by setting: the worst and the median.

    steps: of how many networks the bytes alive are equal in every single layer and phase.
    """
    columns = ("source", "mode", "batch", "precision", "in place", "what", "networks", "equal", "steps")
    table = Table(*columns, "median %", "worst %", "of")
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for record in records:
        source = "torchvision" if record["model"].startswith(TORCHVISION) else "bundled"
        if "error" not in record:
            groups.setdefault((source, *key(record)[1]), []).append(record)
    for group, members in groups.items():
        table.add_row(*map(str, (*group, *cells(members, "peak"))))
        if "training" in group:
            table.add_row(*map(str, (*group, *cells(members, "kept"))))
    return table


def cells(records: list[dict[str, Any]], what: str) -> tuple[Any, ...]:
    """A row of the summary, about one figure."""
    errors = {r["model"]: off(r, what) for r in records}
    worst = max(errors, key=lambda name: abs(errors[name]))
    median = statistics.median(map(abs, errors.values()))
    equal = sum(r["derived"][what] == r["measured"][what] for r in records)
    steps = sum(r.get("steps_off") == 0 for r in records) if what == "peak" else ""
    of = worst if errors[worst] else ""
    return what, len(records), equal, steps, f"{median:.4f}", f"{errors[worst]:+.4f}", of


def report(file: Path) -> None:
    """Print what a file says."""
    records = list(read(file).values())
    console = Console(width=140)
    console.print(summary(records))
    for record in records:
        if "error" in record:
            console.print(f"{record['model']} {record['mode']} {record['batch']}: {record['error']}", markup=False)
    console.print(f"peak of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="bundled networks, or torchvision:NAME; all of both")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--mode", choices=("inference", "training"), help="only this")
    parser.add_argument(
        "--derive", action="store_true", help="derive again, measure only what is missing (steps are then not compared)"
    )
    parser.add_argument("--summary", action="store_true", help="only sum up the file")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.device == "cuda":
        import memory_cuda

        memory_cuda.run(options.output, options.names)
        return
    torch.set_num_threads(1)
    gc.freeze()  # what is imported needs no collecting
    settings = [s for s in SETTINGS if options.mode in (None, s.mode)]
    if not options.summary:
        wanted = [(n, s) for n in options.names or names() for s in settings if s.inplace or ":" not in n]
        run(options.output, wanted, row, options.derive)
    report(options.output)


if __name__ == "__main__":
    main()
