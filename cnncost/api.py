"""The calls that most programs need: load a spec, analyze it, compare several, verify its claims."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from os import PathLike
from typing import TYPE_CHECKING, Any, Union

from cnncost.analysis.report import Report
from cnncost.analysis.report import analyze as analyze_graph
from cnncost.errors import CnncostError, UsageError, did_you_mean
from cnncost.graph import Graph
from cnncost.onnx import is_onnx
from cnncost.spec import document_of, expanded, load
from cnncost.spec.models import ModelName, is_model
from cnncost.spec.several import Meant, meant, name_it, only

if TYPE_CHECKING:
    from cnncost.analysis.align import Alignment
    from cnncost.analysis.checks import Checked
    from cnncost.analysis.claims import Verification
    from cnncost.analysis.compare import Comparison
    from cnncost.analysis.explain import Explanation
    from cnncost.analysis.fit import Fit
    from cnncost.analysis.memory import Memory
    from cnncost.analysis.predict import Prediction
    from cnncost.analysis.roofline import Roofline
    from cnncost.analysis.runs import Run
    from cnncost.analysis.training import EvaluationCost, TrainingCost
    from cnncost.analysis.training_step import TrainingStep
    from cnncost.devices import Device
    from cnncost.live.check import Checker

Spec = Union[str, PathLike[str]]
Model = Any
"""A torch.nn.Module, which cannot be named here without importing torch."""


def analyze(
    network: Graph | Spec | Model,
    inputs: Any = None,
    *,
    input: Any = None,
    batch: Any = None,
    set: Mapping[str, Any] | None = None,
    dtype: str = "fp32",
    strict: bool = False,
) -> Report:
    """What a network costs, layer by layer and in total.

    network: a path, a bundled name, a graph from load(); a torch.nn.Module, or the name of one
    ("torchvision:resnet50"). inputs: what a module is called with, as in trace(). input, batch, set:
    as in load(), for paths and names. dtype: fp32, fp16, bf16, int8 ...; it sets the bytes. strict:
    windows that do not fit evenly are errors. Raises SpecError, ShapeError, UsageError.
    """
    return analyze_graph(_graph(network, inputs, input, batch, set), dtype, strict)


def _graph(
    network: Graph | Spec | Model,
    inputs: Any,
    input: Any,
    batch: Any,
    set: Mapping[str, Any] | None,
    train: bool = False,
) -> Graph:
    """The graph of whatever a network may be; inputs go with a torch.nn.Module."""
    if not _is_module(network):
        if inputs is not None:
            raise UsageError("inputs go with a torch.nn.Module", hint="give a network of another kind input=")
        return graph_of(network, input, batch, set)
    if inputs is None or input is not None or batch is not None or set:
        raise UsageError(
            "a torch.nn.Module needs its inputs, and nothing else",
            hint="write analyze(model, torch.empty(1, 3, 224, 224))",
        )
    return trace(network, inputs, train=train)


def _is_module(network: Any) -> bool:
    """Whether this is a torch.nn.Module, without importing torch to know."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(network, torch.nn.Module)


def trace(
    model: Model, inputs: Any, *, train: bool = False, allow_unknown: bool = False, name: str | None = None
) -> Graph:
    """The graph of a torch.nn.Module: a node for every operator that its forward pass runs.

    inputs: a tensor, or a shape with the batch first; a list of these for several; a dict of them
    for inputs by name. Nothing is computed, and the model is left as it was. train: as in training,
    with dropout. allow_unknown: operators without a rule count as nothing, and reports say so. name:
    what the graph is called. Raises UsageError.
    """
    from cnncost.live.trace import trace as trace_model

    return trace_model(model, inputs, train=train, allow_unknown=allow_unknown, name=name)


def graph_of(
    network: Graph | Spec, input: Any = None, batch: Any = None, set: Mapping[str, Any] | None = None
) -> Graph:
    """A graph as it is; a spec, an ONNX file, or a model by its name, at these sizes."""
    if is_onnx(network):
        from cnncost.onnx.load import load_onnx

        return load_onnx(network, input, batch, set)
    if is_model(network):
        return _traced(network, input, 1 if batch is None else batch, set)
    if not isinstance(network, Graph):
        return load(network, input=input, batch=1 if batch is None else batch, set=set)
    if input is not None or batch is not None or set:
        raise UsageError("a graph has its input, batch and parameters", hint="give them to cnncost.load()")
    return network


