"""The torch modules of convolutions that torch.nn has none for. torch is passed in: nothing here imports it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnncost.dims import Shape, numel
from cnncost.ops.modules import in_order, pad_module
from cnncost.ops.window import torch_padding

if TYPE_CHECKING:
    from cnncost.ops.conv import LocalConv, PartialConv


def local_module(torch: Any, op: LocalConv, x: Shape) -> Any:
    """Windows unfolded axis by axis, then one matrix product a place."""
    places = op.places(x)
    groups, fan_in = op.groups, op.fan_in(x)
    both = [(w.before, w.after) for w in op.windows(x)]

    class Local(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.pad = pad_module(torch, both, "constant", 0.0)
            self.weight = torch.nn.Parameter(torch.empty(numel(places), groups, fan_in, op.out // groups))
            self.bias = torch.nn.Parameter(torch.empty(op.out, *places)) if op.bias else None
            for p in self.parameters():
                torch.nn.init.uniform_(p, -0.1, 0.1)

        def forward(self, t: Any) -> Any:
            t, batch = self.pad(t), t.shape[0]
            for axis, w in enumerate(op.windows(x), 2):
                t = t.unfold(axis, w.reach, w.stride)[..., :: w.dilation]
            # N x C x places x taps -> places x groups x N x fan_in, copied once
            rank = len(places)
            order = (*range(3, 3 + rank), 1, 0, 2, *range(3 + rank, 3 + 2 * rank))
            t = t.unflatten(1, (groups, -1)).permute(order).clone(memory_format=torch.contiguous_format)
            t = torch.matmul(t.view(numel(places), groups, batch, fan_in), self.weight)
            t = t.permute(2, 1, 3, 0).reshape(batch, op.out, *places)
            return t if self.bias is None else t + self.bias

    return Local()


def partial_module(torch: Any, op: PartialConv, x: Shape) -> Any:
    """One convolution over its own input channels for each output channel."""
    conv = getattr(torch.nn, f"Conv{len(x) - 2}d")
    padding, before = torch_padding(torch, op, x)

    class Partial(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.pad = in_order(torch, before) if before else torch.nn.Identity()
            self.maps = torch.nn.ModuleList(
                conv(len(row), 1, op.kernel, op.stride, padding, op.dilation, bias=op.bias) for row in op.maps
            )

        def forward(self, t: Any) -> Any:
            t = self.pad(t)
            return torch.cat([f(t[:, list(row)]) for f, row in zip(self.maps, op.maps)], 1)

    return Partial()
