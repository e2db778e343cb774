"""What measurements say of a network: a row a distinct layer, their sum beside the whole, ratios of two runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, median
from typing import Any, NamedTuple

from cnncost.analysis.dtypes import DTYPES
from cnncost.analysis.measurements import LAYER, NETWORK, Measurement, Setting, key_of, layer_subject
from cnncost.analysis.roofline import Ceilings, ceilings, least_seconds
from cnncost.analysis.samples import SLOWER, Change, Timing, change
from cnncost.analysis.traffic import alone
from cnncost.devices import Device
from cnncost.errors import UsageError
from cnncost.graph import Graph
from cnncost.ops.base import Op
from cnncost.ops.seen import Fed, Seen

READINGS = ("page_fault_seconds", "clock_mhz", "threads")
"""What is told of a machine and changes from run to run, or is part of the setting."""


class Layer(NamedTuple):
    """A distinct layer: an op on inputs of some shapes, and the names of all layers that are that."""

    op: Op
    inputs: tuple[tuple[int, ...], ...]
    names: tuple[str, ...]


class BenchRow(NamedTuple):
    """A distinct layer that was timed.

    names: of all layers that it stands for. macs: of one of them, in the pass that was timed.
    bytes_moved: of the same, each tensor once. timing: of one of them, None where it failed, and why.
    attainable: seconds at the least by a device's sheet. page_faults: of one run. within: seconds of one of them within
    the network, the mean of all.
    """

    names: tuple[str, ...]
    op: str
    kind: str
    inputs: tuple[tuple[int, ...], ...]
    output: tuple[int, ...]
    macs: int
    bytes_moved: int
    timing: Timing | None
    failure: str | None
    attainable: float | None = None
    page_faults: float | None = None
    within: float | None = None

    @property
    def instances(self) -> int:
        return len(self.names)

    @property
    def seconds(self) -> float:
        """Of all layers that it stands for."""
        return self.instances * self.timing.median if self.timing else 0.0

    @property
    def flops_per_second(self) -> float | None:
        """2 x MACs over time."""
        return 2 * self.macs / self.timing.median if self.timing and self.macs else None

    @property
    def bytes_per_second(self) -> float | None:
        return self.bytes_moved / self.timing.median if self.timing and self.bytes_moved else None

    @property
    def efficiency(self) -> float | None:
        """The part of the roofline that is reached."""
        return self.attainable / self.timing.median if self.timing and self.attainable else None


class Difference(NamedTuple):
    """Between a network as a whole and the sum of its layers alone, in seconds.

    total: whole less sum. kinds: what layers of a kind take more within the network than alone, by op, the largest
    first; none where the network's layers were not timed within it. page_faults: those of a run of the whole that its
    layers alone do not have, and what they cost, where the system tells.
    """

    total: float
    kinds: tuple[tuple[str, float], ...]
    page_faults: float | None
    page_fault_seconds: float | None


class BenchTable(NamedTuple):
    """One setting of a network, or of layers of one op. whole: the network's own timing. free: layers that do nothing.
    untimed: layers that run only within the network. batch: None where it is in each row's input.
    complete: whether each distinct layer has been measured. page_faults: of a run of the whole, and what one costs.
    """

    name: str
    setting: Setting
    batch: int | None
    rows: tuple[BenchRow, ...]
    whole: Timing | None
    failure: str | None
    free: int
    untimed: tuple[str, ...]
    complete: bool = True
    page_faults: float | None = None
    page_fault_seconds: float | None = None

    @property
    def sum_seconds(self) -> float | None:
        """Of all layers, where each has been timed."""
        if not self.rows or not self.complete or any(row.timing is None for row in self.rows):
            return None
        return sum(row.seconds for row in self.rows)

    @property
    def difference(self) -> Difference | None:
        """The whole beside the sum; None where either is missing."""
        if self.whole is None or self.sum_seconds is None:
            return None
        kinds: dict[str, float] = {}
        for row in self.rows:
            if row.within is not None and row.timing is not None:
                more = row.instances * (row.within - row.timing.median)
                kinds[row.op] = kinds.get(row.op, 0.0) + more
        faults = [row.page_faults for row in self.rows]
        more_faults = None
        if self.page_faults is not None and None not in faults:
            alone = sum(row.instances * (row.page_faults or 0.0) for row in self.rows)
            more_faults = max(0.0, self.page_faults - alone)
        cost = None if more_faults is None or self.page_fault_seconds is None else more_faults * self.page_fault_seconds
        largest = sorted(kinds.items(), key=lambda pair: -abs(pair[1]))
        return Difference(self.whole.median - self.sum_seconds, tuple(largest), more_faults, cost)


def distinct_layers(graph: Graph) -> tuple[list[Layer], list[str]]:
    """The layers that take time, each once, and the names of those that are taken for free or cannot be run alone.

    Views and dropout at inference do nothing. Operators of a traced model that have no module of
    their own run only within it.
    """
    shapes: dict[str, Any] = graph.shapes
    found: dict[Any, list[str]] = {}
    left = []
    for node in graph:
        x = tuple(shapes[name] for name in node.inputs)
        if isinstance(node.op, (Seen, Fed)):
            left.append(node.name)
        elif not is_free(node.op, node.shape, x):
            found.setdefault((node.op, x), []).append(node.name)
    return [Layer(op, x, tuple(names)) for (op, x), names in found.items()], left


def is_free(op: Op, y: Any, x: Sequence[Any]) -> bool:
    """Whether a layer does nothing at inference: no arithmetic, and no storage of its own."""
    return op.shares_storage and not op.macs(y, *x) and not any(op.operations(y, *x))


def network_subject(graph: Graph) -> dict[str, Any]:
    """A network: its name, inputs, and a digest of its layers, so that a changed one is not taken for it."""
    text = repr([(node.op, node.inputs, node.shape) for node in graph])
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    inputs = {name: [int(n) for n in shape] for name, shape in graph.inputs.items()}
    return {"network": graph.name, "inputs": inputs, "digest": digest}


def tables(
    graphs: Sequence[Graph],
    settings: Sequence[Setting],
    found: Mapping[str, Measurement],
    device: Device | None = None,
    single: bool = False,
) -> list[BenchTable]:
    """What measurements by key say: a table a network and setting.

    device: whose sheet says what is attainable. single: each graph is one layer, and a row. Raises
    UsageError for a device whose sheet lacks a dtype.
    """
    tables = []
    for setting in settings:
        roofs = None if device is None else ceilings(device, setting.dtype)
        if single:
            own = tuple(row for graph in graphs for row in rows(graph, setting, found, roofs))
            tables.append(BenchTable(graphs[0].nodes[0].op.key, setting, None, own, None, None, 0, ()))
        else:
            tables += [_table(graph, setting, found, roofs) for graph in graphs]
    return tables


def rows(
    graph: Graph, setting: Setting, found: Mapping[str, Measurement], roofs: Ceilings | None = None
) -> list[BenchRow]:
    """The rows of a network's distinct layers that have been measured."""
    shapes = {node.name: node.shape for node in graph}
    made = []
    for layer in distinct_layers(graph)[0]:
        measured = found.get(key_of(LAYER, layer_subject(layer.op, layer.inputs), setting))
        if measured is not None:
            made.append(_row(layer, shapes[layer.names[0]], measured, roofs))
    return made


