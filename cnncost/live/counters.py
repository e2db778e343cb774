"""What other counters say of a module: torch's own and fvcore for every check; further tools where they are installed.

Some of these tools leave marks on what they count, or on PyTorch itself: they get modules that
nobody else uses, and PyTorch's functions are put back afterwards.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from cnncost.errors import UsageError, did_you_mean, one_line
from cnncost.graph import Graph
from cnncost.live.build import Network, build

PRODUCTS = ("conv", "linear", "matmul", "addmm", "bmm", "mm", "einsum")
"""fvcore's names of the operators that have MACs."""


# ---- layer by layer -------------------------------------------------------------------------------


class Ran(NamedTuple):
    """A layer as it ran: the shape of its output and its multiply-accumulates by torch's counter."""

    shape: tuple[int, ...]
    macs: int


def by_torch(network: Network, shapes: Sequence[tuple[int, ...]]) -> tuple[list[Ran], int]:
    """Every layer of a network in one run at inference, and the multiply-accumulates of all; inputs are where it is."""
    counter, ran = FlopCounterMode(display=False), []
    done = 0

    def record(layer: torch.nn.Module, inputs: Any, output: Any) -> None:
        nonlocal done
        flops = counter.get_total_flops()
        ran.append(Ran(tuple(output.shape), half(flops - done)))
        done = flops

    device = next(network.parameters(), torch.empty(0, device="meta")).device
    hooks = [layer.register_forward_hook(record) for layer in network.layers]
    try:
        with torch.no_grad(), counter:
            network(*(torch.empty(shape, device=device) for shape in shapes))
    finally:
        for hook in hooks:
            hook.remove()
    return ran, half(counter.get_total_flops())


def half(flops: int) -> int:
    """Multiply-accumulates of torch's flops, which are two each."""
    if flops % 2:
        raise AssertionError(f"torch's counter gives {flops} flops, an odd number")
    return flops // 2


class Traced(NamedTuple):
    """A module by fvcore: its products' flops, which are MACs; its other operators'; those that it does not know."""

    macs: int
    others: dict[str, int]
    unknown: tuple[str, ...]


def by_fvcore(module: torch.nn.Module, shapes: Sequence[tuple[int, ...]]) -> Traced:
    """A module traced by fvcore, which computes what it traces: it has to be on the CPU."""
    with fvcore_analysis(module, [torch.zeros(shape) for shape in shapes]) as analysis:
        return traced(analysis.by_operator(), analysis.unsupported_ops())


@contextmanager
def fvcore_analysis(module: torch.nn.Module, inputs: Sequence[torch.Tensor]) -> Iterator[Any]:
    """fvcore's analysis of a module on the CPU, without what it logs: what it does not know is asked for."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it traces with torch.jit, which is deprecated
            from fvcore.nn import FlopCountAnalysis
    except ImportError as e:
        raise UsageError("fvcore is not installed", hint="pip install 'cnncost[torch]'") from e
    log = logging.getLogger("fvcore.nn.jit_analysis")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            yield FlopCountAnalysis(module, tuple(inputs)).tracer_warnings("none")
    finally:
        log.setLevel(level)


def traced(counts: Mapping[str, Any], unsupported: Iterable[str]) -> Traced:
    """fvcore's counts by operator, told apart."""
    macs = sum(int(flops) for name, flops in counts.items() if name in PRODUCTS)
    others = {name: int(flops) for name, flops in counts.items() if name not in PRODUCTS and int(flops)}
    return Traced(macs, others, tuple(sorted({name.removeprefix("aten::").rstrip("_") for name in unsupported})))


# ---- whole networks, by further tools -------------------------------------------------------------


class Tool(NamedTuple):
    """A tool that counts whole networks. device: where it counts right; meta takes no memory and computes nothing.

    number: of the imported tool, a module and its inputs.
    """

    package: str
    module: str
    device: str
    number: Callable[[Any, torch.nn.Module, list[torch.Tensor]], int]


