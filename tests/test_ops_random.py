"""Random layers: PyTorch, told the same options, gives the same shape, parameters and MACs, or refuses where we refuse.

The torch layer is built here from the options, not by the op. Layers are drawn anew from the same
seed on every run; LAYERS of them in all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import oracle
import pytest
import torch
from cases import Case
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import nn

from cnncost.cost import Cost
from cnncost.errors import SpecError

LAYERS = {
    "convolutions": 1200,
    "transposed": 600,
    "pools": 800,
    "adaptive": 250,
    "products": 300,
    "norms": 400,
    "joins": 300,
    "parts": 300,
}

Build = Callable[[], Any]
"""Makes the torch layer; raises where PyTorch refuses its options."""


def layers(name: str) -> Any:
    return settings(
        max_examples=LAYERS[name],
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def test_there_are_at_least_2000_layers() -> None:
    assert sum(LAYERS.values()) >= 2000


REFUSALS = (RuntimeError, ValueError, IndexError, AssertionError)


def priced(case: Case) -> tuple[Any, Cost] | None:
    """(shape, cost), or None where the layer is refused."""
    try:
        op = case.op()
        y = op.shape(*case.shapes)
        return y, op.cost(y, *case.shapes)
    except SpecError:
        return None


def check_agrees(case: Case, build: Build, grow: Any = (0,), device: str = "meta") -> None:
    """PyTorch and we accept or refuse the layer alike; if accepted, all that both know is equal.

    grow: axes that may be larger, for the law that arrays cost what their entries do. device:
    "cpu" where PyTorch checks the options only as it computes.
    """
    ours = priced(case)
    try:
        with torch.device(device):
            module = build().eval()
        with torch.no_grad():
            macs, out = oracle.macs(module, oracle.tensors(case.shapes, device))
        assert out.numel(), "no layer has an empty output"
    except REFUSALS:
        assert ours is None, f"PyTorch refuses {case}"
        return
    assert ours is not None, f"PyTorch accepts {case}"
    y, cost = ours
    assert y == tuple(out.shape)
    assert cost.params == sum(p.numel() for p in module.parameters())
    assert cost.buffers == sum(b.numel() for b in module.buffers() if b.is_floating_point())
    assert cost.macs == macs
    assert all(type(n) is int for n in (*y, *cost))
    as_arrays(case, grow)


def as_arrays(case: Case, grow: Any) -> None:
    """A layer and two with larger inputs, at once."""
    more = [
        tuple(tuple(n + i if a in grow and n > 1 else n for a, n in enumerate(x)) for x in case.shapes)
        for i in range(3)
    ]
    each = [priced(Case(case.key, x, case.options)) for x in more]
    arrays = tuple(tuple(np.array(n) for n in zip(*x)) for x in zip(*more))
    together = priced(Case(case.key, arrays, case.options))
    assert together is not None
    for i, one in enumerate(each):
        assert one is not None
        assert tuple(at(n, i) for n in together[0]) == one[0]
        assert tuple(at(n, i) for n in together[1]) == tuple(one[1])


def at(value: Any, i: int) -> int:
    return int(np.broadcast_to(value, 3)[i])


class Call(nn.Module):
    """A function as a layer, for MACs and parameters to be asked alike."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *tensors: Any) -> Any:
        return self.function(*tensors)


# ---- what is drawn ----------------------------------------------------------------------------


GROUPS = st.sampled_from([1, 1, 2, 3, 4])
CHANNELS = st.sampled_from([1, 2, 3, 4, 6, 8, 12])


@st.composite
def images(draw: Any) -> tuple[int, ...]:
    rank = draw(st.integers(1, 3))
    spatial = draw(st.lists(st.integers(1, 14 if rank < 3 else 7), min_size=rank, max_size=rank))
    return (draw(st.integers(1, 4)), draw(CHANNELS), *spatial)


def per_axis(draw: Any, rank: int, low: int, high: int) -> Any:
    """A number, or one an axis."""
    each = st.integers(low, high)
    return draw(each | st.tuples(*[each] * rank))


