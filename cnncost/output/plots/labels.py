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
    layout of the figure is settled by this; the limits of the axes must not change afterwards.
    """
    figure = ax.figure
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # stays as it is now
    renderer = figure.canvas.get_renderer()
    scale = figure.dpi / POINTS_AN_INCH
    inside = ax.get_window_extent(renderer)
    marks = [_mark(ax, point, scale) for point in points]
    fixed = [artist.get_window_extent(renderer) for artist in avoid]
    fixed += [_mark(ax, Named(x, y, "", 2), scale) for x, y in dots]
    texts: list[Any] = []
    lines: list[Any] = []
    left = []
    for number, point in enumerate(points):
        others = [*fixed, *texts, *lines, *(mark for i, mark in enumerate(marks) if i != number)]
        if not _text(ax, point, size, renderer, inside, others, texts, lines):
            left.append(point)
    return left


def _mark(ax: Any, point: Named, scale: float) -> Any:
    """The box of a mark on the screen. Its corners are empty, and may be written on."""
    from matplotlib.transforms import Bbox

    x, y = ax.transData.transform((point.x, point.y))
    half = 0.8 * point.radius * scale
    return Bbox([[x - half, y - half], [x + half, y + half]])


def _text(
    ax: Any,
    point: Named,
    size: float,
    renderer: Any,
    inside: Any,
    taken: Sequence[Any],
    texts: list[Any],
    lines: list[Any],
) -> bool:
    """Write a name where it is free, and note its box and that of the line to it; whether there was a place."""
    for reach in REACH:
        for right, up in AWAY:
            far = (point.radius + 1.5 + reach) * (0.75 if right and up else 1)
            led = reach > REACH[1]
            text = ax.annotate(
                point.name, (point.x, point.y), (right * far, up * far), textcoords="offset points", fontsize=size,
                ha=SIDES[right], va=HEIGHTS[up], zorder=5, annotation_clip=False,
                arrowprops={"arrowstyle": "-", "lw": 0.4, "color": "#888888", "shrinkA": 0, "shrinkB": point.radius}
                if led else None,
            )  # fmt: skip
            box = _box(text, renderer)
            within = inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1
            line = _line(ax, point, box) if led else []
            if (
                within
                and not any(box.overlaps(other) for other in taken)
                and not any(one.overlaps(other) for one in line for other in texts)
            ):
                text.set_in_layout(False)
                texts.append(box)
                lines += line
                return True
            text.remove()
    return False


def _line(ax: Any, point: Named, box: Any) -> list[Any]:
    """Small boxes along the line from a mark to its name."""
    from matplotlib.transforms import Bbox

    start = ax.transData.transform((point.x, point.y))
    end = [min(max(at, low), high) for at, low, high in zip(start, box.min, box.max)]
    steps = [n / 30 for n in range(1, 30)]
    places = [[a + (b - a) * part for a, b in zip(start, end)] for part in steps]
    return [Bbox([[x - 1, y - 1], [x + 1, y + 1]]) for x, y in places]


def _box(text: Any, renderer: Any) -> Any:
    """The box of the letters alone, without a line that leads to them."""
    from matplotlib.text import Text

    text.update_positions(renderer)
    return Text.get_window_extent(text, renderer)
