"""What training and testing a network cost: gradients, whole runs, many crops; ideal times and utilisation.

Only MACs count here, two FLOPs each: norms, activations and the optimizer's step do not. Training an
image is the forward pass, the gradients of the weights, and those of what the layers take.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from cnncost.analysis.runs import PUBLISHED, Run, parse_run, published_runs
from cnncost.devices import Device, Peak
from cnncost.devices import load as load_device
from cnncost.dims import Shape, Size, is_array
from cnncost.errors import UsageError
from cnncost.graph import Graph, Node
from cnncost.ops.base import Op


class RunCost(NamedTuple):
    """A training run, priced. Utilisation is the share of the devices' peak, (least, most); None without a time."""

    run: Run
    peak: Peak
    macs: int
    simple_macs: int

    @property
    def flops(self) -> int:
        return 2 * self.macs

    @property
    def peak_rate(self) -> float:
        """FLOP/s of all devices together."""
        return self.run.number * self.peak.rate

    @property
    def ideal_seconds(self) -> float:
        """The time at the devices' peak."""
        return self.flops / self.peak_rate

    @property
    def utilisation(self) -> tuple[float, float] | None:
        return self._share(self.macs)

    @property
    def simple_utilisation(self) -> tuple[float, float] | None:
        """Utilisation by the usual rule, 3 x forward."""
        return self._share(self.simple_macs)

    def _share(self, macs: int) -> tuple[float, float] | None:
        if self.run.seconds is None:
            return None
        least, most = self.run.seconds
        ideal = 2 * macs / self.peak_rate
        return ideal / most, ideal / least


class TrainingCost(NamedTuple):
    """MACs of training on one image, and of whole runs.

    weight_gradients: as many as the layer's own, for layers with weights. data_gradients: as many for
    each input of a layer that depends on something learned; the first layers', which take the
    network's input, are not needed.
    """

    forward: int
    weight_gradients: int
    data_gradients: int
    runs: tuple[RunCost, ...]

    @property
    def macs(self) -> int:
        """MACs of one image, forward and backward."""
        return self.forward + self.weight_gradients + self.data_gradients

    @property
    def simple_macs(self) -> int:
        """The same by the usual rule, which gives every layer both gradients: 3 x forward."""
        return 3 * self.forward


class EvaluationCost(NamedTuple):
    """One test image: every crop through every model. ideal_seconds: at a device's peak, None without one."""

    crops: int
    models: int
    forward: int
    device: Device | None
    peak: Peak | None

    @property
    def passes(self) -> int:
        return self.crops * self.models

    @property
    def macs(self) -> int:
        return self.passes * self.forward

    @property
    def flops(self) -> int:
        return 2 * self.macs

    @property
    def ideal_seconds(self) -> float | None:
        return None if self.peak is None else self.flops / self.peak.rate


def training_cost(graph: Graph, run: str | Run | None = None, dtype: str = "fp32") -> TrainingCost:
    """Price training: one image's, and that of a run.

    run: "2x gtx-580, 90 epochs, 1.2M images, 5 to 6 days"; "published" for those that the spec's
    facts tell of; None for no run. dtype: of the arithmetic, where a run names none. Raises
    UsageError for a run that is not understood, and for a device without a peak for the dtype.
    """
    _one_network(graph)
    weights, data = _gradient_macs(graph)
    forward = _forward_macs(graph)
    priced = TrainingCost(forward // graph.batch, weights // graph.batch, data // graph.batch, ())
    if run is None:
        return priced
    if isinstance(run, str) and run.strip().lower() in PUBLISHED:
        runs = published_runs(graph)
    else:
        runs = (run if isinstance(run, Run) else parse_run(run, dtype),)
    return priced._replace(runs=tuple(_run_cost(priced, each) for each in runs))


def evaluation_cost(
    graph: Graph, crops: int = 1, models: int = 1, device: str | Device | None = None, dtype: str = "fp32"
) -> EvaluationCost:
    """Price one test image whose `crops` go through `models` networks. Raises UsageError."""
    _one_network(graph)
    for name, value in (("crops", crops), ("models", models)):
        if type(value) is not int or value < 1:
            raise UsageError(f"{name} must be a whole number of at least 1, got {value}", hint="write 10")
    found = load_device(device) if device is not None and not isinstance(device, Device) else device
    peak = found.peak(dtype) if found else None
    return EvaluationCost(crops, models, _forward_macs(graph) // graph.batch, found, peak)


def _one_network(graph: Graph) -> None:
    if any(is_array(n) for shape in graph.shapes.values() for n in shape):
        raise UsageError("training and testing are priced for one network", hint="load the graph at one design point")


def _run_cost(cost: TrainingCost, run: Run) -> RunCost:
    seen = run.epochs * run.images
    return RunCost(run, run.device.peak(run.dtype), seen * cost.macs, seen * cost.simple_macs)


def _forward_macs(graph: Graph) -> Any:
    shapes = graph.shapes
    return sum(node.op.macs(node.shape, *(shapes[i] for i in node.inputs)) for node in graph.nodes)


def gradients(graph: Graph) -> Iterator[tuple[Node, tuple[Shape, ...], tuple[bool, ...]]]:
    """Each layer, the shapes that it takes, and whether a gradient goes to them.

    One goes to what depends on anything learned.
    """
    shapes = graph.shapes
    learned: set[str] = set()
    for node in graph.nodes:
        x = tuple(shapes[i] for i in node.inputs)
        wanted = tuple(i in learned for i in node.inputs)
        op = node.op
        own = (op.weights(*x), op.biases(*x), op.other_params(*x))
        if any(wanted) or any(is_array(n) or n for n in own):
            learned.add(node.name)
        yield node, x, wanted


def gradient_macs(op: Op, y: Shape, x: tuple[Shape, ...], wanted: tuple[bool, ...]) -> tuple[Size, Size]:
    """MACs of the gradient of a layer's weights, and of those of its inputs, for the whole batch.

    Each is a convolution or product of the same three sizes as the forward one, in another order: one
    for each of the two factors of a MAC. Inputs of a single axis, as computed biases, are no factors.
    """
    macs, weights = op.macs(y, *x), op.weights(*x)
    weighs = is_array(weights) or bool(weights)
    factors = sum(goes and len(shape) > 1 for goes, shape in zip(wanted, x))
    return macs * weighs, macs * min(factors, 2 - weighs)


def _gradient_macs(graph: Graph) -> tuple[Any, Any]:
    """The same of all layers."""
    pairs = [gradient_macs(node.op, node.shape, x, wanted) for node, x, wanted in gradients(graph)]
    return sum(weights for weights, _ in pairs), sum(data for _, data in pairs)