def resizable(network: Spec, set: Mapping[str, Any] | None = None) -> Callable[[Any, Any], Graph]:
    """The graph of a network at an input and a batch, again and again: a spec is read once."""
    if is_onnx(network) or is_model(network):
        return lambda input, batch: graph_of(network, input, batch, set)
    read = cache(lambda: document_of(network))
    return lambda input, batch: expanded(read, input, 1 if batch is None else batch, set)


def _traced(name: Any, input: Any, batch: int, set: Mapping[str, Any] | None) -> Graph:
    """The graph of a PyTorch model by its name."""
    from cnncost.live.models import traced

    asked, shapes = _asked(name, input, batch, set)
    options = {"train": asked.train, "allow_unknown": asked.allow_unknown}
    return traced(str(name), shapes, batch, asked.arguments, **options)


def _asked(name: str, input: Any, batch: Any, set: Mapping[str, Any] | None) -> tuple[ModelName, Any]:
    """A PyTorch model's name with what is asked of it, and the shapes of its inputs without the batch, or None."""
    from cnncost.spec.names import parse_shape

    if set:
        raise UsageError("a PyTorch model declares no parameters", hint="its arguments are given with --arg name=value")
    if type(batch) is not int or batch < 1:
        raise UsageError(f"batch must be a whole number of at least 1, got {batch}", hint="give the number of images")
    shapes = {n: parse_shape(s) for n, s in input.items()} if isinstance(input, Mapping) else input
    if shapes is not None and shapes is input:
        shapes = parse_shape(input)
    return name if isinstance(name, ModelName) else ModelName(name), shapes


