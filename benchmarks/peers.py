"""Counters of MACs side by side on torchvision's 68 CNNs: what they get wrong, and how long they take.

    python peers.py -o results/NAME.jsonl      (a run that was cut off goes on where it stopped)
    python peers.py --table results/NAME.jsonl

benchmarks/README.md says how it is measured and what the figures are.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch
from machine import machine
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

import cnncost
from cnncost.analysis.conventions import CONVENTIONS, counted
from cnncost.analysis.report import analyze
from cnncost.errors import UsageError
from cnncost.graph import Graph
from cnncost.live import counters, vision
from cnncost.live.models import find
from cnncost.live.trace import trace

TRANSFORMERS = ("vit", "swin", "maxvit")
OTHERWISE = {"alexnet": "alexnet_torchvision", "googlenet": "googlenet_torchvision"}
"""torchvision's networks that bear another name here: their names are the papers' versions'."""
SPEC, TRACED = "cnncost, spec", "cnncost, traced"
WARM_UP = "squeezenet1_1"


class Network(NamedTuple):
    """A network to count: torchvision's module on the CPU with its weights, and an image."""

    name: str
    module: torch.nn.Module
    x: torch.Tensor


def networks() -> list[str]:
    """The names of torchvision's classifiers that are CNNs."""
    models = vision.models()
    return [name for name in models.list_models(models) if not name.startswith(TRANSFORMERS)]


def by_spec(network: Network) -> int:
    name = OTHERWISE.get(network.name, network.name)
    return analyze(cnncost.load(name, input=tuple(network.x.shape[1:])), fields=False).total.macs


def by_trace(network: Network) -> int:
    return analyze(traced(network), fields=False).total.macs


def traced(network: Network) -> Graph:
    return trace(network.module, tuple(network.x.shape), name=network.name)


def by_torch(network: Network) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.module(network.x)
    return counter.get_total_flops() // 2


def truth(module: torch.nn.Module, shape: tuple[int, ...]) -> int:
    """What is compared with: torch's counter, which knows every operator of these networks, on the meta device."""
    with torch.no_grad(), torch.device("meta"), FlopCounterMode(display=False) as counter:
        module.to("meta").eval()(torch.empty(shape))
    return counter.get_total_flops() // 2


def by_fvcore(network: Network) -> int:
    found = counters.by_fvcore(network.module, [tuple(network.x.shape)])
    return found.macs + sum(found.others.values())


def by_tool(tool: str) -> Callable[[Network], int]:
    return lambda network: counters.of_module(tool, network.module, [network.x])


COUNT: dict[str, Callable[[Network], int]] = {
    SPEC: by_spec,
    TRACED: by_trace,
    "torch": by_torch,
    "fvcore": by_fvcore,
    **{name: by_tool(name) for name in counters.TOOLS},
}


def versions() -> dict[str, str]:
    """Of the tools, and of torchvision. Raises UsageError where one is missing."""
    found = {SPEC: cnncost.__version__, TRACED: cnncost.__version__, "torch": torch.__version__}
    found |= {"fvcore": version("fvcore"), "torchvision": version("torchvision")}
    return found | {name: counters.installed(name) for name in counters.TOOLS}


# ---- measuring ------------------------------------------------------------------------------------


def measured(count: Callable[[Network], int], network: Network) -> dict[str, Any]:
    """A counter's number for a copy of a network that nobody else has seen, and how long it took.

    Processor time, of one thread: what else the machine does meanwhile is not in it.
    """
    own = network._replace(module=copy.deepcopy(network.module), x=network.x.clone())
    start = time.process_time()
    try:
        number = count(own)
    except Exception as e:  # any of them may fail in its own way; that is a result
        return {"failure": f"{type(e).__name__}: {(str(e).splitlines() or [''])[0]}"[:300]}
    return {"number": number, "seconds": round(time.process_time() - start, 4)}


