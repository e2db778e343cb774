"""Axes of an input: which there are, options with a value for each, and whether sizes divide."""

from __future__ import annotations

from typing import Any

from cnncost.dims import Shape, Size, require, shown
from cnncost.errors import ShapeError, counted
from cnncost.ops.base import Op
from cnncost.options import spelled

SPATIAL_AT_MOST = 3


def spatial_rank(op: Op, x: Shape) -> int:
    """The number of spatial axes of N x C x spatial; raises ShapeError unless it is 1 to 3."""
    rank = len(x) - 2
    if not 1 <= rank <= SPATIAL_AT_MOST:
        raise ShapeError(
            f"{op.key} slides over 1 to 3 spatial axes and its input is {shown(x)}, with {max(rank, 0)}",
            hint="inputs are batch x channels x length, height x width, or depth x height x width; "
            "for vectors use linear, or reshape first",
        )
    return rank


def channels_of(op: Op, x: Shape) -> Size:
    """The size of the channel axis; raises ShapeError where there is none."""
    if len(x) < 2:
        raise ShapeError(f"{op.key} works on channels and its input {shown(x)} has none")
    return x[1]


def one_per_axis(value: Any, rank: int, option: str) -> tuple[Any, ...]:
    """`value` for each of `rank` axes; a list must have one entry an axis."""
    if not isinstance(value, tuple):
        return (value,) * rank
    if len(value) != rank:
        raise ShapeError(
            f"{option} {spelled(value)} has {counted(len(value), 'entry', 'entries')} "
            f"and the input has {counted(rank, 'spatial axis', 'spatial axes')}",
            hint=f"for before and after write [{spelled(value)}]"
            if rank == 1 and len(value) == 2 and option in ("padding", "amount")
            else f"give one number for all axes, or {rank}",
        )
    return value


def by_axis(value: Any) -> str:
    """A per-axis option for tables: 3, or (3, 1) as 3x1."""
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


def along(op: Any, x: Shape, axis: int) -> int:
    """An axis number counted from 0, from the end where negative; raises ShapeError for the batch or none."""
    index = axis + len(x) if axis < 0 else axis
    require(
        1 <= index < len(x),
        "{key} along axis {axis} and the input has axes 1 to {last}",
        key=op.key,
        axis=axis,
        last=len(x) - 1,
        hint="axis 0 is the batch; negative axes count from the end",
    )
    return index


def divides(groups: Size, channels: Size, which: str) -> None:
    """Raise ShapeError unless `groups` divides `channels`."""
    if type(groups) is int and groups == 1:
        return
    require(
        channels % groups == 0,
        "groups {groups} does not divide the {which} channels, {channels}",
        groups=groups,
        channels=channels,
        which=which,
        hint="choose a divisor of {channels}",
    )