def compare(
    networks: Graph | Spec | Iterable[Graph | Spec],
    *,
    relative_to: Graph | Spec | None = None,
    input: Any = None,
    batch: Any = None,
    set: Mapping[str, Any] | None = None,
    dtype: str = "fp32",
    training: bool = False,
    watch: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Networks side by side: totals, published errors, ratios to one of them.

    networks: paths, bundled names, globs over both, "family:resnet", "all", or graphs from load();
    each counts once. relative_to: the one that ratios are to, which is added where it is not among
    them. input, batch, set, dtype: as in analyze(), for all of them; of networks that only a pattern
    stands for, those that cannot take them are left out. training: the memory that a step of training
    takes, too. watch: called with the number of networks
    done and of all, before each. Raises SpecError, ShapeError, UsageError at the first other network
    that cannot be priced, and names it.
    """
    from cnncost.analysis.compare import LeftOut, comparison, network_row

    chosen = meant([networks] if isinstance(networks, (str, PathLike, Graph)) else networks)
    base = None
    if relative_to is not None:
        reference = only(relative_to, "ratios are to one network")
        ((place, _),) = meant([relative_to]).items()
        chosen = {**chosen, place: reference} if place in chosen else {place: reference, **chosen}
        base = place
    if not chosen:
        raise UsageError("no network to compare", hint="cnncost list shows the bundled architectures")
    rows, batches, left_out = {}, [], []
    for done, (place, one) in enumerate(chosen.items()):
        if watch is not None:
            watch(done, len(chosen))
        try:
            graph = graph_of(one.network, input, batch, set)
            rows[place] = network_row(analyze_graph(graph, dtype, fields=False), graph.facts, training)
        except CnncostError as e:
            if one.named or (input is None and not set) or not _can_be_priced(one):
                name_it(e, one)
                raise
            left_out.append((one, e))
            continue
        batches.append(graph.batch)
    if not rows:
        one, error = left_out[0]
        name_it(error, one)
        raise error
    if min(batches) < max(batches):
        raise UsageError(f"graphs of batch {min(batches):,} and {max(batches):,}", hint="load all with one batch")
    without = [LeftOut(one.name, e.message) for one, e in left_out]
    return comparison(rows.values(), batches[0], dtype, None if base is None else list(rows).index(base), without)


def _can_be_priced(one: Meant) -> bool:
    """Whether a network is sound at its own sizes, so that it is those given that do not suit it."""
    try:
        analyze_graph(graph_of(one.network), fields=False)
    except CnncostError:
        return False
    return True


def align(
    a: Graph | Spec,
    b: Graph | Spec,
    *,
    input: Any = None,
    batch: Any = None,
    set: Mapping[str, Any] | None = None,
    dtype: str = "fp32",
) -> Alignment:
    """Two networks layer by layer: which stands for which, and what differs.

    a, b: paths, bundled names, or graphs from load(). input, batch, set, dtype: as in analyze(),
    for both. Raises SpecError, ShapeError, UsageError.
    """
    from cnncost.analysis.align import align as align_reports

    reports = []
    for given in (a, b):
        one = only(given, "layers are compared with those of one network")
        try:
            reports.append(analyze_graph(graph_of(one.network, input, batch, set), dtype, fields=False))
        except CnncostError as e:
            name_it(e, one)
            raise
    return align_reports(*reports)


def explain(
    network: Graph | Spec,
    layer: Any = None,
    *,
    input: Any = None,
    batch: Any = None,
    set: Mapping[str, Any] | None = None,
    dtype: str = "fp32",
    **options: Any,
) -> Explanation:
    """The formulas of layers with their numbers in them.

    network: a path, a bundled name, a graph from load(); or the key of an op, for a single layer
    with its options as keywords and its input's shape (a list of shapes where it joins several):
    explain("conv", out=10, kernel=5, input="3x32x32"). layer: a path, the end of one, a block or a
    glob; of an op its main option. The others as in analyze(). Raises SpecError, ShapeError,
    UsageError.
    """
    from cnncost.analysis.explain import explain as explain_layers
    from cnncost.analysis.select import select
    from cnncost.spec.single import is_op, several, single

    if not isinstance(network, Graph) and is_op(network):
        if set:
            raise UsageError("an op has no parameters to set", hint="give its options by name: kernel=3")
        graph = single(str(network), layer, options, several(input), 1 if batch is None else batch)
        report = analyze_graph(graph, dtype)
        return explain_layers(graph, report, report.layers)
    if options:
        hint = "options go with an op, as in explain('conv', out=10, input='3x32x32')"
        raise UsageError(f"a network takes no {next(iter(options))}", hint=hint)
    graph = graph_of(network, input, batch, set)
    report = analyze_graph(graph, dtype)
    return explain_layers(graph, report, select(report, layer))


def verify(spec: Spec) -> Verification:
    """The verdicts on the published figures that a spec carries.

    spec: a path or a bundled name. Raises SpecError for claims that cannot be read or derived,
    UsageError for a bad argument.
    """
    from cnncost.analysis.claims import verify as verify_document
    from cnncost.spec import document_of

    return verify_document(document_of(spec))


def check(
    network: Graph | Spec | Model,
    inputs: Any = None,
    *,
    against: str | Iterable[str] = (),
    input: Any = None,
    batch: Any = None,
    set: Mapping[str, Any] | None = None,
) -> Checked:
    """Every layer against PyTorch's module, torch's flop counter and fvcore.

    against: further tools, of analysis.checks.FURTHER, or one. The others as in analyze(); of a PyTorch
    model every module is checked, as the model itself runs it. Raises SpecError, ShapeError;
    UsageError also where PyTorch or one of the tools is not installed.
    """
    from cnncost.live.check import Checker

    checker = Checker(against)
    if checker.missing:
        raise next(iter(checker.missing.values()))
    if _is_module(network):
        model: Any = network
        return checker.check_model(model, inputs)
    return check_by_name(checker, network, input, batch, set)


def check_by_name(
    checker: Checker, network: Graph | Spec, input: Any = None, batch: Any = None, set: Mapping[str, Any] | None = None
) -> Checked:
    """The same with a checker that has seen other networks."""
    if not is_model(network):
        return checker.check(graph_of(network, input, batch, set))
    asked, shapes = _asked(network, input, 1 if batch is None else batch, set)
    return checker.check_named(str(asked), shapes, 1 if batch is None else batch, asked.arguments)


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
    return memory_of(_graph(_as_trained(network, train), inputs, input, batch, set, train), dtype, asked)


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


def _as_trained(network: Any, train: bool) -> Any:
    """The same network; of a PyTorch model's name, as in training."""
    if not train or not is_model(network):
        return network
    return ModelName(network, **{**(vars(network) if isinstance(network, ModelName) else {}), "train": True})


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

    if isinstance(network, Graph) or _is_module(network):
        hint = "give the path or the name that it comes from"
        raise UsageError("a graph or a module has its sizes, and fit looks for others", hint=hint)
    available = room(memory, device, reserve)
    if train and available.on_gpu:
        training = {"foreach": True, **training}
    graph_at, asked = resizable(_as_trained(network, train), set), _step(train, training)

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


__all__ = [
    "align",
    "analyze",
    "check",
    "compare",
    "evaluation_cost",
    "explain",
    "fit",
    "load",
    "load_device",
    "memory",
    "roofline",
    "trace",
    "training_cost",
    "verify",
]


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
