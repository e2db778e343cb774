"""The roofline of a network on a device: the least time of every layer, and what bounds it.

A layer takes at least its FLOPs over the device's peak rate, and at least the bytes that it must
move over its bandwidth; the larger of the two is its least time. (Williams, Waterman & Patterson
2009: Roofline, an insightful visual performance model for multicore architectures)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, NamedTuple, cast

from cnncost.analysis.columns import Column
from cnncost.analysis.dtypes import DTYPES, dtype_name
from cnncost.analysis.fold import OTHERS
from cnncost.analysis.traffic import PASSES, Task, Work, tasks
from cnncost.devices import Device, Peak
from cnncost.devices import load as load_device
from cnncost.dims import Shape, Size, is_array, larger
from cnncost.errors import UsageError, did_you_mean
from cnncost.graph import Graph

MATRIX_UNITS = ("tensor", "matrix")
"""Words in the names of units that multiply matrices, and do no other arithmetic."""
MEMORY, ARITHMETIC = "memory", "arithmetic"
TAKE_MOST = 5
"""Layers that are named as those that take most of the time."""


class Ceilings(NamedTuple):
    """What bounds layers on a device.

    macs: the peak for multiply-accumulates. others: that of other arithmetic. bandwidth: of its
    memory, in bytes a second. memory_at: the dtype of the tensors.
    """

    device: Device
    dtype: str
    macs: Peak
    others: Peak
    bandwidth: float

    @property
    def ridge(self) -> float:
        """FLOPs a byte from which on arithmetic bounds MACs, and no longer memory."""
        return self.macs.rate / self.bandwidth

    def attainable(self, intensity: float) -> float:
        """The rate in FLOP/s that MACs attain at most at so many FLOPs a byte."""
        return min(self.macs.rate, intensity * self.bandwidth)


class Roof(NamedTuple):
    """What bounds a layer, or several: those that run as one, a block, all of a kind. Whole batch.

    kind: the op and its telling options. layers: their names. macs: multiply-accumulates. flops:
    two a MAC; of layers without MACs their other operations. read, written: bytes, each tensor
    once. arithmetic_seconds: flops over the peak. memory_seconds: bytes over the bandwidth.
    seconds: the least time, the larger of the two in each pass of each layer. memory_bound: the
    part of `seconds` in which memory bounds. measured: seconds that were measured, None where none
    were; measured_least: the least time of those layers.
    """

    name: str
    op: str
    kind: str
    layers: tuple[str, ...]
    macs: Size
    flops: Size
    read: Size
    written: Size
    arithmetic_seconds: Any
    memory_seconds: Any
    seconds: Any
    memory_bound: Any
    measured: float | None = None
    measured_least: Any = 0.0

    @property
    def bytes(self) -> Size:
        return self.read + self.written

    @property
    def intensity(self) -> Any:
        """FLOPs a byte; None where nothing moves or nothing is computed."""
        return _per(self.flops, self.bytes)

    @property
    def rate(self) -> Any:
        """FLOP/s in the least time: what is attainable; None where nothing is computed."""
        return _per(self.flops, self.seconds)

    @property
    def measured_rate(self) -> Any:
        """FLOP/s in the time that was measured; None where no time was, or nothing is computed."""
        return None if self.measured is None else _per(self.flops, self.measured)

    @property
    def attained(self) -> Any:
        """The least time over the measured one: 1 is all that the device can do."""
        return None if self.measured is None else self.measured_least / self.measured

    @property
    def bound(self) -> str | None:
        """memory, arithmetic, or the share of the time in which memory bounds; None where there is no time.

        For one design point: arrays of sizes have `memory_bound`.
        """
        if not self.seconds:
            return None
        share = self.memory_bound / self.seconds
        if share in (0, 1):
            return MEMORY if share else ARITHMETIC
        return f"{min(99, max(1, round(100 * share)))}% {MEMORY}"


def _per(amount: Any, of: Any) -> Any:
    """A ratio; None where one of the two is nothing. Arrays count as something."""
    return amount / of if all(is_array(n) or n for n in (amount, of)) else None


@dataclass(frozen=True, repr=False)
class Roofline:
    """A network under the ceilings of a device: layers in their order, and what they come to.

    inputs: shapes by name, the batch first. passes: forward, backward or train. fused: whether
    element-wise layers are computed where their input is made. notes: what a reader of the counts
    must know.
    """

    name: str
    source: str | None
    about: dict[str, Any]
    inputs: dict[str, Shape]
    batch: Any
    passes: str
    fused: bool
    ceilings: Ceilings
    layers: tuple[Roof, ...]
    notes: tuple[str, ...] = ()

    @property
    def total(self) -> Roof:
        """All layers, one after the other."""
        return together("total", self.layers)

    @property
    def swept(self) -> bool:
        """Whether figures are arrays, with an entry a design point."""
        return is_array(self.total.seconds)

    def __getitem__(self, name: str) -> Roof:
        """A layer by name; of several that run as one by the first. Raises KeyError."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    def __repr__(self) -> str:
        device, dtype = self.ceilings.device.name, self.ceilings.dtype
        return f"<Roofline of {self.name} on {device}: {len(self.layers)} layers, {dtype}, batch={self.batch}>"

    def __str__(self) -> str:
        """What `cnncost roofline` prints into a pipe; over arrays, repr()."""
        if self.swept:
            return repr(self)
        from cnncost.output.roofline import roofline_table

        return roofline_table(self, self.layers)

    @property
    def take_most(self) -> list[Roof]:
        """The layers with the longest least times, longest first."""
        timed = [layer for layer in self.layers if layer.seconds]
        return sorted(timed, key=lambda layer: -layer.seconds)[:TAKE_MOST]