def spatial(x: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(range(2, len(x)))


@pytest.mark.filterwarnings("ignore:Using padding='same'")  # it copies; the count is the same
@layers("convolutions")
@given(st.data())
def test_convolutions(data: Any) -> None:
    draw = data.draw
    x = draw(images())
    rank = len(x) - 2
    o = {
        "kernel": per_axis(draw, rank, 1, 4),
        "stride": per_axis(draw, rank, 1, 3),
        "padding": draw(st.sampled_from(["same", "valid"])) if draw(st.booleans()) else per_axis(draw, rank, 0, 3),
        "dilation": per_axis(draw, rank, 1, 3),
        "bias": draw(st.booleans()),
        "padding_mode": draw(st.sampled_from(["zeros", "zeros", "reflect", "replicate", "circular"])),
    }
    conv = getattr(nn, f"Conv{rank}d")
    if draw(st.integers(0, 3)):
        out, groups = draw(CHANNELS), draw(GROUPS)
        case = Case("conv", (x,), {"out": out, "groups": groups, **o})
    else:
        multiplier = draw(st.integers(1, 3))
        out, groups = x[1] * multiplier, x[1]
        case = Case("depthwise_conv", (x,), {"multiplier": multiplier, **o})
    kernel, stride, padding, dilation = (o[k] for k in ("kernel", "stride", "padding", "dilation"))
    check_agrees(
        case,
        lambda: conv(x[1], out, kernel, stride, padding, dilation, groups, o["bias"], o["padding_mode"]),
        (0, *spatial(x)),
    )


@layers("transposed")
@given(st.data())
def test_transposed_convolutions(data: Any) -> None:
    draw = data.draw
    x = draw(images())
    rank = len(x) - 2
    o = {
        "out": draw(CHANNELS),
        "kernel": per_axis(draw, rank, 1, 4),
        "stride": per_axis(draw, rank, 1, 3),
        "padding": per_axis(draw, rank, 0, 2),
        "output_padding": per_axis(draw, rank, 0, 2),
        "groups": draw(GROUPS),
        "bias": draw(st.booleans()),
        "dilation": per_axis(draw, rank, 1, 3),
    }
    conv = getattr(nn, f"ConvTranspose{rank}d")
    check_agrees(Case("transposed_conv", (x,), o), lambda: conv(x[1], *o.values()), (0, *spatial(x)), "cpu")


@layers("pools")
@given(st.data())
def test_pools(data: Any) -> None:
    draw = data.draw
    x = draw(images())
    rank = len(x) - 2
    key, name = draw(st.sampled_from([("max_pool", "MaxPool"), ("avg_pool", "AvgPool"), ("l2_pool", "LPPool")]))
    kernel, ceil_mode = per_axis(draw, rank, 1, 4), draw(st.booleans())
    stride = draw(st.none()) if draw(st.booleans()) else per_axis(draw, rank, 1, 4)
    o: dict[str, Any] = {"stride": stride, "ceil_mode": ceil_mode}
    if key != "l2_pool":
        o["padding"] = per_axis(draw, rank, 0, 2)
    if key == "max_pool":
        o["dilation"] = per_axis(draw, rank, 1, 2)
    elif rank == 3:  # PyTorch's 3-D averages alone want the kernel within the input without its padding
        assume(np.all(np.array(x[2:]) >= kernel))
    one = rank == 1 and key == "l2_pool"  # LPPool1d takes no lists
    kernel_size, o["stride"] = (v[0] if one and isinstance(v, tuple) else v for v in (kernel, stride))
    pool = getattr(nn, f"{name}{rank}d")
    if key == "l2_pool":
        check_agrees(Case(key, (x,), {"kernel": kernel, **o}), lambda: pool(2.0, kernel_size, **o), (0, *spatial(x)))
    else:
        check_agrees(Case(key, (x,), {"kernel": kernel, **o}), lambda: pool(kernel_size, **o), (0, *spatial(x)))


@layers("adaptive")
@given(st.data())
def test_adaptive_pools(data: Any) -> None:
    draw = data.draw
    x = draw(images())
    rank = len(x) - 2
    key, name = draw(
        st.sampled_from([("adaptive_max_pool", "AdaptiveMaxPool"), ("adaptive_avg_pool", "AdaptiveAvgPool")])
    )
    each = st.integers(1, 9) if rank == 1 else st.none() | st.integers(1, 9)
    size = draw(st.integers(1, 9) | st.tuples(*[each] * rank))
    check_agrees(Case(key, (x,), {"size": size}), lambda: getattr(nn, f"{name}{rank}d")(size), (0, *spatial(x)))


@layers("products")
@given(st.data())
def test_products(data: Any) -> None:
    draw = data.draw
    sizes = st.integers(1, 6)
    lead = tuple(draw(st.lists(sizes, min_size=1, max_size=4)))
    if draw(st.booleans()):
        x, out, bias = (*lead, draw(sizes)), draw(sizes), draw(st.booleans())
        check_agrees(
            Case("linear", (x,), {"out": out, "bias": bias}), lambda: nn.Linear(x[-1], out, bias), range(len(x) - 1)
        )
        return
    m, k, n = draw(sizes), draw(sizes), draw(sizes)
    other = tuple(draw(st.sampled_from([s, s, s, 1])) for s in lead)
    inner = draw(st.sampled_from([k, k, k, k + 1]))
    check_agrees(Case("matmul", ((*lead, m, k), (*other, inner, n)), {}), lambda: Call(torch.matmul), ())


@layers("norms")
@given(st.data())
def test_norms(data: Any) -> None:
    draw = data.draw
    x = draw(images())
    rank, affine, track = len(x) - 2, draw(st.booleans()), draw(st.booleans())
    o: dict[str, Any] = {"affine": affine}
    key = draw(st.sampled_from(["batch_norm", "instance_norm", "group_norm", "layer_norm", "lrn"]))
    if key in ("batch_norm", "instance_norm"):
        norm = getattr(nn, f"{'Batch' if key == 'batch_norm' else 'Instance'}Norm{rank}d")
        o["track_running_stats"] = track
        check_agrees(Case(key, (x,), o), lambda: norm(x[1], **o), (0, *spatial(x)))
    elif key == "group_norm":
        groups = draw(GROUPS)
        check_agrees(
            Case(key, (x,), {"groups": groups, **o}), lambda: nn.GroupNorm(groups, x[1], **o), (0, *spatial(x))
        )
    elif key == "layer_norm":
        axes = draw(st.integers(1, len(x) - 1))
        o["bias"] = track
        check_agrees(
            Case(key, (x,), {"axes": axes, **o}),
            lambda: nn.LayerNorm(x[-axes:], elementwise_affine=affine, bias=track),
            range(len(x) - axes),
        )
    else:
        size = draw(st.integers(1, 7))
        check_agrees(Case(key, (x,), {"size": size}), lambda: nn.LocalResponseNorm(size), (0, *spatial(x)))


@layers("joins")
@given(st.data())
def test_joins(data: Any) -> None:
    draw = data.draw
    x = tuple(draw(st.lists(st.integers(1, 5), min_size=2, max_size=5)))
    count = draw(st.integers(1, 3))
    key = draw(st.sampled_from(["add", "subtract", "multiply", "maximum", "concat"]))
    count = 1 if key == "subtract" else count
    if key == "concat":
        axis = draw(st.integers(1, len(x) - 1)) * draw(st.sampled_from([1, 1, -1]))
        wrong = draw(st.integers(0, 9)) == 0
        others = []
        for _ in range(count):
            other = list(x)
            other[axis] = draw(st.integers(1, 5))
            other[0] += wrong
            others.append(tuple(other))
        if axis == -len(x):
            return
        check_agrees(Case(key, (x, *others), {"axis": axis}), lambda: Call(lambda *t: torch.cat(t, axis)), ())
        return
    others = [tuple(draw(st.sampled_from([n, n, n, 1, n + 1])) for n in x) for _ in range(count)]
    join = {"add": torch.add, "subtract": torch.sub, "multiply": torch.mul, "maximum": torch.maximum}[key]

    def joined(first: Any, *rest: Any) -> Any:
        for t in rest:
            first = join(first, t)
        return first

    check_agrees(Case(key, (x, *others), {}), lambda: Call(joined), ())


@layers("parts")
@given(st.data())
def test_parts(data: Any) -> None:
    draw = data.draw
    x = tuple(draw(st.lists(st.integers(1, 9), min_size=2, max_size=4)))
    axis = draw(st.integers(1, len(x) - 1))
    n, others = x[axis], tuple(a for a in range(len(x)) if a != axis)
    kind = draw(st.sampled_from(["chunk", "split", "slice"]))
    if kind == "chunk":
        parts, part = draw(st.integers(1, 6)), draw(st.integers(0, 5))
        o: dict[str, Any] = {"parts": parts, "part": part, "axis": axis}
        check_agrees(Case("split", (x,), o), lambda: Call(lambda t: t.chunk(parts, axis)[part]), others)
    elif kind == "split":
        sizes = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=3)))
        if draw(st.booleans()):
            sizes = (*sizes, n - sum(sizes)) if sum(sizes) < n else (n,)
        part = draw(st.integers(0, len(sizes) - 1))
        o = {"parts": sizes, "part": part, "axis": axis - len(x)}
        check_agrees(Case("split", (x,), o), lambda: Call(lambda t: t.split(sizes, axis)[part]), others)
    else:
        # PyTorch clips a slice to what there is; here one that reaches beyond is taken for a mistake.
        start, stop = (draw(st.none() | st.integers(-n, n)) for _ in range(2))
        step = draw(st.integers(1, 3))
        index = (*(slice(None),) * axis, slice(start, stop, step))
        check_agrees(
            Case("slice", (x,), {"range": (start, stop), "axis": axis, "step": step}),
            lambda: Call(lambda t: t[index]),
            others,
        )