class Keywords(torch.nn.Module):
    """A module whose inputs are given by name, as ptflops gives several; it then counts the whole batch."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, **tensors: torch.Tensor) -> Any:
        """Run the module on the inputs in their order."""
        return self.module(*tensors.values())


def _torchinfo(tool: Any, module: torch.nn.Module, inputs: list[torch.Tensor]) -> int:
    summary = tool.summary(module, input_data=inputs, verbose=0, device=inputs[0].device)
    return int(summary.total_mult_adds)


def _ptflops(tool: Any, module: torch.nn.Module, inputs: list[torch.Tensor]) -> int:
    named = {f"x{i}": t for i, t in enumerate(inputs)}
    with redirect_stdout(io.StringIO()) as said:
        flops, _ = tool.get_model_complexity_info(
            Keywords(module),
            (1,),
            input_constructor=lambda _: named,
            as_strings=False,
            print_per_layer_stat=False,
            backend="pytorch",
        )
    if flops is None:  # it prints why, and goes on
        _, _, reason = said.getvalue().partition("exception:")
        raise RuntimeError(reason.strip())
    return int(flops)


def _thop(tool: Any, module: torch.nn.Module, inputs: list[torch.Tensor]) -> int:
    flops, _ = tool.profile(module, inputs=tuple(inputs), verbose=False)
    return int(flops)


def _calflops(tool: Any, module: torch.nn.Module, inputs: list[torch.Tensor]) -> int:
    # It fails on a module without any parameter, and counts none of them in MACs.
    module.register_parameter("unused", torch.nn.Parameter(torch.zeros(1, device=inputs[0].device)))
    _, macs, _ = tool.calculate_flops(module, args=inputs, print_results=False, output_as_string=False)
    return int(macs)


TOOLS = {
    "torchinfo": Tool("torchinfo", "torchinfo", "meta", _torchinfo),
    "ptflops": Tool("ptflops", "ptflops", "cpu", _ptflops),  # on meta it counts linear layers twice
    "thop": Tool("thop", "thop", "meta", _thop),
    "calflops": Tool("calflops", "calflops", "meta", _calflops),
}
"""By the name that the command line takes, and that their conventions have."""

IMPORT_TORCHVISION = ("ptflops", "calflops")
"""Tools that import torchvision where it is installed, and fail where its import does."""


def installed(name: str) -> str:
    """The version of a tool. Raises UsageError where it is not installed, does not load, or is none of these."""
    if name not in TOOLS:
        raise UsageError(f"unknown tool {name}", hint=did_you_mean(name, TOOLS))
    tool = TOOLS[name]
    try:
        found = version(tool.package)
    except PackageNotFoundError:
        raise UsageError(f"{name} is not installed", hint=f"pip install {tool.package}") from None
    _load(name)
    return found


def _load(name: str) -> Any:
    from cnncost.live import vision

    try:
        with warnings.catch_warnings(), _quiet():
            warnings.simplefilter("ignore")
            if name in IMPORT_TORCHVISION:
                with suppress(ImportError):
                    vision.models()
            return import_module(TOOLS[name].module)
    except Exception as e:
        wanted = e.name if isinstance(e, ModuleNotFoundError) else None
        hint = f"pip install {wanted}" if wanted else f"python -c 'import {TOOLS[name].module}' shows where"
        raise UsageError(f"{name} cannot be imported: {one_line(e)}", hint=hint) from e


def by_tool(name: str, graph: Graph) -> int:
    """The number of a tool for a graph's module, at inference. Raises UsageError where the tool fails."""
    device = TOOLS[name].device
    module, shapes = build(graph, device=device, initialise=False), graph.inputs.values()
    return of_module(name, module, [torch.zeros(*map(int, shape), device=device) for shape in shapes])


def of_module(name: str, module: torch.nn.Module, inputs: list[torch.Tensor]) -> int:
    """The number of a tool for a module that is thrown away afterwards. Raises UsageError where the tool fails."""
    tool, loaded = TOOLS[name], _load(name)
    try:
        with warnings.catch_warnings(), _quiet(), _put_back(), torch.no_grad():
            warnings.simplefilter("ignore")
            return tool.number(loaded, module.eval(), inputs)
    except Exception as e:
        raise UsageError(f"{name} fails on this network: {one_line(e.__cause__ or e)}") from e


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what tools print."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield


@contextmanager
def _put_back() -> Iterator[None]:
    """PyTorch's functions and methods as they were: a tool that fails leaves its own in their place, some always do."""
    spaces: list[Any] = [torch, torch.nn.functional, torch.Tensor]
    before = [(space, dict(vars(space))) for space in spaces]
    try:
        yield
    finally:
        for space, values in before:
            for name, value in values.items():
                if vars(space).get(name) is not value:
                    setattr(space, name, value)
        for name in vars(torch.Tensor).keys() - before[-1][1].keys():
            delattr(torch.Tensor, name)  # it hides a method that Tensor inherits