def roofline(
    graph: Graph,
    device: str | Device,
    dtype: str = "fp32",
    passes: str = "forward",
    fuse: bool = False,
    accumulate: str | None = None,
    measured: Mapping[str, float] | None = None,
) -> Roofline:
    """Put the layers of a graph under the ceilings of a device.

    device: its name, or a sheet. dtype: of all tensors, and of the arithmetic. passes: forward, as
    at inference; backward; train, which is both. fuse: element-wise layers are computed where their
    input is made; for forward alone. accumulate: dtype of the sums, where the sheet tells peaks
    apart by it. measured: seconds by layer, for as many as were measured. Sizes may be arrays, and
    so are figures then. Raises UsageError for a device whose sheet lacks what is needed.
    """
    if passes not in PASSES:
        raise UsageError(f"unknown pass {passes}", hint=did_you_mean(str(passes), PASSES))
    if fuse and passes != "forward":
        hint = "training keeps what fusing would leave out: take the forward pass"
        raise UsageError(f"fuse has no effect on {passes}", hint=hint)
    dtype = dtype_name(dtype)
    roofs = ceilings(device if isinstance(device, Device) else load_device(device), dtype, accumulate)
    times = _times(measured or {}, graph)
    if any(is_array(n) for shape in graph.shapes.values() for n in shape):
        from cnncost.analysis.report import countable

        countable(graph)
    layers = tuple(_roof(task, roofs, times) for task in tasks(graph, DTYPES[dtype], passes, fuse))
    return Roofline(
        graph.name,
        graph.source,
        graph.about,
        graph.inputs,
        graph.batch,
        passes,
        fuse,
        roofs,
        layers,
        graph.notes,
    )


def ceilings(device: Device, dtype: str, accumulate: str | None = None) -> Ceilings:
    """The ceilings of a device for a dtype.

    MACs run at the fastest peak for the dtype (`Device.peak`). Other arithmetic runs on the cores,
    never on units that multiply matrices: at their peak for the dtype, for one that they lack in
    fp32; at that of MACs where the sheet tells of no cores. Raises UsageError.
    """
    if device.bandwidth is None:
        hint = "add bandwidth to the sheet, or take another device: cnncost devices"
        raise UsageError(f"the sheet of {device.name} has no bandwidth", hint=hint)
    macs = device.peak(dtype, accumulate)
    cores = [p for p in device.peaks if not any(word in p.unit.lower() for word in MATRIX_UNITS)]
    for wanted in (dtype, "fp32"):
        found = [p for p in cores if p.dtype == wanted]
        if found:
            return Ceilings(device, dtype, macs, max(found, key=lambda p: p.rate), device.bandwidth)
    return Ceilings(device, dtype, macs, macs, device.bandwidth)


def _times(measured: Mapping[str, float], graph: Graph) -> Mapping[str, float]:
    """The measured seconds, checked. Raises UsageError."""
    known = [node.name for node in graph.nodes]
    for name, seconds in measured.items():
        if name not in known:
            raise UsageError(f"measured: {graph.name} has no layer {name}", hint=did_you_mean(str(name), known))
        if not isinstance(seconds, (int, float)) or not isfinite(seconds) or seconds <= 0:
            raise UsageError(f"measured: {name} took {seconds}", hint="give seconds, above 0")
    return measured


def _roof(task: Task, roofs: Ceilings, times: Mapping[str, float]) -> Roof:
    """The bounds of a layer: those of each of its passes, one after the other."""
    taken = [times[name] for name in task.layers if name in times]
    bounds = [_bounds(work, roofs) for work in task.passes]
    arithmetic, memory, seconds, memory_bound = map(_sum, zip(*bounds))
    work = task.passes
    return Roof(
        task.name,
        task.op,
        task.kind,
        task.layers,
        _sum(w.macs for w in work),
        _sum(w.flops for w in work),
        _sum(w.read for w in work),
        _sum(w.written for w in work),
        arithmetic,
        memory,
        seconds,
        memory_bound,
        sum(taken) if task.layers[0] in times else None,
        seconds if task.layers[0] in times else 0.0,
    )


