"""Normalisation of each position by its length."""

from __future__ import annotations

from typing import Any

from cnncost.cost import Operations
from cnncost.dims import Shape, Size, numel
from cnncost.ops.axes import channels_of
from cnncost.ops.base import Sight, all_but, layer, unmoved
from cnncost.ops.keeping import Kept, Temporary
from cnncost.ops.norm import Norm
from cnncost.ops.tape import Call
from cnncost.ops.tapes import l2_norm
from cnncost.options import Flag, Real


@layer
class L2Norm(Norm):
    """Each position's channels divided by their length, then scaled by channel. (Liu et al. 2016, SSD's conv4_3)

    affine: the learned scale. An element: squared, added, divided, scaled; a position: one root,
    and one comparison with eps, which the length is at least.
    """

    key, main = "l2_norm", None
    eps: Real = 1e-12
    affine: Flag = True
    bias = False

    def shape(self, x: Shape) -> Shape:
        channels_of(self, x)
        return x

    def other_params(self, x: Shape) -> Size:
        return x[1] * self.affine

    def operations(self, y: Shape, x: Shape) -> Operations:
        n, positions = numel(y), numel(x[:1]) * numel(x[2:])
        return Operations(
            additions=n - positions,
            multiplications=n * (1 + self.affine),
            comparisons=positions,
            divisions=n,
            exponentials=positions,
        )

    def sight(self, y: Shape, x: Shape) -> Sight:
        return all_but(unmoved(len(y)), 1)

    def keeps(self, y: Shape, x: Shape) -> tuple[Kept, ...]:
        """The input, its lengths before and after the limit, and what the scale multiplies."""
        positions = numel(x[:1]) * numel(x[2:])
        return Kept("input", numel(x)), Kept("extra", 2 * positions + numel(x) * self.affine)

    def temporaries(self, y: Shape, x: Shape) -> tuple[Temporary, ...]:
        return (Temporary(numel(x) if self.affine else numel(x[:1]) * numel(x[2:])),)  # the quotients, or the lengths

    def tape(self, y: Shape, x: Shape) -> tuple[Call, ...]:
        return l2_norm(self, x)

    def module(self, torch: Any, x: Shape) -> Any:
        affine, eps = self.affine, self.eps

        class Normalise(torch.nn.Module):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.scale = torch.nn.Parameter(torch.ones(x[1])) if affine else None

            def forward(self, t: Any) -> Any:
                t = torch.nn.functional.normalize(t, dim=1, eps=eps)
                return t if self.scale is None else t * self.scale.view(-1, *(1,) * (len(x) - 2))

        return Normalise()