def _table(graph: Graph, setting: Setting, found: Mapping[str, Measurement], roofs: Ceilings | None) -> BenchTable:
    layers, untimed = distinct_layers(graph)
    whole = found.get(key_of(NETWORK, network_subject(graph), setting))
    free = len(graph) - len(untimed) - sum(len(layer.names) for layer in layers)
    timing, failure = (whole.timing, whole.failure) if whole else (None, None)
    own = _with_within(rows(graph, setting, found, roofs), graph, whole)
    return BenchTable(
        graph.name,
        setting,
        int(graph.batch),
        own,
        timing,
        failure,
        free,
        tuple(untimed),
        complete=len(own) == len(layers),
        page_faults=median(whole.page_faults) if whole and whole.page_faults else None,
        page_fault_seconds=whole.machine.get("page_fault_seconds") if whole else None,
    )


def _with_within(rows: Iterable[BenchRow], graph: Graph, whole: Measurement | None) -> tuple[BenchRow, ...]:
    """Rows with what their layers take within the network, where that was timed."""
    if whole is None or not whole.within or any(len(times) != len(graph.nodes) for times in whole.within):
        return tuple(rows)
    taken = {node.name: median(times) for node, times in zip(graph.nodes, zip(*whole.within))}
    return tuple(row._replace(within=fmean(taken[name] for name in row.names)) for row in rows)


