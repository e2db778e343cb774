"""Timing of networks: every distinct layer, and the whole, in turns; each repetition is handed on when it is taken."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime, timezone
from typing import Any, NamedTuple

import torch

from cnncost.analysis.bench import Layer, distinct_layers, network_subject
from cnncost.analysis.dtypes import DTYPES
from cnncost.analysis.measurements import (
    LAYER,
    NETWORK,
    SCHEMA_VERSION,
    Setting,
    key_of,
    layer_subject,
)
from cnncost.analysis.storage import out_of_place
from cnncost.analysis.traffic import FORWARD
from cnncost.dims import numel
from cnncost.graph import Graph
from cnncost.live import heap
from cnncost.live.build import build
from cnncost.live.clocks import CpuClock, CpuLoad, CudaClock, CudaLoad
from cnncost.live.machine import free_bytes, last_cache, machine, name_of
from cnncost.live.subjects import Copies, Point, check, copies, run_of
from cnncost.live.timing import Clock, Load, Method, repetition
from cnncost.live.within import seconds_within

OUT_OF_MEMORY = "out of memory"
KEPT, DEFAULT = HEAPS = ("kept", "default")
REPETITIONS = 3
HEADROOM = 0.9
"""Part of the free memory that a subject may ask for on a CPU, where asking for more ends the process."""


class Task(NamedTuple):
    """One thing to time in one setting. layer: None for the whole network."""

    graph: Graph
    layer: Layer | None
    setting: Setting
    subject: dict[str, Any]
    repetition: int

    @property
    def what(self) -> str:
        return NETWORK if self.layer is None else LAYER

    @property
    def key(self) -> str:
        return key_of(self.what, self.subject, self.setting)


def tasks(graph: Graph, settings: Sequence[Setting], repetitions: int = REPETITIONS, whole: bool = True) -> list[Task]:
    """All that is to time, repetition by repetition, so that each comes again at another time.

    whole: the network itself, too.
    """
    layers, _ = distinct_layers(graph)
    subjects: list[tuple[Layer | None, dict[str, Any]]] = [
        (each, layer_subject(each.op, each.inputs)) for each in layers
    ]
    if whole:
        subjects.append((None, network_subject(graph)))
    return [
        Task(graph, layer, setting, subject, number)
        for number in range(repetitions)
        for setting in settings
        for layer, subject in subjects
    ]


class Bench:
    """Times tasks on one device. clock, load, method: those of the device unless given."""

    def __init__(
        self, device: torch.device, method: Method | None = None, clock: Clock | None = None, load: Load | None = None
    ) -> None:
        self.device = device
        cuda = device.type == "cuda"
        self.clock: Clock = clock or (CudaClock(device) if cuda else CpuClock())
        self.load: Load = load or (CudaLoad(device) if cuda else CpuLoad())
        self.method = method or Method()
        self.name = name_of(device)

    def measure(self, task: Task) -> dict[str, Any]:
        """The record of one repetition. Where memory runs out, the record says so."""
        setting = task.setting
        samples: dict[str, Any] = {"samples": [], "failure": None, "doubts": []}
        with configured(setting, self.device):
            try:
                self._check_room(task)
                ready, point = self._ready(task)
                taken = repetition(run_of(ready, point), self.clock, self.load, self.method)
                samples |= {
                    "samples": list(taken.samples),
                    "loops": taken.loops,
                    "warm_up": taken.warm_up,
                    "steady": taken.steady,
                    "doubts": list(taken.doubts),
                    "page_faults": taken.page_faults,
                }
                if task.layer is None and setting.direction == FORWARD and not setting.compile:
                    samples["within"] = seconds_within(ready, self.clock)
            except Exception as e:
                if not is_out_of_memory(e):
                    raise
                samples["failure"] = OUT_OF_MEMORY
            told = machine(self.device)
        gc.collect()
        heap.give_back()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return {
            "schema": SCHEMA_VERSION,
            "what": task.what,
            "subject": task.subject,
            "setting": setting.record(),
            "repetition": task.repetition,
            **samples,
            "resolution": self.clock.resolution,
            "machine": told,
            "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }

    def _ready(self, task: Task) -> tuple[Copies, Point]:
        """What is timed, with its data."""
        setting, layer = task.setting, task.layer
        point = Point(setting.dtype, setting.layout, setting.direction, setting.cache, setting.compile)
        check(point, str(self.device))
        graph = task.graph if setting.direction == FORWARD else out_of_place(task.graph)
        if layer is None:
            module: torch.nn.Module = build(graph, initialise=False)
            shapes: Any = list(graph.inputs.values())
        else:
            op = layer.op
            if setting.direction != FORWARD:  # what has a gradient cannot be overwritten
                op = next(node.op for node in graph if node.name == layer.names[0])
            module, shapes = op.module(torch, *layer.inputs), layer.inputs
        return copies(module, shapes, point, self.device, last_cache(self.device)), point

    def _check_room(self, task: Task) -> None:
        """Raise MemoryError where a CPU has not the memory: asking for it would end the process."""
        if self.device.type == "cuda":
            return
        free = free_bytes(self.device)
        if free is not None and needed_bytes(task) > HEADROOM * free:
            raise MemoryError


def needed_bytes(task: Task) -> int:
    """Bytes that a task takes at the least."""
    shapes: dict[str, Any] = task.graph.shapes
    nodes = task.graph.nodes if task.layer is None else [n for n in task.graph if n.name == task.layer.names[0]]
    size = DTYPES["fp32" if task.setting.dtype == "tf32" else task.setting.dtype]
    params, largest = 0, 0
    for node in nodes:
        x = [shapes[name] for name in node.inputs]
        own: Any = node.op.weights(*x) + node.op.biases(*x) + node.op.other_params(*x)
        params += own
        moved: Any = sum(map(numel, x)) + numel(node.shape)
        largest = max(largest, moved)
    return size * (params + largest)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and "alloc" in str(error) and "memory" in str(error)


@contextmanager
def configured(setting: Setting, device: torch.device) -> Iterator[None]:
    """PyTorch's switches as a setting has them; afterwards as they were. Denormals count as zero.

    The forward pass is in inference mode, entered here so that it is no part of a run. Only a heap that is kept stays
    so, for the C library has no way back.
    """
    threads, flags = torch.get_num_threads(), torch.backends.cudnn
    before = (torch.backends.cuda.matmul.allow_tf32, flags.allow_tf32, flags.benchmark)
    if setting.heap == KEPT and device.type == "cpu":
        heap.keep()
    try:
        torch.set_flush_denormal(True)
        if setting.threads is not None:
            torch.set_num_threads(setting.threads)
        torch.backends.cuda.matmul.allow_tf32 = flags.allow_tf32 = setting.dtype == "tf32"
        flags.benchmark = setting.algorithms == "search"
        with torch.inference_mode(setting.direction == FORWARD), _chosen(device):
            yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)
        torch.backends.cuda.matmul.allow_tf32, flags.allow_tf32, flags.benchmark = before


def _chosen(device: torch.device) -> AbstractContextManager[Any]:
    """A GPU is the one that PyTorch takes unless told otherwise."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
