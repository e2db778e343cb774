"""What speed.py measures, by parts: each has tasks that are run in turns, and each task gives one sample."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import cnncost
from cnncost.errors import UsageError

Sample = dict[str, Any]
"""seconds, and whatever else a task knows: points, layers, bytes at the peak."""
Axes = Mapping[str, range]

BASELINE, BASE = "import click, rich.table, yaml", "import click, rich.table, yaml (baseline)"
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
WATCHED = """
import contextlib, json, os, resource, subprocess, sys, time
with contextlib.suppress(ImportError, OSError, AttributeError):
    import ctypes
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: what workers leave behind is waited for, too
begun = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
seconds = time.perf_counter() - begun
with contextlib.suppress(ChildProcessError):
    while True:
        os.wait()
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"seconds": seconds, "peak_bytes": peak}))
sys.exit(done.returncode)
"""
"""A process that watches another: its own memory is small, for a child's peak starts at that of its parent."""
BOTH = ("params", "macs")
"""What counters of MACs tell; a sweep prices six quantities unless told otherwise."""


class Size(NamedTuple):
    """How much is measured. layers: of the synthetic networks. grids: of the sweeps, in the order of their points.

    million: the grid that is held against peers and against single points. many: the one for several workers.
    compared: points that are priced one by one.
    """

    layers: tuple[int, ...]
    grids: tuple[Axes, ...]
    million: Axes
    many: Axes
    compared: int
    peers: tuple[tuple[str, str, int], ...]


class Setting(NamedTuple):
    """A run. folder: for files of its own. peers: whether torch and the tools take part."""

    folder: Path
    size: Size
    quick: bool
    peers: bool


class Task(NamedTuple):
    name: str
    run: Callable[[], Sample]


class Part(NamedTuple):
    """rounds: of its tasks, unless told otherwise. repeated: whether more rounds tell more. peers: others take part."""

    name: str
    tasks: Callable[[Setting], list[Task]]
    rounds: int
    warm_up: bool = True
    repeated: bool = True
    peers: bool = False


def grid(batch: int, input: int, width: int) -> Axes:
    """So many batches, input sides and widths of ResNet-50."""
    return {
        "batch": range(1, 1 + batch),
        "input": range(128, 128 + 2 * input, 2),
        "width": range(16, 16 + width),
    }


MILLION = grid(100, 100, 100)
GRIDS = (grid(1, 1, 10), grid(1, 10, 10), grid(10, 10, 10), grid(10, 10, 100), grid(10, 100, 100), MILLION)
FULL = Size(
    layers=(625, 1250, 2500, 5000, 10_000),
    grids=(*GRIDS, grid(100, 200, 500)),
    million=MILLION,
    many=grid(100, 200, 500),
    compared=300,
    peers=(
        ("torch", "meta", 224), ("torchinfo", "meta", 224), ("thop", "meta", 224), ("ptflops", "meta", 224),
        ("ptflops", "cpu", 128), ("ptflops", "cpu", 224), ("fvcore", "cpu", 128), ("fvcore", "cpu", 224),
    ),
)  # fmt: skip
QUICK = Size(
    layers=(25, 50),
    grids=GRIDS[:3],
    million=GRIDS[2],
    many=GRIDS[2],
    compared=5,
    peers=(("torch", "meta", 32), ("torchinfo", "meta", 32), ("thop", "meta", 32), ("ptflops", "cpu", 32),
           ("fvcore", "cpu", 32)),
)  # fmt: skip


# ---- clocks ---------------------------------------------------------------------------------------


def process(*command: str) -> Callable[[], Sample]:
    """A whole process, from start to exit, its output thrown away."""

    def run() -> Sample:
        begun = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return {"seconds": time.perf_counter() - begun}

    return run


def watched(*command: str) -> Callable[[], Sample]:
    """A whole process, and the most memory that it, or a process of its own, had at once."""

    def run() -> Sample:
        done = subprocess.run((sys.executable, "-c", WATCHED, *command), check=True, capture_output=True)
        found: Sample = json.loads(done.stdout)
        return found

    return run


def inside(function: Callable[[], object]) -> Callable[[], Sample]:
    """A call in this process."""

    def run() -> Sample:
        begun = time.perf_counter()
        function()
        return {"seconds": time.perf_counter() - begun}

    return run


def known(task: Callable[[], Sample], **facts: Any) -> Callable[[], Sample]:
    """A task, with what is known of it beside its samples."""
    return lambda: {**task(), **facts}


