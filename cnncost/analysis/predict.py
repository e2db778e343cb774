"""What a network would take on a device: its sheet alone, or measured layers of other networks besides.

Each layer takes the time that was measured of that very layer, or else what the fitted model of its
kind says (efficiency.py), or, of a kind that nothing was measured of, the roofline plus what it takes
to launch it. Their sum, times what whole networks took over the sum of their layers, is the network's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log2
from typing import Any, NamedTuple

from cnncost.analysis.bench import Layer, distinct_layers, network_subject
from cnncost.analysis.dtypes import DTYPES
from cnncost.analysis.efficiency import COVERS, FEW, WIDE, Model, Point, kind_of, sizes_of
from cnncost.analysis.known import Known, known, networks_of, setting_for
from cnncost.analysis.measurements import LAYER, NETWORK, Setting, key_of, layer_subject, read
from cnncost.analysis.roofline import Ceilings, ceilings, least_seconds
from cnncost.analysis.traffic import alone
from cnncost.devices import Device
from cnncost.dims import Shape
from cnncost.graph import Graph

MEASURED, NEAREST, FITTED, ROOFLINE = "measured", "nearest", "fitted", "roofline"
SOURCES = {
    MEASURED: "this very layer was measured",
    NEAREST: "fitted, with so many measured shapes within a factor of two in every size",
    FITTED: "fitted to layers of its kind, of which none is near",
    ROOFLINE: "no layer of its kind was measured: roofline and launch overhead, times what other kinds take over them",
}
"""Where the time of a layer comes from."""
WHOLE_SIZES = ("seconds a layer", "batch", "bytes a second")
"""What a whole network takes over the sum of its layers goes by; the bytes cost the memory that is asked for."""
USUAL_OF_WHOLE = 0.15
"""Standard deviation of the logarithm of what networks take over their layers, where few were measured."""
UNSTEADY = 0.01
"""Standard deviation of the logarithm of a network's time from one measurement to the next, at the least."""
UNKNOWN = 0.5
"""Standard deviation of the logarithm of times of a kind that nothing was measured of, at the least."""


class Task(NamedTuple):
    """A distinct layer with what it computes and moves in the pass."""

    layer: Layer
    output: Shape
    macs: Any
    moved: Any
    least: float
    sizes: tuple[float, ...]

    @property
    def kind(self) -> str:
        return kind_of(self.layer.op, self.layer.inputs)


