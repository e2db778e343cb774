"""Names beside points, none over another: the more telling first, as many as there is room for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

AWAY = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
"""Sides of a point, the best first."""
REACH = (0.0, 5.0, 11.0, 18.0)
"""Points of an inch between a mark and its name, tried in turn; a line leads from afar."""
SIDES = {1: "left", 0: "center", -1: "right"}
HEIGHTS = {1: "bottom", 0: "center", -1: "top"}
POINTS_AN_INCH = 72


class Named(NamedTuple):
    """A point in the units of the axes, its name, and the radius of its mark in points of an inch."""

    x: float
    y: float
    name: str
    radius: float


def place(
    ax: Any, points: Sequence[Named], size: float, avoid: Sequence[Any] = (), dots: Sequence[tuple[float, float]] = ()
) -> list[Named]:
    """Write names beside points, the first first, and return those that there was no room for.

    avoid, dots: artists, and places in the units of the axes, that no name may cover; nor may one cover a mark. The
    limits of the axes and the layout of the figure must not change afterwards.
    """
    figure = ax.figure
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer() if hasattr(figure.canvas, "get_renderer") else figure._get_renderer()
    scale = figure.dpi / POINTS_AN_INCH
    inside = ax.get_window_extent(renderer)
    marks = [_mark(ax, point, scale) for point in points]
    taken = [artist.get_window_extent(renderer) for artist in avoid]
    taken += [_mark(ax, Named(x, y, "", 1), scale) for x, y in dots]
    left = []
    for number, point in enumerate(points):
        others = [*taken, *(mark for i, mark in enumerate(marks) if i != number)]
        found = _text(ax, point, size, renderer, inside, others)
        if found is None:
            left.append(point)
        else:
            taken.append(found)
    return left


def _mark(ax: Any, point: Named, scale: float) -> Any:
    """The box of a mark on the screen. Its corners are empty, and may be written on."""
    from matplotlib.transforms import Bbox

    x, y = ax.transData.transform((point.x, point.y))
    half = 0.8 * point.radius * scale
    return Bbox([[x - half, y - half], [x + half, y + half]])


def _text(ax: Any, point: Named, size: float, renderer: Any, inside: Any, taken: Sequence[Any]) -> Any:
    """Write a name where it is free; its box, or None where there is no place."""
    for reach in REACH:
        for right, up in AWAY:
            far = (point.radius + 1.5 + reach) * (0.75 if right and up else 1)
            text = ax.annotate(
                point.name, (point.x, point.y), (right * far, up * far), textcoords="offset points", fontsize=size,
                ha=SIDES[right], va=HEIGHTS[up], zorder=5, annotation_clip=False,
                arrowprops={"arrowstyle": "-", "lw": 0.4, "color": "#888888", "shrinkA": 0, "shrinkB": point.radius}
                if reach > REACH[1] else None,
            )  # fmt: skip
            box = _box(text, renderer)
            free = not any(box.overlaps(other) for other in taken)
            if free and inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1:
                text.set_in_layout(False)
                return box
            text.remove()
    return None


def _box(text: Any, renderer: Any) -> Any:
    """The box of the letters alone, without a line that leads to them."""
    from matplotlib.text import Text

    text.update_positions(renderer)
    return Text.get_window_extent(text, renderer)