def cnncost_process(*words: str) -> Callable[[], Sample]:
    return process(sys.executable, "-m", "cnncost", *words)


# ---- start-up, and networks by their layers -------------------------------------------------------


def startup(setting: Setting) -> list[Task]:
    """Whole processes, beside what any command line with tables and YAML costs before it does anything."""
    tasks = [
        Task(BASE, process(sys.executable, "-c", BASELINE)),
        *(
            Task(f"cnncost {words}", cnncost_process(*words.split()))
            for words in ("report alexnet", "report alexnet --format json", "report resnet152", "compare all")
        ),
    ]
    if setting.peers:
        tasks.append(Task("torchinfo on the same AlexNet, same columns", process(sys.executable, "-c", TORCHINFO)))
    return tasks


def synthetic(layers: int) -> str:
    """A spec of so many layers, written out: nothing is folded into a repeat."""
    lines = ["input: 16x32x32", "layers:"]
    kinds = ("{conv: 16, kernel: 3, padding: 1}", "batch_norm", "relu", "{add: [l%d, l%d]}")
    for i in range(layers):
        kind = kinds[i % 4]
        lines.append(f"  l{i}: " + (kind % (i - 1, i - 3) if "%" in kind else kind))
    return "\n".join(lines) + "\n"


def by_layers(setting: Setting) -> list[Task]:
    """Networks of more and more layers, no two of a name; and ResNet-152 by its stages."""
    graph = cnncost.load("resnet152")
    tasks = [
        Task(BASE, process(sys.executable, "-c", BASELINE)),
        Task("load resnet152", known(inside(lambda: cnncost.load("resnet152")), layers=len(graph))),
        Task("analyze resnet152", known(inside(lambda: cnncost.analyze(graph)), layers=len(graph))),
    ]
    for layers in setting.size.layers:
        path = setting.folder / f"synthetic{layers}.yaml"
        path.write_text(synthetic(layers))
        whole = cnncost_process("report", str(path), "--format", "csv")
        tasks.append(Task(f"cnncost report of {layers:,} layers", known(whole, layers=layers)))
        here = inside(lambda path=path: cnncost.analyze(path))  # type: ignore[misc]
        tasks.append(Task(f"load and analyze {layers:,} layers", known(here, layers=layers)))
    return tasks


# ---- tracing --------------------------------------------------------------------------------------


def tracing(setting: Setting) -> list[Task]:
    """Models of torchvision traced, beside their forward pass under torch's counter on the meta device."""
    if not setting.peers:
        return []
    from speed_peers import forward

    from cnncost.live.models import find
    from cnncost.live.trace import trace

    tasks = []
    for name in ("resnet50", "mobilenet_v3_large", "mobilenet_v3_small"):
        ours, theirs = find(f"torchvision:{name}", {}), find(f"torchvision:{name}", {})
        assert ours.input is not None
        shape = (1, *ours.input)

        def traced(module: Any = ours.module, shape: tuple[int, ...] = shape) -> object:
            return cnncost.analyze(trace(module, shape))

        tasks.append(Task(f"trace and analyze {name}", inside(traced)))
        tasks.append(Task(f"forward pass of {name}", inside(forward(theirs.module, "meta", shape))))
    return tasks


# ---- sweeps ---------------------------------------------------------------------------------------


def swept(axes: Axes, quantities: tuple[str, ...] | None = None) -> Callable[[], Sample]:
    """ResNet-50 at every point of a grid, from its name to the last row."""
    from cnncost.analysis.sweep.run import Job, run
    from cnncost.api.sweeps import space_of

    def task() -> None:
        space = space_of("resnet50", axes, quantities=quantities)
        assert sum(done.rows for done in run(Job(space))) == points(axes)

    return known(inside(task), points=points(axes), axes=shape_of(axes))


def points(axes: Axes) -> int:
    return prod(map(len, axes.values()))


def shape_of(axes: Axes) -> list[int]:
    return [len(values) for values in axes.values()]


def one_by_one(values: Mapping[str, int]) -> dict[str, Any]:
    """A point by itself, priced as anyone would: the six quantities of a sweep."""
    side = values["input"]
    given: dict[str, Any] = {"input": (3, side, side), "batch": values["batch"], "set": {"width": values["width"]}}
    totals = cnncost.analyze("resnet50", **given).totals
    peaks = {
        "peak_bytes": cnncost.memory("resnet50", **given).peak,
        "training_peak_bytes": cnncost.memory("resnet50", **given, train=True).peak,
    }
    return {**{name: totals[name] for name in (*BOTH, "flops", "activation_bytes")}, **peaks}


