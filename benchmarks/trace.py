"""Traced models against PyTorch's own flop counter: parameters and MACs, to the last digit.

    python benchmarks/trace.py                      torchvision's classification models
    python benchmarks/trace.py --segmentation       torchvision's segmentation models
    python benchmarks/trace.py --timm 0/8           the first eighth of timm's architectures

A line of JSON a model, under benchmarks/results/. The oracle is torch.utils.flop_counter on the meta
device, where it sees attention whole, halved; and the sum of the parameters that are used.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from cnncost.analysis.report import analyze
from cnncost.errors import CnncostError
from cnncost.live import vision
from cnncost.live.models import find
from cnncost.live.trace import trace

RESULTS = Path(__file__).parent / "results"


def names(options: argparse.Namespace) -> list[str]:
    models = vision.models()
    if options.timm:
        import timm

        part, parts = map(int, options.timm.split("/"))
        known = sorted(timm.list_models())
        return [f"timm:{name}" for name in known[part::parts]]
    module = models.segmentation if options.segmentation else models
    return [f"torchvision:{name}" for name in models.list_models(module)]


def counted(model: torch.nn.Module, shape: tuple[int, ...]) -> int:
    """Multiply-accumulates by torch's counter, on the meta device."""
    model.to("meta").eval().requires_grad_(False)  # the counter follows gradients where there are any
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # the counter does not know it
    try:
        with torch.no_grad(), torch.device("meta"), FlopCounterMode(display=False) as counter:
            model(torch.empty(shape, device="meta"))
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return counter.get_total_flops() // 2


def one(name: str, oracle: bool) -> dict[str, Any]:
    """A model's row: ours, torch's, and whether they agree; or the error."""
    start = time.perf_counter()
    found = find(name, {})
    assert found.input is not None, f"{name} has an input of its own"
    shape = (1, *found.input)
    built = time.perf_counter()
    row: dict[str, Any] = {"model": name, "input": list(shape)}
    try:
        graph = trace(found.module, shape, name=found.name)
        total = analyze(graph, fields=False).total
    except CnncostError as e:
        return {**row, "error": e.message}
    row |= {
        "params": total.params,
        "macs": total.macs,
        "nodes": len(graph),
        "build_s": round(built - start, 3),
        "trace_s": round(time.perf_counter() - built, 3),
        "notes": list(graph.notes),
    }
    all_params = sum(p.numel() for p in found.module.parameters())
    row["all_params"] = all_params
    if oracle:
        try:
            row["torch_macs"] = counted(found.module, shape)
            row["exact"] = row["torch_macs"] == total.macs
        except Exception as e:
            row["torch_error"] = f"{type(e).__name__}: {(str(e).splitlines() or [''])[0]}"[:200]
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timm", metavar="PART/PARTS")
    parser.add_argument("--segmentation", action="store_true")
    parser.add_argument("--no-oracle", action="store_true", help="trace only, for the time that it takes")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    start = time.perf_counter()
    with open(options.output or "/dev/stdout", "a") as out:
        for name in names(options):
            try:
                row = one(name, not options.no_oracle)
            except Exception as e:
                row = {"model": name, "error": f"{type(e).__name__}: {(str(e).splitlines() or [''])[0]}"[:300]}
            out.write(json.dumps(row) + "\n")
            out.flush()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{time.perf_counter() - start:.1f} s, {peak / 1e9:.2f} GB", file=sys.stderr)


if __name__ == "__main__":
    main()
