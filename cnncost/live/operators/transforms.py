"""Fourier transforms.

A complex transform of n points counts as the radix-2 one does, log2 n rounded up: n / 2 butterflies
in each of log2 n stages, of a complex product (4 multiplications, 2 additions) and two complex sums
(2 additions each). One of real numbers, in or out, is half of that. (Cooley & Tukey 1965)
"""

from __future__ import annotations

from math import prod

from cnncost.cost import Operations
from cnncost.live.operators.base import Call, Layer, rule
from cnncost.ops.seen import Seen


@rule("_fft_c2c")
def complex_transform(call: Call) -> Layer:
    return _transform(call, _stages(call.x, call["dim"]))


@rule("_fft_r2c")
def from_real(call: Call) -> Layer:
    """Along the last of the axes first, where half of the result is that of the other half."""
    *others, last = call["dim"]
    half = tuple(n // 2 + 1 if axis == last % len(call.x) else n for axis, n in enumerate(call.x))
    return _transform(call, _stages(call.x, (last,)) / 2 + _stages(half, others))


@rule("_fft_c2r")
def to_real(call: Call) -> Layer:
    *others, last = call["dim"]
    return _transform(call, _stages(call.x, others) + _stages(call.y, (last,)) / 2)


def _stages(shape: tuple[int, ...], axes: tuple[int, ...]) -> float:
    """Elements of a complex tensor times stages, for transforms along axes."""
    return prod(shape) * sum((shape[axis] - 1).bit_length() for axis in axes)


def _transform(call: Call, stages: float) -> Layer:
    """Also the product of every result with 1 / n or its root, where the transform is normalised."""
    parts = 2 if call.outs[0].is_complex() else 1
    scaled = call.n * parts * (call["normalization"] != 0)
    done = Operations(additions=int(3 * stages), multiplications=int(2 * stages) + scaled)
    return Layer(Seen("fft", call.y, done=done), (call["self"],))