def least_seconds(work: Work, roofs: Ceilings) -> Any:
    """The least time of one pass of a layer."""
    return _bounds(work, roofs)[2]


def _bounds(work: Work, roofs: Ceilings) -> tuple[Any, Any, Any, Any]:
    """Seconds of arithmetic, of memory, the larger, and the same where it is memory's."""
    macs, other, moved = (cast("Any", n) for n in (work.macs, work.operations * (work.macs == 0), work.bytes))
    arithmetic = 2 * macs / roofs.macs.rate + other / roofs.others.rate
    memory = moved / roofs.bandwidth
    seconds: Any = larger(arithmetic, memory)
    return arithmetic, memory, seconds, seconds * (memory >= arithmetic)


def _sum(values: Iterable[Any]) -> Any:
    return sum(values)


# ---- folding ---------------------------------------------------------------------------------------


def together(name: str, rows: Sequence[Roof], op: str = "block") -> Roof:
    """One row for several that run one after the other."""
    measured = [row.measured for row in rows if row.measured is not None]
    count = sum(len(row.layers) for row in rows)
    return Roof(
        name,
        op,
        f"{count:,} layer{'' if count == 1 else 's'}",
        tuple(layer for row in rows for layer in row.layers),
        _sum(row.macs for row in rows),
        _sum(row.flops for row in rows),
        _sum(row.read for row in rows),
        _sum(row.written for row in rows),
        _sum(row.arithmetic_seconds for row in rows),
        _sum(row.memory_seconds for row in rows),
        _sum(row.seconds for row in rows),
        _sum(row.memory_bound for row in rows),
        sum(measured) if measured else None,
        _sum(row.measured_least for row in rows),
    )


def fold(roofline: Roofline, by: str = "layer", depth: int = 1) -> list[Roof]:
    """The layers; or one row a block, by the first `depth` parts of the path; or one row an op."""
    if by == "layer":
        return list(roofline.layers)
    groups: dict[str, list[Roof]] = {}
    for row in roofline.layers:
        groups.setdefault(row.op if by == "op" else ".".join(row.name.split(".")[:depth]), []).append(row)
    return [
        rows[0]._replace(name=name) if len(rows) == 1 else together(name, rows, name if by == "op" else "block")
        for name, rows in groups.items()
    ]


def top(rows: list[Roof], count: int) -> list[Roof]:
    """The first `count` rows, and the rest as one, so that the sums stay the network's."""
    return rows if len(rows) <= count + 1 else [*rows[:count], together(OTHERS, rows[count:], "mixed")]


# ---- columns ---------------------------------------------------------------------------------------


def _field(name: str) -> Callable[[Roof], Any]:
    return lambda row: getattr(row, name)


ROOFLINE_COLUMNS = {
    column.name: column
    for column in (
        Column("name", "layer", "text", "the layer's path", _field("name")),
        Column("kind", "kind", "text", "the op and its telling options", _field("kind")),
        Column("op", "op", "text", "the op's key in the language", _field("op")),
        Column("macs", "MACs", "count", "multiply-accumulates", _field("macs")),
        Column("flops", "FLOPs", "count", "2 x MACs; without MACs other operations", _field("flops")),
        Column("read", "read", "bytes", "bytes read, each tensor once", _field("read")),
        Column("written", "written", "bytes", "bytes written, each tensor once", _field("written")),
        Column("moved", "moved", "bytes", "read + written", _field("bytes")),
        Column("intensity", "FLOP/B", "number", "arithmetic intensity: FLOPs per byte moved", _field("intensity")),
        Column("bound", "bound by", "text", "memory or arithmetic; the share of memory's", _field("bound")),
        Column("rate", "", "rate", "attainable rate: FLOPs over the least time", _field("rate")),
        Column("arithmetic", "arithmetic", "time", "seconds: FLOPs over the peak rate", _field("arithmetic_seconds")),
        Column("memory", "memory", "time", "seconds: bytes over the bandwidth", _field("memory_seconds")),
        Column("seconds", "time", "time", "least time: the larger of the two", _field("seconds")),
        Column("share", "of time", "share", "share of the network's least time", _field("seconds")),
        Column("measured", "measured", "time", "seconds that were measured", _field("measured")),
        Column("attained", "attained", "percent", "least time over the measured one", _field("attained")),
    )
}
ROOFLINE_DEFAULT = ("name", "kind", "flops", "moved", "intensity", "bound", "rate", "seconds", "share")
ROOFLINE_SYNONYMS = {"time": "seconds", "bytes": "moved"}
"""What columns may be called: for hints only."""
