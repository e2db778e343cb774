"""What PyTorch says about a case: all of it is measured, nothing computed here."""

from __future__ import annotations

import logging
import math
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any

import numpy as np
import tapes
import textbook
import torch
from cases import Case
from laws import Expected, Facts, Held, Seen, Taken
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from cnncost.graph import Graph
from cnncost.ops import Op

NOTHING_MOVES = {"_unsafe_view", "detach", "empty", "new_empty"}
"""Operators that only make a tensor or rename one, though PyTorch does not call them views."""


class Traffic(TorchDispatchMode):
    """Adds up what every operator that is not a view reads and writes.

    Of several outputs the first is counted: the others (indices, statistics) are for the gradient.
    """

    def __init__(self) -> None:
        super().__init__()
        self.read = self.written = 0
        self.operators: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func.name().removeprefix("aten::").split(".")[0]
        if func.is_view or name in NOTHING_MOVES:
            return out
        flat: list[Any] = []
        for a in (*args, *(kwargs or {}).values()):
            flat += a if isinstance(a, (list, tuple)) else [a]
        self.read += sum(distinct(t) for t in flat if isinstance(t, torch.Tensor))
        first = out[0] if isinstance(out, (list, tuple)) else out
        self.written += first.numel()
        self.operators.append(name)
        return out


def distinct(t: torch.Tensor) -> int:
    """Elements of a tensor, those that broadcasting only repeats counted once."""
    return math.prod(n for n, stride in zip(t.shape, t.stride()) if stride)


def module_of(op: Op, shapes: Any, device: str = "meta") -> Any:
    """The op's module at inference; `device` is where its parameters are made."""
    with torch.device(device):
        return op.module(torch, *shapes).eval()


def tensors(shapes: Any, device: str = "meta") -> list[torch.Tensor]:
    return [torch.empty(shape, device=device) for shape in shapes]


def macs(module: Any, inputs: list[torch.Tensor]) -> tuple[int, Any]:
    """(multiply-accumulates by PyTorch's counter, output)."""
    with FlopCounterMode(display=False) as counter:
        out = module(*inputs)
    twice = counter.get_total_flops()
    assert twice % 2 == 0
    return twice // 2, out


def facts(case: Case) -> Facts:
    op = case.op()
    module, inputs = module_of(op, case.shapes), tensors(case.shapes)
    with torch.no_grad():
        products, _ = macs(module, tensors(case.shapes))
        with Traffic() as traffic:
            out = module(*inputs)
    named = {"weight": 0, "bias": 0}
    for name, p in module.named_parameters():
        named[name.rsplit(".")[-1].replace("scale", "weight")] += p.numel()
    weights, biases = (named["weight"], named["bias"]) if op.weighted else (0, 0)
    return Facts(
        tuple(out.shape),
        weights,
        biases,
        0 if op.weighted else sum(named.values()),
        sum(b.numel() for b in module.buffers() if b.is_floating_point()),
        products,
        traffic.read,
        traffic.written,
        tuple(traffic.operators),
        out.untyped_storage()._cdata == inputs[0].untyped_storage()._cdata,
    )


