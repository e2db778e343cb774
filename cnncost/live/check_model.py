"""A PyTorch model module by module: its traced figures against torch's flop counter and fvcore on the model itself."""

from __future__ import annotations

import copy
import inspect
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from importlib.metadata import version
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map
from torch.utils.flop_counter import FlopCounterMode

from cnncost.analysis.checks import Against, Checked, LayerCheck, faults
from cnncost.analysis.conventions import FVCORE, TORCH, counted
from cnncost.analysis.report import LayerReport, analyze
from cnncost.errors import UsageError, one_line
from cnncost.graph import Graph
from cnncost.live.counters import TOOLS, Traced, fvcore_analysis, half, of_module, traced
from cnncost.live.places import modules_followed
from cnncost.live.preserve import same_randomness, whole_attention
from cnncost.live.recorder import ALLOW, TraceError
from cnncost.live.trace import arguments, dtype_of, is_shape, parameters_of, trace, uncompiled

WHOLE = "(model)"
"""The row of what runs outside of any part of the model."""
NOT_SEEN = Traced(0, {}, ("not seen",))


UNCOUNTED = {
    *("mv", "dot", "vdot", "addmv", "addr", "addbmm", "_trilinear"),
    *("conv_tbc", "deform_conv2d", "_euclidean_dist", "affine_grid_generator"),
}
"""Operators with MACs that FlopCounterMode has no rule for: it passes them by."""


class Own(NamedTuple):
    """What a module does itself, without its parts.

    params: of the parameters that it is the first to use, its own or those of parts that never run
    themselves. shape: of its last output, where that is one tensor. unknown: operators with MACs that
    torch's counter takes for nothing.
    """

    macs: int
    params: int
    shape: tuple[int, ...] | None
    unknown: tuple[str, ...]


class Watch(TorchDispatchMode):
    """Says of every module what it is the first to use of a model's parameters, and what torch does not count.

    Parameters of modules that forward makes are not the model's.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter], place: Callable[[], str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.place = place
        self.params = Counter[str]()
        self.unknown: dict[str, dict[str, bool]] = {}
        self._unseen = {id(parameter) for parameter in parameters}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in UNCOUNTED:
            self.unknown.setdefault(self.place(), {})[name] = True
        for tensor in tree_iter((args, kwargs)):
            if id(tensor) in self._unseen:
                self._unseen.remove(id(tensor))
                self.params[self.place()] += tensor.numel()
        return func(*args, **(kwargs or {}))


def check_model(
    model: torch.nn.Module,
    inputs: Any,
    *,
    name: str | None = None,
    source: str | None = None,
    against: Mapping[str, str] = MappingProxyType({}),
) -> Checked:
    """The verdicts on every module of a model that computes something or has parameters of its own.

    inputs: as in trace(). against: further tools with their versions. torch's counter runs a copy on
    the meta device, where it sees attention whole; fvcore and some tools run copies on the CPU; all at
    inference. The model itself is not changed. Raises UsageError.
    """
    try:
        graph = trace(model, inputs, name=name, source=source)
    except TraceError as e:
        if ALLOW in (e.hint or ""):
            e.hint = "what has no rule cannot be checked; CONTRIBUTING.md shows how to add a rule"
        raise
    model = uncompiled(model)
    report = analyze(graph, fields=False)
    total: Any = report.total
    with same_randomness():
        torchs, whole = by_torch(model, inputs)
        by_fvcore, number, failure = _by_fvcore(model, inputs)
        further = [_against(tool, version_, graph, model, inputs) for tool, version_ in against.items()]
    modules = dict(model.named_modules())
    rows: dict[str, list[LayerReport]] = {}
    for layer in report.layers:
        rows.setdefault(owner(graph.called[layer.name].path, torchs), []).append(layer)
    checks = [_row(path, modules[path], own, graph, torchs, by_fvcore) for path, own in rows.items()]
    return Checked(
        graph.name,
        graph.source,
        graph.about,
        dict(graph.inputs),
        tuple(c for c in checks if c.macs or c.params or c.torch_params or c.torch_macs or c.unknown or c.faults),
        total.params,
        sum(own.params for own in torchs.values()),
        total.macs,
        whole,
        (
            Against(counted(graph, TORCH.name), str(torch.__version__), whole, None),
            Against(counted(graph, FVCORE.name), version("fvcore"), number, failure),
            *further,
        ),
        graph.notes,
    )


def owner(path: str, ran: Collection[str]) -> str:
    """The module that a layer is told of: the one that ran it, or the nearest above of which torch told."""
    while path and path not in ran:
        path = path.rpartition(".")[0]
    return path


def by_torch(model: torch.nn.Module, inputs: Any) -> tuple[dict[str, Own], int]:
    """What every module does itself by torch's counter, and the multiply-accumulates of all, on the meta device."""
    copied, tensors = ready("meta", model, inputs)
    paths = {id(module): path for path, module in copied.named_modules()}
    counter = FlopCounterMode(display=False)
    running, flops, outputs = [""], Counter[str](), dict[str, Any]()
    watch = Watch((*copied.parameters(), *model.parameters()), lambda: running[-1])  # hooks may hold the model's own
    done = 0

    def settle() -> None:
        nonlocal done
        flops[running[-1]] += counter.get_total_flops() - done
        done = counter.get_total_flops()

    def enter(module: torch.nn.Module, args: Any) -> None:
        settle()
        running.append(paths.get(id(module), running[-1]))

    def leave(module: torch.nn.Module, args: Any, output: Any) -> None:
        settle()
        outputs[running.pop()] = output

    try:
        with modules_followed(enter, leave), whole_attention(), torch.no_grad(), torch.device("meta"), counter, watch:
            copied(*tensors)
    except Exception as e:  # what a model does where nothing has values is anything
        message = f"the model does not run on the meta device, where torch's counter counts it: {one_line(e)}"
        raise UsageError(message, hint="cnncost report needs no such run") from e
    settle()
    own = {
        path: Own(
            half(flops[path]),
            watch.params[path],
            tuple(out.shape) if isinstance(out, torch.Tensor) else None,
            tuple(sorted(watch.unknown.get(path, ()))),
        )
        for path, out in outputs.items()
    }
    return own, half(done)


