"""A small model of how far layers of a kind stay behind the roofline, fitted to those that were measured.

For each kind of layer the logarithm of (measured time / least time) is taken as a Gaussian process
over the logarithms of the layer's sizes: a constant, a slope a size, and a smooth part by which near
shapes agree. (Rasmussen & Williams 2006, Gaussian Processes for Machine Learning, chapter 2: the
regression; section 5.4.2: leaving one out in closed form) With next to no data it is the least time
times a constant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import exp, log, log2
from typing import Any, NamedTuple

from cnncost.dims import Shape, numel
from cnncost.ops.base import Op

SIZES = ("arithmetic", "bytes", "channels in", "channels out", "positions", "batch", "kernel", "stride", "in place")
"""What tells layers of a kind apart; all but the last as the logarithm to base 2."""
LENGTHS = (1.0, 2.0, 4.0, 8.0)
"""Octaves over which shapes are near, to choose from."""
NOISES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
"""Variance of what sizes do not tell, over that of the smooth part, to choose from."""
SLOPE = 0.25
"""What the efficiency may change over an octave, over what it may change by shape."""
CONSTANT = 100.0
USUAL = 0.5
"""Standard deviation of the logarithm where too few were measured to know."""
FEW = 6
"""Points below which there is nothing to choose by, and no slope is fitted."""
CHOOSE_BY = 150
"""Points that length and noise are chosen by, at the most: a few more say the same."""
NEAR = 1.0
"""Octaves that no size of a near shape is away by."""
COVERS = 0.9
"""Part of the times that an interval is to cover."""
CONVOLUTIONS = ("conv", "depthwise_conv")
RECTIFIERS, RECTIFIER = ("relu", "relu6", "leaky_relu"), "rectifier"
"""Ops that do next to nothing but move their data, and one name for them."""
WIDE = 1.645
"""Standard deviations of a normal distribution that cover so much of it."""


def kind_of(op: Op, x: Sequence[Shape]) -> str:
    """Layers that are compared with each other: an op, and of convolutions those that run alike."""
    if op.key not in CONVOLUTIONS:
        return RECTIFIER if op.key in RECTIFIERS else op.key
    groups = _groups(op, x)
    if groups > 1:
        return "depthwise conv" if groups == x[0][1] else "grouped conv"
    return "pointwise conv" if _area(op.__dict__["kernel"]) == 1 else "conv"


def _groups(op: Op, x: Sequence[Shape]) -> Any:
    return x[0][1] if op.key == "depthwise_conv" else op.__dict__.get("groups", 1)


def sizes_of(op: Op, y: Shape, x: Sequence[Shape], flops: Any, moved: Any) -> tuple[float, ...]:
    """The sizes of a layer, as SIZES names them."""
    options: Any = op.__dict__
    groups = _groups(op, x)
    first: Any = x[0] if x else y
    out: Any = y
    channels_in, channels_out = (shape[1] if len(shape) > 1 else 1 for shape in (first, out))
    positions = numel(out) // (out[0] * channels_out)
    amounts = (
        flops,
        moved,
        channels_in // groups,
        channels_out // groups,
        positions,
        out[0],
        _area(options.get("kernel", 1)),
        _area(options.get("stride", 1)),
    )
    return (*(log2(max(1, n)) for n in amounts), float(bool(options.get("inplace"))))


def _area(value: Any) -> int:
    """Of a kernel or stride: a number for both ways, or one each."""
    if isinstance(value, tuple):
        area = 1
        for n in value:
            area *= n if isinstance(n, int) else 1
        return area
    return int(value) ** 2 if isinstance(value, int) else 1


class Point(NamedTuple):
    """A layer that was measured: its sizes, and the time over the least time."""

    sizes: tuple[float, ...]
    ratio: float


class Guess(NamedTuple):
    """What the model says of a layer: ratio to the least time, its range, near shapes, sizes outside those seen."""

    ratio: float
    low: float
    high: float
    near: int
    outside: tuple[str, ...]


class Model:
    """The model of one kind of layer. usual: see USUAL. Raises ValueError without points."""

    def __init__(self, points: Sequence[Point], names: Sequence[str] = SIZES, usual: float = USUAL) -> None:
        import numpy as np

        if not points:
            raise ValueError("no points")
        self.np, self.names, self.usual = np, tuple(names), usual
        self.x = np.array([point.sizes for point in points], dtype=float)
        self.y = np.log(np.array([point.ratio for point in points], dtype=float))
        self.middle = self.x.mean(axis=0)
        self._choose()

    def _covariance(self, a: Any, b: Any, length: float) -> Any:
        """Of the smooth part, slopes and constant between two sets of sizes; the smooth part has variance 1."""
        np = self.np
        apart = ((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=2)
        slopes = self.slope**2 * (a - self.middle) @ (b - self.middle).T
        return CONSTANT + slopes + np.exp(-apart / (2 * length**2))

    def _choose(self) -> None:
        """Length and noise with the highest density of each point given the others."""
        np, n = self.np, len(self.y)
        self.length, self.noise, self.slope = 2.0, 0.03, 0.0
        if n >= FEW:
            self.slope = SLOPE
            some = slice(None, None, -(-n // CHOOSE_BY))
            _, self.length, self.noise = min(
                (self._left_out(length, noise, some)[0], length, noise) for length in LENGTHS for noise in NOISES
            )
        _, self.inverse, self.weights, scale, standard = self._left_out(self.length, self.noise, slice(None))
        self.scale = scale if n >= FEW else self.usual**2
        wide = float(np.quantile(np.abs(standard), COVERS)) if n >= FEW else WIDE
        self.wide = max(wide, WIDE) if n < 3 * FEW else wide
        """Standard deviations that cover COVERS of the points when each is left out."""

    def _left_out(self, length: float, noise: float, some: slice) -> tuple[float, Any, Any, float, Any]:
        """With each of some points left out: how unlikely it is, inverse covariance, weights, scale, residuals."""
        np, x, y = self.np, self.x[some], self.y[some]
        inverse = np.linalg.inv(self._covariance(x, x, length) + noise * np.eye(len(y)))
        weights = inverse @ y
        variances = 1 / np.diag(inverse)
        residuals = weights * variances
        scale = max(float(np.mean(residuals**2 / variances)), 1e-12)
        unlikely = log(scale) + float(np.mean(np.log(variances)))
        return unlikely, inverse, weights, scale, residuals / np.sqrt(scale * variances)

    def log_ratios(self, sizes: Sequence[Sequence[float]]) -> tuple[Any, Any]:
        """Means and covariances of the logarithm of the ratio of layers; noise is each layer's own."""
        np = self.np
        at = np.array(sizes, dtype=float)
        across = self._covariance(at, self.x, self.length)
        mean = across @ self.weights
        own = self._covariance(at, at, self.length) + self.noise * np.eye(len(at))
        return mean, self.scale * (own - across @ self.inverse @ across.T)

    def without(self, members: Sequence[int]) -> tuple[Any, Any]:
        """The same of points by number, from all the others: leaving several out at once."""
        np, some = self.np, list(members)
        covariance = np.linalg.inv(self.inverse[np.ix_(some, some)])
        return self.y[some] - covariance @ self.weights[some], self.scale * covariance

    def guess(self, sizes: Sequence[float]) -> Guess:
        """What it says of a layer."""
        mean, covariance = self.log_ratios([sizes])
        middle, reach = float(mean[0]), self.wide * max(0.0, float(covariance[0, 0])) ** 0.5
        return Guess(
            exp(middle), exp(middle - reach), exp(middle + reach), self.near(sizes), tuple(self.outside(sizes))
        )

    def near(self, sizes: Sequence[float]) -> int:
        """Measured shapes that differ in no size by more than an octave."""
        return int((self.np.abs(self.x - self.np.array(sizes)).max(axis=1) <= NEAR + 1e-9).sum())

    def outside(self, sizes: Sequence[float]) -> Iterator[str]:
        """Sizes beyond those that were measured, in words."""
        for name, value, low, high in zip(self.names, sizes, self.x.min(axis=0), self.x.max(axis=0)):
            if name == SIZES[-1]:  # no size
                continue
            if value > high + 1e-9:
                yield f"{name} {2 ** (value - high):.3g}x above"
            elif value < low - 1e-9:
                yield f"{name} {2 ** (low - value):.3g}x below"
