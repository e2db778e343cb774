"""Traced models against PyTorch's own flop counter: parameters and MACs, to the last digit. See README.md.

python benchmarks/trace.py -o results/trace-torchvision.jsonl
python benchmarks/trace.py --segmentation -o results/trace-segmentation.jsonl
python benchmarks/trace.py --timm 0/1 -o results/trace-timm.jsonl      all of timm; 0/8 is an eighth of it
python benchmarks/trace.py --no-oracle                                 tracing alone, for its time and memory
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
import warnings
from datetime import date
from pathlib import Path
from typing import Any

import torch
from machine import machine
from torch.utils.flop_counter import FlopCounterMode

import cnncost
from cnncost.analysis.report import analyze
from cnncost.errors import CnncostError
from cnncost.live import vision
from cnncost.live.models import find
from cnncost.live.trace import trace


def names(options: argparse.Namespace) -> list[str]:
    """The models to run."""
    models = vision.models()
    if options.timm:
        import timm

        part, parts = map(int, options.timm.split("/"))
        return [f"timm:{name}" for name in sorted(timm.list_models())[part::parts]]
    module = models.segmentation if options.segmentation else models
    return [f"torchvision:{name}" for name in models.list_models(module)]


def versions() -> dict[str, str]:
    """Of the libraries that take part."""
    loaded = (name for name in ("torch", "torchvision", "timm") if name in sys.modules)
    return {"cnncost": cnncost.__version__, **{name: sys.modules[name].__version__ for name in loaded}}


def counted(model: torch.nn.Module, shape: tuple[int, ...]) -> int:
    """Multiply-accumulates by torch's counter, on the meta device, where it sees attention whole."""
    model.to("meta").eval().requires_grad_(False)  # the counter follows gradients where there are any
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # one operator for a whole layer, which the counter does not know
    try:
        with torch.no_grad(), torch.device("meta"), FlopCounterMode(display=False) as counter:
            model(torch.empty(shape))
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    assert counter.get_total_flops() % 2 == 0
    return counter.get_total_flops() // 2


def row(name: str, oracle: bool) -> dict[str, Any]:
    """Ours beside torch's. exact: MACs are equal, and parameters are, but for those that the model does not use."""
    start = time.perf_counter()
    found = find(name, {})
    assert found.input is not None, f"{name} has no input of its own"
    shape = (1, *found.input)
    built = time.perf_counter()
    graph = trace(found.module, shape, name=found.name)
    total = analyze(graph, fields=False).total
    done = time.perf_counter()
    parameters = sum(p.numel() for p in found.module.parameters())
    result = {
        "model": name,
        "input": "x".join(map(str, found.input)),
        "params": total.params,
        "unused_params": parameters - total.params,
        "macs": total.macs,
        "nodes": len(graph),
        "build_s": round(built - start, 3),
        "trace_s": round(done - built, 3),
    }
    if oracle:
        result["torch_macs"] = counted(found.module, shape)
        told = any(note.startswith(f"{result['unused_params']:,} parameters") for note in graph.notes)
        result["exact"] = result["torch_macs"] == total.macs and (told or not result["unused_params"])
    return result


def outcome(name: str, oracle: bool) -> dict[str, Any]:
    """A model's row, or its error in a line."""
    try:
        return row(name, oracle)
    except CnncostError as e:
        return {"model": name, "error": e.message}
    except Exception as e:
        return {"model": name, "error": f"{type(e).__name__}: {(str(e).splitlines() or [''])[0]}"[:300]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timm", metavar="PART/PARTS")
    parser.add_argument("--segmentation", action="store_true")
    parser.add_argument("--no-oracle", action="store_true")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    start = time.perf_counter()
    rows = []
    with open(options.output or "/dev/stdout", "w") as out:

        def write(line: dict[str, Any]) -> None:
            out.write(json.dumps(line) + "\n")
            out.flush()

        for name in names(options):
            rows.append(outcome(name, not options.no_oracle))
            write(rows[-1])
        summary = {
            "models": len(rows),
            "exact": sum(bool(r.get("exact")) for r in rows),
            "errors": sum("error" in r for r in rows),
            "seconds": round(time.perf_counter() - start, 1),
            "trace_seconds": round(sum(r.get("trace_s", 0) for r in rows), 1),
            "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "versions": versions(),
            "machine": machine(),
            "date": str(date.today()),
        }
        write(summary)
    print(json.dumps(summary), file=sys.stderr)


if __name__ == "__main__":
    main()