def _by_fvcore(model: torch.nn.Module, inputs: Any) -> tuple[dict[str, Traced], int | None, str | None]:
    """What every module does itself by fvcore, its number for all, and why there is none."""
    try:
        copied, tensors = ready("cpu", model, inputs)
        with whole_attention(), fvcore_analysis(copied, tensors) as analysis:
            counts = analysis.by_module_and_operator()
            unknown = {path: analysis.unsupported_ops(path) for path in counts}
            total = int(analysis.total())
    except Exception as e:  # what a model does while fvcore traces it is anything
        return {}, None, f"fvcore fails on this model: {one_line(e)}"
    own = {path: (Counter(counts[path]), Counter(unknown[path])) for path in counts}
    for path in counts:
        if path:
            above = own[path.rpartition(".")[0]]
            above[0].subtract(counts[path])
            above[1].subtract(unknown[path])
    return {path: traced(macs, +missing) for path, (macs, missing) in own.items()}, total, None


def ready(device: str, model: torch.nn.Module, inputs: Any) -> tuple[Any, list[Any]]:
    """A copy of a model at inference, and what it is called with, in order: zeros, whatever forward calls them.

    Raises UsageError where the model cannot be copied, or does not take these inputs.
    """
    args, kwargs = arguments(model, inputs)
    dtype = dtype_of(model)

    def one(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return torch.zeros(value.shape, dtype=value.dtype, device=device)
        return torch.zeros(tuple(value), dtype=dtype, device=device) if is_shape(value) else value

    bound = inspect.Signature(parameters_of(model)).bind(*args, **kwargs)
    copied, ordered, named = copy_on(device, model), bound.args, bound.kwargs
    if named:  # counters call a model with a list
        forward = copied.forward
        copied.forward = lambda *x: forward(*x[: len(ordered)], **dict(zip(named, x[len(ordered) :])))
    return copied, [tree_map(one, value, is_leaf=is_shape) for value in (*ordered, *named.values())]


def copy_on(device: str, model: torch.nn.Module) -> Any:
    """A copy at inference on a device; on the CPU, what has no values becomes zeros. What is tied stays so.

    Module.to and to_empty untie parameters, and deepcopy refuses tensors that were computed of
    parameters, as weight_norm leaves them. Raises UsageError.
    """

    def moved(tensor: torch.Tensor) -> torch.Tensor:
        plain = tensor.detach()
        if device == "meta" or tensor.is_meta:
            plain = torch.zeros_like(plain, device=device)
        else:
            plain = plain.to(device, copy=True)
        if not isinstance(tensor, torch.nn.Parameter):
            return plain
        return torch.nn.Parameter(plain, tensor.requires_grad and device != "meta")  # torch's counter follows gradients

    held = [value for module in model.modules() for value in vars(module).values()]
    held += [*model.parameters(), *model.buffers()]
    memo = {id(value): moved(value) for value in held if isinstance(value, torch.Tensor)}
    try:
        return copy.deepcopy(model, memo).eval()
    except Exception as e:  # what a model holds is anything: locks, open files
        raise UsageError(f"the model cannot be copied: {one_line(e)}", hint="check runs copies of it") from e


def _row(
    path: str,
    module: torch.nn.Module,
    own: Sequence[LayerReport],
    graph: Graph,
    torchs: Mapping[str, Own],
    by_fvcore: Mapping[str, Traced],
) -> LayerCheck:
    """A module's figures side by side, and what is wrong with them."""
    params: Any = sum(row.params for row in own)
    macs: Any = sum(row.macs for row in own)
    here: Any = next((row for row in reversed(own) if graph.called[row.name].operator), own[-1]).output_shape
    there = torchs.get(path, Own(0, 0, None, ()))
    compared = there.shape if there.shape is not None and not module._modules else here
    fvcore = by_fvcore.get(path, NOT_SEEN)
    if macs and fvcore == Traced(0, {}, ()):  # its tracer leaves out what no output depends on
        fvcore = NOT_SEEN
    pairs: list[tuple[str, Any, str, Any]] = [
        ("output", here, "torch", compared),
        ("params", params, "torch", there.params),
    ]
    if not there.unknown:
        pairs.append(("MACs", macs, "torch", there.macs))
        if not fvcore.unknown:
            pairs.append(("MACs", macs, "fvcore", fvcore.macs))
    kind = type(module).__name__
    return LayerCheck(
        path or WHOLE,
        kind,
        kind,
        here,
        params,
        macs,
        compared,
        there.params,
        there.macs,
        fvcore.macs,
        fvcore.others,
        fvcore.unknown,
        faults(pairs),
        there.unknown,
    )


def _against(name: str, version_: str, graph: Graph, model: torch.nn.Module, inputs: Any) -> Against:
    """What a further tool says of a copy."""
    counts = counted(graph, name)
    try:
        number = of_module(name, *ready(TOOLS[name].device, model, inputs))
    except UsageError as e:
        return Against(counts, version_, None, e.message)
    return Against(counts, version_, number, None)