def fvcore_macs(case: Case) -> int:
    """Multiply-accumulates by fvcore's rules for the products; fails where fvcore skips an operator."""
    module = module_of(case.op(), case.shapes, "cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it traces with torch.jit
        from fvcore.nn import FlopCountAnalysis

        logging.getLogger("fvcore.nn.jit_analysis").setLevel(logging.ERROR)
        analysis = FlopCountAnalysis(module, tuple(torch.zeros(s) for s in case.shapes)).tracer_warnings("none")
        counts = analysis.by_operator()
        unknown = set(analysis.unsupported_ops()) - {"aten::pad"}
    assert not unknown, f"fvcore does not count {unknown}"
    return int(sum(counts[name] for name in ("conv", "linear", "matmul")))


def seen(case: Case) -> list[Seen]:
    """What the gradient reaches from output positions in the middle and at the borders, from one channel and from all.

    All learned numbers are random and positive, so that no two paths cancel. Inputs rise and fall
    along all axes: a maximum then has its gradient in one corner of its window and in the other.
    """
    torch.manual_seed(0)
    module = module_of(case.op(), case.shapes, "cpu").double()
    with torch.no_grad():
        for p in module.parameters():
            p.uniform_(0.5, 1.5)
    found: dict[tuple[tuple[int, ...], bool], list[Any]] = {}
    for values in (rising, falling):
        inputs = [values(s).requires_grad_() for s in case.shapes]
        out = module(*(t.clone() for t in inputs))
        for at, whole in product(positions(out.shape[1:]), (False, True)):
            channel = slice(None) if whole else at[0]
            part = out[(slice(None), channel, *at[1:])]
            unequal = torch.linspace(1, 2, part.numel(), dtype=part.dtype)  # a softmax sums to the constant 1
            grads = torch.autograd.grad((part.flatten() * unequal).sum(), inputs, retain_graph=True)
            extents = [extent(g) for g in grads]
            found[at, whole] = [both(a, b) for a, b in zip(found.get((at, whole), extents), extents)]
    return [Seen(at, whole, tuple(extents)) for (at, whole), extents in found.items()]


def rising(shape: Any) -> torch.Tensor:
    """Values that rise along every axis but the batch, between 0.1 and 0.3: where no activation saturates."""
    row = torch.linspace(0.1, 0.2, math.prod(shape[1:]), dtype=torch.float64).reshape(1, *shape[1:])
    return row + torch.rand(shape[0], *(1,) * (len(shape) - 1), dtype=torch.float64) / 10


def falling(shape: Any) -> torch.Tensor:
    return 0.4 - rising(shape)


def both(a: Any, b: Any) -> Any:
    """The extent that holds two extents."""
    if a is None or b is None:
        return a or b
    return tuple((min(m), max(n)) for m, n in (zip(p, q) for p, q in zip(a, b)))


def positions(shape: Any) -> list[tuple[int, ...]]:
    """Corners, the middle and the points around it."""
    fractions = ((0, 1), (1, 1), (1, 2), (1, 3), (2, 5))
    found = {tuple((n - 1) * a // b for n in shape) for a, b in fractions}
    middle = tuple((n - 1) // 2 for n in shape)
    found |= {(*middle[:axis], min(m + 1, shape[axis] - 1), *middle[axis + 1 :]) for axis, m in enumerate(middle)}
    return sorted(found)


def extent(grad: torch.Tensor) -> tuple[tuple[int, int], ...] | None:
    """First and last index along each axis after the batch at which a gradient is not 0."""
    where = grad.nonzero()
    if not len(where):
        return None
    low, high = where.amin(0).tolist(), where.amax(0).tolist()
    return tuple(zip(low[1:], high[1:]))


def computed(case: Case) -> tuple[Any, Any]:
    """(PyTorch's output on random inputs, the textbook's); `textbook.TALLY` then has the operations."""
    torch.manual_seed(1)
    module = module_of(case.op(), case.shapes, "cpu").double()
    inputs = [torch.randn(s, dtype=torch.float64) for s in case.shapes]
    if case.key == "l2_pool":  # PyTorch takes no odd root of a negative sum
        inputs = [t.abs() for t in inputs]
    named = [*module.named_parameters(), *module.named_buffers()]
    with torch.no_grad():
        for _, p in named:
            if p.is_floating_point():
                p.uniform_(0.5, 1.5)
        out = module(*(t.clone() for t in inputs)).numpy()
    # A pad layer before the op's own makes a sequence, whose names begin with a number.
    learned = {name.lstrip("0123456789."): p.detach().numpy() for name, p in named}
    return out, textbook.compute(case, out.shape, learned, *(t.numpy() for t in inputs))


def expected(case: Case) -> Expected:
    """All that PyTorch and the textbook say about a case, as plain values."""
    known = facts(case)
    if case.key in textbook.FREE:
        textbook.TALLY.clear()
    else:
        out, ours = computed(case)
        assert np.allclose(out, ours, atol=1e-9) or cut(case), f"{case}: the textbook is wrong"
        assert textbook.TALLY["macs"] == known.macs
    return Expected(known, {kind: textbook.TALLY[kind] for kind in textbook.KINDS}, tuple(seen(case)))


def cut(case: Case) -> bool:
    """True for L2 pools with windows cut by ceil_mode: PyTorch scales their sum up to that of a whole window."""
    return case.key == "l2_pool" and bool(case.options.get("ceil_mode"))


def held(case: Case) -> tuple[Held, bool]:
    """What autograd holds on to after a forward pass in training; and whether the output is the first input's storage.

    Elements are those of whole storages, for a view keeps all of its storage alive, and each storage
    counts once. Parameters and buffers are left out. Tensors of one element are in it; Python
    numbers are not, for PyTorch does not keep them as tensors of their own.
    """
    torch.manual_seed(0)
    module = case.op().module(torch, *case.shapes).train()
    inputs = required(case.shapes)
    with saving() as saved:
        out = module(*inputs)
    own = {storage(t) for t in [*module.parameters(), *module.buffers()]}
    named = {storage(out): ("output", 0), **{storage(t): ("input", i) for i, t in enumerate(inputs)}}
    found: Held = {}
    for where, t in {storage(t): t for t in saved}.items():
        elements = t.untyped_storage().nbytes() // t.element_size()
        if where not in own and elements:
            key = (*named.get(where, ("extra", 0)), t.element_size())
            found[key] = found.get(key, 0) + elements
    return found, storage(out) == storage(inputs[0])


def held_by(graph: Graph) -> int:
    """Bytes that autograd holds on to after a forward pass of a whole network in training."""
    shapes, modules = graph.shapes, {}
    values = dict(zip(graph.inputs, required(graph.inputs.values())))
    with saving() as saved:
        for node in graph:
            module = node.op.module(torch, *(shapes[name] for name in node.inputs)).train()
            modules[node.name] = module = modules[node.shares] if node.shares else module
            values[node.name] = module(*(values[name] for name in node.inputs))
    own = {storage(t) for m in modules.values() for t in [*m.parameters(), *m.buffers()]}
    return sum({storage(t): t.untyped_storage().nbytes() for t in saved if storage(t) not in own}.values())


def required(shapes: Any) -> list[torch.Tensor]:
    """Inputs that require gradients: copies of leaves, for a leaf cannot be changed in place."""
    return [torch.rand(shape).requires_grad_().clone() for shape in shapes]


@contextmanager
def saving() -> Iterator[list[torch.Tensor]]:
    """Collects every tensor that autograd saves."""
    saved: list[torch.Tensor] = []

    def pack(t: torch.Tensor) -> torch.Tensor:
        saved.append(t.detach())
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        yield saved


class Allocated(TorchDispatchMode):
    """The bytes of all storages that operators make, as long as these live, and the most at once."""

    def __init__(self) -> None:
        super().__init__()
        self.alive = self.highest = 0
        self.known: set[int] = set()

    def add(self, t: torch.Tensor) -> None:
        where = t.untyped_storage()
        if where._cdata not in self.known:
            self.known.add(where._cdata)
            self.alive += where.nbytes()
            weakref.finalize(where, self.gone, where._cdata, where.nbytes())

    def gone(self, where: int, size: int) -> None:
        self.known.remove(where)
        self.alive -= size

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for t in tree_leaves(out):
            if isinstance(t, torch.Tensor):
                self.add(t)
        self.highest = max(self.highest, self.alive)
        return out


def taken(case: Case) -> Taken:
    """What the op's module takes at inference, on tensors of the CPU."""
    module, inputs = module_of(case.op(), case.shapes, "cpu"), tensors(case.shapes, "cpu")
    with torch.no_grad(), Allocated() as allocated:
        for t in [*inputs, *module.parameters(), *module.buffers()]:
            allocated.add(t)
        before = allocated.alive
        out = module(*inputs)
    output = 0 if storage(out) in map(storage, inputs) else out.untyped_storage().nbytes()
    counters = sum(b.numel() for b in module.buffers() if b.dtype == torch.int64)
    return Taken(max(allocated.highest - before - output, 0), output, allocated.alive - before - output, counters)


def storage(t: torch.Tensor) -> int:
    """The address of a tensor's storage: views of one tensor share it."""
    return int(t.untyped_storage().data_ptr())


def taped() -> tapes.Answers:
    """What the storages of all cases are in training, and the sizes of their parameters."""
    from cnncost.live.build import build
    from cnncost.live.memory import measure_training

    def steps(graph: Graph, autocast: torch.dtype | None = None) -> tapes.Steps:
        model = build(graph, device="meta")
        return tapes.steps(measure_training(model, list(graph.inputs.values()), optimizer="sgd", autocast=autocast))

    return tapes.Answers(
        steps(tapes.tried(tapes.EXACT)),
        steps(tapes.tried(tapes.CAST, low=True), torch.bfloat16),
        steps(tapes.tried(tapes.PARTLY, "copy")),
        [[p.numel() for p in module_of(case.op(), case.shapes).parameters()] for case in tapes.CASES],
    )