def sweep_command(axes: Axes, *more: str) -> Callable[[], Sample]:
    """A sweep as a process of its own."""
    vary = (f"--vary={name}={r.start}:{r[-1]}:{r.step}" for name, r in axes.items())
    task = watched(sys.executable, "-m", "cnncost", "sweep", "resnet50", *vary, *more)
    return known(task, points=points(axes), axes=shape_of(axes))


def sweep(setting: Setting) -> list[Task]:
    """Grids of ever more points in this process, beside one point by itself; the million as processes, too."""
    size = setting.size
    alone = known(inside(lambda: one_by_one({"batch": 8, "input": 224, "width": 64})), points=1)
    out = str(setting.folder / "sweep.csv")
    return [
        Task("one point by itself", alone),
        *(Task(f"sweep of {points(axes):,} points", swept(axes)) for axes in size.grids),
        Task(f"sweep of {points(size.million):,} points, params and MACs", swept(size.million, BOTH)),
        Task("cnncost sweep", sweep_command(size.million)),
        Task("cnncost sweep -o FILE.csv", sweep_command(size.million, "-o", out, "--force")),
    ]


def workers(setting: Setting) -> list[Task]:
    """The largest grid as processes, with one worker and with two."""
    return [
        Task(f"cnncost sweep --workers {n}", known(sweep_command(setting.size.many, "--workers", str(n)), workers=n))
        for n in (1, 2)
    ]


# ---- peers ----------------------------------------------------------------------------------------


def peers(setting: Setting) -> list[Task]:
    """Seconds that counters of MACs take for one design point, beside sweeps of the million."""
    if not setting.peers:
        return []
    from speed_peers import counter

    million, tasks = setting.size.million, []
    for tool, device, side in setting.size.peers:
        task = known(counter(tool, device, side), tool=tool, device=device, side=side, points=1)
        tasks.append(Task(f"{tool}, {device}, {side}x{side}", task))
    return [
        *tasks,
        Task("cnncost sweep, params and MACs", swept(million, BOTH)),
        Task("cnncost sweep, six quantities", swept(million)),
    ]


# ---- the same numbers -----------------------------------------------------------------------------


def equal(setting: Setting) -> list[Task]:
    """Points of the million, drawn at random, that equal the same network priced by itself, to the last digit."""
    return [Task("points that equal single networks", lambda: compared(setting.size.million, setting.size.compared))]


def compared(axes: Axes, count: int, seed: int = 0) -> Sample:
    """How many of so many points are equal, and the first that are not."""
    from cnncost.analysis.sweep.run import Job, run
    from cnncost.api.sweeps import space_of

    drawn = random.Random(seed).sample(range(points(axes)), count)
    job = Job(space_of("resnet50", axes), encode=Drawn(frozenset(drawn)))
    rows = [row for done in run(job) for row in done.written]
    unequal = [row for row in rows if different(row)]
    if len(rows) != count:
        raise UsageError(f"{len(rows)} of {count} points were found", hint="a sweep has to price all of its points")
    return {"compared": count, "equal": count - len(unequal), "unequal": unequal[:3], "seed": seed,
            "points": points(axes)}  # fmt: skip


class Drawn(NamedTuple):
    """Takes the rows of some points from a tile's rows."""

    numbers: frozenset[int]

    def __call__(self, rows: Any) -> list[dict[str, int]]:
        def found() -> Iterator[dict[str, int]]:
            for place, number in enumerate(rows.columns["point"].tolist()):
                if number in self.numbers:
                    yield {name: column[place].item() for name, column in rows.columns.items()}

        return list(found())


def different(row: Mapping[str, int]) -> bool:
    """Whether a point of a sweep is not what the network by itself is."""
    alone = one_by_one(row)
    return any(row[name] != value or type(row[name]) is not type(value) for name, value in alone.items())


PARTS = {
    part.name: part
    for part in (
        Part("startup", startup, 15, peers=True),
        Part("layers", by_layers, 15),
        Part("tracing", tracing, 15, peers=True),
        Part("sweep", sweep, 7),
        Part("workers", workers, 5, warm_up=False),
        Part("peers", peers, 15, peers=True),
        Part("equal", equal, 1, warm_up=False, repeated=False),
    )
}
