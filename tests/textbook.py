"""Every op written out in scalar arithmetic that counts itself: an independent source of operation counts.

Each function is the formula of the op's docstring over numbers that tally what is done to them; a
test compares the values with PyTorch's, so the arithmetic that is counted is the arithmetic that
gives the result. Conventions: numbers known before the input (weights of an interpolation, folded
statistics) are free, a change of sign is free, of two branches both are computed, and a sum of n
terms is n - 1 additions. Needs no PyTorch.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from functools import reduce
from itertools import product
from typing import Any

import numpy as np
from cases import Case

TALLY: Counter[str] = Counter()
KINDS = ("additions", "multiplications", "comparisons", "divisions", "exponentials")


class Num:
    """A number that counts the operations it takes part in."""

    __slots__ = ("value",)

    def __init__(self, value: float) -> None:
        self.value = float(value)

    def __add__(self, other: Any) -> Num:
        TALLY["additions"] += 1
        return Num(self.value + plain(other))

    def __sub__(self, other: Any) -> Num:
        TALLY["additions"] += 1
        return Num(self.value - plain(other))

    def __rsub__(self, other: Any) -> Num:
        TALLY["additions"] += 1
        return Num(plain(other) - self.value)

    def __mul__(self, other: Any) -> Num:
        TALLY["multiplications"] += 1
        return Num(self.value * plain(other))

    def __truediv__(self, other: Any) -> Num:
        TALLY["divisions"] += 1
        return Num(self.value / plain(other))

    def __rtruediv__(self, other: Any) -> Num:
        TALLY["divisions"] += 1
        return Num(plain(other) / self.value)

    def __gt__(self, other: Any) -> bool:
        TALLY["comparisons"] += 1
        return self.value > plain(other)

    def __neg__(self) -> Num:
        return Num(-self.value)

    def __abs__(self) -> Num:
        return Num(abs(self.value))

    __radd__, __rmul__ = __add__, __mul__


def plain(x: Any) -> float:
    return x.value if isinstance(x, Num) else float(x)


def _exponential(function: Callable[[float], float]) -> Callable[[Num], Num]:
    def counted(x: Num) -> Num:
        TALLY["exponentials"] += 1
        return Num(function(x.value))

    return counted


exp, log, sqrt, erf = map(_exponential, (math.exp, math.log, math.sqrt, math.erf))


def power(x: Num, p: float) -> Num:
    TALLY["exponentials"] += 1
    return Num(x.value**p)


def largest(*xs: Any) -> Any:
    return reduce(lambda a, b: a if a > b else b, xs)


def total(xs: Iterable[Any]) -> Any:
    return reduce(lambda a, b: a + b, xs)


def accumulate(xs: Any, ws: Any) -> Num:
    """A sum of products, one MAC each."""
    TALLY["macs"] += len(xs)
    return Num(float(np.dot(xs, ws)))


numbers = np.vectorize(Num, otypes=[object])
values = np.vectorize(plain, otypes=[float])


# ---- scalars ----------------------------------------------------------------------------------


def tanh(x: Num) -> Num:
    e = exp(2 * x)
    return (e - 1) / (e + 1)


def sigmoid(x: Num) -> Num:
    return 1 / (1 + exp(-x))


def elu(x: Num, alpha: float) -> Num:
    negative = alpha * (exp(x) - 1)
    return x if x > 0 else negative


def celu(x: Num, alpha: float) -> Num:
    negative = alpha * (exp(x / alpha) - 1)
    return x if x > 0 else negative


def leaky(x: Num, slope: float) -> Num:
    negative = slope * x
    return x if x > 0 else negative


def clamp(x: Num, low: float, high: float) -> Num:
    x = Num(low) if Num(low) > x else x
    return Num(high) if x > high else x


def hard_sigmoid(x: Num) -> Num:
    return clamp(x + 3, 0, 6) / 6


def gelu(x: Num, approximate: str) -> Num:
    if approximate == "none":
        return 0.5 * x * (1 + erf(math.sqrt(0.5) * x))
    return 0.5 * x * (1 + tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))))


def softplus(x: Num, beta: float, threshold: float) -> Num:
    z = beta * x
    soft = log(1 + exp(z)) / beta
    return x if z > threshold else soft


SELU = (1.6732632423543772848170429916717, 1.0507009873554804934193349852946)

SCALAR: dict[str, Callable[[Num, Any], Num]] = {
    "relu": lambda x, o: largest(x, Num(0)),
    "relu6": lambda x, o: clamp(x, 0, 6),
    "leaky_relu": lambda x, o: leaky(x, o.slope),
    "elu": lambda x, o: elu(x, o.alpha),
    "selu": lambda x, o: SELU[1] * elu(x, SELU[0]),
    "celu": lambda x, o: celu(x, o.alpha),
    "gelu": lambda x, o: gelu(x, o.approximate),
    "sigmoid": lambda x, o: sigmoid(x),
    "log_sigmoid": lambda x, o: -log(1 + exp(-x)),
    "hard_sigmoid": lambda x, o: hard_sigmoid(x),
    "tanh": lambda x, o: tanh(x),
    "scaled_tanh": lambda x, o: o.amplitude * tanh(o.slope * x),
    "hard_tanh": lambda x, o: clamp(x, o.low, o.high),
    "silu": lambda x, o: x * sigmoid(x),
    "hard_swish": lambda x, o: x * hard_sigmoid(x),
    "softplus": lambda x, o: softplus(x, o.beta, o.threshold),
    "mish": lambda x, o: x * tanh(log(1 + exp(x))),
    "softsign": lambda x, o: x / (1 + abs(x)),
    "square": lambda x, o: x * x,
    "complement": lambda x, o: 1 - x,
}


# ---- windows ----------------------------------------------------------------------------------


def per_axis(value: Any, rank: int) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,) * rank


class Windows:
    """The sliding windows of an op, with the sizes of its output as given."""

    def __init__(self, op: Any, x: tuple[int, ...], y: tuple[int, ...]) -> None:
        rank = len(x) - 2
        self.rank, self.n, self.y = rank, x[2:], y[2:]
        self.kernel = per_axis(op.kernel, rank)
        self.stride = self.kernel if op.stride is None else per_axis(op.stride, rank)
        self.dilation = per_axis(op.dilation, rank)
        self.declared = [self._sides(axis, p) for axis, p in enumerate(per_axis(op.padding, rank))]

    def reach(self, axis: int) -> int:
        return self.dilation[axis] * (self.kernel[axis] - 1) + 1

    def last(self, axis: int) -> int:
        """One beyond the last element of the last window, in the padded input."""
        return (self.y[axis] - 1) * self.stride[axis] + self.reach(axis)

    def _sides(self, axis: int, padding: Any) -> tuple[int, int]:
        if isinstance(padding, tuple):
            return padding
        if isinstance(padding, int):
            return padding, padding
        both = 0 if padding == "valid" else max(self.last(axis) - self.n[axis], 0)
        return both // 2, both - both // 2

    def padded(self, x: Any, fill: Any, mode: str = "zeros") -> Any:
        """`x` with its padding, and with `fill` as far as a last cut window reaches."""
        lead = [(0, 0)] * (x.ndim - self.rank)
        if mode == "zeros":
            x = np.pad(x, lead + self.declared, constant_values=fill)
        else:
            x = np.pad(x, lead + self.declared, {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode])
        more = [(0, max(self.last(a) - x.shape[x.ndim - self.rank + a], 0)) for a in range(self.rank)]
        return np.pad(x, lead + more, constant_values=fill)

    def __iter__(self) -> Any:
        """(place, index of its taps along the last axes)."""
        for place in np.ndindex(*self.y):
            yield (
                place,
                tuple(
                    slice(o * s, o * s + self.reach(a), d)
                    for a, (o, s, d) in enumerate(zip(place, self.stride, self.dilation))
                ),
            )


def sliding(op: Any, y: tuple[int, ...], x: Any, fill: float, of: Callable[[list[Num]], Num]) -> Any:
    """`of` the taps of every window of every channel."""
    out = np.empty(y, object)
    windows = Windows(op, x.shape, y)
    padded = windows.padded(numbers(x), Num(fill))
    for n, c in np.ndindex(*y[:2]):
        for place, taps in windows:
            out[(n, c, *place)] = of(list(padded[(n, c, *taps)].flat))
    return out


def avg_pool(op: Any, y: tuple[int, ...], x: Any) -> Any:
    windows = Windows(op, x.shape, y)
    counted = np.ones(x.shape[2:])
    counted = windows.padded(counted, 0.0)
    if op.count_include_pad:
        counted = np.ones([n + before + after for n, (before, after) in zip(x.shape[2:], windows.declared)])
        counted = np.pad(counted, [(0, max(m - n, 0)) for n, m in zip(counted.shape, map(windows.last, range(10)))])
    sums = sliding(op, y, x, 0.0, total)
    for place, taps in windows:
        terms = op.divisor_override or counted[taps].sum()
        for n, c in np.ndindex(*y[:2]):
            sums[(n, c, *place)] = sums[(n, c, *place)] / terms
    return sums


def l2_pool(op: Any, y: tuple[int, ...], x: Any) -> Any:
    p = op.power
    if p == 1:
        return sliding(op, y, x, 0.0, total)
    raised = (lambda t: t * t) if p == 2 else (lambda t: power(t, p))
    root = sqrt if p == 2 else (lambda t: power(t, 1 / p))
    return sliding(op, y, x, 0.0, lambda taps: root(total(map(raised, taps))))


def adaptive(op: Any, y: tuple[int, ...], x: Any, of: Callable[[list[Num]], Num]) -> Any:
    out, x = np.empty(y, object), numbers(x)
    for place in np.ndindex(*y):
        spans = (slice(i * n // m, -(-(i + 1) * n // m)) for i, n, m in zip(place[2:], x.shape[2:], y[2:]))
        out[place] = of(list(x[(*place[:2], *spans)].flat))
    return out


def roi_pool(op: Any, y: tuple[int, ...], x: Any) -> Any:
    """Every region pooled by itself; they go in even steps from the first corner of the map to the last."""
    given = zip(per_axis(op.region, x.ndim - 2), x.shape[2:])
    sizes = [n if size is None else size for size, n in given]
    pooled = []
    for image, number in np.ndindex(len(x), op.rois):
        corner = [(n - size) * number // max(op.rois - 1, 1) for n, size in zip(x.shape[2:], sizes)]
        span = tuple(slice(first, first + size) for first, size in zip(corner, sizes))
        region = x[(slice(image, image + 1), slice(None), *span)]
        pooled.append(adaptive(op, (1, *y[1:]), region, lambda taps: largest(*taps)))
    return np.concatenate(pooled)


def mean(xs: list[Num]) -> Num:
    return total(xs) / len(xs)


def convolution(op: Any, y: tuple[int, ...], x: Any, p: dict[str, Any]) -> Any:
    out = np.empty(y, object)
    windows = Windows(op, x.shape, y)
    padded = windows.padded(x, 0.0, getattr(op, "padding_mode", "zeros"))
    key = type(op).key
    groups = x.shape[1] if key == "depthwise_conv" else 1 if key == "partial_conv" else op.groups
    into, outs = x.shape[1] // groups, y[1] // groups
    for number, (place, taps) in enumerate(windows):
        for n, o in np.ndindex(*y[:2]):
            g = o // outs
            if key == "partial_conv":
                chosen, w = list(op.maps[o]), p[f"maps.{o}.weight"][0]
            else:
                chosen = list(range(g * into, (g + 1) * into))
                w = p["weight"][number, g, :, o % outs] if key == "local_conv" else p["weight"][o]
            t = accumulate(padded[n][(chosen, *taps)].ravel(), w.ravel())
            if op.bias:
                own = p[f"maps.{o}.bias"] if key == "partial_conv" else p["bias"]
                t = t + (own[0] if key == "partial_conv" else own[(o, *place)] if key == "local_conv" else own[o])
            out[(n, o, *place)] = t
    return out


def transposed(op: Any, y: tuple[int, ...], x: Any, p: dict[str, Any]) -> Any:
    """Every input element times its kernel, added where it falls; what falls outside was computed too."""
    rank = x.ndim - 2
    stride, dilation, padding = (per_axis(getattr(op, o), rank) for o in ("stride", "dilation", "padding"))
    w, outs, into = p["weight"], y[1] // op.groups, x.shape[1] // op.groups
    sums = np.zeros(y)
    for n, c in np.ndindex(*x.shape[:2]):
        for at, o, tap in product(np.ndindex(*x.shape[2:]), range(outs), np.ndindex(*w.shape[2:])):
            TALLY["macs"] += 1
            place = tuple(i * s + t * d - q for i, s, t, d, q in zip(at, stride, tap, dilation, padding))
            if all(0 <= i < m for i, m in zip(place, y[2:])):
                sums[(n, c // into * outs + o, *place)] += x[(n, c, *at)] * w[(c, o, *tap)]
    out = numbers(sums)
    if op.bias:
        for place in np.ndindex(*y):
            out[place] = out[place] + p["bias"][place[1]]
    return out


# ---- norms ------------------------------------------------------------------------------------


def standardised(sets: Iterable[Any], x: Any, eps: float) -> Any:
    """(x - mean) / sqrt(variance + eps) over sets of elements, each an index of `x`."""
    out = np.empty(x.shape, object)
    for index in sets:
        xs = list(x[index].flat)
        middle = mean(xs)
        centred = [t - middle for t in xs]
        factor = 1 / sqrt(mean([t * t for t in centred]) + eps)
        out[index] = np.array([t * factor for t in centred], object).reshape(x[index].shape)
    return out


def affine(x: Any, p: dict[str, Any], axis: int) -> Any:
    """Scale and shift along the axes from `axis` on that the parameters have."""
    for name, apply in (("weight", Num.__mul__), ("bias", Num.__add__)):
        if name in p:
            w = p[name].reshape(p[name].shape + (1,) * (x.ndim - axis - p[name].ndim))
            x = np.vectorize(apply, otypes=[object])(x, w)
    return x


def by_statistics(x: Any, p: dict[str, Any], eps: float) -> Any:
    scale = p.get("weight", 1.0) / np.sqrt(p["running_var"] + eps)
    folded = {"weight": scale, "bias": p.get("bias", 0.0) - p["running_mean"] * scale}
    return affine(x, folded, 1)


def normed(key: str, op: Any, x: Any, p: dict[str, Any]) -> Any:
    batch, channels = x.shape[:2]
    if key == "layer_norm":
        sets: Any = np.ndindex(*x.shape[: -op.axes])
        return affine(standardised(sets, x, op.eps), p, x.ndim - op.axes)
    if key in ("batch_norm", "instance_norm") and op.track_running_stats:
        return by_statistics(x, p, op.eps)
    if key == "batch_norm":
        sets = [(slice(None), c) for c in range(channels)]
    elif key == "instance_norm":
        sets = np.ndindex(batch, channels)
    else:
        each = channels // op.groups
        sets = [(n, slice(g * each, (g + 1) * each)) for n, g in np.ndindex(batch, op.groups)]
    return affine(standardised(sets, x, op.eps), p, 1)


def lrn(op: Any, x: Any) -> Any:
    squares = np.vectorize(lambda t: t * t, otypes=[object])(x)
    before = op.size // 2
    squares = np.pad(
        squares, [(0, 0), (before, op.size - 1 - before)] + [(0, 0)] * (x.ndim - 2), constant_values=Num(0)
    )
    out = np.empty(x.shape, object)
    for at in np.ndindex(*x.shape):
        window = squares[(at[0], slice(at[1], at[1] + op.size), *at[2:])]
        out[at] = x[at] / power(op.k + op.alpha / op.size * total(window), op.beta)
    return out


def l2_norm(op: Any, x: Any, p: dict[str, Any]) -> Any:
    out = np.empty(x.shape, object)
    for n, *place in np.ndindex(x.shape[0], *x.shape[2:]):
        index = (n, slice(None), *place)
        length = largest(sqrt(total(t * t for t in x[index])), Num(op.eps))
        out[index] = [t / length for t in x[index]]
    return affine(out, {"weight": p["scale"]} if op.affine else {}, 1)


# ---- along an axis ----------------------------------------------------------------------------


def softmax(row: list[Num]) -> list[Num]:
    top = largest(*row)
    powers = [exp(t - top) for t in row]
    below = total(powers)
    return [t / below for t in powers]


def log_softmax(row: list[Num]) -> list[Num]:
    top = largest(*row)
    shifted = [t - top for t in row]
    below = log(total(exp(t) for t in shifted))
    return [t - below for t in shifted]


def rowwise(x: Any, axis: int, of: Callable[[list[Num]], list[Num]]) -> Any:
    moved = np.moveaxis(x, axis, -1)
    rows = [of(list(moved[at])) for at in np.ndindex(*moved.shape[:-1])]
    flat = np.empty((len(rows), len(rows[0])), object)
    for i, row in enumerate(rows):
        flat[i] = row
    return np.moveaxis(flat.reshape(*moved.shape[:-1], -1), -1, axis)


# ---- interpolation ----------------------------------------------------------------------------


def cubic(t: float, a: float = -0.75) -> float:
    """Keys' kernel at distance t, with PyTorch's a."""
    t = abs(t)
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0.0


def taps_of(op: Any, o: int, n: int, m: int) -> list[tuple[int, float]]:
    """(input element, weight) of output element o along one axis, taps beyond the border moved onto it."""
    corners = o * (n - 1) / max(m - 1, 1)
    point = corners if op.align_corners else (o + 0.5) * n / m - 0.5
    if op.mode == "bicubic":
        first = math.floor(point) - 1
        pairs = [(i, cubic(point - i)) for i in range(first, first + 4)]
    else:
        point = max(point, 0.0)
        first = math.floor(point)
        pairs = [(first, 1 - (point - first)), (first + 1, point - first)]
    return [(min(max(i, 0), n - 1), w) for i, w in pairs]


def upsample(op: Any, y: tuple[int, ...], x: Any) -> Any:
    if op.mode == "area":
        return adaptive(op, y, x, mean)
    x, out = numbers(x), np.empty(y, object)
    for at in np.ndindex(*y):
        if op.mode.startswith("nearest"):
            half = 0 if op.mode == "nearest" else 1
            out[at] = x[(*at[:2], *((2 * o + half) * n // (2 * m) for o, n, m in zip(at[2:], x.shape[2:], y[2:])))]
            continue
        axes = [taps_of(op, o, n, m) for o, n, m in zip(at[2:], x.shape[2:], y[2:])]
        out[at] = total(
            x[(*at[:2], *(i for i, _ in corner))] * math.prod(w for _, w in corner) for corner in product(*axes)
        )
    return out


# ---- all --------------------------------------------------------------------------------------


def linear(op: Any, x: Any, p: dict[str, Any]) -> Any:
    out = np.empty((*x.shape[:-1], op.out), object)
    for *at, o in np.ndindex(*out.shape):
        t = accumulate(x[tuple(at)], p["weight"][o])
        out[(*at, o)] = t + p["bias"][o] if op.bias else t
    return out


def matmul(y: tuple[int, ...], a: Any, b: Any) -> Any:
    out = np.empty(y, object)
    a, b = np.broadcast_to(a, (*y[:-2], *a.shape[-2:])), np.broadcast_to(b, (*y[:-2], *b.shape[-2:]))
    for *at, i, j in np.ndindex(*y):
        out[(*at, i, j)] = accumulate(a[(*at, i)], b[(*at, slice(None), j)])
    return out


FREE = {
    "identity", "copy", "dropout", "stochastic_depth", "concat", "split", "slice", "flatten", "reshape", "permute",
    "pad", "channel_shuffle", "space_to_depth", "depth_to_space",
}  # fmt: skip
"""Ops that compute nothing: they move, rename or select elements, or act in training only."""


JOINS: dict[str, Callable[..., Num]] = {
    "add": Num.__add__,
    "subtract": Num.__sub__,
    "multiply": Num.__mul__,
    "maximum": largest,
}


def compute(case: Case, y: tuple[int, ...], p: dict[str, Any], *x: Any) -> Any:
    """The case's output as plain values, given PyTorch's output shape; TALLY then holds what it took."""
    TALLY.clear()
    return values(_compute(case.key, case.op(), y, p, *x))


def _compute(key: str, op: Any, y: tuple[int, ...], p: dict[str, Any], *x: Any) -> Any:
    rank = x[0].ndim - 2
    if key in SCALAR:
        return np.vectorize(lambda t: SCALAR[key](t, op), otypes=[object])(numbers(x[0]))
    if key in JOINS:
        step = JOINS[key]
        spread = [np.broadcast_to(numbers(t), y) for t in x]
        return reduce(np.vectorize(step, otypes=[object]), spread)
    if key == "linear":
        return linear(op, x[0], p)
    if key == "matmul":
        return matmul(y, *x)
    if key == "transposed_conv":
        return transposed(op, y, x[0], p)
    if key.endswith("_conv") or key == "conv":
        return convolution(op, y, x[0], p)
    if key == "max_pool":
        return sliding(op, y, x[0], -math.inf, lambda taps: largest(*taps))
    if key == "avg_pool":
        return avg_pool(op, y, x[0])
    if key == "l2_pool":
        return l2_pool(op, y, x[0])
    if key.startswith(("adaptive", "global")):
        of = mean if "avg" in key else (lambda taps: largest(*taps))
        return adaptive(op, (*y[:2], *(y[2:] or (1,) * rank)), x[0], of).reshape(y)
    if key == "roi_pool":
        return roi_pool(op, y, x[0])
    if key == "upsample":
        return upsample(op, y, x[0])
    t = numbers(x[0])
    if key == "lrn":
        return lrn(op, t)
    if key == "l2_norm":
        return l2_norm(op, t, p)
    if key.endswith("_norm"):
        return normed(key, op, t, p)
    if key == "scale":
        if not op.learned:
            t = np.vectorize(lambda v: v * op.value, otypes=[object])(t)
        return affine(t, p, op.axis % t.ndim)
    if key == "prelu":
        slopes = np.broadcast_to(p["weight"].reshape(1, -1, *(1,) * rank), t.shape)
        return np.vectorize(leaky, otypes=[object])(t, slopes)
    if key == "softmax":
        return rowwise(t, op.axis, softmax)
    if key == "log_softmax":
        return rowwise(t, op.axis, log_softmax)
    if key == "maxout":
        return np.vectorize(largest, otypes=[object])(*(t[:, i :: op.pieces] for i in range(op.pieces)))
    if key == "glu":
        first, second = np.split(t, 2, op.axis)
        return np.vectorize(lambda a, b: a * sigmoid(b), otypes=[object])(first, second)
    raise KeyError(key)
