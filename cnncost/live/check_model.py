"""A PyTorch model module by module: its traced figures against torch's flop counter and fvcore on the model itself."""

from __future__ import annotations

import copy
import inspect
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map
from torch.utils.flop_counter import FlopCounterMode

from cnncost.analysis.checks import Against, Checked, LayerCheck, faults
from cnncost.analysis.conventions import FVCORE, TORCH, counted
from cnncost.analysis.report import LayerReport, analyze
from cnncost.errors import UsageError
from cnncost.graph import Graph
from cnncost.live.counters import TOOLS, Traced, fvcore_analysis, half, of_module, traced
from cnncost.live.trace import arguments, is_shape, parameters_of, trace

WHOLE = "(model)"
"""The row of what runs outside of any part of the model."""


class Own(NamedTuple):
    """What a module does itself, without its parts.

    params: of the parameters that it is the first to use, its own or those of parts that never run
    themselves. shape: of its last output, where that is one tensor.
    """

    macs: int
    params: int
    shape: tuple[int, ...] | None


class FirstUses(TorchDispatchMode):
    """Counts every parameter where it is first used."""

    def __init__(self, place: Callable[[], str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.place = place
        self.counts = Counter[str]()
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for tensor in tree_iter((args, kwargs)):
            if isinstance(tensor, torch.nn.Parameter) and id(tensor) not in self._seen:
                self._seen.add(id(tensor))
                self.counts[self.place()] += tensor.numel()
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
    graph = trace(model, inputs, name=name, source=source)
    report = analyze(graph, fields=False)
    total: Any = report.total
    torchs, whole = by_torch(model, inputs)
    by_fvcore, number, failure = _by_fvcore(model, inputs)
    modules = dict(model.named_modules())
    rows: dict[str, list[LayerReport]] = {}
    for layer in report.layers:
        rows.setdefault(owner(layer.name, torchs), []).append(layer)
    checks = [_row(path, modules[path], own, torchs, by_fvcore) for path, own in rows.items()]
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
            *(_against(name, version_, graph, model, inputs) for name, version_ in against.items()),
        ),
        graph.notes,
    )


def owner(name: str, ran: Collection[str]) -> str:
    """The path of the module that ran a traced layer: its own, that without a number, or one above."""
    for path in (name, re.sub(r"_[0-9]+$", "", name)):
        if path in ran or not path:
            return path
    return owner(name.rpartition(".")[0], ran)


def by_torch(model: torch.nn.Module, inputs: Any) -> tuple[dict[str, Own], int]:
    """What every module does itself by torch's counter, and the multiply-accumulates of all, on the meta device."""
    model = copy.deepcopy(model).to("meta").eval().requires_grad_(False)  # it follows gradients where there are any
    paths = {id(module): path for path, module in model.named_modules()}
    counter = FlopCounterMode(display=False)
    running, flops, outputs = [""], Counter[str](), dict[str, Any]()
    uses = FirstUses(lambda: running[-1])
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

    hooks = [register_module_forward_pre_hook(enter), register_module_forward_hook(leave)]
    try:
        with whole_attention(), torch.no_grad(), torch.device("meta"), counter, uses:
            model(*tensors_on("meta", model, inputs))
    finally:
        for hook in hooks:
            hook.remove()
    settle()
    own = {
        path: Own(half(flops[path]), uses.counts[path], tuple(out.shape) if isinstance(out, torch.Tensor) else None)
        for path, out in outputs.items()
    }
    return own, half(done)


@contextmanager
def whole_attention() -> Iterator[None]:
    """Attention operator by operator, where PyTorch has one for a whole layer, which its counter does not know."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def _by_fvcore(model: torch.nn.Module, inputs: Any) -> tuple[dict[str, Traced], int | None, str | None]:
    """What every module does itself by fvcore, its number for all, and why there is none."""
    try:
        module = on_cpu(model)
        with whole_attention(), fvcore_analysis(module, tensors_on("cpu", model, inputs)) as analysis:
            counts = analysis.by_module_and_operator()
            unknown = {path: analysis.unsupported_ops(path) for path in counts}
            total = int(analysis.total())
    except Exception as e:  # what a model does while fvcore traces it is anything
        return {}, None, f"fvcore fails on this model: {type(e).__name__}: {(str(e).splitlines() or [''])[0]}"
    own = {path: (Counter(counts[path]), Counter(unknown[path])) for path in counts}
    for path in counts:
        if path:
            above = own[path.rpartition(".")[0]]
            above[0].subtract(counts[path])
            above[1].subtract(unknown[path])
    return {path: traced(macs, +missing) for path, (macs, missing) in own.items()}, total, None


def tensors_on(device: str, model: torch.nn.Module, inputs: Any) -> list[Any]:
    """What forward takes, in its order: zeros of these shapes; of tensors only sizes and dtype count."""
    args, kwargs = arguments(model, inputs)
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.get_default_dtype())

    def one(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return torch.zeros(value.shape, dtype=value.dtype, device=device)
        return torch.zeros(tuple(value), dtype=dtype, device=device) if is_shape(value) else value

    bound = inspect.Signature(parameters_of(model)).bind(*args, **kwargs)
    return [tree_map(one, value, is_leaf=is_shape) for value in bound.args]


def on_cpu(model: torch.nn.Module) -> torch.nn.Module:
    """A copy at inference on the CPU; what has no values becomes zeros."""
    module = copy.deepcopy(model).eval()
    empty = [t for t in (*module.parameters(), *module.buffers()) if t.device.type == "meta"]
    if empty:
        module = module.to_empty(device="cpu")
        with torch.no_grad():
            for tensor in (*module.parameters(), *module.buffers()):
                tensor.zero_()
    return module.cpu()


def _row(
    path: str,
    module: torch.nn.Module,
    own: Sequence[LayerReport],
    torchs: Mapping[str, Own],
    by_fvcore: Mapping[str, Traced],
) -> LayerCheck:
    """A module's figures side by side, and what is wrong with them."""
    params: Any = sum(row.params for row in own)
    macs: Any = sum(row.macs for row in own)
    here: Any = own[-1].output_shape
    there = torchs.get(path, Own(0, 0, None))
    compared = there.shape if there.shape is not None and not module._modules else here
    fvcore = by_fvcore.get(path, Traced(0, {}, ("not seen",)))
    pairs: list[tuple[str, Any, str, Any]] = [
        ("output", here, "torch", compared),
        ("params", params, "torch", there.params),
        ("MACs", macs, "torch", there.macs),
    ]
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
    )


def _against(name: str, version_: str, graph: Graph, model: torch.nn.Module, inputs: Any) -> Against:
    """What a further tool says of a copy."""
    counts, device = counted(graph, name), TOOLS[name].device
    module = copy.deepcopy(model).to("meta") if device == "meta" else on_cpu(model)
    try:
        number = of_module(name, module, tensors_on(device, model, inputs))
    except UsageError as e:
        return Against(counts, version_, None, e.message)
    return Against(counts, version_, number, None)