def record(name: str, turn: int) -> dict[str, Any]:
    """Every counter on a network, each beginning in another place of the order than on the network before."""
    found = find(f"torchvision:{name}", {})
    assert found.input is not None
    start = time.process_time()
    module = vision.models().get_model(name, weights=None).eval().requires_grad_(False)
    built = time.process_time() - start
    network = Network(name, module, torch.rand(1, *found.input))
    order = list(COUNT)[turn % len(COUNT) :] + list(COUNT)[: turn % len(COUNT)]
    results = {tool: measured(COUNT[tool], network) for tool in order}
    graph = traced(network)
    return {
        "network": name,
        "input": "x".join(map(str, found.input)),
        "macs": truth(found.module, (1, *found.input)),
        "build_s": round(built, 3),
        "tools": {tool: results[tool] for tool in COUNT},
        "by_rules": {tool: counted(graph, tool).total for tool in COUNT if tool in CONVENTIONS},
    }


def run(path: Path) -> None:
    """Measure what the file does not have yet; a record a network, written as soon as it is there."""
    head = {"versions": versions(), "machine": machine()}
    if path.exists():  # a line that was cut off is done again
        whole = path.read_text().rpartition("\n")
        path.write_text(whole[0] + whole[1])
    done = lines(path)
    if done and {key: done[0][key] for key in head} != head:
        sys.exit(f"{path} is of other versions or another machine; begin a new file")
    names = [name for name in networks() if name not in {line.get("network") for line in done}]
    columns = (TextColumn("{task.description:24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with open(path, "a") as out, Progress(*columns, console=Console(stderr=True)) as bar:

        def write(line: dict[str, Any]) -> None:
            out.write(json.dumps(line) + "\n")
            out.flush()

        if not done:
            write({**head, "date": str(date.today())})
        task = bar.add_task("warming up", total=len(networks()), completed=len(networks()) - len(names))
        record(WARM_UP, 0)
        for name in names:
            bar.update(task, description=name)
            write(record(name, networks().index(name)))
            bar.advance(task)


def lines(path: Path) -> list[dict[str, Any]]:
    """What a file has: who counted and where, then a record a network."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


# ---- what it shows --------------------------------------------------------------------------------


def table(path: Path) -> Table:
    """A row a tool: how far off its MACs are, and its seconds of processor time."""
    head, *records = lines(path)
    shown = Table(title=f"{len(records)} networks, {head['date']}", box=None)
    for column in ("tool", "version", "exact", "median error", "largest error", "seconds", "a network", "by its rules"):
        shown.add_column(column, justify="left" if column in ("tool", "version", "largest error") else "right")
    for tool in COUNT:
        shown.add_row(*row(tool, head["versions"][tool], records))
    return shown


def row(tool: str, of: str, records: list[dict[str, Any]]) -> tuple[str, ...]:
    runs = [(r, r["tools"][tool]) for r in records if "number" in r["tools"][tool]]
    errors = {r["network"]: (found["number"] - r["macs"]) / r["macs"] for r, found in runs}
    worst = max(errors, key=lambda name: abs(errors[name]))
    seconds = [found["seconds"] for _, found in runs]
    ruled = [found["number"] == r["by_rules"][tool] for r, found in runs if tool in r["by_rules"]]
    failed = len(records) - len(runs)
    return (
        tool,
        of,
        f"{sum(not error for error in errors.values())} of {len(records)}" + f", {failed} failed" * bool(failed),
        f"{100 * statistics.median(map(abs, errors.values())):.3f} %",
        f"{100 * errors[worst]:+.2f} % ({worst})" if errors[worst] else "none",
        f"{sum(seconds):.1f}",
        f"{statistics.median(seconds):.3f}",
        f"{sum(ruled)} of {len(ruled)}" if ruled else "",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE")
    parser.add_argument("--table", type=Path, metavar="FILE", help="only show what a file has")
    options = parser.parse_args()
    if not (options.output or options.table):
        parser.error("write -o FILE, or --table FILE")
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if options.output:
        try:
            run(options.output)
        except UsageError as e:
            sys.exit(f"{e.message} ({e.hint})")
    Console(width=160).print(table(options.table or options.output))


if __name__ == "__main__":
    main()
