"""What running takes: memory, time at the least, time as it is predicted, and what training and testing cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from cnncost.api.networks import Model, Spec, as_trained, graph_for, graph_of, is_module, resizable
from cnncost.errors import UsageError, did_you_mean
from cnncost.graph import Graph

if TYPE_CHECKING:
    from cnncost.analysis.fit import Fit
    from cnncost.analysis.memory import Memory
    from cnncost.analysis.predict import Prediction
    from cnncost.analysis.roofline import Roofline
    from cnncost.analysis.runs import Run
    from cnncost.analysis.training import EvaluationCost, TrainingCost
    from cnncost.analysis.training_step import TrainingStep
    from cnncost.devices import Device


def training_cost(
    network: Graph | Spec,
    run: str | Run | None = None,
    *,
    input: Any = None,
    set: Mapping[str, Any] | None = None,
    dtype: str = "fp32",
) -> TrainingCost:
    """MACs of training on an image, and what a whole run costs: time at the devices' peak, utilisation.

    run: "2x gtx-580, 90 epochs, 1.2M images, 5 to 6 days", the time where it is known; "published"
    for those that the spec's facts tell of. dtype: of the arithmetic, where the run names none.
    network, input, set: as in analyze(). Raises SpecError, ShapeError, UsageError.
    """
    from cnncost.analysis.training import training_cost as price

    return price(graph_of(network, input, None, set), run, dtype)


def evaluation_cost(
    network: Graph | Spec,
    *,
    crops: int = 1,
    models: int = 1,
    device: str | Device | None = None,
    input: Any = None,
    set: Mapping[str, Any] | None = None,
    dtype: str = "fp32",
) -> EvaluationCost:
    """What testing one image costs: each of its crops goes through each of the models.

    device: whose peak in `dtype` the ideal time is for. network, input, set: as in analyze(). Raises
    SpecError, ShapeError, UsageError.
    """
    from cnncost.analysis.training import evaluation_cost as price

    return price(graph_of(network, input, None, set), crops, models, device, dtype)


def memory(
    network: Graph | Spec | Model,
    inputs: Any = None,
    *,
    input: Any = None,
    batch: Any = None,
    set: Mapping[str, Any] | None = None,
    dtype: str = "fp32",
    train: bool = False,
    **step: Any,
) -> Memory:
    """What a network holds in memory while it runs: the peak, where it is and of what, and every step.

    train: a step of training; then `step` says which, by the names of analysis.training_step.TrainingStep:
    optimizer="adam", autocast="bf16", master_copies, accumulate, checkpoint, freeze, foreach. The
    others as in analyze(). Raises SpecError, ShapeError, UsageError.
    """
    from cnncost.analysis.training_step import memory_of

    asked = _step(train, step)
    return memory_of(graph_for(as_trained(network, train), inputs, input, batch, set, train), dtype, asked)


def _step(train: bool, options: Mapping[str, Any]) -> TrainingStep | None:
    """The step of training that is asked for, None for inference. Raises UsageError."""
    from cnncost.analysis.training_step import TrainingStep

    known = TrainingStep.__dataclass_fields__
    for name in options:
        if name not in known:
            raise UsageError(f"unknown argument {name}", hint=did_you_mean(name, known))
        if not train:
            raise UsageError(f"{name} has no effect here", hint="it goes with train=True")
    return TrainingStep.of(**options) if train else None


def fit(
    network: Spec,
    memory: int | str | None = None,
    *,
    device: str | Device | None = None,
    reserve: int | str | None = None,
    step: int | None = None,
    input: Any = None,
    batch: Any = None,
    set: Mapping[str, Any] | None = None,
    dtype: str = "fp32",
    watch: Callable[[int, int], None] | None = None,
    train: bool = False,
    **training: Any,
) -> Fit:
    """The largest batch and the largest input of a network that fit into a memory, and those in between.

    memory: "24GB", "24GiB", or bytes; or the device that has it. reserve: what is left to the driver
    and the allocator, of a device analysis.fit.RESERVE unless told otherwise, of a memory nothing.
    step: pixels by which inputs differ, the network's stride unless told otherwise. watch: called
    with the rows of the frontier done and of all, before each. train, training: as in memory(); on a
    GPU optimizers update all parameters at once. The others as in analyze(). Raises SpecError,
    ShapeError, UsageError.
    """
    from cnncost.analysis.fit import fit as fit_graph
    from cnncost.analysis.fit import room
    from cnncost.analysis.training_step import memory_of

    if isinstance(network, Graph) or is_module(network):
        hint = "give the path or the name that it comes from"
        raise UsageError("a graph or a module has its sizes, and fit looks for others", hint=hint)
    available = room(memory, device, reserve)
    if train and available.on_gpu:
        training = {"foreach": True, **training}
    graph_at, asked = resizable(as_trained(network, train), set), _step(train, training)

    def memory_at(images: int, shape: tuple[int, ...] | None) -> Memory:
        return memory_of(graph_at(input if shape is None else shape, images), dtype, asked)

    graph = graph_at(input, batch)
    return fit_graph(graph, available.free, memory_at, step=step, watch=watch)


def roofline(
    network: Graph | Spec,
    device: str | Device,
    *,
    input: Any = None,
    batch: Any = None,
    set: Mapping[str, Any] | None = None,
    dtype: str = "fp32",
    passes: str = "forward",
    fuse: bool = False,
    accumulate: str | None = None,
    measured: Mapping[str, float] | None = None,
) -> Roofline:
    """What bounds each layer on a device, memory or arithmetic, and its least time.

    device: a name ("H100"), the path of a sheet, or load_device()'s. passes: forward, backward or
    train. fuse: element-wise layers are computed where their input is made. accumulate: dtype of the
    sums, where the sheet tells peaks apart by it. measured: seconds by layer, to be held against the
    least times. network, input, batch, set, dtype: as in analyze(). Raises SpecError, ShapeError;
    UsageError, also where the device's sheet lacks what is needed.
    """
    from cnncost.analysis.roofline import roofline as put_under

    return put_under(graph_of(network, input, batch, set), device, dtype, passes, fuse, accumulate, measured)


def load_device(name: Spec) -> Device:
    """A device's data sheet by name ("RTX 4090"), or by the path of one's own. Raises SpecError, UsageError."""
    from cnncost.devices import load as load_sheet

    return load_sheet(name)


def predict(
    network: Graph | Spec,
    device: str | Device,
    results: Iterable[str] = (),
    *,
    input: Any = None,
    batch: Any = None,
    set: Mapping[str, Any] | None = None,
    dtype: str = "fp32",
    layout: str = "nchw",
    passes: str = "forward",
    threads: int | None = None,
) -> Prediction:
    """What a network would take on a device, which need not be here.

    device: its name, or a sheet. results: files of `cnncost bench --results` with measured layers of
    that device, of any networks; without them it is the roofline and the launch overhead. threads: of
    a CPU; if left out, those of the sheet or of the results. Raises UsageError.
    """
    from cnncost.analysis.measurements import Setting
    from cnncost.analysis.predict import predictor
    from cnncost.devices import Device, load

    sheet = device if isinstance(device, Device) else load(device)
    wanted = Setting(sheet.name, dtype, layout, passes, threads=threads)
    return predictor(sheet, results, wanted).predict(graph_of(network, input, batch, set))