class Row(NamedTuple):
    """A distinct layer, predicted. Times are seconds of one of its instances.

    names: of all layers that it stands for. bytes: moved at the least. least: by the roofline, with
    the launch overhead. low, high: what nine in ten such times lie between; None where nothing is
    known. source: of SOURCES. near: measured shapes that are near. outside: sizes beyond those that
    were measured.
    """

    names: tuple[str, ...]
    kind: str
    inputs: tuple[Shape, ...]
    output: Shape
    macs: Any
    bytes: Any
    seconds: float
    low: float | None
    high: float | None
    source: str
    near: int
    outside: tuple[str, ...]
    least: float

    @property
    def instances(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Prediction:
    """A network on a device, predicted.

    setting: in which form it would run. rows: distinct layers. layers_seconds: their sum, instances
    included. whole: what networks take over the sum of their layers, 1 where no network was measured.
    networks: how many were. seconds: of the network; low, high: what nine in ten lie between, as far
    as it is known, None with no measurement at all. roofline: seconds by the device's sheet alone.
    measured: seconds of this very network, where it was measured whole. known: measured layers of the
    setting; doubtful: those of them that bear a doubt. untimed: operators that run only within the model.
    """

    name: str
    source: str | None
    inputs: dict[str, Shape]
    batch: int
    device: Device
    setting: Setting
    rows: tuple[Row, ...]
    whole: float
    networks: int
    seconds: float
    low: float | None
    high: float | None
    roofline: float
    measured: float | None
    known: int
    doubtful: int
    free: int
    untimed: tuple[str, ...]

    @property
    def layers_seconds(self) -> float:
        return sum(row.instances * row.seconds for row in self.rows)

    def seconds_of(self, source: str) -> float:
        """Seconds of all layers whose time comes from there."""
        return sum(row.instances * row.seconds for row in self.rows if row.source == source)

    @property
    def unknown_kinds(self) -> tuple[str, ...]:
        """Kinds of layers that nothing was measured of."""
        return tuple(dict.fromkeys(row.kind for row in self.rows if row.source == ROOFLINE))


class Predictor:
    """Predicts networks on one device in one setting from what is known of it; the models are fitted once.

    known: measurements of that device and setting; networks: those whose whole was measured, as graphs.
    """

    def __init__(self, device: Device, setting: Setting, known: Known | None = None, networks: Iterable[Graph] = ()):
        self.device, self.setting = device, setting
        self.known = known or Known({}, {})
        self.roofs: Ceilings = ceilings(device, setting.dtype)
        overhead = device.shortest_kernel if device.kind == "gpu" else device.launch_overhead
        self.overhead = overhead or 0.0
        self.points: dict[str, tuple[str, int]] = {}
        """By the key of a layer that was measured: its kind, and its number in that kind's model."""
        self.models = self._fitted()
        self.others = self._other_kinds()
        whole = list(networks)
        self.whole, self.networks = self._whole(whole)
        self.widening = self._widening(whole)
        """What intervals of sums are to be wider by, as leaving out networks shows."""

    def _task(self, layer: Layer, output: Shape) -> Task:
        works: Any = alone(layer.op, output, layer.inputs, DTYPES[self.setting.dtype], self.setting.direction)
        macs, flops, moved = (sum(getattr(work, n) for work in works) for n in ("macs", "flops", "bytes"))
        least = sum(least_seconds(work, self.roofs) for work in works) + self.overhead
        return Task(layer, output, macs, moved, least, sizes_of(layer.op, output, layer.inputs, flops, moved))

    def _fitted(self) -> dict[str, Model]:
        points: dict[str, list[Point]] = {}
        for key, (layer, timing) in self.known.layers.items():
            task = self._task(layer, layer.op.shape(*layer.inputs))
            if task.least > 0:
                own = points.setdefault(task.kind, [])
                self.points[key] = task.kind, len(own)
                own.append(Point(task.sizes, timing.median / task.least))
        return {kind: Model(own) for kind, own in points.items()}

    def _other_kinds(self) -> tuple[float, float]:
        """What layers of any kind take over their least times, as a logarithm, and how kinds differ in it."""
        own = [float(model.y.mean()) for model in self.models.values()]
        if not own:
            return 0.0, 0.0
        middle = sum(own) / len(own)
        return middle, max(UNKNOWN, (sum((n - middle) ** 2 for n in own) / len(own)) ** 0.5)

    def _whole(self, networks: Iterable[Graph]) -> tuple[Model | None, int]:
        """A model of what whole networks take over the sum of their layers, by the time of a layer and the batch."""
        points = []
        for graph in networks:
            timing = self.known.networks.get(_key(NETWORK, network_subject(graph), self.setting))
            layers, _ = distinct_layers(graph)
            own = [(layer, self.known.layers.get(_layer_key(layer, self.setting))) for layer in layers]
            if timing is None or not own or any(found is None for _, found in own):
                continue
            total = sum(len(layer.names) * found[1].median for layer, found in own if found is not None)
            points.append(Point(self._whole_sizes(total, self._tasks(graph), graph), timing.median / total))
        return (Model(points, WHOLE_SIZES, USUAL_OF_WHOLE) if points else None), len(points)

    def _whole_sizes(self, total: float, tasks: Sequence[Task], graph: Graph) -> tuple[float, ...]:
        """What tells networks apart whose layers take so many seconds in all."""
        batch: Any = graph.batch
        layers = sum(len(task.layer.names) for task in tasks)
        moved = sum(len(task.layer.names) * task.moved for task in tasks)
        return log2(1e6 * total / layers), log2(batch), log2(max(1.0, moved / total))

    def _widening(self, networks: Sequence[Graph]) -> float:
        """Each network predicted from the others: a new one is farther from what is known than one layer left out."""
        tasks = [
            (graph.name, [(_layer_key(t.layer, self.setting), t) for t in self._tasks(graph)]) for graph in networks
        ]
        owners: dict[str, set[str]] = {}
        for name, own in tasks:
            for key, _ in own:
                owners.setdefault(key, set()).add(name)
        off: list[float] = []
        for name, own in tasks:
            left = {key: task for key, task in own if key in self.points and owners[key] == {name}}
            error, variance = self._left_out(left, {key for key, names in owners.items() if names == {name}})
            if variance > 0:
                off.append(abs(error) / variance**0.5)
        if len(off) < FEW:
            return 1.0
        return max(1.0, sorted(off)[round(COVERS * (len(off) - 1))] / WIDE)

    def _left_out(self, left: Mapping[str, Task], hidden: set[str]) -> tuple[float, float]:
        """What layers that only one network has are predicted too long by in all, and the variance of that.

        hidden: all layers of that network alone, at any batch. Of a kind that no other network has nothing is said.
        """
        error: float = 0.0
        variance: float = 0.0
        for kind, model in self.models.items():
            keys = [key for key in hidden if key in self.points and self.points[key][0] == kind]
            mine = [i for i, key in enumerate(keys) if key in left]
            if not mine or len(keys) == len(model.y):
                continue
            mean, covariance = model.without([self.points[key][1] for key in keys])
            times = [len(left[keys[i]].layer.names) * left[keys[i]].least * exp(float(mean[i])) for i in mine]
            truth = [model.y[self.points[keys[i]][1]] for i in mine]
            error += sum(time * (1 - exp(float(y - mean[i]))) for time, y, i in zip(times, truth, mine))
            at = model.np.array(times)
            variance += self._calibrated(model, float(at @ covariance[model.np.ix_(mine, mine)] @ at))
        return error, variance

    def _tasks(self, graph: Graph) -> list[Task]:
        shapes = {node.name: node.shape for node in graph}
        return [self._task(layer, shapes[layer.names[0]]) for layer in distinct_layers(graph)[0]]

    def predict(self, graph: Graph) -> Prediction:
        """The time of a network, layer by layer and in all."""
        untimed = distinct_layers(graph)[1]
        tasks = self._tasks(graph)
        rows = [self._row(task) for task in tasks]
        total = sum(row.instances * row.seconds for row in rows)
        instances = sum(row.instances for row in rows)
        factor, variance = 1.0, 0.0
        if self.whole is not None and total:
            mean, covariance = self.whole.log_ratios([self._whole_sizes(total, tasks, graph)])
            factor, variance = exp(float(mean[0])), self._calibrated(self.whole, float(covariance[0, 0]))
        seconds = self._on_host(total * factor, instances)
        low = high = None
        if self.known.layers and total:
            of_layers = self._variance(tasks, rows) * (self.widening / total) ** 2
            reach = WIDE * (of_layers + variance + UNSTEADY**2) ** 0.5
            low, high = seconds * exp(-reach), seconds * exp(reach)
        whole = self.known.networks.get(_key(NETWORK, network_subject(graph), self.setting))
        least = sum(len(task.layer.names) * task.least for task in tasks)
        doubtful = sum(bool(timing.doubts) for _, timing in self.known.layers.values())
        free = len(graph) - len(untimed) - instances
        return Prediction(
            graph.name, graph.source, graph.inputs, int(graph.batch), self.device, self.setting, tuple(rows), factor,
            self.networks, seconds, low, high, self._on_host(least, instances), whole.median if whole else None,
            len(self.known.layers), doubtful, free, tuple(untimed),
        )  # fmt: skip

    def _on_host(self, seconds: float, layers: int) -> float:
        """On a GPU the host launches layer after layer meanwhile, and the network takes at least that."""
        launching = layers * (self.device.launch_overhead or 0.0) if self.device.kind == "gpu" else 0.0
        return max(seconds, launching)

    def _row(self, task: Task) -> Row:
        layer, model = task.layer, self.models.get(task.kind)
        found = self.known.layers.get(_layer_key(layer, self.setting))
        outside: tuple[str, ...] = ()
        low = high = None
        near, source, seconds = 0, ROOFLINE, task.least
        if found is not None:
            timing = found[1]
            source, seconds, low, high = MEASURED, timing.median, timing.low, timing.high
        elif model is not None:
            guess = model.guess(task.sizes)
            source, near, outside = (NEAREST if guess.near else FITTED), guess.near, guess.outside
            seconds, low, high = (task.least * n for n in (guess.ratio, guess.low, guess.high))
        elif self.models:
            middle, apart = self.others
            seconds, low, high = (task.least * exp(middle + way * WIDE * apart) for way in (0, -1, 1))
        kind = layer.op.describe(*layer.inputs)
        return Row(layer.names, kind, layer.inputs, tuple(task.output), task.macs, task.moved, seconds, low, high,
                   source, near, outside, task.least)  # fmt: skip

    def _variance(self, tasks: Sequence[Task], rows: Sequence[Row]) -> float:
        """Of the sum of the layers: those of a kind err together, as far as the model says; kinds by themselves."""
        total = 0.0
        groups: dict[str, list[int]] = {}
        for i, (task, row) in enumerate(zip(tasks, rows)):
            if row.source in (NEAREST, FITTED):
                groups.setdefault(task.kind, []).append(i)
            elif row.source == ROOFLINE:
                total += (row.instances * row.seconds * self.others[1]) ** 2
            elif row.source == MEASURED and row.low is not None and row.high is not None:
                total += (row.instances * (row.high - row.low) / 2) ** 2
        for kind, members in groups.items():
            model = self.models[kind]
            _, covariance = model.log_ratios([tasks[i].sizes for i in members])
            times = model.np.array([rows[i].instances * rows[i].seconds for i in members])
            total += self._calibrated(model, float(times @ covariance @ times))
        return total

    def _calibrated(self, model: Model, variance: float) -> float:
        """As wide as leaving each point out has shown."""
        return max(0.0, variance) * (model.wide / WIDE) ** 2


def predictor(device: Device, results: Iterable[str] = (), wanted: Setting | None = None) -> Predictor:
    """A predictor from files of results. wanted: the setting; its device is the sheet's. Raises UsageError."""
    wanted = wanted or Setting(device.name)
    ceilings(device, wanted.dtype)  # what the sheet lacks is said before a file is read
    measured = {file: read(file) for file in dict.fromkeys(results)}
    setting = setting_for(device, measured, wanted._replace(device=device.name))
    return Predictor(device, setting, known(measured, setting), networks_of(measured, setting))


def _key(what: str, subject: Mapping[str, Any], setting: Setting) -> str:
    return key_of(what, subject, setting)


def _layer_key(layer: Layer, setting: Setting) -> str:
    return _key(LAYER, layer_subject(layer.op, layer.inputs), setting)


__all__ = ["MEASURED", "SOURCES", "Prediction", "Predictor", "Row", "predictor"]
