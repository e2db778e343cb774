"""Sliding windows: what convolutions and pools share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnncost.dims import AXES, Shape, Size, Window, ceil_div, decided, is_array, larger, numel, require
from cnncost.ops.axes import by_axis, one_per_axis, spatial_rank
from cnncost.ops.base import Along, Op, Sight
from cnncost.ops.keeping import Kept, Temporary
from cnncost.ops.modules import pad_module
from cnncost.ops.tape import Call, Saved
from cnncost.options import Flag, Pads, Sizes, spelled


class Windowed(Op):
    """Shared by convolutions and pools: a window slides over every spatial axis."""

    if TYPE_CHECKING:
        kernel: Sizes
        stride: Any
        padding: Pads
        dilation: Sizes
        ceil_mode: Flag

    def check(self) -> None:
        steps = self.step if isinstance(self.step, tuple) else (self.step,)
        if isinstance(self.padding, str) and self.padding == "same" and any(is_array(s) or s != 1 for s in steps):
            raise self.fault(
                "padding",
                f"padding same needs stride 1, as in PyTorch, and stride is {spelled(self.step)}",
                "for TensorFlow's rule with strides write same_tf",
            )

    def fitted_to(self, x: Shape) -> tuple[Any, ...]:
        return (*super().fitted_to(x), len(x))  # a 1x1 kernel has as many weights as a 1x1x1

    @property
    def step(self) -> Any:
        """The stride; pools use the kernel where none is given."""
        return self.stride

    def windows(self, x: Shape) -> tuple[Window, ...]:
        rank = spatial_rank(self, x)
        kernel = one_per_axis(self.kernel, rank, "kernel")
        stride = one_per_axis(self.step, rank, "stride")
        dilation = one_per_axis(self.dilation, rank, "dilation")
        padding = one_per_axis(self.padding, rank, "padding")
        return tuple(
            Window(n, k, s, d, *sides(p, n, k, s, d)) for n, k, s, d, p in zip(x[2:], kernel, stride, dilation, padding)
        )

    def places(self, x: Shape) -> Shape:
        """Output sizes along the spatial axes."""
        windows = self.windows(x)
        return tuple(w.places(axis, self.ceil_mode) for w, axis in zip(windows, AXES[len(windows)]))

    def taps(self, x: Shape) -> Size:
        """Elements under one window, dilation or not: the product of the kernel's sizes."""
        return numel(one_per_axis(self.kernel, len(x) - 2, "kernel"))

    def sight(self, y: Shape, x: Shape) -> Sight:
        moves = (Along(a, w.reach, w.stride, w.before) for a, w in enumerate(self.windows(x), 2))
        return (None, *moves)

    def uneven(self, x: Shape) -> Size:
        """1 where PyTorch needs a pad layer before, else 0.

        Its own padding is the same on both sides, and in pools at most half of the kernel.
        """
        even: Size = 1
        for w in self.windows(x):
            even = even * (w.before == w.after)
            if not self.weighted:
                even = even * (2 * w.before <= w.kernel)
        return 1 - even

    def padded(self, x: Shape) -> Shape:
        """The input with uneven padding, in ceil mode up to the end of the last window; see torch_padding."""
        windows = self.windows(x)
        if self.ceil_mode:
            return (*x[:2], *((m - 1) * w.stride + w.reach for w, m in zip(windows, self.places(x))))
        return (*x[:2], *(w.n + w.before + w.after for w in windows))

    def padded_copy(self, x: Shape) -> Size:
        """Elements of what a pad layer before makes of the input; 0 where PyTorch needs none."""
        return numel(self.padded(x)) * self.uneven(x)

    def keeps_padded(self, x: Shape) -> tuple[Kept, ...]:
        """The input, or what a pad layer before makes of it."""
        return Kept("input", numel(x) * (1 - self.uneven(x))), Kept("extra", self.padded_copy(x))

    def temporaries(self, y: Shape, x: Shape) -> tuple[Temporary, ...]:
        return (Temporary(self.padded_copy(x)),)

    def pads_first(self, x: Shape) -> bool:
        """Whether its module pads the input before. Where sizes decide, and are arrays, that is left out."""
        return getattr(self, "padding_mode", "zeros") != "zeros" or decided(self.uneven(x) == 1, False)

    def pad_call(self, x: Shape) -> Call:
        """The pad before; a pad of what the input holds keeps that for its size."""
        keeps = (Saved(0, numel(x)),) if getattr(self, "padding_mode", "zeros") in ("reflect", "replicate") else ()
        return Call((0,), numel(self.padded(x)), (numel(x),), None, keeps)

    def tape(self, y: Shape, x: Shape) -> tuple[Call, ...]:
        (call,) = super().tape(y, x)
        if not self.pads_first(x):
            return (call,)
        padded = numel(self.padded(x))
        indices = (kept for kept in call.keeps if kept.itemsize is not None)
        return self.pad_call(x), call._replace(takes=(1,), gives=(padded,), keeps=(Saved(1, padded), *indices))

    def window_text(self, x: Shape) -> str:
        """kernel/stride and dilation where they are not 1, as in 11x11/4 or 3x3 d2."""
        kernel = one_per_axis(self.kernel, len(x) - 2, "kernel")
        stride, dilation = by_axis(self.step), by_axis(self.dilation)
        slow, dense = set(stride.split("x")) == {"1"}, set(dilation.split("x")) == {"1"}
        return "x".join(map(str, kernel)) + ("" if slow else f"/{stride}") + ("" if dense else f" d{dilation}")


def sides(padding: Any, n: Size, kernel: Size, stride: Size, dilation: Size) -> tuple[Size, Size]:
    """Padding before and after one axis.

    same: dilation x (kernel - 1) in all, the odd element after (PyTorch).
    same_tf: as much as makes ceil(n / stride) places, the odd element after (TensorFlow).
    """
    if isinstance(padding, tuple):
        return padding
    if not isinstance(padding, str):
        return padding, padding
    if padding == "valid":
        return 0, 0
    reach = dilation * (kernel - 1) + 1
    both: Size = reach - 1
    if padding == "same_tf":
        covered: Size = (ceil_div(n, stride) - 1) * stride + reach
        both = larger(covered - n, 0)
    return both // 2, both - both // 2


def torch_padding(torch: Any, op: Windowed, x: Shape, value: float = 0.0) -> tuple[Any, list[Any]]:
    """(padding argument, layers to put before) with which a torch module pads as `op` does.

    What PyTorch's modules cannot pad themselves becomes an explicit pad before them.
    """
    windows = op.windows(x)
    if not op.uneven(x):
        return tuple(w.before for w in windows), []
    both = [(w.before, w.after) for w in windows]
    if op.ceil_mode:  # up to the end of the last window, for PyTorch would not know input from padding
        both = [(w.before, (m - 1) * w.stride + w.reach - w.n - w.before) for w, m in zip(windows, op.places(x))]
    mode = getattr(op, "padding_mode", "zeros")  # pools have none
    return 0, [pad_module(torch, both, "constant" if mode == "zeros" else mode, value)]


def require_room(mode: str, n: Size, before: Size, after: Size, axis: str) -> None:
    """Raise ShapeError where an axis of `n` elements cannot be padded from its own elements."""
    if mode not in ("reflect", "circular"):
        return
    room = n - (mode == "reflect")
    require(
        (before <= room) & (after <= room),
        "padding by {before} and {after} with mode {mode} takes at most {room} of the {n} elements ({axis})",
        before=before,
        after=after,
        mode=mode,
        room=room,
        n=n,
        axis=axis,
        hint="pad less, or with mode replicate",
    )