def _row(layer: Layer, output: Any, measured: Measurement, roofs: Ceilings | None) -> BenchRow:
    """The row of a layer that was measured."""
    itemsize = DTYPES[measured.setting.dtype]
    works: Any = alone(layer.op, output, layer.inputs, itemsize, measured.setting.direction)
    return BenchRow(
        layer.names,
        layer.op.key,
        layer.op.describe(*layer.inputs),
        layer.inputs,
        tuple(output),
        sum(work.macs for work in works),
        sum(work.bytes for work in works),
        measured.timing,
        measured.failure,
        None if roofs is None else sum(least_seconds(work, roofs) for work in works),
        median(measured.page_faults) if measured.page_faults else None,
    )


def seconds_by_layer(
    graph: Graph, measurements: Iterable[Measurement], dtype: str, direction: str, where: Mapping[str, str]
) -> dict[str, float]:
    """Seconds of a network's layers, of those that were measured.

    where: further fields of the setting, by name, as a line of the file has them. Raises UsageError where
    none of its layers was measured so, and where that was in several settings.
    """
    found = {measured.key: measured for measured in measurements if measured.timing is not None}
    settings = []
    for setting in dict.fromkeys(measured.setting for measured in found.values()):
        told = {name: str(value) for name, value in setting.record().items()}
        fits = all(told.get(name) == value for name, value in where.items())
        if fits and (setting.dtype, setting.direction) == (dtype, direction) and rows(graph, setting, found):
            settings.append(setting)
    if not settings:
        asked = "".join(f", {name} {value}" for name, value in where.items())
        message = f"no layer of {graph.name} at these sizes was measured in {dtype}, {direction}{asked}"
        raise UsageError(message, hint="cnncost bench with the same sizes measures it")
    if len(settings) > 1:
        one, other = (setting.record() for setting in settings[:2])
        name = next(name for name in one if one[name] != other[name])
        values = ", ".join(dict.fromkeys(str(setting.record()[name]) for setting in settings))
        hint = f"choose one of {values}: --where {name}={one[name]}"
        raise UsageError(f"{graph.name} was measured in {len(settings)} settings that differ in {name}", hint=hint)
    timed = [(row, row.timing) for row in rows(graph, settings[0], found)]
    return {name: timing.median for row, timing in timed if timing is not None for name in row.names}


class Regression(NamedTuple):
    """What has changed between two runs. alone: measurements that only one of them has, as (which, text). machines:
    what the two were taken with that is not the same, as (what, old, new).
    """

    changes: tuple[tuple[Measurement, Change], ...]
    alone: tuple[tuple[str, str], ...]
    machines: tuple[tuple[str, str, str], ...] = ()

    @property
    def slower(self) -> int:
        return sum(each.verdict == SLOWER for _, each in self.changes)


def regression(old: Iterable[Measurement], new: Iterable[Measurement], tolerance: float) -> Regression:
    """Two runs, measurement by measurement. tolerance: a part of the old time that is no difference."""
    before = {measured.key: measured for measured in old}
    after = {measured.key: measured for measured in new}
    changes = []
    for key, measured in after.items():
        was = before.get(key)
        if was is not None and was.timing and measured.timing:
            changes.append((measured, change(was.timing, measured.timing, tolerance)))
    alone = [("old", title(before[key])) for key in before.keys() - after.keys()]
    alone += [("new", title(after[key])) for key in after.keys() - before.keys()]
    return Regression(tuple(changes), tuple(sorted(alone)), _machines(before.values(), after.values()))


def _machines(old: Iterable[Measurement], new: Iterable[Measurement]) -> tuple[tuple[str, str, str], ...]:
    """What machines differ in, but for readings that are never twice the same."""
    before, after = (told_of(each) for each in (old, new))
    shared = [name for name in before if name in after and name not in READINGS]
    return tuple((name, before[name], after[name]) for name in shared if before[name] != after[name])


def told_of(measured: Iterable[Measurement]) -> dict[str, str]:
    """What is told of the machines of measurements, by name."""
    values: dict[str, dict[str, None]] = {}
    for each in measured:
        for name, value in each.machine.items():
            values.setdefault(name, {})[str(value)] = None
    return {name: ", ".join(found) for name, found in values.items()}


def title(measured: Measurement) -> str:
    """What was measured, for people."""
    subject = measured.subject
    if measured.what != LAYER:
        return str(subject["network"])
    options = "".join(f" {name}={value}" for name, value in subject["options"].items())
    inputs = ", ".join("x".join(map(str, shape)) for shape in subject["inputs"])
    return f"{subject['op']}{options} on {inputs}"
